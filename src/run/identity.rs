//! Who a target is, how a run holds it, and what is known of the runbook that will change it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who a target is: shown beside every prompt, compared at every contact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `postgresql` or `sqlite`.
    pub kind: String,
    pub version: String,
    /// `host:port`, socket folder, or the file's path.
    pub host: String,
    pub database: String,
    pub role: String,
    pub system_id: Option<String>,
    pub timeline: Option<i64>,
    /// True for a standby.
    pub in_recovery: bool,
}

/// What stands behind the word "done" on a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// Nothing beyond the database's own word (SQLite without a ledger).
    #[default]
    None,
    /// A row in the target's ledger, written by the step's own transaction.
    Ledger,
    /// The number of the transaction: it holds only as long as the server keeps it, and not over a failover.
    Weaker { why: String },
}

/// How a run holds a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grip {
    pub proof: Proof,
    /// The run's epoch in the target's ledger: an older one may write nothing any more.
    pub epoch: Option<u64>,
    /// True where a session there keeps other runs away.
    pub guarded: bool,
    /// True where nothing can be written (and no step wants to).
    pub read_only: bool,
    /// How far its clock is ahead of ours, in milliseconds.
    pub skew_ms: Option<i64>,
}

/// Somebody's word that a runbook may run, as it was found when the run was opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// `user@host`: who owns the file it was found in.
    pub by: String,
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}
