//! The entries of a run that somebody looks for: failures, triggers, notes, holds, the rollback.

use crate::run::event::End;
use crate::run::{Entry, Event};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// An attempt that was not done, a lost target, a run that failed.
    Failure,
    /// A trigger that fired or went blind.
    Trigger,
    Note,
    Hold,
    Rollback,
    /// A phase begins.
    Phase,
}

/// One of them, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Index of the entry, from 0.
    pub index: usize,
    /// On the run clock.
    pub ms: u64,
    pub kind: MarkKind,
}

/// What kind of mark an entry is; none for the many that are just passed by.
pub fn kind(entry: &Entry) -> Option<MarkKind> {
    match &entry.event {
        Event::StepEnded { outcome, .. } if outcome.is_trouble() => Some(MarkKind::Failure),
        Event::TargetLost { .. } | Event::RunEnded { end: End::Failed, .. } => Some(MarkKind::Failure),
        Event::TriggerFired { .. } | Event::TriggerBlind { .. } => Some(MarkKind::Trigger),
        Event::NoteAdded { .. } => Some(MarkKind::Note),
        Event::Held { .. } => Some(MarkKind::Hold),
        Event::RollbackStarted { .. } => Some(MarkKind::Rollback),
        Event::PhaseEntered { .. } => Some(MarkKind::Phase),
        _ => None,
    }
}
