//! Looks now and then at what a restore would lose, while a way back of the runbook restores. Journaled when it changed.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::doors::Doors;
use crate::run::decide::Input;
use crate::run::dump::Counters;
use crate::run::loss::{self, Lost};
use crate::run::{Event, RunState};
use crate::runbook::{Runbook, StepId};

/// Between two looks: a journal is no place for every row.
const LOOK: Duration = Duration::from_secs(5);

/// When it was last looked at, and the look under way.
#[derive(Debug, Default)]
pub struct Losses {
    last: Option<Instant>,
    look: Option<JoinHandle<()>>,
}

impl Losses {
    /// Starts a look where it is time for one; what it finds is reported. A server that is slow to answer is not asked
    /// again meanwhile.
    pub fn look(&mut self, book: &Runbook, state: &RunState, doors: &Doors) {
        let recently = self.last.is_some_and(|last| last.elapsed() < LOOK);
        if recently || self.is_looking() || state.ended.is_some() {
            return;
        }
        let watched = loss::watched(book, state);
        if watched.is_empty() {
            return;
        }
        self.last = Some(Instant::now());
        let known = |step: &StepId| state.losses.get(step).map(|loss| loss.lost.clone());
        let asked = watched.into_iter().map(|(step, target, before)| Asked {
            backup: step.clone(),
            target: target.to_owned(),
            before: before.clone(),
            known: known(step),
        });
        self.look = Some(tokio::spawn(tell(doors.clone(), asked.collect())));
    }

    fn is_looking(&self) -> bool {
        self.look.as_ref().is_some_and(|look| !look.is_finished())
    }
}

/// A backup, and what is known of its loss.
struct Asked {
    backup: StepId,
    target: String,
    before: Counters,
    known: Option<Lost>,
}

async fn tell(doors: Doors, asked: Vec<Asked>) {
    for Asked { backup, target, before, known } in asked {
        let lost = match doors.target(&target) {
            None => Err(format!("target {target} is not connected")),
            Some(target) => target.counters().await.and_then(|now| loss::between(&before, &now)),
        };
        if known.as_ref() != Some(&lost) {
            // The engine is gone where nobody listens.
            let _ = doors.reports().send(Input::Fact(Event::LossMeasured { backup, lost })).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_look_at_a_time() {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let look = tokio::spawn(async { ended.await.unwrap_or_default() });
        let mut losses = Losses { last: None, look: Some(look) };
        assert!(losses.is_looking(), "a slow one is waited for");
        end.send(()).unwrap();
        losses.look.as_mut().unwrap().await.unwrap();
        assert!(!losses.is_looking());
        assert!(!Losses::default().is_looking());
    }
}
