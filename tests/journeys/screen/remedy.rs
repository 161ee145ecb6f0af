//! A step that meets a known trouble: its fix is shown as it will be sent, asked for, and sent in the step's own transaction.

use gonogo::run::event::End;
use gonogo::run::{Event, remedy};
use support::headless::Desk;

use super::{Operator, Scene};

const BOOK: &str = "format = 1\nid = \"window\"\ntitle = \"A window\"\n\n[vars]\nold = 7\n\n[environments.test]\n\
                    targets.main = { url = \"env:DB\", ledger = \"create\" }\n\n[[phase]]\nid = \"migrate\"\n\n\
                    [[phase.step]]\nid = \"create\"\ntitle = \"Create the table\"\n\
                    sql = \"create table notes (id int); insert into notes values (1)\"\nmax_rows = 1\n\
                    expect = \"affected == 1\"\nundo = { sql = \"drop table notes\" }\n\
                    trouble = [{ match = \"already exists\", cause = \"left over\", fix = \"drop it\", \
                    sql = \"insert into fixed values ({{ old }}), (8); drop table notes\" }]\n";

#[test]
fn the_known_fix_goes_ahead_in_one_transaction() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table notes (left_over int); create table fixed (n int)");
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    desk.write("book/runbook.toml", BOOK);
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["run", "book"]);
    screen.start(&scene, "create");
    screen.shows("what helps: drop it");
    screen.shows("F fix, then retry");
    assert_eq!(cluster.psql(&db, "select count(*) from fixed"), "0");
    screen.keys("F");
    screen.shows("Fix, then run Create the table again?");
    screen.shows("insert into fixed values (7), (8)");
    screen.shows("In one transaction with it");
    screen.answer("Fix, then run Create the table again?", "");
    let wanted = |event: &Event| matches!(event, Event::StepStarted { resolved, .. } if remedy::fixing(resolved) == 2);
    scene.until("an attempt with its fix", wanted);
    assert_eq!(screen.leave(), 0);
    assert_eq!(scene.ended(), Some(End::Done));
    assert_eq!(cluster.psql(&db, "select string_agg(n::text, ',') from fixed"), "7,8");
    assert_eq!(cluster.psql(&db, "select string_agg(id::text, ',') from notes"), "1");
    let report = scene.desk.run(&["report"]).exits(0);
    assert!(report.out.contains("fixed and retried") && report.out.contains("drop table notes"), "{}", report.out);
}

/// The step behind the fix fails: what the fix did is taken back with it, and nothing sends it again.
#[test]
fn a_fix_is_taken_back_with_its_step() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table notes (left_over int); create table fixed (n int)");
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    desk.write("book/runbook.toml", &BOOK.replace("affected == 1", "affected == 2"));
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["run", "book"]);
    screen.start(&scene, "create");
    screen.shows("F fix, then retry");
    screen.keys("F");
    screen.answer("Fix, then run Create the table again?", "");
    scene.until("its failure", |event| matches!(event, Event::StepEnded { attempt, .. } if attempt.n == 2));
    screen.shows("expected affected == 2");
    screen.hides("F fix, then retry");
    assert_eq!(cluster.psql(&db, "select count(*) from fixed"), "0");
    assert_eq!(cluster.psql(&db, "select count(left_over) from notes"), "0", "the old table is there again");
}

/// Without a screen nobody says so: it is held as ever.
#[test]
fn yes_never_sends_a_fix() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table notes (left_over int); create table fixed (n int)");
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    desk.write("book/runbook.toml", &BOOK.replace("max_rows = 1", "max_rows = 1\nretries = 1"));
    desk.run(&["run", "book", "--headless", "--yes"]).exits(4).says("already exists");
    assert_eq!(cluster.psql(&db, "select count(*) from fixed"), "0");
}

/// Outside of a transaction the fix is the first of the statements that run by themselves; only the step's own are its facts.
#[test]
fn a_fix_outside_of_a_transaction() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    let step = "[[phase.step]]\nid = \"create\"\ntitle = \"Fill the table\"\ntransaction = \"none\"\n\
                sql = \"insert into notes values (1); insert into notes values (2)\"\nexpect = \"affected == 2\"\n\
                undo = \"irreversible\"\ntrouble = [{ match = \"does not exist\", fix = \"make it\", \
                sql = \"create table notes (id int); insert into notes values (0)\" }]\n";
    let head = BOOK.split("[[phase.step]]").next().unwrap();
    desk.write("book/runbook.toml", &format!("{head}{step}"));
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["run", "book"]);
    screen.start(&scene, "create");
    screen.shows("F fix, then retry");
    screen.keys("F");
    screen.shows("Each statement by itself");
    screen.answer("Fix, then run Fill the table again?", "");
    assert_eq!(screen.leave(), 0);
    assert_eq!(cluster.psql(&db, "select string_agg(id::text, ',' order by id) from notes"), "0,1,2");
}
