//! What proves that an attempt happened: its key in the ledger of the target, and what the journal is told before COMMIT.

use futures_util::future::BoxFuture;

use crate::run::event::Fingerprint;
use crate::run::facts::Judged;
use crate::run::{Attempt, Chunk, Direction};

/// An attempt as a target's ledger names it: the forward transaction and whoever resolves it compete for this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub run: String,
    pub attempt: Attempt,
}

impl Key {
    pub(super) fn direction(&self) -> &'static str {
        match self.attempt.direction {
            Direction::Forward => "forward",
            Direction::Undo => "undo",
        }
    }
}

/// An attempt's row: its key, and where the journal stood when the attempt was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    pub key: Key,
    /// Entries of the journal, and the hash of the last, in hex.
    pub seq: u64,
    pub head: String,
}

/// Makes a chunk durable: answers once the journal holds it. An error: it does not, and nothing may go on.
pub trait Witness: Send + Sync {
    fn witness(&self, chunk: Chunk) -> BoxFuture<'_, Result<(), String>>;
}

/// What became of an attempt whose end nobody saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It committed; how that is known.
    Done(String),
    /// It did not, and can no longer; how that is known.
    NotDone(String),
    /// Not decided: what stands in the way, in words.
    Open(String),
}

/// What is known of an attempt before its target is asked.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// What the journal holds of its COMMIT: none, and it was never sent.
    pub judged: Option<Judged>,
    /// The server it ran on: a transaction's number means something there only.
    pub server: Option<Fingerprint>,
}

/// Whether a target holds gonogo's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerState {
    Absent,
    /// `environment`: what the database says it is.
    Ready {
        environment: Option<String>,
    },
    /// There is something, and it cannot be used.
    Unusable {
        why: String,
    },
}
