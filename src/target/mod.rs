//! The door to the databases that runbooks work on: PostgreSQL and SQLite. Runs scripts, streams what they bring,
//! cancels them, and says afterwards what is known of their effect.
//!
//! A new kind of database is one more variant of [`Kind`] and one more folder.

mod address;
mod batch;
mod cell;
mod claim;
mod collect;
pub mod desk;
mod direct;
mod error;
pub mod inspect;
mod job;
mod label;
mod migrate;
mod notice;
mod place;
mod postgres;
mod problem;
mod proof;
mod raw;
mod reading;
mod shape;
mod sqlite;
mod watch;
mod words;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

pub use self::address::unmade;
pub use self::batch::BatchJob;
pub use self::claim::{Claim, Memory, Refusal};
pub use self::direct::{Ruling, left};
pub use self::error::TargetError;
pub use self::job::SqlJob;
pub use self::label::session_names;
pub use self::migrate::{MigrateJob, Standing, standing};
pub use self::place::locate;
pub use self::proof::{Key, LedgerEntry, LedgerState, Past, Resolution, Witness};

use self::address::Address;
use self::postgres::Postgres;
use self::problem::Problem;
use self::shape::Shape;
use self::sqlite::Sqlite;
use crate::run::dump::Counters;
use crate::run::event::{Direct, Fingerprint, Grip, Statement};
use crate::run::{Chunk, Fault, Judge, Outcome};
use crate::runbook::TargetSpec;

/// A session that works (or idles) under an attempt's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The server's process; [`Target::cancel_leftover`] takes it.
    pub pid: i32,
    /// `active`, `idle in transaction`, …
    pub state: String,
    /// When its last statement began.
    pub since: Option<DateTime<Utc>>,
    /// Its last statement, as the server shows it (cut by the server).
    pub query: String,
}

/// A database that steps work on, opened.
pub struct Target {
    name: String,
    kind: Kind,
}

enum Kind {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Target {
    /// Opens the database behind `url` and looks who it is. `spec` gives the limits of every session (its own `url`
    /// is not looked at: `url` is what it resolved to); `label_base` begins the name of every session
    /// (`gonogo 20240131-wed`).
    ///
    /// # Errors
    /// A URL that cannot be honoured, a server that does not answer within the connect timeout (10 s, or the URL's
    /// `connect_timeout`) or refuses us, a file that does not exist (unless the URL says `mode=rwc`). No error holds
    /// a password.
    pub async fn open(name: &str, spec: &TargetSpec, url: SecretString, label_base: &str) -> Result<Self, TargetError> {
        let address = address::parse(&url).map_err(|why| TargetError::Url { target: name.to_owned(), why })?;
        let kind = match address {
            Address::Postgres(address) => {
                Kind::Postgres(Box::new(Postgres::open(name, spec, *address, label_base).await?))
            }
            Address::Sqlite(address) => Kind::Sqlite(Sqlite::open(name, spec, address).await?),
        };
        Ok(Self { name: name.to_owned(), kind })
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.kind, Kind::Sqlite(_))
    }

