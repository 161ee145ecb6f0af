//! Runs a command or a shell script: output as it comes, time limit and cancel, facts, and what it promised to produce.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::produces;
use super::record::Record;
use super::show::{Show, Stream};
use super::{CANCELLED, Order, broke, done, failed, millis};
use crate::child::{self, Running, Sign, Tail};
use crate::run::facts::Effect;
use crate::run::limits::{CELL_BYTES, FACT_BYTES};
use crate::run::{Chunk, Facts, Fault, Judge, Outcome};

/// Processes named when some are left behind.
const NAMED: usize = 5;

/// What is run.
#[derive(Clone, Debug)]
pub enum Act {
    /// Program and arguments, never through a shell.
    Argv(Vec<String>),
    /// A script for `bash -euo pipefail`.
    Shell(String),
}

/// One attempt at a command.
#[derive(Clone, Debug)]
pub struct CommandJob {
    pub order: Order,
    pub act: Act,
    /// The operator's working folder; `produces` starts from it too.
    pub cwd: PathBuf,
    /// From `connect`: `PG*` variables and the path of a private password file. Never a secret itself.
    pub env: Vec<(String, String)>,
    /// Text for its standard input, which is empty otherwise.
    pub stdin: Option<String>,
    pub timeout: Option<Duration>,
    /// From TERM to KILL: [`super::GRACE`].
    pub grace: Duration,
    /// How long output is read after its end, where something holds it open: [`child::DRAIN`].
    pub drain: Duration,
    /// A file that must exist after exit 0, rendered.
    pub produces: Option<String>,
    /// Whether the step's `expect` looks at `exit`; one that does not also wants exit 0.
    pub expect_sees_exit: bool,
    /// Where [`super::leftover`] finds the attempt's process after a crash.
    pub record_dir: PathBuf,
}

/// Why a running command was stopped.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    Timeout(Duration),
    Cancelled,
}

/// How the process came to its end.
struct Ended {
    /// Code and words; none: it does not die.
    exit: Option<(i32, String)>,
    stopped: Option<Stopped>,
    out: Tail,
    err: Tail,
}

/// Carries out `job`. Streams [`Chunk::Text`] (`out`, `err`) to `out`, bounded by `limits::OUTPUT_*`, and notices beside it.
///
/// Done: exit 0, or the judge says so. Failed: another exit, the judge's no, time over, cancelled by `stop` (TERM, grace,
/// KILL to the whole process group), a promised file that is missing. Broke: not started, or not judgeable.
/// Unknown: the process does not die. Dropped while it runs, the process group is killed.
/// The receiver of `out` must be emptied until the outcome is there (or dropped): the end of the output waits for room.
pub async fn command(job: &CommandJob, out: &mpsc::Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
    let started = Instant::now();
    if stop.is_cancelled() {
        return failed(job.order.not_begun(CANCELLED), None, None);
    }
    let before = job.produces.as_ref().and_then(|name| produces::look(&job.cwd.join(name)));
    let mut record = match Record::open(&job.record_dir, &job.order.attempt) {
        Ok(record) => record,
        Err(error) => return unrecorded(job, &error),
    };
    let mut running = match child::spawn(&spec(job)) {
        Ok(running) => running,
        Err(error) => {
            record.withdraw();
            return unspawned(job, &error);
        }
    };
    let pid = running.pid();
    let mut show = Show::new();
    if let Err(error) = record.started(pid) {
        show.notice(
            "WARNING",
            format!("pid {pid} could not be written down ({error}): after a crash it will not be found"),
        );
    }
    let ended = Supervisor::new(job, &mut running, &mut show).watch(out, &stop).await;
    if let Err(error) = record.ended(ended.exit.as_ref().map(|(code, _)| *code)) {
        show.notice("WARNING", format!("the exit status could not be written down: {error}"));
    }
    let outcome = conclude(job, ended, started, judge, before, &mut show, &stop).await;
    send_rest(&mut show, out).await;
    outcome
}

