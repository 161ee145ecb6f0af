//! A side connection that outlives steps: asked one question at a time, reopened when it was lost, never trusted
//! again after a question that did not come to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Connection, Either, PgConnection, Postgres, Row, ValueRef};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::run::limits;
use crate::target::address::PgAddress;
use crate::target::cell;
use crate::target::problem::Problem;
use crate::target::raw;

/// How long one question of our own may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time beyond the server's own limit after which we stop listening.
const GRACE: Duration = Duration::from_secs(2);
/// Rows of a probe's answer that are read to keep the connection; with more it is given up.
const DRAINED: usize = 1_000;

/// Rows of text; none is NULL.
pub(super) type Rows = Vec<Vec<Option<String>>>;

pub(super) struct Line {
    address: Arc<PgAddress>,
    name: String,
    read_only: bool,
    conn: Mutex<Option<PgConnection>>,
}

impl Line {
    pub fn new(address: Arc<PgAddress>, name: String, read_only: bool) -> Self {
        Self { address, name, read_only, conn: Mutex::new(None) }
    }

    /// Opens the connection now, so that it is there when the server has no slot left.
    pub async fn open(&self) -> Result<u32, Problem> {
        let mut slot = self.conn.lock().await;
        let conn = self.connect().await?;
        let version = conn.server_version_num().unwrap_or_default();
        *slot = Some(conn);
        Ok(version)
    }

    /// Asks one of our own questions: every column as text. `args` are bound as text.
    pub async fn ask(&self, sql: &'static str, args: &[&str]) -> Result<Rows, Problem> {
        let mut slot = self.conn.lock().await;
        let reused = slot.is_some();
        match self.ask_once(&mut slot, sql, args).await {
            // The server was restarted since the last question.
            Err(problem) if problem.lost && reused => self.ask_once(&mut slot, sql, args).await,
            answer => answer,
        }
    }

    async fn ask_once(
        &self,
        slot: &mut Option<PgConnection>,
        sql: &'static str,
        args: &[&str],
    ) -> Result<Rows, Problem> {
        // Taken out: if this future is dropped half-way, so is the connection.
        let mut conn = self.take(slot).await?;
        let mut query = sqlx::query(sql).persistent(false);
        for arg in args {
            query = query.bind((*arg).to_owned());
        }
        let answer = match timeout(PATIENCE, query.fetch_all(&mut conn)).await {
            Err(_) => return Err(silent(PATIENCE)),
            Ok(answer) => answer.map_err(Problem::of_postgres),
        };
        if answer.as_ref().map_or_else(|problem| !problem.lost, |_| true) {
            *slot = Some(conn);
        }
        answer.map(|rows| rows.iter().map(texts).collect())
    }

    /// First cell of the first row of a runbook's own query.
    pub async fn first_cell(&self, sql: &str, limit: Duration) -> Result<String, Problem> {
        let mut slot = self.conn.lock().await;
        let reused = slot.is_some();
        match self.first_cell_once(&mut slot, sql, limit).await {
            Err(problem) if problem.lost && reused => self.first_cell_once(&mut slot, sql, limit).await,
            answer => answer,
        }
    }

    async fn first_cell_once(
        &self,
        slot: &mut Option<PgConnection>,
        sql: &str,
        limit: Duration,
    ) -> Result<String, Problem> {
        let mut conn = self.take(slot).await?;
        let millis = limit.as_millis().max(1).to_string();
        let work = async {
            sqlx::query("select set_config('statement_timeout', $1, false)")
                .persistent(false)
                .bind(millis)
                .execute(&mut conn)
                .await
                .map_err(Problem::of_postgres)?;
            first(&mut conn, sql).await
        };
        let (answer, whole) = match timeout(limit.saturating_add(GRACE), work).await {
            Err(_) => return Err(silent(limit)),
            Ok(Err(problem)) => {
                let whole = !problem.lost;
                (Err(problem), whole)
            }
            Ok(Ok((answer, whole))) => (Ok(answer), whole),
        };
        if whole {
            *slot = Some(conn);
        }
        match answer? {
            Some(Some(text)) => Ok(text),
            Some(None) => Err(Problem::own("the answer is NULL")),
            None => Err(Problem::own("the answer has no row")),
        }
    }

    /// Has the server read a statement without running it. `wait`: for the locks that reading takes.
    pub async fn read(&self, sql: &str, wait: Duration) -> Result<(), Problem> {
        let mut slot = self.conn.lock().await;
        let mut conn = self.take(&mut slot).await?;
        let millis = wait.as_millis().max(1).to_string();
        let work = async {
            sqlx::query("select set_config('lock_timeout', $1, false)").bind(millis).execute(&mut conn).await?;
            raw::prepare::<Postgres, _>(&mut conn, sql).await.map(|_| ())
        };
        let answer = match timeout(PATIENCE, work).await {
            Err(_) => return Err(silent(PATIENCE)),
            Ok(answer) => answer.map_err(Problem::of_postgres),
        };
        if answer.as_ref().map_or_else(|problem| !problem.lost, |()| true) {
            *slot = Some(conn);
        }
        answer
    }

    async fn take(&self, slot: &mut Option<PgConnection>) -> Result<PgConnection, Problem> {
        match slot.take() {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<PgConnection, Problem> {
        let mut conn = connect(&self.address, &self.name).await?;
        let setup = sqlx::query(
            "select set_config('statement_timeout', $1, false), set_config('default_transaction_read_only', $2, false), \
               set_config('client_encoding', \
                 case current_setting('server_encoding') when 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end, false)",
        )
        .persistent(false)
        .bind(PATIENCE.as_millis().to_string())
        .bind(if self.read_only { "on" } else { "off" });
        match timeout(PATIENCE, setup.execute(&mut conn)).await {
            Err(_) => Err(silent(PATIENCE)),
            Ok(answer) => answer.map(|_| conn).map_err(Problem::of_postgres),
        }
    }
}

/// A new connection under `name`, within the target's connect timeout.
pub(super) async fn connect(address: &PgAddress, name: &str) -> Result<PgConnection, Problem> {
    let options = address.options.clone().application_name(name);
    match timeout(address.connect_timeout, PgConnection::connect_with(&options)).await {
        Err(_) => {
            Err(Problem::lost(format!("no answer within {}", humantime::format_duration(address.connect_timeout))))
        }
        Ok(conn) => conn.map_err(Problem::of_postgres),
    }
}

fn silent(limit: Duration) -> Problem {
    Problem::lost(format!("no answer within {}", humantime::format_duration(limit)))
}

/// The first cell (none: no row), and whether the answer was read to its end.
pub(super) async fn first(conn: &mut PgConnection, sql: &str) -> Result<(Option<Option<String>>, bool), Problem> {
    let mut stream = raw::send::<Postgres, _>(conn, sql);
    let mut cell = None;
    for _ in 0..DRAINED {
        match stream.next().await {
            None => return Ok((cell, true)),
            Some(Err(error)) => return Err(Problem::of_postgres(error)),
            Some(Ok(Either::Right(row))) if cell.is_none() => {
                cell = Some((!row.is_empty()).then(|| text(&row, 0)).flatten());
            }
            Some(Ok(_)) => {}
        }
    }
    Ok((cell, false))
}

pub(super) fn texts(row: &PgRow) -> Vec<Option<String>> {
    (0..row.len()).map(|i| text(row, i)).collect()
}

fn text(row: &PgRow, i: usize) -> Option<String> {
    let value = row.try_get_raw(i).ok()?;
    if value.is_null() {
        return None;
    }
    value.as_bytes().ok().map(|bytes| cell::cut(bytes, limits::FACT_BYTES))
}
