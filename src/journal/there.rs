//! Whether the files that are written to are still the ones that a reader would find: a deleted or emptied journal takes
//! every append without an error, and keeps nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// The journal's file and its log, as they were after the last commit.
#[derive(Debug, Default)]
pub(super) struct Footprint {
    db: Option<(u64, u64)>,
    db_len: u64,
    log: Option<(u64, u64)>,
    /// Bytes of the log: SQLite writes it anew from its start, but never shortens it while a writer has it open.
    log_len: u64,
}

impl Footprint {
    /// Notes the files as they are.
    pub fn take(db: &Path) -> Self {
        let (db, log) = (fs::metadata(db).ok(), fs::metadata(log_of(db)).ok());
        Self {
            db: db.as_ref().map(identity),
            db_len: db.map_or(0, |db| db.len()),
            log: log.as_ref().map(identity),
            log_len: log.map_or(0, |log| log.len()),
        }
    }

    /// Bytes of the larger of the two.
    pub fn largest(&self) -> u64 {
        self.db_len.max(self.log_len)
    }

    /// An error where a file is gone, is another one, or has lost something.
    pub fn check(&self, db: &Path) -> Result<(), JournalError> {
        let now = Self::take(db);
        let changed = |before: &Option<(u64, u64)>, now: &Option<(u64, u64)>| before.is_some() && before != now;
        if changed(&self.db, &now.db) {
            return Err(JournalError::refused(db, "it was deleted or replaced while it was being written"));
        }
        if changed(&self.log, &now.log) || now.log_len < self.log_len {
            return Err(JournalError::refused(
                log_of(db),
                "it was deleted, replaced or cut while it was being written",
            ));
        }
        Ok(())
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn log_of(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
