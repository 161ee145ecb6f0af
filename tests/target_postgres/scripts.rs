//! Scripts: facts, results, notices, transactions and expectations.

use std::collections::BTreeMap;

use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Fault, Outcome};
use gonogo::target::locate;
use support::postgres::shared;
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn first_contact() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    for url in [cluster.url(&db), cluster.socket_url(&db)] {
        let target = open_url(url).await.unwrap();
        let fingerprint = target.fingerprint().await.unwrap();
        assert_eq!((fingerprint.kind.as_str(), fingerprint.database.as_str()), ("postgresql", db.as_str()));
        assert_eq!(fingerprint.role, "postgres");
        assert_eq!(fingerprint.system_id, Some(cluster.psql(&db, "select system_identifier from pg_control_system()")));
        assert_eq!(fingerprint.timeline, Some(1));
        assert!(!fingerprint.in_recovery);
        assert!(fingerprint.version.starts_with(&cluster.psql(&db, "show server_version")));
        assert!(!target.is_sqlite());
    }
}

#[tokio::test]
async fn a_script_in_a_transaction() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let ran = run(
        &target,
        &[
            "create table t (id int, name text)",
            "insert into t select g, 'n' || g from generate_series(1, 5) g",
            "update t set name = 'x' where id > 3 returning id",
            "select count(*), max(name) as name from t",
        ],
    )
    .await;
    let facts = ran.facts();
    assert_eq!(facts.value, Some(5.into()));
    assert_eq!((facts.rows, facts.affected), (Some(1), Some(7)));
    assert_eq!(facts.row, Some(BTreeMap::from([("count".to_owned(), 5.into()), ("name".to_owned(), "x".into())])));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "5");
    let ends: Vec<_> = ran
        .chunks
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::StatementEnd { n, rows, affected, .. } => Some((*n, *rows, *affected)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(1, 0, 0), (2, 0, 5), (3, 2, 2), (4, 1, 0)]);
}

#[tokio::test]
async fn an_empty_result_has_its_header() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let query = "select 1::int4 as a, 'x'::text as b, now() as c, null::numeric(10, 2) as d, '{}'::int4multirange as e \
                 where false";
    for ran in [
        run(&target, &["create type mood as enum ('ok')", "select 'ok'::mood where false", "select 1"]).await,
        run(&target, &["create table t (a int)", "delete from t returning a"]).await,
    ] {
        assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
    }
    for ran in [run(&target, &[query]).await, run_direct(&target, &[query]).await] {
        let facts = ran.facts();
        assert_eq!((facts.value.as_ref(), facts.rows, facts.row.as_ref()), (None, Some(0), None));
        assert_eq!(ran.rows(), Vec::<Vec<Option<String>>>::new());
    }
    let plain =
        "select 1::int4 as a, 'x'::text as b, now() as c, null::numeric(10, 2) as d, 'ok'::mood as e where false";
    for ran in [run(&target, &[plain]).await, run_direct(&target, &[plain]).await] {
        let (names, types) = ran.columns();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(types, ["integer", "text", "timestamp with time zone", "numeric", "mood"]);
    }
}

#[tokio::test]
async fn typed_facts() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    for (sql, value) in [
        ("select 42::int2", serde_json::json!(42)),
        ("select 9223372036854775807::int8", serde_json::json!(9_223_372_036_854_775_807_i64)),
        ("select 1.50::numeric", serde_json::json!(1.5)),
        ("select 0.1::float8", serde_json::json!(0.1)),
        ("select 'NaN'::numeric", serde_json::json!("NaN")),
        ("select '-infinity'::float8", serde_json::json!("-Infinity")),
        ("select true", serde_json::json!(true)),
        ("select null::int", serde_json::json!(null)),
        ("select '{\"a\": 1}'::jsonb", serde_json::json!("{\"a\": 1}")),
        ("select '2024-01-31'::date", serde_json::json!("2024-01-31")),
        ("show server_encoding", serde_json::json!("UTF8")),
        ("explain (costs off) select 1", serde_json::json!("Result")),
    ] {
        assert_eq!(run(&target, &[sql]).await.facts().value, Some(value), "{sql}");
    }
    let twice = run(&target, &["select 1 as a, 2 as a, 3 as b"]).await;
    let row: Vec<_> = twice.facts().row.clone().unwrap().into_iter().collect();
    assert_eq!(row, [("a".to_owned(), 1.into()), ("a_2".to_owned(), 2.into()), ("b".to_owned(), 3.into())]);
    let none = run(&target, &["select 1", "create table t ()"]).await;
    assert_eq!(none.facts().value, Some(1.into()));
    assert_eq!(run(&target, &[]).await.facts().value, None);
}

#[tokio::test]
async fn created_from_a_query_counts_as_written() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, &cluster.create_db()).await;
    let ran = run(
        &target,
        &[
            "create table a as select generate_series(1, 4) as x",
            "select x into b from a where x > 2",
            "with gone as (delete from a where x = 1 returning x) select * from gone",
            "with two as (select x from b) insert into a select x from two returning x",
        ],
    )
    .await;
    assert_eq!(ran.facts().affected, Some(4 + 2 + 2));
}

