//! PostgreSQL: a control connection opened first and held, a connection of its own for every step, one for probes.
//!
//! Every session runs in UTC, with ISO dates and UTF-8; a script that needs another zone says `set timezone`.

mod activity;
mod batch;
mod commit;
mod counters;
mod direct;
mod env;
mod fault;
mod guard;
mod inspect;
mod keeper;
mod ledger;
mod line;
mod locks;
mod mark;
mod owner;
mod resolve;
mod script;
mod session;
mod tries;
mod types;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

pub(super) use self::activity::Backend;
pub(super) use self::counters::{COUNTERS, read as read_counters};
use self::guard::Held;
pub(super) use self::guard::{CLASS, WORK};
pub(super) use self::keeper::Keeper;
pub(super) use self::ledger::{DROP, SCHEMA};
use self::line::Line;
use self::types::Types;
use super::address::PgAddress;
use super::batch::{BatchJob, walk};
use super::problem::Problem;
use super::watch::Watch;
use super::words::{self, NOTHING_SENT};
use super::{SqlJob, Target, TargetError, label};
use crate::run::event::Fingerprint;
use crate::run::{Chunk, Fault, Judge, Outcome};
use crate::runbook::{LedgerUse, MaxBlocked, TargetSpec};

/// The oldest server whose transaction status can be asked for by name.
const OLDEST: u32 = 130_000;

const SYSTEM: &str = "select system_identifier::text from pg_control_system()";
/// Of the write-ahead log: a promoted standby's control file still names the old one for a while.
const TIMELINE: &str = "select case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint()) \
    else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end::text";

pub(super) struct Postgres {
    name: String,
    base: String,
    address: Arc<PgAddress>,
    lock_timeout: Duration,
    statement_timeout: Duration,
    lock_tries: u32,
    max_blocked: MaxBlocked,
    /// Who waits behind our scripts.
    board: locks::Board,
    /// Cancels, watches, and decides what became of a lost COMMIT.
    control: Line,
    /// Answers probes, read-only.
    asker: Line,
    types: Types,
    /// Who the server was when the target was opened.
    opened: Fingerprint,
    ledger: LedgerUse,
    concurrent: bool,
    /// Keeps other runs away while it is held.
    guard: Mutex<Option<Held>>,
    /// The run's other target that has this database too and whose guard is this one's as well.
    rides: RwLock<Weak<Target>>,
    /// True once a guard that was held is held no longer, until the next claim.
    lost: AtomicBool,
    /// Attempts write their rows: the ledger is there, and the runbook does not forbid it.
    has_ledger: AtomicBool,
    /// The run's epoch in the ledger; 0: none.
    epoch: AtomicU64,
}

impl Postgres {
    pub async fn open(name: &str, spec: &TargetSpec, address: PgAddress, base: &str) -> Result<Self, TargetError> {
        let address = Arc::new(address);
        let mut target = Self {
            name: name.to_owned(),
            base: base.to_owned(),
            lock_timeout: spec.lock_timeout,
            statement_timeout: spec.statement_timeout,
            lock_tries: spec.lock_tries,
            max_blocked: spec.max_blocked,
            board: locks::Board::default(),
            control: Line::new(Arc::clone(&address), label::compose(base, "control"), false),
            asker: Line::new(Arc::clone(&address), label::compose(base, "probe"), true),
            types: Types::default(),
            opened: Fingerprint::default(),
            ledger: spec.ledger,
            concurrent: spec.concurrent,
            guard: Mutex::default(),
            rides: RwLock::default(),
            lost: AtomicBool::default(),
            epoch: AtomicU64::default(),
            has_ledger: AtomicBool::new(false),
            address,
        };
        let version = target.control.open().await.map_err(|problem| target.unreachable(&problem))?;
        if version < OLDEST {
            return Err(TargetError::Connect {
                target: name.to_owned(),
                place: target.place(),
                why: "the server is older than PostgreSQL 13".to_owned(),
                next: "upgrade it first".to_owned(),
            });
        }
        target.opened = target.fingerprint().await?;
        target.ledger_state().await.map_err(|problem| target.unreachable(&problem))?;
        Ok(target)
    }

