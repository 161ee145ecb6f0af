//! A walk in batches through a table of a SQLite file: each batch takes the file's write lock at once and moves its
//! checkpoint in its own transaction.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::time::sleep;

use super::gate::Gate;
use super::{Sqlite, row};
use crate::failpoint;
use crate::run::{BatchOrder, limits};
use crate::runbook::Health;
use crate::runbook::batch::{parts, quoted};
use crate::target::batch::vitals::Vitals;
use crate::target::batch::{BatchJob, Checkpoint, Estimate, Ground, Snag, Step, answer, unproven};
use crate::target::problem::Problem;
use crate::target::{Key, raw};

/// How long the batch under way may still come to its end before it is interrupted.
const GRACE: Duration = Duration::from_secs(3);
/// Rows behind the last key that are counted.
const BORN: u32 = 10_000;
/// SQLite's primary codes: another process or connection holds the lock, an interrupt, an error of the disk.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IO_ERROR: i32 = 10;

pub(super) const FIND: &str = "select batch, reached, high, rows from gonogo_checkpoint \
    where run = ? and step = ? and direction = ? and n = ?";
const MAKE: &str = "insert into gonogo_checkpoint (run, step, direction, n, batch, high, rows) \
    values (?1, ?2, ?3, ?4, 0, ?5, 0) on conflict do nothing";
const MOVE: &str = "update gonogo_checkpoint \
    set batch = batch + 1, reached = ?5, rows = rows + ?6, written = strftime('%Y-%m-%dT%H:%M:%fZ') \
    where run = ?1 and step = ?2 and direction = ?3 and n = ?4 and batch = ?7";

pub(super) struct Table<'t> {
    target: &'t Sqlite,
    order: &'t BatchOrder,
    key: Key,
    proven: bool,
    conn: Option<SqliteConnection>,
    gate: Option<Gate>,
    table: String,
    column: String,
    /// Where there is no checkpoint in the file: what this attempt knows.
    at: Checkpoint,
}

impl<'t> Table<'t> {
    pub fn new(target: &'t Sqlite, job: &BatchJob<'t>) -> Self {
        Self {
            target,
            order: job.order,
            key: job.entry.key.clone(),
            proven: target.has_ledger(),
            conn: None,
            gate: None,
            table: String::new(),
            column: String::new(),
            at: Checkpoint::default(),
        }
    }

    fn conn(&mut self) -> Result<&mut SqliteConnection, Problem> {
        self.conn.as_mut().ok_or_else(|| Problem::lost("the file is not open"))
    }

    async fn command(&mut self, sql: &'static str) -> Result<(), Problem> {
        raw::command(self.conn()?, sql).await.map_err(Problem::of_sqlite)
    }

    /// The first row of a statement made of the runbook's own parts, as text.
    async fn ask(&mut self, sql: &str, args: &[&str]) -> Result<Vec<Option<String>>, Problem> {
        let mut query = raw::query::<sqlx::Sqlite>(sql);
        for arg in args {
            query = query.bind((*arg).to_owned());
        }
        let found = query.fetch_optional(self.conn()?).await.map_err(Problem::of_sqlite)?;
        let cells = |found: sqlx::sqlite::SqliteRow| {
            (0..found.len()).map(|i| row::cell(&found, i).cut(limits::FACT_BYTES)).collect()
        };
        Ok(found.map(cells).unwrap_or_default())
    }

    async fn examine(&mut self) -> Result<(), Problem> {
        let order = self.order;
        let unnamed = || Problem::own("the batch names no table and column that SQL could take");
        let names = parts(&order.table).ok_or_else(unnamed)?;
        self.table = quoted(&order.table).ok_or_else(unnamed)?;
        self.column = format!("{}.{}", self.table, quoted(&order.key).ok_or_else(unnamed)?);
        let (name, schema) = match names.as_slice() {
            [name] => (name.as_str(), "main"),
            [schema, name] => (name.as_str(), schema.as_str()),
            _ => return Err(unnamed()),
        };
        let sql = "select count(*), min(name), min(type) from pragma_table_info(?1, ?2) where pk > 0";
        let key = self.ask(sql, &[name, schema]).await?;
        let [columns, column, kind] = [0, 1, 2].map(|i| key.get(i).cloned().flatten().unwrap_or_default());
        let own = parts(&order.key).and_then(|mut parts| parts.pop()).unwrap_or_default();
        if columns != "1" || column.to_lowercase() != own.to_lowercase() {
            return Err(Problem {
                hint: Some(
                    "batches walk along the one column of a primary key: its order is unique and has an index".into(),
                ),
                ..Problem::own(format!(
                    "{} is not the primary key of {}, or there is no such table",
                    order.key, order.table
                ))
            });
        }
        let kind = kind.to_ascii_uppercase();
        if !["INT", "CHAR", "CLOB", "TEXT", "UUID"].iter().any(|known| kind.contains(known)) {
            let message =
                format!("the key {} is declared as {kind:?}: whole numbers and texts can be walked", order.key);
            return Err(Problem::own(message));
        }
        Ok(())
    }

