//! The summary of a run that lists show: kept beside the entries in the same transaction, so that a thousand runs list at once.

use serde::{Deserialize, Serialize};

use crate::run::event::{End, Mode, Resolved};
use crate::run::state::StepStatus;
use crate::run::{Moment, RunState};

/// What a run is for somebody who comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// An engine works on it.
    Running,
    /// It waits: for a person, or for `gonogo resume`.
    Held,
    /// No target was reached and no step was touched: it can be resumed, and nothing is lost where it is not.
    NotBegun,
    /// Its engine died, nothing was under way.
    Interrupted,
    /// Something may or may not have happened.
    InDoubt,
    Done,
    Failed,
    RolledBack,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::NotBegun => "not begun",
            Self::Interrupted => "interrupted",
            Self::InDoubt => "in doubt",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::RolledBack => "rolled back",
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::RolledBack)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub title: String,
    pub environment: String,
    pub mode: Mode,
    pub by: String,
    pub opened: Moment,
    pub last: Moment,
    pub ended: Option<End>,
    pub held: bool,
    pub in_doubt: bool,
    /// Attempts of machines under way: in doubt as soon as no engine waits for them.
    pub open: bool,
    /// The engine has not said goodbye.
    pub engine: bool,
    /// A target was not reached, and nothing else ever happened.
    pub unbegun: bool,
}

impl Summary {
    /// `title`: as [`title`] found it, for the state no longer holds the runbook parsed.
    pub(super) fn of(state: &RunState, title: &str) -> Self {
        // Batches go on from their checkpoint, and questions from the answers that were given.
        let machine = |attempt: &crate::run::Attempt| {
            let step = state.step(&attempt.step);
            !matches!(step.and_then(|step| step.resolved.as_ref()), Some(Resolved::Human | Resolved::Batch { .. }))
        };
        Self {
            title: title.to_owned(),
            environment: state.opened.environment.clone(),
            mode: state.opened.mode,
            by: state.opened.by.clone(),
            opened: state.opened_at,
            last: state.at,
            ended: state.ended.as_ref().map(|(end, ..)| *end),
            held: state.hold.is_some(),
            in_doubt: state.steps.values().any(|step| step.status == StepStatus::InDoubt),
            open: state.open.iter().any(machine),
            unbegun: unbegun(state),
            engine: state.engine.as_ref().is_some_and(|engine| engine.running),
        }
    }

    /// `locked`: an engine holds the run now.
    pub(super) fn status(&self, locked: bool) -> Status {
        match (self.ended, locked) {
            (Some(End::Done), _) => Status::Done,
            (Some(End::Failed), _) => Status::Failed,
            (Some(End::RolledBack), _) => Status::RolledBack,
            (None, _) if self.in_doubt => Status::InDoubt,
            (None, true) if self.held => Status::Held,
            (None, true) => Status::Running,
            (None, false) if self.open => Status::InDoubt,
            (None, false) if self.engine => Status::Interrupted,
            (None, false) if self.unbegun => Status::NotBegun,
            (None, false) => Status::Held,
        }
    }
}

/// True where the run came no further than to a target that did not answer.
fn unbegun(state: &RunState) -> bool {
    let lost = state.targets.values().any(|target| target.lost.is_some());
    let never = state.targets.values().all(|target| target.fingerprint.is_none());
    lost && never && state.steps.values().all(|step| step.attempt.is_none() && step.status == StepStatus::default())
}

/// The runbook's title, or the name it was given on the command line.
pub(super) fn title(state: &RunState) -> String {
    #[derive(Deserialize)]
    struct Titled {
        title: String,
    }
    let source = &state.opened.source;
    toml::from_str::<Titled>(&source.text).map_or_else(|_| source.name.clone(), |titled| titled.title)
}
