//! COMMIT: refused, lost, answered with a lie. Each of these servers is the test's own.

use gonogo::run::Outcome;
use gonogo::run::facts::Effect;
use support::postgres::shared;
use tokio_util::sync::CancellationToken;

use super::proxy::{self, Fails};
use super::*;

#[tokio::test]
async fn a_deferred_constraint_fails_in_commit() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int unique deferrable initially deferred)");
    let target = open(cluster, &db).await;
    let ran = run(&target, &["insert into t values (1), (1)"]).await;
    let fault = ran.failed();
    assert!(fault.summary.starts_with("COMMIT refused: ERROR: duplicate key value"), "{}", fault.summary);
    assert_eq!((fault.sqlstate.as_deref(), fault.statement, fault.effect), (Some("23505"), None, Effect::None));
    assert_eq!(fault.safe, "the transaction was rolled back, nothing changed");
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "0");
}

/// The deterministic lost COMMIT: the server has written it and waits for a standby that never comes; then its
/// session is terminated.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_decided() {
    let Some(cluster) = Cluster::start(&[("synchronous_standby_names", "nosuch")]) else {
        return;
    };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let psql = |sql: &str| cluster.psql("postgres", &format!("set synchronous_commit = local; {sql}"));
    let target = open(cluster, "postgres").await;
    psql("create table t (id int)");
    let statements = script(&["insert into t values (1)", "select 7"]);
    let lose = async {
        tokio::task::spawn_blocking(move || {
            let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.until("postgres", waits, "1");
        })
        .await
        .unwrap();
        let waiting = target.waiting("sync").await;
        psql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'");
        waiting
    };
    let work = run_judged(&target, job("sync", &statements, true), CancellationToken::new(), |_| verdict(true));
    let (ran, waiting) = tokio::join!(work, lose);
    assert_eq!(waiting.as_deref(), Some("commit: a synchronous standby has not confirmed yet"));
    assert_eq!(ran.facts().value, Some(7.into()));
    assert_eq!(psql("select count(*) from t").lines().last(), Some("1"));
}

#[tokio::test]
async fn a_cancel_in_commit_does_not_hide_that_it_happened() {
    let Some(cluster) = Cluster::start(&[("synchronous_standby_names", "nosuch")]) else {
        return;
    };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let target = open(cluster, "postgres").await;
    let statements = script(&["create table t (id int)"]);
    let stop = CancellationToken::new();
    let cancel = async {
        tokio::task::spawn_blocking(move || {
            let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
            cluster.until("postgres", waits, "1");
        })
        .await
        .unwrap();
        stop.cancel();
    };
    let work = run_judged(&target, job("sync", &statements, true), stop.clone(), |_| Ok(None));
    let (ran, ()) = tokio::join!(work, cancel);
    let notices = &ran.facts().notices;
    assert!(notices.iter().any(|text| text.contains("canceling wait for synchronous replication")), "{notices:?}");
    assert_eq!(cluster.psql("postgres", "select count(*) from t"), "0");
}

#[tokio::test]
async fn a_server_that_goes_down_before_commit() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    cluster.psql("postgres", "create table t (id int)");
    let target = open(cluster, "postgres").await;
    for mode in ["immediate", "fast"] {
        let statements = script(&["insert into t values (1)", "select pg_sleep(3600)"]);
        let down = async {
            tokio::task::spawn_blocking(move || {
                cluster.until("postgres", "select count(*) from pg_stat_activity where wait_event = 'PgSleep'", "1");
                cluster.restart(mode);
            })
            .await
            .unwrap();
        };
        let work = run_judged(&target, job("down", &statements, true), CancellationToken::new(), |_| Ok(None));
        let (ran, ()) = tokio::join!(work, down);
        assert_eq!(ran.failed().effect, Effect::None);
        assert!(ran.failed().safe.starts_with("COMMIT was never sent"), "{:?}", ran.failed());
        // The control connection came back by itself.
        assert_eq!(target.fingerprint().await.unwrap().kind, "postgresql");
        assert_eq!(run(&target, &["select count(*) from t"]).await.facts().value, Some(0.into()));
    }
    cluster.down("fast");
    let ran = run(&target, &["select 1"]).await;
    assert!(matches!(ran.outcome, Outcome::Broke { .. }), "{:?}", ran.outcome);
    assert!(ran.fault().summary.starts_with("cannot connect to main (127.0.0.1:"), "{:?}", ran.fault());
    assert!(target.fingerprint().await.is_err() && target.look("down").await.is_err());
    assert!(target.ask("select 1", Duration::from_secs(5)).await.is_err());
    cluster.up();
    assert_eq!(target.ask("select 1", Duration::from_secs(30)).await, Ok("1".to_owned()));
    assert_eq!(run(&target, &["select 1"]).await.facts().value, Some(1.into()));
}

