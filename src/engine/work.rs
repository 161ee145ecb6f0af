//! Attempts at work: each in a task of its own, cancellable, its output and its end reported to the engine's inbox.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clock::RunClock;
use super::doors::Doors;
use super::job::{self, Job};
use super::redact::Redactor;
use super::verify::Question;
use crate::run::decide::Input;
use crate::run::event::{Direction, Resolved};
use crate::run::follow::acting;
use crate::run::inventory::Item;
use crate::run::output::Line;
use crate::run::{Attempt, Batches, Chunk, Moment, Progress, RunState, Tuning, context, mask};
use crate::runbook::expr::{self, Context};
use crate::runbook::{Asks, Expr, Runbook, Script, Step, Verb};
use crate::target::LedgerEntry;

/// How often a running attempt tells how far it is.
const PROGRESS: Duration = Duration::from_millis(500);
/// Chunks that wait for the engine before the attempt itself has to wait.
const CHUNKS: usize = 64;

/// The attempts that run now.
pub struct Work {
    reports: mpsc::Sender<Input>,
    progress: broadcast::Sender<Progress>,
    running: BTreeMap<Attempt, Running>,
}

/// A hand on an attempt that runs.
struct Running {
    stop: CancellationToken,
    /// A command under its shim: it goes on without an engine.
    outlives: bool,
    /// Told when the journal holds that its COMMIT is about to be sent.
    witnessed: Arc<Notify>,
    throttle: Option<Throttle>,
    /// Where a walk in batches hears of another pace.
    tuning: Option<watch::Sender<Tuning>>,
}

/// Why none of its batches may begin, and where the attempt hears of it.
struct Throttle {
    /// The runbook's own condition.
    when: Option<Expr>,
    why: watch::Sender<Option<String>>,
}

impl Throttle {
    fn of(step: &Step, book: &Runbook, state: &RunState) -> Option<Self> {
        let Verb::Batch(batch) = &step.verb else { return None };
        let throttle = Self { when: batch.throttle.clone(), why: watch::Sender::new(None) };
        throttle.weigh(book, state);
        Some(throttle)
    }

    fn weigh(&self, book: &Runbook, state: &RunState) {
        let own = || self.when.as_ref().and_then(|when| judged(when, &context::of(book, state)));
        let why = soon_back(state).or_else(own);
        self.why.send_if_modified(|before| {
            let changed = *before != why;
            *before = why;
            changed
        });
    }
}

/// What is written while a rollback counts down would only be taken back.
fn soon_back(state: &RunState) -> Option<String> {
    let (trigger, _) = state.countdown().filter(|_| !state.rolling_back())?;
    Some(format!("trigger {trigger} fired, a rollback is about to begin"))
}

/// What cannot be judged stops too: silence is no permission.
fn judged(when: &Expr, context: &Context) -> Option<String> {
    match expr::eval_bool(when, context) {
        Ok(false) => None,
        Ok(true) => Some(format!("{} ({})", when.source, expr::explain(when, context))),
        Err(error) => Some(format!("{} cannot be judged: {error}", when.source)),
    }
}

/// The snapshot that the step's own is compared with, as the journal has it.
fn compared(step: &Step, state: &RunState) -> Option<Arc<Vec<Item>>> {
    let Verb::Sql(Script { asks: Asks::Inventory(wanted), .. }) = &step.verb else { return None };
    state.snapshots.get(wanted.compare.as_ref()?).cloned()
}

/// An attempt that the journal has ordered.
pub struct Launch {
    /// Its row in a target's ledger, which names the attempt.
    pub entry: LedgerEntry,
    pub resolved: Resolved,
    pub started: Moment,
    pub clock: RunClock,
    /// An earlier engine started it.
    pub attached: bool,
}

impl Work {
    pub fn new(reports: mpsc::Sender<Input>, progress: broadcast::Sender<Progress>) -> Self {
        Self { reports, progress, running: BTreeMap::new() }
    }

