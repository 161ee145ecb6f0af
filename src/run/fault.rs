//! Faults completed with what the runbook knows: the place, the known trouble.

use regex::Regex;

use super::event::{Attempt, Resolved};
use super::facts::{Fault, Outcome, Verdict};
use super::follow::acting;
use super::state::RunState;
use crate::runbook::{Runbook, Trouble, Verb};

const SAID: &str = "the server said (";
const CODE_END: &str = "): ";
const SAID_END: &str = ". So it is in doubt: ";

/// The fault of an expectation that does not hold.
pub fn unexpected(verdict: Option<&Verdict>) -> Fault {
    match verdict {
        Some(verdict) => Fault::new(format!("expected {}, but {}", verdict.expect, verdict.saw)),
        None => Fault::new("not as expected"),
    }
}

/// The summary of work in a database that was judged to be not as expected.
pub fn refused(verdict: &Verdict) -> String {
    format!("not as expected: {} ({})", verdict.expect, verdict.saw)
}

/// What a server said, with its code, and what that means: `the server said (22P02): …. So it is in doubt: …`.
pub fn said(code: &str, words: &str, then: &str) -> String {
    format!("{SAID}{code}{CODE_END}{words}{SAID_END}{then}")
}

/// Such a text in its parts: what stands before it, the code, what was said, what it means. What was said may hold any
/// words: its end is the last that looks like one.
pub fn heard(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once(SAID)?;
    let (code, rest) = rest.split_once(CODE_END)?;
    let (words, then) = rest.rsplit_once(SAID_END).unwrap_or((rest, ""));
    Some((before, code, words, then))
}

/// `outcome` with the place of its fault and the runbook's `trouble` filled in.
pub fn complete(book: &Runbook, state: &RunState, attempt: &Attempt, mut outcome: Outcome) -> Outcome {
    let (Outcome::Failed { fault, .. } | Outcome::Broke { fault }) = &mut outcome else { return outcome };
    if fault.place.is_empty() {
        fault.place = place(book, state, attempt, fault);
    }
    if let Some(step) = acting(book, attempt) {
        let text = searchable(fault);
        let is_it = |known: &Trouble| Regex::new(&known.matching).is_ok_and(|pattern| pattern.is_match(&text));
        let known = step.trouble.iter().enumerate().find(|(_, known)| is_it(known));
        fault.trouble = known.map(|(_, known)| (known.cause.clone(), known.fix.clone()));
        fault.remedy = known.filter(|(_, known)| known.remedy.is_some()).and_then(|(n, _)| u16::try_from(n).ok());
    }
    outcome
}

fn searchable(fault: &Fault) -> String {
    let parts = [Some(&fault.summary), fault.sqlstate.as_ref(), fault.detail.as_ref(), fault.hint.as_ref()];
    parts.into_iter().flatten().cloned().collect::<Vec<_>>().join("\n")
}

/// `file:line`: of the statement that failed where it is known, else of the step.
fn place(book: &Runbook, state: &RunState, attempt: &Attempt, fault: &Fault) -> String {
    let runbook = &state.opened.source.name;
    let Some(step) = acting(book, attempt) else { return runbook.clone() };
    let runbook = step.file(runbook);
    let run = state.steps.get(&attempt.step);
    let (statement, own) = match (run.and_then(|run| run.resolved.as_ref()), fault.statement) {
        (Some(Resolved::Sql { statements, direct, .. }), Some(n)) => {
            (statements.get((n as usize).saturating_sub(1)), n > direct.cleaning)
        }
        _ => (None, true),
    };
    // What is sent ahead of a step's file stands in the runbook.
    let file = match &step.verb {
        Verb::Sql(script) if own => script.file.as_ref(),
        _ => None,
    };
    match (statement, file) {
        (Some(statement), Some(file)) => {
            format!("{file}:{}", statement.line + lines_before(statement.sql.as_str(), fault))
        }
        (Some(statement), None) => {
            format!("{runbook}:{}", statement.line + lines_before(statement.sql.as_str(), fault))
        }
        (None, _) => format!("{runbook}:{}", step.line),
    }
}

/// Line breaks of the statement before the character at fault.
fn lines_before(sql: &str, fault: &Fault) -> u32 {
    let before = fault.position.unwrap_or(1).saturating_sub(1) as usize;
    let breaks = sql.chars().take(before).filter(|c| *c == '\n').count();
    u32::try_from(breaks).unwrap_or(0)
}
