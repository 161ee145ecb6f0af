//! What became of an attempt whose end no engine saw: asked of the world by kind, decided only by proof. What cannot be
//! decided stays in doubt, with everything that is known.

mod command;
mod direct;
mod sql;

use std::sync::Arc;

use super::doors::Doors;
use crate::run::event::{Fingerprint, Resolved};
use crate::run::state::StepRun;
use crate::run::{Attempt, Judge, Moment, Outcome, RunState, context, describe};
use crate::runbook::{Runbook, Step};

/// An attempt that is open although nobody runs it.
#[derive(Clone)]
pub struct Left {
    pub attempt: Attempt,
    pub run: StepRun,
    /// The step, or its undo.
    pub step: Step,
    pub judge: Arc<Judge>,
    /// The run clock of the journal's last word on it.
    pub last: Moment,
    /// Who its target was, as the run knows it.
    pub seen: Option<Fingerprint>,
    pub doors: Doors,
}

/// What is found of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Decided, or in doubt.
    Ended(Outcome),
    /// It still runs, and this engine can take it up as if it had started it.
    GoesOn,
}

impl Left {
    pub fn new(book: &Runbook, state: &RunState, doors: &Doors, attempt: &Attempt, step: &Step) -> Option<Self> {
        let run = state.steps.get(&attempt.step)?.clone();
        let seen = match &run.resolved {
            Some(Resolved::Sql { target, .. }) => state.targets.get(target).and_then(|seen| seen.fingerprint.clone()),
            _ => None,
        };
        Some(Self {
            seen,
            attempt: attempt.clone(),
            last: run.ended.unwrap_or(state.at),
            run,
            step: step.clone(),
            judge: Arc::new(context::judge(book, state, step)),
            doors: doors.clone(),
        })
    }

    /// The first words on it.
    fn died(&self) -> String {
        let started = self.run.started.unwrap_or_default();
        let last = describe::duration(self.last.ms.saturating_sub(started.ms));
        format!("its engine died; the journal's last word came {last} after its start")
    }

    fn unknown(&self, known: impl Into<String>) -> Found {
        Found::Ended(Outcome::Unknown { known: format!("{}; {}", self.died(), known.into()) })
    }
}

/// Asks the world once; bounded in time.
pub async fn look(left: &Left) -> Found {
    match &left.run.resolved {
        Some(Resolved::Sql { target, statements, transaction: false, direct }) => {
            direct::look(left, target, statements, direct).await
        }
        Some(Resolved::Sql { target, statements, transaction, .. }) => {
            sql::look(left, target, statements, *transaction).await
        }
        Some(Resolved::Run { .. } | Resolved::Shell { .. }) => command::look(left),
        Some(Resolved::Http { method, .. }) => {
            left.unknown(format!("the {method} request may or may not have been sent and obeyed"))
        }
        Some(Resolved::Notify { .. }) => left.unknown("the message may or may not have been sent"),
        Some(Resolved::Wait { .. } | Resolved::Human) => Found::GoesOn,
        Some(Resolved::Unready) | None => left.unknown("nothing more is known of it"),
    }
}
