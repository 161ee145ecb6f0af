//! What the snapshots of a rehearsal prove: a snapshot that both legs have taken is the same in both where the way back led
//! to where it began.

use super::clean;
use super::inventory::{self, Change};
use super::state::RunState;

/// Differences that are named.
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

fn named(changes: &[Change]) -> String {
    let first = changes.iter().take(NAMED).map(|one| {
        let name = clean::line(&one.name, 80);
        format!("{} {} {name}", one.sign(), clean::line(&one.kind, 40))
    });
    let first: Vec<String> = first.collect();
    let more = changes.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}