    /// Who the database is, asked now.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn fingerprint(&self) -> Result<Fingerprint, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => target.fingerprint().await,
            Kind::Sqlite(target) => target.fingerprint().await,
        }
    }

    /// Makes a run the owner of the database for as long as this target lives (or until [`Target::let_go`]), by keys on
    /// the server and by its ledger where there is one. A file has no owner.
    ///
    /// # Errors
    /// Somebody else has it, or it is not the database it should be. Nothing was changed then.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Grip, Refusal> {
        match &self.kind {
            Kind::Postgres(target) => target.claim(claim).await,
            Kind::Sqlite(target) => target.enrol(claim.environment).await.map_err(Refusal::Failed),
        }
    }

    /// The run's epoch in the target's ledger; 0: not claimed, or there is no ledger.
    pub fn epoch(&self) -> u64 {
        match &self.kind {
            Kind::Postgres(target) => target.epoch(),
            Kind::Sqlite(_) => 0,
        }
    }

    /// Looks whether the claim still stands; fine where nothing was claimed.
    ///
    /// # Errors
    /// In words: how it was lost. It has to be claimed anew then.
    pub async fn still_guarded(&self) -> Result<(), String> {
        match &self.kind {
            Kind::Postgres(target) => target.still_guarded().await,
            Kind::Sqlite(_) => Ok(()),
        }
    }

    /// The session of the guard that this target holds itself.
    async fn guard_session(&self) -> Option<postgres::Backend> {
        match &self.kind {
            Kind::Postgres(target) => target.guard_session().await,
            Kind::Sqlite(_) => None,
        }
    }

    /// Lets the database go. `ended`: the run is over for good, and a ledger is told so (best effort).
    pub async fn let_go(&self, ended: bool) {
        if let Kind::Postgres(target) = &self.kind {
            target.let_go(ended).await;
        }
    }

    /// The server's clock, in milliseconds since 1970; none for a file.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn clock_ms(&self) -> Result<Option<i64>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => target.clock_ms().await,
            Kind::Sqlite(_) => Ok(None),
        }
    }

    /// What the server has counted of its tables; a file counts nothing.
    ///
    /// # Errors
    /// In words: it cannot be asked.
    pub async fn counters(&self) -> Result<Counters, String> {
        match &self.kind {
            Kind::Postgres(target) => target.counters().await.map_err(|problem| problem.words()),
            Kind::Sqlite(_) => Err("SQLite counts no writes".to_owned()),
        }
    }

    /// Runs that have not ended, as the ledger knows them: one sentence each.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn ledger_runs(&self) -> Result<Vec<String>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("the ledger", target.ledger_runs().await),
            Kind::Sqlite(_) => Ok(Vec::new()),
        }
    }

    /// Runs a script on a connection of its own. Chunks go to `out` as they come (it may be closed early: the work
    /// goes on); `judge` is asked before COMMIT; `stop` cancels on the server. Ends only with an outcome that is
    /// certain, or with [`Outcome::Unknown`].
    pub async fn run(&self, job: &SqlJob<'_>, out: &Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
        match &self.kind {
            Kind::Postgres(target) => target.run(job, out, judge, stop).await,
            Kind::Sqlite(target) => target.run(job, out, judge, stop).await,
        }
    }

    /// Works through a table in batches on a connection of its own. Never ends in doubt: what is committed is in the
    /// checkpoint, and the next attempt goes on from there. `stop` ends it at the end of a batch, or soon after.
    pub async fn batch(
        &self,
        job: &BatchJob<'_>,
        out: &Sender<Chunk>,
        judge: &Judge,
        stop: CancellationToken,
    ) -> Outcome {
        match &self.kind {
            Kind::Postgres(target) => target.batch(job, out, judge, stop).await,
            Kind::Sqlite(target) => target.batch(job, out, judge, stop).await,
        }
    }

    /// True where attempts prove themselves by rows of their own.
    pub fn has_ledger(&self) -> bool {
        match &self.kind {
            Kind::Postgres(target) => target.has_ledger(),
            Kind::Sqlite(target) => target.has_ledger(),
        }
    }

    /// What the attempt's session waits for: `lock: pid 812 (app, psql, 41 s) update orders …`. None: nothing, or
    /// nothing that can be known.
    pub async fn waiting(&self, label: &str) -> Option<String> {
        match &self.kind {
            Kind::Postgres(target) => target.waiting(label).await,
            Kind::Sqlite(_) => None,
        }
    }

    /// First cell of the first row of a query, as text, on a read-only connection kept for such questions.
    ///
    /// # Errors
    /// In words: the database's own, no row, NULL, or no answer in time.
    pub async fn ask(&self, sql: &str, timeout: Duration) -> Result<String, String> {
        match &self.kind {
            Kind::Postgres(target) => target.ask(sql, timeout).await,
            Kind::Sqlite(target) => target.ask(sql, timeout).await,
        }
    }

    /// Sessions that an attempt still has on the server, also of an engine that is gone. A file has none.
    ///
    /// # Errors
    /// The server cannot be asked: then nothing is known of leftovers.
    pub async fn look(&self, label: &str) -> Result<Vec<Look>, TargetError> {
        self.look_for(label, None).await
    }

    /// The same, and the session that was noted when the attempt began, should it go by another name since.
    ///
    /// # Errors
    /// As of [`Self::look`].
    pub async fn look_for(&self, label: &str, session: Option<&(i32, String)>) -> Result<Vec<Look>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => {
                let found = target.look_for(label, session).await;
                found.map_err(|problem| self.unasked("the server did not say which sessions are left", &problem))
            }
            Kind::Sqlite(_) => Ok(Vec::new()),
        }
    }

    fn unasked(&self, what: impl Into<String>, problem: &Problem) -> TargetError {
        TargetError::Ask { target: self.name.clone(), what: what.into(), why: problem.words() }
    }

    /// Whether [`Self::rule`] can tell what became of statements outside of a transaction.
    pub fn can_tell(&self, statements: &[Statement], direct: &Direct) -> bool {
        match &self.kind {
            Kind::Postgres(target) => target.can_tell(statements, direct),
            Kind::Sqlite(_) => direct.question.is_some(),
        }
    }

    /// What became of statements that ran outside of a transaction, by what the database shows now. Asked only when no
    /// session runs them any more. `before`: what was noted of each before the first was sent.
    ///
    /// # Errors
    /// The database cannot be asked. A probe of the runbook that fails is an open ruling.
    pub async fn rule(
        &self,
        statements: &[Statement],
        direct: &Direct,
        before: &[Option<String>],
    ) -> Result<Ruling, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => {
                let ruling = target.rule(statements, direct, before).await;
                ruling.map_err(|problem| self.unasked("the server did not say what is there", &problem))
            }
            Kind::Sqlite(target) => Ok(target.rule(direct).await),
        }
    }

    /// Asks the server to cancel what session `pid` does, if it carries the attempt's name.
    /// Returns whether it was there to be asked.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn cancel_leftover(&self, label: &str, pid: i32) -> Result<bool, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => {
                let told = target.cancel_leftover(label, pid).await;
                told.map_err(|problem| {
                    self.unasked(format!("the server was not told to cancel session {pid}"), &problem)
                })
            }
            Kind::Sqlite(_) => Ok(false),
        }
    }

    /// The same, but the session itself is ended: what it has open is taken back.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn terminate_leftover(&self, label: &str, pid: i32) -> Result<bool, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => {
                let told = target.terminate_leftover(label, pid).await;
                told.map_err(|problem| self.unasked(format!("the server was not told to end session {pid}"), &problem))
            }
            Kind::Sqlite(_) => Ok(false),
        }
    }

    /// Whether gonogo's ledger is in the database, and usable.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn ledger_state(&self) -> Result<LedgerState, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("the ledger", target.ledger_state().await),
            Kind::Sqlite(target) => self.asked("the ledger", target.ledger_state().await),
        }
    }

    /// The statements that make the ledger, as they will be sent.
    pub fn ledger_schema(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Postgres(_) => postgres::SCHEMA,
            Kind::Sqlite(_) => sqlite::SCHEMA,
        }
    }

    /// The statements that take it away.
    pub fn ledger_drop(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Postgres(_) => &[postgres::DROP],
            Kind::Sqlite(_) => sqlite::DROP,
        }
    }

    /// Makes the ledger, all or nothing; `environment` is what the database will say it is. One that is there stays.
    ///
    /// # Errors
    /// The database refuses, or cannot be asked.
    pub async fn create_ledger(&self, environment: &str) -> Result<(), TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("to make the ledger", target.create_ledger(environment).await),
            Kind::Sqlite(target) => self.asked("to make the ledger", target.create_ledger(environment).await),
        }
    }

    /// Takes the ledger away, with every proof in it.
    ///
    /// # Errors
    /// The database refuses, or cannot be asked.
    pub async fn drop_ledger(&self) -> Result<(), TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("to drop the ledger", target.drop_ledger().await),
            Kind::Sqlite(target) => self.asked("to drop the ledger", target.drop_ledger().await),
        }
    }

    /// Decides a transaction whose end nobody saw, by writing where it can; bounded in time.
    pub async fn resolve(&self, key: &Key, past: &Past) -> Resolution {
        match &self.kind {
            Kind::Postgres(target) => target.resolve(key, past).await,
            Kind::Sqlite(target) => target.resolve(key, past).await,
        }
    }

    /// Of `keys`, those of which the ledger holds no committed row: after a failover, what the new server never got.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn missing(&self, keys: &[Key]) -> Result<Vec<Key>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("the ledger", target.missing(keys).await),
            Kind::Sqlite(target) => self.asked("the ledger", target.missing(keys).await),
        }
    }

    /// Of batched attempts, those whose checkpoint did not come to so many batches, or is not there.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn behind(&self, walked: &[(Key, u64)]) -> Result<Vec<Key>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("the checkpoints", target.behind(walked).await),
            Kind::Sqlite(target) => self.asked("the checkpoints", target.behind(walked).await),
        }
    }

    fn asked<T>(&self, what: &str, answer: Result<T, Problem>) -> Result<T, TargetError> {
        answer.map_err(|problem| TargetError::Ask {
            target: self.name.clone(),
            what: format!("it could not be asked: {what}"),
            why: problem.words(),
        })
    }

    /// The target as environment of a command: libpq's variables (and a private password file in `dir`, mode 0600,
    /// named by `PGPASSFILE`; the caller removes it when the command has ended), or `GONOGO_SQLITE` with the file's path.
    ///
    /// # Errors
    /// The password file cannot be written.
    pub fn connect_env(&self, dir: &Path) -> Result<Vec<(String, String)>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => target.connect_env(dir),
            Kind::Sqlite(target) => Ok(target.connect_env()),
        }
    }
}

/// Why a script cannot be sent at all: it would end our transaction, or hang the session.
fn refusal(statements: &[Statement]) -> Option<Fault> {
    statements.iter().zip(1..).find_map(|(statement, n)| {
        let shape = Shape::of(&statement.sql);
        let (summary, hint) = if let Some(word) = shape.transaction_word() {
            let hint = "take it out: gonogo begins and ends the transaction itself; with transaction = \"none\" each \
                        statement runs by itself";
            (format!("the script says {word}"), hint)
        } else if shape.copies_to_client() {
            let hint =
                "nobody would feed it, and the session would hang: use a run step with psql, or COPY with a file";
            ("the script copies from STDIN or to STDOUT".to_owned(), hint)
        } else {
            return None;
        };
        Some(Fault {
            summary,
            hint: Some(hint.to_owned()),
            statement: Some(n),
            position: Some(1),
            safe: words::NOTHING_SENT.to_owned(),
            ..Fault::default()
        })
    })
}
