//! Work in batches: every row exactly once, whatever breaks in between.

use std::sync::Mutex;

use gonogo::run::event::{Attempt, Direction};
use gonogo::run::{BatchOrder, Batches, Tuning};
use gonogo::runbook::{Health, Sizing};
use gonogo::target::{BatchJob, Key, LedgerEntry};
use support::postgres::shared;
use support::sitter::Sitter;
use tokio::sync::watch;

use super::*;

/// `t (id bigint, n int)` with the keys 1 … `rows`, a ledger, and a target on it.
pub(super) async fn ready(cluster: &Cluster, rows: u32) -> (String, Target) {
    let db = cluster.create_db();
    cluster.psql(
        &db,
        &format!(
            "create table t (id bigint primary key, n int not null default 0); insert into t select generate_series(1, {rows})"
        ),
    );
    let target = open(cluster, &db).await;
    target.create_ledger("test").await.unwrap();
    (db, target)
}

pub(super) fn order(set: Option<&str>, filter: Option<&str>) -> BatchOrder {
    BatchOrder {
        table: "t".to_owned(),
        key: "id".to_owned(),
        set: set.map(str::to_owned),
        filter: filter.map(str::to_owned),
        size: Sizing::fixed(10),
        pause_ms: 0,
        throttle: None,
        health: Health::OFF,
        complete: None,
        repeatable: false,
        since: 1,
    }
}

pub(super) fn plus_one() -> BatchOrder {
    order(Some("n = n + 1"), None)
}

/// A walk, and whatever wants to look at it or end it.
#[derive(Default)]
pub(super) struct Walk {
    pub board: Mutex<Option<Batches>>,
    pub stop: CancellationToken,
    pub throttle: Option<watch::Receiver<Option<String>>>,
    pub tuning: Option<watch::Receiver<Tuning>>,
    pub timeout: Option<Duration>,
}

impl Walk {
    pub async fn run(&self, target: &Target, order: &BatchOrder) -> Ran {
        let attempt = Attempt { step: "fill".into(), direction: Direction::Forward, n: 1 };
        let entry = LedgerEntry { key: Key { run: "r1".to_owned(), attempt }, seq: 7, head: "c0ffee".to_owned() };
        let job = BatchJob {
            label: "fill",
            entry: &entry,
            order,
            timeout: self.timeout,
            throttle: self.throttle.as_ref(),
            tuning: self.tuning.as_ref(),
            key_masked: false,
            board: &self.board,
        };
        let (out, mut chunks) = mpsc::channel(8);
        let collect = async {
            let mut all = Vec::new();
            while let Some(chunk) = chunks.recv().await {
                all.push(chunk);
            }
            all
        };
        let work = async {
            let outcome = target.batch(&job, &out, &|_: &Facts| Ok(None), self.stop.clone()).await;
            drop(out);
            outcome
        };
        let (outcome, chunks) = tokio::join!(work, collect);
        Ran { chunks, outcome }
    }

