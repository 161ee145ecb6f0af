//! A backup of SQLite: a copy of its file, made and proven by SQLite itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row};
use tracing::log::LevelFilter;

use super::DeskError;
use crate::run::dump::TableRows;
use crate::target::problem::Problem;
use crate::target::raw;

/// A copy that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub tables: Vec<TableRows>,
    /// By this machine's clock, as `2024-01-31T08:00:00Z`.
    pub taken: String,
}

/// The file that commands are handed; none: the target is no file.
pub fn sqlite_file(env: &BTreeMap<String, String>) -> Option<&str> {
    env.get("GONOGO_SQLITE").map(String::as_str)
}

/// Copies `from` into the new file `to` as it is at one moment, and checks the copy whole.
///
/// # Errors
/// SQLite refuses, or finds the copy damaged.
pub async fn copy(from: &str, to: &Path, patience: Duration) -> Result<Copy, DeskError> {
    let mut conn = open(Path::new(from), patience).await?;
    let taken = sqlx::query("select strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").fetch_one(&mut conn).await;
    let taken = taken.and_then(|row| row.try_get(0)).map_err(said("the file does not answer"))?;
    let vacuum = sqlx::query("vacuum into ?").bind(to.display().to_string()).execute(&mut conn).await;
    vacuum.map_err(said("the copy could not be made"))?;
    let _ = conn.close().await;
    Ok(Copy { tables: checked(to, patience).await?, taken })
}

/// Reads a copy whole; the rows of its tables.
pub(super) async fn checked(copy: &Path, patience: Duration) -> Result<Vec<TableRows>, DeskError> {
    let mut copy = open(copy, patience).await?;
    let checked = sqlx::query("pragma integrity_check").fetch_all(&mut copy).await;
    let read = |rows: Vec<SqliteRow>| rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>();
    let verdict = checked.and_then(read).map_err(said("the copy could not be checked"))?;
    if verdict != ["ok"] {
        let why = verdict.first().cloned().unwrap_or_default();
        return Err(DeskError { what: "the copy is damaged".to_owned(), why, code: None });
    }
    let tables = count(&mut copy).await?;
    let _ = copy.close().await;
    Ok(tables)
}

pub(super) async fn count(conn: &mut SqliteConnection) -> Result<Vec<TableRows>, DeskError> {
    let sql = "select name, '\"' || replace(name, '\"', '\"\"') || '\"' from sqlite_schema \
               where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name not like 'gonogo\\_%' escape '\\' \
               order by name";
    let what = "the rows of the copy could not be counted";
    let names = sqlx::query(sql).fetch_all(&mut *conn).await.map_err(said(what))?;
    let mut rows = Vec::new();
    for row in names {
        let name: String = row.try_get(0).map_err(said(what))?;
        let quoted: String = row.try_get(1).map_err(said(what))?;
        let counted = raw::query::<sqlx::Sqlite>(&format!("select count(*) from {quoted}")).fetch_one(&mut *conn).await;
        let counted: i64 = counted.and_then(|row| row.try_get(0)).map_err(said(what))?;
        rows.push(TableRows { name, rows: counted.unsigned_abs() });
    }
    Ok(rows)
}

pub(super) async fn open(path: &Path, patience: Duration) -> Result<SqliteConnection, DeskError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(patience)
        .foreign_keys(false)
        .statement_cache_capacity(0)
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Off, Duration::ZERO);
    SqliteConnection::connect_with(&options).await.map_err(said("the file cannot be opened"))
}

pub(super) fn said(what: &str) -> impl FnOnce(sqlx::Error) -> DeskError {
    let what = what.to_owned();
    move |error| DeskError::of(what)(Problem::of_sqlite(error))
}
