//! The engine: one inbox, one turn, one transaction. Drain, decide, apply, append, and only then act.

pub mod clock;
mod contact;
mod diverged;
pub mod doors;
mod doubt;
mod dump;
pub mod exec;
mod job;
mod loss;
mod others;
mod pulse;
pub mod redact;
mod resolve;
pub mod secrets;
pub mod settle;
mod takeup;
mod tell;
mod verify;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::journal::{JournalError, Writer};
use crate::run::decide::{Input, decide};
use crate::run::event::{End, HoldCause, Resolved};
use crate::run::follow::{acting, follow};
use crate::run::plan::held;
use crate::run::{Attempt, Chunk, Command, CommandVerb, Entry, Event, Moment, Outcome, Progress, RunState};
use crate::runbook::Runbook;
use crate::target::{Key, LedgerEntry};

use clock::RunClock;
pub use contact::{known_as, marked, writes};
use doors::Doors;
use doubt::Doubts;
use loss::Losses;
use pulse::Pulse;
use resolve::Left;
use tell::Teller;
use work::{Launch, Work};

/// How often the engine looks at its clocks when nothing else happens.
const TICK: Duration = Duration::from_millis(200);
/// How long samples and output wait for company, so that they share one durable append.
const GATHER: Duration = Duration::from_millis(50);
/// Inputs that one turn takes at most.
const TURN: usize = 512;
/// Events that may follow from one turn; more means that two rules contradict each other.
const FOLLOWS: usize = 10_000;

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("the rules of this run do not come to rest; this is a mistake in gonogo, the journal is intact")]
    Restless,
    #[error("a test let this turn fail")]
    Missed,
    #[error("the journal holds no run: its first entry is missing")]
    NoRun,
}

/// How an engine's work ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Ended(End),
    /// The run is held and can be resumed.
    Stopped,
}

/// How urgently somebody (a signal) wants the engine to let go of the run. It is then held and can be resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetGo {
    #[default]
    No,
    /// As soon as what runs has ended; nothing new starts.
    Soon,
    /// What runs is cancelled first.
    Now,
}

/// What an engine is given.
pub struct Setup {
    pub book: Arc<Runbook>,
    pub writer: Writer,
    /// The fold of what the journal already holds.
    pub state: RunState,
    /// The run's folder: sockets, records of commands, private files.
    pub run_dir: PathBuf,
    pub by: String,
    pub host: String,
    pub inbox: mpsc::Receiver<Input>,
    /// Set to let go of the run: see [`LetGo`].
    pub let_go: watch::Receiver<LetGo>,
    /// Rung with the seq of the newest committed entry.
    pub bell: watch::Sender<u64>,
    pub progress: broadcast::Sender<Progress>,
}

pub struct Engine {
    book: Arc<Runbook>,
    writer: Writer,
    state: RunState,
    clock: RunClock,
    inbox: mpsc::Receiver<Input>,
    let_go: watch::Receiver<LetGo>,
    /// What the engine's own tasks report.
    own: mpsc::Receiver<Input>,
    bell: watch::Sender<u64>,
    doors: Doors,
    work: Work,
    doubts: Doubts,
    teller: Teller,
    stop: CancellationToken,
    by: String,
    host: String,
}

impl Engine {
    pub fn new(setup: Setup) -> Result<Self, EngineError> {
        if setup.state.opened.run.is_empty() {
            return Err(EngineError::NoRun);
        }
        let clock = takeup::clock(&setup.state);
        let (reports, own) = mpsc::channel(TURN);
        let stop = CancellationToken::new();
        let doors = Doors::new(
            setup.book.clone(),
            &setup.state,
            setup.run_dir.clone(),
            setup.by.clone(),
            reports.clone(),
            stop.clone(),
        );
        let work = Work::new(reports.clone(), setup.progress);
        let doubts = Doubts::new(reports);
        Ok(Self {
            book: setup.book,
            writer: setup.writer,
            state: setup.state,
            clock,
            inbox: setup.inbox,
            let_go: setup.let_go,
            own,
            bell: setup.bell,
            doors,
            work,
            doubts,
            teller: Teller::default(),
            stop,
            by: setup.by,
            host: setup.host,
        })
    }

    /// Holds the run until it ends or is let go. Any error leaves the journal as it was at the last append.
    /// The writer comes back with the run's lock: to be let go last, after the socket was closed.
    pub async fn run(mut self) -> (Result<Ending, EngineError>, Writer) {
        let result = self.hold().await;
        self.doors.let_go(matches!(result, Ok(Ending::Ended(_)))).await;
        self.stop.cancel();
        self.work.stop_all();
        (result, self.writer)
    }

