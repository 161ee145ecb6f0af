//! A step's script on a session of its own: statements one by one, judged before COMMIT, cancelled on the server.

mod outside;

use std::borrow::Cow;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sqlx::postgres::PgRow;
use sqlx::{Column, Either, Row, Statement as _};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;

use super::activity::Presence;
use super::commit::{Commit, Proof};
use super::locks::Sentry;
use super::mark::{Mark, Stage};
use super::session::Session;
use super::tries::{Backoff, Tries};
use super::{Postgres, ledger, types};
use crate::failpoint;
use crate::run::facts::Effect;
use crate::run::{Chunk, Fault, Judge, Outcome, Verdict};
use crate::runbook::sql;
use crate::target::cell::Cell;
use crate::target::collect::Collector;
use crate::target::notice::Ear;
use crate::target::problem::Problem;
use crate::target::shape::Shape;
use crate::target::watch::{Cause, Watch};
use crate::target::words::{self, NOTHING_SENT, ROLLED_BACK, Stop};
use crate::target::{SqlJob, raw, refusal};

/// A cancel that finds the session between two statements is lost, so it is sent again.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);
/// How long a cancel may take before the session is ended, and again before we stop waiting.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);
/// How long a lost session is looked for on the server.
const GONE: Duration = Duration::from_secs(10);
const DESCRIBE: Duration = Duration::from_secs(5);

pub(super) async fn run(
    target: &Postgres,
    job: &SqlJob<'_>,
    out: &Sender<Chunk>,
    judge: &Judge,
    stop: CancellationToken,
) -> Outcome {
    if let Some(fault) = refusal(job.statements) {
        return words::broke(fault);
    }
    let watch = Watch::new(stop, job.timeout);
    let mut tries = Tries::new(job, out, target.lock_tries, Backoff::new());
    loop {
        let (watch, mark) = (watch.again(), Mark::default());
        let committing = || mark.committing();
        let sentry =
            Sentry { target, label: job.label, watch: &watch, session: &mark.session, committing: &committing };
        let (outcome, ahead) = sentry.over(Box::pin(once(target, job, out, judge, &watch, &mark))).await;
        if let ControlFlow::Break(outcome) = tries.after(outcome, &ahead, &watch).await {
            return outcome;
        }
    }
}

/// One try, on a session of its own.
async fn once(
    target: &Postgres,
    job: &SqlJob<'_>,
    out: &Sender<Chunk>,
    judge: &Judge,
    watch: &Watch,
    mark: &Mark,
) -> Outcome {
    let (dispatch, ear) = Ear::new();
    let work = async {
        let session = match Session::open(target, job.label).await {
            Ok(session) => session,
            Err(problem) => return words::broke(unopened(target, &problem)),
        };
        let attempt = Attempt {
            target,
            job,
            judge,
            watch,
            mark,
            session,
            collector: Collector::new(out, job),
            ear,
            proof: Proof::new(target, job.entry),
            before: Vec::new(),
            left_out: Vec::new(),
        };
        attempt.run().await
    };
    tokio::select! {
        outcome = work.with_subscriber(dispatch) => outcome,
        () = cancel(target, watch, mark) => gave_up(target, job, watch, mark).await,
    }
}

fn unopened(target: &Postgres, problem: &Problem) -> Fault {
    Fault {
        summary: format!("cannot connect to {} ({}): {}", target.name, target.place(), problem.summary()),
        ..problem.fault(None, Effect::None, NOTHING_SENT)
    }
}

/// Returns only where the attempt did not end although it was told to.
async fn cancel(target: &Postgres, watch: &Watch, mark: &Mark) {
    watch.fired().await;
    let Some(session) = mark.session.get() else {
        return;
    };
    let mut started = Instant::now();
    while started.elapsed() < 2 * CANCEL_PATIENCE {
        if mark.committing() && watch.asked_by_now().is_none() {
            // What we ourselves wanted came too late: only the operator or the time limit may end a COMMIT.
            watch.asked().await;
            started = Instant::now();
        }
        // A control connection that fails is tried again: there is nothing better to do.
        let _ = if started.elapsed() < CANCEL_PATIENCE {
            target.cancel(session).await
        } else {
            target.terminate(session).await
        };
        sleep(CANCEL_AGAIN).await;
    }
}

