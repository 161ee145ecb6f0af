//! Beside the script: probes, leftovers, the environment of commands, refusals at the door, and the password nowhere.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use secrecy::SecretString;
use support::postgres::shared;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn probes_ask_and_may_not_write() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int)");
    let target = open(cluster, &db).await;
    assert_eq!(target.ask("select count(*) from t", LIMIT).await, Ok("0".to_owned()));
    assert_eq!(target.ask("select 1.5, 2 union all select 3, 4", LIMIT).await, Ok("1.5".to_owned()));
    assert_eq!(target.ask("select null", LIMIT).await, Err("the answer is NULL".to_owned()));
    assert_eq!(target.ask("select 1 where false", LIMIT).await, Err("the answer has no row".to_owned()));
    assert_eq!(target.ask("select nope", LIMIT).await, Err("ERROR: column \"nope\" does not exist (42703)".to_owned()));
    let write = target.ask("insert into t values (1) returning id", LIMIT).await.unwrap_err();
    assert!(write.ends_with("(25006)"), "{write}");
    let slow = target.ask("select pg_sleep(3600)", Duration::from_millis(50)).await.unwrap_err();
    assert!(slow.ends_with("(57014)"), "{slow}");
    // Far more rows than it wants: the connection is given up, the next question gets a new one.
    assert_eq!(target.ask("select * from generate_series(1, 1000000)", LIMIT).await, Ok("1".to_owned()));
    assert_eq!(target.ask("select 2", LIMIT).await, Ok("2".to_owned()));
    cluster
        .psql(&db, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gonogo r1 probe'");
    assert_eq!(target.ask("select 3", LIMIT).await, Ok("3".to_owned()));
}

#[tokio::test]
async fn what_an_earlier_engine_left_behind() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let target = open(cluster, &db).await;
    assert_eq!(target.look("old").await.unwrap(), []);
    let mut psql = cluster.psql_command(&db);
    psql.env("PGAPPNAME", "gonogo r1 old").args(["-c", "select pg_sleep(3600)"]);
    let mut child = psql.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    cluster.until(
        &db,
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
        "1",
    );
    let left = target.look("old").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].state.as_str(), left[0].query.as_str()), ("active", "select pg_sleep(3600)"));
    assert!(left[0].since.is_some());
    // Under another name it is not touched.
    assert!(!target.cancel_leftover("new", left[0].pid).await.unwrap());
    assert!(target.cancel_leftover("old", left[0].pid).await.unwrap());
    assert!(!child.wait().unwrap().success());
    cluster.until(&db, "select count(*) from pg_stat_activity where application_name = 'gonogo r1 old'", "0");
    assert_eq!(target.look("old").await.unwrap(), []);
}

#[tokio::test]
async fn a_command_gets_the_target_without_its_password() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    let url = cluster.url(&db).replace("postgres@", "postgres:can%3Aary-7@")
        + "?sslmode=disable&options=-c%20search_path%3Dx";
    let target = open_url(url).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let env = target.connect_env(dir.path()).unwrap();
    assert!(env.iter().all(|(_, value)| !value.contains("canary") && !value.contains("can:ary")), "{env:?}");
    let get = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap();
    let file = get("PGPASSFILE");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("127.0.0.1:{}:*:postgres:can\\:ary-7\n", cluster.port())
    );
    assert_eq!(
        (get("PGDATABASE"), get("PGSSLMODE"), get("PGPASSWORD")),
        (db.clone(), "disable".to_owned(), String::new())
    );
    // libpq understands it.
    let mut psql = std::process::Command::new("psql");
    psql.args(["-XAtc", "select current_database() || ' ' || current_setting('search_path')"]).envs(env);
    if let Ok(output) = psql.output() {
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), format!("{db} x"));
    }
    let bare = open(cluster, &db).await.connect_env(dir.path()).unwrap();
    assert!(bare.iter().all(|(name, _)| name != "PGPASSFILE" && name != "PGPASSWORD"));
    assert!(target.connect_env(std::path::Path::new("/nonexistent")).is_err());
}

#[tokio::test]
async fn the_password_is_nowhere() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "drop role if exists guarded; create role guarded login");
    let with = |user: &str, db: &str| cluster.url(db).replace("postgres@", &format!("{user}:canary-7@"));
    let target = open_url(with("postgres", &db)).await.unwrap();
    let mut seen = format!("{target:?} {:?} {:?}", spec(), target.fingerprint().await);
    let ran = run(&target, &["select nope", "select 1"]).await;
    seen += &format!("{:?} {:?}", ran.outcome, ran.chunks);
    for url in [
        with("nobody_here", &db),
        with("guarded", "no_such_database"),
        with("postgres", &db).replace("127.0.0.1", "no-such-host.invalid"),
        with("postgres", &db).replace(&cluster.port().to_string(), "1"),
        with("postgres", &db) + "?target_session_attrs=canary-7",
        with("postgres", &db) + "?sslmode=require",
        with("postgres", &db) + "?sslmode=allow",
    ] {
        let error = open_url(url).await.unwrap_err();
        seen += &format!("{error} {error:?}");
    }
    assert!(!seen.contains("canary"), "{seen}");
    let secret = SecretString::from("canary-7");
    assert!(!format!("{secret:?}").contains("canary"));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let Some(cluster) = shared() else { return };
    let error = open_url(cluster.url("no_such_database")).await.unwrap_err().to_string();
    assert!(error.contains("FATAL: database \"no_such_database\" does not exist (3D000)"), "{error}");
    assert!(error.ends_with("Nothing was changed; check the database's name"), "{error}");
    let error = open_url(cluster.url("postgres") + "?keepalives=1").await.unwrap_err().to_string();
    assert!(error.contains("\"keepalives\", which gonogo cannot honour"), "{error}");
    // A port that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/d?connect_timeout=1", silent.local_addr().unwrap());
    let error = open_url(url).await.unwrap_err().to_string();
    assert!(error.contains("no answer within 1s"), "{error}");
}

#[tokio::test]
async fn a_role_without_rights() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(
        &db,
        "create role modest login; revoke all on function pg_control_system() from public; \
                       revoke all on function pg_control_checkpoint() from public",
    );
    let target = open_url(cluster.url(&db).replace("postgres@", "modest@")).await.unwrap();
    let fingerprint = target.fingerprint().await.unwrap();
    assert_eq!((fingerprint.role.as_str(), fingerprint.system_id, fingerprint.timeline), ("modest", None, None));
    assert_eq!(run(&target, &["select 1"]).await.facts().value, Some(1.into()));
    assert_eq!(target.waiting("step").await, None);
}
