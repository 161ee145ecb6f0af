//! A snapshot of a database that other sessions can share: what is counted in it is what an archive of it must hold.

use sqlx::{Connection, PgConnection, Row};

use super::DeskError;
use super::postgres::{Desk, count, counters, one, tables};
use crate::run::dump::{Counters, TableRows};
use crate::target::problem::Problem;
use crate::target::raw;

/// Held open for as long as this lives.
pub struct Snapshot {
    conn: PgConnection,
    /// For `pg_dump --snapshot`.
    pub id: String,
    /// When it was taken, by the server's clock: `2024-01-31T08:00:00.000000Z`.
    pub taken: String,
    pub counters: Counters,
}

impl Snapshot {
    /// Takes one. A table that is locked is waited for so many milliseconds.
    ///
    /// # Errors
    /// The server refuses, as a standby does.
    pub async fn take(desk: &Desk, lock_timeout_ms: u64) -> Result<Self, DeskError> {
        let what = || DeskError::of("no snapshot could be taken");
        let mut conn = desk.connect(None).await?;
        raw::command(&mut conn, "begin isolation level repeatable read read only")
            .await
            .map_err(Problem::of_postgres)
            .map_err(what())?;
        let limit = sqlx::query("select set_config('lock_timeout', $1, true)").persistent(false);
        let limit = limit.bind(lock_timeout_ms.to_string()).execute(&mut conn).await;
        limit.map_err(Problem::of_postgres).map_err(what())?;
        let sql = "select pg_export_snapshot(), \
                   to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
        let row = one(&mut conn, sql).await.map_err(what())?;
        let read = || -> Result<(String, String), sqlx::Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let (id, taken) = read().map_err(Problem::of_postgres).map_err(what())?;
        let counters = counters(&mut conn).await.map_err(what())?;
        Ok(Self { conn, id, taken, counters })
    }

    /// Tables that the runbook names, as the server writes their names.
    ///
    /// # Errors
    /// There is no such table.
    pub async fn named(&mut self, names: &[String]) -> Result<Vec<String>, DeskError> {
        let mut found = Vec::new();
        for name in names {
            let sql = "select format('%I.%I', n.nspname, c.relname) from pg_class c \
                       join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::regclass and c.relkind = 'r'";
            let row = sqlx::query(sql).persistent(false).bind(name.clone()).fetch_one(&mut self.conn).await;
            let name = row.and_then(|row| row.try_get(0)).map_err(Problem::of_postgres);
            found.push(name.map_err(DeskError::of("a table that `exclude` names is not to be had"))?);
        }
        Ok(found)
    }

    /// The rows of every table, exactly.
    ///
    /// # Errors
    /// A table cannot be read: it is locked, or the role may not.
    pub async fn count(&mut self) -> Result<Vec<TableRows>, DeskError> {
        let mut rows = Vec::new();
        for (_, name) in tables(&mut self.conn).await? {
            rows.push(TableRows { rows: count(&mut self.conn, &name).await?, name });
        }
        Ok(rows)
    }

    pub async fn close(self) {
        // Whatever the server makes of the goodbye: nothing was written.
        let _ = self.conn.close().await;
    }
}
