//! The demo with its mistake: the rate climbs, the trigger fires, and the run goes back by itself or by a person; and
//! the replay, which shows again what was on the screen.

use gonogo::run::event::End;
use gonogo::run::{Direction, Entry, Event};
use support::pty::{Album, Picture, Terminal};

use super::demo::{book, step};
use super::{Operator, Scene};

const FAULT: [&str; 6] = ["demo", "--still", "--set", "fault=true", "--set", "watch=60s"];

/// Goes by `a` to where the mistake is made and the service begins to fail.
fn to_the_mistake(scene: &Scene, screen: &mut Terminal) {
    let book = book();
    screen.shows("Enter starts: Count the orders");
    screen.auto();
    screen.shows("The service is taking orders (see Signals)");
    screen.tick(scene, step(&book, "ready"), "");
    screen.go(scene, step(&book, "go"));
    scene.until("the mistake", |event| {
        matches!(event, Event::StepEnded { attempt, .. } if attempt.step.0 == "rename-amount")
    });
}

fn fired(scene: &Scene) -> Entry {
    scene.until("the trigger", |event| matches!(event, Event::TriggerFired { .. }))
}

/// The newest error rate at that entry.
fn rate(entries: &[Entry], seq: u64) -> f64 {
    let samples = entries.iter().rev().filter(|entry| entry.seq <= seq).filter_map(|entry| match &entry.event {
        Event::SampleTaken { probe, value: Ok(value), .. } if probe == "error_rate" => Some(*value),
        _ => None,
    });
    samples.into_iter().next().unwrap_or(0.0)
}

/// The steps that were undone, in order.
fn undone(entries: &[Entry]) -> Vec<String> {
    let undo = |entry: &Entry| match &entry.event {
        Event::StepStarted { attempt, .. } if attempt.direction == Direction::Undo => Some(attempt.step.0.clone()),
        _ => None,
    };
    entries.iter().filter_map(undo).collect()
}

#[test]
fn one_key_stops_the_countdown_and_a_person_rolls_back() {
    let scene = Scene::new();
    let mut screen = scene.open(&FAULT);
    to_the_mistake(&scene, &mut screen);
    let fired = fired(&scene);
    screen.shows("TRIGGER FIRED");
    screen.shows("Orders are failing");
    screen.shows("ROLLBACK BEGINS IN");
    screen.keys("x");
    let stopped = scene.until("the stop", |event| matches!(event, Event::CountdownStopped { .. }));
    assert!(rate(&scene.entries(), fired.seq) > 5.0);
    screen.shows("the rollback was stopped by");
    screen.keys("R");
    screen.shows("ROLL BACK on DEMO");
    // Without a reason it does not go.
    screen.shows("enter goes");
    screen.keys("\r");
    screen.shows("reason: some words are needed");
    screen.answer("ROLL BACK on DEMO", "the rename broke the service");
    let started = scene.until("the rollback", |event| matches!(event, Event::RollbackStarted { .. }));
    assert!(started.seq > stopped.seq);
    assert!(matches!(started.event, Event::RollbackStarted { reason, .. } if reason == "the rename broke the service"));
    screen.shows("ROLLED BACK");
    assert_eq!(screen.leave(), 5);
    assert_eq!(undone(&scene.entries()), ["rename-amount", "index-currency", "add-currency"]);
    assert_eq!(scene.ended(), Some(End::RolledBack));
}

#[test]
fn it_rolls_back_by_itself_and_the_replay_shows_the_same() {
    let scene = Scene::new();
    let mut screen = scene.open(&FAULT);
    let live = Album::of(&screen);
    to_the_mistake(&scene, &mut screen);
    scene.until("the breach", |event| matches!(event, Event::TriggerBreached { .. }));
    let fired = fired(&scene);
    screen.shows("ROLLBACK BEGINS IN");
    let back = scene.until("the rollback", |event| matches!(event, Event::RollbackStarted { .. }));
    let ended = scene.until("the end", |event| matches!(event, Event::RunEnded { .. }));
    screen.shows("ROLLED BACK");
    screen.picture_at_rest();
    let live = live.pictures();
    assert_eq!(screen.leave(), 5);
    let entries = scene.entries();
    let cleared = entries.iter().find(|entry| matches!(entry.event, Event::TriggerCleared { .. }));
    let cleared = cleared.expect("the trigger is fine again before the run ends");
    assert!(back.seq < cleared.seq && cleared.seq < ended.seq);
    assert!(rate(&entries, fired.seq) > 5.0 && rate(&entries, cleared.seq) <= 5.0);
    let Event::TriggerFired { at_ms: Some(at), .. } = fired.event else { panic!("no countdown: {fired:?}") };
    assert!(back.at.ms >= at && at == fired.at.ms + 8_000);
    assert_eq!(undone(&entries), ["rename-amount", "index-currency", "add-currency"]);
    assert_eq!(scene.ended(), Some(End::RolledBack));
    the_replay_shows_the_same(&scene, &live);
}

/// Plays the run again, at its own pace from the trigger on, and compares second by second.
fn the_replay_shows_the_same(scene: &Scene, live: &[Picture]) {
    // Two rows more, for the timeline: the panes are as high as they were.
    let mut screen = scene.open_sized(&["replay", "last", "--still"], 120, 38);
    screen.shows("REPLAY");
    let album = Album::of(&screen);
    screen.keys("t");
    screen.shows("TRIGGER FIRED");
    screen.picture_at_rest();
    screen.keys(" ");
    screen.shows("ROLLED BACK");
    screen.picture_at_rest();
    let replayed = album.pictures();
    std::fs::write("/tmp/j1/live.txt", dump(live)).unwrap();
    std::fs::write("/tmp/j1/replay.txt", dump(&replayed)).unwrap();
    screen.keys("q");
    assert_eq!(screen.ends(), 0);
}

fn dump(pictures: &[Picture]) -> String {
    pictures.iter().map(|picture| picture.join("\n") + "\n=====\n").collect()
}
