//! Lists of runs, and finding one.

use std::fs;
use std::path::Path;

use super::super::{JournalError, RunInfo, Status, Writer};
use super::{Place, append, done, ended, engine, moment, note, opened, started, tamper};
use crate::run::event::{End, HoldCause, Resolved};
use crate::run::{BatchOrder, Event, Outcome};
use crate::runbook::Sizing;

fn held() -> Event {
    Event::Held { cause: HoldCause::Operator { reason: "lunch".to_owned() }, by: "dba@host".to_owned() }
}

fn stopped() -> Event {
    Event::EngineStopped { by: "dba@host".to_owned(), reason: "quit".to_owned() }
}

fn unreached() -> Event {
    Event::TargetLost { target: "main".to_owned(), error: "connection refused".to_owned() }
}

/// Work that goes on from its checkpoint.
fn batch() -> Resolved {
    let order = BatchOrder {
        table: "t".to_owned(),
        key: "id".to_owned(),
        set: None,
        filter: None,
        size: Sizing::fixed(1),
        pause_ms: 0,
        throttle: None,
        health: Default::default(),
        complete: None,
        repeatable: true,
        since: 1,
    };
    Resolved::Batch { target: "main".to_owned(), order: Box::new(order) }
}

fn unknown(step: &str) -> Event {
    Event::StepEnded {
        attempt: super::attempt(step),
        outcome: Outcome::Unknown { known: "the link was lost in COMMIT".to_owned() },
    }
}

/// Events after the opening, and what the run then is: with its engine at work, and without.
fn cases() -> Vec<(&'static str, Vec<Event>, Status, Status)> {
    let wait = || started("s", Resolved::Wait { ms: 1 });
    vec![
        ("between", vec![engine()], Status::Running, Status::Interrupted),
        ("working", vec![engine(), wait()], Status::Running, Status::InDoubt),
        ("asking", vec![engine(), started("s", Resolved::Human)], Status::Running, Status::Interrupted),
        ("batch", vec![engine(), started("s", batch())], Status::Running, Status::Interrupted),
        ("held", vec![engine(), held()], Status::Held, Status::Interrupted),
        ("left", vec![engine(), held(), stopped()], Status::Held, Status::Held),
        ("unreached", vec![engine(), unreached(), held(), stopped()], Status::Held, Status::NotBegun),
        (
            "unreached-later",
            vec![engine(), wait(), done("s"), unreached(), held(), stopped()],
            Status::Held,
            Status::Held,
        ),
        ("unknown", vec![engine(), wait(), unknown("s"), stopped()], Status::InDoubt, Status::InDoubt),
        ("done", vec![engine(), wait(), done("s"), ended(End::Done)], Status::Done, Status::Done),
        ("failed", vec![ended(End::Failed)], Status::Failed, Status::Failed),
        ("undone", vec![ended(End::RolledBack)], Status::RolledBack, Status::RolledBack),
    ]
}

fn status(runs: &[RunInfo], id: &str) -> Status {
    let run = runs.iter().find(|run| run.id == id).unwrap();
    run.facts.as_ref().unwrap().status
}

#[tokio::test]
async fn a_list_says_what_every_run_is() {
    let place = Place::new();
    assert_eq!(place.home.runs().await.unwrap().len(), 0);
    let mut writers = Vec::new();
    for (n, (id, events, ..)) in cases().into_iter().enumerate() {
        let mut writer = Writer::create(&place.home, id).await.unwrap();
        let at = moment(n as u64);
        let events = [opened(id)].into_iter().chain(events).map(|event| (at, event)).collect();
        writer.append(events).await.unwrap();
        writers.push(writer);
    }
    let runs = place.home.runs().await.unwrap();
    for (id, _, live, _) in cases() {
        assert_eq!(status(&runs, id), live, "{id}");
    }
    drop(writers);
    let runs = place.home.runs().await.unwrap();
    for (id, _, _, ended) in cases() {
        assert_eq!(status(&runs, id), ended, "{id}");
    }
    let newest = runs.first().unwrap();
    let facts = newest.facts.as_ref().unwrap();
    assert_eq!(newest.id, "undone");
    assert_eq!((facts.title.as_str(), facts.environment.as_str()), ("Database cleanup", "staging"));
    assert_eq!((facts.by.as_str(), facts.entries, facts.opened), ("dba@host", 2, moment(11)));
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_too() {
    let place = Place::new();
    place.written("good", vec![opened("good")]).await;
    place.written("empty", vec![]).await;
    let newer = place.written("newer", vec![opened("newer")]).await;
    tamper(newer.db(), "UPDATE run SET format = 7").await;
    fs::create_dir(place.home.path().join("stray")).unwrap();
    fs::create_dir(place.home.path().join(".hidden")).unwrap();
    fs::write(place.home.path().join("file.txt"), "x").unwrap();
    let runs = place.home.runs().await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!(ids, ["good", "stray", "newer", "empty"]);
    assert!(runs[0].facts.is_ok());
    let words: Vec<String> = runs[1..].iter().map(|run| run.facts.as_ref().unwrap_err().to_string()).collect();
    assert!(words[0].starts_with("cannot open the journal"), "{}", words[0]);
    assert!(words[1].contains("is in format 7"), "{}", words[1]);
    assert!(words[2].contains("no entry was written"), "{}", words[2]);
}

#[tokio::test]
async fn a_run_is_found_by_name_start_last_or_path() {
    let place = Place::new();
    for id in ["clean-1", "clean-2", "backfill"] {
        place.written(id, vec![opened(id)]).await;
    }
    let mut writer = Writer::open(&place.run("clean-1")).await.unwrap();
    append(&mut writer, note("x")).await.unwrap();
    let id = async |name: &str| place.home.find(name).await.map(|run| run.id());
    assert_eq!(id("clean-1").await.unwrap(), "clean-1");
    assert_eq!(id("back").await.unwrap(), "backfill");
    // All were opened at the same moment of the tests' clock: the names decide.
    assert_eq!(id("last").await.unwrap(), "clean-2");
    let folder = place.home.path().join("backfill");
    assert_eq!(id(folder.to_str().unwrap()).await.unwrap(), "backfill");
    let db = folder.join("journal.db");
    assert_eq!(id(db.to_str().unwrap()).await.unwrap(), "backfill");
    let error = id("clean").await.unwrap_err().to_string();
    assert_eq!(error, "`clean` is the start of several runs: clean-1, clean-2");
    for name in ["nothing", "", "\u{1b}[31m"] {
        let error = id(name).await.unwrap_err();
        assert!(matches!(error, JournalError::Unknown { .. }), "{error}");
        assert!(error.to_string().ends_with("; known are clean-2, clean-1, backfill (`gonogo runs`)"), "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    assert!(matches!(id("./nowhere/run").await, Err(JournalError::Io { .. })));
    assert!(Path::new(&folder).is_dir());
}

#[tokio::test]
async fn the_last_of_no_runs_is_an_error_in_words() {
    let place = Place::new();
    let error = place.home.find("last").await.unwrap_err().to_string();
    assert!(error.ends_with("which holds no run yet"), "{error}");
}
