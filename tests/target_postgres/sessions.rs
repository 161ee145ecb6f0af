//! Sessions: their settings, their notices, what may not be sent to them, and who listens.

use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Outcome, limits};
use support::postgres::shared;
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn notices_arrive_live_and_at_their_own_attempt() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    cluster.psql(&db, "create table gate (open bool); insert into gate values (false)");
    let noisy = |name: &str| {
        script(&[
            &format!(
                "do $$ begin raise notice 'hello from {name}'; raise warning 'careful'; raise info 'by the way'; end $$"
            ),
            // Ends only once the test has heard the notice: without live delivery it would wait for ever.
            "do $$ begin loop exit when (select open from gate); perform pg_sleep(0.01); end loop; end $$",
        ])
    };
    let (out, mut chunks) = mpsc::channel(8);
    let statements = noisy("one");
    let heard = async {
        let mut texts = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            if let Chunk::Notice { severity, text } = chunk {
                texts.push((severity, text));
            }
            if texts.len() == 3 {
                cluster.psql(&db, "update gate set open = true");
            }
        }
        texts
    };
    let work = async {
        let outcome =
            target.run(&job("one", &statements, false), &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
        drop(out);
        outcome
    };
    let other = async {
        let statements = noisy("two");
        run_judged(&target, job("two", &statements, false), CancellationToken::new(), |_| Ok(None)).await
    };
    let (outcome, texts, other) = tokio::join!(work, heard, other);
    let pair = |severity: &str, text: &str| (severity.to_owned(), text.to_owned());
    assert_eq!(texts, [pair("NOTICE", "hello from one"), pair("WARNING", "careful"), pair("INFO", "by the way")]);
    assert!(
        matches!(outcome, Outcome::Done { facts, .. } if facts.notices == ["hello from one", "careful", "by the way"])
    );
    assert_eq!(other.facts().notices, ["hello from two", "careful", "by the way"]);
}

#[tokio::test]
async fn a_flood_of_notices_is_counted() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    let ran = run(&target, &["do $$ begin for i in 1..1000 loop raise notice 'n %', i; end loop; end $$"]).await;
    let notices = &ran.facts().notices;
    assert_eq!(notices.len(), limits::NOTICES_KEPT + 1);
    assert_eq!(notices.last().unwrap(), "… and 900 more notices");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    for sql in
        ["commit", "ROLLBACK", "/* */ begin", "end", "copy t from stdin", "copy t to stdout", "prepare transaction 'x'"]
    {
        let ran = run(&target, &["create table t (id int)", sql]).await;
        assert!(matches!(ran.outcome, Outcome::Broke { .. }), "{sql}: {:?}", ran.outcome);
        assert_eq!(
            (ran.fault().statement, ran.fault().safe.as_str()),
            (Some(2), "no statement was sent, nothing changed")
        );
        assert!(ran.chunks.is_empty());
    }
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");
    let ran = run(&target, &["savepoint a", "create table t (id int)", "rollback to savepoint a", "select 1"]).await;
    assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
}

#[tokio::test]
async fn a_transaction_that_the_script_ends_by_itself_is_noticed() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let ran = run(&target, &["create table t (id int)", "select 1; commit; create table u (id int)"]).await;
    assert_eq!(ran.failed().summary, "the script ended its transaction by itself");
    assert_eq!(ran.failed().effect, Effect::Possible);
    let ran = run(&target, &["select 1; commit; begin", "select 2"]).await;
    assert_eq!(ran.failed().effect, Effect::Possible);
}

#[tokio::test]
async fn a_script_may_set_up_its_transaction() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    for sql in ["set transaction isolation level serializable", "reset all", "set local lock_timeout = '1s'"] {
        let ran = run(&target, &[sql, "select current_setting('transaction_isolation')"]).await;
        assert!(matches!(ran.outcome, Outcome::Done { .. }), "{sql}: {:?}", ran.outcome);
    }
    let ran = run(&target, &["set transaction read only", "create table nope ()"]).await;
    assert_eq!(ran.failed().sqlstate.as_deref(), Some("25006"));
}

#[tokio::test]
async fn the_session_is_careful() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, &format!("alter database {db} set synchronous_commit = off"));
    let target = open(cluster, &db).await;
    let settings = "select concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'), \
                    current_setting('idle_in_transaction_session_timeout'), current_setting('synchronous_commit'), \
                    current_setting('client_connection_check_interval'), current_setting('application_name'), \
                    current_setting('TimeZone'))";
    assert_eq!(run(&target, &[settings]).await.facts().value, Some("30s 2min 1min on 5s gonogo r1 step UTC".into()));
    cluster.psql(&db, &format!("alter database {db} set synchronous_commit = local"));
    let ran = run(&target, &["show synchronous_commit"]).await;
    assert_eq!(ran.facts().value, Some("local".into()));
}

#[tokio::test]
async fn nobody_listens() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let (out, chunks) = mpsc::channel(1);
    drop(chunks);
    let statements = script(&["create table t (id int)", "select * from generate_series(1, 1000)"]);
    let outcome =
        target.run(&job("deaf", &statements, true), &out, &|_: &Facts| Ok(None), CancellationToken::new()).await;
    assert!(matches!(outcome, Outcome::Done { facts, .. } if facts.rows == Some(1000)));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "0");
}
