//! A walk in batches through a table of PostgreSQL. Each batch moves its checkpoint in its own transaction and holds the
//! checkpoint's row while it works: two sessions never do the same batch, and what became of a lost COMMIT is what the
//! row says once it can be locked again.

mod considerate;
mod estimate;
mod vitals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::{Row, ValueRef};
use tokio::time::{Instant, sleep};

use self::considerate::{BLOCKED_OTHERS, Cancels, considerate};
use self::vitals::Pulse;
use super::activity::Backend;
use super::session::Session;
use super::{Postgres, ledger, line};
use crate::failpoint;
use crate::run::BatchOrder;
use crate::run::event::Direction;
use crate::runbook::Health;
use crate::runbook::batch::quoted;
use crate::target::batch::vitals::Vitals;
use crate::target::batch::{BatchJob, Checkpoint, Estimate, Ground, Snag, Step, answer, unproven};
use crate::target::problem::Problem;
use crate::target::raw;
use crate::target::watch::Watch;

/// How long the batch under way may still come to its end before it is cancelled.
const GRACE: Duration = Duration::from_secs(3);
/// How long a cancel may take before the session is ended, and again before nobody waits any longer.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);
/// Rows behind the last key that are counted.
const BORN: u32 = 10_000;

const BEGIN: &str = "begin isolation level read committed";
/// The table's kind, the columns of its primary key, the first of them, its type, and whether there are statistics.
const TABLE: &str = "select c.relkind::text, coalesce(i.indnkeyatts, 0)::text, k.attname::text, \
      format_type(k.atttypid, k.atttypmod), (c.reltuples >= 0)::text \
    from pg_class c left join pg_index i on i.indrelid = c.oid and i.indisprimary \
    left join pg_attribute k on k.attrelid = c.oid and k.attnum = i.indkey[0] \
    where c.oid = to_regclass($1)";
pub(super) const FIND: &str = "select batch::text, reached, high, rows::text from gonogo.checkpoint \
    where run = $1 and step = $2 and direction = $3 and n = $4::text::integer";
const LOCK: &str = "select batch::text, reached, high, rows::text from gonogo.checkpoint \
    where run = $1 and step = $2 and direction = $3 and n = $4::text::integer for update nowait";
const MAKE: &str = "insert into gonogo.checkpoint (run, step, direction, n, batch, high, rows) \
    values ($1, $2, $3, $4::text::integer, 0, $5, 0) on conflict do nothing";
const MOVE: &str = "update gonogo.checkpoint \
    set batch = batch + 1, reached = $5, rows = rows + $6::text::bigint, written = clock_timestamp() \
    where run = $1 and step = $2 and direction = $3 and n = $4::text::integer and batch = $7::text::bigint \
    returning batch::text";

pub(super) struct Table<'t> {
    target: &'t Postgres,
    watch: &'t Watch,
    label: &'t str,
    order: &'t BatchOrder,
    run: String,
    step: String,
    direction: &'static str,
    /// Whether a checkpoint proves it; without one the condition alone tells what is done.
    proven: bool,
    session: Option<Session>,
    backend: Option<Backend>,
    /// COMMIT is sent: nothing of ours may disturb it.
    committing: Arc<AtomicBool>,
    /// The last batch was cancelled by us, because others waited behind it.
    gave_way: bool,
    names: Names,
    /// Whether the server has statistics of it.
    known: bool,
    /// How the server fares, once it was asked.
    pulse: Option<Pulse>,
    /// Where there is no checkpoint in the database: what this attempt knows.
    at: Checkpoint,
}

/// The names of the statements, quoted.
#[derive(Default)]
struct Names {
    table: String,
    key: String,
    /// The key's type, as SQL writes it.
    kind: String,
}

