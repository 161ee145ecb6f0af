//! Keys and what they send: nothing dangerous by one stray key, nothing that the operator did not see.

use crossterm::event::KeyCode;

use super::script::*;
use crate::run::event::{Claim, HoldCause, Resolved};
use crate::run::{CommandVerb, Event};
use crate::tui::dialog::Dialog;
use crate::tui::{Message, Model, Out, update, view};

pub const SIZE: (u16, u16) = (120, 36);

pub fn on(fill: Fill) -> Model {
    on_environment("staging", fill)
}

fn on_environment(environment: &str, fill: Fill) -> Model {
    let mut script = Script::on(environment);
    fill(&mut script);
    screen(&script, SIZE)
}

fn sent(out: Option<Out>) -> CommandVerb {
    match out {
        Some(Out::Send(command)) => {
            assert_eq!(command.by, ME);
            command.verb
        }
        other => panic!("nothing was sent: {other:?}"),
    }
}

pub fn is_open(model: &Model) -> bool {
    model.dialog.is_some()
}

/// More entries, as if the engine had written them just now.
fn arrive(model: &mut Model, events: Vec<Event>) {
    let from = model.state.seq;
    let at = model.now;
    let entries = events.into_iter().zip(from + 1..).map(|(event, seq)| crate::run::Entry { seq, at, event });
    update(model, Message::Entries(entries.collect()));
}

fn checklist(script: &mut Script) -> &mut Script {
    script.phase("prepare").start(attempt("ready"), Resolved::Human)
}

fn poll(script: &mut Script) -> &mut Script {
    script.phase("prepare").start(attempt("go"), Resolved::Human)
}

#[test]
fn enter_starts_the_step_on_the_screen_and_says_what_it_saw() {
    let mut model = on(Script::migrating);
    let seen = model.state.seq;
    match press(&mut model, KeyCode::Enter) {
        Some(Out::Send(command)) => {
            assert_eq!(command.seen, seen);
            assert_eq!(command.verb, CommandVerb::Start { step: id("m011") });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_names_the_entry_that_was_drawn_not_the_one_that_came_since() {
    let mut model = on(Script::migrating);
    let drawn = model.state.seq;
    let sample = Event::SampleTaken { probe: "lag".to_owned(), value: Ok(1.0), took_ms: 1 };
    arrive(&mut model, vec![sample]);
    match press(&mut model, KeyCode::Enter) {
        Some(Out::Send(command)) => assert_eq!(command.seen, drawn),
        other => panic!("{other:?}"),
    }
}

#[test]
fn enter_held_down_starts_one_thing() {
    let mut model = on(Script::migrating);
    assert!(press(&mut model, KeyCode::Enter).is_some());
    for _ in 0..20 {
        later(&mut model, 30);
        assert_eq!(press(&mut model, KeyCode::Enter), None);
    }
    // The step came and went while the key was down: the next one does not start.
    arrive(&mut model, vec![Event::StepStarted { attempt: attempt("m011"), resolved: m011(), by: ME.to_owned() }]);
    arrive(&mut model, vec![Event::StepEnded { attempt: attempt("m011"), outcome: done(5, None) }]);
    later(&mut model, 30);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert_eq!(view::current(&model), Some(id("backfill")));
    // With the hand at rest, it does.
    later(&mut model, 600);
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), CommandVerb::Start { step: id("backfill") });
}

#[test]
fn enter_never_starts_what_is_not_on_the_screen() {
    let mut model = on(Script::migrating);
    press(&mut model, KeyCode::Down);
    assert_eq!(view::shown(&model), Some(id("backfill")));
    assert_eq!(press(&mut model, KeyCode::Enter), None, "it only goes back");
    assert_eq!(view::shown(&model), Some(id("m011")));
    later(&mut model, 600);
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), CommandVerb::Start { step: id("m011") });
}

#[test]
fn a_protected_environment_wants_its_name_typed() {
    let mut model = on_environment("production", |script| script);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(is_open(&model));
    update(&mut model, Message::Paste("app".to_owned()));
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "a pasted name does not count");
    type_in(&mut model, "ap");
    assert_eq!(press(&mut model, KeyCode::Enter), None, "half a name does not count");
    type_in(&mut model, "p");
    assert_eq!(press(&mut model, KeyCode::Enter), None, "the name alone does not count: a copy has the same");
    type_in(&mut model, " 3456");
    let verb = sent(press(&mut model, KeyCode::Enter));
    assert_eq!(verb, CommandVerb::Confirm { text: "app 3456".to_owned() });
}

