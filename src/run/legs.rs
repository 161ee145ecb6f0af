//! What the snapshots of a rehearsal prove: a snapshot that both legs have taken is the same in both where the way back led
//! to where it began.

use super::clean;
use super::inventory::{self, Change};
use super::state::RunState;

/// Kinds of differences that are named.
const NAMED: usize = 5;

/// In words; none where no snapshot was taken in both legs.
pub fn compared(state: &RunState) -> Option<String> {
    let mut same = Vec::new();
    let mut other = Vec::new();
    for (name, first) in &state.first_leg {
        let Some(second) = state.snapshots.get(name).filter(|second| !std::sync::Arc::ptr_eq(first, second)) else {
            continue;
        };
        let name = clean::line(name, 80);
        match inventory::differences(first, second).as_slice() {
            [] => same.push(name),
            changes => other.push(format!("{name} ({})", named(changes))),
        }
    }
    let one = |all: &[String]| if all.len() == 1 { "snapshot" } else { "snapshots" };
    let told = |words: &str, all: &[String], between: &str| {
        (!all.is_empty()).then(|| format!("{words} in both legs: {} {}", one(all), all.join(between)))
    };
    let (other_words, same_words) = (told("NOT the same", &other, "; "), told("the same", &same, ", "));
    let all: Vec<String> = [other_words, same_words].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// By kind, what is made of others first: `+ schema audit, + 6 tables`.
fn named(changes: &[Change]) -> String {
    let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for one in changes {
        match groups.iter_mut().find(|(sign, kind, _)| *sign == one.sign() && *kind == one.kind) {
            Some((_, _, names)) => names.push(&one.name),
            None => groups.push((one.sign(), &one.kind, vec![&one.name])),
        }
    }
    groups.sort_by_key(|(_, kind, _)| !["schema", "table"].contains(kind));
    let group = |(sign, kind, names): &(&str, &str, Vec<&str>)| {
        let kind = clean::line(kind, 40);
        match names.as_slice() {
            [name] => format!("{sign} {kind} {}", clean::line(name, 80)),
            names => format!("{sign} {} × {kind}", names.len()),
        }
    };
    let first: Vec<String> = groups.iter().take(NAMED).map(group).collect();
    let rest = if groups.len() > NAMED { ", and more" } else { "" };
    format!("{}{rest}", first.join(", "))
}
