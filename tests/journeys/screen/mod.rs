//! Runs with a screen: a real terminal, keys, the engine behind it, and what remains when one of them goes away.

mod backfill;
mod demo;
mod fault;
mod lost;
mod mask;
mod owner;
mod poll;
mod protected;
mod remedy;
mod sizes;
mod trigger;
mod two;
mod wednesday;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gonogo::journal::{Reader, RunDir};
use gonogo::run::event::End;
use gonogo::run::{Entry, Event};
use gonogo::runbook::{Runbook, Step, Verb};
use support::headless::{Desk, PATIENCE};
use support::process;
use support::pty::Terminal;
use tokio::runtime::Runtime;

/// How long the screen does not take an Enter after another, and a little more.
const ENTER_GUARD: Duration = Duration::from_millis(700);

/// A desk with a journal to look into. What still works in its folder at the end is killed: engines outlive their screens.
struct Scene {
    desk: Desk,
    runtime: Runtime,
}

impl Scene {
    fn new() -> Self {
        Self::at(Desk::new(env!("CARGO_BIN_EXE_gonogo")))
    }

    fn at(desk: Desk) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { desk, runtime }
    }

    /// The program with these arguments in a terminal of 120×36, or as wide and high as said.
    fn open(&self, args: &[&str]) -> Terminal {
        self.open_sized(args, 120, 36)
    }

    fn open_sized(&self, args: &[&str], columns: u16, rows: u16) -> Terminal {
        Terminal::open(&self.desk.command(args), columns, rows)
    }

    /// The folder of the run, once there is one.
    fn run_dir(&self) -> Option<PathBuf> {
        let folders = std::fs::read_dir(self.desk.journal()).ok()?.flatten().map(|entry| entry.path());
        folders.into_iter().find(|path| path.join("journal.db").exists())
    }

    /// What the run's journal holds now.
    fn entries(&self) -> Vec<Entry> {
        let read = async {
            let dir = RunDir::at(&self.run_dir()?).ok()?;
            Reader::open(&dir).await.ok()?.all().await.ok()
        };
        self.runtime.block_on(read).unwrap_or_default()
    }

    /// Waits until the journal holds an event as wanted, and returns its entry.
    #[track_caller]
    fn until(&self, name: &str, wanted: impl Fn(&Event) -> bool) -> Entry {
        self.until_after(0, name, wanted)
    }

    /// As [`Self::until`], among the entries after `seq`.
    #[track_caller]
    fn until_after(&self, seq: u64, name: &str, wanted: impl Fn(&Event) -> bool) -> Entry {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let entries = self.entries();
            if let Some(found) = entries.iter().find(|entry| entry.seq > seq && wanted(&entry.event)) {
                return found.clone();
            }
            let tail: Vec<_> = entries.iter().rev().take(30).rev().map(|entry| &entry.event).collect();
            assert!(Instant::now() < deadline, "never in the journal: {name}\n{tail:#?}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The number of the newest entry.
    fn seq(&self) -> u64 {
        self.entries().last().map_or(0, |entry| entry.seq)
    }

    fn has_started(&self, step: &str) -> bool {
        let starts =
            |entry: &Entry| matches!(&entry.event, Event::StepStarted { attempt, .. } if attempt.step.0 == step);
        self.entries().iter().any(starts)
    }

    fn ended(&self) -> Option<End> {
        self.entries().iter().find_map(|entry| match &entry.event {
            Event::RunEnded { end, .. } => Some(*end),
            _ => None,
        })
    }

    /// The engine's process.
    fn engine(&self) -> u32 {
        let entries = self.entries();
        let started = entries.iter().rev().find_map(|entry| match &entry.event {
            Event::EngineStarted { pid, .. } => Some(*pid),
            _ => None,
        });
        started.expect("an engine")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        process::sweep(&self.desk.path(""));
    }
}

/// What an operator does with a screen, each as one reads it there.
trait Operator {
    /// Presses Enter where the screen offers something for it, until `holds`.
    fn enter_until(&mut self, name: &str, holds: impl Fn(&Self) -> bool);
    /// Presses Enter until the journal says that the step the screen offers has started.
    fn start(&mut self, scene: &Scene, step: &str);
    /// Answers an open question: types the words, then Enter once the screen takes it.
    fn answer(&mut self, question: &str, words: &str);
    /// Ticks every line of a checklist that runs; answers those that want words.
    fn tick(&mut self, scene: &Scene, step: &Step, words: &str);
    /// Says go for every role of a poll that runs.
    fn go(&mut self, scene: &Scene, book: &Runbook, step: &Step);
    fn auto(&mut self);
    /// Leaves the screen of a run that has ended; its exit code.
    fn leave(&mut self) -> u32;
}

impl Operator for Terminal {
    #[track_caller]
    fn enter_until(&mut self, name: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut pressed = None;
        while !holds(self) {
            // The screen does not take an Enter for half a second after the one before.
            let free = pressed.is_none_or(|at: Instant| at.elapsed() > ENTER_GUARD);
            if free && ["Enter starts:", "Enter: confirm", "press Enter again"].iter().any(|words| self.has(words)) {
                self.keys("\r");
                pressed = Some(Instant::now());
            }
            assert!(Instant::now() < deadline, "never {name}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    #[track_caller]
    fn start(&mut self, scene: &Scene, step: &str) {
        self.enter_until(&format!("started {step}"), |_| scene.has_started(step));
    }

    #[track_caller]
    fn answer(&mut self, question: &str, words: &str) {
        self.shows(question);
        self.keys(words);
        self.shows("enter goes");
        self.keys("\r");
        self.hides("esc back, nothing happens");
    }

    #[track_caller]
    fn tick(&mut self, scene: &Scene, step: &Step, words: &str) {
        let Verb::Checklist(items) = &step.verb else { panic!("{} is no checklist", step.id) };
        self.shows("space ticks");
        for (n, item) in items.iter().enumerate() {
            self.shows(&format!("({} of {} open)", items.len() - n, items.len()));
            self.keys(" ");
            if item.answer_required {
                self.answer("An answer is needed", words);
            }
            scene.until(
                &format!("{} ticked, line {n}", step.id),
                |event| matches!(event, Event::Ticked { step: at, item, .. } if *at == step.id && *item == n),
            );
        }
    }

    #[track_caller]
    fn go(&mut self, scene: &Scene, book: &Runbook, step: &Step) {
        let Verb::Poll(roles) = &step.verb else { panic!("{} is no poll", step.id) };
        for role in roles {
            let title = book.roles.iter().find(|(id, _)| id == role).map_or(role, |(_, title)| title);
            self.shows(&format!("still to answer: {title}"));
            self.keys("g");
            self.answer(": go?", "");
            scene.until(&format!("go from {role}"), |event| {
                matches!(event, Event::Voted { step: at, role: of, go: true, .. } if *at == step.id && of == role)
            });
        }
    }

    #[track_caller]
    fn auto(&mut self) {
        self.keys("a");
        self.answer("Let steps start by themselves?", "");
        self.shows("auto-advance on");
    }

    #[track_caller]
    fn leave(&mut self) -> u32 {
        self.shows("the run is over");
        self.keys("q");
        self.ends()
    }
}
