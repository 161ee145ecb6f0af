//! How a run is ended, held or taken back at the screen, and what is known of the time that takes.

use crossterm::event::KeyCode;

use super::keys::on;
use super::script::*;
use crate::run::event::{HoldCause, Resolved};
use crate::run::facts::Fault;
use crate::run::{CommandVerb, Outcome};
use crate::tui::{Model, Out};

fn says(model: &Model, words: &str) {
    let shot = shot(model);
    // Boxes break sentences.
    let flat: Vec<&str> = shot.split(|c: char| c.is_whitespace() || c == '│' || c == '║').collect();
    let flat = flat.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "never said {words:?}\n{shot}");
}

#[test]
fn giving_up_is_found_by_any_of_its_names() {
    for words in ["give", "end", "abort", "abandon", "end it here"] {
        let mut model = on(Script::owned);
        press(&mut model, KeyCode::Char(':'));
        type_in(&mut model, words);
        says(&model, "give up the run");
    }
    let mut model = on(Script::owned);
    press(&mut model, KeyCode::Char('?'));
    says(&model, ": give up give up the run ends the run as failed");
    let mut model = on(Script::migrating);
    press(&mut model, KeyCode::Char('q'));
    says(&model, "To end the run for good: esc, then type : and give up.");
    let mut model = on(Script::owned);
    says(&model, "from another terminal: gonogo resume week0-7 --headless --give-up REASON");
    press(&mut model, KeyCode::Char(':'));
    type_in(&mut model, "give");
    press(&mut model, KeyCode::Enter);
    says(&model, "Give the run up?");
    type_in(&mut model, "not tonight");
    later(&mut model, 2_000);
    let Some(Out::Send(command)) = press(&mut model, KeyCode::Enter) else { panic!("{}", shot(&model)) };
    assert_eq!(command.verb, CommandVerb::Abandon { reason: "not tonight".to_owned() });
}

#[test]
fn a_hold_in_the_middle_of_a_step_says_that_it_goes_on() {
    let mut model = on(|script| script.m011_running().hold(HoldCause::Operator { reason: String::new() }));
    says(&model, "HELD AFTER THIS STEP (011: fix schema conflicts goes on)");
    says(&model, "held after this step: 011: fix schema conflicts goes on, c stops it");
    press(&mut model, KeyCode::Enter);
    says(&model, "it goes on, c stops it");
    // Once it has ended the hold is as any other.
    let model = on(|script| {
        let held = script.m011_running().hold(HoldCause::Operator { reason: String::new() });
        held.end(attempt("m011"), done(5, None))
    });
    assert!(!shot(&model).contains("AFTER THIS STEP"));
    says(&model, "HELD: by the operator");
}

#[test]
fn the_time_of_the_rehearsal_stands_where_the_runbook_gives_none() {
    let mut model = on(|script| script.rehearsed(&[("m012", 262)], &[]).migrating());
    says(&model, "~262 ms");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    says(&model, "rehearsed 262 ms");
}

#[test]
fn a_named_plan_says_that_it_was_never_rehearsed() {
    let mut model = on(Script::m011_failed);
    press(&mut model, KeyCode::Char('R'));
    press(&mut model, KeyCode::Down);
    says(&model, "Never rehearsed: a rehearsal goes back by");
    assert!(!shot(&model).contains("It takes no estimate"));
}

#[test]
fn a_question_left_for_a_rollback_did_not_break() {
    let model = on(|script| {
        let left = Fault { left: true, ..Fault::new("left unanswered: the run was rolled back") };
        let asked = script.phase("prepare").start(attempt("ready"), Resolved::Human);
        asked.end(attempt("ready"), Outcome::Broke { fault: Box::new(left) })
    });
    assert!(!shot(&model).contains("broke"), "{}", shot(&model));
    says(&model, "↷");
}
