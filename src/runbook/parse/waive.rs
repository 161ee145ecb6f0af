//! Waivers: findings of the check that the author has seen and answers for, each with its reason.

use super::reader::Reader;
use crate::runbook::{Waiver, WaiverScope};

type Scope = fn(String) -> WaiverScope;

const SCOPES: &[(&str, Scope)] = &[
    ("step", WaiverScope::Step),
    ("phase", WaiverScope::Phase),
    ("probe", WaiverScope::Probe),
    ("trigger", WaiverScope::Trigger),
    ("file", WaiverScope::File),
];

pub(super) fn waivers(table: &Reader<'_, '_>) -> Vec<Waiver> {
    table.tables("waive", "a waiver").into_iter().filter_map(waiver).collect()
}

fn waiver(table: Reader<'_, '_>) -> Option<Waiver> {
    let rule = table.need_text("rule", "rule = \"sql-update-without-where\"");
    if !table.has("reason") {
        table.missing("reason", "reason = \"why this is right here\"");
    }
    let reason = table.label("reason");
    let mut scope = WaiverScope::Runbook;
    for (n, (key, made)) in SCOPES.iter().enumerate() {
        let Some(text) = table.need_or_none(key) else { continue };
        if SCOPES[..n].iter().any(|(before, _)| table.has(before)) {
            table.refuse(key, "a waiver is about one thing", "write a [[waive]] for each");
        }
        scope = made(text.text);
    }
    let line = table.notes.line_at(table.span.start);
    table.finish();
    Some(Waiver { rule: rule?.text, scope, reason: reason?, line })
}
