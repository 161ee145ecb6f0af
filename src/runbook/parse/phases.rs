//! Phases: the timed parts of the window, with their steps.

use std::ops::Range;
use std::time::Duration;

use super::include::{self, Fragment};
use super::reader::Reader;
use super::steps::{self, Home, Known};
use super::{head, values};
use crate::runbook::{Advance, Phase, PhaseKind, Runbook, Step};

const COVERAGE: f64 = 0.9;

pub(super) const KINDS: &[(&str, PhaseKind)] = &[
    ("prepare", PhaseKind::Prepare),
    ("migrate", PhaseKind::Migrate),
    ("verify", PhaseKind::Verify),
    ("monitor", PhaseKind::Monitor),
    ("followup", PhaseKind::Followup),
];

pub(super) fn phases(table: &Reader<'_, '_>, parts: &[Fragment<'_, '_>], runbook: &Runbook) -> Vec<Phase> {
    let known = Known::new(runbook);
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut steps: Vec<(String, Range<usize>)> = Vec::new();
    let mut planned = Duration::ZERO;
    let mut phases = Vec::new();
    for one in in_order(table, parts) {
        let phase = phase(&one, &known, &mut ids, &mut steps);
        if let Some(at) = phase.at {
            if at < planned {
                let span = one.node("at").map_or(one.span.clone(), |node| node.span);
                let message = format!("the phase `{}` is planned before the one above it", phase.id);
                one.notes.say(span, message, "phases run in the order of the file; move it, or change `at`");
            }
            planned = at.max(planned);
        }
        one.finish();
        phases.push(phase);
    }
    table.notes.unique("phase", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    table.notes.unique("step", steps.iter().map(|(id, span)| (id.as_str(), span.clone())));
    phases
}

/// The phases with what they include in the place where it is included.
fn in_order<'c, 't>(table: &Reader<'c, 't>, parts: &[Fragment<'c, 't>]) -> Vec<Reader<'c, 't>> {
    let mut all = Vec::new();
    for (n, one) in table.tables("phase", "a phase").into_iter().enumerate() {
        if !one.has("include") {
            all.push(one);
            continue;
        }
        include::pin(&one);
        one.finish();
        if let Some(part) = parts.iter().find(|part| part.phase == n) {
            for inner in part.table.tables("phase", "a phase") {
                if inner.has("include") {
                    inner.refuse("include", "an included file includes no other", "include it in the runbook itself");
                }
                all.push(inner);
            }
        }
    }
    all
}

fn phase(
    table: &Reader<'_, '_>,
    known: &Known,
    ids: &mut Vec<(String, Range<usize>)>,
    steps: &mut Vec<(String, Range<usize>)>,
) -> Phase {
    let id = values::id_of(table, "id = \"migrate\"");
    ids.extend(id.clone());
    let id = id.map(|(id, _)| id).unwrap_or_default();
    let kind = values::one_of(table, "kind", KINDS);
    // An id that is the word for a kind says it already.
    let by_id = KINDS.iter().find(|(word, _)| *word == id).map(|(_, kind)| *kind);
    if kind.is_none() && by_id.is_none() && !table.has("kind") {
        let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        table.missing("kind", &format!("one of: {}", words.join(", ")));
    }
    let kind = kind.or(by_id).unwrap_or(PhaseKind::Prepare);
    let lasts = head::positive(table, "lasts");
    if kind == PhaseKind::Monitor && !table.has("lasts") {
        let hint = "write lasts = \"2h\": it watches for that long, or until somebody signs off";
        table.notes.say(table.span.clone(), "a monitor phase needs `lasts`", hint);
    }
    Phase {
        title: table.label("title").unwrap_or_else(|| capital(&id)),
        kind,
        at: table.duration("at"),
        lasts,
        coverage: coverage(table),
        advance: values::one_of(table, "advance", &[("auto", Advance::Auto), ("confirm", Advance::Confirm)])
            .unwrap_or_default(),
        steps: all_steps(table, known, steps),
        line: table.notes.line_at(table.span.start),
        id,
    }
}

/// How much of the time the triggers must have seen. It is asked at the end of a time box: without one it means nothing.
fn coverage(table: &Reader<'_, '_>) -> f64 {
    if table.has("coverage") && !table.has("lasts") {
        let message = "`coverage` is a share of `lasts`, and this phase has none";
        table.refuse("coverage", message, "add lasts = \"30m\", or leave it out");
    }
    table.number("coverage", 0.0..=1.0).unwrap_or(COVERAGE)
}

fn all_steps(table: &Reader<'_, '_>, known: &Known, ids: &mut Vec<(String, Range<usize>)>) -> Vec<Step> {
    let mut all = Vec::new();
    for one in table.tables("step", "a step") {
        let id = values::id_of(&one, "id = \"count-tables\"");
        ids.extend(id.clone());
        let id = id.map(|(id, _)| id).unwrap_or_default();
        all.push(steps::step(one, known, &Home::Phase, &id));
    }
    all
}

/// `go-live` as `Go-live`.
fn capital(id: &str) -> String {
    let mut chars = id.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
