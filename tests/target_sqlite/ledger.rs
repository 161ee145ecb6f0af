//! The ledger in a file: an attempt's row is written by its own transaction; whoever resolves it competes for its key.

use futures_util::future::BoxFuture;
use gonogo::run::facts::Judged;
use gonogo::run::{Attempt, Direction};
use gonogo::target::{Key, LedgerEntry, LedgerState, Past, Resolution, Witness};

use super::*;

/// A journal that takes everything.
struct Journal;

impl Witness for Journal {
    fn witness(&self, _: Chunk) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

fn entry(n: u32) -> LedgerEntry {
    let attempt = Attempt { step: "m011".into(), direction: Direction::Forward, n };
    LedgerEntry { key: Key { run: "r1".to_owned(), attempt }, seq: 7, head: "c0ffee".to_owned() }
}

async fn attempt(target: &Target, sql: &str, entry: &LedgerEntry) -> Outcome {
    let statements = [Statement { sql: sql.to_owned(), line: 1 }];
    let job = SqlJob { entry: Some(entry), witness: Some(&Journal), ..SqlJob::plain("m011", &statements, true) };
    let (out, mut received) = mpsc::channel(64);
    let drain = tokio::spawn(async move { while received.recv().await.is_some() {} });
    let outcome = target.run(&job, &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
    drop(out);
    drain.await.unwrap();
    outcome
}

fn judged(ledger: bool) -> Past {
    Past { judged: Some(Judged { xid: None, ledger, facts: Facts::default(), verdict: None }), server: None }
}

#[tokio::test]
async fn rows_prove_and_fences_close() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("x.db").display());
    let target = Target::open("main", &spec(), url.into(), "gonogo r1").await.unwrap();
    assert_eq!(target.ledger_state().await.unwrap(), LedgerState::Absent);
    // Without a ledger a COMMIT that was sent stays a question, one that was not is none.
    assert!(matches!(target.resolve(&entry(1).key, &judged(false)).await, Resolution::Open(_)));
    assert!(matches!(target.resolve(&entry(1).key, &Past::default()).await, Resolution::NotDone(_)));
    target.create_ledger("demo").await.unwrap();
    let ready = LedgerState::Ready { environment: Some("demo".to_owned()) };
    assert_eq!(target.ledger_state().await.unwrap(), ready);
    assert!(matches!(attempt(&target, "create table t (id int)", &entry(1)).await, Outcome::Done { .. }));
    assert!(matches!(target.resolve(&entry(1).key, &judged(true)).await, Resolution::Done(_)));
    assert!(matches!(target.resolve(&entry(2).key, &judged(true)).await, Resolution::NotDone(_)));
    let late = attempt(&target, "insert into t values (1)", &entry(2)).await;
    assert!(matches!(&late, Outcome::Failed { fault, .. } if fault.summary.contains("closed already")), "{late:?}");
    assert_eq!(target.ask("select count(*) from t", Duration::from_secs(5)).await.unwrap(), "0");
    assert_eq!(target.missing(&[entry(1).key, entry(2).key]).await.unwrap(), [entry(2).key]);
    target.drop_ledger().await.unwrap();
    assert_eq!(target.ledger_state().await.unwrap(), LedgerState::Absent);
}
