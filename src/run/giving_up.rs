//! Giving a run up: what it leaves unanswered, and where it may end although its database is another run's.

use super::autopilot::{Answers, Move};
use super::command::CommandVerb;
use super::event::{Attempt, Event};
use super::facts::{Fault, Outcome};
use super::follow::acting;
use super::plan;
use super::state::RunState;
use super::words;
use crate::runbook::Runbook;

/// A question that nobody answers any more, since the run goes another way.
pub fn left(attempt: &Attempt, why: &str) -> Event {
    let fault = Fault { left: true, ..Fault::new(format!("left unanswered: {why}")) };
    Event::StepEnded { attempt: attempt.clone(), outcome: Outcome::Broke { fault: Box::new(fault) } }
}

/// Closes the questions that are open.
///
/// # Errors
/// Something else is under way, or in doubt.
pub fn questions(book: &Runbook, state: &RunState, why: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for attempt in &state.open {
        if !acting(book, attempt).is_some_and(|step| step.verb.is_human()) {
            return Err(format!("{attempt} is still open"));
        }
        events.push(left(attempt, why));
    }
    Ok(events)
}

/// What becomes of a person's first word on a run that stands held (`--give-up`, `--roll-back`), before anything else is
/// answered. It waits until every target has said whose it is, since they hear of the end too; what another run has hears
/// nothing.
pub fn first_word(book: &Runbook, state: &RunState, answers: &Answers, word: &CommandVerb) -> Move {
    if !plan::targets_answered(book, state) {
        return Move::Wait;
    }
    let Some((target, run)) = state.targets.iter().find(|(_, run)| run.owner.is_some()) else {
        return Move::Do(word.clone());
    };
    if let Some(text) = &answers.take_over {
        return Move::Do(CommandVerb::TakeOver { target: target.clone(), text: text.clone() });
    }
    if matches!(word, CommandVerb::Abandon { .. }) && left_nothing(book, state) {
        return Move::Do(word.clone());
    }
    let owner = words::phrase(run.owner.as_deref().unwrap_or_default());
    let database = run.fingerprint.as_ref().map(|print| words::name(&print.database)).unwrap_or_default();
    let what = if matches!(word, CommandVerb::Abandon { .. }) { "given up" } else { "taken back" };
    Move::Stuck(format!(
        "nothing was {what}: target {} has another owner. Say it again once that one has ended; where it never will, with \
         --take-over {database}; {owner}",
        words::name(target)
    ))
}

/// True where nothing of the run can be in a database: whoever has it now has nothing of ours.
fn left_nothing(book: &Runbook, state: &RunState) -> bool {
    let counts = |id| book.step(id).is_none_or(|step| step.changes()) || plan::wrote(state, id);
    state.open.iter().all(|attempt| acting(book, attempt).is_some_and(|step| step.verb.is_human()))
        && !state.completed.iter().any(counts)
}
