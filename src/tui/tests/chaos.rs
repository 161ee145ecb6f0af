//! Whatever arrives in whatever order, at whatever size: no panic, nothing hostile on the screen, no command unasked.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use super::book::book;
use super::script::*;
use crate::run::event::{HoldCause, Resolved, Statement};
use crate::run::migrations::{FileState, FileTurn};
use crate::run::{Batches, Chunk, Event, Fault, MigrationOrder, Outcome, Progress};
use crate::runbook::migrations::Part;
use crate::runbook::{Migration, Migrations, Tool, TriggerAction, Way};
use crate::tui::{Link, Look, Message, Mode, Model, Palette, ReplayStatus, update};

const STEPS: [&str; 9] =
    ["tables-before", "ready", "go", "stop-workers", "m011", "backfill", "m012", "restore-run", "nobody"];
const HOSTILE: &str =
    "\u{1b}]52;c;eA==\u{7}\u{9b}31m\u{202e}evil\u{200b}\n\t日本語 e\u{301}\u{301}\u{301}\u{301}\u{301} \0|`";

#[derive(Clone, Debug)]
enum Act {
    Key(KeyCode, KeyModifiers),
    Mouse(MouseEventKind, u16, u16),
    Paste(String),
    Size(u16, u16),
    Later(u64),
    Event(Box<Event>),
    Progress(u8),
    Link(u8),
    Edited(bool),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(HOSTILE.to_owned()), any::<String>(), Just("x".repeat(3_000)), Just(String::new())]
}

fn keys() -> impl Strategy<Value = Act> {
    let codes = prop_oneof![
        8 => proptest::char::range(' ', '~').prop_map(KeyCode::Char),
        4 => Just(KeyCode::Enter),
        1 => any::<char>().prop_map(KeyCode::Char),
        4 => proptest::sample::select(vec![
            KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right,
            KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Backspace, KeyCode::Delete,
            KeyCode::F(1), KeyCode::F(2), KeyCode::Null,
        ]),
    ];
    let with =
        prop_oneof![6 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::SHIFT)];
    (codes, with).prop_map(|(code, with)| Act::Key(code, with))
}

fn step() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(STEPS.to_vec())
}

fn outcome() -> impl Strategy<Value = Outcome> {
    (0..4u8, text(), any::<u32>()).prop_map(|(kind, text, n)| {
        let fault = || {
            Box::new(Fault {
                summary: text.clone(),
                detail: Some(text.clone()),
                statement: Some(n % 4),
                position: Some(n % 90),
                place: text.clone(),
                trouble: Some((text.clone(), text.clone())),
                ..Fault::default()
            })
        };
        match kind {
            0 => done(u64::from(n), Some(u64::from(n))),
            1 => Outcome::Failed { fault: fault(), facts: None, verdict: None },
            2 => Outcome::Broke { fault: fault() },
            _ => Outcome::Unknown { known: text.clone() },
        }
    })
}

fn chunk() -> impl Strategy<Value = Chunk> {
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(n, of)| Chunk::Statement { n, of }),
        proptest::collection::vec(text(), 0..6).prop_map(|names| Chunk::Columns {
            n: 1,
            types: vec!["int8".to_owned(); names.len()],
            names,
        }),
        proptest::collection::vec(proptest::collection::vec(proptest::option::of(text()), 0..7), 0..5)
            .prop_map(|rows| Chunk::Rows { n: 1, rows }),
        text().prop_map(|text| Chunk::Notice { severity: text.clone(), text }),
        text().prop_map(|text| Chunk::Text { stream: "err".to_owned(), text }),
        (any::<u32>(), text()).prop_map(|(n, text)| Chunk::File(FileTurn {
            n,
            of: n,
            version: text.clone(),
            name: text,
            state: if n % 2 == 0 { FileState::Begun } else { FileState::Failed },
            transaction: n % 3 == 0,
            ms: u64::from(n),
        })),
    ]
}

