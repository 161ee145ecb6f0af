//! What comes at the end: rollback plans, criteria, follow-ups.

use std::collections::BTreeSet;
use std::ops::Range;

use super::reader::Reader;
use super::steps::{self, Home, Known};
use super::{Owner, values, verbs};
use crate::runbook::{Criterion, Expr, Followup, Item, RollbackPlan, Runbook};

pub(super) fn rollbacks(table: &Reader<'_, '_>, runbook: &Runbook) -> Vec<RollbackPlan> {
    let known = Known::new(runbook);
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut taken: Vec<(String, Range<usize>)> = Vec::new();
    let mut all = Vec::new();
    for one in table.tables("rollback", "a rollback plan") {
        let id = values::id_of(&one, "id = \"restore\"");
        ids.extend(id.clone());
        let id = id.map(|(id, _)| id).unwrap_or_default();
        all.push(rollback(one, &known, id, &mut taken));
    }
    table.notes.unique("rollback plan", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    let plans = taken.iter().map(|(id, span)| (id.as_str(), span.clone()));
    let phases: BTreeSet<&str> = runbook.steps().map(|step| step.id.0.as_str()).collect();
    for (id, span) in plans.clone().filter(|(id, _)| phases.contains(id)) {
        let message = format!("the step `{id}` is there twice: in a phase and in a rollback plan");
        table.notes.say(span, message, "give the one of the rollback plan an id of its own");
    }
    table.notes.unique("step", plans);
    all
}

fn rollback(table: Reader<'_, '_>, known: &Known, id: String, taken: &mut Vec<(String, Range<usize>)>) -> RollbackPlan {
    let title = table.label("title").unwrap_or_else(|| id.clone());
    let expected_time = table.duration("expected_time");
    let tables = table.tables("step", "a step");
    if tables.is_empty() && !table.has("step") {
        let message = "a rollback plan without steps";
        table.notes.say(table.span.clone(), message, "add a [[rollback.step]]");
    }
    let of = tables.len();
    let mut all = Vec::new();
    for (n, one) in tables.into_iter().enumerate() {
        let step = if one.has("id") {
            values::id_of(&one, "id = \"restore-dump\"")
        } else {
            one.node("id");
            Some((format!("{id}-{}", n + 1), one.span.clone()))
        };
        taken.extend(step.clone());
        let step = step.map(|(id, _)| id).unwrap_or_default();
        let words = if of > 1 { format!("{title} ({} of {of})", n + 1) } else { title.clone() };
        let home = Home::Plan { plan: &id, title: words };
        all.push(steps::step(one, known, &home, &step));
    }
    let line = table.notes.line_at(table.span.start);
    table.finish();
    RollbackPlan { id, title, expected_time, steps: all, line }
}

pub(super) fn criteria(table: &Reader<'_, '_>) -> Vec<Criterion> {
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut all = Vec::new();
    for (n, one) in table.tables("criterion", "a criterion").into_iter().enumerate() {
        let (id, span) = optional_id(&one, format!("criterion-{}", n + 1));
        ids.push((id.clone(), span));
        if !one.has("when") {
            one.missing("when", "when = \"steps['count'].value == 43\"");
        }
        let when = steps::expression(&one, "when", &Owner::Watch, None);
        let title = one.label("title");
        one.finish();
        let when = when.unwrap_or(Expr { source: String::new(), line: 0 });
        all.push(Criterion { title: title.unwrap_or_else(|| when.source.clone()), id, when });
    }
    table.notes.unique("criterion", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    all
}

pub(super) fn followups(table: &Reader<'_, '_>) -> Vec<Followup> {
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut all = Vec::new();
    for (n, one) in table.tables("followup", "a follow-up").into_iter().enumerate() {
        let (id, span) = optional_id(&one, format!("followup-{}", n + 1));
        ids.push((id.clone(), span));
        let title = one.label("title");
        if !one.has("title") {
            one.missing("title", "title = \"Delete the backup\"");
        }
        if !one.has("due") {
            one.missing("due", "due = \"+48h\"");
        }
        let due = one.duration("due").unwrap_or_default();
        let items = verbs::checklist(&one).unwrap_or_default();
        let checklist = items.into_iter().map(words).collect();
        one.finish();
        all.push(Followup { id, title: title.unwrap_or_default(), due, checklist });
    }
    table.notes.unique("follow-up", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    all
}

/// Follow-ups are read after the run, by people: what must be answered says so.
fn words(item: Item) -> String {
    if item.answer_required { format!("{} (answer required)", item.ask) } else { item.ask }
}

fn optional_id(table: &Reader<'_, '_>, otherwise: String) -> (String, Range<usize>) {
    if !table.has("id") {
        table.node("id");
        return (otherwise, table.span.clone());
    }
    values::id_of(table, "id = \"tables-left\"").unwrap_or((otherwise, table.span.clone()))
}