    async fn hold(&mut self) -> Result<Ending, EngineError> {
        self.take_up().await?;
        let mut pulse = Pulse::start(self.clock.now().ms);
        let mut losses = Losses::default();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ending = self.ending();
            if let Some(ending) = ending.clone().filter(|_| self.teller.is_silent()) {
                return Ok(ending);
            }
            let mut inputs = Vec::new();
            tokio::select! {
                biased;
                Some(input) = self.inbox.recv() => inputs.push(input),
                Some(input) = self.own.recv() => inputs.push(input),
                _ = tick.tick() => {}
            }
            self.gather(&mut inputs).await;
            let stood_still = pulse.beat(self.clock.now().ms);
            if let Some(ms) = stood_still {
                inputs.splice(0..0, takeup::stood_still(&self.state, ms).into_iter().map(Input::Fact));
            }
            inputs.extend(self.full());
            inputs.extend(self.letting_go());
            if ending.is_some() {
                // What is still under way is told within its time; nothing else happens any more.
                inputs.retain(|input| matches!(input, Input::Fact(Event::Told { .. })));
            }
            self.turn(inputs).await?;
            losses.look(&self.book, &self.state, &self.doors);
            if stood_still.is_some() {
                self.doors.recheck(&self.state);
            }
        }
    }

    fn ending(&self) -> Option<Ending> {
        if let Some((end, _, _)) = &self.state.ended {
            return Some(Ending::Ended(*end));
        }
        let stopped = self.state.engine.as_ref().is_some_and(|engine| !engine.running);
        stopped.then_some(Ending::Stopped)
    }

    /// Takes what else is there; samples and output wait a moment for more of their kind.
    async fn gather(&mut self, inputs: &mut Vec<Input>) {
        let deadline = tokio::time::Instant::now() + GATHER;
        while !inputs.is_empty() && inputs.len() < TURN {
            if let Ok(input) = self.inbox.try_recv() {
                inputs.push(input);
            } else if let Ok(input) = self.own.try_recv() {
                inputs.push(input);
            } else if inputs.iter().all(is_patient) {
                tokio::select! {
                    Some(input) = self.inbox.recv() => inputs.push(input),
                    Some(input) = self.own.recv() => inputs.push(input),
                    () = tokio::time::sleep_until(deadline) => return,
                }
            } else {
                return;
            }
        }
    }

    /// Announces this engine, closes what a crash left open, and opens the doors.
    async fn take_up(&mut self) -> Result<(), EngineError> {
        let started = Event::EngineStarted {
            pid: std::process::id(),
            host: self.host.clone(),
            boot: crate::child::proc::boot_id(),
            zero_ms: self.clock.zero(),
            by: self.by.clone(),
        };
        if !self.state.open.is_empty() {
            // What they said without an engine is journaled now: no secret in it may be news.
            self.doors.learn_secrets().await;
        }
        let left = takeup::leftovers(takeup::left_open(&self.book, &self.state, &self.doors)).await;
        let mut facts = vec![Input::Fact(started)];
        facts.extend(left.ended);
        facts.extend(takeup::stopped_countdowns(&self.state).into_iter().map(Input::Fact));
        self.turn(facts).await?;
        self.doors.open_targets();
        self.doors.start_probes();
        for attempt in left.going_on {
            self.take_over(&attempt);
        }
        takeup::sweep(&self.state, &self.doors);
        Ok(())
    }

    /// An attempt that an earlier engine started goes on here.
    fn take_over(&mut self, attempt: &Attempt) {
        let Some(run) = self.state.steps.get(&attempt.step).filter(|_| self.state.open.contains(attempt)) else {
            return;
        };
        let (started, cancelled) = (run.started.unwrap_or_default(), run.cancel_asked);
        let Some(resolved) = run.resolved.clone() else { return };
        self.launch(attempt, &resolved, started, true);
        if cancelled {
            self.work.cancel(attempt);
        }
    }

    /// One turn: decide and apply, append all of it in one transaction, then act.
    async fn turn(&mut self, inputs: Vec<Input>) -> Result<(), EngineError> {
        let now = self.clock.now();
        let mut batch = Vec::new();
        for input in inputs {
            for event in decide(&self.book, &self.state, input, now) {
                self.note(event, now, &mut batch);
            }
        }
        for round in 0.. {
            let events = follow(&self.book, &self.state, now);
            if events.is_empty() {
                break;
            }
            if round == FOLLOWS {
                return Err(EngineError::Restless);
            }
            for event in events {
                self.note(event, now, &mut batch);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        missed("engine.turn.before")?;
        let events: Vec<(Moment, Event)> =
            batch.iter().map(|noted| (noted.entry.at, noted.entry.event.clone())).collect();
        self.writer.append(events).await?;
        missed("engine.turn.appended")?;
        self.bell.send_replace(self.state.seq);
        for noted in batch {
            self.teller.tell(&self.book, &self.state, &self.doors, &noted.entry);
            self.act(&noted);
        }
        self.work.weigh(&self.book, &self.state);
        Ok(())
    }

    /// What a wish to let go asks for now.
    fn letting_go(&self) -> Vec<Input> {
        let wish = *self.let_go.borrow();
        if wish == LetGo::No || self.state.ended.is_some() {
            return Vec::new();
        }
        let running = self.work.running();
        let verbs = match wish {
            _ if running.is_empty() => vec![CommandVerb::Quit { reason: String::new() }],
            LetGo::Now => {
                let asked = |attempt: &Attempt| self.state.steps.get(&attempt.step).is_some_and(|run| run.cancel_asked);
                running
                    .into_iter()
                    .filter(|attempt| !asked(attempt))
                    .map(|attempt| CommandVerb::Cancel { attempt })
                    .collect()
            }
            _ if self.state.hold.is_none() => vec![CommandVerb::Hold { reason: "asked to let go".to_owned() }],
            _ => Vec::new(),
        };
        let by = self.by.clone();
        let command = |verb| Input::Command(Command { by: by.clone(), seen: u64::MAX, verb });
        verbs.into_iter().map(command).collect()
    }

    /// A journal without room has recorded what it must; from here on nothing new starts.
    fn full(&self) -> Option<Input> {
        let free = !self.writer.is_full() || self.state.hold.is_some() || self.state.ended.is_some();
        (!free).then(|| Input::Fact(held(HoldCause::JournalFull {})))
    }

    fn note(&mut self, event: Event, at: Moment, batch: &mut Vec<Noted>) {
        // What is to be done is done as it was resolved; only what is kept of it is without secrets.
        let order = match &event {
            Event::StepStarted { resolved, .. } => Some(resolved.clone()),
            _ => None,
        };
        let event = self.doors.redactor().event(event);
        let entry = Entry { seq: self.state.seq + 1, at, event };
        self.state.apply(&entry);
        batch.push(Noted { entry, order });
    }

    fn launch(&mut self, attempt: &Attempt, resolved: &Resolved, started: Moment, attached: bool) {
        let end = self.writer.head();
        let key = Key { run: self.state.opened.run.clone(), attempt: attempt.clone() };
        let order = Launch {
            entry: LedgerEntry { key, seq: end.count, head: end.hex() },
            resolved: resolved.clone(),
            started,
            clock: self.clock,
            attached,
        };
        self.work.launch(&self.book, &self.state, &self.doors, order);
    }

    /// What may be decided later is looked at again until it is.
    fn doubt(&mut self, attempt: &Attempt) {
        let step = acting(&self.book, attempt);
        let left = step.and_then(|step| Left::new(&self.book, &self.state, &self.doors, attempt, step));
        if let Some(left) = left {
            self.doubts.watch(left, &self.stop);
        }
    }

    /// What the server still does for an attempt in doubt is ended; what it answered becomes part of the attempt's output.
    fn end_leftover(&self, attempt: &Attempt, terminate: bool) {
        let run = self.state.steps.get(&attempt.step);
        if let Some(Resolved::Sql { target, .. } | Resolved::Migrations { target, .. }) =
            run.and_then(|run| run.resolved.as_ref())
        {
            tokio::spawn(self.doors.clone().end_leftover(attempt.clone(), target.clone(), terminate));
        }
    }

    /// The effect that a committed event orders.
    fn act(&mut self, noted: &Noted) {
        match (&noted.entry.event, &noted.order) {
            (Event::StepStarted { attempt, .. }, Some(resolved)) => {
                self.launch(attempt, resolved, noted.entry.at, false)
            }
            (Event::StepEnded { attempt, outcome }, _) => {
                self.work.ended(attempt);
                self.doubts.over(attempt);
                match outcome {
                    Outcome::Unknown { .. } => self.doubt(attempt),
                    _ => self.doors.forget(attempt),
                }
            }
            (Event::Settled { attempt, .. }, _) => {
                self.doubts.over(attempt);
                self.doors.forget(attempt);
            }
            (
                Event::Output { attempt, chunk: Chunk::Judged { .. } | Chunk::Probed(_) | Chunk::Migrating { .. } },
                _,
            ) => {
                self.work.witnessed(attempt);
            }
            (Event::LeftoverAsked { attempt, terminate, .. }, _) => self.end_leftover(attempt, *terminate),
            (Event::CancelAsked { attempt, .. }, _) => self.work.cancel(attempt),
            (Event::BatchRetuned { attempt, to, .. }, _) => self.work.retune(attempt, *to),
            (Event::Released { .. } | Event::TakenOver { .. }, _) => self.doors.reopen_lost(&self.state),
            _ => {}
        }
    }
}

/// A place where a test may let a turn fail.
fn missed(place: &str) -> Result<(), EngineError> {
    if crate::failpoint::hit(place) { Err(EngineError::Missed) } else { Ok(()) }
}

/// An entry of a turn, and what it orders to be done.
struct Noted {
    entry: Entry,
    order: Option<Resolved>,
}

/// Inputs that nobody waits for at the keyboard.
fn is_patient(input: &Input) -> bool {
    match input {
        Input::Chunk { chunk: Chunk::Judged { .. } | Chunk::Probed(_) | Chunk::Migrating { .. }, .. } => false,
        input => matches!(input, Input::Sample { .. } | Input::Chunk { .. }),
    }
}