/// A folder whose every word is foreign.
fn files(text: &str) -> MigrationOrder {
    let file = Migration {
        version: text.to_owned(),
        name: text.to_owned(),
        script: text.to_owned(),
        checksum: Some(text.to_owned()),
        sha256: String::new(),
        repeatable: false,
        up: Part::new(text, text, true),
        down: None,
        verify: None,
        planned: None,
    };
    let migrations = Migrations {
        folder: text.to_owned(),
        tool: Tool::Plain,
        to: Some(text.to_owned()),
        table: Some(text.to_owned()),
        expect_pending: None,
        way: Way::Up,
        files: vec![file],
    };
    MigrationOrder::new(&migrations, None)
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        step().prop_map(|step| Event::StepStarted {
            attempt: attempt(step),
            resolved: Resolved::Sql {
                target: "main".to_owned(),
                statements: vec![Statement { sql: HOSTILE.to_owned(), line: 9 }; 2],
                transaction: true,
                direct: crate::run::event::Direct::default(),
                asks: crate::runbook::Asks::Rows,
            },
            by: HOSTILE.to_owned(),
        }),
        (step(), text()).prop_map(|(step, text)| Event::StepStarted {
            attempt: attempt(step),
            resolved: Resolved::Migrations { target: text.clone(), order: Box::new(files(&text)) },
            by: text,
        }),
        step().prop_map(|step| Event::StepStarted {
            attempt: undo(step),
            resolved: Resolved::Human,
            by: ME.to_owned(),
        }),
        (step(), outcome()).prop_map(|(step, outcome)| Event::StepEnded { attempt: attempt(step), outcome }),
        (step(), outcome()).prop_map(|(step, outcome)| Event::StepEnded { attempt: undo(step), outcome }),
        (step(), chunk()).prop_map(|(step, chunk)| Event::Output { attempt: attempt(step), chunk }),
        (step(), 0..9usize, text()).prop_map(|(step, item, answer)| Event::Ticked {
            step: id(step),
            item,
            answer: Some(answer),
            by: ME.to_owned(),
        }),
        (text(), any::<bool>()).prop_map(|(reason, go)| Event::Voted {
            step: id("go"),
            role: "dba".to_owned(),
            go,
            reason,
            by: ME.to_owned(),
        }),
        any::<f64>().prop_map(|value| Event::SampleTaken {
            probe: "error_rate".to_owned(),
            value: Ok(value),
            took_ms: 1,
        }),
        text().prop_map(|reason| Event::SampleTaken {
            probe: "lag".to_owned(),
            value: Err(crate::run::NoData::new(reason)),
            took_ms: 1,
        }),
        (any::<u64>(), any::<bool>()).prop_map(|(at, counts)| Event::TriggerFired {
            trigger: "errors-high".to_owned(),
            then: TriggerAction::Rollback,
            values: vec![("error_rate".to_owned(), f64::NAN), ("none".to_owned(), 1.0)],
            at_ms: counts.then_some(at),
        }),
        Just(Event::TriggerCleared { trigger: "errors-high".to_owned() }),
        text().prop_map(|reason| Event::Held { cause: HoldCause::Operator { reason }, by: ME.to_owned() }),
        step().prop_map(|step| Event::Held { cause: HoldCause::InDoubt { attempt: attempt(step) }, by: ME.to_owned() }),
        Just(Event::Released { by: ME.to_owned() }),
        proptest::sample::select(vec!["prepare", "migrate", "verify", "monitor", "none"])
            .prop_map(|phase| { Event::PhaseEntered { phase: phase.to_owned() } }),
        proptest::collection::vec(step(), 0..5).prop_map(|steps| Event::RollbackStarted {
            plan: None,
            steps: steps.into_iter().map(id).collect(),
            by: ME.to_owned(),
            reason: HOSTILE.to_owned(),
        }),
        Just(Event::RollbackEnded {}),
        Just(Event::LegStarted { leg: 2 }),
        text().prop_map(|why| Event::Refused { by: ME.to_owned(), what: why.clone(), why }),
        text().prop_map(|reason| Event::RunEnded { end: crate::run::event::End::Failed, reason }),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    let kinds = vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::Moved,
    ];
    prop_oneof![
        10 => keys(),
        2 => (proptest::sample::select(kinds), 0..260u16, 0..260u16).prop_map(|(kind, x, y)| Act::Mouse(kind, x, y)),
        1 => text().prop_map(Act::Paste),
        2 => (0..=250u16, 0..=120u16).prop_map(|(w, h)| Act::Size(w, h)),
        3 => (0..3_000u64).prop_map(Act::Later),
        8 => events().prop_map(|event| Act::Event(Box::new(event))),
        1 => any::<u8>().prop_map(Act::Progress),
        1 => any::<u8>().prop_map(Act::Link),
        1 => any::<bool>().prop_map(Act::Edited),
    ]
}

