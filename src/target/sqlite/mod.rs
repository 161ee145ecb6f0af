//! SQLite: a file. Each step opens it anew; its journal mode is left as it is, so a step survives our being killed
//! exactly as the file's owner has set it up. Foreign keys are enforced in every session (SQLite's own default is
//! not to, for age-old reasons; a script that needs that says `pragma foreign_keys = off` with transaction = "none").

mod batch;
mod fault;
mod gate;
mod keeper;
mod ledger;
mod row;
mod script;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Either, Row};
use tokio::sync::Mutex;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::log::LevelFilter;

use self::gate::Gate;
pub(super) use self::keeper::Keeper;
pub(super) use self::ledger::{DROP, SCHEMA};
use super::address::{SqliteAddress, SqliteMode};
use super::batch::{BatchJob, walk};
use super::direct::{self, Ruling};
use super::problem::Problem;
use super::watch::Watch;
use super::{SqlJob, TargetError, raw};
use crate::run::event::{Direct, Fingerprint};
use crate::run::{Chunk, Judge, Outcome, limits};
use crate::runbook::{LedgerUse, TargetSpec};

/// The variable that names the file to commands.
const VARIABLE: &str = "GONOGO_SQLITE";
/// Rows that travel ahead of us; few, because each may be large.
const ROWS_AHEAD: usize = 16;
/// Beyond a question's own limit: how long its interruption may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long a step's own probe may take.
const ASK: Duration = Duration::from_secs(10);

pub(super) struct Sqlite {
    name: String,
    /// Absolute.
    path: PathBuf,
    mode: SqliteMode,
    lock_timeout: Duration,
    statement_timeout: Duration,
    lock_tries: u32,
    /// Answers probes, read-only; none before the first question and after a failed one.
    asker: Mutex<Option<SqliteConnection>>,
    /// Attempts write their rows: the ledger is there, and the runbook does not forbid it.
    has_ledger: AtomicBool,
    ledger: LedgerUse,
}

impl Sqlite {
    pub async fn open(name: &str, spec: &TargetSpec, address: SqliteAddress) -> Result<Self, TargetError> {
        let path = std::path::absolute(&address.path).unwrap_or(address.path);
        let target = Self {
            name: name.to_owned(),
            path,
            mode: address.mode,
            lock_timeout: spec.lock_timeout,
            statement_timeout: spec.statement_timeout,
            lock_tries: spec.lock_tries,
            asker: Mutex::new(None),
            has_ledger: AtomicBool::new(false),
            ledger: spec.ledger,
        };
        if target.mode != SqliteMode::Create && !target.path.exists() {
            let why = "there is no such file".to_owned();
            return Err(target.unusable(why, "create it first, or say ?mode=rwc"));
        }
        target.fingerprint().await?;
        target.ledger_state().await.map_err(|problem| target.unusable(problem.words(), "look at the file"))?;
        Ok(target)
    }

    pub async fn fingerprint(&self) -> Result<Fingerprint, TargetError> {
        let version = self.version().await.map_err(|problem| {
            let next = problem.hint.clone().unwrap_or_else(|| "look at the file and its folder".to_owned());
            self.unusable(problem.words(), &next)
        })?;
        Ok(Fingerprint {
            kind: "sqlite".to_owned(),
            version,
            host: self.path.display().to_string(),
            database: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            ..Fingerprint::default()
        })
    }

    /// SQLite's version; reads the file's header on the way, so that a file of another kind is found out.
    async fn version(&self) -> Result<String, Problem> {
        let mut conn = self.connect().await?;
        let row =
            sqlx::query("select sqlite_version(), (select count(*) from sqlite_schema)").fetch_one(&mut conn).await;
        let row = row.map_err(Problem::of_sqlite)?;
        let version = row.try_get(0).map_err(Problem::of_sqlite)?;
        conn.close().await.map_err(Problem::of_sqlite)?;
        Ok(version)
    }

    pub async fn run(&self, job: &SqlJob<'_>, out: &Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
        script::run(self, job, out, judge, stop).await
    }

    pub async fn batch(
        &self,
        job: &BatchJob<'_>,
        out: &Sender<Chunk>,
        judge: &Judge,
        stop: CancellationToken,
    ) -> Outcome {
        let watch = Watch::new(stop, job.timeout);
        walk(&mut batch::Table::new(self, job), job, out, judge, &watch).await
    }

