//! A snapshot is compared with one that was taken before it.

use crate::runbook::parse::Notes;
use crate::runbook::{Asks, Runbook, Step, Verb, suggest};

pub(super) fn check(notes: &Notes<'_>, runbook: &Runbook) {
    let mut taken = Vec::new();
    runbook.steps().for_each(|step| one(notes, step, &mut taken));
    for plan in &runbook.rollbacks {
        let mut taken = taken.clone();
        plan.steps.iter().for_each(|step| one(notes, step, &mut taken));
    }
}

fn one<'r>(notes: &Notes<'_>, step: &'r Step, taken: &mut Vec<&'r str>) {
    let Verb::Sql(script) = &step.verb else { return };
    let Asks::Inventory(wanted) = &script.asks else { return };
    if let Some(other) = wanted.compare.as_deref().filter(|other| !taken.contains(other) && !notes.lacks_a_part()) {
        let hint = suggest::hint(other, taken, "take it in an earlier step");
        let message = format!("no step before this one takes a snapshot `{other}`");
        if let Some(text) = notes.compares.borrow().get(&(wanted.name.clone(), other.to_owned())) {
            notes.at(text, message, hint);
        }
    }
    taken.push(&wanted.name);
}
