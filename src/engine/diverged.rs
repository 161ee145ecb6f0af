//! After a failover: does the server that took over know everything that this run was told was committed?

use std::collections::BTreeMap;

use crate::run::event::{Fingerprint, Proof, Resolved};
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Attempt, MigrationOrder, RunState};
use crate::runbook::Way;
use crate::target::{Key, Target};

/// By target: what the journal calls done.
pub type Proofs = BTreeMap<String, Proven>;

/// What a target's ledger must hold.
#[derive(Clone, Debug, Default)]
pub struct Proven {
    /// Attempts that have a row there.
    pub rows: Vec<Key>,
    /// Attempts that have a checkpoint there, and how many batches it must have come to.
    pub batches: Vec<(Key, u64)>,
    /// Attempts whose files, pending when the step first began, are all recorded there.
    pub files: Vec<(Key, MigrationOrder)>,
}

pub fn proofs(state: &RunState) -> Proofs {
    let mut proofs = Proofs::new();
    let done = |run: &&StepRun| matches!(run.status, StepStatus::Done | StepStatus::Undone);
    for run in state.steps.values().filter(done) {
        let Some(attempt) = &run.attempt else { continue };
        let key = |attempt: Attempt| Key { run: state.opened.run.clone(), attempt };
        match &run.resolved {
            Some(Resolved::Sql { target, .. }) if run.judged.as_ref().is_some_and(|judged| judged.ledger) => {
                proofs.entry(target.clone()).or_default().rows.push(key(attempt.clone()));
            }
            Some(Resolved::Batch { target, order }) if has_ledger(state, target) => {
                let walked = key(Attempt { n: order.since, ..attempt.clone() });
                let batches = run.facts.as_ref().and_then(|facts| facts.batches).unwrap_or(0);
                proofs.entry(target.clone()).or_default().batches.push((walked, batches));
            }
            Some(Resolved::Migrations { target, order }) if order.way == Way::Up => {
                let order = MigrationOrder { since: run.migrating.clone(), ..(**order).clone() };
                proofs.entry(target.clone()).or_default().files.push((key(attempt.clone()), order));
            }
            _ => {}
        }
    }
    proofs
}

fn has_ledger(state: &RunState, target: &str) -> bool {
    state.targets.get(target).is_some_and(|seen| seen.grip.proof == Proof::Ledger)
}

/// Asked where the timeline is another than before. An error: what is missing, in words.
pub async fn check(target: &Target, before: &Fingerprint, now: &Fingerprint, proven: &Proven) -> Result<(), String> {
    if before.timeline == now.timeline {
        return Ok(());
    }
    let mut missing = target.missing(&proven.rows).await.map_err(|error| error.to_string())?;
    missing.extend(target.behind(&proven.batches).await.map_err(|error| error.to_string())?);
    for (key, order) in &proven.files {
        let rows = target.migrated(order).await.map_err(|error| error.to_string())?;
        if order.applied(&rows).len() < order.since.as_ref().map_or(0, Vec::len) {
            missing.push(key.clone());
        }
    }
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
