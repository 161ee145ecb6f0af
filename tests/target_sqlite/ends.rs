//! Files that cannot be opened, attempts that end before their time, locks of others, probes.

use super::*;

const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

#[tokio::test]
async fn first_contact() {
    let (dir, target) = fresh().await;
    let path = dir.path().join("a b.db").display().to_string();
    let fingerprint = target.fingerprint().await.unwrap();
    assert_eq!(
        (fingerprint.kind.as_str(), fingerprint.database.as_str(), fingerprint.host.as_str()),
        ("sqlite", "a b.db", path.as_str())
    );
    assert!(fingerprint.version.starts_with("3."));
    assert!(target.is_sqlite());
    assert_eq!(target.connect_env(dir.path()).unwrap(), [("GONOGO_SQLITE".to_owned(), path)]);
    assert_eq!((target.waiting("step").await, target.look("step").await.unwrap().len()), (None, 0));
}

#[tokio::test]
async fn files_that_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
    let error = open_with(&spec(), path("none.db")).await.unwrap_err().to_string();
    assert!(error.contains("there is no such file") && error.ends_with("create it first, or say ?mode=rwc"), "{error}");
    assert!(!dir.path().join("none.db").exists());
    std::fs::write(dir.path().join("text.db"), "this is no database, however long it may be ".repeat(100)).unwrap();
    let error = open_with(&spec(), path("text.db")).await.unwrap_err().to_string();
    assert!(error.contains("ERROR: file is not a database (26)"), "{error}");
    assert!(open_with(&spec(), path(".")).await.is_err());
}

#[tokio::test]
async fn a_cancel_interrupts() {
    let (dir, target) = fresh().await;
    let how = How { cancel_at: Some(2), ..plainly() };
    let ran = run(&target, &["create table t (id int)", ENDLESS], how).await;
    assert_eq!(ran.failed().summary, "cancelled");
    assert_eq!(ran.failed().detail.as_deref(), Some("ERROR: interrupted (9)"));
    assert_eq!((ran.failed().statement, ran.failed().effect), (Some(2), Effect::None));
    assert_eq!(count(&dir, "select count(*) from sqlite_schema").await, 0);
}

#[tokio::test]
async fn limits_of_time() {
    let (dir, target) = fresh().await;
    let how = How { timeout: Some(Duration::from_millis(300)), ..plainly() };
    let ran = run(&target, &[ENDLESS], how).await;
    assert_eq!(ran.failed().summary, "timed out after 300ms");
    let short = TargetSpec { statement_timeout: Duration::from_millis(100), ..spec() };
    let target = open_with(&short, format!("sqlite:{}", dir.path().join("a%20b.db").display())).await.unwrap();
    let ran = run(&target, &[ENDLESS], plainly()).await;
    assert_eq!(ran.failed().summary, "ERROR: cancelled by statement_timeout (100ms)");
    let ask = target.ask(ENDLESS, Duration::from_millis(100)).await;
    assert_eq!(ask, Err("no answer within 100ms".to_owned()));
    assert_eq!(target.ask("select 1", Duration::from_secs(20)).await, Ok("1".to_owned()));
}

#[tokio::test]
async fn a_lock_of_somebody_else() {
    let (dir, _) = fresh().await;
    let impatient = TargetSpec { lock_timeout: Duration::from_millis(100), ..spec() };
    let target = open_with(&impatient, format!("sqlite:{}", dir.path().join("a b.db").display())).await.unwrap();
    let mut other = beside(&dir).await;
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    let ran = run(&target, &["create table t (id int)"], plainly()).await;
    assert_eq!(ran.failed().summary, "ERROR: database is locked");
    assert!(ran.failed().hint.as_deref().unwrap().contains("lock_timeout"));
    assert_eq!(
        (ran.failed().effect, ran.failed().safe.as_str()),
        (Effect::None, "no statement was sent, nothing changed")
    );
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    run(&target, &["create table t (id int)"], plainly()).await.facts();
}

#[tokio::test]
async fn probes_ask_and_may_not_write() {
    let (dir, target) = fresh().await;
    run(&target, &["create table t (id int)"], plainly()).await.facts();
    let limit = Duration::from_secs(20);
    assert_eq!(target.ask("select count(*) from t", limit).await, Ok("0".to_owned()));
    assert_eq!(target.ask("select 1.5, 2", limit).await, Ok("1.5".to_owned()));
    assert_eq!(target.ask("select null", limit).await, Err("the answer is NULL".to_owned()));
    assert_eq!(target.ask("select 1 where false", limit).await, Err("the answer has no row".to_owned()));
    assert!(target.ask("insert into t values (1) returning id", limit).await.unwrap_err().contains("readonly"));
    assert_eq!(target.ask("select nope", limit).await, Err("ERROR: no such column: nope (1)".to_owned()));
    // The rest of a long answer is not read, and holds no lock.
    let long = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000) select i from n, t t1, \
                (select 1) union all select 9";
    assert_eq!(target.ask(long, limit).await, Ok("9".to_owned()));
    run(&target, &["insert into t values (1)"], plainly()).await.facts();
    let read_only =
        open_with(&spec(), format!("sqlite:{}?mode=ro", dir.path().join("a b.db").display())).await.unwrap();
    assert_eq!(run(&read_only, &["select count(*) from t"], plainly()).await.facts().value, Some(1.into()));
    assert_eq!(run(&read_only, &["delete from t"], plainly()).await.failed().sqlstate.as_deref(), Some("8"));
}
