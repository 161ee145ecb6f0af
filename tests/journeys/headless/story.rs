//! What a journal tells: entries as the program printed them or as its journal holds them, and a voice at its engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gonogo::journal::{Reader, RunDir};
use gonogo::link::{Client, Down};
use gonogo::run::command::{Command, CommandVerb};
use gonogo::run::{Attempt, Entry, Event, Fault, Outcome};
use support::headless::PATIENCE;

/// The entries behind the lines of `--json`; anything else on standard output fails the test.
#[track_caller]
pub fn parsed(out: &str) -> Vec<Entry> {
    let entry = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    out.lines().map(entry).collect()
}

/// What the journal of the run in `folder` holds just now.
pub async fn entries(folder: &Path) -> Vec<Entry> {
    let dir = RunDir::at(folder).unwrap();
    Reader::open(&dir).await.unwrap().all().await.unwrap()
}

/// As [`entries`], for tests without a runtime.
pub fn journal(folder: &Path) -> Vec<Entry> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(entries(folder))
}

/// The ids of the steps that were started, in order, an undo as `undo of id`, later attempts as `id (attempt 2)`.
pub fn started(entries: &[Entry]) -> Vec<String> {
    let attempt = |entry: &Entry| match &entry.event {
        Event::StepStarted { attempt, .. } => Some(attempt.to_string()),
        _ => None,
    };
    entries.iter().filter_map(attempt).collect()
}

/// How the last attempt of a step, or of its undo, ended.
#[track_caller]
pub fn outcome(entries: &[Entry], step: &str) -> Outcome {
    let ended = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::StepEnded { attempt, outcome } if attempt.step.0 == step => Some(outcome.clone()),
        _ => None,
    });
    ended.unwrap_or_else(|| panic!("{step} did not end"))
}

/// The fault of a step that failed or could not run.
#[track_caller]
pub fn fault(entries: &[Entry], step: &str) -> Fault {
    match outcome(entries, step) {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => *fault,
        other => panic!("{step} did not fail: {other:?}"),
    }
}

/// Somebody who speaks to a running engine as a screen does.
pub struct Voice {
    client: Client,
    reader: Reader,
    folder: PathBuf,
}

impl Voice {
    /// Waits until the engine of the run in `folder` answers.
    pub async fn at(folder: &Path) -> Self {
        let calling = async {
            loop {
                match Client::connect(folder, "tester", false).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let client = tokio::time::timeout(PATIENCE, calling).await.expect("an engine that answers");
        let reader = Reader::open(&RunDir::at(folder).unwrap()).await.unwrap();
        Self { client, reader, folder: folder.to_owned() }
    }

    /// Says it, having seen all that the journal holds.
    pub async fn say(&mut self, verb: CommandVerb) {
        let seen = self.reader.head().await.unwrap().count;
        let command = Command { by: "tester".to_owned(), seen, verb };
        self.client.commands.send(command).await.expect("the engine listens");
    }

    /// Waits until every target an earlier engine has met has said to this one who it is.
    pub async fn ready(&mut self) {
        // It answers before its first entry is in the journal.
        let pid = self.client.pid;
        let begun = |event: &Event| matches!(event, Event::EngineStarted { pid: own, .. } if *own == pid);
        let seq = self.until("the engine begins", begun).await.seq;
        let told = entries(&self.folder).await;
        let names = |told: &[Entry]| -> BTreeSet<String> {
            let met = told.iter().filter_map(|entry| match &entry.event {
                Event::TargetSeen { target, .. } => Some(target.clone()),
                _ => None,
            });
            met.collect()
        };
        let before: Vec<Entry> = told.into_iter().filter(|entry| entry.seq < seq).collect();
        for name in names(&before) {
            let seen = |event: &Event| matches!(event, Event::TargetSeen { target, .. } if *target == name);
            self.until_after(seq, "the target says who it is", seen).await;
        }
    }

    /// Waits until the journal, from its beginning, holds an entry as wanted.
    pub async fn until(&mut self, name: &str, wanted: impl Fn(&Event) -> bool) -> Entry {
        self.until_after(0, name, wanted).await
    }

    /// As [`Self::until`], among the entries after `seq`.
    pub async fn until_after(&mut self, mut seq: u64, name: &str, wanted: impl Fn(&Event) -> bool) -> Entry {
        let waiting = async {
            loop {
                for entry in self.reader.entries_after(seq, 1_000).await.unwrap() {
                    seq = entry.seq;
                    if wanted(&entry.event) {
                        return entry;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await.ok();
        match found {
            Some(entry) => entry,
            None => panic!("never came: {name}\n{:#?}", entries(&self.folder).await),
        }
    }

    /// Whether the journal holds an entry as wanted by now.
    pub async fn look(&mut self, wanted: impl Fn(&Event) -> bool) -> bool {
        entries(&self.folder).await.iter().any(|entry| wanted(&entry.event))
    }

    /// The next thing the engine says of itself: a bell, progress, a refusal. None: it is gone.
    pub async fn hear(&mut self) -> Option<Down> {
        tokio::time::timeout(PATIENCE, self.client.inbox.recv()).await.expect("the engine says something")
    }

    /// How many entries there are.
    pub async fn count(&mut self) -> u64 {
        self.reader.head().await.unwrap().count
    }
}

/// The forward attempt number 1 of a step.
pub fn first(step: &str) -> Attempt {
    Attempt { step: step.into(), direction: gonogo::run::event::Direction::Forward, n: 1 }
}
