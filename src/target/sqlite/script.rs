//! A step's script on a SQLite file: statements one by one, judged before COMMIT, interrupted where they run.

use futures_util::StreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Either, Row, Statement as _};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::fault::{COMMIT_VETOED, INTERRUPT};
use super::gate::Gate;
use super::{Sqlite, SqliteMode, ledger, row};
use crate::failpoint;
use crate::run::facts::{Effect, Probed};
use crate::run::{Chunk, Facts, Fault, Judge, Outcome, Verdict};
use crate::runbook::sql;
use crate::target::collect::Collector;
use crate::target::direct;
use crate::target::problem::Problem;
use crate::target::shape::Shape;
use crate::target::watch::{Cause, Watch};
use crate::target::words::{self, BY_ITSELF, FAILED_ALONE, NOTHING_SENT, ROLLED_BACK, Stop};
use crate::target::{LedgerEntry, SqlJob, raw, refusal};

/// SQLite's primary code for input and output errors.
const IO_ERROR: i32 = 10;

pub(super) async fn run(
    target: &Sqlite,
    job: &SqlJob<'_>,
    out: &Sender<Chunk>,
    judge: &Judge,
    stop: CancellationToken,
) -> Outcome {
    if let Some(fault) = refusal(job.statements) {
        return words::broke(fault);
    }
    let watch = Watch::new(stop, job.timeout);
    let opened = async {
        let mut conn = target.connect().await?;
        let gate = Gate::install(&mut conn, job.transaction).await?;
        Ok((conn, gate))
    };
    let (conn, gate) = match opened.await {
        Ok(opened) => opened,
        Err(problem) => return words::broke(unopened(target, &problem)),
    };
    let attempt =
        Attempt { target, job, judge, watch: &watch, gate: gate.clone(), conn, collector: Collector::new(out, job) };
    tokio::select! {
        outcome = attempt.run() => outcome,
        outcome = interrupt(&watch, &gate) => outcome,
    }
}

/// Stops what runs when it is to end. Never returns: SQLite always comes back, and only then its outcome is certain.
async fn interrupt(watch: &Watch, gate: &Gate) -> Outcome {
    watch.fired().await;
    gate.interrupt();
    std::future::pending().await
}

fn unopened(target: &Sqlite, problem: &Problem) -> Fault {
    Fault {
        summary: format!("cannot open {} ({}): {}", target.name, target.path.display(), problem.summary()),
        ..problem.fault(None, Effect::None, NOTHING_SENT)
    }
}

struct Attempt<'a> {
    target: &'a Sqlite,
    job: &'a SqlJob<'a>,
    judge: &'a Judge,
    watch: &'a Watch,
    gate: Gate,
    conn: SqliteConnection,
    collector: Collector<'a>,
}