    /// Does what a committed `StepStarted` orders. Human steps are done by people.
    pub fn launch(&mut self, book: &Runbook, state: &RunState, doors: &Doors, order: Launch) {
        let Launch { entry, resolved, started, clock, attached } = order;
        let attempt = &entry.key.attempt;
        let Some(step) = acting(book, attempt) else { return };
        if matches!(resolved, Resolved::Human | Resolved::Unready) {
            return;
        }
        let stop = CancellationToken::new();
        let witnessed = Arc::new(Notify::new());
        let throttle = Throttle::of(step, book, state);
        let hears = throttle.as_ref().map(|throttle| throttle.why.subscribe());
        let outlives = resolved.is_command();
        let tuning = Tuning::of(&resolved).map(watch::Sender::new);
        let paced = tuning.as_ref().map(watch::Sender::subscribe);
        let running = Running { stop: stop.clone(), outlives, witnessed: Arc::clone(&witnessed), throttle, tuning };
        self.running.insert(attempt.clone(), running);
        let meter = Meter::new(attempt.clone(), started, clock);
        let known = if attached { Known::of(state, attempt) } else { Known::default() };
        let job = Job {
            attempt: attempt.clone(),
            witnessed,
            resolved: resolved.clone(),
            step: step.clone(),
            // Rendered once more for the file it promises; the values are those of the start.
            context: context::of(book, state),
            judge: Arc::new(context::judge(book, state, step)),
            place: step.place(&state.opened.source.name),
            doors: doors.clone(),
            attached,
            key_n: state.steps.get(&attempt.step).map_or(attempt.n, |run| run.key_n),
            earlier: earlier(state, attempt),
            question: Question::of(book, state, doors, attempt, step),
            rows: meter.rows.clone(),
            board: meter.board.clone(),
            throttle: hears,
            before: compared(step, state),
            tuning: paced,
            key_masked: key_masked(book, state, attempt, &resolved),
            elapsed: Duration::from_millis(clock.now().ms.saturating_sub(started.ms)),
            entry,
        };
        let ticking = self.report_progress(&meter, doors, &resolved);
        let reports = self.reports.clone();
        let redactor = doors.redactor().clone();
        tokio::spawn(async move {
            let attempt = job.attempt.clone();
            let (out, chunks) = mpsc::channel(CHUNKS);
            let forward = tokio::spawn(forward(attempt.clone(), chunks, reports.clone(), meter, redactor, known));
            let outcome = job::run(job, out, stop).await;
            // Everything it said comes before its end.
            let _ = forward.await;
            ticking.cancel();
            let _ = reports.send(Input::Ended { attempt, outcome }).await;
        });
    }

    /// A task that tells how far the attempt is until the token it returns is cancelled.
    fn report_progress(&self, meter: &Meter, doors: &Doors, resolved: &Resolved) -> CancellationToken {
        let stop = doors.stop().child_token();
        let stopped = stop.clone();
        let progress = self.progress.clone();
        let meter = meter.clone();
        let target = match resolved {
            Resolved::Sql { target, .. } | Resolved::Batch { target, .. } | Resolved::Migrations { target, .. } => {
                doors.target(target)
            }
            _ => None,
        };
        let label = doors.label(&meter.attempt);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(PROGRESS);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = tick.tick() => {}
                }
                let waiting = match &target {
                    Some(target) => target.waiting(&label).await,
                    None => None,
                };
                // Nobody has to listen.
                let _ = progress.send(meter.read(waiting));
            }
        });
        stop
    }

    /// Judges anew which batches have to wait; after each turn.
    pub fn weigh(&self, book: &Runbook, state: &RunState) {
        let throttles = self.running.values().filter_map(|running| running.throttle.as_ref());
        throttles.for_each(|throttle| throttle.weigh(book, state));
    }

    pub fn ended(&mut self, attempt: &Attempt) {
        self.running.remove(attempt);
    }

    pub fn cancel(&self, attempt: &Attempt) {
        if let Some(running) = self.running.get(attempt) {
            running.stop.cancel();
        }
    }

    /// Its batches keep this pace from the next one on.
    pub fn retune(&self, attempt: &Attempt, to: Tuning) {
        if let Some(tuning) = self.running.get(attempt).and_then(|running| running.tuning.as_ref()) {
            tuning.send_replace(to);
        }
    }

    /// The journal holds that its COMMIT is about to be sent.
    pub fn witnessed(&self, attempt: &Attempt) {
        if let Some(running) = self.running.get(attempt) {
            running.witnessed.notify_one();
        }
    }

    /// The attempts that run now.
    pub fn running(&self) -> Vec<Attempt> {
        self.running.keys().cloned().collect()
    }

    /// The engine ends: what still runs is stopped, but for commands. Their shims take care of them, and the next engine
    /// takes them up.
    pub fn stop_all(&self) {
        for running in self.running.values().filter(|running| !running.outlives) {
            running.stop.cancel();
        }
    }
}

/// The attempts of its step before it.
fn earlier(state: &RunState, attempt: &Attempt) -> Vec<Attempt> {
    let Some(run) = state.steps.get(&attempt.step) else { return Vec::new() };
    let of = |direction, tries| (1..=tries).map(move |n| Attempt { step: attempt.step.clone(), direction, n });
    let all = of(Direction::Forward, run.tries).chain(of(Direction::Undo, run.undo_tries));
    all.filter(|other| other != attempt).collect()
}

