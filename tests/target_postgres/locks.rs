//! Locks between a script and the application: who is in the way, who waits behind, what is tried again.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Instant;

use gonogo::run::Outcome;
use gonogo::run::facts::Effect;
use gonogo::runbook::MaxBlocked;
use support::postgres::shared;
use tokio_util::sync::CancellationToken;

use super::*;

/// A session of the application, fed by hand.
struct App(Child);

impl App {
    /// Says `sql`, and waits until the session is idle again (in a transaction or not).
    fn start(cluster: &Cluster, db: &str, name: &str, sql: &str) -> Self {
        let mut psql = cluster.psql_command(db);
        let mut child = psql
            .env("PGAPPNAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{sql}; select 'said';").unwrap();
        cluster.until(
            db,
            &format!(
                "select count(*) from pg_stat_activity where application_name = '{name}' \
                 and state like 'idle%' and query like '%said%' and datname = current_database()"
            ),
            "1",
        );
        Self(child)
    }

    fn say(&mut self, sql: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{sql};").unwrap();
    }

    /// Ends it as its user would: what it was told is done to the end.
    fn leave(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

/// A session that asks one thing; true where it got its answer.
fn reader(cluster: &'static Cluster, db: &str) -> std::thread::JoinHandle<(bool, Duration)> {
    let mut psql = cluster.psql_command(db);
    psql.env("PGAPPNAME", "reader").args(["-c", "select count(*) from orders"]).stdout(Stdio::null());
    std::thread::spawn(move || {
        let started = Instant::now();
        let answered = psql.status().unwrap().success();
        (answered, started.elapsed())
    })
}

fn waits(name: &str) -> String {
    format!(
        "select count(*) from pg_stat_activity where application_name = '{name}' and wait_event_type = 'Lock' \
         and datname = current_database()"
    )
}

async fn open_with(cluster: &Cluster, db: &str, change: impl FnOnce(&mut TargetSpec)) -> Target {
    let mut spec = TargetSpec {
        lock_tries: 50,
        max_blocked: MaxBlocked { sessions: 1_000, lasting: Duration::from_secs(3_600) },
        ..spec()
    };
    change(&mut spec);
    Target::open("main", &spec, cluster.url(db).into(), "gonogo r1").await.unwrap()
}

fn lock_notice(chunk: &Chunk) -> Option<&str> {
    match chunk {
        Chunk::Notice { severity, text } if severity == "LOCK" => Some(text),
        _ => None,
    }
}

impl Ran {
    /// What was told of each try that came to nothing, its lines joined.
    fn lock_notices(&self) -> Vec<String> {
        let mut tries: Vec<String> = Vec::new();
        for line in self.chunks.iter().filter_map(lock_notice) {
            match tries.last_mut() {
                Some(last) if !line.starts_with("try ") => *last = format!("{last}; {line}"),
                _ => tries.push(line.to_owned()),
            }
        }
        tries
    }
}

/// Runs a transaction; `first` is called at the first notice of a try that came to nothing.
async fn run_until_done(target: &Target, label: &str, texts: &[&str], first: impl FnOnce()) -> Ran {
    let statements = script(texts);
    let mut first = Some(first);
    let hear = async |chunk: &Chunk| {
        if lock_notice(chunk).is_some()
            && let Some(first) = first.take()
        {
            first();
        }
    };
    run_heard(target, job(label, &statements, true), CancellationToken::new(), |_| Ok(None), hear).await
}

#[tokio::test]
async fn a_lock_that_comes_free_is_taken_by_a_later_try() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int); create table marks (n int)");
    let target = open_with(cluster, &db, |spec| spec.lock_timeout = Duration::from_millis(300)).await;
    let holder = App::start(cluster, &db, "billing", "begin; lock table orders");
    let texts =
        ["insert into marks values (1), (2) returning n", "alter table orders add a int", "select count(*) from marks"];
    let ran = run_until_done(&target, "later", &texts, || holder.leave()).await;
    let notice = &ran.lock_notices()[0];
    let start = "try 1 of 50: ERROR: canceling statement due to lock timeout (55P03) in statement 2; \
                 it waited for pid ";
    assert!(notice.starts_with(start), "{notice}");
    assert!(notice.contains("(postgres, billing, 0 s) idle in transaction: select 'said';"), "{notice}");
    assert!(notice.contains("; the transaction was rolled back, nothing changed; next try in 0."), "{notice}");
    // Nothing of a try that was taken back is left, in the table or in the facts.
    let facts = ran.facts();
    assert_eq!((facts.value.clone(), facts.affected, facts.rows), (Some(2.into()), Some(2), Some(1)));
    assert_eq!(facts.notices, Vec::<String>::new());
}

