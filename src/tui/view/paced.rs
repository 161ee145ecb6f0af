//! The time of a step beside that of its rehearsal.

use super::super::model::Model;
use super::time;
use crate::run::rehearsed::much_slower;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Direction, clean, words};
use crate::runbook::Step;

/// Milliseconds that the step, or its undo where that is what runs or ran last, took in the rehearsal. None: that is not
/// known, or what it took now is not known for the whole of it.
pub fn rehearsed_ms(model: &Model, step: &Step, run: &StepRun) -> Option<u64> {
    live_ms(model, run)?;
    let direction = run.attempt.as_ref().map_or(Direction::Forward, |attempt| attempt.direction);
    model.state.rehearsed_ms(&step.id, direction)
}

/// Milliseconds to compare: so far while it is at work, as its engine measured them once it is done. None: what is known is
/// not the time of the whole step.
fn live_ms(model: &Model, run: &StepRun) -> Option<u64> {
    match run.status {
        StepStatus::Running | StepStatus::Undoing => (!run.goes_on()).then(|| elapsed(model, run)),
        StepStatus::Done | StepStatus::Undone => run.done_ms(),
        _ => None,
    }
}

/// Milliseconds that a step at work has taken: by the run clock, or as its engine told.
pub fn elapsed(model: &Model, run: &StepRun) -> u64 {
    let progress = run.attempt.as_ref().and_then(|attempt| model.progress.get(attempt));
    let told = progress.map_or(0, |progress| progress.elapsed_ms);
    run.took_ms(time::work_clock(model)).unwrap_or(0).max(told)
}

/// True where it takes, or took, much longer than in the rehearsal.
pub fn is_slow(model: &Model, step: &Step, run: &StepRun) -> bool {
    let both = live_ms(model, run).zip(rehearsed_ms(model, step, run));
    both.is_some_and(|(ms, rehearsed)| much_slower(ms, rehearsed))
}

/// `much slower than in the rehearsal of 2026-11-20 14:02:00 UTC in staging`; none where it is not.
pub fn slow_words(model: &Model, step: &Step, run: &StepRun) -> Option<String> {
    let last = model.state.opened.rehearsed.as_ref().filter(|_| is_slow(model, step, run))?;
    let at = words::date(last.at, model.runbook.window.zone);
    Some(format!("much slower than in the rehearsal of {at} in {}", clean::line(&last.environment, 40)))
}