fn spec(job: &CommandJob) -> child::Spec {
    let argv = match &job.act {
        Act::Argv(argv) => argv.clone(),
        Act::Shell(script) => ["bash", "-euo", "pipefail", "-c", script].map(str::to_owned).to_vec(),
    };
    let attempt = &job.order.attempt;
    let own = [
        ("GONOGO_RUN", job.order.run.clone()),
        ("GONOGO_STEP", attempt.step.0.clone()),
        ("GONOGO_ATTEMPT", attempt.n.to_string()),
        ("GONOGO_ENVIRONMENT", job.order.environment.clone()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    child::Spec {
        argv,
        cwd: job.cwd.clone(),
        env: job.env.iter().cloned().chain(own).collect(),
        stdin: job.stdin.is_some(),
        drain: job.drain,
    }
}

fn unrecorded(job: &CommandJob, error: &std::io::Error) -> Outcome {
    broke(Fault {
        hint: Some("free space or correct the permissions there, then retry".to_owned()),
        ..job.order.not_begun(format!("{} cannot be written: {error}", job.record_dir.display()))
    })
}

fn unspawned(job: &CommandJob, error: &child::SpawnError) -> Outcome {
    match (&job.act, error) {
        (Act::Shell(_), child::SpawnError::NotFound { path, .. }) => broke(Fault {
            hint: Some(format!("PATH is {path}; install bash, or write the step as `run` without a shell")),
            ..job.order.not_begun("`bash` was not found; shell steps are run by it")
        }),
        _ => job.order.unspawned(error),
    }
}

/// Watches over one running process until it and its output are over.
struct Supervisor<'a> {
    running: &'a mut Running,
    show: &'a mut Show,
    grace: Duration,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    input: Option<(ChildStdin, String)>,
    ended: Ended,
    /// Signals sent so far, and when patience is over once more.
    signals: u8,
    patience: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    fn new(job: &'a CommandJob, running: &'a mut Running, show: &'a mut Show) -> Self {
        let input = running.stdin().zip(job.stdin.clone());
        Self {
            running,
            show,
            grace: job.grace,
            timeout: job.timeout,
            deadline: job.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            input,
            ended: Ended { exit: None, stopped: None, out: Tail::new(FACT_BYTES), err: Tail::new(FACT_BYTES) },
            signals: 0,
            patience: None,
        }
    }

    async fn watch(mut self, out: &mpsc::Sender<Chunk>, stop: &CancellationToken) -> Ended {
        let mut feed = std::pin::pin!(feed(self.input.take()));
        let (mut fed, mut heard) = (false, true);
        loop {
            let stoppable = self.ended.stopped.is_none() && self.ended.exit.is_none();
            let due = self.show.due().filter(|_| heard);
            tokio::select! {
                sign = self.running.next() => match sign {
                    Ok(sign) => if self.note(sign) { break },
                    Err(error) => {
                        self.show.notice("ERROR", format!("the system does not tell how it ended: {error}"));
                        break;
                    }
                },
                permit = sendable(out, due), if due.is_some() => match permit {
                    Some(permit) => if let Some(chunk) = self.show.next() { permit.send(chunk) },
                    // Nobody listens: the command goes on, its output is only kept for the facts.
                    None => heard = false,
                },
                () = &mut feed, if !fed => fed = true,
                () = stop.cancelled(), if stoppable => self.stop(Stopped::Cancelled),
                () = until(self.deadline), if stoppable => {
                    self.stop(Stopped::Timeout(self.timeout.unwrap_or_default()));
                }
                () = until(self.patience) => if self.insist() { break },
            }
        }
        self.leave()
    }

    /// Takes note; true when all is over.
    fn note(&mut self, sign: Sign) -> bool {
        match sign {
            Sign::Out(piece) => {
                self.ended.out.push(&piece);
                self.show.push(Stream::Out, &piece);
            }
            Sign::Err(piece) => {
                self.ended.err.push(&piece);
                self.show.push(Stream::Err, &piece);
            }
            Sign::Exited(status) => self.ended.exit = Some(child::ending(status)),
            Sign::Closed { held } => {
                if held {
                    let named = name(&self.running.leftovers());
                    self.show
                        .notice("WARNING", format!("it ended, but something it started holds its output open{named}"));
                }
                return true;
            }
        }
        false
    }

    fn stop(&mut self, why: Stopped) {
        self.ended.stopped = Some(why);
        self.running.signal(Signal::TERM);
        self.signals = 1;
        self.patience = Some(Instant::now() + self.grace);
    }

    /// Patience is over: KILL; and once more, give up. True when nothing more can be done.
    fn insist(&mut self) -> bool {
        self.patience = None;
        if self.signals > 1 {
            return self.ended.exit.is_none();
        }
        self.running.signal(Signal::KILL);
        self.signals = 2;
        self.patience = Some(Instant::now() + self.grace.max(Duration::from_secs(1)));
        false
    }

    fn leave(mut self) -> Ended {
        if self.ended.stopped.is_some() {
            // Its leader may be gone and others of its group still busy.
            self.running.signal(Signal::KILL);
        }
        self.show.finish();
        std::mem::replace(&mut self.ended, Ended { exit: None, stopped: None, out: Tail::new(0), err: Tail::new(0) })
    }
}

fn name(left: &[child::proc::Stat]) -> String {
    let named: Vec<String> = left.iter().take(NAMED).map(|stat| format!("{} (pid {})", stat.name, stat.pid)).collect();
    match (named.is_empty(), left.len() > NAMED) {
        (true, _) => String::new(),
        (false, false) => format!("; still running: {}", named.join(", ")),
        (false, true) => format!("; still running: {} and {} more", named.join(", "), left.len() - NAMED),
    }
}

async fn feed(input: Option<(ChildStdin, String)>) {
    if let Some((mut pipe, text)) = input {
        // A command that does not read its input to the end is not wrong.
        let _ = pipe.write_all(text.as_bytes()).await;
        let _ = pipe.shutdown().await;
    }
}

async fn sendable(out: &mpsc::Sender<Chunk>, due: Option<Instant>) -> Option<mpsc::Permit<'_, Chunk>> {
    until(due).await;
    out.reserve().await.ok()
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn send_rest(show: &mut Show, out: &mpsc::Sender<Chunk>) {
    while let Some(chunk) = show.next() {
        if out.send(chunk).await.is_err() {
            return;
        }
    }
}

async fn conclude(
    job: &CommandJob,
    ended: Ended,
    started: Instant,
    judge: &Judge,
    before: Option<produces::Look>,
    show: &mut Show,
    stop: &CancellationToken,
) -> Outcome {
    let Some((code, words)) = ended.exit.clone() else {
        return Outcome::Unknown { known: "how its process ended is not known; it may still be at work".to_owned() };
    };
    let mut facts = Facts {
        exit: Some(code),
        stdout: Some(trimmed(&ended.out)),
        stderr: Some(trimmed(&ended.err)),
        ms: millis(started.elapsed()),
        ..Facts::default()
    };
    if let Some(why) = ended.stopped {
        let fault = stopped(job, why, code, &words);
        return failed(fault, Some(facts), None);
    }
    if code == 0
        && let Some(name) = &job.produces
    {
        match produces::measure(&job.cwd, name, stop).await {
            Ok(file) => facts.file = Some(file),
            Err(missing) => return failed(possible(job, missing.to_string()), Some(facts), None),
        }
        if before.is_some() && before == produces::look(&job.cwd.join(name)) {
            show.notice("WARNING", format!("{name} was there before, and the command did not touch it"));
        }
        facts.ms = millis(started.elapsed());
    }
    judged(job, facts, code, &words, judge)
}

fn judged(job: &CommandJob, facts: Facts, code: i32, words: &str, judge: &Judge) -> Outcome {
    let verdict = match judge(&facts) {
        Ok(verdict) => verdict,
        Err(fault) => return job.order.unjudged(fault, Effect::Possible),
    };
    let left_to_the_judge = verdict.is_some() && job.expect_sees_exit;
    if code != 0 && !left_to_the_judge {
        let fault = Fault {
            exit: Some(code),
            detail: last_words(&facts),
            ..possible(job, format!("{} {words}", program(job)))
        };
        return failed(fault, Some(facts), verdict);
    }
    match verdict {
        Some(verdict) if !verdict.passed => {
            let fault = Fault {
                exit: Some(code),
                detail: last_words(&facts),
                effect: Effect::Possible,
                ..job.order.unexpected(&verdict)
            };
            failed(fault, Some(facts), Some(verdict))
        }
        verdict => done(facts, verdict),
    }
}

fn stopped(job: &CommandJob, why: Stopped, code: i32, words: &str) -> Fault {
    let summary = match why {
        Stopped::Timeout(timeout) => format!("timed out after {}", humantime::format_duration(timeout)),
        Stopped::Cancelled => CANCELLED.to_owned(),
    };
    Fault {
        exit: Some(code),
        detail: Some(format!("{} {words}", program(job))),
        safe: "the command and its process group no longer run; what it did until then stays done".to_owned(),
        ..possible(job, summary)
    }
}

fn possible(job: &CommandJob, summary: String) -> Fault {
    Fault {
        safe: "the command no longer runs; what it did stays done".to_owned(),
        effect: Effect::Possible,
        ..job.order.fault(summary)
    }
}

fn program(job: &CommandJob) -> String {
    match &job.act {
        Act::Argv(argv) => format!("`{}`", argv.first().map_or("", String::as_str)),
        Act::Shell(_) => "the script".to_owned(),
    }
}

/// As `$(…)` of a shell gives it: without the line breaks at its end.
fn trimmed(tail: &Tail) -> String {
    let mut text = tail.text();
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    text
}

/// The end of what it said on stderr, else on stdout.
fn last_words(facts: &Facts) -> Option<String> {
    let said = [&facts.stderr, &facts.stdout].into_iter().flatten().find(|text| !text.trim().is_empty())?;
    let start = said.len().saturating_sub(CELL_BYTES);
    let start = (start..said.len()).find(|at| said.is_char_boundary(*at))?;
    Some(said[start..].to_owned())
}
