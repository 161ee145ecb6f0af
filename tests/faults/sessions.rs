//! The server's side breaks: sessions terminated before, in and after COMMIT, the server restarted at once, a standby
//! promoted. Every verdict is compared with what the table holds.

use std::time::Duration;

use gonogo::target::Target;
use support::postgres::Cluster;

use super::attempt::{Journal, compare, database, key, open, run, verdict};
use super::chance::Chance;
use super::figures::Figures;
use super::times;

const TERMINATE: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                         where application_name = 'gonogo r1 m011' and backend_type = 'client backend'";

fn truth(cluster: &Cluster, db: &str, n: u32) -> bool {
    let there = format!("set synchronous_commit = local; select count(*) from t where n = {n}");
    cluster.psql(db, &there).ends_with('1')
}

/// Once with a ledger, once with the weaker proof.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_while_it_works() {
    let Some(cluster) = support::postgres::shared() else { return };
    let mut chance = Chance::new("terminated_while_it_works");
    let figures = Figures::new("sessions terminated before COMMIT");
    for ledger in [true, false] {
        let db = database(cluster, ledger).await;
        let target = open(cluster.url(&db)).await;
        for n in 0..times(5, 100) {
            let journal = Journal::default();
            let delay = Duration::from_millis(chance.below(45));
            let end = async {
                tokio::time::sleep(delay).await;
                cluster.psql(&db, TERMINATE);
            };
            let (outcome, ()) = tokio::join!(run(&target, n, 0.04, &journal), end);
            let said = verdict(&target, n, &journal, &outcome, &figures).await;
            compare(truth(cluster, &db, n), said, n, &outcome, &figures);
        }
    }
    figures.publish();
    assert_eq!((figures.get("wrong"), figures.get("left unknown")), (0, 0), "{figures:?}");
}

/// At a moment that lies before the COMMIT, in it, or after it: the whole attempt takes about as long.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_around_commit() {
    let Some(cluster) = support::postgres::shared() else { return };
    let mut chance = Chance::new("terminated_around_commit");
    let figures = Figures::new("sessions terminated around COMMIT and its answer");
    for ledger in [true, false] {
        let db = database(cluster, ledger).await;
        let target = open(cluster.url(&db)).await;
        // Sends its signal within microseconds: psql would take longer than the COMMIT.
        let terminator = open(cluster.url(&db)).await;
        for n in 0..times(5, 100) {
            let journal = Journal::default();
            let rings = journal.rings.clone();
            let (rung, delay) = (chance.once_in(2), Duration::from_micros(chance.below(9_000)));
            let end = async {
                match rung {
                    true => rings.notified().await,
                    false => tokio::time::sleep(delay).await,
                }
                let _ = terminator.ask(TERMINATE, Duration::from_secs(5)).await;
            };
            let (outcome, ()) = tokio::join!(run(&target, n, 0.0, &journal), end);
            let said = verdict(&target, n, &journal, &outcome, &figures).await;
            compare(truth(cluster, &db, n), said, n, &outcome, &figures);
        }
    }
    figures.publish();
    assert_eq!((figures.get("wrong"), figures.get("left unknown")), (0, 0), "{figures:?}");
}

/// The deterministic case: written and not confirmed, since a synchronous standby never comes.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_in_commit() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let figures = Figures::new("sessions terminated in COMMIT, waiting for a standby");
    for ledger in [true, false] {
        let db = database(cluster, ledger).await;
        let target = open(cluster.url(&db)).await;
        cluster.psql(&db, "alter system set synchronous_standby_names = 'nosuch'");
        cluster.psql(&db, "select pg_reload_conf()");
        for n in 0..times(3, 100) {
            let journal = Journal::default();
            let name = db.clone();
            let end = tokio::task::spawn_blocking(move || {
                let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
                cluster.until(&name, waits, "1");
                cluster.psql(&name, &format!("set synchronous_commit = local; {TERMINATE}"));
            });
            let outcome = run(&target, n, 0.0, &journal).await;
            end.await.unwrap();
            let said = verdict(&target, n, &journal, &outcome, &figures).await;
            compare(truth(cluster, &db, n), said, n, &outcome, &figures);
        }
        cluster.psql(&db, "alter system reset synchronous_standby_names");
        cluster.psql(&db, "select pg_reload_conf()");
    }
    figures.publish();
    assert_eq!((figures.get("wrong"), figures.get("left unknown")), (0, 0), "{figures:?}");
}

/// The server acknowledges without writing, as set up; it is stopped at once and started again.
#[tokio::test(flavor = "multi_thread")]
async fn restarted_at_once() {
    let lazy = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let Some(cluster) = Cluster::start(&lazy) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let mut chance = Chance::new("restarted_at_once");
    let figures = Figures::new("immediate restarts of a server with synchronous_commit = off");
    let db = database(cluster, true).await;
    cluster.psql(&db, "checkpoint");
    for n in 0..times(2, 100) {
        let target = open(cluster.url(&db)).await;
        let journal = Journal::default();
        let delay = Duration::from_millis(chance.below(60));
        let down = tokio::task::spawn_blocking(move || {
            std::thread::sleep(delay);
            cluster.restart("immediate");
        });
        let outcome = run(&target, n, 0.02, &journal).await;
        down.await.unwrap();
        let said = verdict(&open(cluster.url(&db)).await, n, &journal, &outcome, &figures).await;
        compare(truth(cluster, &db, n), said, n, &outcome, &figures);
    }
    figures.publish();
    assert_eq!((figures.get("wrong"), figures.get("left unknown")), (0, 0), "{figures:?}");
}

/// What the standby never got is named, all of it and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn failed_over() {
    let mut chance = Chance::new("failed_over");
    let figures = Figures::new("failovers to an asynchronous standby");
    for _ in 0..times(1, 20) {
        let Some(primary) = Cluster::start(&[]) else { return };
        let db = database(&primary, true).await;
        let target = open(primary.url(&db)).await;
        let Some(mut standby) = primary.standby() else { return };
        let kept = u32::try_from(chance.below(4)).unwrap();
        let all = kept + u32::try_from(chance.below(4)).unwrap();
        insert(&target, 0..kept).await;
        standby.until(&db, "select count(*) from t", &kept.to_string());
        primary.stop_sending();
        insert(&target, kept..all).await;
        primary.fail_over_to(&mut standby);
        let refused = run(&target, 90, 0.0, &Journal::default()).await;
        assert!(matches!(refused, gonogo::run::Outcome::Broke { .. }), "{refused:?}");
        let after = open(standby.url(&db)).await;
        let keys: Vec<_> = (0..all).map(key).collect();
        let lost = after.missing(&keys).await.unwrap();
        let held: u32 = standby.psql(&db, "select count(*) from t").parse().unwrap();
        figures.count("failovers");
        figures.add("attempts", u64::from(all));
        figures.add("lost by the server", u64::from(all - held));
        figures.add("named as lost", lost.len() as u64);
        if lost != (held..all).map(key).collect::<Vec<_>>() {
            figures.count("wrong");
        }
    }
    figures.publish();
    assert_eq!(figures.get("wrong"), 0, "{figures:?}");
}

async fn insert(target: &Target, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let outcome = run(target, n, 0.0, &Journal::default()).await;
        assert!(matches!(outcome, gonogo::run::Outcome::Done { .. }), "{outcome:?}");
    }
}
