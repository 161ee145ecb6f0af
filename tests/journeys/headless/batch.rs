//! A table filled in batches: killed, resumed, throttled, taken back and done again, and each row changed once.

use gonogo::run::command::CommandVerb;
use gonogo::run::{Chunk, Direction, Event, Outcome};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::Target;
use secrecy::SecretString;
use support::headless::{Desk, Ran, Running};
use support::postgres::Cluster;

use super::story::{Voice, entries, started};
use super::{book, desk, desk_with_database};

const ROWS: u32 = 300;

/// A table `t` with `ROWS` rows, and a ledger.
async fn ready() -> Option<(Desk, &'static Cluster, String)> {
    let (desk, cluster, db) = desk_with_database()?;
    fill_and_ledger(cluster, &db).await;
    Some((desk, cluster, db))
}

async fn fill_and_ledger(cluster: &Cluster, db: &str) {
    cluster.psql(
        db,
        &format!(
            "create table t (id uuid primary key, n int not null default 0); \
             insert into t select md5(i::text)::uuid from generate_series(1, {ROWS}) i; \
             create table load (v int); insert into load values (0)"
        ),
    );
    let spec = TargetSpec::new(Secret::Env("DB".to_owned()));
    let target = Target::open("main", &spec, SecretString::from(cluster.url(db)), "gonogo test").await.unwrap();
    target.create_ledger("test").await.unwrap();
}

fn fill(more: &str) -> String {
    book(&format!(
        "[[phase.step]]\nid = \"fill\"\ntitle = \"Fill\"\nbatch = {{ table = \"t\", key = \"id\", size = 10, pause = \"2ms\", set = \"n = n + 1\" }}\n{more}"
    ))
}

fn once(cluster: &Cluster, db: &str) -> String {
    cluster.psql(db, "select count(*) || ' ' || min(n) || ' ' || max(n) from t")
}

/// The program, killed by itself at the `nth` pass of a place.
fn killed(desk: &Desk, args: &[&str], place: &str, nth: u32) {
    let mut command = desk.command(args);
    command.env("GONOGO_FAILPOINT", format!("{place}:kill:{nth}"));
    let ran: Ran = Running::spawn(command).end();
    assert_eq!(ran.code, None, "it was to be killed at {place}\n{}\n{}", ran.out, ran.err);
}

