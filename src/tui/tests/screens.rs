//! Pictures of the main states at the sizes people have.

use crossterm::event::KeyCode;

use super::script::*;
use crate::tui::{Link, Look, Message, Mode, Model, Palette, ReplayStatus, marks, update};

/// Large: three columns, everything in sight.
const LARGE: (u16, u16) = (120, 36);
/// The smallest terminal that people still have.
const SMALL: (u16, u16) = (80, 24);
const HUGE: (u16, u16) = (200, 60);

fn on(fill: fn(&mut Script) -> &mut Script, size: (u16, u16)) -> Model {
    let mut script = Script::on("production");
    fill(&mut script);
    screen(&script, size)
}

macro_rules! picture {
    ($name:ident, $fill:expr, $size:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(shot(&on($fill, $size)));
        }
    };
}

fn nothing(script: &mut Script) -> &mut Script {
    script
}

fn held(script: &mut Script) -> &mut Script {
    let reason = "waiting for the network people".to_owned();
    script.m011_done().hold(crate::run::event::HoldCause::Operator { reason })
}

fn checklist(script: &mut Script) -> &mut Script {
    script.phase("prepare").start(attempt("ready"), crate::run::event::Resolved::Human).wait(20_000);
    script.push(crate::run::Event::Ticked {
        step: id("ready"),
        item: 1,
        answer: Some("the second on the list \u{1b}[31m".to_owned()),
        by: ME.to_owned(),
    })
}

fn poll(script: &mut Script) -> &mut Script {
    script.phase("prepare").start(attempt("go"), crate::run::event::Resolved::Human).wait(20_000);
    script.vote("dba", true, "").vote("backend", false, "the queue is not empty")
}

fn done_run(script: &mut Script) -> &mut Script {
    let judged = crate::run::Event::CriterionJudged {
        criterion: "tables".to_owned(),
        verdict: Some(true),
        detail: "value = 43".to_owned(),
    };
    script.monitoring().push(judged).ended(crate::run::event::End::Done, "")
}

/// One step as quick as in the rehearsal, the next much slower.
fn rehearsed(script: &mut Script) -> &mut Script {
    script.rehearsed(&[("stop-workers", 38_000), ("m011", 2_100)], &[("m011", 900)]).m011_running().wait(15_000)
}

fn rehearsed_back(script: &mut Script) -> &mut Script {
    script.rehearsed(&[("m011", 2_100)], &[("m011", 900), ("stop-workers", 11_000)]).rolling_back()
}

fn no_data(script: &mut Script) -> &mut Script {
    script.migrating().wait(5_000).sample("error_rate", Err("connection refused (os error 111)"));
    script.sample("connections", Ok(44.0)).push(crate::run::Event::TriggerBlind {
        trigger: "errors-high".to_owned(),
        then: crate::runbook::TriggerAction::Hold,
        reason: "error_rate: connection refused".to_owned(),
    })
}

picture!(fresh, nothing, LARGE);
picture!(fresh_small, nothing, SMALL);
picture!(running, Script::m011_running, LARGE);
picture!(beside_the_rehearsal, rehearsed, LARGE);
picture!(beside_the_rehearsal_small, rehearsed, SMALL);
picture!(beside_the_rehearsal_huge, rehearsed, HUGE);
picture!(back_beside_the_rehearsal, rehearsed_back, LARGE);
picture!(failed, Script::m011_failed, LARGE);
picture!(failed_small, Script::m011_failed, SMALL);
picture!(checklist_with_answers, checklist, LARGE);
picture!(poll_with_votes, poll, LARGE);
picture!(poll_small, poll, SMALL);
picture!(trigger_fired, Script::fired, LARGE);
picture!(trigger_fired_small, Script::fired, SMALL);
picture!(held_by_operator, held, LARGE);
picture!(in_doubt, Script::in_doubt, LARGE);
picture!(rolling_back, Script::rolling_back, LARGE);
picture!(rolled_back, Script::rolled_back, LARGE);
picture!(monitoring, Script::monitoring, LARGE);
picture!(ended_done, done_run, LARGE);
picture!(no_data_probes, no_data, LARGE);
picture!(narrow_and_low, Script::m011_running, (60, 16));
picture!(too_small, Script::m011_failed, (38, 9));
picture!(one_line, Script::fired, (40, 1));

