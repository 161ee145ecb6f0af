//! Attempts that end before their time: cancel, limits, locks, terminated sessions.

use gonogo::run::Outcome;
use gonogo::run::facts::Effect;
use support::postgres::shared;
use tokio_util::sync::CancellationToken;

use super::*;

fn active(label: &str) -> String {
    format!("select count(*) from pg_stat_activity where application_name = 'gonogo r1 {label}' and state = 'active'")
}

fn sessions(label: &str) -> String {
    format!("select count(*) from pg_stat_activity where application_name = 'gonogo r1 {label}'")
}

#[tokio::test]
async fn a_cancel_reaches_the_server() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let statements = script(&["create table t (id int)", "select pg_sleep(3600)"]);
    let stop = CancellationToken::new();
    let cancel = async {
        until(cluster, &db, &format!("{} and query like '%sleep%'", active("cancel")), "1").await;
        stop.cancel();
    };
    let (ran, ()) =
        tokio::join!(run_judged(&target, job("cancel", &statements, true), stop.clone(), |_| Ok(None)), cancel);
    let fault = ran.failed();
    assert_eq!(fault.summary, "cancelled");
    assert_eq!((fault.sqlstate.as_deref(), fault.statement, fault.effect), (Some("57014"), Some(2), Effect::None));
    assert_eq!(fault.safe, "the transaction was rolled back, nothing changed");
    assert_eq!(fault.detail.as_deref(), Some("ERROR: canceling statement due to user request (57014)"));
    until(cluster, &db, &sessions("cancel"), "0").await;
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");
}

#[tokio::test]
async fn a_cancel_before_the_start_sends_nothing() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let statements = script(&["create table t (id int)"]);
    let ran = run_judged(&target, job("early", &statements, true), stop, |_| Ok(None)).await;
    assert_eq!((ran.failed().summary.as_str(), ran.failed().effect), ("cancelled", Effect::None));
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");
}

#[tokio::test]
async fn a_time_limit_of_the_step() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    let statements = script(&["select pg_sleep(3600)"]);
    let limited = SqlJob { timeout: Some(Duration::from_millis(700)), ..job("limit", &statements, true) };
    let ran = run_judged(&target, limited, CancellationToken::new(), |_| Ok(None)).await;
    assert_eq!(ran.failed().summary, "timed out after 700ms");
    assert_eq!(ran.failed().effect, Effect::None);
}

#[tokio::test]
async fn a_statement_timeout_is_not_a_cancel() {
    let Some(cluster) = shared() else { return };
    let spec = TargetSpec { statement_timeout: Duration::from_millis(500), ..spec() };
    let target = Target::open("main", &spec, cluster.url("postgres").into(), "gonogo r1").await.unwrap();
    let ran = run(&target, &["select pg_sleep(3600)"]).await;
    assert_eq!(ran.failed().summary, "ERROR: canceling statement due to statement timeout");
    assert_eq!(ran.failed().sqlstate.as_deref(), Some("57014"));
}

#[tokio::test]
async fn a_lock_and_who_holds_it() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open(cluster, &db).await;
    let holder = script(&["lock table orders in access exclusive mode", "select pg_sleep(3600) /* the holder */"]);
    let waiter = script(&["select count(*) from orders"]);
    let (stop_holder, stop_waiter) = (CancellationToken::new(), CancellationToken::new());
    let watch = async {
        until(cluster, &db, &format!("{} and query like '%holder%'", active("holder")), "1").await;
        let waits = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 waiter' \
                     and wait_event_type = 'Lock'";
        assert_eq!(target.waiting("holder").await, None);
        stop_waiter.cancelled().await;
        until(cluster, &db, waits, "1").await;
        let waiting = target.waiting("waiter").await.unwrap();
        stop_holder.cancel();
        waiting
    };
    let waiter = async {
        until(cluster, &db, &format!("{} and query like '%holder%'", active("holder")), "1").await;
        stop_waiter.cancel();
        run_judged(&target, job("waiter", &waiter, true), CancellationToken::new(), |_| Ok(None)).await
    };
    let holder = run_judged(&target, job("holder", &holder, true), stop_holder.clone(), |_| Ok(None));
    let (waiting, waited, held) = tokio::join!(watch, waiter, holder);
    let pid = waiting.strip_prefix("lock: pid ").and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{waiting}");
    assert!(waiting.contains("(postgres, gonogo r1 holder, ") && waiting.ends_with("/* the holder */"), "{waiting}");
    assert_eq!(waited.facts().value, Some(0.into()));
    assert_eq!(held.failed().summary, "cancelled");
}

#[tokio::test]
async fn a_lock_timeout() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    cluster.psql(&db, "begin; lock table orders; prepare transaction 'holder'");
    let spec = TargetSpec { lock_timeout: Duration::from_millis(600), lock_tries: 1, ..spec() };
    let target = Target::open("main", &spec, cluster.url(&db).into(), "gonogo r1").await.unwrap();
    let ran = run(&target, &["create table t ()", "alter table orders add a int"]).await;
    assert_eq!((ran.failed().sqlstate.as_deref(), ran.failed().effect), (Some("55P03"), Effect::None));
    cluster.psql(&db, "rollback prepared 'holder'");
    assert!(matches!(run(&target, &["alter table orders add a int"]).await.outcome, Outcome::Done { .. }));
}

#[tokio::test]
async fn a_terminated_session_before_commit() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let statements = script(&["create table t (id int)", "select pg_sleep(3600)"]);
    let terminate = async {
        until(cluster, &db, &format!("{} and query like '%sleep%'", active("term")), "1").await;
        cluster.psql(
            &db,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gonogo r1 term'",
        );
    };
    let work = run_judged(&target, job("term", &statements, true), CancellationToken::new(), |_| Ok(None));
    let (ran, ()) = tokio::join!(work, terminate);
    let fault = ran.failed();
    assert_eq!(fault.summary, "FATAL: terminating connection due to administrator command");
    assert_eq!((fault.sqlstate.as_deref(), fault.statement, fault.effect), (Some("57P01"), Some(2), Effect::None));
    assert!(fault.safe.starts_with("COMMIT was never sent and the session has left the server"), "{}", fault.safe);
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");
}

#[tokio::test]
async fn a_terminated_session_without_transaction() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let statements = script(&["create table t (id int)", "select pg_sleep(3600)"]);
    let terminate = async {
        until(cluster, &db, &format!("{} and query like '%sleep%'", active("direct")), "1").await;
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gonogo r1 direct'";
        cluster.psql(&db, sql);
    };
    let work = run_judged(&target, job("direct", &statements, false), CancellationToken::new(), |_| Ok(None));
    let (ran, ()) = tokio::join!(work, terminate);
    let Outcome::Unknown { known } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert!(known.contains("statement 2 of 2") && known.ends_with("its session has left the server"), "{known}");
}

#[tokio::test]
async fn a_cancel_without_transaction() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let statements = script(&["create table t (id int)", "select pg_sleep(3600)"]);
    let stop = CancellationToken::new();
    let cancel = async {
        until(cluster, &db, &format!("{} and query like '%sleep%'", active("stop")), "1").await;
        stop.cancel();
    };
    let work = run_judged(&target, job("stop", &statements, false), stop.clone(), |_| Ok(None));
    let (ran, ()) = tokio::join!(work, cancel);
    assert_eq!((ran.failed().summary.as_str(), ran.failed().effect), ("cancelled", Effect::Possible));
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "f");
}