impl<'t> Table<'t> {
    pub fn new(target: &'t Postgres, job: &BatchJob<'t>, watch: &'t Watch) -> Self {
        let key = &job.entry.key;
        Self {
            target,
            watch,
            label: job.label,
            order: job.order,
            run: key.run.clone(),
            step: key.attempt.step.0.clone(),
            direction: match key.attempt.direction {
                Direction::Forward => "forward",
                Direction::Undo => "undo",
            },
            proven: target.has_ledger(),
            session: None,
            backend: None,
            committing: Arc::default(),
            gave_way: false,
            names: Names::default(),
            known: false,
            pulse: None,
            at: Checkpoint::default(),
        }
    }

    fn session(&mut self) -> Result<&mut Session, Problem> {
        self.session.as_mut().ok_or_else(|| Problem::lost("the session is gone"))
    }

    /// The key of its checkpoint, and what else goes with a statement.
    fn args<const N: usize>(&self, more: [&str; N]) -> Vec<String> {
        let key = [self.run.clone(), self.step.clone(), self.direction.to_owned(), self.order.since.to_string()];
        key.into_iter().chain(more.into_iter().map(str::to_owned)).collect()
    }

    async fn own<const N: usize>(&mut self, sql: &'static str, more: [&str; N]) -> Result<line::Rows, Problem> {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.session()?.rows(sql, &args).await
    }

    /// The first row of a statement made of the runbook's own parts; its values are bound.
    async fn ask(&mut self, sql: &str, args: &[&str]) -> Result<Vec<Option<String>>, Problem> {
        let conn = &mut self.session()?.conn;
        let mut query = raw::query::<sqlx::Postgres>(sql).persistent(false);
        for arg in args {
            query = query.bind((*arg).to_owned());
        }
        let row = query.fetch_optional(conn).await.map_err(Problem::of_postgres)?;
        row.as_ref().map(exact).unwrap_or_else(|| Ok(Vec::new()))
    }

    async fn examine(&mut self) -> Result<(), Problem> {
        let order = self.order;
        let unnamed = || Problem::own("the batch names no table and column that SQL could take");
        let table = quoted(&order.table).ok_or_else(unnamed)?;
        let key = quoted(&order.key).ok_or_else(unnamed)?;
        let rows = self.session()?.rows(TABLE, &[&table]).await?;
        let [kind, columns, column, key_type, known] = ledger::first(rows);
        match kind.as_deref() {
            Some("r" | "p") => {}
            Some(_) => return Err(Problem::own(format!("{} is not a table", order.table))),
            None => return Err(Problem::own(format!("there is no table {}", order.table))),
        }
        let named = column.as_ref().and_then(|column| quoted(&format!("\"{}\"", column.replace('"', "\"\""))));
        if columns.as_deref() != Some("1") || named.as_ref() != Some(&key) {
            let what = match (columns.as_deref(), column) {
                (Some("1"), Some(column)) => format!("its primary key is {column}"),
                (None | Some("0"), _) => "it has no primary key".to_owned(),
                _ => "its primary key has several columns".to_owned(),
            };
            return Err(Problem {
                hint: Some(
                    "batches walk along the one column of a primary key: its order is unique and has an index".into(),
                ),
                ..Problem::own(format!("{} is not the primary key of {}: {what}", order.key, order.table))
            });
        }
        self.known = known.as_deref() == Some("true");
        self.names = Names { table, key, kind: key_type.unwrap_or_default() };
        Ok(())
    }

    /// `"app"."orders"."id"`
    fn column(&self) -> String {
        format!("{}.{}", self.names.table, self.names.key)
    }

    /// `key > $1 and key <= $2 and (filter)`; without a lower end, `$1` is not there.
    fn range(&self, from: Option<&str>, filtered: bool) -> String {
        let (column, kind) = (self.column(), &self.names.kind);
        let ends = match from {
            Some(_) => format!("{column} > $2::text::{kind} and {column} <= $1::text::{kind}"),
            None => format!("{column} <= $1::text::{kind}"),
        };
        // Each in a line of its own: the runbook's text may end in a comment.
        match self.order.filter.as_ref().filter(|_| filtered) {
            Some(filter) => format!("{ends} and (\n{filter}\n)"),
            None => ends,
        }
    }

