//! The ledger: an attempt's row is written by its own transaction; whoever resolves the attempt competes for its key.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use gonogo::run::facts::Judged;
use gonogo::run::{Attempt, Chunk, Direction, Outcome};
use gonogo::target::{Key, LedgerEntry, LedgerState, Past, Resolution, Witness};
use support::postgres::shared;
use support::sitter::Sitter;
use tokio_util::sync::CancellationToken;

use super::*;

/// A journal that remembers what it was told, or refuses it.
#[derive(Default)]
struct Journal {
    told: Mutex<Vec<Chunk>>,
    full: bool,
}

impl Witness for Journal {
    fn witness(&self, chunk: Chunk) -> BoxFuture<'_, Result<(), String>> {
        self.told.lock().unwrap().push(chunk);
        let answer = if self.full { Err("no room left".to_owned()) } else { Ok(()) };
        Box::pin(async move { answer })
    }
}

impl Journal {
    fn judged(&self) -> Judged {
        match self.told.lock().unwrap().last() {
            Some(Chunk::Judged { xid, ledger, facts, verdict }) => {
                Judged { xid: xid.clone(), ledger: *ledger, facts: (**facts).clone(), verdict: verdict.clone() }
            }
            other => panic!("not told: {other:?}"),
        }
    }
}

fn entry(n: u32) -> LedgerEntry {
    let attempt = Attempt { step: "m011".into(), direction: Direction::Forward, n };
    LedgerEntry { key: Key { run: "r1".to_owned(), attempt }, seq: 7, head: "c0ffee".to_owned() }
}

async fn attempt(target: &Target, texts: &[&str], entry: &LedgerEntry, journal: &Journal) -> Ran {
    let statements = script(texts);
    let job = SqlJob { entry: Some(entry), witness: Some(journal), ..SqlJob::plain("m011", &statements, true) };
    run_judged(target, job, CancellationToken::new(), |_| Ok(None)).await
}

/// A database with a table and a ledger, opened.
async fn ready(cluster: &Cluster) -> (String, Target) {
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int)");
    let target = open(cluster, &db).await;
    target.create_ledger("staging").await.unwrap();
    (db, target)
}

const ROWS: &str = "select status, n, xid is not null, seq, head from gonogo.attempt order by n";

#[tokio::test]
async fn it_is_made_with_consent_and_taken_away() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    assert_eq!(target.ledger_state().await.unwrap(), LedgerState::Absent);
    target.create_ledger("staging").await.unwrap();
    target.create_ledger("production").await.unwrap();
    let ready = LedgerState::Ready { environment: Some("staging".to_owned()) };
    assert_eq!(target.ledger_state().await.unwrap(), ready, "one that is there stays");
    cluster.psql(&db, "update gonogo.about set version = 9");
    assert!(
        matches!(target.ledger_state().await.unwrap(), LedgerState::Unusable { why } if why.contains("version is 9"))
    );
    target.drop_ledger().await.unwrap();
    assert_eq!(target.ledger_state().await.unwrap(), LedgerState::Absent);
    cluster.psql(&db, "create schema gonogo");
    assert!(matches!(target.ledger_state().await.unwrap(), LedgerState::Unusable { .. }), "somebody else's schema");
}

#[tokio::test]
async fn an_attempt_proves_itself_and_the_journal_knows_first() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    let journal = Journal::default();
    let ran = attempt(&target, &["insert into t values (1) returning id"], &entry(1), &journal).await;
    assert_eq!(ran.facts().value, Some(1.into()));
    assert_eq!(cluster.psql(&db, ROWS), "done|1|t|7|c0ffee");
    let judged = journal.judged();
    assert!(judged.ledger);
    assert_eq!(judged.facts.value, Some(1.into()));
    let past = Past { judged: Some(judged), server: None };
    assert!(matches!(target.resolve(&entry(1).key, &past).await, Resolution::Done(_)));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "1");
}

#[tokio::test]
async fn a_journal_without_room_stops_the_commit() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    let journal = Journal { full: true, ..Journal::default() };
    let ran = attempt(&target, &["insert into t values (1)"], &entry(1), &journal).await;
    assert!(ran.fault().summary.contains("no room left"), "{:?}", ran.outcome);
    assert_eq!(cluster.psql(&db, "select (select count(*) from t), (select count(*) from gonogo.attempt)"), "0|0");
}

#[tokio::test]
async fn a_fenced_attempt_can_no_longer_commit() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    assert!(matches!(target.resolve(&entry(1).key, &Past::default()).await, Resolution::NotDone(_)));
    let ran = attempt(&target, &["insert into t values (1)"], &entry(1), &Journal::default()).await;
    assert!(ran.fault().summary.contains("closed already"), "{:?}", ran.outcome);
    assert!(matches!(target.resolve(&entry(1).key, &Past::default()).await, Resolution::NotDone(_)), "asked again");
    let ran = attempt(&target, &["insert into t values (1)"], &entry(2), &Journal::default()).await;
    assert!(matches!(ran.outcome, Outcome::Done { .. }));
    assert_eq!(cluster.psql(&db, "select status, n from gonogo.attempt order by n"), "fenced|1\ndone|2");
}

