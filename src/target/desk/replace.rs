//! A restore of SQLite: everything that a file holds goes, and the content of a copy comes, in one transaction of that file.

use std::path::Path;
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::DeskError;
use super::sqlite::{checked, count, open, said};
use crate::run::dump::TableRows;
use crate::runbook::sql::names::ident;
use crate::target::raw;

/// The copy beside the file, on the connection that writes.
const ARCHIVE: &str = "gonogo_archive";
/// What SQLite and this program keep for themselves stays.
const OWN: &str = "name not like 'sqlite\\_%' escape '\\' and tbl_name not like 'gonogo\\_%' escape '\\'";
const FAILED: &str = "the copy could not be put in place";

/// Everything is in its place and not committed yet.
pub struct Replaced {
    conn: SqliteConnection,
    pub tables: Vec<TableRows>,
}

/// Puts what the copy `from` holds in the place of everything in the file `database`. Nothing of it stays without
/// [`Replaced::commit`]. `patience`: how long others' locks are waited for.
///
/// # Errors
/// The copy is damaged, the file is locked, or one of them holds virtual tables; the file is as it was.
pub async fn replace(database: &str, from: &Path, patience: Duration) -> Result<Replaced, DeskError> {
    checked(from, patience).await?;
    let mut conn = open(Path::new(database), patience).await?;
    let archive = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    let attached =
        sqlx::query("attach ? as gonogo_archive").bind(archive.display().to_string()).execute(&mut conn).await;
    attached.map_err(said("the copy cannot be opened"))?;
    // What the copy holds was let in once: it comes back as it is.
    for pragma in ["foreign_keys = off", "ignore_check_constraints = on"] {
        run(&mut conn, &format!("pragma {pragma}")).await?;
    }
    run(&mut conn, "begin immediate").await?;
    no_virtual_tables(&mut conn).await?;
    clear(&mut conn).await?;
    fill(&mut conn).await?;
    let tables = count(&mut conn).await?;
    Ok(Replaced { conn, tables })
}

impl Replaced {
    /// # Errors
    /// SQLite refused, as where somebody reads for too long: nothing was committed.
    pub async fn commit(mut self) -> Result<(), DeskError> {
        // Without it the connection's end takes everything back.
        run(&mut self.conn, "commit").await
    }
}

/// Their rows lie in tables that only their module may write.
async fn no_virtual_tables(conn: &mut SqliteConnection) -> Result<(), DeskError> {
    let both = format!(
        "select name from main.sqlite_schema where sql like 'create virtual table%' \
         union select name from {ARCHIVE}.sqlite_schema where sql like 'create virtual table%'"
    );
    let names = texts(conn, &both).await?;
    if names.is_empty() {
        return Ok(());
    }
    let why = format!("virtual tables cannot be restored in one transaction: {}", names.join(", "));
    Err(DeskError { what: FAILED.to_owned(), why, code: None })
}

async fn clear(conn: &mut SqliteConnection) -> Result<(), DeskError> {
    for kind in ["trigger", "view", "table"] {
        let names =
            texts(conn, &format!("select name from main.sqlite_schema where type = '{kind}' and {OWN}")).await?;
        for name in names {
            run(conn, &format!("drop {kind} main.{}", ident(&name))).await?;
        }
    }
    Ok(())
}

/// Tables and their rows first: neither indexes nor triggers are to work for them.
async fn fill(conn: &mut SqliteConnection) -> Result<(), DeskError> {
    let listed = |what: &str, kind: &str| {
        format!(
            "select {what} from {ARCHIVE}.sqlite_schema where type = '{kind}' and sql is not null and {OWN} order by rowid"
        )
    };
    for sql in texts(conn, &listed("sql", "table")).await? {
        run(conn, &sql).await?;
    }
    for name in texts(conn, &listed("name", "table")).await? {
        let literal = name.replace('\'', "''");
        // Generated columns generate themselves.
        let columns = format!("select name from pragma_table_xinfo('{literal}', '{ARCHIVE}') where hidden = 0");
        let columns: Vec<String> = texts(conn, &columns).await?.iter().map(|name| ident(name)).collect();
        let (table, columns) = (ident(&name), columns.join(", "));
        run(conn, &format!("insert into main.{table} ({columns}) select {columns} from {ARCHIVE}.{table}")).await?;
    }
    sequences(conn).await?;
    for kind in ["index", "view", "trigger"] {
        for sql in texts(conn, &listed("sql", kind)).await? {
            run(conn, &sql).await?;
        }
    }
    for pragma in ["user_version", "application_id"] {
        let row = raw::query::<sqlx::Sqlite>(&format!("pragma {ARCHIVE}.{pragma}")).fetch_one(&mut *conn).await;
        let value: i64 = row.and_then(|row| row.try_get(0)).map_err(said(FAILED))?;
        run(conn, &format!("pragma main.{pragma} = {value}")).await?;
    }
    let analyzed = format!("select name from {ARCHIVE}.sqlite_schema where name = 'sqlite_stat1'");
    if !texts(conn, &analyzed).await?.is_empty() {
        run(conn, "analyze main").await?;
    }
    Ok(())
}

/// The last numbers that were given out (`autoincrement`).
async fn sequences(conn: &mut SqliteConnection) -> Result<(), DeskError> {
    let there = |schema: &str| format!("select name from {schema}.sqlite_schema where name = 'sqlite_sequence'");
    if texts(conn, &there("main")).await?.is_empty() || texts(conn, &there(ARCHIVE)).await?.is_empty() {
        return Ok(());
    }
    run(conn, "delete from main.sqlite_sequence where name not like 'gonogo\\_%' escape '\\'").await?;
    run(conn, &format!("insert into main.sqlite_sequence select * from {ARCHIVE}.sqlite_sequence where name not like 'gonogo\\_%' escape '\\'"))
        .await
}

async fn run(conn: &mut SqliteConnection, sql: &str) -> Result<(), DeskError> {
    raw::query::<sqlx::Sqlite>(sql).execute(conn).await.map(|_| ()).map_err(said(FAILED))
}

/// The first column of every row.
async fn texts(conn: &mut SqliteConnection, sql: &str) -> Result<Vec<String>, DeskError> {
    let rows = raw::query::<sqlx::Sqlite>(sql).fetch_all(conn).await.map_err(said(FAILED))?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(said(FAILED))
}
