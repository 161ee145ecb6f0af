//! The ledger: a small schema in the target, in whose rows what committed proves itself. An attempt's row is written by its
//! own transaction; whoever resolves the attempt later writes a `fenced` row under the same key. Exactly one of them wins.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::line::Rows;
use super::session::Session;
use super::{Postgres, batch};
use crate::run::clean;
use crate::runbook::LedgerUse;
use crate::target::problem::Problem;
use crate::target::{Key, LedgerEntry, LedgerState, Resolution};

/// The schema, statement by statement, as it is shown before it is made.
pub const SCHEMA: &[&str] = &[
    "create schema gonogo",
    "comment on schema gonogo is 'gonogo: proofs of what runs did to this database. Remove: gonogo ledger drop'",
    "create table gonogo.about (\
       one boolean primary key default true check (one), \
       version integer not null, \
       environment text)",
    "create table gonogo.run (\
       run text primary key, \
       journal text not null, \
       epoch bigint not null, \
       owner text not null, \
       since timestamptz not null default clock_timestamp(), \
       ended timestamptz, \
       taken_over_by text)",
    "create table gonogo.attempt (\
       run text, step text, direction text, n integer, \
       status text not null check (status in ('done', 'fenced')), \
       epoch bigint not null, \
       xid text, \
       seq bigint not null, \
       head text not null, \
       written timestamptz not null default clock_timestamp(), \
       primary key (run, step, direction, n))",
    "create table gonogo.checkpoint (\
       run text, step text, direction text, n integer, \
       batch bigint not null, \
       reached text, \
       high text, \
       rows bigint not null, \
       written timestamptz not null default clock_timestamp(), \
       primary key (run, step, direction, n))",
];

/// Takes it away again.
pub const DROP: &str = "drop schema gonogo cascade";
/// The version of [`SCHEMA`].
pub const VERSION: i32 = 1;

const STATE: &str = "select exists (select from pg_namespace where nspname = 'gonogo')::text, \
    (to_regclass('gonogo.about') is not null and to_regclass('gonogo.run') is not null \
       and to_regclass('gonogo.attempt') is not null and to_regclass('gonogo.checkpoint') is not null)::text, \
    coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = 'gonogo'), false)::text";
const ABOUT: &str = "select version::text, environment, \
    (has_table_privilege('gonogo.attempt', 'select') and has_table_privilege('gonogo.attempt', 'insert') \
       and has_table_privilege('gonogo.run', 'insert') and has_table_privilege('gonogo.run', 'update') \
       and has_table_privilege('gonogo.checkpoint', 'insert') and has_table_privilege('gonogo.checkpoint', 'update'))::text \
    from gonogo.about";
const EPOCH: &str = "select epoch::text, coalesce(taken_over_by, owner) from gonogo.run where run = $1 for share";
const INSERT: &str = "insert into gonogo.attempt (run, step, direction, n, status, epoch, xid, seq, head) \
    values ($1, $2, $3, $4::text::integer, $5, $6::text::bigint, \
      case $5 when 'done' then pg_current_xact_id()::text end, $7::text::bigint, $8) \
    returning xid";
const READ: &str = "select status, xid, written::text from gonogo.attempt \
    where run = $1 and step = $2 and direction = $3 and n = $4::text::integer";

/// How long a fence waits for the transaction that still holds its key.
const ZOMBIE: Duration = Duration::from_secs(8);

/// An attempt's row as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub done: bool,
    pub xid: Option<String>,
    pub written: String,
}

/// Why an attempt may not begin.
#[derive(Debug)]
pub(super) enum Barred {
    /// Somebody else owns the run now; who.
    Stale(String),
    /// The attempt is closed already.
    Closed,
    Problem(Problem),
}

impl Postgres {
    /// Whether the ledger is there and usable by this role, asked now and remembered.
    pub async fn ledger_state(&self) -> Result<LedgerState, Problem> {
        let state = self.ask_ledger_state().await?;
        self.has_ledger
            .store(matches!(state, LedgerState::Ready { .. }) && self.ledger != LedgerUse::Never, Ordering::Relaxed);
        Ok(state)
    }

