//! The screen goes away, the run does not: killed, hung up, its terminal closed. And screens that only watch.

use std::time::{Duration, Instant};

use gonogo::run::Event;
use support::headless::{PATIENCE, until};
use support::process;
use support::pty::Terminal;

use super::demo::{book, step};
use super::{Operator, Scene};

/// A demo at its first question, with its engine.
fn demo() -> (Scene, Terminal, u32) {
    let scene = Scene::new();
    let mut screen = scene.open(&["demo"]);
    screen.shows("Enter starts: Count the orders");
    let engine = scene.engine();
    assert!(process::runs(engine));
    (scene, screen, engine)
}

/// The engine still works, and a new screen can operate the run.
fn the_run_goes_on(scene: &Scene, engine: u32) {
    let seq = scene.seq();
    scene.until_after(seq, "a sample after the screen is gone", |event| matches!(event, Event::SampleTaken { .. }));
    scene.until("the lost screen", |event| matches!(event, Event::ScreenLost { .. }));
    assert!(process::runs(engine));
    assert_eq!(scene.engine(), engine, "the same engine");
    let mut again = scene.open(&["attach", "last"]);
    again.shows("Enter starts: Count the orders");
    again.start(scene, "orders-before");
    again.shows("Enter starts: Let the metrics settle");
    again.signal("TERM");
    assert_eq!(again.ends(), 143);
}

#[test]
fn a_killed_screen_leaves_the_run_alone() {
    let (scene, mut screen, engine) = demo();
    screen.signal("KILL");
    screen.ends();
    the_run_goes_on(&scene, engine);
}

