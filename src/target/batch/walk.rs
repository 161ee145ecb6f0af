//! The walk: batch after batch, until the last key is done, somebody wants its end, or it cannot go on.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::brake::{Brake, News};
use super::law::{Pace, Sizer};
use super::{BatchJob, Checkpoint, Estimate, Ground, Snag, Step};
use crate::run::facts::Effect;
use crate::run::words::count;
use crate::run::{Batches, Chunk, Facts, Fault, Judge, Outcome, Tuning};
use crate::target::problem::Problem;
use crate::target::watch::{Cause, Watch};
use crate::target::words;

/// How long a lost session is replaced before the walk is given up, and the longest wait between two tries.
const RECONNECT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Until a checkpoint that another session holds is looked at again.
const BUSY: Duration = Duration::from_millis(500);
/// Batches in a row that the server may take back although it said that they are committed.
const TAKEN_BACK: u32 = 3;
/// Between two chunks for the journal: this, or a hundredth of the time so far. The checkpoint is in the target.
const CHUNK_MS: u64 = 1_000;

/// Why a walk ends before its end.
enum Halt {
    Cause(Cause),
    Problem(Problem),
    /// It was told to end, and the server did not answer.
    Silent,
    /// Before the first batch: nothing was begun.
    Unopened(Problem),
}

/// Walks; ends only with an outcome that is certain. Nothing here is ever in doubt: what is committed is in the checkpoint.
pub async fn walk(
    ground: &mut dyn Ground<'_>,
    job: &BatchJob<'_>,
    out: &Sender<Chunk>,
    judge: &Judge,
    watch: &Watch,
) -> Outcome {
    let mut walk = Walk {
        job,
        out,
        watch,
        started: Instant::now(),
        sizer: Sizer::new(job.order.size),
        pace: Pace::default(),
        at: Checkpoint::default(),
        estimate: None,
        begun: 0,
        tuning: Tuning { size: job.order.size, pause_ms: job.order.pause_ms },
        known_rows: 0,
        brake: Brake::new(job.order.health),
        chunk_ms: None,
        turned: false,
        notices: Vec::new(),
    };
    let ended = walk.run(ground).await;
    ground.close().await;
    match ended {
        Ok(left) => walk.arrived(left, judge),
        Err(halt) => walk.halted(halt),
    }
}

struct Walk<'a> {
    job: &'a BatchJob<'a>,
    out: &'a Sender<Chunk>,
    watch: &'a Watch,
    started: Instant,
    sizer: Sizer,
    pace: Pace,
    at: Checkpoint,
    estimate: Option<Estimate>,
    /// Rows that were written before this attempt took it up.
    begun: u64,
    /// Rows that were written when the estimate was made.
    known_rows: u64,
    tuning: Tuning,
    brake: Brake,
    /// When the journal was last told how far it is.
    chunk_ms: Option<u64>,
    /// It began or ceased to wait since.
    turned: bool,
    notices: Vec<String>,
}