    async fn ask_ledger_state(&self) -> Result<LedgerState, Problem> {
        let unusable = |why: &str| Ok(LedgerState::Unusable { why: why.to_owned() });
        let [schema, tables, usage] = first(self.control.ask(STATE, &[]).await?);
        match (schema.as_deref(), usage.as_deref(), tables.as_deref()) {
            (Some("true"), Some("true"), Some("true")) => {}
            (Some("true"), Some("true"), _) => {
                return unusable("there is a schema named gonogo, and it is not the ledger of this program");
            }
            (Some("true"), _, _) => return unusable("this role may not use the schema gonogo"),
            _ => return Ok(LedgerState::Absent),
        }
        let [version, environment, writes] = match self.control.ask(ABOUT, &[]).await {
            Ok(rows) => first(rows),
            Err(problem) if problem.is_code("42501") => return unusable("this role may not read the schema gonogo"),
            Err(problem) => return Err(problem),
        };
        match version.as_deref() {
            Some(version) if version == VERSION.to_string() => {}
            Some(other) => {
                return unusable(&format!("its version is {other}, this program knows {VERSION}"));
            }
            None => return unusable("its table about is empty"),
        }
        if writes.as_deref() != Some("true") {
            return unusable("this role may not write the tables of the schema gonogo");
        }
        Ok(LedgerState::Ready { environment })
    }

    /// True where attempts prove themselves by a row of their own.
    pub fn has_ledger(&self) -> bool {
        self.has_ledger.load(Ordering::Relaxed)
    }

    /// Runs that have not ended, as the ledger knows them: one sentence each.
    pub async fn ledger_runs(&self) -> Result<Vec<String>, Problem> {
        let sql = "select run, owner, to_char(since at time zone 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"'), \
                     coalesce('taken over by ' || taken_over_by, 'not ended') \
                   from gonogo.run where ended is null order by since";
        let words = |row: Vec<Option<String>>| {
            let cell = |n: usize| clean::line(row.get(n).and_then(Option::as_deref).unwrap_or("?"), 120);
            format!("{}: {}, since {}, {}", cell(0), cell(1), cell(2), cell(3))
        };
        Ok(self.control.ask(sql, &[]).await?.into_iter().map(words).collect())
    }

    /// Makes the schema, all or nothing. One that is there already stays as it is.
    pub async fn create_ledger(&self, environment: &str) -> Result<(), Problem> {
        if self.ledger_state().await? != LedgerState::Absent {
            return Ok(());
        }
        let mut session = Session::open(self, "ledger").await?;
        let made = make(&mut session, environment).await;
        session.close().await;
        let now = self.ledger_state().await?;
        // Another engine may have been faster.
        if matches!(now, LedgerState::Ready { .. }) { Ok(()) } else { made }
    }

    /// Takes the schema away with every proof in it.
    pub async fn drop_ledger(&self) -> Result<(), Problem> {
        let mut session = Session::open(self, "ledger").await?;
        let dropped = session.command(DROP).await;
        session.close().await;
        self.ledger_state().await?;
        dropped
    }

    /// Of `keys`, those whose `done` row is not there: after a failover, what the new server never got.
    pub async fn missing(&self, keys: &[Key]) -> Result<Vec<Key>, Problem> {
        let mut missing = Vec::new();
        for key in keys {
            let rows = self.control.ask(READ, &args(key).each_ref().map(String::as_str)).await?;
            if row(rows).is_none_or(|row| !row.done) {
                missing.push(key.clone());
            }
        }
        Ok(missing)
    }

    /// Of batched attempts, those whose checkpoint is not as far as this run was told.
    pub async fn behind(&self, walked: &[(Key, u64)]) -> Result<Vec<Key>, Problem> {
        let mut behind = Vec::new();
        for (key, batches) in walked {
            let [batch] = first(self.control.ask(batch::FIND, &args(key).each_ref().map(String::as_str)).await?);
            if batch.and_then(|batch| batch.parse::<u64>().ok()).is_none_or(|batch| batch < *batches) {
                behind.push(key.clone());
            }
        }
        Ok(behind)
    }

    /// Decides an attempt by writing: the `fenced` row competes with the attempt's own for one key.
    pub(super) async fn fence(&self, key: &Key) -> Resolution {
        match self.try_fence(key).await {
            Ok(resolution) => resolution,
            Err(problem) if problem.is_code("55P03") || problem.is_code("57014") => {
                Resolution::Open(format!("its transaction still holds its key in the ledger{}", self.zombie(key).await))
            }
            Err(problem) if problem.is_code("25006") => Resolution::Open(
                "the server is read-only now (a failover?), so nothing can be decided there".to_owned(),
            ),
            Err(problem) => Resolution::Open(format!("the ledger cannot be asked: {}", problem.words())),
        }
    }

