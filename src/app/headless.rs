//! A run without a screen: the engine in this process, one line per entry, answers only as far as they were given.

use std::cmp::Ordering;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::app::{Done, Stop, code, engine, say, say_bytes, say_error, terminal, who};
use crate::cli::Headless;
use crate::journal::{Reader, RunDir};
use crate::print::{Face, Printer};
use crate::run::autopilot::{self, Answers, Move};
use crate::run::command::{Command, CommandVerb};
use crate::run::decide::Input;
use crate::run::{Entry, Event, RunState, giving_up, plan};
use crate::runbook::{RUNBOOK_BYTES, Runbook, StepId, clean};

/// Entries read from the journal at once.
const PAGE: u32 = 1_000;
/// Refusals of its own commands after which the autopilot gives up: something else is steering.
const REFUSALS: u32 = 5;

/// What `--yes`, `--answers` and `--confirm` cover.
pub fn answers(args: &Headless) -> Result<Answers, Stop> {
    let mut answers = match &args.answers {
        Some(path) => read_answers(path)?,
        None => Answers::default(),
    };
    answers.yes = args.yes;
    answers.confirm.clone_from(&args.confirm);
    answers.take_over.clone_from(&args.take_over);
    Ok(answers)
}

fn read_answers(path: &Path) -> Result<Answers, Stop> {
    let text = bounded(path)
        .map_err(|error| Stop::new(code::USAGE, format!("cannot read the answers {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| Stop::new(code::USAGE, format!("{}: {error}", path.display())))
}

/// The text of a file that is no larger than a runbook may be.
fn bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(RUNBOOK_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > RUNBOOK_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", RUNBOOK_BYTES >> 20)));
    }
    Ok(text)
}

/// Holds the run in the foreground until it ends or nobody here may answer what it asks.
/// `journal`: where runs are kept, if the command line named it. `known`: the last entry that need not be told again;
/// lines for programs tell all of them.
pub async fn hold(dir: &RunDir, answers: Answers, json: bool, journal: Option<&str>, known: u64) -> Done {
    let held = engine::hold(dir).await?;
    let mut bell = held.bell.clone();
    let face = Face { json, colour: terminal::colour_on_stdout(), width: terminal::width_of_stdout() };
    let mut front = Front {
        reader: Reader::open(dir).await.map_err(Stop::internal)?,
        printer: Printer::new(held.book.clone(), face),
        pilot: Pilot::new(held.book.clone(), answers, held.inbox.clone()),
        known: if json { 0 } else { known },
    };
    loop {
        front.read().await?;
        front.pilot.steer(front.printer.state()).await;
        // The bell ends with its engine.
        if bell.changed().await.is_err() {
            break;
        }
    }
    let exit = held.end().await;
    front.read().await?;
    if !json {
        say_bytes(front.printer.summary(journal).as_bytes());
        if exit.as_ref().is_ok_and(|exit| *exit == code::HELD) {
            front.wanted(&dir.id(), journal);
        }
        // The last line, easy to find: whoever keeps it can tell later whether the journal was changed.
        if let Ok(end) = front.reader.head().await {
            say(&format!("  {:<9} {end}", "anchor"));
        }
    }
    match exit {
        Ok(code::HELD) if front.pilot.confirm_refused => Ok(code::REFUSED),
        other => other,
    }
}

struct Front {
    reader: Reader,
    printer: Printer,
    pilot: Pilot,
    /// Entries up to this one are not printed.
    known: u64,
}

impl Front {
    /// What a file of answers has to say, where the run stands for want of words.
    fn wanted(&self, run: &str, journal: Option<&str>) {
        let state = self.printer.state();
        let Some(text) = autopilot::wanted(&self.pilot.book, state).filter(|_| self.pilot.lacks_words) else { return };
        say("  words     fill them in and save them as answers.toml:");
        text.lines().for_each(|line| say(&format!("    {line}")));
        let journal = journal.map(|path| format!(" --journal {}", clean::word(path))).unwrap_or_default();
        say(&format!("  then      gonogo resume {run}{journal} --headless --yes --answers answers.toml"));
    }

    /// Prints what is new in the journal.
    async fn read(&mut self) -> Result<(), Stop> {
        loop {
            let after = self.printer.state().seq;
            let entries = self.reader.entries_after(after, PAGE).await.map_err(Stop::internal)?;
            for entry in &entries {
                self.pilot.saw(entry);
                let lines = self.printer.entry(entry);
                match entry.seq.cmp(&self.known) {
                    Ordering::Less => {}
                    Ordering::Equal => say_bytes(self.printer.standing().as_bytes()),
                    Ordering::Greater => say_bytes(lines.as_bytes()),
                }
            }
            if entries.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The autopilot's hands: one command at a time, each for a state that was really seen.
struct Pilot {
    book: Arc<Runbook>,
    answers: Answers,
    inbox: mpsc::Sender<Input>,
    by: String,
    /// The entry after which the last command was given: the next one waits for news.
    asked: u64,
    /// True until the last command has led to an entry.
    waits: bool,
    refusals: u32,
    refused: Option<String>,
    confirm_refused: bool,
    /// It stopped at a question that wants words.
    lacks_words: bool,
    /// True once this engine has started: what is held before that was held by somebody else, earlier.
    begun: bool,
}

impl Pilot {
    fn new(book: Arc<Runbook>, answers: Answers, inbox: mpsc::Sender<Input>) -> Self {
        let by = format!("{} (headless)", who());
        Self {
            book,
            answers,
            inbox,
            by,
            asked: 0,
            waits: false,
            refusals: 0,
            refused: None,
            confirm_refused: false,
            lacks_words: false,
            begun: false,
        }
    }

    fn saw(&mut self, entry: &Entry) {
        // Whatever a command leads to, its first entry names who gave it.
        if entry.event.by() == Some(&self.by) {
            self.waits = false;
        }
        match &entry.event {
            // Not what an earlier engine of the same name was refused.
            Event::Refused { by, what, why } if self.begun && *by == self.by => {
                self.refusals += 1;
                self.confirm_refused |= matches!(what.as_str(), "confirm" | "take over");
                // Whoever wanted the run to end here does not want it to go on.
                let last_word = matches!(what.as_str(), "abandon" | "rollback");
                if self.confirm_refused || last_word || self.refusals > REFUSALS {
                    self.refused = Some(why.clone());
                }
            }
            Event::EngineStarted { pid, .. } if *pid == std::process::id() => self.begun = true,
            _ => {}
        }
    }

    async fn steer(&mut self, state: &RunState) {
        let let_go = state.engine.as_ref().is_none_or(|engine| !engine.running);
        if !self.begun || let_go || self.waits || self.asked == state.seq || state.ended.is_some() {
            return;
        }
        let takes_up = self.takes_up(state);
        if self.refused.is_none()
            && let Some(word) = self.answers.word.clone()
        {
            let verb = match giving_up::first_word(&self.book, state, &self.answers, &word) {
                Move::Wait => return,
                Move::Do(verb) => verb,
                Move::Stuck(what) => CommandVerb::Quit { reason: what },
            };
            // A take-over comes before it, and is no part of it.
            if verb == word {
                self.answers.word = None;
            }
            self.command(state, verb).await;
            return;
        }
        let retries = self.retries(state);
        if retries.is_some() && self.refused.is_none() && !plan::targets_answered(&self.book, state) {
            return;
        }
        let verb = match (&self.refused, takes_up, retries) {
            (Some(why), ..) => CommandVerb::Quit { reason: why.clone() },
            (None, true, _) => CommandVerb::Release,
            (None, false, Some(step)) => {
                // Once: what fails again is for a person.
                self.answers.retry = false;
                CommandVerb::Retry { step }
            }
            (None, false, None) => match autopilot::next(&self.book, state, &self.answers) {
                Move::Wait => return,
                Move::Do(verb) => verb,
                Move::Stuck(what) => {
                    self.lacks_words = autopilot::lacks_words(&self.book, state);
                    CommandVerb::Quit { reason: what }
                }
            },
        };
        self.command(state, verb).await;
    }

    async fn command(&mut self, state: &RunState, verb: CommandVerb) {
        self.asked = state.seq;
        self.waits = true;
        let command = Command { by: self.by.clone(), seen: state.seq, verb };
        if self.inbox.send(Input::Command(command)).await.is_err() {
            say_error("the engine is gone; what it did is in the journal");
        }
    }

    /// The step that `--retry` is for: it failed under an earlier engine, and nothing was tried since.
    fn retries(&self, state: &RunState) -> Option<StepId> {
        let since = state.engine.as_ref().map(|engine| engine.since.ms)?;
        autopilot::failed_before(state, since).filter(|_| self.answers.retry)
    }

    /// True for a hold that `--yes` may lift: made before this engine, by a person or by an engine that left.
    fn takes_up(&self, state: &RunState) -> bool {
        let since = state.engine.as_ref().map(|engine| engine.since);
        let earlier = state.hold.as_ref().filter(|hold| since.is_some_and(|since| hold.at < since));
        self.answers.yes && earlier.is_some_and(|hold| autopilot::may_release(&hold.cause))
    }
}
