//! Rules about expectations: a check that cannot fail is none.

use std::collections::BTreeSet;

use crate::lint::desk::{Desk, Part};
use crate::lint::rule::Rule;
use crate::runbook::{Asks, Script, Verb};

pub(super) static RULES: &[&Rule] = &[&WITHOUT_EXPECT, &HTTP];

static WITHOUT_EXPECT: Rule = Rule::error(
    "step-without-expect",
    "the step asks a question, and no answer would be wrong: it passes whatever comes back",
    "write what must come back (expect = \"value == 43\"), or say that nothing is expected: expect = \"none\"",
);

static HTTP: Rule = Rule::note(
    "http-without-expect",
    "gonogo wants a 2xx answer; that only says that something answered, a login page and an old version do so too",
    "look at the body: expect = \"body.version == version\"; or say expect = \"none\"",
);

pub(super) fn check(desk: &Desk<'_>) {
    let asking: BTreeSet<usize> = desk.sql.iter().filter(|sql| sql.asks()).filter_map(|sql| sql.act).collect();
    for (n, act) in desk.acts.iter().enumerate().filter(|(_, act)| act.part != Part::Verify) {
        let step = act.step;
        if step.expect.is_some() || step.expects_nothing {
            continue;
        }
        match &step.verb {
            Verb::Sql(Script { asks: Asks::Plan { .. }, .. }) => {
                desk.step(
                    &WITHOUT_EXPECT,
                    act,
                    &act.verb(),
                    format!("`{}` shows a plan, and expects nothing", step.id),
                );
            }
            // The first of two inventories is what the second is held against.
            Verb::Sql(Script { asks: Asks::Inventory(inventory), .. }) => {
                if let Some(other) = &inventory.compare {
                    let message = format!("`{}` compares with `{other}`, and no difference would be wrong", step.id);
                    desk.step(&WITHOUT_EXPECT, act, &act.verb(), message);
                }
            }
            Verb::Sql(_) if asking.contains(&n) => {
                desk.step(&WITHOUT_EXPECT, act, &act.verb(), format!("`{}` asks, and expects nothing", step.id));
            }
            Verb::Http(call) if matches!(call.method.as_str(), "GET" | "HEAD") => {
                desk.step(&HTTP, act, &act.verb(), format!("`{}` is content with any 2xx answer", step.id));
            }
            _ => {}
        }
    }
}
