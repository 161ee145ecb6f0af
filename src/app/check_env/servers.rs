//! The servers of an environment: who they are, whether they can be written to, who works there now, what their ledger says.

use std::path::Path;
use std::sync::Arc;

use super::Look;
use crate::engine::{known_as, marked, writes};
use crate::journal::Home;
use crate::print::Level;
use crate::run::event::Fingerprint;
use crate::run::words;
use crate::runbook::{LedgerUse, TargetSpec, Verb};
use crate::target::inspect::Server;
use crate::target::{LedgerState, Target, unmade};

/// Sessions that a run takes of a server: control, probes, the guard, a step, and a command's own.
const OURS: u64 = 5;
/// With fewer free slots than that the application comes into trouble first.
const ROOM: u64 = 15;

impl Look {
    pub async fn servers(&mut self, journal: Option<&Path>) {
        let book = Arc::clone(&self.book);
        let Some(environment) = book.environment(&self.environment) else { return };
        for (name, spec) in &environment.targets {
            let url = self.doors.url(name).await;
            if let Some(file) = url.as_ref().ok().and_then(unmade) {
                self.ok(name, format!("{} is not there yet; a run makes it", file.display()));
                continue;
            }
            let target = match url {
                Ok(url) => self.doors.connect_to(name, url).await,
                Err(why) => Err(why),
            };
            match target {
                Ok(target) => self.server(name, spec, target, journal).await,
                Err(why) => self.error(name, why, "nothing that needs it was looked at"),
            }
        }
    }

    async fn server(&mut self, name: &str, spec: &TargetSpec, target: Target, journal: Option<&Path>) {
        let target = Arc::new(target);
        let print = match target.fingerprint().await {
            Ok(print) => print,
            Err(error) => return self.error(name, error.to_string(), "look at the server's log"),
        };
        self.ok(name, words::fingerprint(&print));
        self.state.targets.entry(name.to_owned()).or_default().fingerprint = Some(print.clone());
        self.doors.found(name, &target);
        self.targets.insert(name.to_owned(), Arc::clone(&target));
        self.known(name, &print, journal);
        match target.inspect().await {
            Ok(Some(server)) => self.state_of(name, &print, &server),
            Ok(None) => {}
            Err(error) => self.warn(name, error.to_string(), "its sessions and limits were not looked at"),
        }
        self.ledger(name, spec, &target).await;
    }

    /// Whether the database is the one that earlier runs knew by this name.
    fn known(&mut self, name: &str, print: &Fingerprint, journal: Option<&Path>) {
        let Some(known) = known_as(&self.doors, name, print) else { return };
        let strange = Home::new(journal).ok().and_then(|home| home.check_target(&known).err());
        if let Some(strange) = strange {
            self.error(name, strange.to_string(), "a run would be refused");
        }
    }

    fn state_of(&mut self, name: &str, print: &Fingerprint, server: &Server) {
        let writes = writes(&self.book, &self.environment, name);
        let stands = match (print.in_recovery, server.read_only) {
            (true, _) => Some("the server is a standby: nothing can be written there"),
            (_, true) => Some("its transactions are read-only by default"),
            _ => None,
        };
        match stands {
            Some(why) if writes => self.error(name, format!("{why}, and steps write to it"), "connect to the primary"),
            Some(why) => self.warn(name, why, "no step of this environment writes to it"),
            None => {}
        }
        if server.pooled {
            let what = "two connections are one session of the server: a pooler in transaction mode stands between";
            self.error(name, what, "connect to the server itself: neither locks nor settings hold through it");
        }
        self.room(name, server);
        self.company(name, server);
    }

    fn room(&mut self, name: &str, server: &Server) {
        let free = server.slots.saturating_sub(server.sessions);
        let what = format!("{} of {} sessions are taken", server.sessions, server.slots);
        let hint = format!("a run takes up to {OURS}; free some, or raise max_connections");
        match free {
            0..OURS => self.error(name, what, &hint),
            OURS..ROOM => self.warn(name, what, &hint),
            _ => self.ok(name, format!("{what} · {} in the database", words::bytes(server.database_bytes))),
        }
    }

    /// Who else is at work there.
    fn company(&mut self, name: &str, server: &Server) {
        for long in &server.long {
            let hint = "a transaction that stays open holds its locks, and CREATE INDEX CONCURRENTLY waits for its end";
            self.warn(name, format!("an open transaction: {long}"), hint);
        }
        for prepared in &server.prepared {
            let hint = "commit prepared '…' or rollback prepared '…': it holds its locks across restarts";
            self.warn(name, format!("a prepared transaction: {prepared}"), hint);
        }
        for owner in &server.owners {
            self.warn(name, format!("a run works on it now: {owner}"), "another one is refused until that has ended");
        }
        if !server.sees_all {
            let hint = "grant pg_monitor to it, or look yourself before the window";
            self.warn(name, "this role does not see the transactions of others", hint);
        }
    }

    async fn ledger(&mut self, name: &str, spec: &TargetSpec, target: &Target) {
        let state = match target.ledger_state().await {
            Ok(state) => state,
            Err(error) => return self.warn(name, error.to_string(), "its ledger was not looked at"),
        };
        if let Err(why) = marked(&state, &self.environment) {
            return self.error(name, why, "a run would be refused");
        }
        match &state {
            LedgerState::Ready { .. } => {
                self.ok(name, "its ledger is there");
                for run in target.ledger_runs().await.unwrap_or_default() {
                    let hint = "resume and end it, or take the database over with its typed name";
                    self.warn(name, format!("its ledger knows a run that has not ended: {run}"), hint);
                }
            }
            LedgerState::Unusable { why } => self.error(name, format!("its ledger is not usable: {why}"), "see docs"),
            LedgerState::Absent => self.no_ledger(name, spec),
        }
    }

    fn no_ledger(&mut self, name: &str, spec: &TargetSpec) {
        if spec.ledger == LedgerUse::Create {
            return self.ok(name, "it has no ledger; the first contact of a run makes it");
        }
        let needs = |verb: &Verb| matches!(verb, Verb::Batch(batch) if !batch.repeatable);
        let acts = self.acts();
        let needing = acts.iter().find(|(_, step)| step.target.as_deref() == Some(name) && needs(&step.verb));
        let hint = "gonogo ledger create makes it; ledger = \"create\" in the target's table lets a run make it";
        match needing {
            Some((act, _)) => self.error(name, format!("it has no ledger, and {act} needs one"), hint),
            None => {
                let what = "it has no ledger: what commits is proved by its transaction number only (weaker proof)";
                let level = if spec.ledger == LedgerUse::Never { Level::Ok } else { Level::Warn };
                self.note(level, name, what).hint = Some(hint.to_owned());
            }
        }
    }
}
