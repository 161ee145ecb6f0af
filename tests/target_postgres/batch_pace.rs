//! The pace of a walk in batches: what people change of it, what makes it wait by itself, what it says of the time to come.

use gonogo::run::{BatchOrder, Batches, Tuning};
use gonogo::runbook::{Health, Sizing};
use support::postgres::shared;
use support::sitter::Sitter;
use tokio::sync::watch;

use super::batch::{Walk, once, order, plus_one, ready};
use super::*;

fn notices(ran: &Ran) -> Vec<String> {
    let notice = |chunk: &Chunk| match chunk {
        Chunk::Notice { text, .. } => Some(text.clone()),
        _ => None,
    };
    ran.chunks.iter().filter_map(notice).collect()
}

fn told(ran: &Ran) -> Vec<&Batches> {
    let batches = |chunk: &'_ Chunk| matches!(chunk, Chunk::Batch(_));
    let all = ran.chunks.iter().filter(|chunk| batches(chunk));
    all.map(|chunk| match chunk {
        Chunk::Batch(batches) => &**batches,
        other => panic!("{other:?}"),
    })
    .collect()
}

#[tokio::test]
async fn another_pace_holds_from_the_next_batch_on() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 1_000).await;
    // It would rest for hours: the new pace ends the pause under way too.
    let slow = BatchOrder { pause_ms: 3_000_000, ..plus_one() };
    let now = Tuning { size: slow.size, pause_ms: slow.pause_ms };
    let (wish, tuning) = watch::channel(now);
    let walk = Walk { tuning: Some(tuning), ..Walk::default() };
    let retune = async {
        walk.until(|batches| batches.n == 1).await;
        wish.send_replace(now.typed("300", "1ms").unwrap());
        walk.until(|batches| batches.size == 300).await;
    };
    let (ran, ()) = tokio::join!(walk.run(&target, &slow), retune);
    assert_eq!((ran.facts().affected, ran.facts().batches), (Some(1_000), Some(5)), "10, then 300 each");
    assert_eq!(once(cluster, &db), "1000 1 1");
}

/// Until it waits, what it says; then `free` makes it well again.
async fn throttled(walk: &Walk, wanted: &str) -> String {
    let batches = walk.until(|batches| batches.pausing.as_ref().is_some_and(|why| why.contains(wanted))).await;
    assert!(batches.throttled && batches.left_ms.is_none(), "{batches:?}");
    batches.words()
}

fn healthy(health: Health) -> BatchOrder {
    BatchOrder { health, pause_ms: 30, ..plus_one() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_transaction_is_named_and_waited_for() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 300).await;
    let sitter = Sitter::start(cluster, &db, "select 1");
    // The walk looks once a second and may be over by then: its first look finds it.
    let old = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'sitter' \
               and xact_start < clock_timestamp() - interval '200 ms'";
    cluster.until(&db, old, "1");
    let walk = Walk::default();
    let order = healthy(Health { oldest_transaction_ms: Some(100), ..Health::OFF });
    let leaves = async {
        let words = throttled(&walk, "oldest transaction").await;
        assert!(words.contains(" · throttled: oldest transaction ") && words.contains(" > 100 ms (pid "), "{words}");
        assert!(words.contains("(postgres, sitter) idle in transaction"), "{words}");
        drop(sitter);
    };
    let (ran, ()) = tokio::join!(walk.run(&target, &order), leaves);
    assert_eq!(once(cluster, &db), "300 1 1");
    let notices = notices(&ran);
    assert!(notices[0].starts_with("THROTTLED: oldest transaction "), "{notices:?}");
    assert!(notices[1].starts_with("THROTTLED: goes on after "), "{notices:?}");
    assert_eq!(notices.len(), 2, "{notices:?}");
    let all = &ran.facts().notices;
    assert!(all.len() == 1 && all[0].starts_with("throttled once, "), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_wait_for_locks_are_counted() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 300).await;
    cluster.psql(&db, "create table other (id int)");
    let sitter = Sitter::start(cluster, &db, "lock table other");
    let waiter = tokio::task::spawn_blocking({
        let db = db.clone();
        move || cluster.psql(&db, "select count(*) from other")
    });
    let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                 where not granted and datname = current_database()";
    cluster.until(&db, waits, "1");
    let walk = Walk::default();
    let order = healthy(Health { lock_waiters: Some(0), ..Health::OFF });
    let leaves = async {
        let words = throttled(&walk, "lock waiters").await;
        assert!(words.ends_with("throttled: lock waiters 1 > 0"), "{words}");
        drop(sitter);
    };
    let (ran, ()) = tokio::join!(walk.run(&target, &order), leaves);
    waiter.await.unwrap();
    assert_eq!(ran.facts().affected, Some(300));
    assert_eq!(once(cluster, &db), "300 1 1");
}