    /// Asks the server who it is, now.
    pub async fn fingerprint(&self) -> Result<Fingerprint, TargetError> {
        let who = "select current_setting('server_version'), current_database()::text, current_user::text, \
                   pg_is_in_recovery()::text";
        let rows = self.control.ask(who, &[]).await.map_err(|problem| TargetError::Ask {
            target: self.name.clone(),
            what: "the server did not say who it is".to_owned(),
            why: problem.words(),
        })?;
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter().map(Option::unwrap_or_default);
        let mut next = || row.next().unwrap_or_default();
        let (system_id, timeline) = self.identity().await;
        Ok(Fingerprint {
            kind: "postgresql".to_owned(),
            version: next(),
            host: self.host(),
            database: next(),
            role: next(),
            system_id,
            timeline: timeline.and_then(|timeline| timeline.parse().ok()),
            in_recovery: next() == "true",
        })
    }

    /// System identifier and timeline, each where this role may ask for it.
    async fn identity(&self) -> (Option<String>, Option<String>) {
        (self.one(SYSTEM).await, self.one(TIMELINE).await)
    }

    async fn one(&self, sql: &'static str) -> Option<String> {
        let rows = self.control.ask(sql, &[]).await.ok()?;
        rows.into_iter().next()?.into_iter().next()?
    }

    pub async fn run(&self, job: &SqlJob<'_>, out: &Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
        if let Err(outcome) = self.guarded().await {
            return *outcome;
        }
        script::run(self, job, out, judge, stop).await
    }

    pub async fn batch(
        &self,
        job: &BatchJob<'_>,
        out: &Sender<Chunk>,
        judge: &Judge,
        stop: CancellationToken,
    ) -> Outcome {
        if let Err(outcome) = self.guarded().await {
            return *outcome;
        }
        let watch = Watch::new(stop, job.timeout);
        walk(&mut batch::Table::new(self, job, &watch), job, out, judge, &watch).await
    }

    /// Nothing is sent to a database that is not ours any more.
    async fn guarded(&self) -> Result<(), Box<Outcome>> {
        self.still_guarded().await.map_err(|why| {
            let hint = "continue the held run: the database is then claimed anew".to_owned();
            let safe = NOTHING_SENT.to_owned();
            Box::new(words::broke(Fault { hint: Some(hint), safe, ..Fault::new(why) }))
        })
    }

    pub fn epoch(&self) -> u64 {
        match self.rides_on() {
            Some(other) => other.epoch(),
            None => self.epoch.load(Ordering::Acquire),
        }
    }

    pub async fn clock_ms(&self) -> Result<Option<i64>, TargetError> {
        let sql = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text";
        let rows = self.control.ask(sql, &[]).await.map_err(|problem| TargetError::Ask {
            target: self.name.clone(),
            what: "the server did not tell its clock".to_owned(),
            why: problem.words(),
        })?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).and_then(|ms| ms.parse().ok()))
    }

    pub async fn ask(&self, sql: &str, limit: Duration) -> Result<String, String> {
        self.asker.first_cell(sql, limit).await.map_err(|problem| problem.words())
    }

    pub fn connect_env(&self, dir: &Path) -> Result<Vec<(String, String)>, TargetError> {
        env::variables(&self.name, &self.base, &self.address, dir)
    }

    /// The name that a step's session carries.
    fn label(&self, attempt: &str) -> String {
        label::compose(&self.base, attempt)
    }

    /// `host:port`, or the socket's folder.
    fn host(&self) -> String {
        let options = &self.address.options;
        match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None if options.get_host().starts_with('/') => options.get_host().to_owned(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        }
    }

    fn place(&self) -> String {
        let options = &self.address.options;
        format!("{}/{}", self.host(), options.get_database().unwrap_or(options.get_username()))
    }

    fn unreachable(&self, problem: &Problem) -> TargetError {
        let next = match problem.code.as_deref() {
            None if problem.message.contains("no secure connection") => {
                "over a network the server's certificate is checked against the system's roots and the host's name; \
                 sslrootcert=FILE names another root, sslmode=disable|require does without"
            }
            Some("28P01" | "28000") => "check user and password of this target",
            Some("3D000") => "check the database's name",
            Some("53300") => "free a connection slot",
            _ => "check that the server is up and reachable from here",
        };
        TargetError::Connect {
            target: self.name.clone(),
            place: self.place(),
            why: problem.words(),
            next: next.to_owned(),
        }
    }
}