/// Passes an attempt's output on to the engine, counting it. The end of a piece that may begin a secret waits for more.
async fn forward(
    attempt: Attempt,
    mut chunks: mpsc::Receiver<Chunk>,
    reports: mpsc::Sender<Input>,
    meter: Meter,
    redactor: Redactor,
    mut known: Known,
) {
    let mut waiting: BTreeMap<String, String> = BTreeMap::new();
    while let Some(chunk) = chunks.recv().await {
        meter.count(&chunk);
        let chunk = match chunk {
            Chunk::Text { stream, text } => {
                let mut text = waiting.remove(&stream).unwrap_or_default() + &text;
                let rest = text.split_off(text.len() - redactor.undecided(&text));
                waiting.insert(stream.clone(), rest);
                if text.is_empty() {
                    continue;
                }
                Chunk::Text { stream, text }
            }
            other => other,
        };
        let Some(chunk) = known.news(chunk, &redactor) else { continue };
        if reports.send(Input::Chunk { attempt: attempt.clone(), chunk }).await.is_err() {
            return;
        }
    }
    for (stream, text) in waiting.into_iter().filter(|(_, text)| !text.is_empty()) {
        let Some(chunk) = known.news(Chunk::Text { stream, text }, &redactor) else { continue };
        // The engine is gone where nobody listens.
        let _ = reports.send(Input::Chunk { attempt: attempt.clone(), chunk }).await;
    }
}

/// What the journal already holds of an attempt that is taken up again: its output is read from the beginning once more,
/// and comes out the same, so that as much of it is left out again.
#[derive(Default)]
struct Known {
    text_bytes: BTreeMap<String, u64>,
    notices: Vec<String>,
}

impl Known {
    fn of(state: &RunState, attempt: &Attempt) -> Self {
        let Some(run) = state.steps.get(&attempt.step) else { return Self::default() };
        let notice = |line: &Line| match line {
            Line::Notice { text, .. } => Some(text.clone()),
            _ => None,
        };
        Self {
            text_bytes: run.output.text_bytes.clone(),
            notices: run.output.lines.iter().filter_map(notice).collect(),
        }
    }

    /// What of `chunk` is new. Counted as it is journaled, which is without secrets.
    fn news(&mut self, chunk: Chunk, redactor: &Redactor) -> Option<Chunk> {
        match chunk {
            Chunk::Text { stream, text } => {
                let Some(left) = self.text_bytes.get_mut(&stream).filter(|left| **left > 0) else {
                    return Some(Chunk::Text { stream, text });
                };
                let text = redactor.text(&text);
                let known = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                *left -= known as u64;
                let start = (known..=text.len()).find(|at| text.is_char_boundary(*at))?;
                (start < text.len()).then(|| Chunk::Text { stream, text: text[start..].to_owned() })
            }
            Chunk::Notice { severity, text } => {
                let known = self.notices.iter().position(|known| *known == redactor.text(&text));
                match known {
                    Some(at) => {
                        self.notices.remove(at);
                        None
                    }
                    None => Some(Chunk::Notice { severity, text }),
                }
            }
            other => Some(other),
        }
    }
}

/// True for batches along a masked key.
fn key_masked(book: &Runbook, state: &RunState, attempt: &Attempt, resolved: &Resolved) -> bool {
    match resolved {
        Resolved::Batch { order, .. } => mask::hides_key(book, &state.opened.environment, &attempt.step, &order.key),
        _ => false,
    }
}

/// How far an attempt is.
#[derive(Clone)]
struct Meter {
    attempt: Attempt,
    started: Moment,
    clock: RunClock,
    statement: Arc<Mutex<(u32, u32)>>,
    rows: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    board: Arc<Mutex<Option<Batches>>>,
}

impl Meter {
    fn new(attempt: Attempt, started: Moment, clock: RunClock) -> Self {
        Self {
            attempt,
            started,
            clock,
            statement: Arc::default(),
            rows: Arc::default(),
            bytes: Arc::default(),
            board: Arc::default(),
        }
    }

    fn count(&self, chunk: &Chunk) {
        match chunk {
            Chunk::Statement { n, of } => {
                if let Ok(mut statement) = self.statement.lock() {
                    *statement = (*n, *of);
                }
            }
            Chunk::Text { text, .. } => {
                self.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn read(&self, waiting: Option<String>) -> Progress {
        let (statement, of) = self.statement.lock().map(|statement| *statement).unwrap_or_default();
        Progress {
            attempt: self.attempt.clone(),
            statement,
            of,
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            elapsed_ms: self.clock.now().ms.saturating_sub(self.started.ms),
            batches: self.board.lock().ok().and_then(|board| board.clone().map(Box::new)),
            waiting,
        }
    }
}