    /// What is known of it, as soon as it is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Batches) -> bool) -> Batches {
        loop {
            if let Some(batches) = self.board.lock().unwrap().clone().filter(&wanted) {
                return batches;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn walk(target: &Target, order: &BatchOrder) -> Ran {
    Walk::default().run(target, order).await
}

pub(super) fn once(cluster: &Cluster, db: &str) -> String {
    cluster.psql(db, "select count(*) || ' ' || coalesce(min(n), -1) || ' ' || coalesce(max(n), -1) from t")
}

#[tokio::test]
async fn every_row_is_changed_once_over_gaps() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 95).await;
    cluster.psql(
        &db,
        "delete from t where id between 20 and 60; insert into t values (-5), (100000), (9223372036854775807)",
    );
    let ran = walk(&target, &plus_one()).await;
    let facts = ran.facts();
    assert_eq!((facts.affected, facts.batches, facts.value.clone()), (Some(57), Some(6), None));
    assert_eq!(once(cluster, &db), "57 1 1");
    assert_eq!(
        cluster.psql(&db, "select run, step, direction, n, batch, reached, high, rows from gonogo.checkpoint"),
        "r1|fill|forward|1|6|9223372036854775807|9223372036854775807|57"
    );
    // Once more: there is nothing left to do.
    assert_eq!(walk(&target, &plus_one()).await.facts().affected, Some(57));
    assert_eq!(once(cluster, &db), "57 1 1");
}

#[tokio::test]
async fn deletes_conditions_and_their_completeness() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 100).await;
    let odd = order(None, Some("id % 2 = 1 -- the odd ones"));
    let ran = walk(&target, &odd).await;
    assert_eq!((ran.facts().affected, ran.facts().value.clone()), (Some(50), Some(0.into())));
    assert_eq!(cluster.psql(&db, "select count(*), sum(id) from t"), "50|2550");
    let filled = BatchOrder { since: 2, ..order(Some("n = 5"), Some("n = 0")) };
    assert_eq!(walk(&target, &filled).await.facts().value, Some(0.into()));
    let again = BatchOrder { since: 3, ..order(Some("n = n + 1"), Some("n > 0")) };
    let ran = walk(&target, &again).await;
    let fault = ran.failed();
    assert!(fault.summary.contains("answers 50 instead of 0"), "{fault:?}");
    assert_eq!(cluster.psql(&db, "select min(n), max(n) from t"), "6|6");
    let asked = BatchOrder {
        since: 4,
        complete: Some("select count(*) filter (where n < 7) from t".to_owned()),
        ..again.clone()
    };
    assert_eq!(walk(&target, &asked).await.facts().value, Some(0.into()));
    let wrong = BatchOrder { since: 5, complete: Some("select 'x'".to_owned()), ..again.clone() };
    assert!(walk(&target, &wrong).await.failed().summary.contains("must answer a whole number"));
    let writes = BatchOrder { since: 6, complete: Some("delete from t returning 0".to_owned()), ..again };
    assert!(walk(&target, &writes).await.failed().summary.contains("read-only"));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "50");
}

#[tokio::test]
async fn keys_of_many_types() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 0).await;
    let kinds = [
        ("text collate \"C\"", "'k ''\\ü' || i"),
        ("varchar(20)", "'k' || i"),
        ("char(8)", "'k' || i"),
        ("uuid", "md5(i::text)::uuid"),
        ("smallint", "i - 50"),
        ("numeric", "i / 7.0"),
        ("double precision", "i / 7.0::float8"),
        ("timestamptz", "timestamptz '2024-03-31 00:30+01' + i * interval '1 minute 1 microsecond'"),
        ("date", "date '2024-01-01' + i"),
        ("bytea", "decode(md5(i::text), 'hex')"),
    ];
    for (n, (kind, value)) in kinds.iter().enumerate() {
        cluster.psql(
            &db,
            &format!(
                "create table \"T {n}\" (\"Key\" {kind} primary key, n int default 0); \
                 insert into \"T {n}\" select {value}, 0 from generate_series(1, 64) i; analyze"
            ),
        );
        let order = BatchOrder {
            table: format!("public.\"T {n}\""),
            key: "\"Key\"".to_owned(),
            since: n as u32 + 1,
            size: Sizing::fixed(9),
            ..plus_one()
        };
        let ran = walk(&target, &order).await;
        assert_eq!((ran.facts().affected, ran.facts().batches), (Some(64), Some(8)), "{kind}");
        assert_eq!(cluster.psql(&db, &format!("select count(*), min(n), max(n) from \"T {n}\"")), "64|1|1", "{kind}");
    }
}

#[tokio::test]
async fn empty_tables_and_what_cannot_be_walked() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 0).await;
    let ran = walk(&target, &order(None, None)).await;
    assert_eq!(
        (ran.facts().affected, ran.facts().batches, ran.facts().value.clone()),
        (Some(0), Some(0), Some(0.into()))
    );
    cluster.psql(
        &db,
        "create table two (a int, b int, primary key (a, b)); create table none (id int unique not null); create view v as select 1 as id",
    );
    let cases = [
        ("t", "n", "its primary key is id"),
        ("two", "a", "several columns"),
        ("none", "id", "no primary key"),
        ("v", "id", "not a table"),
        ("nothing", "id", "there is no table nothing"),
    ];
    for (table, key, words) in cases {
        let order = BatchOrder { table: table.to_owned(), key: key.to_owned(), ..plus_one() };
        let ran = walk(&target, &order).await;
        assert!(
            matches!(ran.outcome, Outcome::Broke { .. }) && ran.fault().summary.contains(words),
            "{:?}",
            ran.outcome
        );
    }
    // Values are bound and there is one statement: nothing slips out of it.
    for set in ["n = 1; drop table t", "n = no_such_column"] {
        cluster.psql(&db, "insert into t values (1) on conflict do nothing");
        let ran = walk(&target, &BatchOrder { since: 9, ..order(Some(set), None) }).await;
        assert!(ran.failed().safe.contains("no batch was committed"), "{:?}", ran.outcome);
    }
    assert_eq!(once(cluster, &db), "1 0 0");
}

