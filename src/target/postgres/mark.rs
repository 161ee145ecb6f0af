//! How far an attempt is, seen from outside: by the sentry, and by whoever has to end it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::activity::Backend;
use super::commit::Proof;
use crate::run::{Facts, Verdict};

/// How far the attempt is, for the one who has to end it from outside.
#[derive(Default)]
pub(super) struct Mark {
    pub session: OnceLock<Backend>,
    stage: Mutex<Stage>,
    /// What it brought home, once it is judged good: kept here because the attempt may not live to tell.
    pub good: OnceLock<(Facts, Option<Verdict>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    #[default]
    Opening,
    Running(u32),
    Committing(Arc<Proof>),
}

impl Mark {
    pub fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub fn stage(&self) -> Stage {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn committing(&self) -> bool {
        matches!(self.stage(), Stage::Committing(_))
    }
}
