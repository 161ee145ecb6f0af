//! Looks now and then at what a restore would lose, while a way back of the runbook restores. Journaled when it changed.

use std::time::Duration;

use tokio::time::Instant;

use super::doors::Doors;
use crate::run::decide::Input;
use crate::run::dump::Counters;
use crate::run::loss::{self, Lost};
use crate::run::{Event, RunState};
use crate::runbook::{Runbook, StepId};

/// Between two looks: a journal is no place for every row.
const LOOK: Duration = Duration::from_secs(5);

/// When it was last looked at.
#[derive(Debug, Default)]
pub struct Losses {
    last: Option<Instant>,
}

impl Losses {
    /// Starts a look where it is time for one; what it finds is reported.
    pub fn look(&mut self, book: &Runbook, state: &RunState, doors: &Doors) {
        if self.last.is_some_and(|last| last.elapsed() < LOOK) || state.ended.is_some() {
            return;
        }
        let watched = loss::watched(book, state);
        if watched.is_empty() {
            return;
        }
        self.last = Some(Instant::now());
        for (step, target, before) in watched {
            let known = state.losses.get(step).map(|loss| loss.lost.clone());
            tokio::spawn(tell(doors.clone(), step.clone(), target.to_owned(), before.clone(), known));
        }
    }
}

async fn tell(doors: Doors, backup: StepId, target: String, before: Counters, known: Option<Lost>) {
    let lost = match doors.target(&target) {
        None => Err(format!("target {target} is not connected")),
        Some(target) => target.counters().await.and_then(|now| loss::between(&before, &now)),
    };
    if known.as_ref() != Some(&lost) {
        // The engine is gone where nobody listens.
        let _ = doors.reports().send(Input::Fact(Event::LossMeasured { backup, lost })).await;
    }
}
