//! Rules about limits: triggers that cannot fire, that say the same twice, or leave a band to nobody.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::lint::desk::Desk;
use crate::lint::finding::Subject;
use crate::lint::rule::Rule;
use crate::runbook::{Expr, Phase, Seg, Trigger, TriggerAction, Var, expr};

pub(super) static RULES: &[&Rule] = &[&NO_MISSING, &CANNOT_FIRE, &SAME_TWICE, &BAND, &CLASH];

static NO_MISSING: Rule = Rule::warning(
    "trigger-without-missing",
    "without data the trigger is silent, and silence looks like health",
    "say what the absence of data does: missing = \"hold\" (or \"warn\")",
);
static CANNOT_FIRE: Rule = Rule::warning(
    "trigger-cannot-fire",
    "the breach has to last longer than the phases in which the trigger is armed, or is measured too seldom in them",
    "shorten `lasting`, `after` or `every`, or arm it in a phase that lasts",
);
static SAME_TWICE: Rule = Rule::warning(
    "triggers-clash",
    "two limits for the same thing and the same action: the one that is crossed first always decides",
    "keep one; a higher limit only helps where it acts sooner (a shorter `lasting`) or does more (`then`)",
);
static BAND: Rule = Rule::warning(
    "unwatched-band",
    "between what counts as good and what rolls back lies a band in which nothing happens and nobody decides",
    "add a trigger with then = \"hold\" (or \"warn\") at the limit of what is good",
);
static CLASH: Rule = Rule::warning(
    "limits-clash",
    "two limits for the same number: with one of them the run passes, by the other it has failed",
    "decide for one, or write in a waiver why there are two",
);

pub(super) fn check(desk: &Desk<'_>) {
    let triggers = &desk.book.triggers;
    let watched: Vec<Vec<Limit>> = triggers.iter().map(|trigger| limits(desk, &trigger.when)).collect();
    let good = good(desk);
    for (n, (trigger, bad)) in triggers.iter().zip(&watched).enumerate() {
        if trigger.missing.is_none() {
            note(desk, &NO_MISSING, n, "id", format!("`{}` does not say what silence means", trigger.id));
        }
        cannot_fire(desk, n, trigger);
        let [bad] = bad.as_slice() else { continue };
        for (other, limits) in triggers.iter().zip(&watched).skip(n + 1) {
            if let [limit] = limits.as_slice() {
                same_twice(desk, n, (trigger, bad), (other, limit));
            }
        }
        if trigger.then == TriggerAction::Rollback {
            band(desk, n, bad, good.get(&bad.name).map_or(&[], Vec::as_slice), &watched);
        }
    }
    clashes(desk);
}

fn note(desk: &Desk<'_>, rule: &'static Rule, n: usize, key: &'static str, message: String) {
    let Some(trigger) = desk.book.triggers.get(n) else { return };
    let subject = Subject { trigger: Some(trigger.id.clone()), ..Subject::default() };
    desk.note(rule, &subject, &desk.spot(&[Seg::Key("trigger"), Seg::Nth(n)], key), message);
}

/// The phases in which a trigger is armed.
fn armed<'d>(desk: &'d Desk<'_>, trigger: &'d Trigger) -> impl Iterator<Item = &'d Phase> {
    desk.book.phases.iter().filter(|phase| {
        let named = |word: &String| *word == phase.id || word == phase.kind.word();
        trigger.during.is_empty() || trigger.during.iter().any(named)
    })
}

fn cannot_fire(desk: &Desk<'_>, n: usize, trigger: &Trigger) {
    let lengths: Option<Vec<_>> = armed(desk, trigger).map(|phase| phase.lasts).collect();
    let Some(longest) = lengths.and_then(|lengths| lengths.into_iter().max()) else { return };
    let words = |length| humantime::format_duration(length);
    if trigger.lasting > longest {
        let message =
            format!("it lasts {}, and no phase it is armed in longer than {}", words(trigger.lasting), words(longest));
        return note(desk, &CANNOT_FIRE, n, "lasting", message);
    }
    // Phases in a row are one time: the delay counts from the first.
    let whole: Duration = armed(desk, trigger).filter_map(|phase| phase.lasts).sum();
    if !trigger.after.is_zero() && trigger.after + trigger.lasting > whole {
        let whole = words(whole);
        let message =
            format!("it begins to judge after {}, and the phases it is armed in take {whole}", words(trigger.after));
        return note(desk, &CANNOT_FIRE, n, "after", message);
    }
    for name in expr::probe_names(&trigger.when, desk.book) {
        if let Some(probe) = desk.book.probe(&name).filter(|probe| probe.every > longest) {
            let message = format!(
                "`{name}` is measured every {}, the longest phase takes {}",
                words(probe.every),
                words(longest)
            );
            note(desk, &CANNOT_FIRE, n, "when", message);
        }
    }
}

/// A number and its bound: `error_rate > 2`.
#[derive(Clone, Debug, PartialEq)]
struct Limit {
    name: String,
    /// True for `>` and `>=`.
    above: bool,
    bound: f64,
}

const COMPARED: &str = r"(steps\[\s*['\x22]([a-z0-9_-]+)['\x22]\s*\]\.(?:row\.)?\w+|\b[A-Za-z_]\w*(?:\.\w+)*)\s*(>=|<=|>|<)\s*([A-Za-z_]\w*|\d+(?:\.\d+)?)";
static COMPARES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(COMPARED).ok());