#[tokio::test]
async fn the_last_try_says_who_was_in_the_way_and_what_to_do() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open_with(cluster, &db, |spec| {
        spec.lock_timeout = Duration::from_millis(300);
        spec.lock_tries = 2;
    })
    .await;
    let holder = App::start(cluster, &db, "billing", "begin; lock table orders");
    let pid = cluster.psql(
        &db,
        "select pid from pg_stat_activity where application_name = 'billing' and datname = current_database()",
    );
    let ran = run(&target, &["alter table orders add a int"]).await;
    let fault = ran.failed();
    assert_eq!(fault.summary, "ERROR: canceling statement due to lock timeout");
    assert_eq!((fault.sqlstate.as_deref(), fault.statement, fault.effect), (Some("55P03"), Some(1), Effect::None));
    let detail = fault.detail.as_deref().unwrap();
    assert!(detail.starts_with(&format!("it waited for pid {pid} (postgres, billing, ")), "{detail}");
    let hint = fault.hint.as_deref().unwrap();
    assert!(hint.starts_with("this was the last try of 2 (lock_tries). Wait until pid "), "{hint}");
    assert!(hint.contains(&format!("select pg_terminate_backend({pid})")), "{hint}");
    assert_eq!(ran.lock_notices().len(), 1);
    holder.leave();
}

#[tokio::test]
async fn a_victim_of_a_deadlock_is_tried_again() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (id int primary key, n int); insert into t values (1, 0), (2, 0)");
    let target = open_with(cluster, &db, |_| ()).await;
    // The application never looks for deadlocks itself: the victim is ours.
    let mut app =
        App::start(cluster, &db, "crossing", "set deadlock_timeout = '1h'; begin; update t set n = n + 1 where id = 2");
    let pid = cluster.psql(
        &db,
        "select pid from pg_stat_activity where application_name = 'crossing' and datname = current_database()",
    );
    // Goes on once the application waits for us, or is through.
    let gate = format!(
        "do $$ begin while exists (select from pg_locks where pid = {pid} and locktype = 'transactionid') \
         and not exists (select from pg_locks where pid = {pid} and not granted) \
         loop perform pg_sleep(0.02); end loop; end /* gate */ $$"
    );
    let texts = [
        "set local deadlock_timeout = '50ms'",
        "update t set n = n + 10 where id = 1",
        &gate,
        "update t set n = n + 10 where id = 2",
    ];
    let crossed = async {
        let at_gate = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 dead' \
                       and query like '%gate%' and datname = current_database()";
        until(cluster, &db, at_gate, "1").await;
        app.say("update t set n = n + 1 where id = 1; commit");
    };
    let (ran, ()) = tokio::join!(run_until_done(&target, "dead", &texts, || ()), crossed);
    let notices = ran.lock_notices();
    assert!(notices[0].starts_with("try 1 of 50: ERROR: deadlock detected (40P01) in statement 4; "), "{notices:?}");
    assert_eq!(ran.facts().affected, Some(2));
    app.leave();
    assert_eq!(cluster.psql(&db, "select n from t order by id"), "11\n11");
}

#[tokio::test]
async fn a_serialization_failure_is_tried_again() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t (n int); insert into t values (0)");
    let target = open_with(cluster, &db, |_| ()).await;
    let mut app = App::start(cluster, &db, "writer", "begin; select pg_advisory_xact_lock(42)");
    let texts = [
        "set transaction isolation level repeatable read",
        "select n from t",
        "select pg_advisory_xact_lock(42)",
        "update t set n = n + 10",
    ];
    let write = async {
        until(cluster, &db, &waits("gonogo r1 serial"), "1").await;
        app.say("update t set n = n + 1; commit");
    };
    let (ran, ()) = tokio::join!(run_until_done(&target, "serial", &texts, || ()), write);
    let notices = ran.lock_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    let start = "try 1 of 50: ERROR: could not serialize access due to concurrent update (40001) in statement 4; ";
    assert!(notices[0].starts_with(start), "{notices:?}");
    assert_eq!(ran.facts().affected, Some(1));
    app.leave();
    assert_eq!(cluster.psql(&db, "select n from t"), "11");
}