    async fn high(&mut self) -> Result<Option<String>, Problem> {
        let (column, table) = (self.column(), self.names.table.clone());
        let row = self.ask(&format!("select {column}::text from {table} order by {column} desc limit 1"), &[]).await?;
        Ok(row.into_iter().next().flatten())
    }

    /// Finds the checkpoint, or makes it, with the last key of the table as it is now.
    async fn find(&mut self) -> Result<Checkpoint, Problem> {
        if !self.proven {
            if self.at.high.is_none() {
                self.at.high = self.high().await?;
            }
            return Ok(self.at.clone());
        }
        if let Some(found) = checkpoint(self.own(FIND, []).await?) {
            return Ok(found);
        }
        let high = self.high().await?;
        self.session()?.command(BEGIN).await?;
        self.fence().await?;
        let args = self.args([]);
        let mut query = raw::query::<sqlx::Postgres>(MAKE).persistent(false);
        for arg in args {
            query = query.bind(arg);
        }
        let conn = &mut self.session()?.conn;
        query.bind(high).execute(&mut *conn).await.map_err(Problem::of_postgres)?;
        raw::command(conn, "commit").await.map_err(Problem::of_postgres)?;
        checkpoint(self.own(FIND, []).await?).ok_or_else(gone)
    }

    /// The run must still be ours.
    async fn fence(&mut self) -> Result<(), Problem> {
        let (run, epoch) = (self.run.clone(), self.target.epoch());
        ledger::holds(self.session()?, &run, epoch).await
    }

