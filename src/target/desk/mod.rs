//! The database as the worker of a backup or restore sees it: reached by the environment that commands get
//! ([`super::Target::connect_env`]), asked what an archive must hold.

mod postgres;
mod replace;
mod snapshot;
mod sqlite;

pub use postgres::{Desk, Server};
pub use replace::{Replaced, replace};
pub use snapshot::Snapshot;
pub use sqlite::{Copy, copy, sqlite_file};

use super::postgres::{CLASS, WORK};
use super::problem::Problem;

/// SQL that takes, for its session, the key of everybody who works for a run; it fails where another run claims the
/// database.
pub fn work_key() -> String {
    format!(
        "do $gonogo$ begin if not pg_catalog.pg_try_advisory_lock_shared({CLASS}, {WORK}) then \
         raise exception 'somebody else claims this database: its work key is not to be had'; end if; end $gonogo$;\n"
    )
}

/// A question that was not answered, or a command that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct DeskError {
    pub what: String,
    /// The database's own words.
    pub why: String,
    /// SQLSTATE.
    pub code: Option<String>,
}

impl DeskError {
    fn of(what: impl Into<String>) -> impl FnOnce(Problem) -> Self {
        let what = what.into();
        move |problem| Self { why: problem.words(), code: problem.code.clone(), what }
    }
}