#[tokio::test]
async fn what_is_born_behind_the_last_key_is_told_and_left() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 100).await;
    let (hold, throttle) = watch::channel(None);
    let held = Walk { throttle: Some(throttle), ..Walk::default() };
    let work = order(Some("n = 1"), Some("n = 0"));
    let meddle = async {
        held.until(|batches| batches.n >= 1).await;
        hold.send_replace(Some("connections > 80 (connections = 91)".to_owned()));
        let waits = held.until(|batches| batches.pausing.is_some()).await;
        assert!(waits.words().ends_with("throttled: connections > 80 (connections = 91)"), "{}", waits.words());
        cluster.psql(&db, "insert into t select generate_series(1001, 1007)");
        let n = held.board.lock().unwrap().as_ref().unwrap().n;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(held.board.lock().unwrap().as_ref().unwrap().n, n, "nothing begins while it is throttled");
        hold.send_replace(None);
    };
    let slow = BatchOrder { pause_ms: 20, ..work.clone() };
    let (ran, ()) = tokio::join!(held.run(&target, &slow), meddle);
    assert_eq!((ran.facts().affected, ran.facts().value.clone()), (Some(100), Some(0.into())));
    assert!(ran.facts().notices[0].starts_with("7 row(s) were born"), "{:?}", ran.facts().notices);
    assert_eq!(cluster.psql(&db, "select count(*) from t where n = 0"), "7");
    // A query of one's own sees them.
    let complete = Some("select count(*) from t where n = 0".to_owned());
    let ran = walk(&target, &BatchOrder { complete, ..work }).await;
    assert!(ran.failed().summary.contains("answers 7 instead of 0"), "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_the_same_checkpoint_do_each_row_once() {
    let Some(cluster) = shared() else { return };
    let (db, one) = ready(cluster, 400).await;
    let two = open(cluster, &db).await;
    let order = BatchOrder { size: Sizing::fixed(7), pause_ms: 1, ..plus_one() };
    let (first, second) = (Walk::default(), Walk::default());
    let (left, right) = tokio::join!(first.run(&one, &order), second.run(&two, &order));
    assert_eq!((left.facts().affected, right.facts().affected), (Some(400), Some(400)));
    assert_eq!(once(cluster, &db), "400 1 1");
}

#[tokio::test]
async fn lost_sessions_are_replaced() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 200).await;
    cluster.psql(
        &db,
        "create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.004); return new; end'; \
         create trigger slow before update on t for each row execute function slow()",
    );
    let walk = Walk::default();
    let order = plus_one();
    let kill = async {
        for n in [2, 5, 9] {
            walk.until(|batches| batches.n >= n).await;
            let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                       where datname = current_database() and application_name = 'gonogo r1 fill'";
            let (cluster_db, end) = (db.clone(), end.to_owned());
            let cluster: &'static Cluster = shared().unwrap();
            tokio::task::spawn_blocking(move || cluster.psql(&cluster_db, &end)).await.unwrap();
        }
    };
    let (ran, ()) = tokio::join!(walk.run(&target, &order), kill);
    assert_eq!((ran.facts().affected, ran.facts().batches), (Some(200), Some(20)));
    assert_eq!(once(cluster, &db), "200 1 1");
}

