//! The ledger in a SQLite file: as in PostgreSQL, an attempt's row is written by its own transaction, and whoever resolves
//! the attempt later competes for the same key.

use std::sync::atomic::Ordering;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::{Sqlite, SqliteMode, batch};
use crate::run::event::{Grip, Proof};
use crate::run::facts::Judged;
use crate::runbook::LedgerUse;
use crate::target::problem::Problem;
use crate::target::{Key, LedgerEntry, LedgerState, Past, Resolution, raw};

/// The tables, statement by statement, as they are shown before they are made.
pub const SCHEMA: &[&str] = &[
    "create table gonogo_about (one integer primary key check (one = 1), version integer not null, environment text)",
    "create table gonogo_attempt (\
       run text, step text, direction text, n integer, \
       status text not null check (status in ('done', 'fenced')), \
       seq integer not null, \
       head text not null, \
       written text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')), \
       primary key (run, step, direction, n)) without rowid",
    "create table gonogo_checkpoint (\
       run text, step text, direction text, n integer, \
       batch integer not null, \
       reached text, \
       high text, \
       rows integer not null, \
       written text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')), \
       primary key (run, step, direction, n)) without rowid",
];
pub const DROP: &[&str] = &["drop table gonogo_checkpoint", "drop table gonogo_attempt", "drop table gonogo_about"];
const VERSION: i32 = 1;

const NEVER_SENT: &str = "its COMMIT was never sent: the file takes back what was written";

impl Sqlite {
    /// Whether the tables are in the file, asked now and remembered.
    pub async fn ledger_state(&self) -> Result<LedgerState, Problem> {
        let mut conn = self.connect().await?;
        let state = state(&mut conn).await;
        // Nothing was written: what its end says does not matter.
        let _ = conn.close().await;
        let state = state?;
        self.has_ledger
            .store(matches!(state, LedgerState::Ready { .. }) && self.ledger != LedgerUse::Never, Ordering::Relaxed);
        Ok(state)
    }

    pub async fn create_ledger(&self, environment: &str) -> Result<(), Problem> {
        if self.ledger_state().await? != LedgerState::Absent {
            return Ok(());
        }
        let mut conn = self.connect().await?;
        raw::command(&mut conn, "begin immediate").await.map_err(Problem::of_sqlite)?;
        // Another engine may have been faster.
        if state(&mut conn).await? == LedgerState::Absent {
            for sql in SCHEMA {
                raw::command(&mut conn, sql).await.map_err(Problem::of_sqlite)?;
            }
            sqlx::query("insert into gonogo_about (one, version, environment) values (1, ?, ?)")
                .bind(VERSION)
                .bind(environment)
                .execute(&mut conn)
                .await
                .map_err(Problem::of_sqlite)?;
        }
        raw::command(&mut conn, "commit").await.map_err(Problem::of_sqlite)?;
        let _ = conn.close().await;
        self.ledger_state().await.map(|_| ())
    }

    pub async fn drop_ledger(&self) -> Result<(), Problem> {
        let mut conn = self.connect().await?;
        raw::command(&mut conn, "begin immediate").await.map_err(Problem::of_sqlite)?;
        for sql in DROP {
            raw::command(&mut conn, sql).await.map_err(Problem::of_sqlite)?;
        }
        raw::command(&mut conn, "commit").await.map_err(Problem::of_sqlite)?;
        let _ = conn.close().await;
        self.ledger_state().await.map(|_| ())
    }

    /// The file's ledger, made where the runbook says so. A file has no owner.
    pub async fn enrol(&self, environment: &str) -> Result<Grip, String> {
        let words = |problem: Problem| format!("the ledger in the file: {}", problem.words());
        let mut state = self.ledger_state().await.map_err(words)?;
        if state == LedgerState::Absent && self.ledger == LedgerUse::Create && self.mode != SqliteMode::ReadOnly {
            self.create_ledger(environment).await.map_err(words)?;
            state = self.ledger_state().await.map_err(words)?;
        }
        let proof = match state {
            LedgerState::Unusable { why } => Proof::Weaker { why },
            _ if self.has_ledger() => Proof::Ledger,
            _ => Proof::Weaker { why: "there is no ledger in this file".to_owned() },
        };
        Ok(Grip { proof, ..Grip::default() })
    }

    /// True where attempts prove themselves by a row of their own.
    pub fn has_ledger(&self) -> bool {
        self.has_ledger.load(Ordering::Relaxed)
    }

    pub async fn missing(&self, keys: &[Key]) -> Result<Vec<Key>, Problem> {
        let mut conn = self.connect().await?;
        let mut missing = Vec::new();
        for key in keys {
            if read(&mut conn, key).await?.is_none_or(|(status, _)| status != "done") {
                missing.push(key.clone());
            }
        }
        let _ = conn.close().await;
        Ok(missing)
    }

