//! Places where a test may kill, stop or disturb the program: `GONOGO_FAILPOINT=name:action[:nth],…`. They exist in
//! debug builds only; a release build holds nothing of them.
//!
//! Actions: `kill` (SIGKILL to ourselves), `stop` (SIGSTOP: a test looks, then sends CONT), `error` (the place reports a failure).

/// Every place, so that a test can go through them all.
pub const NAMES: &[&str] = &[
    "engine.turn.appended",
    "engine.turn.before",
    "exec.command.before",
    "exec.command.ended",
    "exec.command.started",
    "exec.http.answered",
    "exec.http.before",
    "exec.http.sent",
    "exec.notify.sent",
    "guard.claimed",
    "guard.end",
    "guard.locked",
    "journal.append.after",
    "journal.append.before",
    "known.rename",
    "shim.before",
    "shim.ended",
    "shim.started",
    "target.batch.begin",
    "target.batch.commit",
    "target.batch.committed",
    "target.batch.work",
    "target.begin.after",
    "target.commit.answered",
    "target.commit.before",
    "target.direct.after",
    "target.direct.before",
    "target.direct.sent",
    "target.ledger.written",
    "target.migrate.alone",
    "target.migrate.before",
    "target.migrate.file",
    "target.migrate.marked",
    "target.sqlite.commit.answered",
    "target.sqlite.commit.before",
    "target.statements.after",
    "target.witness.before",
    "tries.pause",
];

/// Passes the place `name`. True: the test wants it to fail.
#[cfg(debug_assertions)]
pub fn hit(name: &str) -> bool {
    armed::hit(name)
}

/// A release build passes every place.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_: &str) -> bool {
    false
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    #[derive(Clone, Copy)]
    enum Action {
        Kill,
        Stop,
        Error,
    }

    /// Name, what it does, and at which pass.
    fn armed() -> &'static [(String, Action, u32)] {
        static ARMED: OnceLock<Vec<(String, Action, u32)>> = OnceLock::new();
        ARMED.get_or_init(|| {
            let said = std::env::var("GONOGO_FAILPOINT").unwrap_or_default();
            said.split(',').filter_map(parse).collect()
        })
    }

    fn parse(one: &str) -> Option<(String, Action, u32)> {
        let mut parts = one.trim().split(':');
        let name = parts.next()?.to_owned();
        let action = match parts.next()? {
            "kill" => Action::Kill,
            "stop" => Action::Stop,
            "error" => Action::Error,
            _ => return None,
        };
        Some((name, action, parts.next().and_then(|nth| nth.parse().ok()).unwrap_or(1)))
    }

    pub fn hit(name: &str) -> bool {
        static PASSED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
        let Some((_, action, nth)) = armed().iter().find(|(armed, _, _)| armed == name) else { return false };
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(name.to_owned()).or_default();
        *count += 1;
        if *count != *nth {
            return false;
        }
        drop(passed);
        let signal = match action {
            Action::Error => return true,
            Action::Kill => Signal::KILL,
            Action::Stop => Signal::STOP,
        };
        // A process can always signal itself.
        let _ = kill_process(getpid(), signal);
        false
    }
}
