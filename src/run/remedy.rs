//! A known trouble taken away: the runbook's SQL for it, sent ahead of another try of its step as a part of that attempt. In a
//! transaction it is the same one, so both happen or neither. Only a person asks for it; nothing sends it by itself.

use super::context;
use super::event::{Direct, Direction, Event, Resolved, Statement};
use super::facts::{Fault, Outcome};
use super::prepare;
use super::state::RunState;
use crate::runbook::expr::{self, ExprError, Place};
use crate::runbook::{Runbook, Step};

/// The statements that take the trouble of the step's last attempt away, as they would be sent now. None: it has none.
pub fn of(book: &Runbook, state: &RunState, step: &Step) -> Option<Result<Vec<Statement>, ExprError>> {
    let run = state.steps.get(&step.id)?;
    let acting = super::follow::acting(book, run.attempt.as_ref()?)?;
    let remedy = acting.trouble.get(usize::from(fault_of(run.outcome.as_ref()?)?.remedy?))?.remedy.as_ref()?;
    let dialect = prepare::dialect(book, state, acting.target.as_deref().unwrap_or_default());
    let text = expr::render(&remedy.text, Place::Sql(dialect), &context::of(book, state));
    Some(text.and_then(|text| prepare::statements(&text, remedy.line, dialect)))
}

fn fault_of(outcome: &Outcome) -> Option<&Fault> {
    match outcome {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => Some(fault),
        _ => None,
    }
}

/// The events that start another attempt, as [`prepare::start`]. `fixed`: with the fix ahead of it.
///
/// # Errors
/// There is no fix that could be sent; in words.
pub fn start(
    book: &Runbook,
    state: &RunState,
    step: &Step,
    direction: Direction,
    by: &str,
    fixed: bool,
) -> Result<Vec<Event>, String> {
    let mut events = prepare::start(book, state, step, direction, by);
    if !fixed {
        return Ok(events);
    }
    let none = || format!("no known trouble of step {} has a fix that could be sent", step.id);
    match of(book, state, step).ok_or_else(none)? {
        Ok(fix) => {
            for event in &mut events {
                if let Event::StepStarted { resolved, .. } = event {
                    ahead(resolved, &fix);
                }
            }
            Ok(events)
        }
        Err(error) => {
            Ok(prepare::unready(state, step, direction, by, format!("its fix cannot be made ready: {error}")))
        }
    }
}

fn ahead(resolved: &mut Resolved, fix: &[Statement]) {
    let Resolved::Sql { statements, direct, .. } = resolved else { return };
    let fixing = prepare::count(fix.len());
    statements.splice(0..0, fix.iter().cloned());
    *direct = Direct { cleaning: direct.cleaning + fixing, fixing, ..std::mem::take(direct) };
}

/// How many statements of the fix go ahead; 0: none.
pub fn fixing(resolved: &Resolved) -> u32 {
    match resolved {
        Resolved::Sql { direct, .. } => direct.fixing,
        _ => 0,
    }
}
