//! A poll with a time limit: counted down where people vote, failed by name where they do not, and the same in the replay.

use gonogo::run::event::HoldCause;
use gonogo::run::{Event, Outcome};
use support::headless::Desk;

use super::{Operator, Scene};

/// Nobody answers at all, or everybody: neither waits for a moment that a slow machine would miss.
fn scene(timeout: &str) -> Scene {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    let url = format!("sqlite:{}?mode=rwc", desk.path("app.db").display());
    let desk = desk.with("DB", url);
    let text = format!(
        "format = 1\nid = \"window\"\ntitle = \"A window\"\n[roles]\ndba = \"Database admin\"\nbackend = \"Backend lead\"\n\
         [environments.test]\ntargets.main = \"env:DB\"\n[[phase]]\nid = \"prepare\"\n[[phase.step]]\nid = \"go\"\n\
         title = \"Go or no-go\"\npoll = [\"dba\", \"backend\"]\ntimeout = \"{timeout}\"\n\
         [[phase.step]]\nid = \"look\"\ntitle = \"Look\"\nsql = \"select 1\"\nexpect = \"value == 1\"\n"
    );
    desk.write("book/runbook.toml", &text);
    Scene::at(desk)
}

#[test]
fn who_does_not_answer_in_time_is_named_and_may_be_asked_anew() {
    let scene = scene("1s");
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("HELD: go failed: no answer of Database admin, Backend lead after 1 s");
    screen.shows("r retries, s skips, R rolls back");
    assert!(!scene.has_started("look"));
    screen.keys("r");
    screen.answer("Run Go or no-go again?", "");
    let over = |event: &Event| matches!(event, Event::StepEnded { attempt, outcome: Outcome::Failed { .. } } if attempt.n == 2);
    scene.until("the second time over", over);
    assert!(!scene.has_started("look"));
    screen.shows("r retries, s skips, R rolls back");
    screen.keys("q");
    screen.signal("TERM");
    screen.ends();
    let mut replay = scene.open(&["replay", "last"]);
    replay.keys("G");
    replay.shows("no answer of Database admin, Backend lead after 1 s");
}

/// What the line of a hold says of its keys is what they do, once the time for the answers is over.
#[test]
fn beyond_its_time_a_no_go_is_closed_as_failed_by_going_on() {
    // The vote must be in within the time, on a slow machine too; the rest waits for that time to pass.
    let scene = scene("20s");
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("left for the answers");
    screen.keys("n");
    screen.answer(": NO-GO", "the queue is not empty");
    scene.until("the hold", |event| matches!(event, Event::Held { cause: HoldCause::NoGo { .. }, .. }));
    screen.shows("H closes it as failed, then r asks anew or s skips");
    screen.keys("H");
    screen.answer("Let the run go on?", "");
    screen.shows("HELD: go failed: no answer of Backend lead after 20 s; no-go of Database admin");
    screen.shows("r retries, s skips, R rolls back");
    screen.keys("r");
    screen.answer("Run Go or no-go again?", "");
    let again = |event: &Event| matches!(event, Event::StepStarted { attempt, .. } if attempt.n == 2);
    scene.until("the second time", again);
}

#[test]
fn answers_in_time_are_a_go() {
    let scene = scene("1h");
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("left for the answers");
    screen.shows("left, still to answer: Database admin, Backend lead");
    for role in ["dba", "backend"] {
        screen.keys("g");
        screen.answer(": go?", "");
        scene.until(role, |event| matches!(event, Event::Voted { role: of, go: true, .. } if of == role));
    }
    screen.start(&scene, "look");
    assert_eq!(screen.leave(), 0);
}
