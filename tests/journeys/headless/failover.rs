//! A standby takes over at the primary's own address: what it lacks of what was acknowledged is seen, and stops the run.

use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::Target;
use support::headless::Desk;
use support::postgres::Cluster;

use super::{book, desk};

const STEPS: &str = r#"
[[phase.step]]
id = "one"
sql = "insert into t values (1)"

[[phase.step]]
id = "two"
sql = "insert into t values (2)"
retries = 0

[[phase.step]]
id = "who"
checklist = [{ ask = "Who?", answer = "required" }]

[[phase.step]]
id = "three"
sql = "insert into t values (3)"
"#;

/// A run on a primary with a standby and a ledger, held after two steps; the second may be lost on the way.
async fn held(lost: bool) -> Option<(Desk, Cluster)> {
    let pause = if lost { STEPS.replace("retries = 0", "only_if = \"false\"") } else { STEPS.to_owned() };
    held_after(&pause, "create table t (n int)", lost).await
}

async fn held_after(steps: &str, table: &str, lost: bool) -> Option<(Desk, Cluster)> {
    let primary = Cluster::start(&[])?;
    let db = primary.create_db();
    primary.psql(&db, table);
    let spec = TargetSpec::new(Secret::Env("DB".to_owned()));
    let target = Target::open("main", &spec, primary.url(&db).into(), "gonogo test").await.unwrap();
    target.create_ledger("test").await.unwrap();
    let mut standby = primary.standby()?;
    let desk = desk().with("DB", primary.url(&db));
    desk.write("runbook.toml", &book(steps));
    desk.write("migrations/1_one.sql", "alter table t add column one int");
    if steps.contains("batch") {
        primary.psql(&db, "insert into t select generate_series(1, 20)");
        standby.until(&db, "select count(*) from t", "20");
    }
    if lost {
        primary.stop_sending();
    }
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    if !lost {
        standby.until(&db, "select count(*) from t", "2");
    }
    primary.fail_over_to(&mut standby);
    Some((desk, standby))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_is_lost_stops_the_run() {
    let Some((desk, _standby)) = held(true).await else { return };
    let resumed = desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    assert!(
        resumed.out.contains("DIVERGED") && resumed.out.contains("lacks what it had acknowledged before: one"),
        "{}",
        resumed.out
    );
}

/// What a tool's table says is the proof of its files.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_lost_stop_the_run() {
    let files = "[[phase.step]]\nid = \"one\"\nmigrations = { folder = \"migrations\", tool = \"plain\" }\n\
                 [[phase.step]]\nid = \"who\"\nchecklist = [{ ask = \"Who?\", answer = \"required\" }]\n";
    let Some((desk, _standby)) = held_after(files, "create table t (n int)", true).await else { return };
    let resumed = desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    assert!(
        resumed.out.contains("DIVERGED") && resumed.out.contains("lacks what it had acknowledged before: one"),
        "{}",
        resumed.out
    );
}

/// The checkpoint of a batch is its proof: a server that has fewer batches than were acknowledged is another history.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_lost_stop_the_run() {
    let fill = "[[phase.step]]\nid = \"one\"\n\
                batch = { table = \"t\", key = \"n\", size = 5, set = \"done = true\" }\n\
                [[phase.step]]\nid = \"who\"\nchecklist = [{ ask = \"Who?\", answer = \"required\" }]\n";
    let Some((desk, _standby)) = held_after(fill, "create table t (n int primary key, done bool)", true).await else {
        return;
    };
    let resumed = desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    assert!(resumed.out.contains("lacks what it had acknowledged before: one"), "{}", resumed.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_nothing_goes_on() {
    let Some((desk, standby)) = held(false).await else { return };
    desk.write("answers.toml", "[answers.who]\n\"Who?\" = \"me\"\n");
    desk.run(&["resume", "last", "--headless", "--yes", "--answers", "answers.toml"]).exits(0);
    assert_eq!(standby.psql("t0", "select string_agg(n::text, ',' order by n) from t"), "1,2,3");
}
