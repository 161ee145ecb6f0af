//! A protected environment: its database's name is typed, not pasted, before anything starts, and again to go back.

use gonogo::run::Event;
use gonogo::run::event::End;
use support::headless::Desk;

use super::{Operator, Scene};

const BOOK: &str = r#"
format = 1
id = "guarded"
title = "A guarded window"

[environments.production]
protected = true
targets.main = { url = "sqlite:shop.db?mode=rwc" }

[[phase]]
id = "migrate"
kind = "migrate"

[[phase.step]]
id = "create"
title = "Create the table"
sql = "create table notes (id integer primary key)"
undo = { sql = "drop table notes" }

[[phase.step]]
id = "look"
title = "Look at it"
sql = "select count(*) from notes"
expect = "value == 0"
"#;

fn is_confirmed(scene: &Scene) -> bool {
    scene.entries().iter().any(|entry| matches!(entry.event, Event::Confirmed { .. }))
}

#[test]
fn the_name_is_typed_and_nothing_else_will_do() {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    desk.write("book/runbook.toml", BOOK);
    desk.write("shop.db", "");
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("PRODUCTION LIVE");
    screen.shows("Enter: confirm PRODUCTION first, then start: Create the table");
    screen.enter_until("asked for the name", |screen| screen.has("This is PRODUCTION"));
    screen.shows("Type the name of the database: shop.db");
    screen.shows("enter goes");
    // Nothing typed, the wrong name, the right name pasted: none of them will do.
    screen.keys("\r");
    screen.shows("database name: type it to go on");
    screen.paste("shop.db");
    screen.shows("paste is refused here: type it");
    screen.keys("shop.bd\r");
    screen.shows("that is not the name");
    assert!(!is_confirmed(&scene));
    screen.keys("\x7f\x7f");
    screen.answer("This is PRODUCTION", "db");
    scene.until("the confirmation", |event| matches!(event, Event::Confirmed { .. }));
    screen.start(&scene, "create");
    screen.shows("Enter starts: Look at it");
    // The way back is guarded as well.
    screen.keys("R");
    screen.shows("ROLL BACK on PRODUCTION");
    screen.keys("a look at the way back\t");
    screen.paste("shop.db");
    screen.shows("paste is refused here: type it");
    screen.shows("enter goes");
    screen.keys("shop\r");
    screen.shows("that is not the name");
    screen.answer("ROLL BACK on PRODUCTION", ".db");
    screen.shows("ROLLED BACK");
    assert_eq!(screen.leave(), 5);
    assert_eq!(scene.ended(), Some(End::RolledBack));
}