    /// In the open transaction: the checkpoint, locked. None: another session holds it.
    async fn lock(&mut self) -> Result<Option<Checkpoint>, Problem> {
        if !self.proven {
            return Ok(Some(self.at.clone()));
        }
        self.fence().await?;
        match self.own(LOCK, []).await {
            Ok(rows) => checkpoint(rows).map(Some).ok_or_else(gone),
            Err(problem) if problem.is_code("55P03") => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn work(&mut self, size: u64) -> Result<Step, Problem> {
        self.session()?.command(BEGIN).await?;
        disturbed("target.batch.begin")?;
        let Some(at) = self.lock().await? else { return Ok(Step::Busy) };
        let Some(high) = at.high.clone() else { return Ok(Step::Over(at)) };
        let Some((upto, keys)) = self.next(&at, &high, size).await? else { return Ok(Step::Over(at)) };
        let rows = self.write(&at, &upto).await?;
        disturbed("target.batch.work")?;
        let n = at.n.saturating_add(1);
        if self.proven {
            let moved = self.own(MOVE, [&upto, &rows.to_string(), &at.n.to_string()]).await?;
            if moved.len() != 1 {
                return Err(gone());
            }
        }
        disturbed("target.batch.commit")?;
        self.committing.store(true, Ordering::Relaxed);
        let conn = &mut self.session()?.conn;
        raw::command(conn, "commit").await.map_err(Problem::of_postgres)?;
        let done = Checkpoint { n, reached: Some(upto), high: Some(high), rows: at.rows.saturating_add(rows) };
        self.at = done.clone();
        disturbed("target.batch.committed")?;
        Ok(Step::Did { checkpoint: done, keys, rows })
    }

    /// The last key of the next batch, and how many keys it has; none: there is no key left.
    async fn next(&mut self, at: &Checkpoint, high: &str, size: u64) -> Result<Option<(String, u64)>, Problem> {
        let (column, range) = (self.column(), self.range(at.reached.as_deref(), false));
        let sql = format!(
            "select k::text, count(*) over ()::text \
             from (select {column} as k from {} where {range} order by {column} limit {size}) s order by s.k desc limit 1",
            self.names.table
        );
        let row = self.ask(&sql, &ends(high, at)).await?;
        let mut row = row.into_iter();
        Ok(match (row.next().flatten(), row.next().flatten().and_then(|count| count.parse().ok())) {
            (Some(upto), Some(keys)) => Some((upto, keys)),
            _ => None,
        })
    }

    async fn write(&mut self, at: &Checkpoint, upto: &str) -> Result<u64, Problem> {
        let (table, range) = (self.names.table.clone(), self.range(at.reached.as_deref(), true));
        let sql = match &self.order.set {
            Some(set) => format!("update {table} set {set}\nwhere {range}"),
            None => format!("delete from {table} where {range}"),
        };
        let mut query = raw::query::<sqlx::Postgres>(&sql).persistent(false);
        for arg in ends(upto, at) {
            query = query.bind(arg.to_owned());
        }
        let done = query.execute(&mut self.session()?.conn).await.map_err(Problem::of_postgres)?;
        Ok(done.rows_affected())
    }

    /// A cancel that came too late for its batch must not meet the next one. The server has sent the signal when it answers
    /// a cancel, and a session heeds it at the latest with its next question: that one is spent on it.
    async fn swallow(&mut self, cancels: Cancels) {
        if cancels == Cancels::None {
            return;
        }
        let Some(session) = self.session.as_mut() else { return };
        match session.command("select 1").await {
            Err(problem) if problem.lost => self.session = None,
            // It was spent on the cancel, or on a transaction that had failed already.
            Ok(()) | Err(_) => {}
        }
    }

    /// The runbook's own question, by the protocol that brings values as text.
    async fn completed(&mut self, sql: &str) -> Result<i64, Problem> {
        self.session()?.command("begin read only").await?;
        let cell = line::first(&mut self.session()?.conn, sql).await;
        self.session()?.roll_back().await?;
        answer(cell?.0.flatten())
    }

    /// The one number of a question, in a transaction that cannot write.
    async fn number(&mut self, sql: &str, args: &[&str]) -> Result<i64, Problem> {
        self.session()?.command("begin read only").await?;
        let row = self.ask(sql, args).await;
        self.session()?.roll_back().await?;
        answer(row?.into_iter().next().flatten())
    }
}

impl<'t> Ground<'t> for Table<'t> {
    fn open(&mut self) -> BoxFuture<'_, Result<Checkpoint, Problem>> {
        async move {
            if !self.proven && !self.order.repeatable {
                return Err(unproven());
            }
            // What is left of the session before is closed with it.
            self.session = None;
            let session = Session::open(self.target, self.label).await?;
            self.backend = Some(session.backend.clone());
            self.session = Some(session);
            self.examine().await?;
            self.find().await
        }
        .boxed()
    }

    fn estimate<'a>(&'a mut self, from: &'a Checkpoint) -> BoxFuture<'a, Option<Estimate>> {
        self.assessed(from).boxed()
    }