/// The outcome of an attempt that had to be left: its session is closed, the server was told, nobody answered.
async fn gave_up(target: &Postgres, job: &SqlJob<'_>, watch: &Watch, mark: &Mark) -> Outcome {
    let stop = || match watch.cause() {
        Some(cause) => Stop::Cause(cause),
        None => Stop::Problem(Problem::lost("the server did not answer")),
    };
    match mark.stage() {
        Stage::Opening => words::failed(words::fault(stop(), None, 0, Effect::None, NOTHING_SENT), None),
        Stage::Committing(proof) => match proof.decide(target, "no answer to a cancel").await {
            Commit::Done => {
                let (facts, verdict) = mark.good.get().cloned().unwrap_or_default();
                words::done(facts, verdict)
            }
            Commit::Unknown(known) => Outcome::Unknown { known },
            _ => words::failed(words::fault(stop(), None, 0, Effect::None, ROLLED_BACK), None),
        },
        Stage::Running(n) if !job.transaction => Outcome::Unknown {
            known: format!(
                "statement {n} of {} was told to end, and the server did not answer; it may still run",
                job.statements.len()
            ),
        },
        Stage::Running(n) => {
            let safe = "COMMIT was never sent: the server rolls back once it notices that the connection is gone";
            words::failed(words::fault(stop(), None, n, Effect::None, safe), None)
        }
    }
}

struct Attempt<'a> {
    target: &'a Postgres,
    job: &'a SqlJob<'a>,
    judge: &'a Judge,
    watch: &'a Watch,
    mark: &'a Mark,
    session: Session,
    collector: Collector<'a>,
    ear: Ear,
    proof: Proof,
    /// What was noted of each of its own statements before the first was sent.
    before: Vec<Option<String>>,
    /// Why its first statements are not sent again: one sentence each.
    left_out: Vec<String>,
}