#[tokio::test]
async fn a_commit_that_cannot_be_serialized_is_tried_again() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table a (n int); create table b (n int)");
    let target = open_with(cluster, &db, |_| ()).await;
    let begin = "begin isolation level serializable; select pg_advisory_lock(43); select count(*) from a";
    let mut app = App::start(cluster, &db, "skew", begin);
    let texts = [
        "set transaction isolation level serializable",
        "select count(*) from b",
        "insert into a values (1)",
        "select pg_advisory_xact_lock(43)",
    ];
    let write = async {
        until(cluster, &db, &waits("gonogo r1 skew"), "1").await;
        app.say("insert into b values (1); commit; select pg_advisory_unlock(43)");
    };
    let (ran, ()) = tokio::join!(run_until_done(&target, "skew", &texts, || ()), write);
    let notices = ran.lock_notices();
    let start = "try 1 of 50: COMMIT refused: ERROR: could not serialize access due to read/write dependencies";
    assert!(notices.len() == 1 && notices[0].starts_with(start) && notices[0].contains("(40001)"), "{notices:?}");
    assert_eq!(ran.facts().affected, Some(1));
    app.leave();
    assert_eq!(cluster.psql(&db, "select (select count(*) from a), (select count(*) from b)"), "1|1");
}

/// A change of a table waits behind a long transaction, and readers queue behind the change.
#[tokio::test]
async fn readers_that_queue_behind_us_are_let_through() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open_with(cluster, &db, |spec| spec.max_blocked.sessions = 2).await;
    let long = App::start(cluster, &db, "export", "begin; select count(*) from orders");
    let queue = async {
        until(cluster, &db, &waits("gonogo r1 ddl"), "1").await;
        (0..3).map(|_| reader(cluster, &db)).collect::<Vec<_>>()
    };
    let queued = std::sync::Mutex::new(Vec::new());
    let queue = async { *queued.lock().unwrap() = queue.await };
    // They get their answers while the long transaction goes on, so before the change was made.
    let let_through = || {
        for reader in std::mem::take(&mut *queued.lock().unwrap()) {
            assert!(reader.join().unwrap().0);
        }
        assert_eq!(
            cluster
                .psql(&db, "select count(*) from pg_attribute where attrelid = 'orders'::regclass and attname = 'a'"),
            "0"
        );
        long.leave();
    };
    let texts = ["alter table orders add a int"];
    let (ran, ()) = tokio::join!(run_until_done(&target, "ddl", &texts, let_through), queue);
    let notice = &ran.lock_notices()[0];
    let start = "try 1 of 50: taken back by gonogo: 3 sessions waited behind it, the first for ";
    assert!(notice.starts_with(start), "{notice}");
    assert!(
        notice.contains(", reader, ") && notice.contains("select count(*) from orders; it waited for pid"),
        "{notice}"
    );
    assert!(notice.contains(", export, "), "{notice}");
    assert_eq!(
        cluster.psql(&db, "select count(*) from pg_attribute where attrelid = 'orders'::regclass and attname = 'a'"),
        "1"
    );
}

/// The same by time, for a script that has its lock and works on; as a role that sees nothing of others' sessions.
#[tokio::test]
async fn a_reader_waits_no_longer_than_the_target_allows() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(
        &db,
        "create role plain_locks login; create table orders (id int); alter table orders owner to plain_locks; \
         create table open_gate (); grant select on open_gate to plain_locks",
    );
    let spec = TargetSpec {
        lock_tries: 50,
        max_blocked: MaxBlocked { sessions: 1_000, lasting: Duration::from_millis(700) },
        ..spec()
    };
    let url = cluster.url(&db).replace("postgres@", "plain_locks@");
    let target = Target::open("main", &spec, url.into(), "gonogo r1").await.unwrap();
    let texts = [
        "lock table orders in access exclusive mode",
        "select pg_sleep(case when (select count(*) from pg_attribute where attrelid = 'open_gate'::regclass \
         and attname = 'open') > 0 then 0 else 3600 end)",
    ];
    let queued = std::sync::Mutex::new(None);
    let queue = async {
        let sleeps = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 strong' \
                      and wait_event = 'PgSleep' and datname = current_database()";
        until(cluster, &db, sleeps, "1").await;
        *queued.lock().unwrap() = Some(reader(cluster, &db));
    };
    let let_through = || {
        let (answered, waited) = queued.lock().unwrap().take().unwrap().join().unwrap();
        assert!(answered);
        println!("a reader behind a script with max_blocked.lasting = 700ms waited {waited:?}, psql's start included");
        cluster.psql(&db, "alter table open_gate add open int");
    };
    let (ran, ()) = tokio::join!(run_until_done(&target, "strong", &texts, let_through), queue);
    let notices = ran.lock_notices();
    let start = "try 1 of 50: taken back by gonogo: 1 session waited behind it, the first for ";
    assert!(notices.len() == 1 && notices[0].starts_with(start), "{notices:?}");
    assert!(notices[0].contains(" in statement 2; the transaction was rolled back"), "{notices:?}");
    assert_eq!(ran.facts().rows, Some(1));
}

