//! Rules about ways back and ways on: undos, cures, and steps that lean on others.

use std::collections::BTreeSet;

use crate::lint::desk::{Act, Desk};
use crate::lint::rule::Rule;
use crate::runbook::{OnFail, Seg, Step, Undo, Verb, sql};

pub(super) static RULES: &[&Rule] = &[&NO_UNDO, &NO_UNDO_COMMAND, &LEANS, &CURE];

static NO_UNDO: Rule = Rule::warning(
    "step-without-undo",
    "it changes something and says nothing about the way back: in the middle of a rollback that is a question",
    "undo = { sql = \"…\" }, undo = \"none needed\", or undo = \"irreversible\"",
);
static NO_UNDO_COMMAND: Rule = Rule::note(
    "command-without-undo",
    "a command may change something; a rollback stops at it and asks",
    "undo = \"none needed\" where it only looks; else undo = { run = […] }",
);
static LEANS: Rule = Rule::warning(
    "leans-on-failed-step",
    "the step needs what an earlier one brings home, and that one may fail without stopping the run",
    "leave on_fail = \"continue\" out there, or guard this step: only_if = \"steps['x'].value is defined\"",
);
static CURE: Rule = Rule::warning(
    "cure-by-cascade",
    "a cure with CASCADE, read out in the night, drops what nobody has named",
    "name the one object that is in the way, and how to see that it is the left-over one",
);

pub(super) fn check(desk: &Desk<'_>) {
    let free: BTreeSet<&str> = desk.forward().map(|act| act.step).filter_map(goes_on).collect();
    for act in desk.forward() {
        let step = act.step;
        if matches!(step.undo, Undo::Unsaid) && step.changes() {
            match &step.verb {
                Verb::Sql(script) if sql::leaves_data(&script.text) => {}
                Verb::Run(_) | Verb::Shell(_) => {
                    desk.step(&NO_UNDO_COMMAND, act, &act.verb(), format!("`{}` says nothing about its undo", step.id));
                }
                _ => desk.step(&NO_UNDO, act, &act.verb(), format!("`{}` says nothing about its undo", step.id)),
            }
        }
        leans(desk, act, &free);
        for (n, trouble) in step.trouble.iter().enumerate() {
            if drops_cascade(&trouble.fix) {
                let mut spot = act.spot("trouble");
                spot.path.push(Seg::Nth(n));
                desk.step(&CURE, act, &spot, "this cure drops with CASCADE");
            }
        }
    }
}

/// `drop table x cascade`, not "do not add CASCADE".
fn drops_cascade(cure: &str) -> bool {
    let cure = cure.to_lowercase();
    let behind = cure.find("drop ").and_then(|at| cure.get(at..)).unwrap_or_default();
    behind.contains("cascade") && !["not ", "never ", "without ", "would "].iter().any(|no| behind.contains(no))
}

/// The id of a step that may fail without stopping the run.
fn goes_on(step: &Step) -> Option<&str> {
    (step.on_fail == OnFail::Continue).then_some(step.id.0.as_str())
}

/// `free`: steps that may fail without stopping the run.
fn leans(desk: &Desk<'_>, act: &Act<'_>, free: &BTreeSet<&str>) {
    let Some(expect) = act.step.expect.as_ref().filter(|_| act.step.only_if.is_none()) else { return };
    let named: BTreeSet<&str> = ['\'', '"'].into_iter().flat_map(|quote| quoted(&expect.source, quote)).collect();
    for id in named.intersection(free).filter(|id| **id != act.step.id.0) {
        desk.step(&LEANS, act, &act.spot("expect"), format!("`{id}` may have failed, and brought nothing home"));
    }
}

/// What stands between two of these quotes.
fn quoted(text: &str, quote: char) -> impl Iterator<Item = &str> {
    let last = text.matches(quote).count();
    text.split(quote).take(last).skip(1)
}