#[test]
fn results_of_the_step_before() {
    for (name, size) in [("results", LARGE), ("results_huge", HUGE)] {
        let mut model = on(Script::m011_done, size);
        press(&mut model, KeyCode::Up);
        insta::assert_snapshot!(name, shot(&model));
    }
}

/// The same runs by a runbook that says whose the first trigger is, and when it begins to judge.
fn owned_and_late(fill: fn(&mut Script) -> &mut Script) -> Model {
    let mut model = on(fill, LARGE);
    let mut book = super::book::book();
    book.triggers[0].owner = Some("backend".to_owned());
    book.triggers[0].after = std::time::Duration::from_secs(7_200);
    model.runbook = std::sync::Arc::new(book);
    later(&mut model, 1_000);
    model
}

#[test]
fn a_trigger_with_an_owner_and_a_delay() {
    insta::assert_snapshot!("trigger_waits", shot(&owned_and_late(Script::monitoring)));
    insta::assert_snapshot!("trigger_fired_of_somebody", shot(&owned_and_late(Script::fired)));
}

fn replay(position: u64) -> Model {
    let mut whole = Script::on("production");
    whole.m011_failed().wait(30_000).push(crate::run::Event::NoteAdded {
        by: ME.to_owned(),
        text: "asked the backend team".to_owned(),
        step: None,
    });
    let status = ReplayStatus { engine_died: false, position, total: whole.now().ms, playing: true, speed: 10.0 };
    let mode = Mode::Replay { marks: marks(&whole.entries), status };
    whole.entries.retain(|entry| entry.at.ms <= position);
    let mut model = screen_in(&whole, LARGE, mode);
    update(&mut model, Message::Tick(moment(position)));
    model
}

#[test]
fn replaying() {
    insta::assert_snapshot!(shot(&replay(300_000)));
}

#[test]
fn the_engine_is_gone() {
    let mut model = on(Script::m011_running, SMALL);
    update(&mut model, Message::Engine(Link::Stopped("it was killed".to_owned())));
    later(&mut model, 12_000);
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn ascii_is_plain() {
    let mut model = on(Script::fired, SMALL);
    model.look = Look { palette: Palette::Mono, ascii: true, still: true };
    let shot = shot(&model);
    assert!(shot.is_ascii(), "{shot}");
    insta::assert_snapshot!(shot);
}

#[test]
fn consent_is_asked_in_full() {
    let mut model = on(nothing, LARGE);
    press(&mut model, KeyCode::Enter);
    type_in(&mut model, "ap");
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn rollback_says_what_it_costs() {
    let mut model = on(Script::monitoring, LARGE);
    press(&mut model, KeyCode::Char('R'));
    press(&mut model, KeyCode::Down);
    insta::assert_snapshot!("plan", shot(&model));
    press(&mut model, KeyCode::Up);
    type_in(&mut model, "errors since 011");
    insta::assert_snapshot!("undo", shot(&model));
}

#[test]
fn rollback_fits_a_small_terminal() {
    let mut model = on(Script::monitoring, SMALL);
    press(&mut model, KeyCode::Char('R'));
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn quit_asks_what_becomes_of_the_run() {
    let mut model = on(Script::m011_running, SMALL);
    press(&mut model, KeyCode::Char('q'));
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn help_lists_what_works_here() {
    let mut model = on(Script::m011_failed, LARGE);
    press(&mut model, KeyCode::Char('?'));
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn the_palette_finds_by_letters() {
    let mut model = on(Script::m011_failed, SMALL);
    press(&mut model, KeyCode::Char(':'));
    type_in(&mut model, "roll");
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn sql_is_edited_on_the_screen() {
    let mut model = on(Script::m011_failed, LARGE);
    press(&mut model, KeyCode::Char('e'));
    insta::assert_snapshot!(shot(&model));
}

#[test]
fn a_target_of_another_run() {
    insta::assert_snapshot!("owned", shot(&on(Script::owned, LARGE)));
    let mut small = on(Script::owned, SMALL);
    insta::assert_snapshot!("owned_small", shot(&small));
    press(&mut small, KeyCode::Char('T'));
    type_in(&mut small, "ap");
    insta::assert_snapshot!("take_over_small", shot(&small));
}

#[test]
fn a_weaker_proof_is_told_all_the_time() {
    insta::assert_snapshot!("weaker", shot(&on(Script::weaker, LARGE)));
    insta::assert_snapshot!("weaker_small", shot(&on(Script::weaker, SMALL)));
}