async fn killed_twice(first: &str, second: &str) {
    let Some((desk, cluster, db)) = ready().await else { return };
    desk.write("runbook.toml", &fill(""));
    killed(&desk, &["run", "runbook.toml", "--headless", "--yes"], first, 5);
    killed(&desk, &["resume", "last", "--headless", "--yes"], second, 4);
    let ran = desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"), "{first}, {second}\n{}", ran.out);
    let entries = entries(&desk.run_dir()).await;
    assert_eq!(started(&entries), ["fill"], "it is one attempt, taken up twice");
    let done = entries.iter().find_map(|entry| match &entry.event {
        Event::StepEnded { outcome: Outcome::Done { facts, .. }, .. } => Some((facts.affected, facts.batches)),
        _ => None,
    });
    assert_eq!(done, Some((Some(ROWS.into()), Some((ROWS / 10).into()))));
    desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_the_work() {
    killed_twice("target.batch.begin", "target.batch.work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_the_commit() {
    killed_twice("target.batch.commit", "target.batch.committed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_holds_it_until_the_number_falls() {
    let Some((desk, cluster, db)) = ready().await else { return };
    cluster.psql(&db, "update load set v = 91");
    let probe = "[[probe]]\nid = \"load\"\nevery = \"100ms\"\nsql = \"select v from load\"\n";
    desk.write("runbook.toml", &format!("{}\n{probe}", fill("throttle = \"load > 80\"\n")));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes", "--json"]);
    running.line("why it pauses", |line| line.contains("pausing") && line.contains("load > 80"));
    assert_eq!(once(cluster, &db), format!("{ROWS} 0 0"));
    cluster.psql(&db, "update load set v = 12");
    running.end().exits(0);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
}

/// What is written while a rollback counts down would only be taken back.
#[tokio::test(flavor = "multi_thread")]
async fn no_batch_begins_while_a_rollback_counts_down() {
    let Some((desk, cluster, db)) = ready().await else { return };
    let signals = "[[probe]]\nid = \"load\"\nevery = \"100ms\"\nsql = \"select v from load\"\n\
                   [[trigger]]\nid = \"high\"\nwhen = \"load > 80\"\nthen = \"rollback\"\ngrace = \"2s\"\n";
    let undo = "undo = { batch = { table = \"t\", key = \"id\", size = 100, set = \"n = 0\" } }\n";
    let book = fill(undo).replace("\"2ms\"", "\"300ms\"");
    desk.write("runbook.toml", &format!("{book}\n{signals}"));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes", "--json"]);
    running.line("a batch", |line| line.contains("\"chunk\":\"batch\""));
    cluster.psql(&db, "update load set v = 91");
    running.line("the way back", |line| line.contains("rollback_started"));
    cluster.psql(&db, "update load set v = 12");
    running.end().exits(5);
    assert_eq!(once(cluster, &db), format!("{ROWS} 0 0"));

    let entries = entries(&desk.run_dir()).await;
    let at = |is: &dyn Fn(&Event) -> bool| entries.iter().position(|entry| is(&entry.event)).unwrap();
    let waits = at(&|event| match event {
        Event::Output { chunk: Chunk::Notice { text, .. }, .. } => text.contains("a rollback is about to begin"),
        _ => false,
    });
    let back = at(&|event| matches!(event, Event::RollbackStarted { .. }));
    let done = entries[waits..back].iter().filter_map(|entry| match &entry.event {
        Event::Output { chunk: Chunk::Batch(batches), .. } => Some(batches.n),
        _ => None,
    });
    let done: std::collections::BTreeSet<u64> = done.collect();
    assert!(done.len() <= 1, "batches went on: {done:?}");
    assert!(
        entries.iter().all(|entry| !matches!(&entry.event, Event::StepEnded { attempt, outcome: Outcome::Done { .. } }
        if attempt.direction == Direction::Forward))
    );
}

/// A rehearsal goes forward, back and forward again: the second way forward begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_taken_back_by_a_batch_and_done_again() {
    let Some((desk, cluster, db)) = ready().await else { return };
    let undo = "undo = { batch = { table = \"t\", key = \"id\", size = { start = 20, aim = \"1s\" }, set = \"n = n - 1\" } }\n";
    desk.write("runbook.toml", &fill(undo));
    desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert_eq!(started(&entries(&desk.run_dir()).await), ["fill", "undo of fill", "fill (attempt 2)"]);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
    let places = cluster.psql(&db, "select direction, n, rows from gonogo.checkpoint order by written");
    assert_eq!(places, format!("forward|1|{ROWS}\nundo|1|{ROWS}\nforward|2|{ROWS}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file_too() {
    let desk = desk();
    let path = desk.path("app.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let spec = TargetSpec::new(Secret::Plain(url.clone()));
    let target = Target::open("main", &spec, SecretString::from(url), "gonogo test").await.unwrap();
    target.create_ledger("test").await.unwrap();
    let fill = "batch = { table = \"t\", key = \"id\", size = 10, set = \"n = n + 1\" }\nexpect = \"affected == 100\"";
    desk.write(
        "runbook.toml",
        &format!(
            "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[environments.test]\ntargets.main = \"sqlite:{}\"\n\
             [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\
             [[phase.step]]\nid = \"fill\"\n{fill}\n\
             [[phase.step]]\nid = \"look\"\nsql = \"select count(*) || ' ' || min(n) || ' ' || max(n) from t\"\nexpect = \"value == '100 1 1'\"\n",
            path.display()
        ),
    );
    let made = "with recursive i (n) as (select 1 union all select n + 1 from i where n < 100) \
                insert into t (id) select n * 3 from i";
    let tables = ["create table t (id integer primary key, n int not null default 0)", made];
    let statements: Vec<gonogo::run::event::Statement> =
        tables.iter().map(|sql| gonogo::run::event::Statement { sql: (*sql).to_owned(), line: 1 }).collect();
    let (out, _chunks) = tokio::sync::mpsc::channel(64);
    let job = gonogo::target::SqlJob::plain("make", &statements, true);
    let made = target.run(&job, &out, &|_: &gonogo::run::Facts| Ok(None), Default::default()).await;
    assert!(matches!(made, Outcome::Done { .. }), "{made:?}");
    killed(&desk, &["run", "runbook.toml", "--headless", "--yes"], "target.batch.commit", 4);
    killed(&desk, &["resume", "last", "--headless", "--yes"], "target.batch.committed", 3);
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
}

/// What stopped it is mended by hand; the next attempt goes on from the checkpoint of the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_on_where_the_failure_was() {
    let Some((desk, cluster, db)) = ready().await else { return };
    let last = cluster.psql(&db, "select id from t order by id desc limit 1");
    cluster.psql(&db, &format!("alter table t add constraint no check (id <> '{last}' or n = 0)"));
    desk.write("runbook.toml", &fill(""));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    assert!(ran.out.contains("what is committed stays: 29 batches, 290 rows, up to key"), "{}", ran.out);
    cluster.psql(&db, "alter table t drop constraint no");
    let folder = desk.run_dir();
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.ready().await;
    voice.say(CommandVerb::Retry { step: "fill".into() }).await;
    engine.end().exits(0);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
    assert_eq!(cluster.psql(&db, "select n, batch, rows from gonogo.checkpoint"), format!("1|30|{ROWS}"));
    assert_eq!(started(&entries(&folder).await), ["fill", "fill (attempt 2)"]);
}

/// What found no row to write is not taken back: its undo would take what is others'.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_wrote_nothing_is_not_undone() {
    let Some((desk, cluster, db)) = ready().await else { return };
    cluster.psql(&db, "update t set n = 1");
    let text = fill("undo = { sql = \"update t set n = 0\" }\nexpect = \"affected > 0\"\non_fail = \"rollback\"\n");
    desk.write("runbook.toml", &text.replace("set = \"n = n + 1\"", "set = \"n = 1\", where = \"n = 0\""));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(5);
    assert!(ran.out.contains("ROLLBACK begins, 0 steps"), "{}", ran.out);
    // The same where it is no failure, and a later step rolls back.
    std::fs::remove_dir_all(desk.journal()).unwrap();
    let no = "[[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\non_fail = \"rollback\"\n";
    let text = fill(&format!("undo = {{ sql = \"update t set n = 0\" }}\n{no}"));
    desk.write("runbook.toml", &text.replace("set = \"n = n + 1\"", "set = \"n = 1\", where = \"n = 0\""));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(5);
    assert!(ran.out.contains("fill      done") && ran.out.contains("ROLLBACK begins, 0 steps"), "{}", ran.out);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
}

/// Without its server nobody knows how far it is: it stands in doubt, and goes on by itself once the server is back.
#[tokio::test(flavor = "multi_thread")]
async fn in_doubt_while_the_server_is_away() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let db = cluster.create_db();
    let desk = desk().with("DB", cluster.url(&db));
    fill_and_ledger(&cluster, &db).await;
    desk.write("runbook.toml", &fill(""));
    killed(&desk, &["run", "runbook.toml", "--headless", "--yes"], "target.batch.work", 5);
    cluster.down("fast");
    let ran = desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    assert!(
        ran.out.contains("goes on from its checkpoint as soon as it can; its target cannot be asked"),
        "{}",
        ran.out
    );
    cluster.up();
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) || ' ' || min(n) || ' ' || max(n) from t"), format!("{ROWS} 1 1"));
    assert_eq!(started(&entries(&desk.run_dir()).await), ["fill", "fill (attempt 2)"]);
}

/// The pace is changed from a second terminal; whoever takes the run up keeps to it.
#[tokio::test(flavor = "multi_thread")]
async fn another_pace_from_a_second_terminal_survives_a_kill() {
    let Some((desk, cluster, db)) = ready().await else { return };
    desk.write("runbook.toml", &fill("").replace("pause = \"2ms\"", "pause = \"30m\""));
    let rows = |wanted: &str| cluster.until(&db, "select rows from gonogo.checkpoint", wanted);
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    cluster.until(&db, "select (to_regclass('gonogo.checkpoint') is not null)::text", "true");
    rows("10");
    desk.run(&["retune", "last", "look", "--pause", "0"]).exits(6).says("does not work in batches now; fill does");
    desk.run(&["retune", "last", "fill", "--batch", "many"]).exits(2).says("is no length of time");
    desk.run(&["retune", "last", "fill", "--batch", "10"]).exits(6).says("keeps that pace already");
    desk.run(&["retune", "last", "fill", "--batch", "20"]).exits(0).says("10 keys a batch → 20 keys a batch");
    rows("30");
    running.kill();
    let running = desk.start(&["resume", "last", "--headless", "--yes"]);
    rows("50");
    desk.run(&["retune", "last", "fill", "--batch", "100", "--pause", "0"]).exits(0).says("pause 30m00 → 0 ms");
    running.end().exits(0).says("retuned by ");
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
    assert_eq!(cluster.psql(&db, "select batch, rows from gonogo.checkpoint"), format!("6|{ROWS}"));
    desk.run(&["retune", "last", "fill", "--batch", "100"]).exits(6).says("nothing does");
    desk.run(&["audit"]).exits(0);
}

/// What stopped it is mended by hand, and nobody has a screen.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_tried_again_without_a_screen() {
    let Some((desk, cluster, db)) = ready().await else { return };
    let last = cluster.psql(&db, "select id from t order by id desc limit 1");
    cluster.psql(&db, &format!("alter table t add constraint no check (id <> '{last}' or n = 0)"));
    desk.write("runbook.toml", &fill(""));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    assert_eq!(started(&entries(&desk.run_dir()).await), ["fill"], "--yes alone tries nothing again");
    desk.run(&["resume", "last", "--headless", "--yes", "--retry"]).exits(4);
    assert_eq!(started(&entries(&desk.run_dir()).await), ["fill", "fill (attempt 2)"], "once");
    cluster.psql(&db, "alter table t drop constraint no");
    desk.run(&["resume", "last", "--headless", "--yes", "--retry"]).exits(0);
    assert_eq!(once(cluster, &db), format!("{ROWS} 1 1"));
}