/// A transaction that nobody speaks for any more still holds its key: a plain look would say "not there".
#[tokio::test]
async fn a_zombie_is_waited_for_and_decides() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    let row = "insert into gonogo.attempt values ('r1', 'm011', 'forward', 1, 'done', 0, \
               pg_current_xact_id()::text, 7, 'c0ffee'); insert into t values (1)";
    let mut zombie = Sitter::start(cluster, &db, row);
    let past = Past {
        judged: Some(Judged { xid: Some("9".into()), ledger: true, facts: Facts::default(), verdict: None }),
        server: None,
    };
    let open = target.resolve(&entry(1).key, &past).await;
    assert!(matches!(&open, Resolution::Open(why) if why.contains("still holds its key")), "{open:?}");
    zombie.say("commit;");
    cluster.until(&db, "select count(*) from t", "1");
    let decided = target.resolve(&entry(1).key, &past).await;
    assert!(matches!(decided, Resolution::Done(_)), "{decided:?}");
    // Without the word of its COMMIT in the journal, a committed row means that another journal has it.
    let behind = target.resolve(&entry(1).key, &Past::default()).await;
    assert!(matches!(&behind, Resolution::Open(why) if why.contains("another copy")), "{behind:?}");
}

#[tokio::test]
async fn what_only_reads_writes_no_row_unless_it_wrote() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    let journal = Journal::default();
    attempt(&target, &["select count(*) from t"], &entry(1), &journal).await.facts();
    assert_eq!(cluster.psql(&db, ROWS), "");
    assert!(journal.told.lock().unwrap().is_empty(), "nothing to prove");
    cluster.psql(&db, "create function add() returns void language sql as 'insert into t values (1)'");
    attempt(&target, &["select add()"], &entry(2), &journal).await.facts();
    assert_eq!(cluster.psql(&db, ROWS), "done|2|t|7|c0ffee");
    let closed = Past { judged: None, server: None };
    target.resolve(&entry(3).key, &closed).await;
    let ran = attempt(&target, &["select add()"], &entry(3), &journal).await;
    assert!(ran.fault().summary.contains("closed already"), "{:?}", ran.outcome);
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "1");
}

#[tokio::test]
async fn scripts_may_set_their_transaction_and_their_role() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster).await;
    cluster.psql(&db, "create role plain; grant insert on t to plain");
    let script = ["set transaction isolation level serializable", "set local role plain", "insert into t values (1)"];
    attempt(&target, &script, &entry(1), &Journal::default()).await.facts();
    assert_eq!(cluster.psql(&db, ROWS), "done|1|t|7|c0ffee");
}

#[tokio::test]
async fn without_a_ledger_the_number_decides() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int)");
    let target = open(cluster, &db).await;
    let journal = Journal::default();
    attempt(&target, &["insert into t values (1)"], &entry(1), &journal).await.facts();
    let judged = journal.judged();
    assert!(!judged.ledger && judged.xid.is_some());
    let server = Some(target.fingerprint().await.unwrap());
    let past = Past { judged: Some(judged), server };
    assert!(matches!(target.resolve(&entry(1).key, &past).await, Resolution::Done(_)));
    let elsewhere = past.server.clone().map(|server| gonogo::run::event::Fingerprint { timeline: Some(9), ..server });
    let after = target.resolve(&entry(1).key, &Past { server: elsewhere, ..past }).await;
    assert!(matches!(&after, Resolution::Open(why) if why.contains("failover")), "{after:?}");
    assert!(matches!(target.resolve(&entry(2).key, &Past::default()).await, Resolution::NotDone(_)), "never sent");
}

/// Committed, and the answer lost: the server waits for a standby that never comes, and its session is terminated.
#[tokio::test]
async fn a_lost_commit_is_decided_by_its_row() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let (db, target) = ready(cluster).await;
    cluster.psql(&db, "alter system set synchronous_standby_names = 'nosuch'");
    cluster.psql(&db, "select pg_reload_conf()");
    let lose = tokio::task::spawn_blocking({
        let db = db.clone();
        move || {
            let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.until(&db, waits, "1");
            let local = "set synchronous_commit = local;";
            let end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.psql(&db, &format!("{local} {end}"));
        }
    });
    let entry = entry(1);
    let journal = Journal::default();
    let work = attempt(&target, &["insert into t values (1)"], &entry, &journal);
    let (ran, lost) = tokio::join!(work, lose);
    lost.unwrap();
    assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "1");
}

/// The standby that takes over never got the last row: the attempt is told as missing, and work there is refused.
#[tokio::test]
async fn a_failover_that_lost_a_row_is_seen() {
    let Some(primary) = Cluster::start(&[("synchronous_standby_names", "")]) else { return };
    let (db, target) = ready(&primary).await;
    attempt(&target, &["insert into t values (1)"], &entry(1), &Journal::default()).await.facts();
    let Some(mut standby) = primary.standby() else { return };
    standby.until(&db, "select count(*) from t", "1");
    primary.stop_sending();
    attempt(&target, &["insert into t values (2)"], &entry(2), &Journal::default()).await.facts();
    primary.fail_over_to(&mut standby);
    let late = attempt(&target, &["insert into t values (3)"], &entry(3), &Journal::default()).await;
    assert!(late.fault().summary.contains("another server answers"), "{:?}", late.outcome);
    assert_eq!(standby.psql(&db, "select count(*) from t"), "1");
    let after = open(&standby, &db).await;
    assert_ne!(after.fingerprint().await.unwrap().timeline, Some(1));
    assert_eq!(after.missing(&[entry(1).key, entry(2).key]).await.unwrap(), [entry(2).key]);
}
