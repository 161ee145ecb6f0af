//! The time a poll has for its answers: what it ran out to is never a go.

use super::event::{Attempt, Direction, Event, HoldCause, Moment};
use super::facts::{Fault, Outcome};
use super::plan::millis;
use super::state::{RunState, StepRun, StepStatus};
use super::words;
use crate::runbook::{Runbook, Step, Verb};

/// When the time of a poll under way is over, in milliseconds on the run clock; none: it has no limit, or is not asked now.
pub fn deadline(step: &Step, run: &StepRun) -> Option<u64> {
    let (Verb::Poll(_), StepStatus::Running) = (&step.verb, &run.status) else { return None };
    Some(run.started?.ms + millis(step.timeout?))
}

/// Why the poll takes no vote any more at `now`.
pub(super) fn closed(step: &Step, state: &RunState, now: Moment) -> Result<(), String> {
    let run = state.steps.get(&step.id);
    let over = run.and_then(|run| deadline(step, run)).is_some_and(|end| now.ms >= end);
    match step.timeout.filter(|_| over) {
        Some(timeout) => Err(format!("the time for answers, {}, is over", words::span(timeout))),
        None => Ok(()),
    }
}

/// The poll whose time has run out without a go of everybody: it fails by name. A hold does not stop its clock, but where
/// somebody said no the run stands held by that, and a person goes on.
pub(super) fn overdue(book: &Runbook, state: &RunState, now: Moment) -> Option<Event> {
    state.open.iter().find_map(|attempt| {
        let step = book.step(&attempt.step).filter(|_| attempt.direction == Direction::Forward)?;
        let run = state.steps.get(&attempt.step)?;
        let over = deadline(step, run).is_some_and(|end| now.ms >= end);
        let words = over.then(|| unanswered(book, step, run)).flatten().filter(|_| !stands_by_no(state, step))?;
        Some(failed(state, step, attempt, words))
    })
}

fn stands_by_no(state: &RunState, step: &Step) -> bool {
    let cause = state.hold.as_ref().map(|hold| &hold.cause);
    matches!(cause, Some(HoldCause::NoGo { step: poll, .. }) if *poll == step.id)
}

/// True where not everybody said go.
pub fn is_unanswered(step: &Step, run: &StepRun) -> bool {
    matches!(&step.verb, Verb::Poll(roles) if roles.iter().any(|role| !run.votes.get(role).is_some_and(|vote| vote.go)))
}

/// `no answer of Backend lead after 10m; no-go of Database admin`; none: everybody said go.
fn unanswered(book: &Runbook, step: &Step, run: &StepRun) -> Option<String> {
    let Verb::Poll(roles) = &step.verb else { return None };
    let named = |role: &String| book.role_title(role).to_owned();
    let silent: Vec<String> = roles.iter().filter(|role| !run.votes.contains_key(*role)).map(named).collect();
    let against = |role: &&String| run.votes.get(*role).is_some_and(|vote| !vote.go);
    let against: Vec<String> = roles.iter().filter(against).map(named).collect();
    let after = words::span(step.timeout?);
    match (silent.is_empty(), against.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("no answer of {} after {after}", silent.join(", "))),
        (false, false) => {
            Some(format!("no answer of {} after {after}; no-go of {}", silent.join(", "), against.join(", ")))
        }
        (true, false) => Some(format!("no-go of {}, and the {after} for answers are over", against.join(", "))),
    }
}

fn failed(state: &RunState, step: &Step, attempt: &Attempt, words: String) -> Event {
    let fault = Fault {
        place: step.place(&state.opened.source.name),
        safe: "a poll only asks, nothing was changed; another try asks everybody anew".to_owned(),
        ..Fault::new(words)
    };
    let outcome = Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None };
    Event::StepEnded { attempt: attempt.clone(), outcome }
}
