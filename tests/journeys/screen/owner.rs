//! A production database that another run has not let go: who has it is on the screen, and its name is typed twice.

use gonogo::run::Event;
use gonogo::run::event::End;
use support::headless::Desk;

use super::{Operator, Scene};

const HEAD: &str = "format = 1\nid = \"window\"\ntitle = \"A window\"\n\n[environments.production]\nprotected = true\n\
                    targets.main = { url = \"env:DB\", ledger = \"create\" }\n\n[[phase]]\nid = \"migrate\"\n\n\
                    [[phase.step]]\nid = \"create\"\ntitle = \"Create the table\"\nsql = \"create table notes (id int)\"\n\
                    undo = { sql = \"drop table notes\" }\n";

#[test]
fn what_another_run_has_is_taken_over_by_name() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    let desk = || Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    // A run that waits for its confirmation, and is let go: it has the database, and has not ended.
    let first = desk();
    first.write("book/runbook.toml", HEAD);
    first.run(&["run", "book", "--headless", "--yes"]).exits(4).says("--confirm");
    let scene = {
        let desk = desk();
        desk.write("book/runbook.toml", HEAD);
        Scene::at(desk)
    };
    let mut screen = scene.open(&["run", "book"]);
    let digits = cluster.psql(&db, "select right(system_identifier::text, 4) from pg_control_system()");
    for (columns, rows) in [(60, 16), (80, 24), (120, 36)] {
        screen.resize(columns, rows);
        screen.shows("PRODUCTION LIVE");
        screen.shows(&format!("{db}@127.0.0.1"));
        screen.shows("HELD: target main has another owner");
        screen.shows("T take over");
    }
    screen.keys("T");
    screen.shows("TAKE OVER main?");
    screen.paste(&db);
    screen.shows("paste is refused here: type it");
    screen.answer("TAKE OVER main?", &db);
    scene.until("the take-over", |event| matches!(event, Event::TakenOver { .. }));
    screen.shows(&format!("…{digits} as postgres, primary"));
    screen.enter_until("asked for the name", |screen| screen.has("This is PRODUCTION"));
    screen.shows("never rehearsed");
    screen.answer("This is PRODUCTION", &format!("{db} {digits}"));
    screen.start(&scene, "create");
    assert_eq!(screen.leave(), 0);
    assert_eq!(scene.ended(), Some(End::Done));
    assert_eq!(cluster.psql(&db, "select count(*) from gonogo.run where taken_over_by like '%@%'"), "1");
}