#[tokio::test]
async fn the_operator_ends_the_pause_between_two_tries() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open_with(cluster, &db, |spec| spec.lock_timeout = Duration::from_millis(100)).await;
    let holder = App::start(cluster, &db, "billing", "begin; lock table orders");
    let stop = CancellationToken::new();
    let statements = script(&["alter table orders add a int"]);
    let hear = async |chunk: &Chunk| {
        if lock_notice(chunk).is_some() {
            stop.cancel();
        }
    };
    let ran = run_heard(&target, job("pause", &statements, true), stop.clone(), |_| Ok(None), hear).await;
    let fault = ran.failed();
    assert_eq!((fault.summary.as_str(), fault.effect, fault.sqlstate.as_deref()), ("cancelled", Effect::None, None));
    assert_eq!(fault.safe, "the transaction was rolled back, nothing changed");
    assert_eq!(
        fault.detail.as_deref(),
        Some("it was between try 1 and the next of 50; before: ERROR: canceling statement due to lock timeout (55P03)")
    );
    assert_eq!(ran.lock_notices().len(), 1);
    holder.leave();
}

/// The server's code is 57014 each time; only what we ourselves ended is tried again.
#[tokio::test]
async fn causes_of_a_cancelled_statement_are_told_apart() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open_with(cluster, &db, |spec| spec.statement_timeout = Duration::from_secs(1)).await;
    let texts = ["lock table orders in access exclusive mode", "select pg_sleep(3600)"];
    let ran = run(&target, &texts).await;
    assert_eq!(ran.failed().summary, "ERROR: canceling statement due to statement timeout");
    assert_eq!((ran.failed().sqlstate.as_deref(), ran.lock_notices().len()), (Some("57014"), 0));

    let target = open_with(cluster, &db, |_| ()).await;
    let statements = script(&texts);
    let limited = SqlJob { timeout: Some(Duration::from_secs(1)), ..job("limit", &statements, true) };
    let ran = run_judged(&target, limited, CancellationToken::new(), |_| Ok(None)).await;
    assert_eq!((ran.failed().summary.as_str(), ran.lock_notices().len()), ("timed out after 1s", 0));

    let target = open_with(cluster, &db, |spec| {
        spec.max_blocked.lasting = Duration::from_millis(100);
        spec.lock_tries = 1;
    })
    .await;
    let queue = async {
        let sleeps = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 step' \
                      and wait_event = 'PgSleep' and datname = current_database()";
        until(cluster, &db, sleeps, "1").await;
        reader(cluster, &db)
    };
    let (ran, reader) = tokio::join!(run(&target, &texts), queue);
    let fault = ran.failed();
    assert!(fault.summary.starts_with("taken back by gonogo: 1 session waited behind it, "), "{fault:?}");
    assert_eq!((fault.sqlstate.as_deref(), fault.effect, fault.statement), (Some("57014"), Effect::None, Some(2)));
    assert!(fault.hint.as_deref().unwrap().starts_with("this was the only try of 1 (lock_tries). Retry at a quieter"));
    assert!(reader.join().unwrap().0);
}

