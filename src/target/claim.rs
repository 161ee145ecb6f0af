//! Owning a database for the time of a run: what a run says of itself when it claims a target, and why it is refused.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;

use super::Target;

/// What a run says of itself before it works on a database.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub run: &'a str,
    /// Which journal speaks for the run: the hash of its first entry, in hex.
    pub journal: &'a str,
    /// Asked for what the target's ledger knows of the run.
    pub memory: &'a dyn Memory,
    /// Who: `user@host pid 812`.
    pub by: &'a str,
    /// The marker of a ledger that the runbook lets us make.
    pub environment: &'a str,
    /// Any step of the run may write to this target.
    pub writes: bool,
    /// The run's other targets: where one of them has this very database already, its claim stands for both.
    pub siblings: &'a [Arc<Target>],
    /// A person has typed that the database is taken from whoever has it.
    pub take_over: bool,
}

/// The journal of the run that claims, as far as a ledger may ask about it.
pub trait Memory: Send + Sync {
    /// How many entries it holds now.
    ///
    /// # Errors
    /// It cannot be read; why.
    fn count(&self) -> BoxFuture<'_, Result<u64, String>>;

    /// The hash of entry `seq`, in hex; none where the journal is shorter.
    ///
    /// # Errors
    /// It cannot be read; why.
    fn head(&self, seq: u64) -> BoxFuture<'_, Result<Option<String>, String>>;
}

/// Why a run may not work on a database. Nothing was changed there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its owner is gone without having ended: only a person may take it from them.
    #[error("{owner}. Make sure that nobody works on it any more, then take it over")]
    Owned {
        owner: String,
        /// The runs that have it, by the ledger.
        runs: Vec<String>,
    },
    /// Somebody holds it now.
    #[error("another owner is at work: {who}. Nothing was started here; wait for its end, or end that session")]
    Held { who: String },
    /// A session that does a step's work is still there.
    #[error("a session still works on it: {who}. Nothing was started here; wait for its end, or end that session")]
    Working { who: String },
    /// The connection goes through a pooler that lends sessions out.
    #[error(
        "two connections of ours are one session of the server (pid {pid}): a pooler in transaction mode stands \
         between, and neither locks nor settings hold through it. Connect to the server itself"
    )]
    Pooled { pid: i32 },
    /// Steps write, and nothing can be written.
    #[error("{why}, and steps of this runbook write to it. Connect to the primary")]
    ReadOnly { why: String },
    /// The ledger knows this run by another journal.
    #[error(
        "the ledger there knows run {run} by another journal (owner {owner}): two copies of one run may not work on \
         one database. Go on with the journal that began it"
    )]
    OtherJournal { run: String, owner: String },
    /// The ledger knows more of this run than its journal does.
    #[error(
        "the journal ends at entry {ends}, the target's ledger knows {knows}: the journal was cut or restored. Nothing \
         was started; go on with the whole journal"
    )]
    JournalCut { ends: u64, knows: u64 },
    /// The ledger and the journal do not tell the same story.
    #[error(
        "entry {seq} of the journal is not the one that the target's ledger knows: the journal was rewritten. Nothing \
         was started; go on with the true journal"
    )]
    JournalRewritten { seq: u64 },
    /// It could not be asked; why, and what is safe.
    #[error("{0}")]
    Failed(String),
}
