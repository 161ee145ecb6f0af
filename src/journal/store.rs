//! The SQLite file: how it is opened, what its one `run` row says, and its errors in our words.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row as _, SqliteConnection};

use super::chain::{Anchor, Row};
use super::error::JournalError;
use crate::run::event::FORMAT;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
/// As the first migration writes it into the file.
const APPLICATION: i64 = 1_735_288_687;

/// SQLite's result codes that mean something of their own to us.
const FULL: i32 = 13;
const NOT_A_DATABASE: i32 = 26;
/// No room to grow the shared memory file.
const SHM_FULL: i32 = 4874;

/// Readers block a writer only for the moments of a recovery or a checkpoint.
const BUSY: Duration = Duration::from_secs(10);

/// Errors of one journal file: they name it, and never print what the library would.
#[derive(Clone, Copy)]
pub(super) struct Blame<'a> {
    pub db: &'a Path,
}

impl<'a> Blame<'a> {
    /// `what` completes "cannot …".
    pub(super) fn of(self, what: &'static str) -> impl Fn(sqlx::Error) -> JournalError + 'a {
        move |error| self.words(what, &error)
    }

    fn words(self, what: &'static str, error: &sqlx::Error) -> JournalError {
        let code = code(error);
        match code {
            Some(FULL | SHM_FULL) => JournalError::Full { db: self.db.to_owned() },
            Some(NOT_A_DATABASE) => JournalError::NotAJournal {
                db: self.db.to_owned(),
                why: "its header is not that of an SQLite file, or was damaged".to_owned(),
            },
            _ => JournalError::Database { db: self.db.to_owned(), what, code, message: message(error) },
        }
    }
}

fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::RowNotFound => "a row that must be there is missing".to_owned(),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => "a value is not of its type".to_owned(),
        sqlx::Error::WorkerCrashed => "the thread that serves the file ended".to_owned(),
        _ => "the database library gave up".to_owned(),
    }
}

/// A connection for the writer: a commit returns when the disk has it.
pub(super) async fn open_writing(db: &Path) -> Result<SqliteConnection, JournalError> {
    let blame = Blame { db };
    let options = SqliteConnectOptions::new()
        .filename(db)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // A plain fsync on macOS stops at the drive's cache; elsewhere this says nothing.
        .pragma("fullfsync", "1")
        .busy_timeout(BUSY)
        .disable_statement_logging();
    let mut conn = options.connect().await.map_err(blame.of("open it"))?;
    MIGRATIONS.run(&mut conn).await.map_err(|error| migration(blame, error))?;
    Ok(conn)
}

fn migration(blame: Blame<'_>, error: MigrateError) -> JournalError {
    let why = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            return blame.words("prepare its tables", &error);
        }
        MigrateError::VersionMissing(version) => {
            format!("its tables are of version {version}, newer than this gonogo {}", env!("CARGO_PKG_VERSION"))
        }
        MigrateError::VersionMismatch(version) => {
            format!("its tables of version {version} were changed by another program")
        }
        MigrateError::Dirty(version) => format!("its tables of version {version} were made only in part"),
        _ => "its tables are not ours".to_owned(),
    };
    JournalError::NotAJournal { db: blame.db.to_owned(), why }
}

/// A connection that only reads. `still`: nobody writes, so no helper files are needed, nor made.
pub(super) async fn open_reading(db: &Path, still: bool) -> Result<SqliteConnection, JournalError> {
    let blame = Blame { db };
    let options = SqliteConnectOptions::new()
        .filename(db)
        .read_only(true)
        .immutable(still)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    let mut conn = options.connect().await.map_err(blame.of("open it"))?;
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut conn).await.map_err(blame.of("read its header"))?;
    if application != APPLICATION {
        return Err(JournalError::NotAJournal {
            db: db.to_owned(),
            why: "it is another program's SQLite file, or a run that was never opened".to_owned(),
        });
    }
    Ok(conn)
}

/// What the `run` row says.
pub(super) struct RunRow {
    /// The version of gonogo that took the run up last.
    pub program: String,
    pub id: String,
    pub epoch: i64,
    pub end: Anchor,
    pub summary: Option<String>,
}

