//! Taking a run up: its clock goes on, and what a crash left open is resolved, goes on, or becomes a question.

use super::clock::RunClock;
use super::doors::Doors;
use super::exec;
use super::resolve::{self, Found, Left};
use crate::child::proc;
use crate::child::shim::Place;
use crate::run::decide::Input;
use crate::run::event::HoldCause;
use crate::run::follow::acting;
use crate::run::plan::held;
use crate::run::state::StepStatus;
use crate::run::{Attempt, Event, GONOGO, RunState};
use crate::runbook::Runbook;

/// What a crash left open.
#[derive(Default)]
pub struct Leftovers {
    /// Attempts that are decided now, or in doubt.
    pub ended: Vec<Input>,
    /// Attempts that this engine takes up where they are.
    pub going_on: Vec<Attempt>,
}

/// The run's clock, continued.
pub fn clock(state: &RunState) -> RunClock {
    let same_boot = state.engine.as_ref().filter(|engine| engine.boot == proc::boot_id() && !engine.boot.is_empty());
    RunClock::resume(state.at, same_boot.map(|engine| engine.zero_ms))
}

/// A countdown that nobody watched to its end: stopped, and for a person to decide.
pub fn stopped_countdowns(state: &RunState) -> Vec<Event> {
    let Some((trigger, _)) = state.countdown() else { return Vec::new() };
    let mut events = vec![Event::CountdownStopped { trigger: trigger.to_owned(), by: GONOGO.to_owned() }];
    if state.hold.is_none() {
        events.push(held(HoldCause::Trigger { trigger: trigger.to_owned() }));
    }
    events
}

/// Everything stood still for `ms`: the targets have to answer for themselves again before anything starts.
pub fn stood_still(state: &RunState, ms: u64) -> Vec<Event> {
    let mut events = vec![Event::Gap { ms }];
    events.extend(stopped_countdowns(state));
    events
}

/// Looks at every attempt that is open although nobody runs it. Human steps simply go on. One that is in doubt already
/// is looked at again: what was seen then may be over now.
pub async fn leftovers(lefts: Vec<Left>) -> Leftovers {
    let mut found = Leftovers::default();
    for left in lefts {
        let look = resolve::look(&left).await;
        // Somebody may have been told that it is in doubt.
        let doubted = left.run.status == StepStatus::InDoubt;
        let look = if doubted { resolve::in_doubt(&left, look) } else { look };
        match look {
            Found::Ended(outcome) if left.run.outcome.as_ref() == Some(&outcome) => {}
            Found::Ended(outcome) => found.ended.push(Input::Ended { attempt: left.attempt, outcome }),
            Found::GoesOn => found.going_on.push(left.attempt),
        }
    }
    found
}

/// Removes what commands said and were given, where their end is in the journal: a crash may have come between.
pub fn sweep(state: &RunState, doors: &Doors) {
    let records = doors.records();
    let open: Vec<Place> = state.open.iter().map(|attempt| exec::place(&records, attempt)).collect();
    Place::all(&records).iter().filter(|place| !open.contains(place)).for_each(Place::clear);
}

/// The attempts that are open although nobody runs them.
pub fn left_open(book: &Runbook, state: &RunState, doors: &Doors) -> Vec<Left> {
    let acted = state.open.iter().filter_map(|attempt| Some((attempt, acting(book, attempt)?)));
    acted
        .filter(|(_, step)| !step.verb.is_human())
        .filter_map(|(attempt, step)| Left::new(book, state, doors, attempt, step))
        .collect()
}
