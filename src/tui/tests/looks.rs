//! Keys that only look: watching, search, copy, replay; and that footer and help never lie.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keys::{SIZE, is_open, on};
use super::script::*;
use crate::run::Event;
use crate::run::event::{HoldCause, Resolved};
use crate::tui::keymap::{Action, BINDINGS, key_name, keys_of, resolve};
use crate::tui::model::Pane;
use crate::tui::offer::{Offer, offer};
use crate::tui::{Link, Message, Mode, Model, Out, ReplayControl, ReplayStatus, update, view};

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

/// What stands between two bars of a screen and holds `words`; empty where nothing does.
fn part(model: &Model, words: &str) -> String {
    let shot = shot(model);
    let part = shot.lines().flat_map(|line| line.split('│')).find(|part| part.contains(words));
    part.unwrap_or_default().trim().to_owned()
}

#[test]
fn the_clock_of_a_step_stands_when_its_engine_is_gone() {
    let mut model = on(Script::m011_running);
    later(&mut model, 3_000);
    let running = part(&model, "▶ 011: fix");
    later(&mut model, 5_000);
    assert_ne!(part(&model, "▶ 011: fix"), running, "while it is heard of, its clock goes on");
    update(&mut model, Message::Engine(Link::Stopped("killed".to_owned())));
    let (tree, pane) = (part(&model, "▶ 011: fix"), part(&model, "was running ·"));
    assert!(pane.contains("· 9.0 s of about"), "{pane}");
    let mut ago = Vec::new();
    for _ in 0..3 {
        later(&mut model, 40_000);
        assert_eq!((part(&model, "▶ 011: fix"), part(&model, "was running ·")), (tree.clone(), pane.clone()));
        ago.push(part(&model, "no news since"));
    }
    assert!(!ago[0].is_empty() && ago[0] != ago[1] && ago[1] != ago[2], "{ago:?}");
}

#[test]
fn a_countdown_stands_when_nobody_is_there_to_end_it() {
    let mut model = on(Script::fired);
    update(&mut model, Message::Engine(Link::Stopped("killed".to_owned())));
    let countdown = part(&model, "ROLLBACK WAS TO BEGIN IN");
    assert!(countdown.contains("it stands still"), "{}", shot(&model));
    later(&mut model, 60_000);
    assert_eq!(part(&model, "ROLLBACK WAS TO BEGIN IN"), countdown);
    assert!(!part(&model, "▸ no engine drives this run").is_empty(), "{}", shot(&model));
}

/// An engine that only this screen cannot speak to rolls back on time.
#[test]
fn a_countdown_goes_on_where_only_the_way_to_its_engine_is_lost() {
    let mut model = on(Script::fired);
    update(&mut model, Message::Engine(Link::Lost("the connection to it broke".to_owned())));
    let words = "s — this screen cannot stop it now";
    let countdown = part(&model, "ROLLBACK BEGINS IN");
    assert!(countdown.contains(words) && !countdown.contains("still"), "{}", shot(&model));
    assert!(!part(&model, "▸ errors-high fired: rollback in").is_empty(), "{}", shot(&model));
    later(&mut model, 3_000);
    let next = part(&model, "ROLLBACK BEGINS IN");
    assert!(next.contains(words) && next != countdown, "{next}");
    assert!(!shot(&model).contains("x stops it") && !shot(&model).contains("no news"), "{}", shot(&model));
}

#[test]
fn what_is_left_of_a_watch_goes_down_while_its_engine_lives() {
    let left = |link: Link| {
        let mut model = on(Script::monitoring);
        update(&mut model, Message::Engine(link));
        let phase = view::phase(&model).unwrap().clone();
        let before = view::time::phase_left(&model, &phase).unwrap();
        later(&mut model, 60_000);
        before - view::time::phase_left(&model, &phase).unwrap()
    };
    assert_eq!(left(Link::Up), 60_000);
    assert_eq!(left(Link::Lost("the connection broke".to_owned())), 60_000);
    assert_eq!(left(Link::Stopped("killed".to_owned())), 0);
}

/// What the strip says of a lost engine does not change with every entry that is read.
#[test]
fn a_lost_engine_is_told_in_words_that_stand() {
    let mut model = on(Script::m011_running);
    update(&mut model, Message::Engine(Link::Lost("another engine holds the run".to_owned())));
    let said = part(&model, "this screen has lost its engine");
    assert!(said.contains("seen only through its journal"), "{}", shot(&model));
    later(&mut model, 5_000);
    assert_eq!(part(&model, "this screen has lost its engine"), said);
    assert!(!part(&model, "running ·").contains("was"), "{}", shot(&model));
}

/// What the journal says of an engine that let go, a replay shows too.
#[test]
fn a_replay_knows_when_nobody_held_the_run() {
    let mut script = Script::on("production");
    script.m011_running().wait(2_000).push(Event::EngineStopped { by: ME.to_owned(), reason: "quit".to_owned() });
    let status = ReplayStatus { engine_died: false, position: 0, total: 900_000, playing: true, speed: 1.0 };
    let mut model = screen_in(&script, (120, 36), Mode::Replay { marks: Vec::new(), status });
    later(&mut model, 100_000);
    assert!(part(&model, "was running ·").contains("· 2.0 s of about"), "{}", shot(&model));
    assert_eq!(part(&model, "nothing is known of it since"), "nothing is known of it since 03:07:27");
}