#[tokio::test]
async fn by_itself_only_what_left_nothing_behind_is_tried_again() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int); create table other (id int)");
    let target = open_with(cluster, &db, |spec| spec.lock_timeout = Duration::from_millis(300)).await;
    // It waits for an old snapshot after it has begun to build: what it left is looked at, and it is not tried again.
    let old = App::start(cluster, &db, "report", "begin isolation level repeatable read; select count(*) from other");
    let ran = run_direct(&target, &["create index concurrently orders_id on orders (id)"]).await;
    assert_eq!((ran.failed().sqlstate.as_deref(), ran.failed().effect), (Some("55P03"), Effect::Possible));
    assert_eq!(ran.failed().residue, ["drop index concurrently if exists public.orders_id"]);
    assert_eq!(ran.lock_notices().len(), 0);
    old.leave();
    let holder = App::start(cluster, &db, "billing", "begin; lock table orders");
    // It did not even begin to build, and that was looked at: it may be tried again.
    let twice = open_with(cluster, &db, |spec| {
        spec.lock_timeout = Duration::from_millis(300);
        spec.lock_tries = 2;
    });
    let ran = run_direct(&twice.await, &["create index concurrently by_id on orders (id)"]).await;
    assert_eq!((ran.failed().sqlstate.as_deref(), ran.failed().effect), (Some("55P03"), Effect::None));
    assert!(ran.failed().safe.starts_with("nothing of it is left"), "{}", ran.failed().safe);
    assert_eq!(ran.lock_notices().len(), 1);
    let ran = run_direct(&target, &["alter table other add a int", "alter table orders add a int"]).await;
    assert_eq!((ran.failed().statement, ran.failed().effect, ran.lock_notices().len()), (Some(2), Effect::Possible, 0));
    let statements = script(&["alter table orders add b int"]);
    let mut holder = Some(holder);
    let hear = async |chunk: &Chunk| {
        if lock_notice(chunk).is_some()
            && let Some(holder) = holder.take()
        {
            holder.leave();
        }
    };
    let ran = run_heard(&target, job("alone", &statements, false), CancellationToken::new(), |_| Ok(None), hear).await;
    assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
    assert!(ran.lock_notices()[0].contains("the only statement this attempt sent failed and was taken back"));
}

#[tokio::test]
async fn an_old_snapshot_that_holds_up_an_index_is_named() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int); create table other (id int)");
    let target = open_with(cluster, &db, |_| ()).await;
    let old = App::start(cluster, &db, "report", "begin isolation level repeatable read; select count(*) from other");
    let statements = script(&["create index concurrently orders_id on orders (id)"]);
    let look = async {
        let waits = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 index' \
                     and wait_event = 'virtualxid' and datname = current_database()";
        until(cluster, &db, waits, "1").await;
        let waiting = target.waiting("index").await;
        old.leave();
        waiting.unwrap()
    };
    let work = run_judged(&target, job("index", &statements, false), CancellationToken::new(), |_| Ok(None));
    let (ran, waiting) = tokio::join!(work, look);
    assert!(waiting.starts_with("lock: pid ") && waiting.contains("(postgres, report, "), "{waiting}");
    assert!(waiting.contains(" idle in transaction: "), "{waiting}");
    assert!(matches!(ran.outcome, Outcome::Done { .. }), "{:?}", ran.outcome);
}

#[tokio::test]
async fn progress_says_who_waits_behind_us() {
    let Some(cluster) = shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int)");
    let target = open_with(cluster, &db, |_| ()).await;
    let long = App::start(cluster, &db, "export", "begin; select count(*) from orders");
    let statements = script(&["alter table orders add a int", "select pg_sleep(3600)"]);
    let stop = CancellationToken::new();
    let says = async |wanted: &str| loop {
        match target.waiting("behind").await {
            Some(words) if words.contains(wanted) => return words,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let look = async {
        until(cluster, &db, &waits("gonogo r1 behind"), "1").await;
        let readers: Vec<_> = (0..2).map(|_| reader(cluster, &db)).collect();
        let both = says("; 2 sessions wait behind it, the first for ").await;
        assert!(both.starts_with("lock: pid ") && both.contains(", export, "), "{both}");
        // Now the lock is ours, and they wait for nobody else.
        long.leave();
        let ours = says("nobody; 2 sessions wait behind it, the first for ").await;
        assert!(ours.ends_with(" s"), "{ours}");
        stop.cancel();
        readers
    };
    let work = run_judged(&target, job("behind", &statements, true), stop.clone(), |_| Ok(None));
    let (ran, readers) = tokio::join!(work, look);
    assert_eq!(ran.failed().summary, "cancelled");
    for reader in readers {
        assert!(reader.join().unwrap().0);
    }
    assert_eq!(target.waiting("behind").await, None);
}
