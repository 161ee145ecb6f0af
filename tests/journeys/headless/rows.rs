//! A million rows through one step: counted, bounded in memory and journal, and nobody has to wait for them.

use std::time::{Duration, Instant};

use gonogo::run::command::CommandVerb;
use gonogo::run::limits::ROWS_KEPT;
use gonogo::run::{Chunk, Entry, Event, Outcome};

use super::story::{Voice, entries, outcome};
use super::{book, desk_with_database};

const MILLION: u64 = 1_000_000;

fn runbook(rows: u64) -> String {
    let sql = format!("select g, 'row number ' || g as words, now() as at from generate_series(1, {rows}) as g");
    let stream = format!("[[phase.step]]\nid = \"rows\"\nsql = \"{sql}\"\nexpect = \"rows == {rows}\"\n");
    book(&(stream + "[[phase.step]]\nid = \"rest\"\nwait = \"2s\"\n"))
}

/// The most memory that a process has had in use, in KiB; none where it is gone.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn rows(entries: &[Entry]) -> Vec<Vec<Option<String>>> {
    let of = |entry: &Entry| match &entry.event {
        Event::Output { chunk: Chunk::Rows { rows, .. }, .. } => rows.clone(),
        _ => Vec::new(),
    };
    entries.iter().flat_map(of).collect()
}

/// Runs the step and speaks to its engine all the while; the peak of memory and how long each note took.
async fn stream(count: u64) -> Option<(u64, Vec<Duration>)> {
    let (desk, ..) = desk_with_database()?;
    desk.write("runbook.toml", &runbook(count));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("step_started");
    let folder = desk.run_dir();
    let mut voice = Voice::at(&folder).await;
    let mut took = Vec::new();
    let over = |event: &Event| matches!(event, Event::StepEnded { .. });
    while !voice.look(over).await {
        let text = format!("note {}", took.len());
        let (before, began) = (voice.count().await, Instant::now());
        voice.say(CommandVerb::Note { text: text.clone(), step: None }).await;
        voice
            .until_after(
                before,
                "the note",
                |event| matches!(event, Event::NoteAdded { text: said, .. } if *said == text),
            )
            .await;
        took.push(began.elapsed());
    }
    let peak = peak(running.pid()).expect("it rests for two seconds more");
    running.end().exits(0);
    let told = entries(&folder).await;
    let Outcome::Done { facts, .. } = outcome(&told, "rows") else { panic!("{:?}", outcome(&told, "rows")) };
    assert_eq!(facts.rows, Some(count));
    println!("{count} rows: {} ms in the step, {took_n} notes meanwhile", facts.ms, took_n = took.len());
    let kept = rows(&told);
    assert_eq!(kept.len() as u64, count.min(ROWS_KEPT), "the first rows are kept, the others counted");
    assert_eq!(kept[0][..2], [Some("1".to_owned()), Some("row number 1".to_owned())]);
    assert_eq!(kept.last().unwrap()[0], Some(count.min(ROWS_KEPT).to_string()));
    Some((peak, took))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_are_counted_and_not_kept() {
    let Some((small, _)) = stream(1).await else { return };
    let Some((large, mut took)) = stream(MILLION).await else { return };
    took.sort_unstable();
    println!("peak of memory: {small} KiB with 1 row, {large} KiB with {MILLION}");
    println!("a note is committed in {:?} (median), {:?} (longest)", took[took.len() / 2], took[took.len() - 1]);
    assert!(large - small < 64 * 1024, "{small} KiB with one row, {large} KiB with a million");
    assert!(took[took.len() / 2] < Duration::from_secs(2), "{took:?}");
}

/// A forgotten WHERE: more rows than the runbook allows are taken back before COMMIT, and the step says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_writes_too_much_is_taken_back() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t (n int); insert into t select 0 from generate_series(1, 700)");
    let step = "[[phase.step]]\nid = \"fix\"\nsql = \"update t set n = 1\"\nmax_rows = ";
    desk.write("runbook.toml", &book(&format!("{step}500\n")));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"])
        .exits(4)
        .says("affected <= 500 (max_rows)")
        .says("affected = 700");
    assert_eq!(cluster.psql(&db, "select sum(n) from t"), "0");
    desk.write("runbook.toml", &book(&format!("{step}700\n")));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert_eq!(cluster.psql(&db, "select sum(n) from t"), "700");
}

/// Its words only read; the function that it calls does not.
#[test]
fn what_a_function_wrote_is_not_forgotten_by_a_rollback() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        &db,
        "create table t (id int); insert into t values (1), (2); \
         create function purge() returns bigint language sql as 'with d as (delete from t returning 1) select count(*) from d'",
    );
    let no = "[[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\non_fail = \"rollback\"\n";
    let steps = format!("[[phase.step]]\nid = \"purge\"\nsql = \"select purge()\"\nexpect = \"value == 2\"\n{no}");
    desk.write("runbook.toml", &book(&steps));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    assert!(ran.out.contains("purge names no undo"), "{}", ran.out);
    // One that says so goes ahead.
    std::fs::remove_dir_all(desk.journal()).unwrap();
    desk.write("runbook.toml", &book(&steps.replace("value == 2\"\n[", "value == 0\"\nundo = \"none needed\"\n[")));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(5);
}
