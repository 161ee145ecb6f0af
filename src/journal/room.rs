//! How much room a journal has left besides the disk's own: quotas, and the largest file that this process may write. SQLite
//! reports both as failed writes; here they are told apart from a disk that is broken.

use std::fs;
use std::io::ErrorKind;

use super::error::JournalError;
use super::home::RunDir;
use super::{guard, reserve};

/// SQLite's extended code of a write that failed for any reason but a full disk.
const WRITE: i32 = 778;
/// Bytes below the largest file that are kept for the end of what runs.
const KEPT: u64 = 1024 * 1024;
/// Bytes that a disk must still take not to be called full.
const PROBE: u64 = 64 * 1024;

/// The largest file that this process may write; none: no limit. Asked once, a process's limits rarely change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(Option<u64>);

impl Limit {
    pub fn of_this_process() -> Self {
        Self(rustix::process::getrlimit(rustix::process::Resource::Fsize).current)
    }

    /// True where a file of `len` bytes has come so near to the limit that nothing new should start.
    pub fn is_near(self, len: u64) -> bool {
        self.0.is_some_and(|limit| len + KEPT > limit)
    }
}

/// The same error, or that there is no room, where that is why a write failed.
pub(super) fn explained(error: JournalError, dir: &RunDir, limit: Limit, largest: u64) -> JournalError {
    match error {
        JournalError::Database { code: Some(WRITE), db, .. } if limit.is_near(largest) || is_short(dir) => {
            JournalError::Full { db }
        }
        other => other,
    }
}

/// Asks the disk for a little room.
fn is_short(dir: &RunDir) -> bool {
    let path = dir.path().join("probe");
    let Ok(mut file) = guard::open_file(&path, false) else { return false };
    let taken = reserve::allocate(&mut file, PROBE);
    let _ = fs::remove_file(&path);
    matches!(taken, Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}