impl Walk<'_> {
    /// What the completeness query answers at the end.
    async fn run(&mut self, ground: &mut dyn Ground<'_>) -> Result<Option<i64>, Halt> {
        self.at = match self.stoppable(ground.stopper(), ground.open()).await? {
            Ok(at) => at,
            Err(problem) => return Err(self.watch.cause().map_or(Halt::Unopened(problem), Halt::Cause)),
        };
        self.begun = self.at.rows;
        self.assess(ground).await?;
        self.show(None).await;
        let (mut locked, mut unmoved) = (0, 0);
        loop {
            self.turn(ground).await?;
            let began = Instant::now();
            let step = self.stoppable(ground.stopper(), ground.batch(self.sizer.size())).await?;
            let took = began.elapsed();
            let result = match step {
                Ok(Step::Over(at)) => {
                    self.at = at;
                    match self.over(ground).await? {
                        Ok(left) => return Ok(left),
                        Err(problem) => Err(problem),
                    }
                }
                other => other,
            };
            match result {
                Ok(Step::Did { checkpoint, keys, rows }) => {
                    unmoved = if checkpoint.n > self.at.n { 0 } else { unmoved + 1 };
                    locked = 0;
                    self.did(checkpoint, keys, rows, took).await;
                    if unmoved >= TAKEN_BACK {
                        let words = "the server says that batches are committed, and takes them back";
                        return Err(Halt::Problem(Problem::own(words)));
                    }
                    if rows > 0 {
                        self.pause().await?;
                    }
                }
                Ok(Step::Over(_)) => {}
                Ok(Step::Busy) => {
                    self.show(Some((false, "another session is at work on the same checkpoint".to_owned()))).await;
                    self.rest(BUSY).await?;
                }
                Err(problem) => {
                    locked = match ground.snag(&problem, took) {
                        Snag::Locked => locked + 1,
                        _ => 0,
                    };
                    self.snagged(ground, problem, took, locked).await?;
                }
            }
        }
    }

    /// Waits until a batch may begin.
    async fn turn(&mut self, ground: &mut dyn Ground<'_>) -> Result<(), Halt> {
        let mut throttle = self.job.throttle.cloned();
        loop {
            self.stopped()?;
            self.retune();
            self.look(ground).await?;
            let own = throttle.as_mut().and_then(|throttle| throttle.borrow_and_update().clone());
            let now = self.elapsed_ms();
            let Some((name, why)) = self.brake.reason(own) else {
                let news = self.brake.goes_on(now);
                self.hear(news).await;
                return Ok(());
            };
            let news = self.brake.waits(name, &why, now);
            self.hear(news).await;
            self.show(Some((true, why))).await;
            self.until_news(throttle.as_mut()).await?;
        }
    }

    /// A while, or until somebody says something new.
    async fn until_news(&self, throttle: Option<&mut watch::Receiver<Option<String>>>) -> Result<(), Halt> {
        let judged = async {
            let changed = match throttle {
                Some(throttle) => throttle.changed().await.is_ok(),
                None => false,
            };
            // Nobody judges it any more: the engine is about to end, and this attempt with it.
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            cause = self.watch.fired() => Err(Halt::Cause(cause)),
            // Said again: a journal that was not due for it hears of it later.
            () = sleep(BUSY) => Ok(()),
            () = judged => Ok(()),
        }
    }

    /// Takes over the pace that a person wants from now on.
    fn retune(&mut self) {
        let Some(tuning) = self.job.tuning.map(|tuning| *tuning.borrow()) else { return };
        if tuning == self.tuning {
            return;
        }
        if tuning.size != self.tuning.size {
            self.sizer.retune(tuning.size);
        }
        self.tuning = tuning;
        self.pace.changes();
        self.turned = true;
    }

    /// How the database fares; a person who wants the end does not wait for its answer.
    async fn look(&mut self, ground: &mut dyn Ground<'_>) -> Result<(), Halt> {
        let now = self.elapsed_ms();
        let said = tokio::select! {
            biased;
            cause = self.watch.fired() => return Err(Halt::Cause(cause)),
            said = self.brake.look(ground, now) => said,
        };
        self.hear(News { said, turned: false }).await;
        Ok(())
    }

    async fn hear(&mut self, news: News) {
        if news.turned {
            self.turned = true;
            self.pace.changes();
        }
        for text in news.said {
            // It may be closed early: the work goes on.
            let _ = self.out.send(Chunk::Notice { severity: "NOTICE".to_owned(), text }).await;
        }
    }

    /// What lies between two batches; another pace ends it early.
    async fn pause(&self) -> Result<(), Halt> {
        let mut tuning = self.job.tuning.cloned();
        let retuned = async {
            match &mut tuning {
                Some(tuning) => {
                    let now = self.tuning;
                    if tuning.wait_for(|wanted| *wanted != now).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            rested = self.rest(Duration::from_millis(self.tuning.pause_ms)) => rested,
            () = retuned => Ok(()),
        }
    }

    /// What lies before it, as far as can be told.
    async fn assess(&mut self, ground: &mut dyn Ground<'_>) -> Result<(), Halt> {
        self.estimate = self.stoppable(ground.stopper(), ground.estimate(&self.at)).await?;
        self.pace = Pace::default();
        self.known_rows = self.at.rows;
        Ok(())
    }

    fn elapsed_ms(&self) -> u64 {
        ms(self.started.elapsed())
    }

    fn stopped(&self) -> Result<(), Halt> {
        self.watch.cause().map_or(Ok(()), |cause| Err(Halt::Cause(cause)))
    }

    async fn rest(&self, pause: Duration) -> Result<(), Halt> {
        match timeout(pause, self.watch.fired()).await {
            Ok(cause) => Err(Halt::Cause(cause)),
            Err(_) => Ok(()),
        }
    }

    /// Does `work`, which `stopper` ends when the attempt is to end.
    async fn stoppable<T>(&self, stopper: impl Future<Output = ()>, work: impl Future<Output = T>) -> Result<T, Halt> {
        let stop = async {
            self.watch.fired().await;
            stopper.await;
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = stop => Err(Halt::Silent),
        }
    }

    async fn did(&mut self, checkpoint: Checkpoint, keys: u64, rows: u64, took: Duration) {
        self.sizer.took(keys, ms(took));
        self.pace.did(self.elapsed_ms(), keys, rows);
        self.at = checkpoint;
        self.show(None).await;
    }

    /// What a batch that did not come to its end means.
    async fn snagged(
        &mut self,
        ground: &mut dyn Ground<'_>,
        problem: Problem,
        took: Duration,
        locked: u32,
    ) -> Result<(), Halt> {
        self.stopped()?;
        match ground.snag(&problem, took) {
            Snag::TooLong if self.sizer.split() => Ok(()),
            Snag::Locked if locked < ground.tries() => {
                self.sizer.ease();
                self.show(Some((false, problem.words()))).await;
                self.rest(back_off(locked)).await
            }
            Snag::Lost => self.reopen(ground, problem).await,
            Snag::TooLong | Snag::Locked | Snag::Other => Err(Halt::Problem(problem)),
        }
    }

    /// A new session, and from it the truth of what the lost one did.
    async fn reopen(&mut self, ground: &mut dyn Ground<'_>, problem: Problem) -> Result<(), Halt> {
        let lost = Instant::now();
        let mut last = problem;
        for n in 1.. {
            self.show(Some((false, format!("the session was lost: {}", last.words())))).await;
            self.rest(back_off(n)).await?;
            match self.stoppable(ground.stopper(), ground.open()).await? {
                Ok(at) => {
                    self.at = at;
                    self.assess(ground).await?;
                    self.show(None).await;
                    return Ok(());
                }
                Err(problem) if problem.lost && lost.elapsed() < RECONNECT => last = problem,
                Err(problem) => return Err(Halt::Problem(problem)),
            }
        }
        Err(Halt::Problem(last))
    }

    /// Every key is done: is everything? Inside: a problem that may pass.
    async fn over(&mut self, ground: &mut dyn Ground<'_>) -> Result<Result<Option<i64>, Problem>, Halt> {
        self.show(None).await;
        let at = self.at.clone();
        let left = match self.stoppable(ground.stopper(), ground.left(&at)).await? {
            Ok(left) => left,
            Err(problem) if problem.lost => return Ok(Err(problem)),
            Err(problem) => {
                self.stopped()?;
                let message = format!("whether all is done could not be asked: {}", problem.message);
                return Err(Halt::Problem(Problem { message, ..problem }));
            }
        };
        let born = self.stoppable(ground.stopper(), ground.born(&at)).await?;
        // Only a remark: where it cannot be asked, nothing is said.
        if let Ok(born @ 1..) = born {
            let text = format!(
                "{} row(s) were born behind the last key since the start and are not touched: they need a default, a \
                 trigger or another step",
                count(born)
            );
            self.notices.push(text.clone());
            let _ = self.out.send(Chunk::Notice { severity: "WARNING".to_owned(), text }).await;
        }
        Ok(Ok(left))
    }

    /// Tells how far it is: the board always, the journal now and then, and where it begins or ceases to wait.
    /// `pausing`: whether that is a signal's doing, and why.
    async fn show(&mut self, pausing: Option<(bool, String)>) {
        let ms = self.elapsed_ms();
        let batches = self.batches(ms, pausing);
        *self.job.board.lock().unwrap_or_else(PoisonError::into_inner) = Some(batches.clone());
        let after = if self.turned { CHUNK_MS } else { CHUNK_MS.max(ms / 100) };
        if self.chunk_ms.is_none_or(|last| ms >= last.saturating_add(after)) {
            self.chunk_ms = Some(ms);
            self.turned = false;
            // It may be closed early: the work goes on.
            let _ = self.out.send(Chunk::Batch(Box::new(batches))).await;
        }
    }

    fn batches(&self, ms: u64, pausing: Option<(bool, String)>) -> Batches {
        let of = self.estimate.and_then(|estimate| Some(self.known_rows.saturating_add(estimate.rows?)));
        let left = self.estimate.map(|estimate| estimate.keys);
        let share = self.estimate.filter(|estimate| estimate.all > 0).and_then(|estimate| {
            let done = estimate.all.checked_sub(self.pace.left(estimate.keys)?)?;
            u16::try_from(u128::from(done) * 1_000 / u128::from(estimate.all)).ok()
        });
        let (throttled, pausing) = pausing.map_or((false, None), |(throttled, why)| (throttled, Some(why)));
        Batches {
            n: self.at.n,
            size: self.sizer.size(),
            rows: self.at.rows,
            // A number that was passed was none.
            of: of.filter(|of| *of >= self.at.rows),
            permille: share,
            rate: self.pace.rate(),
            left_ms: self.pace.left_ms(left).filter(|_| pausing.is_none()),
            reached: self.reached(),
            high: self.at.high.clone().filter(|_| !self.job.key_masked),
            pausing,
            throttled,
            ms,
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            affected: Some(self.at.rows),
            batches: Some(self.at.n),
            notices: self.notices.iter().cloned().chain(self.brake.summary()).collect(),
            ms: ms(self.started.elapsed()),
            ..Facts::default()
        }
    }

    fn effect(&self) -> Effect {
        if self.at.rows > 0 { Effect::Possible } else { Effect::None }
    }

    fn arrived(&self, left: Option<i64>, judge: &Judge) -> Outcome {
        let facts = Facts { value: left.map(Into::into), ..self.facts() };
        let safe = format!("every batch is committed and stays: {}", self.stands());
        if let Some(left) = left.filter(|left| *left != 0) {
            let fault = Fault {
                summary: format!("the walk is over, and the completeness query answers {left} instead of 0"),
                hint: Some(
                    "rows were changed or born behind the walk, or `where` does not leave out what is done: then say \
                     `complete`"
                        .to_owned(),
                ),
                safe,
                effect: self.effect(),
                ..Fault::default()
            };
            return words::failed(fault, Some(facts));
        }
        match judge(&facts) {
            Err(fault) => words::unjudged(fault, self.effect(), &safe),
            Ok(Some(verdict)) if !verdict.passed => words::refused(verdict, facts, self.effect(), &safe),
            Ok(verdict) => words::done(facts, verdict),
        }
    }

    fn halted(&self, halt: Halt) -> Outcome {
        let safe = match self.at.n {
            0 => "no batch was committed".to_owned(),
            _ => format!("what is committed stays: {}. A retry goes on from there", self.stands()),
        };
        let fault = match halt {
            Halt::Unopened(problem) => {
                return words::broke(problem.fault(None, Effect::None, "this attempt has begun no batch"));
            }
            Halt::Cause(cause) => Fault { summary: cause.words(), ..Fault::default() },
            Halt::Problem(problem) => problem.fault(None, Effect::None, ""),
            Halt::Silent => Fault {
                summary: "told to end, and the database did not answer".to_owned(),
                detail: Some("the batch under way is taken back, or its checkpoint tells".to_owned()),
                ..Fault::default()
            },
        };
        words::failed(Fault { safe, effect: self.effect(), ..fault }, Some(self.facts()))
    }

    /// The last key that is done, where it may be told.
    fn reached(&self) -> Option<String> {
        self.at.reached.clone().filter(|_| !self.job.key_masked)
    }

    /// `413 batches, 412,000 rows, up to key 412000`
    fn stands(&self) -> String {
        let reached = self.reached().map(|key| format!(", up to key {key}")).unwrap_or_default();
        let mine = match self.begun {
            0 => String::new(),
            begun => format!(" ({} by this attempt)", count(self.at.rows.saturating_sub(begun))),
        };
        format!("{} batches, {} rows{mine}{reached}", count(self.at.n), count(self.at.rows))
    }
}

fn ms(length: Duration) -> u64 {
    crate::run::words::millis(length)
}

/// 0.1 s, 0.2 s, 0.4 s … 5 s.
fn back_off(n: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(n.saturating_sub(1).min(10))).min(LONGEST_WAIT)
}
