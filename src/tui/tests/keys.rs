//! Keys and what they send: nothing dangerous by one stray key, nothing that the operator did not see.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::script::*;
use crate::run::event::{Claim, HoldCause, Resolved};
use crate::run::{CommandVerb, Event};
use crate::tui::dialog::Dialog;
use crate::tui::keymap::{Action, BINDINGS, key_name, keys_of, resolve};
use crate::tui::model::Pane;
use crate::tui::offer::{Offer, offer};
use crate::tui::{Link, Message, Mode, Model, Out, ReplayControl, ReplayStatus, update, view};

const SIZE: (u16, u16) = (120, 36);

fn on(fill: fn(&mut Script) -> &mut Script) -> Model {
    on_environment("staging", fill)
}

fn on_environment(environment: &str, fill: fn(&mut Script) -> &mut Script) -> Model {
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

fn is_open(model: &Model) -> bool {
    model.dialog.is_some()
}

/// More entries, as if the engine had written them just now.
fn arrive(model: &mut Model, events: Vec<Event>) {
    let from = model.state.seq;
    let at = model.now;
    let entries = events
        .into_iter()
        .zip(from + 1..)
        .map(|(event, seq)| crate::run::Entry { seq, at, event });
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
    let sample = Event::SampleTaken {
        probe: "lag".to_owned(),
        value: Ok(1.0),
        took_ms: 1,
    };
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
    arrive(
        &mut model,
        vec![Event::StepStarted {
            attempt: attempt("m011"),
            resolved: m011(),
            by: ME.to_owned(),
        }],
    );
    arrive(
        &mut model,
        vec![Event::StepEnded {
            attempt: attempt("m011"),
            outcome: done(5, None),
        }],
    );
    later(&mut model, 30);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert_eq!(view::current(&model), Some(id("backfill")));
    // With the hand at rest, it does.
    later(&mut model, 600);
    assert_eq!(
        sent(press(&mut model, KeyCode::Enter)),
        CommandVerb::Start { step: id("backfill") }
    );
}

#[test]
fn enter_never_starts_what_is_not_on_the_screen() {
    let mut model = on(Script::migrating);
    press(&mut model, KeyCode::Down);
    assert_eq!(view::shown(&model), Some(id("backfill")));
    assert_eq!(press(&mut model, KeyCode::Enter), None, "it only goes back");
    assert_eq!(view::shown(&model), Some(id("m011")));
    later(&mut model, 600);
    assert_eq!(
        sent(press(&mut model, KeyCode::Enter)),
        CommandVerb::Start { step: id("m011") }
    );
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
    let verb = sent(press(&mut model, KeyCode::Enter));
    assert_eq!(verb, CommandVerb::Confirm { text: "app".to_owned() });
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
    type_in(&mut model, "app");
    let verb = sent(press(&mut model, KeyCode::Enter));
    let want = CommandVerb::Rollback {
        plan: None,
        reason: "errors".to_owned(),
    };
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
            Event::StepStarted {
                attempt: attempt("backfill"),
                resolved: Resolved::Unready,
                by: ME.to_owned(),
            },
            Event::StepEnded {
                attempt: attempt("backfill"),
                outcome: done(5, None),
            },
        ],
    );
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(shot(&model).contains("it changed meanwhile"));
}

#[test]
fn every_key_of_danger_only_asks() {
    let cases: [(char, fn(&mut Script) -> &mut Script); 7] = [
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
    let want = CommandVerb::Skip {
        step: id("m011"),
        reason: "not needed tonight".to_owned(),
    };
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), want);

    let mut model = on(Script::in_doubt);
    press(&mut model, KeyCode::Char('d'));
    press(&mut model, KeyCode::Down);
    type_in(&mut model, "the column is there");
    later(&mut model, 600);
    let want = CommandVerb::Settle {
        attempt: attempt("m011"),
        claim: Claim::Done,
        reason: "the column is there".to_owned(),
    };
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
    assert_eq!(
        press(&mut model, KeyCode::Char('x')),
        None,
        "a letter of a note stops nothing"
    );
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
    assert!(matches!(
        sent(press(&mut model, KeyCode::Char('H'))),
        CommandVerb::Hold { .. }
    ));
    let cause = HoldCause::Operator { reason: String::new() };
    arrive(
        &mut model,
        vec![Event::Held {
            cause,
            by: ME.to_owned(),
        }],
    );
    assert_eq!(press(&mut model, KeyCode::Char('H')), None);
    later(&mut model, 600);
    assert_eq!(sent(press(&mut model, KeyCode::Enter)), CommandVerb::Release);
}