#[test]
fn rollback_wants_a_reason_and_the_name_and_rests_before_enter() {
    let mut model = on_environment("production", Script::m011_done);
    assert_eq!(press(&mut model, KeyCode::Char('R')), None);
    update(&mut model, Message::Paste("pasted\nreason".to_owned()));
    type_in(&mut model, "errors");
    assert_eq!(press(&mut model, KeyCode::Enter), None, "Enter rests for half a second");
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "the name is missing");
    type_in(&mut model, "app 3456");
    let verb = sent(press(&mut model, KeyCode::Enter));
    let want = CommandVerb::Rollback { plan: None, reason: "errors".to_owned() };
    assert_eq!(verb, want);
    assert!(!is_open(&model));
}

#[test]
fn rollback_by_a_named_plan() {
    let mut model = on(Script::m011_done);
    press(&mut model, KeyCode::Char('R'));
    press(&mut model, KeyCode::Down);
    type_in(&mut model, "no way back but this");
    later(&mut model, 600);
    match sent(press(&mut model, KeyCode::Enter)) {
        CommandVerb::Rollback { plan, .. } => assert_eq!(plan.as_deref(), Some("restore")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_about_something_that_changed_is_not_answered() {
    let mut model = on(Script::m011_done);
    press(&mut model, KeyCode::Char('R'));
    type_in(&mut model, "errors");
    later(&mut model, 600);
    arrive(
        &mut model,
        vec![
            Event::StepStarted { attempt: attempt("backfill"), resolved: Resolved::Unready, by: ME.to_owned() },
            Event::StepEnded { attempt: attempt("backfill"), outcome: done(5, None) },
        ],
    );
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(shot(&model).contains("it changed meanwhile"));
}

#[test]
fn every_key_of_danger_only_asks() {
    let cases: [(char, Fill); 7] = [
        ('R', Script::m011_done),
        ('s', Script::m011_failed),
        ('r', Script::m011_failed),
        ('c', Script::m011_running),
        ('d', Script::in_doubt),
        ('o', Script::monitoring),
        ('a', Script::migrating),
    ];
    for (key, fill) in cases {
        let mut model = on(fill);
        assert_eq!(press(&mut model, KeyCode::Char(key)), None, "{key} acted at once");
        assert!(is_open(&model), "{key} asked nothing");
        assert_eq!(press(&mut model, KeyCode::Enter), None, "{key} then Enter went through");
        assert_eq!(press(&mut model, KeyCode::Esc), None);
        assert!(!is_open(&model), "esc leaves {key}");
    }
}

#[test]
fn reasons_are_needed_and_sent() {
    let mut model = on(Script::m011_failed);
    press(&mut model, KeyCode::Char('s'));
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    type_in(&mut model, "not needed tonight");
    let want = CommandVerb::Skip { step: id("m011"), reason: "not needed tonight".to_owned() };
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), want);

    let mut model = on(Script::in_doubt);
    press(&mut model, KeyCode::Char('d'));
    press(&mut model, KeyCode::Down);
    type_in(&mut model, "the column is there");
    later(&mut model, 600);
    let want =
        CommandVerb::Settle { attempt: attempt("m011"), claim: Claim::Done, reason: "the column is there".to_owned() };
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), want);
}

