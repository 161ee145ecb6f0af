//! The door to PostgreSQL, against a real server: values, errors, transactions, cancels, lost connections.

// To the lints, helpers of tests are not tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod batch;
mod batch_pace;
mod commits;
mod commits_held_up;
mod direct;
mod ends;
mod guard;
mod inventory;
mod ledger;
mod locks;
mod proxy;
mod scripts;
mod sessions;
mod side;
mod tls;
mod values;

use std::time::Duration;

use gonogo::run::event::Statement;
use gonogo::run::{Chunk, Facts, Fault, Outcome, Verdict};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::{SqlJob, Target, TargetError};
use secrecy::SecretString;
use support::postgres::Cluster;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn spec() -> TargetSpec {
    TargetSpec {
        lock_timeout: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(120),
        ..TargetSpec::new(Secret::Env("DATABASE_URL".to_owned()))
    }
}

async fn open_url(url: String) -> Result<Target, TargetError> {
    Target::open("main", &spec(), SecretString::from(url), "gonogo r1").await
}

async fn open(cluster: &Cluster, db: &str) -> Target {
    open_url(cluster.url(db)).await.unwrap()
}

fn script(texts: &[&str]) -> Vec<Statement> {
    let statement = |sql: &&str| Statement { sql: (*sql).to_owned(), line: 1 };
    texts.iter().map(statement).collect()
}

/// What an attempt brought: every chunk, and the outcome.
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

    fn fault(&self) -> &Fault {
        match &self.outcome {
            Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault,
            other => panic!("not failed: {other:?}"),
        }
    }

    fn failed(&self) -> &Fault {
        assert!(matches!(self.outcome, Outcome::Failed { .. }), "{:?}", self.outcome);
        self.fault()
    }

    fn rows(&self) -> Vec<Vec<Option<String>>> {
        let rows = |chunk: &Chunk| match chunk {
            Chunk::Rows { rows, .. } => rows.clone(),
            _ => Vec::new(),
        };
        self.chunks.iter().flat_map(rows).collect()
    }

    fn columns(&self) -> (Vec<String>, Vec<String>) {
        let columns = |chunk: &Chunk| match chunk {
            Chunk::Columns { names, types, .. } => Some((names.clone(), types.clone())),
            _ => None,
        };
        self.chunks.iter().find_map(columns).unwrap()
    }
}

/// A condition on the server, asked until it holds.
async fn until(cluster: &'static Cluster, db: &str, sql: &str, wanted: &str) {
    let (db, sql, wanted) = (db.to_owned(), sql.to_owned(), wanted.to_owned());
    tokio::task::spawn_blocking(move || cluster.until(&db, &sql, &wanted)).await.unwrap();
}

type Judgement = Result<Option<Verdict>, Fault>;

async fn run_judged(
    target: &Target,
    job: SqlJob<'_>,
    stop: CancellationToken,
    judge: impl Fn(&Facts) -> Judgement + Send + Sync + 'static,
) -> Ran {
    run_heard(target, job, stop, judge, async |_: &Chunk| ()).await
}

/// The same; `hear` gets every chunk as it comes.
async fn run_heard(
    target: &Target,
    job: SqlJob<'_>,
    stop: CancellationToken,
    judge: impl Fn(&Facts) -> Judgement + Send + Sync + 'static,
    mut hear: impl AsyncFnMut(&Chunk),
) -> Ran {
    let (out, mut chunks) = mpsc::channel(8);
    let collect = async {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            hear(&chunk).await;
            all.push(chunk);
        }
        all
    };
    let work = async {
        let outcome = target.run(&job, &out, &judge, stop).await;
        drop(out);
        outcome
    };
    let (outcome, chunks) = tokio::join!(work, collect);
    Ran { chunks, outcome }
}

fn job<'a>(label: &'a str, statements: &'a [Statement], transaction: bool) -> SqlJob<'a> {
    SqlJob::plain(label, statements, transaction)
}

async fn run(target: &Target, texts: &[&str]) -> Ran {
    let statements = script(texts);
    run_judged(target, job("step", &statements, true), CancellationToken::new(), |_| Ok(None)).await
}

async fn run_direct(target: &Target, texts: &[&str]) -> Ran {
    let statements = script(texts);
    run_judged(target, job("step", &statements, false), CancellationToken::new(), |_| Ok(None)).await
}

fn verdict(passed: bool) -> Judgement {
    Ok(Some(Verdict { expect: "value == 1".to_owned(), passed, saw: "value = 2".to_owned() }))
}