    fn vitals(&mut self, wanted: Health) -> BoxFuture<'_, Option<Vitals>> {
        let target = self.target;
        async move { Some(self.pulse.get_or_insert_with(|| Pulse::new(target)).feel(wanted).await) }.boxed()
    }

    fn batch(&mut self, size: u64) -> BoxFuture<'_, Result<Step, Problem>> {
        async move {
            let Some(backend) = self.backend.clone() else { return Err(Problem::lost("the session is gone")) };
            let (target, label, watch) = (self.target, self.label, self.watch);
            let committing = Arc::clone(&self.committing);
            committing.store(false, Ordering::Relaxed);
            let (step, cancels) = considerate(target, label, watch, backend, &committing, self.work(size)).await;
            self.gave_way = matches!(&step, Err(problem) if problem.is_code(BLOCKED_OTHERS));
            let step = step.map_err(|problem| match self.gave_way {
                true => Problem { code: None, ..problem },
                false => problem,
            });
            self.swallow(cancels).await;
            match &step {
                Ok(Step::Did { .. }) => {}
                Ok(_) => self.session()?.roll_back().await?,
                Err(problem) if problem.lost => self.session = None,
                Err(_) => self.session()?.roll_back().await?,
            }
            step
        }
        .boxed()
    }

    fn left<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<Option<i64>, Problem>> {
        async move {
            if let Some(complete) = &self.order.complete {
                return self.completed(complete).await.map(Some);
            }
            let derived = self.order.set.is_none() || self.order.filter.is_some();
            let Some(high) = over.high.as_deref().filter(|_| derived) else { return Ok(derived.then_some(0)) };
            let sql = format!("select count(*)::text from {} where {}", self.names.table, self.range(None, true));
            self.number(&sql, &[high]).await.map(Some)
        }
        .boxed()
    }

    fn born<'a>(&'a mut self, over: &'a Checkpoint) -> BoxFuture<'a, Result<u64, Problem>> {
        async move {
            let (table, column, kind) = (self.names.table.clone(), self.column(), self.names.kind.clone());
            let filter = self.order.filter.as_ref().map(|filter| format!(" and (\n{filter}\n)")).unwrap_or_default();
            let behind = match over.high {
                Some(_) => format!("{column} > $1::text::{kind}"),
                None => "true".to_owned(),
            };
            let sql = format!("select count(*)::text from (select from {table} where {behind}{filter} limit {BORN}) s");
            let args: Vec<&str> = over.high.as_deref().into_iter().collect();
            self.number(&sql, &args).await.map(|born| u64::try_from(born).unwrap_or(0))
        }
        .boxed()
    }

    fn stopper(&self) -> BoxFuture<'t, ()> {
        let (target, backend) = (self.target, self.backend.clone());
        async move {
            sleep(GRACE).await;
            let started = Instant::now();
            while started.elapsed() < 2 * PATIENCE {
                if let Some(backend) = &backend {
                    // A control connection that fails is tried again: there is nothing better to do.
                    let _ = if started.elapsed() < PATIENCE {
                        target.cancel(backend).await
                    } else {
                        target.terminate(backend).await
                    };
                }
                sleep(AGAIN).await;
            }
        }
        .boxed()
    }

    fn snag(&self, problem: &Problem, took: Duration) -> Snag {
        let limit = self.target.statement_timeout;
        match problem.code.as_deref() {
            _ if problem.lost => Snag::Lost,
            // A cancel by somebody else on the server carries the same code.
            Some("57014") if !limit.is_zero() && took >= limit => Snag::TooLong,
            _ if self.gave_way => Snag::Locked,
            Some("55P03" | "40P01" | "40001") => Snag::Locked,
            _ => Snag::Other,
        }
    }

    fn tries(&self) -> u32 {
        self.target.lock_tries
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(session) = self.session.take() {
                session.close().await;
            }
        }
        .boxed()
    }
}

/// The upper end of a range, and the lower one where there is one.
fn ends<'a>(upto: &'a str, at: &'a Checkpoint) -> Vec<&'a str> {
    [upto].into_iter().chain(at.reached.as_deref()).collect()
}

/// The cells of a row as they are: a key that is cut or mended would be another key.
fn exact(row: &PgRow) -> Result<Vec<Option<String>>, Problem> {
    let cell = |i: usize| {
        let value = row.try_get_raw(i).map_err(Problem::of_postgres)?;
        if value.is_null() {
            return Ok(None);
        }
        let text = value.as_str().map_err(|_| Problem::own("a key is no text in UTF-8: batches cannot walk along it"));
        text.map(|text| Some(text.to_owned()))
    };
    (0..row.len()).map(cell).collect()
}

fn checkpoint(rows: line::Rows) -> Option<Checkpoint> {
    let [n, reached, high, rows] = ledger::first(rows);
    Some(Checkpoint { n: n?.parse().ok()?, reached, high, rows: rows?.parse().ok()? })
}

fn gone() -> Problem {
    Problem::own("its checkpoint is no longer in the ledger: somebody changed the schema gonogo")
}

/// Where a test wants the session to be lost.
fn disturbed(place: &str) -> Result<(), Problem> {
    if failpoint::hit(place) { Err(Problem::lost(format!("disturbed at {place}"))) } else { Ok(()) }
}