    pub async fn ask(&self, sql: &str, limit: Duration) -> Result<String, String> {
        let mut slot = self.asker.lock().await;
        // Taken out: if this future is dropped half-way, so is the connection.
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => self.asker().await.map_err(|problem| problem.words())?,
        };
        let gate = Gate::install(&mut conn, false).await.map_err(|problem| problem.words())?;
        let answer = limited(&mut conn, &gate, sql, limit).await?;
        match answer {
            Ok(Some(Some(text))) => {
                *slot = Some(conn);
                Ok(text)
            }
            Ok(Some(None)) => Err("the answer is NULL".to_owned()),
            Ok(None) => Err("the answer has no row".to_owned()),
            Err(problem) => Err(problem.words()),
        }
    }

    /// Has SQLite read a statement without running it.
    pub async fn reads(&self, sql: &str) -> Result<(), Problem> {
        let mut conn = self.asker().await?;
        let read = raw::prepare::<sqlx::Sqlite, _>(&mut conn, sql).await.map_err(Problem::of_sqlite);
        conn.close().await.map_err(Problem::of_sqlite)?;
        read.map(|_| ())
    }

    /// The step's own probe; none: it has none.
    async fn answer(&self, direct: &Direct) -> Result<Option<bool>, String> {
        let Some(question) = &direct.question else { return Ok(None) };
        direct::truth(&self.ask(question, ASK).await?).map(Some)
    }

    /// What became of statements whose end nobody saw: only the step's own probe can tell.
    pub async fn rule(&self, direct: &Direct) -> Ruling {
        match self.answer(direct).await {
            Ok(answer) => direct::rule(&[], direct, answer),
            Err(why) => Ruling::Open(format!("the step's probe cannot be asked: {why}")),
        }
    }

    async fn asker(&self) -> Result<SqliteConnection, Problem> {
        let mut conn = self.connect().await?;
        raw::command(&mut conn, "pragma query_only = on").await.map_err(Problem::of_sqlite)?;
        Ok(conn)
    }

    async fn connect(&self) -> Result<SqliteConnection, Problem> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(self.mode == SqliteMode::ReadOnly)
            .create_if_missing(self.mode == SqliteMode::Create)
            .busy_timeout(self.lock_timeout)
            .foreign_keys(true)
            .row_buffer_size(ROWS_AHEAD)
            .statement_cache_capacity(0)
            .log_statements(LevelFilter::Off)
            .log_slow_statements(LevelFilter::Off, Duration::ZERO);
        SqliteConnection::connect_with(&options).await.map_err(Problem::of_sqlite)
    }

    pub fn connect_env(&self) -> Vec<(String, String)> {
        vec![(VARIABLE.to_owned(), self.path.display().to_string())]
    }

    fn unusable(&self, why: String, next: &str) -> TargetError {
        TargetError::Connect {
            target: self.name.clone(),
            place: self.path.display().to_string(),
            why,
            next: next.to_owned(),
        }
    }
}

/// The answer of [`first`] within `limit`; outside: what comes too late in words.
async fn limited(
    conn: &mut SqliteConnection,
    gate: &Gate,
    sql: &str,
    limit: Duration,
) -> Result<Result<Option<Option<String>>, Problem>, String> {
    let work = first(conn, sql);
    tokio::pin!(work);
    if let Ok(answer) = timeout(limit, &mut work).await {
        return Ok(answer);
    }
    gate.interrupt();
    // Its end frees the connection's thread; what it answers comes too late in any case.
    let _ = timeout(GRACE, &mut work).await;
    Err(format!("no answer within {}", humantime::format_duration(limit)))
}

/// First cell of the first row. None: no row. The rest is not read.
async fn first(conn: &mut SqliteConnection, sql: &str) -> Result<Option<Option<String>>, Problem> {
    let mut stream = raw::send::<sqlx::Sqlite, _>(conn, sql);
    while let Some(item) = stream.next().await {
        if let Either::Right(row) = item.map_err(Problem::of_sqlite)? {
            return Ok(Some((!row.is_empty()).then(|| row::cell(&row, 0).cut(limits::FACT_BYTES)).flatten()));
        }
    }
    Ok(None)
}
