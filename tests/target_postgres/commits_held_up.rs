//! A COMMIT that takes long while others wait behind it: whatever `max_blocked` allows, it is left alone.

use std::process::Stdio;

use gonogo::run::Outcome;
use gonogo::runbook::MaxBlocked;
use tokio_util::sync::CancellationToken;

use super::*;

/// The server has written the COMMIT and waits for a standby that never comes, still holding the locks.
#[tokio::test]
async fn others_that_wait_behind_a_commit_do_not_end_it() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let db = "postgres";
    cluster.psql(db, "create table orders (id int)");
    cluster.psql(db, "alter system set synchronous_standby_names = 'nosuch'");
    cluster.psql(db, "select pg_reload_conf()");
    cluster.until(db, "show synchronous_standby_names", "nosuch");
    let spec = TargetSpec { max_blocked: MaxBlocked { sessions: 1, lasting: Duration::from_millis(100) }, ..spec() };
    let target = Target::open("main", &spec, cluster.url(db).into(), "gonogo r1").await.unwrap();
    let statements = script(&["alter table orders add a int"]);
    let wait = async {
        until(cluster, db, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "1").await;
        let mut psql = cluster.psql_command(db);
        let mut reader = psql.args(["-c", "select count(*) from orders"]).stdout(Stdio::null()).spawn().unwrap();
        let long = "select count(*) from pg_locks where not granted and clock_timestamp() - waitstart > '1.5 s'";
        until(cluster, db, long, "1").await;
        let waiting = target.waiting("held").await.unwrap();
        assert!(waiting.starts_with("commit: a synchronous standby has not confirmed yet; 1 session"), "{waiting}");
        // The standby is no longer asked for.
        cluster.psql(db, "alter system reset synchronous_standby_names");
        cluster.psql(db, "select pg_reload_conf()");
        assert!(reader.wait().unwrap().success());
    };
    let work = run_judged(&target, job("held", &statements, true), CancellationToken::new(), |_| Ok(None));
    let (ran, ()) = tokio::join!(work, wait);
    assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
    assert_eq!(ran.facts().notices, Vec::<String>::new());
}