/// Of a crash the journal only knows that another engine came.
#[test]
fn a_replay_does_not_let_a_step_run_on_that_nobody_drove() {
    let mut script = Script::on("production");
    script.m011_running();
    let status = |engine_died| ReplayStatus { engine_died, position: 0, total: 900_000, playing: true, speed: 1.0 };
    let mode = |engine_died| Mode::Replay { marks: Vec::new(), status: status(engine_died) };
    let mut model = screen_in(&script, (120, 36), mode(false));
    later(&mut model, 100_000);
    assert!(part(&model, "running ·").contains("· 1m41"), "{}", shot(&model));
    update(&mut model, Message::Replay(status(true)));
    assert!(part(&model, "was running ·").contains("· 80 ms of about"), "{}", shot(&model));
    assert_eq!(part(&model, "nothing is known of it since"), "nothing is known of it since 03:07:25");
}

/// A vote ended the poll's course, then its time ran out: the keys do what the line says.
#[test]
fn a_poll_beyond_its_time_says_what_its_keys_do() {
    let held = |fill: fn(&mut Script) -> &mut Script| {
        let mut script = Script::on("production");
        let confirmed = Event::Confirmed { by: ME.to_owned(), text: "app".to_owned() };
        script.push(confirmed).phase("prepare").start(attempt("go"), Resolved::Human);
        script.vote("dba", false, "the queue is not empty");
        script.hold(HoldCause::NoGo { step: "go".into(), role: "dba".to_owned() });
        let mut model = screen_in(fill(&mut script), (200, 50), live(true));
        later(&mut model, 700_000);
        model
    };
    let stays = held(|script| script);
    assert!(
        shot(&stays).contains("its time is over: H closes it as failed, then r asks anew or s skips"),
        "{}",
        shot(&stays)
    );
    // The role has changed its mind, and still not everybody has answered.
    let silent = held(|script| script.vote("dba", true, ""));
    assert!(shot(&silent).contains("H closes it as failed, then r asks anew"), "{}", shot(&silent));
    let all = held(|script| script.vote("dba", true, "").vote("backend", true, "").vote("devops", true, ""));
    assert!(shot(&all).contains("H continues, R rolls back"), "{}", shot(&all));
    let mut back = held(|script| script);
    let mut book = super::book::book();
    book.phases[0].steps[2].on_fail = crate::runbook::OnFail::Rollback;
    back.runbook = std::sync::Arc::new(book);
    later(&mut back, 1_000);
    assert!(shot(&back).contains("H closes it as failed, and so begins the rollback"), "{}", shot(&back));
}

fn watched(fill: fn(&mut Script) -> &mut Script, after_s: u64) -> view::signal::Watch {
    let mut model = on(fill);
    let mut book = super::book::book();
    book.triggers[0].after = std::time::Duration::from_secs(after_s);
    model.runbook = std::sync::Arc::new(book);
    let trigger = model.runbook.triggers[0].clone();
    view::signal::watch(&model, &trigger)
}

#[test]
fn a_trigger_with_a_delay_says_what_it_waits_for() {
    assert_eq!(watched(Script::migrating, 3_600).word, "from 04:06:40");
    assert_eq!(watched(Script::migrating, 86_400).word, "from 2024-02-01 03:06:40");
    // The delay is over, and the newest number is from before it began.
    assert_eq!(watched(Script::migrating, 10).word, "waits for error_rate");
    assert_eq!(watched(Script::m011_running, 10).word, "armed");
    assert_eq!(watched(Script::migrating, 0).word, "armed");
    assert_eq!(watched(Script::rolling_back, 3_600).word, "off");
    assert_eq!(watched(Script::rolling_back, 0).word, "off");
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
    type_in(&mut model, "held");
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
    let status = ReplayStatus { engine_died: false, position: 10, total: 100, playing: false, speed: 1.0 };
    let mode = Mode::Replay { marks: Vec::new(), status };
    let mut model = screen_in(&script, SIZE, mode);
    let shifted = KeyEvent::new(KeyCode::Right, KeyModifiers::SHIFT);
    assert_eq!(update(&mut model, Message::Key(shifted)), Some(Out::Replay(ReplayControl::Speed(2.0))));
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
    let fills: [Fill; 9] = [
        |s| s.phase("prepare").start(attempt("ready"), Resolved::Human),
        |s| s.phase("prepare").start(attempt("go"), Resolved::Human),
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
            assert!(!offered || reachable || matches!(row.action, Action::Abandon | Action::Top), "{:?}", row.action);
        }
    }
}

/// Whoever joins the rooms may run the screen as a task of its own.
#[test]
fn the_screen_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let (_, inbox) = tokio::sync::mpsc::channel(1);
    let (outbox, _wishes) = tokio::sync::mpsc::channel(1);
    let init = crate::tui::Init { model: on(|script| script), clock: Box::new(|| moment(0)), mouse: false };
    is_send(&crate::tui::run(init, inbox, outbox));
}