#[test]
fn a_closed_terminal_ends_the_screen_and_not_the_run() {
    let (scene, mut screen, engine) = demo();
    let pid = screen.pid();
    let before = process::ticks(pid).expect("the screen's time");
    let closed = Instant::now();
    screen.close();
    let mut spent = before;
    while let Some(ticks) = process::ticks(pid).filter(|_| process::runs(pid)) {
        spent = ticks;
        assert!(ticks - before < 100, "a screen without a terminal must not spin: {} ticks", ticks - before);
        assert!(closed.elapsed() < PATIENCE, "the screen does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    println!(
        "screen gone {} ms after its terminal, {} ticks of the processor",
        closed.elapsed().as_millis(),
        spent - before
    );
    assert_eq!(screen.ends(), 129);
    the_run_goes_on(&scene, engine);
}

#[test]
fn a_hang_up_ends_the_screen_and_not_the_run() {
    let (scene, mut screen, engine) = demo();
    screen.signal("HUP");
    assert_eq!(screen.ends(), 129);
    assert!(screen.is_given_back());
    the_run_goes_on(&scene, engine);
}

#[test]
fn a_terminated_screen_gives_the_terminal_back() {
    let (scene, mut screen, engine) = demo();
    assert!(screen.in_alternate_screen() && !screen.is_given_back());
    screen.signal("TERM");
    assert_eq!(screen.ends(), 143);
    assert!(screen.is_given_back(), "{}", screen.text());
    assert!(screen.has("goes on without this screen") && screen.has("gonogo attach"));
    the_run_goes_on(&scene, engine);
}

#[test]
fn leaving_asks_and_the_run_can_be_held_and_resumed() {
    let (scene, mut screen, engine) = demo();
    screen.keys("q");
    screen.shows("leave the run going");
    screen.keys("\x1b[B");
    screen.answer("hold the run and stop its engine", "");
    assert_eq!(screen.ends(), 4);
    scene.until("the engine's end", |event| matches!(event, Event::EngineStopped { .. }));
    until("the engine is gone", || !process::runs(engine));
    let mut again = scene.open(&["resume", "last"]);
    again.shows("HELD");
    again.keys("H");
    again.answer("Let the run go on?", "");
    again.start(&scene, "orders-before");
    again.keys("q");
    again.answer("leave the run going", "");
    assert_eq!(again.ends(), 0);
    assert_ne!(scene.engine(), engine);
    assert!(process::runs(scene.engine()));
}

#[test]
fn a_watching_screen_can_change_nothing() {
    let (scene, mut screen, _) = demo();
    let mut watch = scene.open(&["watch", "last"]);
    watch.shows("LIVE, WATCHING");
    watch.shows("Count the orders");
    let seq = scene.seq();
    for keys in ["\r", "R", "H", "a", "s", "n"] {
        watch.keys(keys);
        watch.shows("this screen only watches");
        // Any key that means nothing here takes the words away again.
        watch.keys("\x1b");
        watch.hides("this screen only watches");
    }
    let commanded = |event: &Event| {
        !matches!(event, Event::SampleTaken { .. } | Event::ScreenAttached { .. } | Event::ScreenLost { .. })
    };
    assert!(!scene.entries().iter().any(|entry| entry.seq > seq && commanded(&entry.event)));
    // What the other does is seen at once.
    screen.start(&scene, "orders-before");
    watch.shows("Let the metrics settle");
    watch.shows("orders-before done");
    screen.start(&scene, "settle");
    watch.shows("The service is taking orders (see Signals)");
    let book = book();
    screen.tick(&scene, step(&book, "ready"), "");
    watch.shows("Go / no-go");
    watch.keys("q");
    assert_eq!(watch.ends(), 0);
}

/// An engine may be done before its screen has called it, as where a command ended after its engine had died: that is an
/// end like any other, and is said.
#[test]
fn a_run_that_is_over_before_its_screen_says_how_it_ended() {
    let scene = Scene::new();
    let (begun, done) = (scene.desk.path("begun"), scene.desk.path("done"));
    let book = format!(
        "format = 1\nid = \"quick\"\ntitle = \"Quick\"\n[environments.test]\n[[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\
         [[phase.step]]\nid = \"act\"\nshell = \"touch {}; sleep 2; touch {}\"\nundo = \"none needed\"\n",
        begun.display(),
        done.display()
    );
    scene.desk.write("runbook.toml", &book);
    let running = scene.desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    // Not only ordered: a command that nobody has started yet dies with its engine.
    until("the command", || begun.exists());
    process::signal(running.pid(), "KILL");
    until("its end", || done.exists());
    let mut screen = scene.open(&["resume", "last"]);
    screen.shows("every step done");
}

/// A screen that slept while its engine was killed and another one came: that one's life is not taken for the old one's.
#[test]
fn another_engine_is_not_taken_for_the_lost_one() {
    let (scene, mut screen, engine) = demo();
    screen.signal("STOP");
    process::signal(engine, "KILL");
    until("the engine is gone", || !process::runs(engine));
    let mut again = scene.open(&["resume", "last"]);
    again.shows("Enter starts: Count the orders");
    let other = scene.engine();
    assert_ne!(other, engine);
    screen.signal("CONT");
    screen.shows(&format!("another engine holds the run, pid {other}"));
    screen.shows("seen only through its journal");
    screen.shows("gonogo attach");
    // What that engine does is seen, and its clock goes on.
    again.start(&scene, "orders-before");
    screen.shows("orders-before done");
    for screen in [&mut screen, &mut again] {
        screen.signal("TERM");
        assert_eq!(screen.ends(), 143);
    }
}

/// An engine that is killed under its screen: what ran is not shown as running on, and since when nothing is known is said.
#[test]
fn a_killed_engine_stops_the_clock_of_its_step() {
    let scene = Scene::new();
    let book = "format = 1\nid = \"long\"\ntitle = \"Long\"\n[environments.test]\n[[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\
                [[phase.step]]\nid = \"act\"\nrun = [\"sleep\", \"600\"]\nundo = \"none needed\"\n";
    scene.desk.write("runbook.toml", book);
    let mut screen = scene.open(&["run", "runbook.toml"]);
    screen.shows("running · ");
    process::signal(scene.engine(), "KILL");
    screen.shows("the engine is not running");
    screen.shows("nothing is known of it since");
    let clock = |screen: &Terminal| {
        screen.text().lines().find_map(|line| Some(line.split_once("was running · ")?.1.to_owned())).expect("the clock")
    };
    let stood = clock(&screen);
    // Time is seen to pass three times, and not for the step.
    let since =
        |screen: &Terminal| screen.text().lines().find(|line| line.contains("no news since")).map(str::to_owned);
    for _ in 0..3 {
        let before = since(&screen);
        until("that time passes", || since(&screen).is_some_and(|since| Some(since) != before));
        assert_eq!(clock(&screen), stood);
    }
    screen.keys("q");
    assert_eq!(screen.ends(), 4);
}

/// Somebody tidies the run's folder up: an engine that lives makes its socket anew, and until then is told as alive.
#[test]
fn an_engine_whose_socket_was_removed_is_attached_to() {
    let (scene, mut screen, engine) = demo();
    let socket = scene.run_dir().unwrap().join("engine.sock");
    // Stopped, it cannot help itself.
    process::signal(engine, "STOP");
    std::fs::remove_file(&socket).unwrap();
    let lives = format!("engine pid {engine} on ");
    let mut attach = scene.open(&["attach", "last"]);
    attach.shows(&lives);
    assert_eq!(attach.ends(), 6);
    scene.desk.run(&["resume", "last", "--headless"]).exits(6).says(&lives).says("its socket is gone");
    process::signal(engine, "CONT");
    until("the new socket", || socket.exists());
    let mut again = scene.open(&["attach", "last"]);
    again.shows("Enter starts: Count the orders");
    again.start(&scene, "orders-before");
    assert_eq!(scene.engine(), engine, "the same engine");
    // The screen that was connected all the time has seen it too.
    screen.shows("orders-before done");
}

/// Without a name the run is meant whose engine lives, not the newest.
#[test]
fn attach_without_a_name_finds_the_living_engine() {
    let (scene, _screen, engine) = demo();
    let held = "format = 1\nid = \"later\"\ntitle = \"Later\"\n[environments.test]\n[[phase]]\nid = \"ask\"\nkind = \"verify\"\n\
                [[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n";
    scene.desk.write("runbook.toml", held);
    scene.desk.run(&["run", "runbook.toml", "--headless"]).exits(4);
    let mut attach = scene.open(&["attach"]);
    attach.shows("Enter starts: Count the orders");
    assert!(process::runs(engine));
    let mut newest = scene.open(&["attach", "last"]);
    newest.shows("gonogo resume later-");
    assert_eq!(newest.ends(), 2);
}