#[tokio::test]
async fn a_cancel_leaves_whole_batches_and_a_retry_goes_on() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 300).await;
    let first = Walk::default();
    let order = BatchOrder { pause_ms: 5, ..plus_one() };
    let cancel = async {
        first.until(|batches| batches.n >= 3).await;
        first.stop.cancel();
    };
    let (ran, ()) = tokio::join!(first.run(&target, &order), cancel);
    let fault = ran.failed().clone();
    assert_eq!(fault.summary, "cancelled");
    assert!(fault.safe.contains("A retry goes on from there"), "{fault:?}");
    let done: u32 = cluster.psql(&db, "select count(*) from t where n = 1").parse().unwrap();
    assert!((30..300).contains(&done) && done.is_multiple_of(10), "{done}");
    // A batch that waits for a lock is given a moment, then it is taken back.
    let sitter = Sitter::start(cluster, &db, &format!("update t set n = n where id = {}", done + 5));
    let stuck = Walk { timeout: Some(Duration::from_millis(300)), ..Walk::default() };
    let ran = stuck.run(&target, &order).await;
    assert!(ran.failed().summary.starts_with("timed out after"), "{:?}", ran.outcome);
    drop(sitter);
    let ran = walk(&target, &order).await;
    assert_eq!(ran.facts().affected, Some(300));
    assert_eq!(once(cluster, &db), "300 1 1");
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_split() {
    let Some(cluster) = shared() else { return };
    let (db, _) = ready(cluster, 40).await;
    cluster.psql(
        &db,
        "create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.1); return new; end'; \
         create trigger slow before update on t for each row execute function slow()",
    );
    // A batch of 40 takes four seconds, one of 5 half of one.
    let spec = TargetSpec { statement_timeout: Duration::from_millis(2_500), ..spec() };
    let url = SecretString::from(cluster.url(&db));
    let target = Target::open("main", &spec, url, "gonogo r1").await.unwrap();
    let ran = walk(&target, &BatchOrder { size: Sizing::fixed(40), ..plus_one() }).await;
    assert_eq!(ran.facts().affected, Some(40));
    assert!(ran.facts().batches.unwrap() >= 2, "{:?}", ran.outcome);
    assert_eq!(once(cluster, &db), "40 1 1");
}

#[tokio::test]
async fn rows_that_others_hold_are_tried_again() {
    let Some(cluster) = shared() else { return };
    let (db, _) = ready(cluster, 20).await;
    let spec = TargetSpec { lock_timeout: Duration::from_millis(100), lock_tries: 3, ..spec() };
    let target = Target::open("main", &spec, SecretString::from(cluster.url(&db)), "gonogo r1").await.unwrap();
    let sitter = Sitter::start(cluster, &db, "update t set n = n where id = 15");
    // Ten keys, then five in vain, then three, which keep clear of it.
    let ran = walk(&target, &plus_one()).await;
    assert_eq!(ran.failed().sqlstate.as_deref(), Some("55P03"));
    assert!(ran.fault().safe.contains("2 batches, 13 rows, up to key 13"), "{:?}", ran.outcome);
    drop(sitter);
    assert_eq!(walk(&target, &plus_one()).await.facts().affected, Some(20));
    assert_eq!(once(cluster, &db), "20 1 1");
}

#[tokio::test]
async fn without_a_ledger_only_what_may_be_repeated() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster
        .psql(&db, "create table t (id int primary key, n int default 0); insert into t select generate_series(1, 55)");
    let target = open(cluster, &db).await;
    let ran = walk(&target, &order(Some("n = n + 1"), Some("n = 0"))).await;
    assert!(
        matches!(ran.outcome, Outcome::Broke { .. }) && ran.fault().summary.contains("gonogo's ledger"),
        "{:?}",
        ran.outcome
    );
    assert!(ran.fault().hint.as_deref().unwrap().contains("ledger = \"create\""));
    let order = BatchOrder { repeatable: true, ..order(Some("n = n + 1"), Some("n = 0")) };
    assert_eq!(walk(&target, &order).await.facts().affected, Some(55));
    assert_eq!(walk(&target, &order).await.facts().affected, Some(0));
    assert_eq!(once(cluster, &db), "55 1 1");
}

