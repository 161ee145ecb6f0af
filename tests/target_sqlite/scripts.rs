//! Scripts: values, facts, transactions, bounds.

use super::*;

#[tokio::test]
async fn values_and_facts() {
    let (_dir, target) = fresh().await;
    let ran = run(
        &target,
        &[
            "create table t (id integer primary key, name varchar(20), price real, raw blob, big)",
            "insert into t values (1, 'ä', 0.1, x'00ff', 9223372036854775807), (2, null, 3.0, x'', 'text')",
            "select *, id + 0.5 as sum, id from t order by id",
        ],
        plainly(),
    )
    .await;
    let text = |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(
        ran.rows(),
        [
            text(&[
                Some("1"),
                Some("ä"),
                Some("0.1"),
                Some("x'00ff'"),
                Some("9223372036854775807"),
                Some("1.5"),
                Some("1")
            ]),
            text(&[Some("2"), None, Some("3.0"), Some("x''"), Some("text"), Some("2.5"), Some("2")]),
        ]
    );
    let (names, types) = ran.columns().unwrap();
    assert_eq!(names, ["id", "name", "price", "raw", "big", "sum", "id"]);
    assert_eq!(types, ["integer", "text", "real", "blob", "integer", "real", "integer"]);
    let facts = ran.facts();
    assert_eq!((facts.value.clone(), facts.rows, facts.affected), (Some(1.into()), Some(2), Some(2)));
    assert_eq!(facts.row.as_ref().unwrap()["sum"], serde_json::json!(1.5));
    assert_eq!(facts.row.as_ref().unwrap()["id_2"], serde_json::json!(1));

    let empty = run(&target, &["select id, name from t where false"], plainly()).await;
    assert_eq!(empty.columns().unwrap().0, ["id", "name"]);
    assert_eq!((empty.facts().rows, empty.facts().value.clone(), empty.facts().affected), (Some(0), None, Some(0)));
    let back = run(&target, &["delete from t where id > 1 returning id"], plainly()).await;
    assert_eq!((back.facts().rows, back.facts().affected), (Some(1), Some(1)));
    let hostile = run(&target, &[r"select cast(x'1b5d61ff' as text), char(7)"], plainly()).await;
    assert_eq!(hostile.rows(), [text(&[Some("\u{1b}]a\\xff"), Some("\u{7}")])]);
}

#[tokio::test]
async fn transactions() {
    let (dir, target) = fresh().await;
    let done = run(&target, &["create table t (id integer primary key)", "insert into t values (1)"], plainly()).await;
    assert_eq!(done.facts().affected, Some(1));

    let failed = run(&target, &["insert into t values (2)", "insert into t values (1)"], plainly()).await;
    assert_eq!(failed.failed().summary, "ERROR: UNIQUE constraint failed: t.id");
    assert_eq!((failed.failed().sqlstate.as_deref(), failed.failed().statement), (Some("1555"), Some(2)));
    assert_eq!(
        (failed.failed().effect, failed.failed().safe.as_str()),
        (Effect::None, "the transaction was rolled back, nothing changed")
    );

    let no = run(&target, &["insert into t values (3)"], How { passes: Some(false), ..plainly() }).await;
    assert_eq!(no.failed().summary, "not as expected: rows == 1 (rows = 2)");
    assert_eq!(count(&dir, "select count(*) from t").await, 1);
    let yes = run(&target, &["insert into t values (3)"], How { passes: Some(true), ..plainly() }).await;
    assert!(matches!(yes.outcome, Outcome::Done { verdict: Some(_), .. }));

    let direct = How { transaction: false, ..plainly() };
    let failed = run(&target, &["insert into t values (4)", "insert into nowhere values (1)"], direct).await;
    assert_eq!((failed.failed().effect, failed.failed().statement), (Effect::Possible, Some(2)));
    assert_eq!(count(&dir, "select count(*) from t").await, 3);
    let alone = run(&target, &["insert into nowhere values (1)"], How { transaction: false, ..plainly() }).await;
    assert_eq!(alone.failed().effect, Effect::None);
    let vacuum = run(&target, &["vacuum", "pragma journal_mode = wal"], How { transaction: false, ..plainly() }).await;
    assert_eq!(vacuum.facts().value, Some("wal".into()));
}

#[tokio::test]
async fn a_script_cannot_commit_by_itself() {
    let (dir, target) = fresh().await;
    run(&target, &["create table t (id int)"], plainly()).await;
    let refused = run(&target, &["insert into t values (1)", "commit"], plainly()).await;
    assert!(matches!(refused.outcome, Outcome::Broke { .. }), "{:?}", refused.outcome);
    let hidden = run(&target, &["insert into t values (1); commit; insert into t values (2)"], plainly()).await;
    assert_eq!(hidden.failed().summary, "ERROR: the script tried to end the transaction by itself");
    let hidden = run(&target, &["select 1; rollback; insert into t values (2)"], plainly()).await;
    assert_eq!(hidden.failed().effect, Effect::None);
    let hidden = run(&target, &["select 1; rollback"], plainly()).await;
    assert!(hidden.failed().summary.starts_with("COMMIT refused:"), "{:?}", hidden.failed());
    assert_eq!(count(&dir, "select count(*) from t").await, 0);
}

#[tokio::test]
async fn foreign_keys_hold_also_when_deferred() {
    let (dir, target) = fresh().await;
    let tables =
        ["create table a (id integer primary key)", "create table b (a references a deferrable initially deferred)"];
    run(&target, &tables, plainly()).await;
    let failed = run(&target, &["insert into b values (7)"], plainly()).await;
    assert_eq!(failed.failed().summary, "COMMIT refused: ERROR: FOREIGN KEY constraint failed");
    assert_eq!((failed.failed().statement, failed.failed().effect), (None, Effect::None));
    assert_eq!(count(&dir, "select count(*) from b").await, 0);
}

#[tokio::test]
async fn large_results_are_bounded() {
    let (_dir, target) = fresh().await;
    let million =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select i, 'row ' || i from n";
    let ran = run(&target, &[million], plainly()).await;
    assert_eq!((ran.facts().rows, ran.rows().len() as u64), (Some(300_000), limits::ROWS_KEPT));
    let ran = run(&target, &["select printf('%.*c', 100000000, 'x'), zeroblob(50000000)"], plainly()).await;
    let row = ran.rows()[0].clone();
    assert!(row[0].as_ref().unwrap().ends_with("… [cut: 100000000 bytes]"));
    assert!(row[1].as_ref().unwrap().ends_with("… [cut: 50000000 bytes]"));
    assert!(row.iter().flatten().all(|cell| cell.len() < limits::CELL_BYTES + 64));
}
