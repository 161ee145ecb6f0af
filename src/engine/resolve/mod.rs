//! What became of an attempt whose end no engine saw: asked of the world by kind, decided only by proof. What cannot be
//! decided stays in doubt, with everything that is known.

mod batch;
mod command;
mod direct;
mod dump;
mod migrations;
mod sql;

use std::sync::Arc;

use super::doors::Doors;
use super::exec;
use super::redact::is_redacted;
use super::verify::Question;
use crate::run::event::{Fingerprint, Resolved};
use crate::run::state::StepRun;
use crate::run::{Attempt, Judge, Moment, Outcome, RunState, context, describe};
use crate::runbook::expr::Context;
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
    /// The values of the run as it stands.
    context: Context,
    /// `file:line` of the step.
    place: String,
    /// Asked where it stays in doubt.
    question: Option<Question>,
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
            context: context::of(book, state),
            place: step.place(&state.opened.source.name),
            question: Question::of(book, state, doors, attempt, step),
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

/// What is found of an attempt that was in doubt: batches do not go on in it, but in the next attempt.
pub fn in_doubt(left: &Left, found: Found) -> Found {
    match (found, &left.run.resolved) {
        (Found::GoesOn, Some(Resolved::Batch { .. })) => Found::Ended(batch::to_be_taken_up(left)),
        (found, _) => found,
    }
}

/// Asks the world once; bounded in time.
pub async fn look(left: &Left) -> Found {
    match (look_for(left).await, &left.question) {
        (Found::Ended(outcome), Some(question)) => Found::Ended(question.decide(outcome).await),
        (found, _) => found,
    }
}

async fn look_for(left: &Left) -> Found {
    match &left.run.resolved {
        Some(Resolved::Sql { target, statements, transaction: false, direct, .. }) => {
            direct::look(left, target, statements, direct).await
        }
        Some(Resolved::Sql { target, statements, transaction, .. }) => {
            sql::look(left, target, statements, *transaction).await
        }
        Some(Resolved::Batch { target, order }) => batch::look(left, target, order).await,
        Some(Resolved::Migrations { target, order }) => migrations::look(left, target, order).await,
        Some(resolved) if resolved.is_command() => match super::dump::work(resolved) {
            Some((target, work)) => dump::look(left, target, &work).await,
            None => command::look(left, resolved).await,
        },
        // It only reads: asked again, it answers again. What was redacted cannot be asked as it was.
        Some(Resolved::Http { method, url, .. }) if exec::only_reads(method) && !is_redacted(url) => Found::GoesOn,
        Some(Resolved::Http { method, .. }) => {
            left.unknown(format!("the {method} request may or may not have been sent and obeyed"))
        }
        Some(
            Resolved::Run { .. }
            | Resolved::Shell { .. }
            | Resolved::Notify { .. }
            | Resolved::Backup { .. }
            | Resolved::Restore { .. },
        ) => left.unknown("the message may or may not have been sent"),
        Some(Resolved::Wait { .. } | Resolved::Human) => Found::GoesOn,
        Some(Resolved::Unready) | None => left.unknown("nothing more is known of it"),
    }
}
