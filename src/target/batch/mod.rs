//! Work in batches, the same for every kind of database: when the next one begins, how large it is, what is done when one
//! does not come to its end. Where a batch is done, and what proves it, is the business of a [`Ground`].

mod brake;
mod law;
pub(super) mod vitals;
mod walk;

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub(super) use self::walk::walk;
use super::LedgerEntry;
use super::problem::Problem;
use crate::run::answers;
use crate::run::{BatchOrder, Batches, Tuning};
use crate::runbook::Health;
use vitals::Vitals;

/// A table to walk through for one attempt.
#[derive(Clone, Copy)]
pub struct BatchJob<'a> {
    /// The attempt in words; with the target's base it names the session on the server.
    pub label: &'a str,
    /// Names the attempt; its checkpoint is that of [`BatchOrder::since`].
    pub entry: &'a LedgerEntry,
    pub order: &'a BatchOrder,
    /// Time for the whole walk, pauses included.
    pub timeout: Option<Duration>,
    /// Why no batch may begin now; none: none ever has to wait.
    pub throttle: Option<&'a watch::Receiver<Option<String>>>,
    /// The pace that people want of it now; none: nobody changes it.
    pub tuning: Option<&'a watch::Receiver<Tuning>>,
    /// The values of its key are for nobody to see.
    pub key_masked: bool,
    /// How far it is, for whoever wants to show it.
    pub board: &'a Mutex<Option<Batches>>,
}

/// Where a walk stands: with a ledger, what its checkpoint says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Batches committed.
    pub n: u64,
    /// The last key that is done; none: none yet.
    pub reached: Option<String>,
    /// The last key that will be done, fixed at the start; none: the table was empty.
    pub high: Option<String>,
    /// Rows written.
    pub rows: u64,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Step {
    /// Committed. Keys it looked at, rows it wrote.
    Did { checkpoint: Checkpoint, keys: u64, rows: u64 },
    /// There is no key left.
    Over(Checkpoint),
    /// Another session holds the checkpoint: one of an engine that died, or another one at the same work.
    Busy,
}

/// What a problem means for the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snag {
    /// The statement took too long: a smaller batch may not.
    TooLong,
    /// Others were in the way: later they may not be.
    Locked,
    /// The session is gone; what it did is in the checkpoint.
    Lost,
    Other,
}

/// What is about to be done, as far as the database can tell without doing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Keys of the whole walk, and those that are left.
    pub all: u64,
    pub keys: u64,
    /// Rows that will be written; none where only counting them would tell.
    pub rows: Option<u64>,
}

/// A database in which a walk goes on. `'t`: the target's.
pub(super) trait Ground<'t>: Send {
    /// Opens a session, looks whether the table can be walked along its key, and finds or makes the checkpoint.
    fn open(&mut self) -> BoxFuture<'_, Result<Checkpoint, Problem>>;
    /// What lies before the checkpoint; none where the database cannot tell.
    fn estimate<'a>(&'a mut self, from: &'a Checkpoint) -> BoxFuture<'a, Option<Estimate>>;
    /// How the database fares, asked on a session of its own; none where there is nothing to ask.
    fn vitals(&mut self, wanted: Health) -> BoxFuture<'_, Option<Vitals>>;
    /// One batch in one transaction, with its checkpoint. An error: it was taken back, or with [`Snag::Lost`] the
    /// checkpoint tells.
    fn batch(&mut self, size: u64) -> BoxFuture<'_, Result<Step, Problem>>;
    /// What the completeness query answers; none where there is none.
    fn left<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<Option<i64>, Problem>>;
    /// Rows born behind the last key that the work is about, up to a bound.
    fn born<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<u64, Problem>>;
    /// Ends what the session does now, when it is to end; returns only where it did not.
    fn stopper(&self) -> BoxFuture<'t, ()>;
    /// `took`: how long the batch had run.
    fn snag(&self, problem: &Problem, took: Duration) -> Snag;
    /// How often a batch that others are in the way of is tried.
    fn tries(&self) -> u32;
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

/// What a walk without a ledger is refused with.
pub(super) fn unproven() -> Problem {
    Problem {
        hint: Some(
            "write ledger = \"create\" for the target or run `gonogo ledger create`; or, where `where` leaves out the rows \
             that are done, repeatable = true"
                .to_owned(),
        ),
        ..Problem::own("a batch keeps its place in gonogo's ledger, and this database has none that can be used")
    }
}

/// The answer of a completeness query.
pub(super) fn answer(text: Option<String>) -> Result<i64, Problem> {
    let number = text.as_deref().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| {
        let text = text.as_deref().unwrap_or("NULL or nothing");
        Problem::own(answers::COUNT.told(&format!("{text:?}")))
    })
}