/// A target that is reached over a failing network, and a table `t` in its database.
async fn over(cluster: &Cluster, fails: Fails) -> (Target, String) {
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int)");
    let port = proxy::start(cluster.port(), fails).await;
    let url = cluster.url(&db).replace(&cluster.port().to_string(), &port.to_string());
    (open_url(url + "?sslmode=disable").await.unwrap(), db)
}

#[tokio::test]
async fn a_commit_that_never_arrived() {
    let Some(cluster) = shared() else { return };
    let (target, db) = over(cluster, Fails::Before).await;
    let ran = run(&target, &["insert into t values (1)"]).await;
    let fault = ran.failed();
    assert!(fault.summary.starts_with("COMMIT refused: lost in COMMIT, and taken back"), "{}", fault.summary);
    assert_eq!((fault.effect, fault.safe.as_str()), (Effect::None, "the transaction was rolled back, nothing changed"));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "0");

    let ran = run(&target, &["select count(*) from t"]).await;
    assert!(matches!(ran.outcome, Outcome::Broke { .. }), "{:?}", ran.outcome);
    assert!(ran.fault().safe.contains("had written nothing"), "{:?}", ran.fault());
}

#[tokio::test]
async fn a_commit_whose_answer_never_arrived() {
    let Some(cluster) = shared() else { return };
    let (target, db) = over(cluster, Fails::After).await;
    let ran = run(&target, &["insert into t values (1)", "select 7"]).await;
    assert_eq!(ran.facts().value, Some(7.into()));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "1");
}

#[tokio::test]
async fn a_commit_that_the_server_answers_with_rollback() {
    let Some(cluster) = shared() else { return };
    let (target, db) = over(cluster, Fails::Turned).await;
    let ran = run(&target, &["insert into t values (1)"]).await;
    assert_eq!(ran.failed().summary, "COMMIT refused: the server answered COMMIT with ROLLBACK");
    assert_eq!(ran.failed().effect, Effect::None);
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "0");
}

/// Nobody hangs up and nobody answers: a cancel must come to an end all the same, with what is certain.
#[tokio::test]
async fn a_frozen_network() {
    let Some(cluster) = shared() else { return };
    let before = async {
        let (target, db) = over(cluster, Fails::Frozen("freeze here")).await;
        let statements = script(&["insert into t values (1)", "select 1 /* freeze here */"]);
        let stop = CancellationToken::new();
        stop_when_sent(&db, cluster, &stop, "%freeze here%");
        let ran = run_judged(&target, job("frozen", &statements, true), stop, |_| Ok(None)).await;
        assert_eq!((ran.failed().summary.as_str(), ran.failed().effect), ("cancelled", Effect::None));
        assert!(ran.failed().safe.starts_with("COMMIT was never sent"), "{}", ran.failed().safe);
        cluster.until(&db, "select count(*) from pg_stat_activity where application_name = 'gonogo r1 frozen'", "0");
        assert_eq!(cluster.psql(&db, "select count(*) from t"), "0");
    };
    let within = async {
        let (target, db) = over(cluster, Fails::Frozen("Q\0\0\0\u{b}commit\0")).await;
        let statements = script(&["insert into t values (1)", "select 7"]);
        let stop = CancellationToken::new();
        stop_when_sent(&db, cluster, &stop, "commit");
        let ran = run_judged(&target, job("frozen", &statements, true), stop, |_| Ok(None)).await;
        assert_eq!(ran.facts().value, Some(7.into()));
        assert_eq!(cluster.psql(&db, "select count(*) from t"), "1");
    };
    let direct = async {
        let (target, db) = over(cluster, Fails::Frozen("freeze here")).await;
        let statements = script(&["insert into t values (1) /* freeze here */"]);
        let stop = CancellationToken::new();
        stop_when_sent(&db, cluster, &stop, "%freeze here%");
        let ran = run_judged(&target, job("frozen", &statements, false), stop, |_| Ok(None)).await;
        let Outcome::Unknown { known } = &ran.outcome else { panic!("{:?}", ran.outcome) };
        assert!(known.contains("statement 1 of 1"), "{known}");
    };
    tokio::join!(before, within, direct);
}

/// Cancels once the server has got the attempt's statement that is `like`. A bare "commit" is only COMMIT: BEGIN names
/// its level as "read committed".
fn stop_when_sent(db: &str, cluster: &'static Cluster, stop: &CancellationToken, like: &str) {
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name = 'gonogo r1 frozen' \
         and datname = current_database() and query like '{like}'"
    );
    let (db, stop) = (db.to_owned(), stop.clone());
    tokio::task::spawn_blocking(move || {
        cluster.until(&db, &sql, "1");
        stop.cancel();
    });
}