/// The primary's own number stands still where a standby replays nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_falls_behind_is_named_and_waited_for() {
    let Some(primary) = Cluster::start(&[("wal_receiver_status_interval", "1")]) else { return };
    let Some(standby) = primary.standby() else { return };
    let (db, target) = ready(&primary, 2_000).await;
    standby.until("postgres", &format!("select count(*) from pg_database where datname = '{db}'"), "1");
    standby.psql("postgres", "select pg_wal_replay_pause()");
    let walk = Walk::default();
    let order = healthy(Health { lag_ms: Some(1_500), ..Health::OFF });
    let goes_on = async {
        let words = throttled(&walk, "replication lag").await;
        assert!(words.contains(" > 1.5 s (standby walreceiver)"), "{words}");
        standby.psql("postgres", "select pg_wal_replay_resume()");
        walk.until(|batches| batches.pausing.is_none()).await;
        walk.stop.cancel();
    };
    let (ran, ()) = tokio::join!(walk.run(&target, &order), goes_on);
    assert_eq!(ran.failed().summary, "cancelled");
    let left = primary.psql(&db, "select count(*) filter (where n = 0) > 0, max(n) from t");
    assert_eq!(left, "t|1");
}

/// A role that may not look into the sessions of others: it is said once, and nothing waits for what nobody sees.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_see_is_said_once() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(
        &db,
        &format!(
            "create role plain_{db} login; grant create on database {db} to plain_{db}; set role plain_{db}; \
             create schema s; create table s.t (id bigint primary key, n int not null default 0); \
             insert into s.t select generate_series(1, 100); reset role"
        ),
    );
    let _sitter = Sitter::start(cluster, &db, "select 1");
    let url = cluster.url(&db).replace("postgres@", &format!("plain_{db}@"));
    let target = Target::open("main", &spec(), SecretString::from(url), "gonogo r1").await.unwrap();
    target.create_ledger("test").await.unwrap();
    let order = BatchOrder { table: "s.t".to_owned(), ..healthy(Health::default()) };
    let order = BatchOrder { health: Health { oldest_transaction_ms: Some(1), ..order.health }, ..order };
    let ran = Walk::default().run(&target, &order).await;
    assert_eq!(ran.facts().affected, Some(100));
    let notices = notices(&ran);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0]
            .starts_with("HEALTH: oldest transaction cannot be read fully and counts as fine: of 1 session this role")
            && notices[0].contains("pg_read_all_stats"),
        "{notices:?}"
    );
}

/// Nobody ever analyzed it, and it is taken up in the middle: what is said of it is right all the same.
#[tokio::test]
async fn what_lies_before_it_is_right_without_statistics_and_after_a_resume() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 0).await;
    cluster.psql(
        &db,
        "alter table t set (autovacuum_enabled = off); insert into t select generate_series(1, 4000); \
         create function slow() returns boolean language plpgsql volatile as \
           $$begin if current_setting('transaction_read_only') = 'on' then perform pg_sleep(2); end if; return true; end$$",
    );
    assert_eq!(cluster.psql(&db, "select reltuples from pg_class where oid = 't'::regclass"), "-1");
    let half = Walk::default();
    let work = BatchOrder { size: Sizing::fixed(100), pause_ms: 2, ..order(Some("n = 1"), Some("n = 0")) };
    let stop = async {
        half.until(|batches| batches.n >= 20).await;
        half.stop.cancel();
    };
    let (ran, ()) = tokio::join!(half.run(&target, &work), stop);
    assert_eq!((told(&ran)[0].of, told(&ran)[0].permille), (Some(4_000), Some(0)));
    let done: u64 = cluster.psql(&db, "select count(*) from t where n = 1").parse().unwrap();
    // Counted.
    let again = Walk::default();
    let stop = async {
        again.until(|batches| batches.n > done / 100).await;
        again.stop.cancel();
    };
    let (ran, ()) = tokio::join!(again.run(&target, &work), stop);
    let first = told(&ran)[0];
    assert_eq!((first.of, first.permille), (Some(4_000), Some((done / 4) as u16)), "{first:?}");
    assert_eq!(first.rows, done);
    // Too slow to be counted: told from the ends of the key; how many rows it will be is left unsaid.
    let done: u64 = cluster.psql(&db, "select count(*) from t where n = 1").parse().unwrap();
    let slow = BatchOrder {
        filter: Some("n = 0 and slow()".to_owned()),
        complete: Some("select count(*) from t where n = 0".to_owned()),
        ..work
    };
    let ran = Walk::default().run(&target, &slow).await;
    let first = told(&ran)[0];
    let share = u64::from(first.permille.unwrap());
    assert!(first.of.is_none() && (done / 4).abs_diff(share) <= 20, "{done} {first:?}");
    assert_eq!(ran.facts().affected, Some(4_000));
    assert_eq!(once(cluster, &db), "4000 1 1");
}