#[tokio::test]
async fn the_size_follows_its_aim_and_the_journal_is_told_little() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 30_000).await;
    cluster.psql(&db, "analyze t");
    let size = Sizing { start: 20, min: 10, max: 4_000, aim_ms: Some(60_000) };
    let walk = Walk::default();
    let ran = walk.run(&target, &BatchOrder { size, ..plus_one() }).await;
    assert_eq!(ran.facts().affected, Some(30_000));
    assert!(ran.facts().batches.unwrap() < 40, "{:?}", ran.facts().batches);
    let chunks: Vec<&Batches> = ran
        .chunks
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::Batch(batches) => Some(&**batches),
            _ => None,
        })
        .collect();
    assert_eq!(
        (chunks[0].n, chunks[0].high.as_deref()),
        (0, Some("30000")),
        "the last key is journaled before the first"
    );
    assert!(chunks.windows(2).all(|two| two[1].ms >= two[0].ms + 1_000));
    let of = chunks[0].of.unwrap();
    assert!((27_000..33_000).contains(&of), "{of}");
}

#[tokio::test]
async fn a_checkpoint_in_use_is_waited_for() {
    let Some(cluster) = shared() else { return };
    let (db, target) = ready(cluster, 30).await;
    let first = Walk::default();
    first.stop.cancel();
    first.run(&target, &plus_one()).await.failed();
    // As a session would that its engine left behind.
    let sitter = Sitter::start(cluster, &db, "select from gonogo.checkpoint for update");
    let second = Walk::default();
    let order = plus_one();
    let let_go = async {
        let waits = second.until(|batches| batches.pausing.is_some()).await;
        assert_eq!((waits.n, waits.pausing.as_deref()), (0, Some("another session is at work on the same checkpoint")));
        drop(sitter);
    };
    let (ran, ()) = tokio::join!(second.run(&target, &order), let_go);
    assert_eq!(ran.facts().affected, Some(30));
    assert_eq!(once(cluster, &db), "30 1 1");
}

/// Committed, and the answer lost: the server waits for a standby that never comes, and its session is terminated.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_is_read_from_the_checkpoint() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let (db, target) = ready(cluster, 30).await;
    let held = Walk::default();
    let (hold, throttle) = watch::channel(Some("not yet".to_owned()));
    let held = Walk { throttle: Some(throttle), ..held };
    let order = plus_one();
    let lose = async {
        held.until(|batches| batches.pausing.is_some()).await;
        cluster.psql(&db, "alter system set synchronous_standby_names = 'nosuch'");
        cluster.psql(&db, "select pg_reload_conf()");
        hold.send_replace(None);
        let db = db.clone();
        let end = move || {
            let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.until(&db, waits, "1");
            let local = "set synchronous_commit = local;";
            cluster.psql(&db, "alter system reset synchronous_standby_names");
            // Its COMMIT is in the log already; only the answer never comes.
            let end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.psql(&db, &format!("{local} {end}; select pg_reload_conf()"));
        };
        tokio::task::spawn_blocking(end).await.unwrap();
    };
    let (ran, ()) = tokio::join!(held.run(&target, &order), lose);
    assert_eq!((ran.facts().affected, ran.facts().batches), (Some(30), Some(3)));
    assert_eq!(once(cluster, &db), "30 1 1");
}

/// Somebody waits behind a slow batch: it gives way, and goes on smaller.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_holds_others_up_gives_way() {
    let Some(cluster) = shared() else { return };
    let (db, _) = ready(cluster, 40).await;
    cluster.psql(
        &db,
        "create function slow() returns trigger language plpgsql as \
           'begin if new.n = old.n + 1 then perform pg_sleep(0.15); end if; return new; end'; \
         create trigger slow before update on t for each row execute function slow()",
    );
    let max_blocked = gonogo::runbook::MaxBlocked { sessions: 20, lasting: Duration::from_millis(400) };
    let spec = TargetSpec { max_blocked, ..spec() };
    let target = Target::open("main", &spec, SecretString::from(cluster.url(&db)), "gonogo r1").await.unwrap();
    let other = tokio::task::spawn_blocking({
        let db = db.clone();
        move || {
            let works =
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
            cluster.until(&db, works, "1");
            cluster.psql(&db, "update t set n = n + 100 where id = 1")
        }
    });
    let ran = walk(&target, &BatchOrder { size: Sizing::fixed(20), ..plus_one() }).await;
    other.await.unwrap();
    assert_eq!(ran.facts().affected, Some(40), "{:?}", ran.outcome);
    assert!(ran.facts().batches.unwrap() > 2, "it became smaller for a while: {:?}", ran.outcome);
    assert_eq!(cluster.psql(&db, "select n, count(*) from t group by n order by n"), "1|39\n101|1");
}
