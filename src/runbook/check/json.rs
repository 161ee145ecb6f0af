//! A text in a JSON body brings its own quotes: inside quotes of the body it would come apart.

use std::ops::Range;

use crate::runbook::Runbook;
use crate::runbook::parse::Notes;
use crate::runbook::sql::{is_bare, mask};
use crate::runbook::text::Located;

pub(super) fn check(notes: &Notes<'_>, runbook: &Runbook, text: &Located, emits: &[(Range<usize>, Option<String>)]) {
    let strings = strings(&mask(&text.text));
    for (at, name) in emits {
        let after = strings.partition_point(|string| string.start <= at.start);
        let inside = after.checked_sub(1).and_then(|n| strings.get(n)).is_some_and(|string| string.contains(&at.start));
        if inside && !is_bare(name.as_deref(), &runbook.vars) {
            let message = "a template inside quotes of a JSON body: a text brings its own";
            let hint = "write it without quotes: {\"run\": {{ run.id }}}; to join texts: {{ \"run \" ~ run.id }}";
            notes.within(text, at.clone(), message, hint);
        }
    }
}

/// Bytes of the strings of a JSON text, in order.
fn strings(text: &str) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut open = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (open, byte) {
            (None, b'"') => open = Some(at),
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(start), b'"') => {
                all.push(start..at);
                open = None;
            }
            _ => {}
        }
    }
    all.extend(open.map(|start| start..text.len()));
    all
}