    pub async fn behind(&self, walked: &[(Key, u64)]) -> Result<Vec<Key>, Problem> {
        let mut conn = self.connect().await?;
        let mut behind = Vec::new();
        for (key, batches) in walked {
            let (step, n) = (&key.attempt.step.0, i64::from(key.attempt.n));
            let query =
                sqlx::query_scalar::<_, i64>(batch::FIND).bind(&key.run).bind(step).bind(key.direction()).bind(n);
            let batch = query.fetch_optional(&mut conn).await.map_err(Problem::of_sqlite)?;
            if batch.and_then(|batch| u64::try_from(batch).ok()).is_none_or(|batch| batch < *batches) {
                behind.push(key.clone());
            }
        }
        let _ = conn.close().await;
        Ok(behind)
    }

    pub async fn resolve(&self, key: &Key, past: &Past) -> Resolution {
        match &past.judged {
            None if !self.has_ledger() => Resolution::NotDone(NEVER_SENT.to_owned()),
            Some(Judged { ledger: false, .. }) => {
                Resolution::Open("its COMMIT was sent, and without a ledger the file does not tell".to_owned())
            }
            _ if !self.has_ledger() => Resolution::Open("the file has no usable ledger any more".to_owned()),
            judged => match (self.fence(key).await, judged) {
                (Ok(Resolution::NotDone(_)), None) => Resolution::NotDone(format!("{NEVER_SENT}; its key is fenced")),
                (Ok(resolution), _) => resolution,
                (Err(problem), _) => Resolution::Open(format!("the file cannot be asked: {}", problem.words())),
            },
        }
    }

    /// Decides by writing: whoever holds the file's write lock is waited for.
    async fn fence(&self, key: &Key) -> Result<Resolution, Problem> {
        let mut conn = self.connect().await?;
        raw::command(&mut conn, "begin immediate").await.map_err(Problem::of_sqlite)?;
        let resolution = match read(&mut conn, key).await? {
            Some((status, written)) if status == "done" => {
                Resolution::Done(format!("the ledger in the file has its row, written {written}"))
            }
            Some(_) => Resolution::NotDone("its key in the ledger was fenced before".to_owned()),
            None => {
                let entry = LedgerEntry { key: key.clone(), seq: 0, head: String::new() };
                insert(&mut conn, &entry, "fenced").await?;
                Resolution::NotDone("its key in the ledger is fenced: it did not commit".to_owned())
            }
        };
        raw::command(&mut conn, "commit").await.map_err(Problem::of_sqlite)?;
        let _ = conn.close().await;
        Ok(resolution)
    }
}

async fn state(conn: &mut SqliteConnection) -> Result<LedgerState, Problem> {
    let tables =
        sqlx::query("select count(*) from sqlite_schema where name like 'gonogo\\_%' escape '\\' and type = 'table'")
            .fetch_one(&mut *conn)
            .await
            .map_err(Problem::of_sqlite)?;
    let unusable = |why: &str| Ok(LedgerState::Unusable { why: why.to_owned() });
    match tables.try_get::<i64, _>(0).map_err(Problem::of_sqlite)? {
        0 => return Ok(LedgerState::Absent),
        3 => {}
        _ => return unusable("the file has tables named gonogo_…, and they are not the ledger of this program"),
    }
    let about = sqlx::query("select version, environment from gonogo_about").fetch_optional(conn).await;
    let Ok(Some(about)) = about else { return unusable("its table gonogo_about cannot be read") };
    if about.try_get::<i32, _>(0).ok() != Some(VERSION) {
        return unusable("its version is not the one that this program knows");
    }
    Ok(LedgerState::Ready { environment: about.try_get(1).map_err(Problem::of_sqlite)? })
}

/// Writes the attempt's row in the open transaction.
pub(super) async fn claim(conn: &mut SqliteConnection, entry: &LedgerEntry) -> Result<(), Problem> {
    insert(conn, entry, "done").await.map_err(|problem| match problem.code.as_deref() {
        Some("1555" | "2067") => Problem::own("this attempt is closed already: its key in the ledger is taken"),
        _ => problem,
    })
}

async fn insert(conn: &mut SqliteConnection, entry: &LedgerEntry, status: &str) -> Result<(), Problem> {
    let Key { run, attempt } = &entry.key;
    let sql = "insert into gonogo_attempt (run, step, direction, n, status, seq, head) values (?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(run)
        .bind(&attempt.step.0)
        .bind(entry.key.direction())
        .bind(attempt.n)
        .bind(status)
        .bind(entry.seq.cast_signed())
        .bind(&entry.head)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(Problem::of_sqlite)
}

/// The status of the attempt's row, and when it was written.
async fn read(conn: &mut SqliteConnection, key: &Key) -> Result<Option<(String, String)>, Problem> {
    let sql = "select status, written from gonogo_attempt where run = ? and step = ? and direction = ? and n = ?";
    let row = sqlx::query(sql)
        .bind(&key.run)
        .bind(&key.attempt.step.0)
        .bind(key.direction())
        .bind(key.attempt.n)
        .fetch_optional(conn)
        .await
        .map_err(Problem::of_sqlite)?;
    let Some(row) = row else { return Ok(None) };
    let cell = |i: usize| row.try_get::<String, _>(i).map_err(Problem::of_sqlite);
    Ok(Some((cell(0)?, cell(1)?)))
}
