//! What holds a statement that runs in SQLite's own thread: an interrupt that it looks at while it works, and a veto
//! over every COMMIT but ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnection;

use crate::target::problem::Problem;

/// Instructions of SQLite's machine between two looks at the interrupt; some ten microseconds.
const INSTRUCTIONS: i32 = 1_000;

#[derive(Clone)]
pub(super) struct Gate {
    interrupted: Arc<AtomicBool>,
    may_commit: Arc<AtomicBool>,
}

impl Gate {
    /// Puts a gate before a connection. `veto`: no commit passes until [`Gate::open`].
    pub async fn install(conn: &mut SqliteConnection, veto: bool) -> Result<Self, Problem> {
        let gate = Self { interrupted: Arc::new(AtomicBool::new(false)), may_commit: Arc::new(AtomicBool::new(!veto)) };
        let (interrupted, may_commit) = (Arc::clone(&gate.interrupted), Arc::clone(&gate.may_commit));
        let mut handle = conn.lock_handle().await.map_err(Problem::of_sqlite)?;
        handle.set_progress_handler(INSTRUCTIONS, move || !interrupted.load(Ordering::Relaxed));
        handle.set_commit_hook(move || may_commit.load(Ordering::Relaxed));
        Ok(gate)
    }

    /// What runs now ends with "interrupted"; nothing runs until [`Gate::resume`].
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
    }

    /// Lets the next commit pass.
    pub fn open(&self) {
        self.may_commit.store(true, Ordering::Relaxed);
    }
}