/// The limits of an expression that are the whole of it, or parts joined by `and` or `or`.
fn limits(desk: &Desk<'_>, expr: &Expr) -> Vec<Limit> {
    let sums = expr.source.contains(['+', '-', '*', '/', '|', '%']) && !expr.source.contains("steps[");
    if sums || expr.source.contains(" not ") || expr.source.contains(['+', '*', '/', '|', '%']) {
        return Vec::new();
    }
    let found = COMPARES.iter().flat_map(|pattern| pattern.captures_iter(&expr.source));
    let limit = |found: regex::Captures<'_>| {
        let (name, sign, bound) = (found.get(1)?.as_str(), found.get(3)?.as_str(), found.get(4)?.as_str());
        let bound = bound.parse().ok().or_else(|| variable(desk, bound))?;
        Some(Limit { name: name.replace('"', "'"), above: sign.starts_with('>'), bound })
    };
    found.filter_map(limit).collect()
}

fn variable(desk: &Desk<'_>, name: &str) -> Option<f64> {
    match desk.book.vars.iter().find(|(known, _)| known == name)?.1 {
        Var::Int(value) => Some(value as f64),
        Var::Float(value) => Some(value),
        _ => None,
    }
}

fn same_twice(desk: &Desk<'_>, n: usize, (one, a): (&Trigger, &Limit), (other, b): (&Trigger, &Limit)) {
    if a.name != b.name || a.above != b.above || one.then != other.then || one.plan != other.plan {
        return;
    }
    if !armed(desk, one).any(|phase| armed(desk, other).any(|also| also.id == phase.id)) {
        return;
    }
    // The milder limit is crossed first; the stricter one only decides where it is quicker.
    let first_is_milder = if a.above { a.bound <= b.bound } else { a.bound >= b.bound };
    let (milder, stricter) = if first_is_milder { (one, other) } else { (other, one) };
    if stricter.lasting >= milder.lasting {
        let message = format!("`{}` decides before `{}` ever can", milder.id, stricter.id);
        note(desk, &SAME_TWICE, n, "when", message);
    }
}

/// What counts as good: what criteria and expectations of the runbook say, by what they say it of.
fn good(desk: &Desk<'_>) -> BTreeMap<String, Vec<Limit>> {
    let criteria = desk.book.criteria.iter().map(|criterion| &criterion.when);
    let expects = desk.forward().filter_map(|act| act.step.expect.as_ref());
    let mut all: BTreeMap<String, Vec<Limit>> = BTreeMap::new();
    for limit in criteria.chain(expects).flat_map(|expr| limits(desk, expr)) {
        all.entry(limit.name.clone()).or_default().push(limit);
    }
    all
}

/// `bad`: the limit of a trigger that rolls back. `watched`: those of every trigger.
fn band(desk: &Desk<'_>, n: usize, bad: &Limit, good: &[Limit], watched: &[Vec<Limit>]) {
    for good in good.iter().filter(|good| good.above != bad.above) {
        let apart = if bad.above { good.bound < bad.bound } else { good.bound > bad.bound };
        let covers = |limit: &Limit| {
            let near = if bad.above { limit.bound <= good.bound } else { limit.bound >= good.bound };
            limit.name == bad.name && limit.above == bad.above && near
        };
        if apart && !watched.iter().flatten().any(covers) {
            let message = format!("{} from {} to {}: neither good nor rolled back", bad.name, good.bound, bad.bound);
            return note(desk, &BAND, n, "when", message);
        }
    }
}

/// `ms < 400` in a step's expectation, `steps['it'].ms < 500` in a criterion.
fn clashes(desk: &Desk<'_>) {
    let own = desk.forward().filter_map(|act| Some((act, act.step.expect.as_ref()?)));
    let mut known: BTreeMap<(String, bool), Vec<f64>> = BTreeMap::new();
    let mut keep = |limit: Limit| {
        let bounds = known.entry((limit.name, limit.above)).or_default();
        // The first two that differ say everything.
        if bounds.len() < 2 && bounds.first() != Some(&limit.bound) {
            bounds.push(limit.bound);
        }
        bounds.iter().copied().find(|bound| *bound != limit.bound)
    };
    for (act, expect) in own {
        let named = |limit: Limit| Limit { name: format!("steps['{}'].{}", act.step.id, limit.name), ..limit };
        let own = limits(desk, expect).into_iter().filter(|limit| !limit.name.starts_with("steps[")).map(named);
        for limit in own {
            keep(limit);
        }
    }
    for (n, criterion) in desk.book.criteria.iter().enumerate() {
        for limit in limits(desk, &criterion.when) {
            if let Some(other) = keep(limit.clone()) {
                let message = format!("{} has the limits {other} and {}", limit.name, limit.bound);
                let spot = desk.spot(&[Seg::Key("criterion"), Seg::Nth(n)], "when");
                desk.note(&CLASH, &Subject::default(), &spot, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_expressions() {
        let found = |text: &str| -> Vec<String> {
            let all = COMPARES.as_ref().unwrap().captures_iter(text);
            all.map(|found| format!("{}|{}|{}", &found[1], &found[3], &found[4])).collect()
        };
        assert_eq!(found("errors > 2 and queue<=max"), ["errors|>|2", "queue|<=|max"]);
        assert_eq!(found("steps['a-b'].row.total >= 1.5"), ["steps['a-b'].row.total|>=|1.5"]);
    }
}