impl Attempt<'_> {
    async fn run(mut self) -> Outcome {
        let _ = self.mark.session.set(self.session.backend.clone());
        // On the heap: the states of a whole attempt are too much for a small stack.
        let outcome =
            if self.job.transaction { Box::pin(self.transaction()).await } else { Box::pin(self.direct()).await };
        self.session.close().await;
        outcome
    }

    async fn transaction(&mut self) -> Outcome {
        if let Err(problem) = self.proof.begin(&mut self.session).await {
            return match self.watch.cause() {
                Some(_) => self.roll_back(Stop::Problem(problem)).await,
                None => words::broke(problem.fault(None, Effect::None, NOTHING_SENT)),
            };
        }
        if let Some(run) = self.job.fence
            && let Err(problem) = ledger::holds(&mut self.session, run, self.target.epoch()).await
        {
            return self.roll_back(Stop::Problem(problem)).await;
        }
        failpoint::hit("target.begin.after");
        if let Err(stop) = self.statements().await {
            return self.roll_back(stop).await;
        }
        failpoint::hit("target.statements.after");
        self.collector.count_notices(&mut self.ear).await;
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
        let _ = self.mark.good.set((facts, verdict.clone()));
        match self.commit(verdict.clone()).await {
            Commit::Done => {
                self.collector.notices(&mut self.ear).await;
                words::done(self.collector.facts(), verdict)
            }
            other => self.not_committed(other).await,
        }
    }

    async fn commit(&mut self, verdict: Option<Verdict>) -> Commit {
        let resets = |sql: &str| Shape::of(sql).resets_session();
        let marked = !self.job.statements.iter().any(|statement| resets(&statement.sql));
        if let Err(commit) = self.proof.check(self.target, &mut self.session, marked).await {
            return commit;
        }
        let proof = Arc::new(std::mem::take(&mut self.proof));
        // From here on nobody cancels: the journal is about to be told that it commits.
        self.mark.set(Stage::Committing(Arc::clone(&proof)));
        if let Err(why) = self.witness(&proof, verdict).await {
            let _ = self.session.roll_back().await;
            return Commit::Unwitnessed(why);
        }
        proof.commit(self.target, &mut self.session).await
    }

    /// The journal knows of the COMMIT before it is sent: an attempt that it does not know so has never committed. One
    /// that wrote nothing has nothing to tell.
    async fn witness(&mut self, proof: &Proof, verdict: Option<Verdict>) -> Result<(), String> {
        let (xid, ledger) = proof.told();
        let Some(witness) = self.job.witness.filter(|_| xid.is_some()) else { return Ok(()) };
        let facts = Box::new(self.collector.facts());
        failpoint::hit("target.witness.before");
        witness.witness(Chunk::Judged { xid, ledger, facts, verdict }).await
    }

    async fn not_committed(&mut self, commit: Commit) -> Outcome {
        self.collector.notices(&mut self.ear).await;
        let facts = Some(self.collector.facts());
        match commit {
            Commit::Unknown(known) => Outcome::Unknown { known },
            Commit::Lost(problem) => self.roll_back(Stop::Problem(problem)).await,
            Commit::Harmless(problem) => words::broke(problem.fault(
                None,
                Effect::None,
                "the connection was lost in COMMIT, but the transaction had written nothing",
            )),
            Commit::Barred(problem) => {
                let safe = self.take_back().await;
                words::broke(problem.fault(None, Effect::None, safe))
            }
            Commit::Unwitnessed(why) => words::broke(Fault {
                summary: format!("the journal did not take it: {why}"),
                safe: ROLLED_BACK.to_owned(),
                ..Fault::default()
            }),
            Commit::EndedByScript => {
                let fault = Fault {
                    summary: "the script ended its transaction by itself".to_owned(),
                    hint: Some("take COMMIT and ROLLBACK out of it: gonogo begins and ends the transaction".to_owned()),
                    safe: "what came before its own COMMIT stays. Look before you try again".to_owned(),
                    effect: Effect::Possible,
                    ..Fault::default()
                };
                words::failed(fault, facts)
            }
            Commit::RolledBack(problem) => {
                let cause = self.watch.cause().filter(|_| problem.is_code("57014"));
                let mut fault = words::fault(Stop::Problem(problem), cause, 0, Effect::None, ROLLED_BACK);
                fault.summary = format!("COMMIT refused: {}", fault.summary);
                words::failed(fault, facts)
            }
            Commit::Done => words::done(self.collector.facts(), None),
        }
    }

    /// Ends an attempt whose COMMIT was never sent.
    async fn roll_back(&mut self, stop: Stop) -> Outcome {
        let lost = matches!(&stop, Stop::Problem(problem) if problem.lost);
        let safe = if lost { self.gone().await } else { self.take_back().await };
        self.collector.count_notices(&mut self.ear).await;
        let n = self.collector.statement();
        let cause = self.cause(&stop);
        let fault = words::fault(stop, cause, n, Effect::None, safe);
        words::failed(fault, Some(self.collector.facts()))
    }

    /// Sends ROLLBACK; what is safe, in words.
    async fn take_back(&mut self) -> String {
        match self.session.roll_back().await {
            Ok(()) => ROLLED_BACK.to_owned(),
            Err(_) => self.gone().await,
        }
    }

    /// Makes sure that a session whose connection is lost has left the server; what is safe, in words.
    async fn gone(&self) -> String {
        let session = &self.session.backend;
        match self.target.until_gone(session, self.job.transaction, GONE).await {
            Presence::Gone => "COMMIT was never sent and the session has left the server: it rolled the transaction \
                               back, nothing changed"
                .to_owned(),
            Presence::Still => format!(
                "COMMIT was never sent, so nothing is kept; the server is still busy taking it back (pid {}) and \
                 holds its locks until then",
                session.pid
            ),
            Presence::Unreachable(why) => {
                format!("COMMIT was never sent, so the server keeps nothing of it; it could not be asked ({why})")
            }
        }
    }

    /// Who wanted this end: asked only where the end is the kind that a cancel brings.
    fn cause(&self, stop: &Stop) -> Option<Cause> {
        match stop {
            Stop::Problem(problem) if problem.is_code("57014") || problem.lost => self.watch.cause(),
            _ => None,
        }
    }

    async fn statements(&mut self) -> Result<(), Stop> {
        let own = self.job.direct.cleaning as usize;
        for (n, statement) in self.job.statements.iter().enumerate() {
            if let Some(cause) = self.watch.cause() {
                return Err(Stop::Cause(cause));
            }
            if n == own {
                self.collector.forget();
            }
            if self.leave_out(n, &statement.sql).await {
                continue;
            }
            if self.job.transaction && self.wants_row(&statement.sql) {
                self.proof.write(self.target, &mut self.session).await.map_err(Stop::Problem)?;
                failpoint::hit("target.ledger.written");
            }
            self.collector.begin().await;
            self.mark.set(Stage::Running(self.collector.statement()));
            let result = self.statement(&statement.sql).await;
            self.collector.flush().await;
            self.collector.notices(&mut self.ear).await;
            result.map_err(Stop::Problem)?;
        }
        Ok(())
    }

    /// The row is written before the first statement that may write. `set transaction` must come before any other, and
    /// what only reads needs no row: should it write all the same, `Proof::check` writes one then. A plan is
    /// asked for in a transaction that may not write, and an inventory has nothing to write.
    fn wants_row(&self, sql: &str) -> bool {
        self.job.asks.is_rows() && !Shape::of(sql).sets_transaction() && !sql::only_reads(sql)
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

    /// Sends the statement and takes in all it brings; returns its tag's count, and whether its columns are known.
    async fn stream(&mut self, sql: &str) -> Result<(u64, bool), Problem> {
        let Self { target, job, session, collector, ear, .. } = self;
        let (mut count, mut described) = (0, false);
        let mut stream = raw::send::<sqlx::Postgres, _>(&mut session.conn, sql);
        let mut early = None;
        if !job.transaction {
            // Once asked, it is on its way.
            early = poll_fn(|context| Poll::Ready(Some(stream.poll_next_unpin(context)))).await;
            if failpoint::hit("target.direct.sent") {
                return Err(Problem::lost("a test broke it off while it ran"));
            }
        }
        loop {
            let due = collector.due();
            let item = tokio::select! {
                biased;
                Some(notice) = ear.notices.recv() => {
                    collector.notice(notice).await;
                    continue;
                }
                item = next(&mut stream, &mut early) => item,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    collector.flush().await;
                    continue;
                }
            };
            match item {
                None => return Ok((count, described)),
                Some(Err(error)) => return Err(Problem::of_postgres(error)),
                Some(Ok(Either::Left(done))) => {
                    count += done.rows_affected();
                    collector.close_result();
                }
                Some(Ok(Either::Right(row))) => {
                    if collector.wants_columns() {
                        described = true;
                        let types = target.types.names(&target.control, row.columns()).await;
                        collector.columns(names(row.columns()), types).await;
                    }
                    keep(collector, &row).await;
                }
            }
        }
    }

    /// The columns of a result without rows: the protocol that brings values as text does not tell them. Asked after
    /// the fact and in a savepoint, so that the statement's own error is never replaced by one of this question.
    async fn header(&mut self, sql: &str) {
        if self.job.transaction && self.session.command("savepoint gonogo_header").await.is_err() {
            return;
        }
        let asked = timeout(DESCRIBE, raw::prepare::<sqlx::Postgres, _>(&mut self.session.conn, sql)).await;
        if self.job.transaction {
            // Where this fails, the next statement or the COMMIT says so.
            let _ = self.session.command("rollback to savepoint gonogo_header").await;
            let _ = self.session.command("release savepoint gonogo_header").await;
        }
        match asked {
            Ok(Ok(statement)) if !statement.columns().is_empty() => {
                let types = self.target.types.names(&self.target.control, statement.columns()).await;
                self.collector.columns(names(statement.columns()), types).await;
            }
            Ok(Ok(_)) => {}
            // The driver cannot describe some types (multiranges): then the result has no header, but it is one.
            Ok(Err(_)) | Err(_) => self.collector.empty_result(),
        }
    }
}

/// The next item of a stream that was polled once already.
async fn next<S: Stream + Unpin>(stream: &mut S, early: &mut Option<Poll<Option<S::Item>>>) -> Option<S::Item> {
    match early.take() {
        Some(Poll::Ready(item)) => item,
        Some(Poll::Pending) | None => stream.next().await,
    }
}

async fn keep(collector: &mut Collector<'_>, row: &PgRow) {
    if !collector.wants_row() {
        collector.count_row();
        return;
    }
    let cell = |i: usize| Cell {
        text: row.try_get_raw(i).ok().and_then(|value| value.as_bytes().ok()).map(Cow::Borrowed),
        kind: types::kind(row.column(i).type_info()),
    };
    collector.row(row.len(), cell).await;
}

fn names<C: Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}
