//! The time of a step beside that of its rehearsal.

use super::super::model::Model;
use crate::run::rehearsed::much_slower;
use crate::run::state::StepRun;
use crate::run::{Direction, clean, words};
use crate::runbook::Step;

/// Milliseconds that the step, or its undo where that is what runs or ran last, took in the rehearsal.
pub fn rehearsed_ms(model: &Model, step: &Step, run: &StepRun) -> Option<u64> {
    let direction = run.attempt.as_ref().map_or(Direction::Forward, |attempt| attempt.direction);
    model.state.rehearsed_ms(&step.id, direction)
}

/// True where it takes, or took, much longer than in the rehearsal.
pub fn is_slow(model: &Model, step: &Step, run: &StepRun, ms: u64) -> bool {
    rehearsed_ms(model, step, run).is_some_and(|rehearsed| much_slower(ms, rehearsed))
}

/// `much slower than in the rehearsal of 2026-11-20 14:02:00 UTC in staging`; none where it is not.
pub fn slow_words(model: &Model, step: &Step, run: &StepRun, ms: u64) -> Option<String> {
    let last = model.state.opened.rehearsed.as_ref().filter(|_| is_slow(model, step, run, ms))?;
    let at = words::date(last.at, model.runbook.window.zone);
    Some(format!("much slower than in the rehearsal of {at} in {}", clean::line(&last.environment, 40)))
}