    fn range(&self, from: Option<&str>, filtered: bool) -> String {
        let column = &self.column;
        let ends = match from {
            Some(_) => format!("{column} > ?2 and {column} <= ?1"),
            None => format!("{column} <= ?1"),
        };
        // Each in a line of its own: the runbook's text may end in a comment.
        match self.order.filter.as_ref().filter(|_| filtered) {
            Some(filter) => format!("{ends} and (\n{filter}\n)"),
            None => ends,
        }
    }

    async fn find(&mut self) -> Result<Checkpoint, Problem> {
        if self.proven
            && let Some(found) = self.checkpoint().await?
        {
            return Ok(found);
        }
        if self.at.high.is_none() {
            let sql = format!("select {0} from {1} order by {0} desc limit 1", self.column, self.table);
            self.at.high = self.ask(&sql, &[]).await?.into_iter().next().flatten();
        }
        if !self.proven {
            return Ok(self.at.clone());
        }
        let (key, since, high) = (self.key.clone(), self.order.since, self.at.high.clone());
        let query = sqlx::query(MAKE).bind(&key.run).bind(&key.attempt.step.0).bind(key.direction()).bind(since);
        query.bind(high).execute(self.conn()?).await.map_err(Problem::of_sqlite)?;
        self.checkpoint().await?.ok_or_else(gone)
    }

    async fn checkpoint(&mut self) -> Result<Option<Checkpoint>, Problem> {
        let (key, since) = (self.key.clone(), self.order.since);
        let query = sqlx::query(FIND).bind(&key.run).bind(&key.attempt.step.0).bind(key.direction()).bind(since);
        let found = query.fetch_optional(self.conn()?).await.map_err(Problem::of_sqlite)?;
        let Some(found) = found else { return Ok(None) };
        let number = |i: usize| found.try_get::<i64, _>(i).map(i64::cast_unsigned).map_err(Problem::of_sqlite);
        let text = |i: usize| found.try_get::<Option<String>, _>(i).map_err(Problem::of_sqlite);
        Ok(Some(Checkpoint { n: number(0)?, reached: text(1)?, high: text(2)?, rows: number(3)? }))
    }

    async fn work(&mut self, size: u64) -> Result<Step, Problem> {
        self.command("begin immediate").await?;
        disturbed("target.batch.begin")?;
        let at = match self.proven {
            true => self.checkpoint().await?.ok_or_else(gone)?,
            false => self.at.clone(),
        };
        let Some(high) = at.high.clone() else { return Ok(Step::Over(at)) };
        let Some((upto, keys)) = self.next(&at, &high, size).await? else { return Ok(Step::Over(at)) };
        let rows = self.write(&at, &upto).await?;
        disturbed("target.batch.work")?;
        if self.proven {
            self.advance(&at, &upto, rows).await?;
        }
        disturbed("target.batch.commit")?;
        self.command("commit").await?;
        let done = Checkpoint {
            n: at.n.saturating_add(1),
            reached: Some(upto),
            high: Some(high),
            rows: at.rows.saturating_add(rows),
        };
        self.at = done.clone();
        disturbed("target.batch.committed")?;
        Ok(Step::Did { checkpoint: done, keys, rows })
    }

    async fn next(&mut self, at: &Checkpoint, high: &str, size: u64) -> Result<Option<(String, u64)>, Problem> {
        let (column, range) = (&self.column, self.range(at.reached.as_deref(), false));
        let sql = format!(
            "select max(k), count(*) from (select {column} as k from {} where {range} order by {column} limit {size})",
            self.table
        );
        let mut found = self.ask(&sql, &ends(high, at)).await?.into_iter();
        let (upto, keys) = (found.next().flatten(), found.next().flatten().and_then(|count| count.parse().ok()));
        Ok(upto.zip(keys))
    }

    async fn write(&mut self, at: &Checkpoint, upto: &str) -> Result<u64, Problem> {
        let (table, range) = (&self.table, self.range(at.reached.as_deref(), true));
        let sql = match &self.order.set {
            Some(set) => format!("update {table} set {set}\nwhere {range}"),
            None => format!("delete from {table} where {range}"),
        };
        let mut query = raw::query::<sqlx::Sqlite>(&sql);
        for arg in ends(upto, at) {
            query = query.bind(arg.to_owned());
        }
        Ok(query.execute(self.conn()?).await.map_err(Problem::of_sqlite)?.rows_affected())
    }

