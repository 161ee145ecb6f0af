//! After a failover: does the server that took over know everything that this run was told was committed?

use std::collections::BTreeMap;

use crate::run::event::{Fingerprint, Resolved};
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Attempt, RunState};
use crate::target::{Key, Target};

/// By target: the attempts that the journal calls done, and of which the ledger must hold a row.
pub type Proofs = BTreeMap<String, Vec<Key>>;

pub fn proofs(state: &RunState) -> Proofs {
    let mut proofs = Proofs::new();
    for run in state.steps.values() {
        if let Some((target, attempt)) = proven(run) {
            let key = Key { run: state.opened.run.clone(), attempt: attempt.clone() };
            proofs.entry(target.to_owned()).or_default().push(key);
        }
    }
    proofs
}

fn proven(run: &StepRun) -> Option<(&str, &Attempt)> {
    let done = matches!(run.status, StepStatus::Done | StepStatus::Undone);
    let row = run.judged.as_ref().is_some_and(|judged| judged.ledger);
    match &run.resolved {
        Some(Resolved::Sql { target, .. }) if done && row => Some((target, run.attempt.as_ref()?)),
        _ => None,
    }
}

/// Asked where the timeline is another than before. An error: what is missing, in words.
pub async fn check(target: &Target, before: &Fingerprint, now: &Fingerprint, keys: &[Key]) -> Result<(), String> {
    if before.timeline == now.timeline || keys.is_empty() {
        return Ok(());
    }
    let missing = target.missing(keys).await.map_err(|error| error.to_string())?;
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = missing.iter().map(|key| key.attempt.to_string()).collect();
    Err(format!(
        "DIVERGED: the server that answers now (timeline {}, was {}) lacks what it had acknowledged before: {}. \
         Nothing goes on here: find out whether the old server comes back, then give this run up and plan anew",
        words(now.timeline),
        words(before.timeline),
        named.join(", ")
    ))
}

fn words(timeline: Option<i64>) -> String {
    timeline.map_or_else(|| "unknown".to_owned(), |timeline| timeline.to_string())
}
