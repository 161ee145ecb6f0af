//! Attempts in doubt: looked at again and again, since what was not decided when the connection broke may be decidable
//! once the server is back. A person may settle them meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::resolve::{self, Found, Left};
use crate::run::decide::Input;
use crate::run::{Attempt, Outcome};

/// Between two looks.
const AGAIN: Duration = Duration::from_secs(3);

/// The attempts that are being looked at.
pub struct Doubts {
    reports: mpsc::Sender<Input>,
    looking: BTreeMap<Attempt, CancellationToken>,
}

impl Doubts {
    pub fn new(reports: mpsc::Sender<Input>) -> Self {
        Self { reports, looking: BTreeMap::new() }
    }

    /// Looks until it is decided.
    pub fn watch(&mut self, left: Left, stop: &CancellationToken) {
        let stop = stop.child_token();
        if let Some(before) = self.looking.insert(left.attempt.clone(), stop.clone()) {
            before.cancel();
        }
        let reports = self.reports.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                outcome = decided(&left) => {
                    // The engine is gone where nobody listens.
                    let _ = reports.send(Input::Ended { attempt: left.attempt, outcome }).await;
                }
            }
        });
    }

    /// It is closed.
    pub fn over(&mut self, attempt: &Attempt) {
        if let Some(stop) = self.looking.remove(attempt) {
            stop.cancel();
        }
    }
}

async fn decided(left: &Left) -> Outcome {
    loop {
        tokio::time::sleep(AGAIN).await;
        match resolve::in_doubt(left, resolve::look(left).await) {
            Found::Ended(Outcome::Unknown { .. }) | Found::GoesOn => {}
            Found::Ended(outcome) => return outcome,
        }
    }
}
