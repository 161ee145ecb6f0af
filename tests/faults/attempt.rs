//! One attempt at the door of PostgreSQL, and the truth about it: does its verdict fit what the table holds?

use std::sync::Arc;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use gonogo::run::event::Statement;
use gonogo::run::facts::Judged;
use gonogo::run::{Attempt, Chunk, Direction, Facts, Outcome};
use gonogo::runbook::{Secret, TargetSpec};
use gonogo::target::{Key, LedgerEntry, Past, Resolution, SqlJob, Target, Witness};
use support::postgres::Cluster;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::figures::Figures;

/// A journal that remembers what it was told, and rings when it is told.
#[derive(Default)]
pub struct Journal {
    judged: Mutex<Option<Judged>>,
    pub rings: Arc<Notify>,
}

impl Witness for Journal {
    fn witness(&self, chunk: Chunk) -> BoxFuture<'_, Result<(), String>> {
        if let Chunk::Judged { xid, ledger, facts, verdict } = chunk {
            *self.judged.lock().unwrap() = Some(Judged { xid, ledger, facts: *facts, verdict });
        }
        self.rings.notify_one();
        Box::pin(async { Ok(()) })
    }
}

pub async fn open(url: String) -> Target {
    let spec = TargetSpec { lock_tries: 1, ..TargetSpec::new(Secret::Env("DB".to_owned())) };
    Target::open("main", &spec, url.into(), "gonogo r1").await.unwrap()
}

/// A database with a table `t`, with or without a ledger.
pub async fn database(cluster: &Cluster, ledger: bool) -> String {
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (n int)");
    if ledger {
        open(cluster.url(&db)).await.create_ledger("test").await.unwrap();
    }
    db
}

pub fn key(n: u32) -> Key {
    Key { run: "r1".to_owned(), attempt: Attempt { step: "m011".into(), direction: Direction::Forward, n } }
}

/// Runs `insert into t values (n)` and a pause, as attempt `n`.
pub async fn run(target: &Target, n: u32, pause: f64, journal: &Journal) -> Outcome {
    let texts = [format!("insert into t values ({n})"), format!("select pg_sleep({pause})")];
    let statements = texts.map(|sql| Statement { sql, line: 1 });
    let entry = LedgerEntry { key: key(n), seq: 1, head: "c0ffee".to_owned() };
    let job = SqlJob { entry: Some(&entry), witness: Some(journal), ..SqlJob::plain("m011", &statements, true) };
    let (out, mut chunks) = mpsc::channel(64);
    let drain = tokio::spawn(async move { while chunks.recv().await.is_some() {} });
    let outcome = target.run(&job, &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
    drop(out);
    drain.await.unwrap();
    outcome
}

/// What the attempt is said to have done, resolved where it was unknown. `resolver`: a way to the server that works.
pub async fn verdict(
    resolver: &Target,
    n: u32,
    journal: &Journal,
    outcome: &Outcome,
    figures: &Figures,
) -> Option<bool> {
    match outcome {
        Outcome::Done { .. } => Some(true),
        Outcome::Failed { .. } | Outcome::Broke { .. } => Some(false),
        Outcome::Unknown { .. } => {
            figures.count("unknown at first");
            let server = Some(resolver.fingerprint().await.unwrap());
            let past = Past { judged: journal.judged.lock().unwrap().clone(), server };
            for _ in 0..10 {
                match resolver.resolve(&key(n), &past).await {
                    Resolution::Done(_) => return Some(true),
                    Resolution::NotDone(_) => return Some(false),
                    Resolution::Open(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                }
            }
            None
        }
    }
}

/// Compares a verdict with the table.
pub fn compare(truth: bool, verdict: Option<bool>, n: u32, outcome: &Outcome, figures: &Figures) {
    figures.count("attempts");
    figures.count(match (truth, verdict) {
        (true, Some(true)) => "done, and said so",
        (false, Some(false)) => "not done, and said so",
        (_, None) => "left unknown",
        (true, Some(false)) => "WRONG: done, said not done",
        (false, Some(true)) => "WRONG: not done, said done",
    });
    if verdict.is_some_and(|verdict| verdict != truth) {
        figures.count("wrong");
        println!("attempt {n}: {outcome:?}");
    }
}
