//! Where a run happens: environments, their targets, and how carefully those are treated.

use std::time::Duration;

use super::model::Secret;
use super::sql::Dialect;

/// Where a run happens: its targets, and how carefully it is treated.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub name: String,
    /// Wants a typed confirmation, refuses rehearsals.
    pub protected: bool,
    /// How many people must approve before a run starts.
    pub approvals: u32,
    /// Wants a rehearsal of this very runbook that came to its good end.
    pub rehearsal: bool,
    /// Columns that every step masks here.
    pub mask: Vec<String>,
    /// Target name and how to reach it, in the order of the file.
    pub targets: Vec<(String, TargetSpec)>,
}

/// A database that steps work on.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    pub url: Secret,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    /// How often a transaction that did not get its locks in time (or was the victim of a deadlock) is tried within
    /// one attempt.
    pub lock_tries: u32,
    /// How much a statement of ours may keep others waiting before it is cancelled and tried later.
    pub max_blocked: MaxBlocked,
    pub ledger: LedgerUse,
    /// True where other runs may work on this database at the same time.
    pub concurrent: bool,
}

/// How many sessions may wait behind us, and for how long the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxBlocked {
    pub sessions: u32,
    pub lasting: Duration,
}

/// Whether gonogo keeps its ledger in a target: the rows that prove what committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerUse {
    /// Used where somebody has made one.
    #[default]
    Found,
    /// Made at the first contact where there is none: the runbook consents.
    Create,
    Never,
}

impl TargetSpec {
    /// `url` with every default.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(300),
            lock_tries: 5,
            max_blocked: MaxBlocked { sessions: 20, lasting: Duration::from_secs(5) },
            ledger: LedgerUse::Found,
            concurrent: false,
        }
    }
}

impl Environment {
    /// Whose SQL a target speaks.
    pub fn dialect(&self, target: &str) -> Dialect {
        let spec = self.targets.iter().find(|(name, _)| name == target);
        spec.map_or(Dialect::Postgres, |(_, spec)| Dialect::of(&spec.url))
    }
}
