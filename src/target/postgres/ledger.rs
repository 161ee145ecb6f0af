//! The ledger: a small schema in the target, in whose rows what committed proves itself. An attempt's row is written by its
//! own transaction; whoever resolves the attempt later writes a `fenced` row under the same key. Exactly one of them wins.

use sqlx::{Connection, PgConnection};

use super::guard::answer;
use super::{Postgres, line};
use crate::run::clean;
use crate::target::problem::Problem;
use crate::target::{LedgerState, TargetError, label, raw};

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
       run text, step text, direction text, \
       batch bigint not null, \
       reached text, \
       high text, \
       rows bigint not null, \
       written timestamptz not null default clock_timestamp(), \
       primary key (run, step, direction))",
];

/// Takes it away again.
pub const DROP: &str = "drop schema gonogo cascade";
/// The version of [`SCHEMA`].
pub const VERSION: i32 = 1;

impl Postgres {
    pub async fn ledger_state(&self) -> Result<LedgerState, TargetError> {
        let unread = |problem: Problem| self.ledger_error("the ledger was not looked for", &problem);
        let there = "select 1::text from pg_namespace where nspname = 'gonogo'";
        if self.control.ask(there, &[]).await.map_err(unread)?.is_empty() {
            return Ok(LedgerState::Absent);
        }
        let unusable = |why: String| Ok(LedgerState::Unusable { why });
        let about = match self.control.ask("select version::text, environment from gonogo.about", &[]).await {
            Ok(rows) => rows,
            Err(problem) if problem.lost => return Err(unread(problem)),
            Err(problem) => return unusable(format!("its ledger cannot be read: {}", problem.words())),
        };
        let Some([Some(version), environment]) = about.first().map(Vec::as_slice) else {
            return unusable("its ledger says nothing about itself".to_owned());
        };
        if *version != VERSION.to_string() {
            let version = clean::line(version, 20);
            return unusable(format!("its ledger is of version {version}, this gonogo knows version {VERSION}"));
        }
        let may = "select bool_and(has_table_privilege(t, 'select') and has_table_privilege(t, 'insert') \
                     and has_table_privilege(t, 'update'))::text \
                   from unnest(array['gonogo.run', 'gonogo.attempt', 'gonogo.checkpoint']) t";
        match self.control.ask(may, &[]).await {
            Ok(rows) if rows.first().and_then(|row| row.first()).cloned().flatten().as_deref() == Some("true") => {
                Ok(LedgerState::Ready { environment: environment.clone() })
            }
            Ok(_) => unusable("this role may not write to its ledger".to_owned()),
            Err(problem) => unusable(format!("its ledger is not whole: {}", problem.words())),
        }
    }

    pub async fn create_ledger(&self, environment: &str) -> Result<(), TargetError> {
        let made = async {
            let mut conn = self.ledger_session().await?;
            let work = async {
                let mut tx = conn.begin().await?;
                for sql in SCHEMA {
                    raw::command(&mut *tx, sql).await?;
                }
                sqlx::query("insert into gonogo.about (version, environment) values ($1, $2)")
                    .persistent(false)
                    .bind(VERSION)
                    .bind(environment)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await
            };
            answer(work).await
        };
        made.await.map_err(|problem| self.ledger_error("the ledger was not made", &problem))
    }

    pub async fn drop_ledger(&self) -> Result<(), TargetError> {
        let dropped = async {
            let mut conn = self.ledger_session().await?;
            answer(raw::command(&mut conn, DROP)).await
        };
        dropped.await.map_err(|problem| self.ledger_error("the ledger was not dropped", &problem))
    }

    pub async fn ledger_runs(&self) -> Result<Vec<String>, TargetError> {
        let sql = "select run, owner, to_char(since at time zone 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"'), \
                     coalesce('taken over by ' || taken_over_by, 'not ended') \
                   from gonogo.run where ended is null order by since";
        let rows = self.control.ask(sql, &[]).await;
        let rows = rows.map_err(|problem| self.ledger_error("the ledger could not be read", &problem))?;
        let words = |row: Vec<Option<String>>| {
            let cell = |n: usize| clean::line(row.get(n).and_then(Option::as_deref).unwrap_or("?"), 120);
            format!("{}: {}, since {}, {}", cell(0), cell(1), cell(2), cell(3))
        };
        Ok(rows.into_iter().map(words).collect())
    }

    async fn ledger_session(&self) -> Result<PgConnection, Problem> {
        let mut conn = line::connect(&self.address, &label::compose(&self.base, "ledger")).await?;
        answer(raw::command(&mut conn, "set lock_timeout = '3s'")).await?;
        Ok(conn)
    }

    fn ledger_error(&self, what: &str, problem: &Problem) -> TargetError {
        TargetError::Ask { target: self.name.clone(), what: what.to_owned(), why: problem.words() }
    }
}