#[test]
fn settling_starts_with_the_harmless_claim() {
    let mut model = on(Script::in_doubt);
    press(&mut model, KeyCode::Char('d'));
    type_in(&mut model, "no such column");
    later(&mut model, 600);
    match sent(press(&mut model, KeyCode::Enter)) {
        CommandVerb::Settle { claim, .. } => assert_eq!(claim, Claim::NotDone),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_rolled_back_or_released_over_a_doubt() {
    let mut model = on(Script::in_doubt);
    for key in ['R', 'H', 'r', 's'] {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
        assert!(!is_open(&model), "{key} opened something");
    }
}

#[test]
fn the_countdown_stops_by_one_key_and_by_ctrl_x_while_typing() {
    let mut model = on(Script::fired);
    assert_eq!(sent(press(&mut model, KeyCode::Char('x'))), CommandVerb::StopCountdown);

    let mut model = on(Script::fired);
    press(&mut model, KeyCode::Char('n'));
    assert!(matches!(model.dialog, Some(Dialog::Editor(_))));
    assert_eq!(press(&mut model, KeyCode::Char('x')), None, "a letter of a note stops nothing");
    assert!(shot(&model).contains("ctrl-x stops it"));
    assert_eq!(sent(ctrl(&mut model, 'x')), CommandVerb::StopCountdown);
    assert!(is_open(&model), "the note is not lost");
}

#[test]
fn enter_starts_nothing_while_a_rollback_counts_down() {
    let mut model = on(Script::fired);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
}

#[test]
fn hold_is_one_key_and_going_on_asks() {
    let mut model = on(Script::m011_running);
    assert!(matches!(sent(press(&mut model, KeyCode::Char('H'))), CommandVerb::Hold { .. }));
    let cause = HoldCause::Operator { reason: String::new() };
    arrive(&mut model, vec![Event::Held { cause, by: ME.to_owned() }]);
    assert_eq!(press(&mut model, KeyCode::Char('H')), None);
    later(&mut model, 600);
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), CommandVerb::Release);
}

#[test]
fn a_phase_that_was_not_seen_is_signed_off_not_continued() {
    let mut model = on(Script::m011_running);
    let phase = model.state.phase.clone().unwrap();
    let missed = "error_rate had numbers for 62 % of the time, 90 % wanted".to_owned();
    let cause = HoldCause::Coverage { phase: phase.clone(), missed };
    arrive(&mut model, vec![Event::Held { cause, by: ME.to_owned() }]);
    assert!(shot(&model).contains("cannot pass unseen"));
    assert_eq!(press(&mut model, KeyCode::Char('H')), None);
    assert!(!is_open(&model), "going on is no answer");
    assert_eq!(press(&mut model, KeyCode::Char('o')), None);
    assert!(shot(&model).contains("passes on your word"));
    type_in(&mut model, "watched elsewhere");
    later(&mut model, 600);
    let reason = "watched elsewhere".to_owned();
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), CommandVerb::SignOff { phase, reason });
}

#[test]
fn checklists_tick_answer_and_untick() {
    let mut model = on(checklist);
    let tick =
        |item, answer: Option<&str>| CommandVerb::Tick { step: id("ready"), item, answer: answer.map(str::to_owned) };
    assert_eq!(sent(press(&mut model, KeyCode::Char(' '))), tick(0, None));
    arrive(&mut model, vec![Event::Ticked { step: id("ready"), item: 0, answer: None, by: ME.to_owned() }]);
    assert_eq!(press(&mut model, KeyCode::Char(' ')), None, "an answer is asked for");
    type_in(&mut model, "the second on the list");
    later(&mut model, 600);
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), tick(1, Some("the second on the list")));
    press(&mut model, KeyCode::Up);
    let untick = CommandVerb::Untick { step: id("ready"), item: 0 };
    assert_eq!(sent(press(&mut model, KeyCode::Char(' '))), untick);
}

