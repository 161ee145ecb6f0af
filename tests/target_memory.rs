//! Size: a million rows and a cell of 100 MB, with what they cost in memory. A binary of its own, because the peak
//! is that of the whole process.

// To the lints, helpers of tests are not tests.
#![allow(clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gonogo::run::event::Statement;
use gonogo::run::{Chunk, Facts, Outcome, limits};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::{SqlJob, Target};
use support::postgres;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The process's peak of resident memory so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Runs one statement as the engine does: on a task of its own.
async fn run(target: &Arc<Target>, sql: &str) -> (Facts, Vec<Vec<Option<String>>>, u64) {
    let (out, mut chunks) = mpsc::channel(8);
    let (target, sql) = (Arc::clone(target), sql.to_owned());
    let work = tokio::spawn(async move {
        let statements = [Statement { sql, line: 1 }];
        let counter = AtomicU64::new(0);
        let job = SqlJob { counter: Some(&counter), ..SqlJob::plain("large", &statements, true) };
        let outcome = target.run(&job, &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
        (outcome, counter.load(Ordering::Relaxed))
    });
    let mut kept = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        if let Chunk::Rows { rows, .. } = chunk {
            kept.extend(rows);
        }
    }
    match work.await {
        Ok((Outcome::Done { facts, .. }, counted)) => (*facts, kept, counted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn large_results_are_bounded() {
    let Some(cluster) = postgres::shared() else { return };
    let spec =
        TargetSpec { lock_timeout: Duration::from_secs(30), ..TargetSpec::new(Secret::Env("DATABASE_URL".to_owned())) };
    let target = Arc::new(Target::open("main", &spec, cluster.url("postgres").into(), "gonogo r1").await.unwrap());
    run(&target, "select 1").await;

    let before = peak();
    let (facts, rows, counted) = run(&target, "select g, 'row number ' || g from generate_series(1, 1000000) g").await;
    let grown = peak() - before;
    assert_eq!((facts.rows, facts.value, counted), (Some(1_000_000), Some(1.into()), 1_000_000));
    assert_eq!((rows.len() as u64, facts.table.len()), (limits::ROWS_KEPT, limits::TABLE_ROWS));
    println!("a million rows: the peak grew by {grown} KiB");
    assert!(grown < 32 * 1024, "{grown} KiB");

    let (facts, rows, _) = run(&target, "select repeat('x', 3000) from generate_series(1, 400)").await;
    let bytes: usize = rows.iter().flatten().flatten().map(String::len).sum();
    assert!(bytes <= limits::ROW_BYTES_KEPT, "{bytes}");
    assert_eq!(facts.rows, Some(400));

    let before = peak();
    let (facts, rows, _) = run(&target, "select repeat('ä', 50000000)").await;
    let grown = peak() - before;
    let cell = rows[0][0].clone().unwrap();
    assert!(cell.ends_with("… [cut: 100000000 bytes]") && cell.len() < limits::CELL_BYTES + 64);
    assert!(facts.value.unwrap().as_str().unwrap().len() < limits::FACT_BYTES + 64);
    // The driver holds the whole message, in a buffer that grows by doubling; nothing of it stays.
    println!("a cell of 100 MB: the peak grew by {grown} KiB");
    assert!(grown < 400 * 1024, "{grown} KiB");
}