#[test]
fn checklists_tick_answer_and_untick() {
    let mut model = on(checklist);
    let tick = |item, answer: Option<&str>| CommandVerb::Tick {
        step: id("ready"),
        item,
        answer: answer.map(str::to_owned),
    };
    assert_eq!(sent(press(&mut model, KeyCode::Char(' '))), tick(0, None));
    arrive(
        &mut model,
        vec![Event::Ticked {
            step: id("ready"),
            item: 0,
            answer: None,
            by: ME.to_owned(),
        }],
    );
    assert_eq!(press(&mut model, KeyCode::Char(' ')), None, "an answer is asked for");
    type_in(&mut model, "the second on the list");
    later(&mut model, 600);
    assert_eq!(
        sent(press(&mut model, KeyCode::Enter)),
        tick(1, Some("the second on the list"))
    );
    press(&mut model, KeyCode::Up);
    let untick = CommandVerb::Untick {
        step: id("ready"),
        item: 0,
    };
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
fn a_note_may_be_written_in_a_poll_too() {
    let mut model = on(poll);
    press(&mut model, KeyCode::Char('i'));
    type_in(&mut model, "all here");
    let want = CommandVerb::Note {
        text: "all here".to_owned(),
        step: Some(id("go")),
    };
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
    arrive(
        &mut model,
        vec![Event::StepStarted {
            attempt: attempt("m011"),
            resolved: m011(),
            by: ME.to_owned(),
        }],
    );
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

    ctrl(&mut model, 'c');
    press(&mut model, KeyCode::Down);
    later(&mut model, 600);
    match press(&mut model, KeyCode::Enter) {
        Some(Out::Quit(Some(command))) => assert!(matches!(command.verb, CommandVerb::Quit { .. })),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_watching_screen_changes_nothing() {
    let mut script = Script::on("staging");
    script.m011_failed();
    let mut model = screen_in(&script, SIZE, live(false));
    for key in ['s', 'r', 'R', 'H', 'e', 'n', 'a', 'x', 'd'] {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
        assert!(!is_open(&model), "{key} opened something");
    }
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert_eq!(press(&mut model, KeyCode::Char('q')), Some(Out::Quit(None)));
}

#[test]
fn without_an_engine_keys_say_why() {
    let mut model = on(Script::migrating);
    update(&mut model, Message::Engine(Link::Stopped("killed".to_owned())));
    later(&mut model, 1_000);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(shot(&model).contains("gonogo resume 01HQ-7F2K"));
}

#[test]
fn pasted_text_is_never_taken_for_keys() {
    let mut model = on(Script::m011_failed);
    assert_eq!(update(&mut model, Message::Paste("sRr\nq".to_owned())), None);
    assert!(!is_open(&model));
}

#[test]
fn search_goes_through_steps_and_log() {
    let mut model = on(Script::m011_failed);
    press(&mut model, KeyCode::Char('/'));
    type_in(&mut model, "count");
    press(&mut model, KeyCode::Enter);
    assert_eq!(view::shown(&model), Some(id("tables-after")));
    press(&mut model, KeyCode::Char('n'));
    assert_eq!(view::shown(&model), Some(id("tables-before")));
    press(&mut model, KeyCode::Char('N'));
    assert_eq!(view::shown(&model), Some(id("tables-after")));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('/'));
    type_in(&mut model, "held by");
    press(&mut model, KeyCode::Enter);
    assert_eq!(view::focus(&model), Pane::Log);
}

#[test]
fn copy_and_save_take_what_is_shown() {
    let mut model = on(Script::m011_done);
    press(&mut model, KeyCode::Up);
    model.focus = Some(Pane::Result);
    match press(&mut model, KeyCode::Char('y')) {
        Some(Out::Copy(text)) => assert!(text.contains("1204 │ NULL"), "{text}"),
        other => panic!("{other:?}"),
    }
    press(&mut model, KeyCode::Char('S'));
    later(&mut model, 600);
    match press(&mut model, KeyCode::Enter) {
        Some(Out::Save { path, text }) => {
            assert_eq!(path, "m011-01HQ-7F2K.csv");
            assert_eq!(text, "column_count,state\n3,ok\n1204,\n");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn replay_keys_steer_the_replay_and_nothing_else() {
    let mut script = Script::on("staging");
    script.m011_failed();
    let status = ReplayStatus {
        position: 10,
        total: 100,
        playing: false,
        speed: 1.0,
    };
    let mode = Mode::Replay {
        marks: Vec::new(),
        status,
    };
    let mut model = screen_in(&script, SIZE, mode);
    let shifted = KeyEvent::new(KeyCode::Right, KeyModifiers::SHIFT);
    assert_eq!(
        update(&mut model, Message::Key(shifted)),
        Some(Out::Replay(ReplayControl::Speed(2.0)))
    );
    for (key, control) in [
        (KeyCode::Char(' '), ReplayControl::Toggle),
        (KeyCode::Left, ReplayControl::StepEvents(-1)),
        (KeyCode::Char('f'), ReplayControl::NextFailure),
        (KeyCode::Char('t'), ReplayControl::NextTrigger),
        (KeyCode::Char('m'), ReplayControl::NextNote),
        (KeyCode::Char('7'), ReplayControl::SeekFraction(0.7)),
        (KeyCode::Char('G'), ReplayControl::SeekFraction(1.0)),
    ] {
        assert_eq!(press(&mut model, key), Some(Out::Replay(control)));
    }
    for key in ['s', 'r', 'R', 'H', 'e', 'n', 'a', 'x', 'd'] {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
        assert!(!is_open(&model), "{key} opened something");
    }
}

/// Whatever footer and help show is what the key does.
#[test]
fn shown_keys_do_what_they_say() {
    let fills: [fn(&mut Script) -> &mut Script; 9] = [
        checklist,
        poll,
        Script::migrating,
        Script::m011_running,
        Script::m011_failed,
        Script::fired,
        Script::in_doubt,
        Script::monitoring,
        Script::rolled_back,
    ];
    for fill in fills {
        let model = on(fill);
        for row in BINDINGS {
            for key in keys_of(&model, row) {
                let event = KeyEvent::new(key.code, key.with);
                assert_eq!(resolve(&model, &event).map(|(action, _)| action), Some(row.action));
            }
            let offered = matches!(offer(row.action, &model), Offer::Yes(_));
            let reachable = key_name(&model, row).is_some();
            // What has no key of its own here is in the palette.
            assert!(
                !offered || reachable || matches!(row.action, Action::Abandon | Action::Top),
                "{:?}",
                row.action
            );
        }
    }
}
