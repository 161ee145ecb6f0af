//! The door to SQLite files: values, transactions, interrupts, locks, files that are none.

// To the lints, helpers of tests are not tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod ends;
mod ledger;
mod scripts;

use std::time::Duration;

use gonogo::run::event::Statement;
use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Facts, Fault, Outcome, Verdict, limits};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::{SqlJob, Target, TargetError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn spec() -> TargetSpec {
    TargetSpec {
        lock_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(60),
        ..TargetSpec::new(Secret::Plain("sqlite:x.db".to_owned()))
    }
}

async fn open_with(spec: &TargetSpec, url: String) -> Result<Target, TargetError> {
    Target::open("main", spec, url.into(), "gonogo r1").await
}

/// A fresh file, opened.
async fn fresh() -> (TempDir, Target) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("a b.db").display());
    let target = open_with(&spec(), url).await.unwrap();
    (dir, target)
}

async fn beside(dir: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.path().join("a b.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn count(dir: &TempDir, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(&mut beside(dir).await).await.unwrap().get(0)
}

struct Ran {
    chunks: Vec<Chunk>,
    outcome: Outcome,
}

impl Ran {
    fn facts(&self) -> &Facts {
        match &self.outcome {
            Outcome::Done { facts, .. } => facts,
            other => panic!("not done: {other:?}"),
        }
    }

    fn failed(&self) -> &Fault {
        match &self.outcome {
            Outcome::Failed { fault, .. } => fault,
            other => panic!("not failed: {other:?}"),
        }
    }

    fn rows(&self) -> Vec<Vec<Option<String>>> {
        let rows = |chunk: &Chunk| match chunk {
            Chunk::Rows { rows, .. } => rows.clone(),
            _ => Vec::new(),
        };
        self.chunks.iter().flat_map(rows).collect()
    }

    fn columns(&self) -> Option<(Vec<String>, Vec<String>)> {
        self.chunks.iter().find_map(|chunk| match chunk {
            Chunk::Columns { names, types, .. } => Some((names.clone(), types.clone())),
            _ => None,
        })
    }
}

struct How {
    transaction: bool,
    timeout: Option<Duration>,
    /// Cancelled once the statement of this number is on its way.
    cancel_at: Option<u32>,
    passes: Option<bool>,
}

fn plainly() -> How {
    How { transaction: true, timeout: None, cancel_at: None, passes: None }
}

async fn run(target: &Target, texts: &[&str], how: How) -> Ran {
    let statement = |sql: &&str| Statement { sql: (*sql).to_owned(), line: 1 };
    let statements: Vec<_> = texts.iter().map(statement).collect();
    let job = SqlJob { timeout: how.timeout, ..SqlJob::plain("step", &statements, how.transaction) };
    let (stop, passes) = (CancellationToken::new(), how.passes);
    let judge = move |_: &Facts| {
        Ok(passes.map(|passed| Verdict { expect: "rows == 1".to_owned(), passed, saw: "rows = 2".to_owned() }))
    };
    let (out, mut received) = mpsc::channel(8);
    let collect = async {
        let mut chunks = Vec::new();
        while let Some(chunk) = received.recv().await {
            if matches!(chunk, Chunk::Statement { n, .. } if how.cancel_at == Some(n)) {
                stop.cancel();
            }
            chunks.push(chunk);
        }
        chunks
    };
    let work = async {
        let outcome = target.run(&job, &out, &judge, stop.clone()).await;
        drop(out);
        outcome
    };
    let (outcome, chunks) = tokio::join!(work, collect);
    Ran { chunks, outcome }
}
