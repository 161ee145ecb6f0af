//! Terminals of every size, resized while the run goes on; and one without colours.

use gonogo::run::Event;
use gonogo::run::event::End;
use support::headless::Desk;

use super::demo::{book, step};
use super::{Operator, Scene};

#[test]
fn a_storm_of_sizes_while_it_runs() {
    let (scene, book) = (Scene::new(), book());
    let mut screen = scene.open(&["demo", "--set", "watch=3s"]);
    screen.shows("Enter starts: Count the orders");
    screen.auto();
    // A sequence of sizes, the same every time: one cell, a strip, far too much, and everything between.
    let mut n: u32 = 7;
    for turn in 0..300 {
        n = n.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let (columns, rows) = match turn % 6 {
            0 => (1, 1),
            1 => (1, 60),
            2 => (300, 1),
            3 => (500, 200),
            _ => (((n >> 16) % 220) as u16 + 1, ((n >> 8) % 70) as u16 + 1),
        };
        screen.resize(columns, rows);
    }
    assert!(screen.runs());
    screen.resize(30, 8);
    screen.shows("too small");
    for (columns, rows) in [(80, 24), (200, 60), (60, 16), (100, 30)] {
        screen.resize(columns, rows);
        screen.shows("DEMO LIVE");
        screen.until("filled the terminal", |screen| {
            screen.picture().iter().all(|row| row.chars().count() <= columns.into())
        });
        screen.shows("help");
    }
    screen.resize(80, 24);
    screen.shows("space ticks");
    screen.tick(&scene, step(&book, "ready"), "");
    screen.go(&scene, &book, step(&book, "go"));
    screen.resize(200, 60);
    scene.until("the end", |event| matches!(event, Event::RunEnded { .. }));
    assert_eq!(screen.leave(), 0);
    assert_eq!(scene.ended(), Some(End::Done));
}

/// The parameters of every `CSI … m` that was written.
fn attributes(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split("\x1b[").skip(1);
    let ends = |piece: &str| piece.find(|c: char| c.is_ascii_alphabetic());
    let attribute = |piece: &str| {
        let end = ends(piece)?;
        piece[end..].starts_with('m').then(|| piece[..end].to_owned())
    };
    sequences.filter_map(attribute).collect()
}

fn is_colour(parameters: &str) -> bool {
    let numbers: Vec<u32> = parameters.split([';', ':']).filter_map(|one| one.parse().ok()).collect();
    numbers.iter().any(|n| matches!(n, 30..=38 | 40..=48 | 58 | 90..=107))
}

/// The demo until its first question, in an environment; what it wrote.
fn written(desk: Desk) -> Vec<u8> {
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["demo"]);
    screen.shows("Enter starts: Count the orders");
    screen.start(&scene, "orders-before");
    screen.shows("Enter starts: Let the metrics settle");
    screen.keys("?");
    screen.shows("F1");
    screen.keys("\x1b");
    screen.hides("F1");
    screen.keys("q");
    screen.answer("leave the run going", "");
    assert_eq!(screen.ends(), 0);
    screen.written()
}

#[test]
fn without_colours_where_nobody_wants_them() {
    let desk = || Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    let plain = attributes(&written(desk().with("NO_COLOR", "1")));
    let colours: Vec<&String> = plain.iter().filter(|one| is_colour(one)).collect();
    assert!(colours.is_empty(), "{colours:?}");
    assert!(plain.iter().any(|one| one == "7" || one == "1"), "state shows by attributes: {plain:?}");
    assert!(attributes(&written(desk())).iter().any(|one| is_colour(one)), "with colours where they are wanted");
}
