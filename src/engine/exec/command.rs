//! Runs a command or a shell script under its shim: output as it comes, cancel, facts, and what it promised to produce.
//! An engine that finds it at work, or ended, takes it up at the same place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::produces;
use super::show::Show;
use super::watch::{End, Seen, Watch};
use super::{CANCELLED, Order, broke, done, failed, lost, millis};
use crate::child::shim::{self, Ended, INPUT, Place, Unspawned};
use crate::child::{self, SpawnError, Tail};
use crate::engine::secrets;
use crate::failpoint;
use crate::run::event::Direction;
use crate::run::facts::Effect;
use crate::run::limits::CELL_BYTES;
use crate::run::{Attempt, Chunk, Facts, Fault, Judge, Outcome};
use crate::target::Target;

/// Processes named when some are left behind.
const NAMED: usize = 5;

const WITHOUT_BASH: &str = "install bash, or write the step as `run` without a shell";

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
    /// Added to what a command inherits. Never a secret.
    pub env: Vec<(String, String)>,
    /// Variables of the operator's environment that it is given as well: looked up when it starts, never kept.
    pub handed: Vec<String>,
    /// The target that is handed to it: `PG*` variables and the path of a private password file.
    pub connect: Option<Arc<Target>>,
    /// Text for its standard input, which is empty otherwise.
    pub stdin: Option<String>,
    /// Kept by the shim, also where no engine is left.
    pub timeout: Option<Duration>,
    /// From TERM to KILL: [`super::GRACE`].
    pub grace: Duration,
    /// How long output is read after its end, where something holds it open: [`child::DRAIN`].
    pub drain: Duration,
    /// A file that must exist after exit 0, rendered.
    pub produces: Option<String>,
    /// Whether the step's `expect` looks at `exit`; one that does not also wants exit 0.
    pub expect_sees_exit: bool,
    /// Where attempts have their folders: see [`place`].
    pub record_dir: PathBuf,
    /// The program whose `shim` it runs under: gonogo itself.
    pub program: PathBuf,
}

/// The folder of `attempt` below `records`: `<step>.<forward|undo>.<n>`.
pub fn place(records: &Path, attempt: &Attempt) -> Place {
    let direction = match attempt.direction {
        Direction::Forward => "forward",
        Direction::Undo => "undo",
    };
    Place::of(records, &format!("{}.{direction}.{}", attempt.step.0, attempt.n))
}

/// Carries out `job`. Streams [`Chunk::Text`] (`out`, `err`) to `out`, bounded by `limits::OUTPUT_*`, and notices beside it.
///
/// Done: exit 0, or the judge says so. Failed: another exit, the judge's no, time over, cancelled by `stop` (TERM, grace,
/// KILL to the whole process group), a promised file that is missing. Broke: not started, or not judgeable.
/// Unknown: the process does not die, or its shim was killed. Dropped while it runs, the command goes on under its shim.
/// The receiver of `out` must be emptied until the outcome is there (or dropped): the end of the output waits for room.
pub async fn command(job: &CommandJob, out: &mpsc::Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
    if stop.is_cancelled() {
        return failed(job.order.not_begun(CANCELLED), None, None);
    }
    let before = job.produces.as_ref().and_then(|name| produces::look(&job.cwd.join(name)));
    let place = place(&job.record_dir, &job.order.attempt);
    match begin(job, &place) {
        Ok(shim) => follow(job, &place, Some(shim), before, out, judge, stop).await,
        Err(fault) => {
            place.clear();
            broke(*fault)
        }
    }
}

/// Takes up an attempt that an earlier engine started, at work or ended: from its first byte of output, to the same end.
/// The facts of what is done say so ([`Facts::recovered`]).
pub async fn attach(job: &CommandJob, out: &mpsc::Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
    let place = place(&job.record_dir, &job.order.attempt);
    let ended = matches!(place.ended(), Ok(Some(_)));
    let mut outcome = follow(job, &place, None, None, out, judge, stop).await;
    let how = if ended { "its shim kept its end" } else { "it went on under its shim, and was taken up again" };
    if let Outcome::Done { facts, .. } | Outcome::Failed { facts: Some(facts), .. } = &mut outcome {
        facts.recovered = Some(how.to_owned());
    }
    outcome
}