#[tokio::test]
async fn an_error_says_everything() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let ran = run(&target, &["create table t (id int primary key)", "select 'ü',\n  nope from t"]).await;
    let fault = ran.failed();
    assert_eq!(fault.summary, "ERROR: column \"nope\" does not exist");
    assert_eq!((fault.sqlstate.as_deref(), fault.statement, fault.position), (Some("42703"), Some(2), Some(15)));
    assert_eq!(locate(&script(&["select 'ü',\n  nope from t"])[0], 15), (2, 3));
    assert_eq!((fault.effect, fault.safe.as_str()), (Effect::None, "the transaction was rolled back, nothing changed"));
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");

    let ran = run(&target, &["create table t (id int primary key)", "insert into t values (7), (7)"]).await;
    assert_eq!(ran.failed().sqlstate.as_deref(), Some("23505"));
    assert_eq!(ran.failed().detail.as_deref(), Some("Key (id)=(7) already exists."));

    let ran = run(&target, &["select lenght('x')"]).await;
    assert!(ran.failed().hint.as_deref().unwrap().contains("No function matches"), "{:?}", ran.failed());

    let ran = run(&target, &["do $$ begin perform 1 / 0; end $$"]).await;
    assert_eq!(ran.failed().summary, "ERROR: division by zero");
    assert!(ran.failed().detail.as_deref().unwrap().contains("CONTEXT: SQL"), "{:?}", ran.failed());
    assert_eq!(ran.failed().position, None);
}

#[tokio::test]
async fn facts_before_an_error_are_kept() {
    let Some(cluster) = shared() else { return };
    let target = open(cluster, "postgres").await;
    let ran = run(&target, &["select 41", "select 1 / (3 - g) from generate_series(1, 3) g"]).await;
    let Outcome::Failed { facts: Some(facts), .. } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!(facts.rows, Some(2));
    assert_eq!(ran.rows().len(), 3);
}

#[tokio::test]
async fn a_false_expectation_rolls_back() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let statements = script(&["create table t (id int)", "insert into t values (1), (2) returning id"]);
    let no = run_judged(&target, job("no", &statements, true), CancellationToken::new(), |facts| {
        verdict(facts.affected == Some(3))
    })
    .await;
    assert_eq!(no.failed().summary, "not as expected: value == 1 (value = 2)");
    assert_eq!(
        (no.failed().effect, no.failed().safe.as_str()),
        (Effect::None, "the transaction was rolled back, nothing changed")
    );
    assert!(matches!(&no.outcome, Outcome::Failed { verdict: Some(verdict), facts: Some(facts), .. }
        if !verdict.passed && facts.affected == Some(2)));
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");

    let unclear = run_judged(&target, job("unclear", &statements, true), CancellationToken::new(), |_| {
        Err(Fault::new("undefined value"))
    })
    .await;
    assert!(matches!(unclear.outcome, Outcome::Broke { .. }));
    assert_eq!(unclear.fault().safe, "the transaction was rolled back, nothing changed");
    assert_eq!(cluster.psql(&db, "select to_regclass('t') is null"), "t");

    let yes = run_judged(&target, job("yes", &statements, true), CancellationToken::new(), |_| verdict(true)).await;
    assert!(matches!(&yes.outcome, Outcome::Done { verdict: Some(verdict), .. } if verdict.passed));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "2");

    let direct = script(&["insert into t values (3)"]);
    let no = run_judged(&target, job("direct", &direct, false), CancellationToken::new(), |_| verdict(false)).await;
    assert_eq!(no.failed().effect, Effect::Possible);
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "3");
}

#[tokio::test]
async fn statements_by_themselves() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    let ran = run_direct(
        &target,
        &[
            "create table t (id int)",
            "insert into t select generate_series(1, 100)",
            "create index concurrently t_id on t (id)",
            "vacuum t",
        ],
    )
    .await;
    assert_eq!(ran.facts().affected, Some(100));
    assert_eq!(cluster.psql(&db, "select indisvalid from pg_index where indexrelid = 't_id'::regclass"), "t");

    let ran = run_direct(&target, &["insert into t values (101)", "insert into nowhere values (1)"]).await;
    assert_eq!((ran.failed().effect, ran.failed().statement), (Effect::Possible, Some(2)));
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "101");

    let ran = run_direct(&target, &["insert into nowhere values (1)"]).await;
    assert_eq!(ran.failed().effect, Effect::None);
    let ran = run_direct(&target, &["create unique index concurrently u on t ((id % 10))"]).await;
    assert_eq!((ran.failed().effect, ran.failed().sqlstate.as_deref()), (Effect::Possible, Some("23505")));

    let ran = run(&target, &["create index concurrently t_id2 on t (id)"]).await;
    assert_eq!((ran.failed().effect, ran.failed().sqlstate.as_deref()), (Effect::None, Some("25001")));
}