    async fn advance(&mut self, at: &Checkpoint, upto: &str, rows: u64) -> Result<(), Problem> {
        let (key, since) = (self.key.clone(), self.order.since);
        let query = sqlx::query(MOVE)
            .bind(&key.run)
            .bind(&key.attempt.step.0)
            .bind(key.direction())
            .bind(since)
            .bind(upto)
            .bind(rows.cast_signed())
            .bind(at.n.cast_signed());
        let moved = query.execute(self.conn()?).await.map_err(Problem::of_sqlite)?;
        if moved.rows_affected() == 1 { Ok(()) } else { Err(gone()) }
    }

    async fn number(&mut self, sql: &str, args: &[&str]) -> Result<i64, Problem> {
        self.command("pragma query_only = on").await?;
        let found = self.ask(sql, args).await;
        self.command("pragma query_only = off").await?;
        answer(found?.into_iter().next().flatten())
    }
}

impl<'t> Ground<'t> for Table<'t> {
    fn open(&mut self) -> BoxFuture<'_, Result<Checkpoint, Problem>> {
        async move {
            if !self.proven && !self.order.repeatable {
                return Err(unproven());
            }
            let mut conn = self.target.connect().await?;
            self.gate = Some(Gate::install(&mut conn, false).await?);
            self.conn = Some(conn);
            self.examine().await?;
            self.find().await
        }
        .boxed()
    }

    /// A file keeps no count of its rows, and counting them would read it whole.
    fn estimate<'a>(&'a mut self, _: &'a Checkpoint) -> BoxFuture<'a, Option<Estimate>> {
        async move { None }.boxed()
    }

    fn vitals(&mut self, _: Health) -> BoxFuture<'_, Option<Vitals>> {
        async move { None }.boxed()
    }

    fn batch(&mut self, size: u64) -> BoxFuture<'_, Result<Step, Problem>> {
        async move {
            let step = self.work(size).await;
            match &step {
                Ok(Step::Did { .. }) => {}
                Err(problem) if self.snag(problem, Duration::ZERO) == Snag::Lost => self.conn = None,
                _ => {
                    if let Some(gate) = &self.gate {
                        gate.resume();
                    }
                    // Where the transaction is gone already, SQLite has taken it back by itself.
                    let _ = self.command("rollback").await;
                }
            }
            step
        }
        .boxed()
    }

    fn left<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<Option<i64>, Problem>> {
        async move {
            if let Some(complete) = &self.order.complete {
                return self.number(complete, &[]).await.map(Some);
            }
            let derived = self.order.set.is_none() || self.order.filter.is_some();
            let Some(high) = over.high.as_deref().filter(|_| derived) else { return Ok(derived.then_some(0)) };
            let sql = format!("select count(*) from {} where {}", self.table, self.range(None, true));
            self.number(&sql, &[high]).await.map(Some)
        }
        .boxed()
    }

    fn born<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<u64, Problem>> {
        async move {
            let filter = self.order.filter.as_ref().map(|filter| format!(" and (\n{filter}\n)")).unwrap_or_default();
            let behind = match over.high {
                Some(_) => format!("{} > ?1", self.column),
                None => "1".to_owned(),
            };
            let sql =
                format!("select count(*) from (select 1 from {} where {behind}{filter} limit {BORN})", self.table);
            let args: Vec<&str> = over.high.as_deref().into_iter().collect();
            self.number(&sql, &args).await.map(|born| u64::try_from(born).unwrap_or(0))
        }
        .boxed()
    }

    /// SQLite always comes back, and only then is certain what it did.
    fn stopper(&self) -> BoxFuture<'t, ()> {
        let gate = self.gate.clone();
        async move {
            sleep(GRACE).await;
            if let Some(gate) = gate {
                gate.interrupt();
            }
            std::future::pending().await
        }
        .boxed()
    }

    fn snag(&self, problem: &Problem, _: Duration) -> Snag {
        match problem.primary() {
            Some(BUSY | LOCKED) => Snag::Locked,
            Some(IO_ERROR) => Snag::Lost,
            _ if problem.lost => Snag::Lost,
            _ => Snag::Other,
        }
    }

    fn tries(&self) -> u32 {
        self.target.lock_tries
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(conn) = self.conn.take() {
                // Nothing is open any more: what its end says does not matter.
                let _ = conn.close().await;
            }
        }
        .boxed()
    }
}

fn ends<'a>(upto: &'a str, at: &'a Checkpoint) -> Vec<&'a str> {
    [upto].into_iter().chain(at.reached.as_deref()).collect()
}

fn gone() -> Problem {
    Problem::own("its checkpoint is no longer in the file: somebody changed the tables gonogo_…")
}

/// Where a test wants the file to be lost.
fn disturbed(place: &str) -> Result<(), Problem> {
    if failpoint::hit(place) { Err(Problem::lost(format!("disturbed at {place}"))) } else { Ok(()) }
}