/// Makes the attempt's folder and starts the shim. Until it has the lock and no fence is there, nothing is begun.
fn begin(job: &CommandJob, place: &Place) -> Result<Child, Box<Fault>> {
    if !job.cwd.is_dir() {
        return Err(unspawned(job, &(&SpawnError::NoFolder(job.cwd.display().to_string())).into()));
    }
    let unwritten = |error: io::Error| unrecorded(job, &error);
    place.create().map_err(unwritten)?;
    let connect = job.connect.as_ref().map(|target| target.connect_env(place.dir())).transpose();
    let connect = connect.map_err(|error| Box::new(job.order.not_begun(error.to_string())))?;
    if let Some(text) = &job.stdin {
        place.new_file(INPUT).and_then(|mut file| file.write_all(text.as_bytes())).map_err(unwritten)?;
    }
    if failpoint::hit("exec.command.before") {
        return Err(Box::new(job.order.not_begun("a failure was ordered before its start")));
    }
    let handed = handed(job).map_err(|why| Box::new(job.order.not_begun(why)))?;
    // What the target and the attempt bring is not the operator's to change.
    let env = handed.into_iter().chain(connect.into_iter().flatten()).chain(environment(job)).collect();
    let launch = shim::Launch { program: &job.program, place, orders: &orders(job), cwd: &job.cwd, env };
    launch.start().map_err(|error| {
        let hint = "see whether the machine is out of processes or memory, then retry".to_owned();
        let what = format!("its shim ({}) could not be started: {error}", job.program.display());
        Box::new(Fault { hint: Some(hint), ..job.order.not_begun(what) })
    })
}

fn orders(job: &CommandJob) -> shim::Orders {
    let argv = match &job.act {
        Act::Argv(argv) => argv.clone(),
        Act::Shell(script) => ["bash", "-euo", "pipefail", "-c", script].map(str::to_owned).to_vec(),
    };
    shim::Orders { argv, timeout: job.timeout, grace: job.grace, drain: job.drain }
}

fn handed(job: &CommandJob) -> Result<Vec<(String, String)>, String> {
    job.handed.iter().map(|name| Ok((name.clone(), secrets::handed(name)?))).collect()
}

