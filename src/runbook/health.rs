//! How a database fares while a step works in batches: the limits beyond which the next batch waits.

use serde::{Deserialize, Serialize};

/// Milliseconds; see [`Health`].
const LAG_MS: u64 = 10_000;
const LOCK_WAITERS: u32 = 10;
const OLDEST_TRANSACTION_MS: u64 = 1_800_000;

/// Limits of the signals that are measured between batches. None: that signal is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Milliseconds that the slowest standby may be behind.
    pub lag_ms: Option<u64>,
    /// Sessions of the database, not our own, that may wait for a lock.
    pub lock_waiters: Option<u32>,
    /// Milliseconds that a transaction of the database, not our own, may be open.
    pub oldest_transaction_ms: Option<u64>,
}

impl Health {
    /// Nothing is measured.
    pub const OFF: Self = Self { lag_ms: None, lock_waiters: None, oldest_transaction_ms: None };

    pub fn is_off(&self) -> bool {
        *self == Self::OFF
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            lag_ms: Some(LAG_MS),
            lock_waiters: Some(LOCK_WAITERS),
            oldest_transaction_ms: Some(OLDEST_TRANSACTION_MS),
        }
    }
}
