//! Two screens at one run: both see everything, and a key pressed on an outdated picture is refused.

use gonogo::link::Client;
use gonogo::run::Event;
use gonogo::run::command::{Command, CommandVerb};
use support::process;

use super::{Operator, Scene};

#[test]
fn a_key_on_an_outdated_screen_is_refused_and_says_so() {
    let scene = Scene::new();
    let mut one = scene.open(&["demo"]);
    one.shows("Enter starts: Count the orders");
    let mut other = scene.open(&["attach", "last"]);
    other.shows("Enter starts: Count the orders");
    // One picture stands still, as over a bad connection; meanwhile the other screen starts the step.
    scene.until("a while", {
        let seq = scene.seq();
        move |event| seq > 0 && matches!(event, Event::SampleTaken { .. })
    });
    one.picture_at_rest();
    std::thread::sleep(super::ENTER_GUARD);
    one.signal("STOP");
    other.start(&scene, "orders-before");
    other.shows("Enter starts: Let the metrics settle");
    one.keys("\r");
    assert!(one.has("Enter starts: Count the orders"));
    one.signal("CONT");
    // What it reads first, the key or the news, is chance; either way it starts nothing and says why.
    one.until("refused", |screen| {
        screen.has("changed while you looked at it") || screen.has("the screen had just changed")
    });
    let starts = |step: &str| {
        let entries = scene.entries();
        let of = |event: &Event| matches!(event, Event::StepStarted { attempt, .. } if attempt.step.0 == step);
        entries.iter().filter(|entry| of(&entry.event)).count()
    };
    assert_eq!((starts("orders-before"), starts("settle")), (1, 0));
    // Having looked again, it can go on.
    one.start(&scene, "settle");
    other.shows("settle started");
}

#[test]
fn a_command_that_saw_too_little_is_refused_on_every_screen_of_its_sender() {
    let scene = Scene::new();
    let mut screen = scene.open(&["demo"]);
    screen.start(&scene, "orders-before");
    let started = scene.until("the start", |event| matches!(event, Event::StepStarted { .. }));
    let command = Command {
        by: "whoever".to_owned(),
        seen: started.seq - 1,
        verb: CommandVerb::Skip { step: "orders-before".into(), reason: "seen too late".to_owned() },
    };
    scene.runtime.block_on(async {
        let client = Client::connect(&scene.run_dir().unwrap(), "whoever", false).await.unwrap();
        client.commands.send(command).await.unwrap();
    });
    let refused = scene.until("the refusal", |event| matches!(event, Event::Refused { .. }));
    let Event::Refused { by, what, why } = refused.event else { panic!("{refused:?}") };
    assert_eq!((what.as_str(), by == "whoever"), ("skip orders-before", false), "the name is the kernel's");
    assert_eq!(why, "step orders-before changed while you looked at it; look again, then decide");
    screen.shows("refused: step orders-before changed while you looked at it");
}

#[test]
fn a_question_about_a_step_that_changed_is_not_sent() {
    let scene = Scene::new();
    let mut one = scene.open(&["demo"]);
    one.shows("Enter starts: Count the orders");
    let mut other = scene.open(&["attach", "last"]);
    other.shows("Enter starts: Count the orders");
    one.keys("s");
    one.shows("Skip Count the orders?");
    one.keys("no need");
    other.start(&scene, "orders-before");
    one.shows("it changed meanwhile: esc, look, and ask again");
    one.keys("\r");
    one.keys("\x1b");
    one.hides("Skip Count the orders?");
    one.shows("Enter starts: Let the metrics settle");
    assert!(!scene.entries().iter().any(|entry| matches!(entry.event, Event::StepSkipped { .. })));
}

#[test]
fn a_person_is_there_until_the_last_screen_is_gone() {
    let scene = Scene::new();
    let mut one = scene.open(&["demo"]);
    one.shows("Enter starts: Count the orders");
    let mut other = scene.open(&["attach", "last"]);
    other.shows("Enter starts: Count the orders");
    one.shows("1 more screen");
    let lost = |event: &Event| matches!(event, Event::ScreenLost { .. });
    let before = scene.entries().iter().filter(|entry| lost(&entry.event)).count();
    other.signal("TERM");
    assert_eq!(other.ends(), 143);
    one.hides("1 more screen");
    let seq = scene.seq();
    scene.until_after(seq, "a sample", |event| matches!(event, Event::SampleTaken { .. }));
    let entries = scene.entries();
    assert_eq!(entries.iter().filter(|entry| lost(&entry.event)).count(), before + 1, "one screen left, one says so");
    assert!(process::runs(one.pid()));
}