#[test]
fn a_poll_takes_go_and_no_go_for_the_chosen_role() {
    let mut model = on(poll);
    press(&mut model, KeyCode::Down);
    assert_eq!(press(&mut model, KeyCode::Char('n')), None);
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "a no-go wants a reason");
    type_in(&mut model, "queue not empty");
    let want = CommandVerb::Vote {
        step: id("go"),
        role: "backend".to_owned(),
        go: false,
        reason: "queue not empty".to_owned(),
    };
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), want);
    press(&mut model, KeyCode::Char('g'));
    later(&mut model, 600);
    match sent(press(&mut model, KeyCode::Enter)) {
        CommandVerb::Vote { go, .. } => assert!(go),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_no_go_that_was_changed_says_that_the_run_can_go_on() {
    let mut model = on(poll);
    let vote =
        |go| Event::Voted { step: id("go"), role: "backend".to_owned(), go, reason: String::new(), by: ME.to_owned() };
    let cause = HoldCause::NoGo { step: id("go"), role: "backend".to_owned() };
    arrive(&mut model, vec![vote(false), Event::Held { cause, by: ME.to_owned() }]);
    assert!(shot(&model).contains("H continues once it is settled"));
    arrive(&mut model, vec![vote(true)]);
    let screen = shot(&model);
    assert!(screen.contains("was changed into a go") && !screen.contains("once it is settled"), "{screen}");
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(shot(&model).contains("H lets it go on"), "{}", shot(&model));
    press(&mut model, KeyCode::Char('H'));
    assert!(shot(&model).contains("What is under way goes on."), "{}", shot(&model));
}

#[test]
fn a_countdown_never_shows_more_than_its_whole() {
    let mut script = Script::on("staging");
    script.fired();
    let mut model = screen(&script, SIZE);
    // The screen's clock lags behind the engine's.
    model.now.ms = model.now.ms.saturating_sub(60_000);
    let screen = shot(&model);
    assert!(screen.contains("ROLLBACK BEGINS IN 15 s"), "{screen}");
}

#[test]
fn a_watch_that_is_held_can_be_continued_and_waits_for_no_enter() {
    let mut script = Script::on("staging");
    script.monitoring().push(Event::TriggerFired {
        trigger: "errors-high".to_owned(),
        then: crate::runbook::TriggerAction::Hold,
        values: vec![("error_rate".to_owned(), 3.0)],
        at_ms: None,
    });
    script.hold(HoldCause::Trigger { trigger: "errors-high".to_owned() });
    let mut model = screen(&script, SIZE);
    let screen = shot(&model);
    assert!(screen.contains("H continue") && !screen.contains("H hold"), "{screen}");
    press(&mut model, KeyCode::Char('H'));
    let screen = shot(&model);
    assert!(screen.contains("The watching goes on for") && !screen.contains("waits for Enter"), "{screen}");
}

#[test]
fn a_note_may_be_written_in_a_poll_too() {
    let mut model = on(poll);
    press(&mut model, KeyCode::Char('i'));
    type_in(&mut model, "all here");
    let want = CommandVerb::Note { text: "all here".to_owned(), step: Some(id("go")) };
    assert_eq!(sent(ctrl(&mut model, 's')), want);
}

#[test]
fn sql_is_edited_and_a_step_that_changed_is_not() {
    let mut model = on(Script::migrating);
    press(&mut model, KeyCode::Char('e'));
    assert_eq!(ctrl(&mut model, 's'), None, "unchanged: nothing to send");
    press(&mut model, KeyCode::Char('e'));
    type_in(&mut model, "-- ");
    match sent(ctrl(&mut model, 's')) {
        CommandVerb::EditSql { step, sql } => {
            assert_eq!(step, id("m011"));
            assert_eq!(sql, format!("-- {}", super::book::M011));
        }
        other => panic!("{other:?}"),
    }
    press(&mut model, KeyCode::Char('e'));
    type_in(&mut model, "x");
    assert_eq!(press(&mut model, KeyCode::Esc), None);
    assert!(is_open(&model), "unsaved text goes away only by a second esc");
    arrive(&mut model, vec![Event::StepStarted { attempt: attempt("m011"), resolved: m011(), by: ME.to_owned() }]);
    assert_eq!(ctrl(&mut model, 's'), None, "it started meanwhile");
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    assert!(!is_open(&model));
}

#[test]
fn quitting_leaves_the_run_going_unless_told_otherwise() {
    let mut model = on(Script::m011_running);
    assert_eq!(press(&mut model, KeyCode::Char('q')), None);
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Out::Quit(None)));

    // What runs is not left alone by its engine: the other choice is to stay.
    let mut model = on(Script::m011_running);
    press(&mut model, KeyCode::Char('q'));
    press(&mut model, KeyCode::Down);
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None);

    let mut model = on(Script::m011_done);
    press(&mut model, KeyCode::Char('q'));
    press(&mut model, KeyCode::Down);
    later(&mut model, 600);
    match press(&mut model, KeyCode::Enter) {
        Some(Out::Quit(Some(command))) => assert!(matches!(command.verb, CommandVerb::Quit { .. })),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_target_of_another_run_is_taken_over_by_its_name() {
    let mut model = on(|script| script.owned());
    assert_eq!(press(&mut model, KeyCode::Char('T')), None);
    update(&mut model, Message::Paste("app".to_owned()));
    later(&mut model, 600);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "a pasted name does not count");
    type_in(&mut model, "app");
    let want = CommandVerb::TakeOver { target: "main".to_owned(), text: "app".to_owned() };
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), want);
    // A run whose target is its own has nobody to take it from.
    let mut model = on(|script| script);
    press(&mut model, KeyCode::Char('T'));
    assert!(!is_open(&model));
}