fn message(model: &Model, act: Act) -> Message {
    match act {
        Act::Key(code, with) => Message::Key(KeyEvent::new(code, with)),
        Act::Mouse(kind, column, row) => {
            Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
        }
        Act::Paste(text) => Message::Paste(text),
        Act::Size(w, h) => Message::Resize(w, h),
        Act::Later(ms) => Message::Tick(moment(model.now.ms + ms)),
        Act::Event(event) => {
            Message::Entries(vec![crate::run::Entry { seq: model.state.seq + 1, at: model.now, event: *event }])
        }
        Act::Progress(n) => Message::Progress(Progress {
            attempt: attempt(STEPS[usize::from(n) % STEPS.len()]),
            statement: u32::from(n),
            of: 7,
            rows: u64::MAX,
            bytes: 3,
            elapsed_ms: u64::MAX,
            batches: n.is_multiple_of(2).then(|| {
                Box::new(Batches {
                    n: u64::MAX,
                    left_ms: Some(u64::MAX),
                    pausing: Some(HOSTILE.to_owned()),
                    ..Batches::default()
                })
            }),
            waiting: Some(HOSTILE.to_owned()),
        }),
        Act::Link(n) => Message::Engine(match n % 3 {
            0 => Link::Up,
            1 => Link::Lost(HOSTILE.to_owned()),
            _ => Link::Stopped(String::new()),
        }),
        Act::Edited(good) => Message::Edited(if good { Ok(HOSTILE.to_owned()) } else { Err("no".to_owned()) }),
    }
}

fn begun(kind: u8) -> Model {
    let mut script = Script::on(if kind.is_multiple_of(2) { "production" } else { "staging" });
    match kind % 6 {
        0 => {}
        1 => drop(script.m011_failed()),
        2 => drop(script.m011_running()),
        3 => drop(script.fired()),
        4 => drop(script.rolling_back()),
        _ => drop(script.monitoring()),
    }
    let mode = match kind % 5 {
        4 => Mode::Replay {
            marks: crate::tui::marks(&script.entries),
            status: ReplayStatus { engine_died: false, position: 5, total: 0, playing: true, speed: f64::NAN },
        },
        n => live(n != 3),
    };
    screen_in(&script, (120, 36), mode)
}

/// Nothing on a screen may be more than a picture of itself.
fn is_harmless(shot: &str) -> bool {
    !shot
        .chars()
        .any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_screen(kind in any::<u8>(), acts in proptest::collection::vec(acts(), 1..40)) {
        let mut model = begun(kind);
        for act in acts {
            let next = message(&model, act);
            update(&mut model, next);
            let shot = shot(&model);
            prop_assert!(is_harmless(&shot), "{shot}");
            prop_assert!(model.quiet_ms() <= 1_000);
        }
    }

    #[test]
    fn every_size_is_drawn(width in 0..=250u16, height in 0..=250u16, kind in any::<u8>(), key in proptest::char::range(' ', '~')) {
        let mut model = begun(kind);
        update(&mut model, Message::Resize(width, height));
        update(&mut model, Message::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)));
        model.look = Look { palette: Palette::Light, ascii: kind > 200, still: false };
        prop_assert!(is_harmless(&shot(&model)));
    }
}

#[test]
fn an_empty_runbook_is_drawn_too() {
    let mut model = Model::new(Arc::default(), live(true), Look::default());
    update(&mut model, Message::Resize(120, 36));
    let seen = shot(&model);
    assert!(seen.contains("reading the journal"), "{seen}");
    let mut model = Model::new(Arc::new(book()), live(true), Look::default());
    update(&mut model, Message::Resize(80, 24));
    shot(&model);
}
