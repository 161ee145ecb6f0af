//! Taking a run up: its clock goes on, and what a crash left open becomes a question, with all that is known.

use std::sync::Arc;
use std::time::Duration;

use super::clock::{self, RunClock};
use super::doors::Doors;
use super::exec::{self, Leftover};
use crate::run::event::{HoldCause, Resolved};
use crate::run::follow::acting;
use crate::run::plan::held;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Attempt, Event, GONOGO, Outcome, RunState, describe};
use crate::runbook::Runbook;

/// How long taking up waits for a target to tell what it knows.
const LOOK: Duration = Duration::from_secs(10);

/// The run's clock, continued.
pub fn clock(state: &RunState) -> RunClock {
    let same_boot = state.engine.as_ref().filter(|engine| engine.boot == clock::boot_id() && !engine.boot.is_empty());
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

/// The attempts that are open although nobody runs them: each ends unknown. Human steps simply go on, and a wait is
/// taken up again (`waiting`): neither can have done anything unseen.
pub async fn leftovers(book: Arc<Runbook>, state: RunState, doors: Doors) -> Vec<Event> {
    let mut events = Vec::new();
    for (attempt, run) in left_open(&book, &state) {
        let before = run.outcome.clone();
        let last_ms = run.ended.unwrap_or(state.at).ms;
        let known = known(last_ms, run, doors.clone(), attempt.clone()).await;
        let outcome = Outcome::Unknown { known };
        if before.as_ref() != Some(&outcome) {
            events.push(Event::StepEnded { attempt, outcome });
        }
    }
    events
}

fn left_open(book: &Runbook, state: &RunState) -> Vec<(Attempt, StepRun)> {
    let mut left = Vec::new();
    for attempt in &state.open {
        let Some(run) = state.steps.get(&attempt.step) else { continue };
        let human = acting(book, attempt).is_none_or(|step| step.verb.is_human());
        let waits = matches!(run.resolved, Some(Resolved::Wait { .. }));
        // One that is in doubt already is looked at again: what was seen then may be over now.
        if !human && !waits {
            left.push((attempt.clone(), run.clone()));
        }
    }
    left
}

/// Waits that were running: their time simply goes on.
pub fn waiting(state: &RunState) -> Vec<(Attempt, Resolved)> {
    let running = state
        .open
        .iter()
        .filter(|attempt| matches!(state.status(&attempt.step), StepStatus::Running | StepStatus::Undoing));
    running
        .filter_map(|attempt| Some((attempt.clone(), state.steps.get(&attempt.step)?.resolved.clone()?)))
        .filter(|(_, resolved)| matches!(resolved, Resolved::Wait { .. }))
        .collect()
}

/// Everything that can be said of an attempt whose engine died.
async fn known(last_ms: u64, run: StepRun, doors: Doors, attempt: Attempt) -> String {
    let started = run.started.unwrap_or_default();
    let last = describe::duration(last_ms.saturating_sub(started.ms));
    let mut parts = vec![format!("its engine died; the journal's last word came {last} after its start")];
    match &run.resolved {
        Some(Resolved::Sql { target, statements, transaction }) => {
            parts.push(match (*transaction, statements.len()) {
                (true, _) => "it ran in one transaction: all of it happened or nothing".to_owned(),
                (false, 1) => "its one statement ran outside a transaction".to_owned(),
                (false, all) => format!(
                    "outside a transaction; statement {} of {all} was the last known to be sent",
                    run.output.statement
                ),
            });
            parts.push(
                match tokio::time::timeout(LOOK, doors.clone().leftover_sessions(target.clone(), doors.label(&attempt)))
                    .await
                {
                    Ok(Ok(sessions)) if sessions.is_empty() => "the server has no session of it any more".to_owned(),
                    Ok(Ok(sessions)) => format!("the server still has a session of it: {}", sessions.join("; ")),
                    Ok(Err(error)) => format!("the server could not be asked: {error}"),
                    Err(_) => "the server did not answer".to_owned(),
                },
            );
        }
        Some(Resolved::Run { .. } | Resolved::Shell { .. }) => {
            parts.push(match exec::leftover(&exec::record_path(&doors.records(), &attempt)) {
                Some(left) if left.running => {
                    format!("its process {} still runs, since {} s", left.pid, left.age.as_secs())
                }
                Some(Leftover { exit: Some(exit), pid, .. }) => format!("its process {pid} ended with exit {exit}"),
                Some(left) => format!("its process {} is gone", left.pid),
                None => "no process of it was recorded: it may never have begun".to_owned(),
            });
        }
        Some(Resolved::Http { method, .. }) => {
            parts.push(format!("the {method} request may or may not have been sent and obeyed"));
        }
        Some(Resolved::Notify { .. }) => parts.push("the message may or may not have been sent".to_owned()),
        _ => {}
    }
    parts.join("; ")
}