fn environment(job: &CommandJob) -> impl Iterator<Item = (String, String)> {
    let attempt = &job.order.attempt;
    let own = [
        ("GONOGO_RUN", job.order.run.clone()),
        ("GONOGO_STEP", attempt.step.0.clone()),
        ("GONOGO_ATTEMPT", attempt.n.to_string()),
        ("GONOGO_ENVIRONMENT", job.order.environment.clone()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    job.env.iter().cloned().chain(own)
}

fn unrecorded(job: &CommandJob, error: &io::Error) -> Box<Fault> {
    Box::new(Fault {
        hint: Some("free space or correct the permissions there, then retry".to_owned()),
        ..job.order.not_begun(format!("{} cannot be written: {error}", job.record_dir.display()))
    })
}

fn unspawned(job: &CommandJob, error: &Unspawned) -> Box<Fault> {
    let fault = match &job.act {
        Act::Shell(_) if error.not_found => Fault {
            hint: Some(error.hint.replace("install the program, or name it by its full path", WITHOUT_BASH)),
            ..job.order.not_begun("`bash` was not found; shell steps are run by it")
        },
        _ => Fault { hint: Some(error.hint.clone()), ..job.order.not_begun(error.words.clone()) },
    };
    Box::new(fault)
}

async fn follow(
    job: &CommandJob,
    place: &Place,
    shim: Option<Child>,
    before: Option<produces::Look>,
    out: &mpsc::Sender<Chunk>,
    judge: &Judge,
    stop: CancellationToken,
) -> Outcome {
    let mut show = Show::new();
    let seen = Watch::new(job, place, shim, &mut show).see_through(out, &stop).await;
    if failpoint::hit("exec.command.ended") {
        return Outcome::Unknown { known: "a failure was ordered after its end".to_owned() };
    }
    let outcome = conclude(job, place, seen, judge, before, &mut show, &stop).await;
    while let Some(chunk) = show.next() {
        if out.send(chunk).await.is_err() {
            break;
        }
    }
    outcome
}

async fn conclude(
    job: &CommandJob,
    place: &Place,
    seen: Seen,
    judge: &Judge,
    before: Option<produces::Look>,
    show: &mut Show,
    stop: &CancellationToken,
) -> Outcome {
    let ended = match &seen.end {
        End::Ended(ended) => ended,
        End::Lost(started) => return Outcome::Unknown { known: lost::words(place, started) },
        End::Immortal => return Outcome::Unknown { known: "it was killed, and does not end".to_owned() },
        End::Never(why) => return broke(job.order.not_begun(never(why))),
        End::Unreadable(error) => {
            return Outcome::Unknown { known: format!("what its shim wrote down cannot be read: {error}") };
        }
    };
    if let Some(error) = &ended.unspawned {
        return broke(*unspawned(job, error));
    }
    let Some((code, words)) = ended.exit().map(child::ending) else {
        return Outcome::Unknown { known: "the system did not tell its shim how it ended".to_owned() };
    };
    mention(ended, show);
    let mut facts = Facts {
        exit: Some(code),
        stdout: Some(trimmed(&seen.out)),
        stderr: Some(trimmed(&seen.err)),
        ms: ended.ms,
        ..Facts::default()
    };
    if let Some(summary) = stopped(job, &seen, ended) {
        return failed(shortened(job, summary, code, &words), Some(facts), None);
    }
    if code == 0
        && let Some(name) = &job.produces
    {
        let measuring = tokio::time::Instant::now();
        match produces::measure(&job.cwd, name, stop).await {
            Ok(file) => facts.file = Some(file),
            Err(missing) => return failed(possible(job, missing.to_string()), Some(facts), None),
        }
        if before.is_some() && before == produces::look(&job.cwd.join(name)) {
            show.notice("WARNING", format!("{name} was there before, and the command did not touch it"));
        }
        facts.ms += millis(measuring.elapsed());
    }
    judged(job, facts, code, &words, judge)
}

fn never(why: &str) -> String {
    match why.is_empty() {
        true => "its shim ended before it started anything".to_owned(),
        false => format!("its shim started nothing: {why}"),
    }
}

/// What is to be said beside the output.
fn mention(ended: &Ended, show: &mut Show) {
    let named: Vec<String> =
        ended.left.iter().take(NAMED).map(|left| format!("{} (pid {})", left.name, left.pid)).collect();
    let more = match ended.left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match (ended.held, named.is_empty()) {
        (true, true) => show.notice("WARNING", "it ended, but something it started holds its output open"),
        (true, false) => {
            let what = "it ended, but something it started holds its output open; still running";
            show.notice("WARNING", format!("{what}: {}{more}", named.join(", ")));
        }
        (false, false) => {
            show.notice("INFO", format!("it ended and left running: {}{more}", named.join(", ")));
        }
        (false, true) => {}
    }
    if let Some(why) = &ended.unkept {
        show.notice("WARNING", format!("not everything of it could be kept: {why}"));
    }
}

/// Why it was ended before its time, if it was.
fn stopped(job: &CommandJob, seen: &Seen, ended: &Ended) -> Option<String> {
    if seen.cancelled {
        return Some(CANCELLED.to_owned());
    }
    let limit = || job.timeout.map(|timeout| format!(" after {}", humantime::format_duration(timeout)));
    (ended.timed_out || seen.overdue).then(|| format!("timed out{}", limit().unwrap_or_default()))
}

fn shortened(job: &CommandJob, summary: String, code: i32, words: &str) -> Fault {
    Fault {
        exit: Some(code),
        detail: Some(format!("{} {words}", program(job))),
        safe: "the command and its process group no longer run; what it did until then stays done".to_owned(),
        ..possible(job, summary)
    }
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
            hint: unbound(job, &facts),
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

/// What to do where a script ended at a variable that is not set: `bash: line 1: NAME: unbound variable`.
fn unbound(job: &CommandJob, facts: &Facts) -> Option<String> {
    let stderr = facts.stderr.as_ref().filter(|_| matches!(job.act, Act::Shell(_)))?;
    let line = stderr.lines().rev().find_map(|line| line.strip_suffix(": unbound variable"))?;
    let name = line.rsplit(": ").next()?;
    Some(format!(
        "the script is not given {name}: a command has a small environment of its own. Write env = [\"{name}\"] at the step (or \
         connect, for the address of a database), ${{{name}:-}} where it may be missing; then begin a new run"
    ))
}

/// The end of what it said on stderr, else on stdout.
fn last_words(facts: &Facts) -> Option<String> {
    let said = [&facts.stderr, &facts.stdout].into_iter().flatten().find(|text| !text.trim().is_empty())?;
    let start = said.len().saturating_sub(CELL_BYTES);
    let start = (start..said.len()).find(|at| said.is_char_boundary(*at))?;
    Some(said[start..].to_owned())
}
