//! Where a run stands in its runbook, and what a rollback would take back: questions that rules and faces both ask.

use super::event::{Event, Fingerprint, HoldCause, Moment};
use super::state::{RunState, StepStatus};
pub use super::words::millis;
use crate::runbook::{OnFail, Phase, PhaseKind, Runbook, Step, StepId, Undo};

/// What a rollback has to deal with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayBack {
    /// Steps to undo, in the order they will be undone.
    pub undo: Vec<StepId>,
    /// Steps that changed, or may have changed, something and name no undo.
    pub without: Vec<StepId>,
    /// Steps that say they cannot be undone.
    pub irreversible: Vec<StepId>,
    /// Steps whose outcome is not known.
    pub in_doubt: Vec<StepId>,
}

impl WayBack {
    /// Why it may not go ahead by itself.
    pub fn obstacle(&self) -> Option<String> {
        let name = |ids: &[StepId]| ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ");
        if !self.in_doubt.is_empty() {
            return Some(format!("the outcome of {} is not known", name(&self.in_doubt)));
        }
        if !self.irreversible.is_empty() {
            return Some(format!("{} cannot be undone", name(&self.irreversible)));
        }
        if !self.without.is_empty() {
            return Some(format!("{} names no undo", name(&self.without)));
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.undo.is_empty() && self.without.is_empty() && self.irreversible.is_empty() && self.in_doubt.is_empty()
    }
}

/// True where a function that the step's SQL calls has written.
pub fn wrote(state: &RunState, id: &StepId) -> bool {
    state.steps.get(id).is_some_and(|run| run.wrote)
}

/// The way back from where the run stands: every step with an effect, last completed first.
pub fn way_back(book: &Runbook, state: &RunState) -> WayBack {
    let mut way = WayBack::default();
    for attempt in &state.open {
        let Some(step) = book.step(&attempt.step) else { continue };
        match (state.status(&attempt.step), &step.undo) {
            (StepStatus::InDoubt, _) => way.in_doubt.push(step.id.clone()),
            // What runs will be cancelled, and may leave something behind.
            (StepStatus::Running, Undo::Irreversible) => way.irreversible.push(step.id.clone()),
            (StepStatus::Running, Undo::Unsaid) if step.changes() => way.without.push(step.id.clone()),
            _ => {}
        }
    }
    for id in state.completed.iter().rev() {
        let Some(step) = book.step(id) else { continue };
        match &step.undo {
            Undo::By(_) => way.undo.push(id.clone()),
            Undo::Irreversible => way.irreversible.push(id.clone()),
            Undo::Unsaid if step.changes() || wrote(state, id) => way.without.push(id.clone()),
            Undo::Unsaid | Undo::NotNeeded => {}
        }
    }
    way
}

/// The next step a running rollback takes: of its named plan, or the undo of the step completed last.
pub fn next_back<'a>(book: &'a Runbook, state: &RunState) -> Option<&'a Step> {
    let rollback = state.rollback.as_ref()?;
    if let Some(plan) = &rollback.plan {
        return book.plan(plan)?.steps.iter().find(|step| !state.steps.get(&step.id).is_some_and(|run| run.is_over()));
    }
    state.completed.iter().rev().filter_map(|id| book.step(id)).find(|step| matches!(step.undo, Undo::By(_)))
}

/// True where the way back under way has failed: a person may choose another.
pub fn is_stuck_back(state: &RunState) -> bool {
    state.rolling_back() && state.hold.as_ref().is_some_and(|hold| matches!(hold.cause, HoldCause::Undo { .. }))
}

/// The first role whose vote in the poll is a no-go.
pub fn no_go<'a>(state: &'a RunState, poll: &StepId) -> Option<&'a str> {
    let votes = &state.steps.get(poll)?.votes;
    votes.iter().find(|(_, vote)| !vote.go).map(|(role, _)| role.as_str())
}

/// True where the run is held at the end of a phase that passes only on somebody's word.
pub fn wants_sign_off(state: &RunState) -> bool {
    let cause = state.hold.as_ref().map(|hold| &hold.cause);
    matches!(cause, Some(HoldCause::Coverage { .. } | HoldCause::Breached { .. }))
}

/// The phase the run is in.
pub fn phase<'a>(book: &'a Runbook, state: &RunState) -> Option<&'a Phase> {
    book.phase(state.phase.as_deref()?)
}

/// The first step of the current phase that the run has not passed.
pub fn cursor<'a>(book: &'a Runbook, state: &RunState) -> Option<&'a Step> {
    phase(book, state)?.steps.iter().find(|step| !is_passed(state, step))
}

/// True where forward goes past the step.
pub fn is_passed(state: &RunState, step: &Step) -> bool {
    let Some(run) = state.steps.get(&step.id) else { return false };
    let gave_up = matches!(run.status, StepStatus::Failed | StepStatus::Broke)
        && step.on_fail == OnFail::Continue
        && run.failed_ms.is_some()
        && !run.cancel_asked
        && run.tries_this_leg() > step.retries;
    run.is_over() || gave_up
}

/// Milliseconds a monitor phase still holds the run, from `now`.
pub fn watch_left_ms(phase: &Phase, state: &RunState, now: Moment) -> u64 {
    let (PhaseKind::Monitor, Some(lasts)) = (phase.kind, phase.lasts) else { return 0 };
    let Some(run) = state.phases.get(&phase.id) else { return 0 };
    let Some(entered) = run.entered else { return 0 };
    (entered.ms + run.unwatched_ms + millis(lasts)).saturating_sub(now.ms)
}

/// True once every target of the environment was reached, or is known to be lost or another run's.
pub fn targets_answered(book: &Runbook, state: &RunState) -> bool {
    let Some(env) = book.environment(&state.opened.environment) else { return true };
    let answered = |name: &String| {
        state.targets.get(name).is_some_and(|seen| seen.reached || seen.lost.is_some() || seen.owner.is_some())
    };
    env.targets.iter().all(|(name, _)| answered(name))
}

/// True where a protected environment still waits for its name to be typed.
pub fn needs_confirmation(book: &Runbook, state: &RunState) -> bool {
    let protected = book.environment(&state.opened.environment).is_some_and(|env| env.protected);
    protected && state.confirmed.is_none()
}

/// What has to be typed to confirm a protected environment: the first target's database and the last four digits of its
/// server's own number, where that is known (`app 4711`). None until it was seen.
pub fn confirmation_word(book: &Runbook, state: &RunState) -> Option<String> {
    let env = book.environment(&state.opened.environment)?;
    let Some((first, _)) = env.targets.first() else { return Some(env.name.clone()) };
    let print = state.targets.get(first)?.fingerprint.as_ref()?;
    Some(match short_id(print) {
        Some(digits) => format!("{} {digits}", print.database),
        None => print.database.clone(),
    })
}

/// The last four digits of the server's own number: what tells a copy with another history apart.
pub fn short_id(print: &Fingerprint) -> Option<&str> {
    let id = print.system_id.as_deref()?;
    let from = id.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    id.get(from..)
}

/// A hold, said by gonogo itself.
pub fn held(cause: HoldCause) -> Event {
    Event::Held { cause, by: super::GONOGO.to_owned() }
}
