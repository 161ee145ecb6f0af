//! A step's own connection: opened for one attempt, closed after it, never reused.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::time::timeout;

use super::activity::Backend;
use super::guard::{CLASS, WORK};
use super::{Postgres, line};
use crate::target::problem::Problem;
use crate::target::raw;

/// An open transaction whose client says nothing for that long is rolled back by the server: our machine was
/// suspended or cut off.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// How soon a busy backend notices that its client is gone.
const CLIENT_CHECK: Duration = Duration::from_secs(5);
/// How long goodbyes and set-up may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first server that can look for its client while it is busy.
const CHECKS_CLIENT: u32 = 140_000;

pub(super) struct Session {
    pub conn: PgConnection,
    pub backend: Backend,
}

impl Session {
    /// A session for work: on the very server that the target was opened on.
    pub async fn open(target: &Postgres, attempt: &str) -> Result<Self, Problem> {
        Self::open_on(target, attempt, true).await
    }

    /// A session for what is true of the database wherever it lives now: also on the server that took over.
    pub async fn open_anywhere(target: &Postgres, name: &str) -> Result<Self, Problem> {
        Self::open_on(target, name, false).await
    }

    async fn open_on(target: &Postgres, attempt: &str, same_timeline: bool) -> Result<Self, Problem> {
        let label = target.label(attempt);
        let mut conn = line::connect(&target.address, &label).await?;
        let setup = set_up(&mut conn, target);
        let backend = match timeout(PATIENCE, setup).await {
            Err(_) => return Err(Problem::lost("the session could not be set up within 10 s")),
            Ok(backend) => backend.map_err(Problem::of_postgres)?,
        };
        let Some(backend) = backend else {
            return Err(Problem::own("somebody else claims this database: its work key is not to be had"));
        };
        let mut session = Self { conn, backend };
        session.same_server(target, same_timeline).await?;
        Ok(session)
    }

    /// Names and addresses move in a failover: what answers now must be the server that the target was opened on.
    async fn same_server(&mut self, target: &Postgres, same_timeline: bool) -> Result<(), Problem> {
        let known = [target.opened.system_id.clone(), target.opened.timeline.map(|timeline| timeline.to_string())];
        let what = [("system identifier", super::SYSTEM), ("timeline", super::TIMELINE)];
        let asked = if same_timeline { 2 } else { 1 };
        for ((name, sql), known) in what.into_iter().zip(known).take(asked) {
            // What this role may not ask was not known before either.
            let Some(known) = known else { continue };
            let now = self.rows(sql, &[]).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten());
            if now.as_ref() != Some(&known) {
                return Err(Problem {
                    hint: Some("hold the run and continue it: the target is then looked at anew".to_owned()),
                    ..Problem::own(format!(
                        "another server answers than the one this run knows: its {name} was {known}, is {} (a failover?)",
                        now.as_deref().unwrap_or("unknown")
                    ))
                });
            }
        }
        Ok(())
    }

    /// Takes the transaction back. Where the server does not answer, closing the connection has the same effect.
    pub async fn roll_back(&mut self) -> Result<(), Problem> {
        self.command("rollback").await
    }

    pub async fn command(&mut self, sql: &'static str) -> Result<(), Problem> {
        match timeout(PATIENCE, raw::command(&mut self.conn, sql)).await {
            Err(_) => Err(Problem::lost(format!("no answer to {sql} within 10 s"))),
            Ok(answer) => answer.map_err(Problem::of_postgres),
        }
    }

    /// Sets one of the session's limits.
    pub async fn set(&mut self, name: &str, limit: Duration) -> Result<(), Problem> {
        self.rows("select set_config($1, $2, false)", &[name, &millis(limit)]).await.map(|_| ())
    }

    /// Asks with values bound as text; every column comes as text.
    pub async fn rows(&mut self, sql: &'static str, args: &[&str]) -> Result<line::Rows, Problem> {
        let mut query = sqlx::query(sql).persistent(false);
        for arg in args {
            query = query.bind((*arg).to_owned());
        }
        match timeout(PATIENCE, query.fetch_all(&mut self.conn)).await {
            Err(_) => Err(Problem::lost("no answer within 10 s")),
            Ok(answer) => answer.map(|rows| rows.iter().map(line::texts).collect()).map_err(Problem::of_postgres),
        }
    }

    /// The cells of the one row that a question of our own brings, by the simple protocol: it takes part in the open
    /// transaction, and in none of its own.
    pub async fn texts<const N: usize>(&mut self, sql: &'static str) -> Result<[Option<String>; N], Problem> {
        let answer = timeout(PATIENCE, self.conn.fetch_one(sqlx::raw_sql(sql))).await;
        let row = match answer {
            Err(_) => return Err(Problem::lost("no answer within 10 s")),
            Ok(row) => row.map_err(Problem::of_postgres)?,
        };
        let mut cells = [const { None }; N];
        for (i, cell) in cells.iter_mut().enumerate() {
            let value = row.try_get_raw(i).map_err(Problem::of_postgres)?;
            *cell = value.as_str().ok().map(str::to_owned);
        }
        Ok(cells)
    }

    /// Says goodbye. What the server still holds of an open transaction, it rolls back.
    pub async fn close(self) {
        // A server that does not take the goodbye notices the closed connection.
        let _ = timeout(PATIENCE, self.conn.close()).await;
    }
}

/// Sets the limits of the session and takes the work key shared; returns who it is on the server, none where the key is
/// not to be had. A database without an encoding gives its bytes as they
/// are: asked for UTF-8, it would refuse every row that is none.
///
/// A server that cannot reach us any more lets go of the session, and of its locks, after 25 s.
async fn set_up(conn: &mut PgConnection, target: &Postgres) -> Result<Option<Backend>, sqlx::Error> {
    let sql = "select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false), \
                 set_config('idle_in_transaction_session_timeout', $3, false), \
                 set_config('synchronous_commit', \
                   case current_setting('synchronous_commit') when 'off' then 'on' \
                   else current_setting('synchronous_commit') end, false), \
                 set_config('client_encoding', \
                   case current_setting('server_encoding') when 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end, false), \
                 pid, backend_start::text, pg_try_advisory_lock_shared($4, $5), \
                 set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false), \
                 set_config('tcp_keepalives_count', '3', false) \
               from pg_stat_activity where pid = pg_backend_pid()";
    let row = sqlx::query(sql)
        .persistent(false)
        .bind(millis(target.lock_timeout))
        .bind(millis(target.statement_timeout))
        .bind(millis(IDLE_IN_TRANSACTION))
        .bind(CLASS)
        .bind(WORK)
        .fetch_one(&mut *conn)
        .await?;
    if conn.server_version_num().unwrap_or_default() >= CHECKS_CLIENT {
        let check = sqlx::query("select set_config('client_connection_check_interval', $1, false)")
            .persistent(false)
            .bind(millis(CLIENT_CHECK));
        match conn.execute(check).await {
            // A server on a platform without the means says no; it then notices a lost client later.
            Ok(_) | Err(sqlx::Error::Database(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let backend = Backend { pid: row.try_get(5)?, born: row.try_get(6)? };
    Ok(row.try_get::<bool, _>(7)?.then_some(backend))
}

/// As the server takes a duration: milliseconds, at most what its integer holds.
fn millis(duration: Duration) -> String {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).to_string()
}