impl Attempt<'_> {
    async fn run(mut self) -> Outcome {
        let outcome = if self.job.transaction { self.transaction().await } else { self.direct().await };
        // What it answers changes nothing any more: without a transaction there is nothing left to lose.
        let _ = self.conn.close().await;
        outcome
    }

    async fn transaction(&mut self) -> Outcome {
        // Takes the write lock at once, so that no lock is missing half-way.
        let begin = match self.target.mode {
            SqliteMode::ReadOnly => "begin",
            SqliteMode::ReadWrite | SqliteMode::Create => "begin immediate",
        };
        if let Err(problem) = self.command(begin).await {
            let cause = self.watch.cause();
            let fault = words::fault(Stop::Problem(problem), cause, 0, Effect::None, NOTHING_SENT);
            return words::failed(fault, None);
        }
        let entry = self.row();
        if let Some(entry) = &entry
            && let Err(problem) = ledger::claim(&mut self.conn, entry).await
        {
            return self.roll_back(Stop::Problem(problem)).await;
        }
        if let Err(stop) = self.statements().await {
            return self.roll_back(stop).await;
        }
        let facts = self.collector.facts();
        let verdict = match self.collector.judged(self.judge, &facts) {
            Ok(verdict) => verdict,
            Err(fault) => {
                let safe = self.take_back().await;
                return words::unjudged(fault, Effect::None, &safe);
            }
        };
        if let Some(verdict) = verdict.as_ref().filter(|verdict| !verdict.passed) {
            let safe = self.take_back().await;
            return words::refused(verdict.clone(), facts, Effect::None, &safe);
        }
        if let Some(cause) = self.watch.cause() {
            return self.roll_back(Stop::Cause(cause)).await;
        }
        if let Err(why) = self.witness(&facts, verdict.as_ref(), entry.is_some()).await {
            let fault =
                Fault { safe: self.take_back().await, ..Fault::new(format!("the journal did not take it: {why}")) };
            return words::broke(fault);
        }
        self.gate.open();
        failpoint::hit("target.sqlite.commit.before");
        let answer = self.command("commit").await;
        failpoint::hit("target.sqlite.commit.answered");
        match answer {
            Ok(()) => words::done(self.collector.facts(), verdict),
            Err(problem) => self.not_committed(problem).await,
        }
    }

    /// The attempt's row, where it is to be written: what only reads has no effect to prove.
    fn row(&self) -> Option<LedgerEntry> {
        let writable = self.target.mode != SqliteMode::ReadOnly;
        self.job.entry.filter(|_| writable && self.target.has_ledger() && self.writes()).cloned()
    }

    fn writes(&self) -> bool {
        !self.job.statements.iter().all(|statement| sql::only_reads(&statement.sql))
    }

    /// The journal knows of the COMMIT before it is sent.
    async fn witness(&self, facts: &Facts, verdict: Option<&Verdict>, ledger: bool) -> Result<(), String> {
        let Some(witness) = self.job.witness.filter(|_| self.writes()) else { return Ok(()) };
        let facts = Box::new(facts.clone());
        witness.witness(Chunk::Judged { xid: None, ledger, facts, verdict: verdict.cloned() }).await
    }

    async fn not_committed(&mut self, problem: Problem) -> Outcome {
        if problem.lost || problem.primary() == Some(IO_ERROR) {
            let known = format!(
                "COMMIT failed in the middle ({}); the file decides when it is opened next. Look at the data, then say \
                 whether it happened",
                problem.words()
            );
            return Outcome::Unknown { known };
        }
        let safe = self.take_back().await;
        let cause = self.cause(&problem);
        let mut fault = words::fault(Stop::Problem(problem), cause, 0, Effect::None, safe);
        fault.summary = format!("COMMIT refused: {}", fault.summary);
        words::failed(fault, Some(self.collector.facts()))
    }

    async fn roll_back(&mut self, stop: Stop) -> Outcome {
        let safe = self.take_back().await;
        let cause = match &stop {
            Stop::Problem(problem) => self.cause(problem),
            Stop::Cause(_) => None,
        };
        let fault = words::fault(stop, cause, self.collector.statement(), Effect::None, safe);
        words::failed(fault, Some(self.collector.facts()))
    }

    /// Where the transaction is gone already, SQLite has taken it back by itself: no commit of another's passes the
    /// gate. A file that cannot be written now is cleaned up by whoever opens it next.
    async fn take_back(&mut self) -> String {
        self.gate.resume();
        let _ = self.command("rollback").await;
        ROLLED_BACK.to_owned()
    }

    fn cause(&self, problem: &Problem) -> Option<Cause> {
        self.watch.cause().filter(|_| problem.is_code(INTERRUPT))
    }

    async fn direct(&mut self) -> Outcome {
        if let Err(fault) = self.ready().await {
            return words::broke(fault);
        }
        if let Err(stop) = self.statements().await {
            return self.stopped(stop);
        }
        let facts = self.collector.facts();
        match self.collector.judged(self.judge, &facts) {
            Err(fault) => words::unjudged(fault, Effect::Possible, BY_ITSELF),
            Ok(Some(verdict)) if !verdict.passed => words::refused(verdict, facts, Effect::Possible, BY_ITSELF),
            Ok(verdict) => words::done(facts, verdict),
        }
    }

    /// Has the journal hold that statements may be sent from now on, unless the step's probe says that they need not.
    async fn ready(&mut self) -> Result<(), Fault> {
        match self.target.answer(self.job.direct).await {
            Err(why) => return Err(direct::unasked(&why)),
            Ok(answer) => direct::may_go(&[], self.job.direct, answer, false).map_err(|fault| *fault)?,
        };
        let Some(witness) = self.job.witness else { return Ok(()) };
        let stored = witness.witness(Chunk::Probed(Probed::default())).await;
        stored.map_err(|why| Fault {
            safe: NOTHING_SENT.to_owned(),
            ..Fault::new(format!("the journal did not take that it begins: {why}"))
        })
    }

    /// A single statement of SQLite either happens or does not.
    fn stopped(&self, stop: Stop) -> Outcome {
        let n = self.collector.statement();
        let (cause, failed) = match &stop {
            Stop::Problem(problem) if problem.lost || problem.primary() == Some(IO_ERROR) => {
                let known = format!("statement {n} broke off: {}. Look at the data", problem.words());
                return Outcome::Unknown { known };
            }
            Stop::Problem(problem) => (self.cause(problem), true),
            Stop::Cause(_) => (None, false),
        };
        let (effect, safe) = match n {
            0 => (Effect::None, NOTHING_SENT),
            1 if failed => (Effect::None, FAILED_ALONE),
            _ => (Effect::Possible, BY_ITSELF),
        };
        let mut fault = words::fault(stop, cause, n, effect, safe);
        if effect == Effect::Possible {
            fault.residue = direct::own_cleanup(self.job.direct);
        }
        words::failed(fault, Some(self.collector.facts()))
    }

    async fn command(&mut self, sql: &'static str) -> Result<(), Problem> {
        raw::command(&mut self.conn, sql).await.map_err(Problem::of_sqlite)
    }

    async fn statements(&mut self) -> Result<(), Stop> {
        for (n, statement) in self.job.statements.iter().enumerate() {
            if let Some(cause) = self.watch.cause() {
                return Err(Stop::Cause(cause));
            }
            if n == self.job.direct.cleaning as usize {
                self.collector.forget();
            }
            self.collector.begin().await;
            let result = self.statement(&statement.sql).await;
            self.collector.flush().await;
            result.map_err(|problem| Stop::Problem(self.explained(problem)))?;
        }
        Ok(())
    }

    /// SQLite's short words, made plain where the door itself was the reason.
    fn explained(&self, mut problem: Problem) -> Problem {
        if problem.is_code(COMMIT_VETOED) {
            problem.message = "the script tried to end the transaction by itself".to_owned();
            problem.hint = Some("gonogo begins and ends the transaction".to_owned());
        } else if problem.is_code(INTERRUPT) && self.watch.cause().is_none() {
            let limit = humantime::format_duration(self.target.statement_timeout);
            problem.message = format!("cancelled by statement_timeout ({limit})");
        }
        problem
    }

    async fn statement(&mut self, sql: &str) -> Result<(), Problem> {
        let shape = Shape::of(sql);
        let (count, described) = self.stream(sql).await?;
        if !described && shape.has_columns() {
            self.header(sql).await;
        }
        self.collector.end(&shape, count).await;
        Ok(())
    }

    async fn stream(&mut self, sql: &str) -> Result<(u64, bool), Problem> {
        let Self { target, gate, conn, collector, .. } = self;
        let (mut count, mut described) = (0, false);
        // Zero: no limit, as in PostgreSQL.
        let mut limit =
            (!target.statement_timeout.is_zero()).then(|| Instant::now().checked_add(target.statement_timeout));
        let mut stream = raw::send::<sqlx::Sqlite, _>(&mut *conn, sql);
        loop {
            let (due, end) = (collector.due(), limit.flatten());
            let item = tokio::select! {
                biased;
                item = stream.next() => item,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    collector.flush().await;
                    continue;
                }
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                    limit = None;
                    gate.interrupt();
                    continue;
                }
            };
            match item {
                None => return Ok((count, described)),
                Some(Err(error)) => return Err(Problem::of_sqlite(error)),
                Some(Ok(Either::Left(done))) => {
                    count += done.rows_affected();
                    collector.close_result();
                }
                Some(Ok(Either::Right(row))) => {
                    if collector.wants_columns() {
                        described = true;
                        let (names, types) = row::columns(row.columns(), Some(&row));
                        collector.columns(names, types).await;
                    }
                    keep(collector, row).await;
                }
            }
        }
    }

    async fn header(&mut self, sql: &str) {
        let asked = raw::prepare::<sqlx::Sqlite, _>(&mut self.conn, sql).await;
        if let Ok(statement) = asked
            && !statement.columns().is_empty()
        {
            let (names, types) = row::columns(statement.columns(), None);
            self.collector.columns(names, types).await;
        }
    }
}

async fn keep(collector: &mut Collector<'_>, row: SqliteRow) {
    if collector.wants_row() {
        collector.row(row.len(), |i| row::cell(&row, i)).await;
    } else {
        collector.count_row();
    }
}
