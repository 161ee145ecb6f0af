//! An error of the SQLite driver, taken apart.

use sqlx::Error;

use crate::run::limits;
use crate::target::cell;
use crate::target::problem::Problem;

/// Extended result codes that the door itself looks at.
pub(super) const INTERRUPT: &str = "9";
pub(super) const COMMIT_VETOED: &str = "531";

impl Problem {
    pub(in crate::target) fn of_sqlite(error: Error) -> Self {
        match error {
            Error::Database(error) => Self {
                severity: "ERROR",
                message: cell::cut(error.message().as_bytes(), limits::FACT_BYTES),
                code: error.code().map(|code| code.into_owned()),
                hint: error.code().and_then(|code| hint(&code)).map(str::to_owned),
                ..Self::default()
            },
            Error::Io(error) => Self::lost(format!("the file cannot be used: {error}")),
            Error::WorkerCrashed => Self::lost("the database's own thread has ended"),
            Error::Configuration(_) => Self::own("the connection's options cannot be used"),
            Error::RowNotFound => Self::own("the answer has no row"),
            _ => Self::lost("the driver gave up on the file"),
        }
    }

    /// SQLite's result code without its extension.
    pub(super) fn primary(&self) -> Option<i32> {
        self.code.as_deref()?.parse::<i32>().ok().map(|code| code & 0xff)
    }
}

fn hint(code: &str) -> Option<&'static str> {
    match code.parse::<i32>().ok()? & 0xff {
        5 => Some("another process holds the file's lock; lock_timeout says how long it is waited for"),
        8 => Some("the file or its folder is read-only for this user, or the URL says mode=ro"),
        11 => Some("the file is damaged: PRAGMA integrity_check says more"),
        13 => Some("the disk is full"),
        14 => Some("the file or its folder cannot be opened by this user"),
        26 => Some("the file is not an SQLite database"),
        _ => None,
    }
}