/// The `run` row, where this program can read what stands beside it.
pub(super) async fn run_row(conn: &mut SqliteConnection, blame: Blame<'_>) -> Result<RunRow, JournalError> {
    let failed = blame.of("read its run");
    let row =
        sqlx::query("SELECT format, program FROM run").fetch_optional(&mut *conn).await.map_err(&failed)?.ok_or_else(
            || JournalError::NotAJournal { db: blame.db.to_owned(), why: "no run was ever opened in it".to_owned() },
        )?;
    let format: i64 = row.try_get(0).map_err(&failed)?;
    let program: String = row.try_get(1).map_err(&failed)?;
    if format != i64::from(FORMAT) {
        return Err(JournalError::Format { db: blame.db.to_owned(), format, program });
    }
    let row =
        sqlx::query("SELECT id, epoch, entries, head, summary FROM run").fetch_one(conn).await.map_err(&failed)?;
    let entries: i64 = row.try_get(2).map_err(&failed)?;
    let head: Vec<u8> = row.try_get(3).map_err(&failed)?;
    Ok(RunRow {
        program,
        id: row.try_get(0).map_err(&failed)?,
        epoch: row.try_get(1).map_err(&failed)?,
        end: Anchor {
            count: u64::try_from(entries).unwrap_or(0),
            // Of another length it cannot be: the schema checks it. Zeros fail every comparison but that of an empty journal.
            head: head.try_into().unwrap_or_default(),
        },
        summary: row.try_get(4).map_err(&failed)?,
    })
}

/// Up to `limit` rows after entry `after`, as bytes: a flipped bit must not be an error of the library.
pub(super) async fn rows(
    conn: &mut SqliteConnection,
    blame: Blame<'_>,
    after: u64,
    limit: u32,
) -> Result<Vec<Row>, JournalError> {
    const SQL: &str =
        "SELECT seq, CAST(json AS BLOB), CAST(hash AS BLOB) FROM entry WHERE seq > ? ORDER BY seq LIMIT ?";
    let failed = blame.of("read its entries");
    let rows = sqlx::query(SQL).bind(signed(after)).bind(limit).fetch_all(conn).await.map_err(&failed)?;
    let row =
        |row: sqlx::sqlite::SqliteRow| Ok(Row { seq: row.try_get(0)?, json: row.try_get(1)?, hash: row.try_get(2)? });
    rows.into_iter().map(row).collect::<Result<_, sqlx::Error>>().map_err(&failed)
}

/// Number and JSON of the entries whose kind is one of `kinds`, in order.
pub(super) async fn rows_of(
    conn: &mut SqliteConnection,
    blame: Blame<'_>,
    kinds: &[&str],
) -> Result<Vec<(i64, String)>, JournalError> {
    const SQL: &str = "SELECT seq, json FROM entry WHERE json ->> '$.event.kind' IN (SELECT value FROM json_each(?)) \
                       ORDER BY seq";
    let kinds = serde_json::Value::from(kinds).to_string();
    sqlx::query_as(SQL).bind(kinds).fetch_all(conn).await.map_err(blame.of("read its entries"))
}

/// SQLite counts signed; no journal comes near the end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Ends a connection; what is committed is safe without it.
pub(super) async fn close(conn: SqliteConnection, blame: Blame<'_>) -> Result<(), JournalError> {
    conn.close().await.map_err(blame.of("close it"))
}

/// How long a reader may keep the log from being folded into the file.
const FOLD: &str = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)";

/// Folds the log into the file, also where somebody reads it, so that the file alone is the whole journal.
pub(super) async fn fold(conn: &mut SqliteConnection, blame: Blame<'_>) -> Result<(), JournalError> {
    sqlx::raw_sql(FOLD).execute(conn).await.map(|_| ()).map_err(blame.of("fold its log into it"))
}

/// From here on nothing is folded: on a full disk the file would grow into the room that the log needs.
pub(super) async fn keep_log(conn: &mut SqliteConnection, blame: Blame<'_>) -> Result<(), JournalError> {
    let keep = sqlx::raw_sql("PRAGMA wal_autocheckpoint = 0").execute(conn).await;
    keep.map(|_| ()).map_err(blame.of("keep its log"))
}
