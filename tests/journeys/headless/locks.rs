//! A step that waits for a lock, and a step that is cancelled: what is seen while it happens, what is safe afterwards.

use gonogo::link::Down;
use gonogo::run::command::CommandVerb;
use gonogo::run::{Event, Outcome};
use support::sitter::Sitter;

use super::story::{Voice, entries, fault, first, outcome};
use super::{book, desk_with_database};

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_wait_names_who_is_in_the_way() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    desk.write("sql/alter.sql", "-- Adds a column.\n\nselect 1;\n\nalter table\n  orders add column c int;\n");
    let step = "[[phase.step]]\nid = \"alter\"\nfile = \"sql/alter.sql\"\ntrouble = [{ match = \"lock timeout\", cause = \"somebody holds it\", fix = \"wait, then retry\" }]\n";
    desk.write("runbook.toml", &book(step).replace("lock_timeout = \"20s\"", "lock_timeout = \"4s\", lock_tries = 2"));
    let sitter = Sitter::start(cluster, &db, "lock table orders in access exclusive mode");
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("step_started");
    let folder = desk.run_dir();
    let mut voice = Voice::at(&folder).await;
    let waiting = loop {
        match voice.hear().await.expect("the engine is there") {
            Down::Progress(progress) if progress.waiting.is_some() => break progress,
            _ => {}
        }
    };
    let words = waiting.waiting.unwrap();
    assert!(
        words.starts_with("lock: pid ") && words.contains("sitter") && words.contains("lock table orders"),
        "{words}"
    );
    assert_eq!((waiting.statement, waiting.of), (2, 2));
    let ran = running.end().exits(4);
    let told = entries(&folder).await;
    let fault = fault(&told, "alter");
    assert_eq!(fault.sqlstate.as_deref(), Some("55P03"), "{fault:?}");
    assert_eq!((fault.statement, fault.place.as_str()), (Some(2), "sql/alter.sql:5"), "{fault:?}");
    assert_eq!(fault.safe, "the transaction was rolled back, nothing changed");
    assert_eq!(fault.trouble, Some(("somebody holds it".to_owned(), "wait, then retry".to_owned())));
    drop(sitter);
    assert!(ran.out.contains("held"), "{}", ran.out);
    assert!(ran.out.contains("try 1 of 2: ERROR: canceling statement due to lock timeout (55P03)"), "{}", ran.out);
    assert!(fault.hint.unwrap().contains("select pg_terminate_backend("), "what to do is said");
    let plain = desk.run(&["report"]).exits(0);
    assert!(plain.out.contains("55P03") && plain.out.contains("alter.sql:5"), "{}", plain.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_is_over_on_the_server() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table marks (n int)");
    let sql = "insert into marks values (1); select pg_sleep(600)";
    desk.write("runbook.toml", &book(&format!("[[phase.step]]\nid = \"long\"\nretries = 3\nsql = \"{sql}\"\n")));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    cluster.until(&db, busy, "1");
    let folder = desk.run_dir();
    let mut voice = Voice::at(&folder).await;
    voice.say(CommandVerb::Cancel { attempt: first("long") }).await;
    running.end().exits(4).says("cancelled");
    let told = entries(&folder).await;
    assert!(matches!(outcome(&told, "long"), Outcome::Failed { .. }));
    assert_eq!(fault(&told, "long").summary, "cancelled");
    assert_eq!(super::story::started(&told), ["long"], "what a person cancelled is not retried by itself");
    assert!(told.iter().any(|entry| matches!(&entry.event, Event::CancelAsked { by, .. } if by.contains('@'))));
    assert_eq!(cluster.psql(&db, busy), "0");
    assert_eq!(cluster.psql(&db, "select count(*) from marks"), "0");
}
