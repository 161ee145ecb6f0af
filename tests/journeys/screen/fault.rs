//! The demo with its mistake: the rate climbs, the trigger fires, and the run goes back by itself or by a person; and
//! the replay, which shows again what was on the screen.

use std::collections::BTreeMap;

use gonogo::run::event::End;
use gonogo::run::{Direction, Entry, Event};
use support::pty::{Album, Picture, Terminal};

use super::demo::{book, step};
use super::{Operator, Scene};

/// Where the panes of a terminal of 36 rows end, and of one of 38 with a timeline.
const PANES: usize = 34;

const FAULT: [&str; 6] = ["demo", "--still", "--set", "fault=true", "--set", "watch=60s"];

/// Goes by `a` to where the mistake is made and the service begins to fail.
fn to_the_mistake(scene: &Scene, screen: &mut Terminal) {
    let book = book();
    screen.shows("Enter starts: Count the orders");
    screen.auto();
    screen.shows("The service is taking orders (see Signals)");
    screen.tick(scene, step(&book, "ready"), "");
    screen.go(scene, &book, step(&book, "go"));
    scene.until(
        "the mistake",
        |event| matches!(event, Event::StepEnded { attempt, .. } if attempt.step.0 == "rename-amount"),
    );
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
    let alarm = screen.picture_at_rest();
    screen.keys("\x1b");
    screen.hides("TRIGGER FIRED");
    screen.shows("ROLLBACK in");
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
    the_replay_shows_the_same(&scene, &alarm, &live);
}

/// Plays the run again from the trigger on, at its own pace, and compares what stood there second by second.
fn the_replay_shows_the_same(scene: &Scene, alarm: &Picture, live: &[Picture]) {
    // Two rows more, for the timeline: the panes are as high as they were.
    let mut screen = scene.open_sized(&["replay", "last", "--still"], 120, 38);
    screen.shows("REPLAY");
    screen.keys("t");
    screen.shows("TRIGGER FIRED");
    assert_eq!(panel(&screen.picture_at_rest()), panel(alarm));
    screen.keys("\x1b");
    screen.hides("TRIGGER FIRED");
    let album = Album::of(&screen);
    screen.keys(" ");
    screen.shows("ROLLED BACK");
    screen.picture_at_rest();
    let (live, replayed) = (by_second(live), by_second(&album.pictures()));
    let both: Vec<&String> = replayed.keys().filter(|second| live.contains_key(*second)).collect();
    let same = |second: &&&String| live[**second].iter().any(|panes| replayed[**second].contains(panes));
    let agreed = both.iter().filter(same).count();
    // Live, a second has one or two pictures, and where in the second they are taken is chance: 17 or 18 of 19 usually
    // agree, 10 were seen. A replay that shows something else agrees in none, and the end must agree in any case.
    // Of the first second that differs: the rows of the last pictures that are not the same.
    let rows = |second: &&String| {
        let (live, replayed) = (live[*second].last()?, replayed[*second].last()?);
        Some(
            live.iter()
                .zip(replayed)
                .filter(|(live, replayed)| live != replayed)
                .map(|(a, b)| format!("{a}\n{b}"))
                .collect::<Vec<_>>(),
        )
    };
    let differ = || both.iter().filter(|second| !same(second)).filter_map(rows);
    assert!(both.len() >= 12, "the countdown, the way back and the recovery take longer: {both:?}");
    assert!(
        agreed * 3 >= both.len(),
        "{agreed} of {} seconds agree\n{:#?}",
        both.len(),
        differ().take(4).collect::<Vec<_>>()
    );
    println!("live and replay: {agreed} of {} seconds show the same", both.len());
    let end = both.last().expect("the end");
    assert!(same(&end), "the last picture differs\n{:#?}\n{:#?}", live[*end], replayed[*end]);
    screen.keys("q");
    assert_eq!(screen.ends(), 0);
}

/// The alarm's words without the keys, which a replay does not have.
fn panel(picture: &Picture) -> Vec<String> {
    let inside = |row: &String| {
        let (_, from) = row.split_once('║')?;
        // A further sample may have come before the picture was taken.
        let words = from.split_once('║')?.0.split("; latest").next()?;
        Some(words.trim().to_owned())
    };
    let rows = picture.iter().filter_map(inside);
    // What is left of the countdown depends on the moment of the picture.
    rows.filter(|row| !row.contains("look behind") && !row.contains("BEGINS IN") && !row.is_empty()).collect()
}

/// The panes of every picture, header and foot left out, by the second that its clock shows.
fn by_second(pictures: &[Picture]) -> BTreeMap<String, Vec<Picture>> {
    let mut seconds: BTreeMap<String, Vec<Picture>> = BTreeMap::new();
    for picture in pictures {
        let clock = picture[0].split_once(" UTC").and_then(|(head, _)| head.rsplit(' ').next());
        if let Some(clock) = clock {
            let panes = picture[2..PANES].iter().map(|row| without_tenths(row)).collect();
            seconds.entry(clock.to_owned()).or_default().push(panes);
        }
    }
    seconds
}

/// Times that run are drawn in tenths of a second, and pictures are not taken at the same tenth. A replay offers no key
/// that stops a countdown.
fn without_tenths(row: &str) -> String {
    let tenths = regex::Regex::new(r"(\d)\.\d s\b").unwrap();
    tenths.replace_all(row, "$1 s").replace(" — x stops it", "")
}