    async fn try_fence(&self, key: &Key) -> Result<Resolution, Problem> {
        let mut session = Session::open_anywhere(self, "resolver").await?;
        session.set("lock_timeout", ZOMBIE).await?;
        let entry = LedgerEntry { key: key.clone(), seq: 0, head: String::new() };
        let resolution = match insert(&mut session, &entry, self.epoch(), "fenced").await {
            Ok(_) => Ok(Resolution::NotDone(
                "its key in the ledger is fenced: it did not commit, and no longer can".to_owned(),
            )),
            Err(problem) if problem.is_code("23505") => match read(&mut session, key).await? {
                Some(row) if row.done => {
                    Ok(Resolution::Done(format!("the ledger has its row, written {}", row.written)))
                }
                Some(_) => Ok(Resolution::NotDone("its key in the ledger was fenced before".to_owned())),
                None => Ok(Resolution::Open("the ledger changed while it was asked".to_owned())),
            },
            Err(problem) => Err(problem),
        };
        session.close().await;
        resolution
    }

    /// The session that still holds it, in words.
    async fn zombie(&self, key: &Key) -> String {
        let looks = self.look_for(&key.attempt.to_string(), None).await.unwrap_or_default();
        let words =
            looks.iter().map(|look| format!("pid {} {}: {}", look.pid, look.state, clean::line(&look.query, 60)));
        let words: Vec<String> = words.collect();
        if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) }
    }
}

async fn make(session: &mut Session, environment: &str) -> Result<(), Problem> {
    session.command("begin").await?;
    for sql in SCHEMA {
        session.command(sql).await?;
    }
    let about =
        "insert into gonogo.about (version, environment) values ($1::text::integer, $2) returning version::text";
    session.rows(about, &[&VERSION.to_string(), environment]).await?;
    session.command("commit").await
}

/// Checks in the open transaction that the run is still ours, and keeps it so until the transaction ends.
async fn held(session: &mut Session, run: &str, epoch: u64) -> Result<(), Barred> {
    if epoch == 0 {
        return Ok(());
    }
    let [held, owner] = first(session.rows(EPOCH, &[run]).await.map_err(Barred::Problem)?);
    match held {
        Some(held) if held == epoch.to_string() => Ok(()),
        _ => Err(Barred::Stale(owner.unwrap_or_else(|| "nobody knows whom".to_owned()))),
    }
}

/// As [`held`], for work that writes no row of its own.
pub(super) async fn holds(session: &mut Session, run: &str, epoch: u64) -> Result<(), Problem> {
    held(session, run, epoch).await.map_err(|barred| match barred {
        Barred::Stale(owner) => stale(&owner),
        Barred::Closed => Problem::own("it is closed already"),
        Barred::Problem(problem) => problem,
    })
}

/// The run belongs to somebody else now.
pub(super) fn stale(owner: &str) -> Problem {
    Problem {
        hint: Some("this engine must not touch the database any more: let go of the run".to_owned()),
        ..Problem::own(format!("the run was taken over by {owner}"))
    }
}

/// Checks that the run is still ours and writes the attempt's row, in the open transaction; returns its number.
pub(super) async fn claim(session: &mut Session, entry: &LedgerEntry, epoch: u64) -> Result<String, Barred> {
    held(session, &entry.key.run, epoch).await?;
    match insert(session, entry, epoch, "done").await {
        Ok(Some(xid)) => Ok(xid),
        Ok(None) => Err(Barred::Problem(Problem::own("the ledger did not take the attempt's row"))),
        Err(problem) if problem.is_code("23505") => Err(Barred::Closed),
        Err(problem) => Err(Barred::Problem(problem)),
    }
}

async fn insert(
    session: &mut Session,
    entry: &LedgerEntry,
    epoch: u64,
    status: &str,
) -> Result<Option<String>, Problem> {
    let [run, step, direction, n] = args(&entry.key);
    let (epoch, seq) = (epoch.to_string(), entry.seq.to_string());
    let values = [&run, &step, &direction, &n, status, &epoch, &seq, &entry.head];
    let [xid] = first(session.rows(INSERT, &values).await?);
    Ok(xid)
}

/// The attempt's row; none: it has none.
pub(super) async fn read(session: &mut Session, key: &Key) -> Result<Option<Row>, Problem> {
    Ok(row(session.rows(READ, &args(key).each_ref().map(String::as_str)).await?))
}

fn row(rows: Rows) -> Option<Row> {
    let mut row = rows.into_iter().next()?.into_iter();
    let status = row.next()??;
    Some(Row { done: status == "done", xid: row.next()?, written: row.next()?.unwrap_or_default() })
}

fn args(key: &Key) -> [String; 4] {
    let Key { run, attempt } = key;
    [run.clone(), attempt.step.0.clone(), key.direction().to_owned(), attempt.n.to_string()]
}

/// The first row's first cells.
pub(super) fn first<const N: usize>(rows: Rows) -> [Option<String>; N] {
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
    std::array::from_fn(|_| row.next().flatten())
}
