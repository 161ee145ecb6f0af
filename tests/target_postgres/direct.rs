//! Outside of a transaction, against a real server: what is looked for before a statement goes, what a failure leaves,
//! and what the catalogue tells afterwards.

use std::process::{Child, Stdio};
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use gonogo::run::event::Direct;
use gonogo::run::facts::{Effect, Probed};
use gonogo::run::{Attempt, Direction};
use gonogo::target::{Key, LedgerEntry, Ruling, Witness};
use support::postgres::shared;

use super::*;

/// A journal that keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<Chunk>>);

impl Witness for Told {
    fn witness(&self, chunk: Chunk) -> BoxFuture<'_, Result<(), String>> {
        self.0.lock().unwrap().push(chunk);
        Box::pin(async { Ok(()) })
    }
}

impl Told {
    fn probed(&self) -> Option<Probed> {
        self.0.lock().unwrap().iter().find_map(|chunk| match chunk {
            Chunk::Probed(probed) => Some(probed.clone()),
            _ => None,
        })
    }
}

/// A database with a table of many rows, and a second hand on it.
struct Bench {
    cluster: &'static Cluster,
    db: String,
    target: Target,
}

impl Bench {
    async fn new() -> Option<Self> {
        let cluster = shared()?;
        let db = cluster.create_db();
        cluster.psql(
            &db,
            "create schema app; create table app.t (id int, name text, gone timestamptz); \
             insert into app.t select n, 'n' || n from generate_series(1, 1000) n; create table plain (id int); \
             create type mood as enum ('ok')",
        );
        let target = open(cluster, &db).await;
        Some(Self { cluster, db, target })
    }

    fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.db, sql)
    }

    async fn attempt(&self, n: u32, direct: &Direct, texts: &[&str]) -> (Ran, Option<Probed>) {
        let told = Told::default();
        let key =
            Key { run: "r1".to_owned(), attempt: Attempt { step: "step".into(), direction: Direction::Forward, n } };
        let entry = LedgerEntry { key, seq: 1, head: String::new() };
        let statements = script(texts);
        let job = SqlJob { direct, entry: Some(&entry), witness: Some(&told), ..job("step", &statements, false) };
        let ran = run_judged(&self.target, job, CancellationToken::new(), |_| Ok(None)).await;
        (ran, told.probed())
    }

    /// The attempt that is not the first, and has these statements to clear away first.
    async fn retry(&self, residue: &[String], texts: &[&str]) -> Ran {
        let direct = Direct { cleaning: u32::try_from(residue.len()).unwrap(), ..Direct::default() };
        let all: Vec<&str> = residue.iter().map(String::as_str).chain(texts.iter().copied()).collect();
        self.attempt(2, &direct, &all).await.0
    }

    async fn rule(&self, texts: &[&str], before: &[Option<String>]) -> Ruling {
        self.target.rule(&script(texts), &Direct::default(), before).await.unwrap()
    }

    /// A session that keeps an old snapshot: a concurrent build has to wait for it.
    fn snapshot(&self) -> Open {
        self.open("begin isolation level repeatable read; select count(*) from app.t; select pg_sleep(3600)", "PgSleep")
    }

    /// A session that runs this until it is ended, and is there when this returns.
    fn open(&self, sql: &str, waits: &str) -> Open {
        let mut psql = self.cluster.psql_command(&self.db);
        psql.env("PGAPPNAME", "other").args(["-c", sql]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = psql.spawn().unwrap();
        let there = format!(
            "select count(*) > 0 from pg_stat_activity where application_name = 'other' \
             and datname = current_database() and wait_event = '{waits}'"
        );
        self.cluster.until(&self.db, &there, "t");
        Open { child }
    }

    /// Leaves an INVALID index behind: a build that waits for an old snapshot is cancelled.
    fn invalid(&self, sql: &str) {
        let snapshot = self.snapshot();
        let build = self.open(sql, "virtualxid");
        self.psql(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'virtualxid' \
                   and datname = current_database()",
        );
        build.end();
        self.release();
        snapshot.end();
    }

    /// Ends the sessions that keep a snapshot.
    fn release(&self) {
        self.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' \
                   and datname = current_database()",
        );
    }

    fn is_valid(&self, index: &str) -> String {
        self.psql(&format!("select indisvalid from pg_index where indexrelid = to_regclass('{index}')"))
    }
}

struct Open {
    child: Child,
}

impl Open {
    fn end(mut self) {
        self.child.wait().unwrap();
    }
}

fn open_words(ruling: Ruling) -> String {
    match ruling {
        Ruling::Open(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_index_that_is_there_is_not_built_again() {
    let Some(bench) = Bench::new().await else { return };
    let create = ["create index concurrently by_name on app.t (name, id desc) where gone is null and id > 1"];
    let (ran, probed) = bench.attempt(1, &Direct::default(), &create).await;
    ran.facts();
    let probed = probed.unwrap();
    assert!(probed.session.is_some_and(|(pid, born)| pid > 0 && born.starts_with("20")));
    assert_eq!(probed.before, [Some("absent".to_owned())]);
    // The server writes the predicate in its own way; that it was not there before decides.
    let done = bench.rule(&create, &probed.before).await;
    assert_eq!(done, Ruling::Done("index app.by_name is there, valid".to_owned()));
    assert!(
        open_words(bench.rule(&create, &[None]).await).contains("whether its definition is the same cannot be told")
    );
    for again in [create[0].to_owned(), create[0].replace("by_name", "if not exists by_name")] {
        let (ran, probed) = bench.attempt(2, &Direct::default(), &[&again]).await;
        assert!(ran.failed().summary.starts_with("something is in the way: index app.by_name is there"), "{again}");
        assert_eq!((ran.failed().effect, probed), (Effect::None, None));
    }
    let simple = "create unique index concurrently if not exists \"By Id\" on only app.t (id)";
    bench.attempt(1, &Direct::default(), &[simple]).await.0.facts();
    let (ran, probed) = bench.attempt(1, &Direct::default(), &[simple]).await;
    assert_eq!(ran.failed().summary, "already there: index app.\"By Id\" is there, valid");
    assert_eq!((ran.failed().safe.as_str(), probed), ("no statement was sent, nothing changed", None));
    let other = "create index concurrently if not exists \"By Id\" on app.t (id)";
    let ran = bench.attempt(1, &Direct::default(), &[other]).await.0;
    assert!(
        ran.failed().summary.contains("is there with another definition: CREATE UNIQUE INDEX"),
        "{:?}",
        ran.outcome
    );
    let elsewhere = "create index concurrently plain on plain (id)";
    let ran = bench.attempt(1, &Direct::default(), &[elsewhere]).await.0;
    assert!(ran.failed().summary.ends_with("public.plain is there, and is no index of \"plain\""));
    let absent = bench.rule(&["create index concurrently x on app.t (id)"], &[None]).await;
    assert!(matches!(absent, Ruling::NotDone(_)), "{absent:?}");
}

#[tokio::test]
async fn an_invalid_index_is_residue_and_a_retry_drops_it_first() {
    let Some(bench) = Bench::new().await else { return };
    bench.invalid("create index concurrently by_name on app.t (name)");
    assert_eq!(bench.is_valid("app.by_name"), "f");
    for sql in [
        "create index concurrently by_name on app.t (name)",
        "create index concurrently if not exists by_name on app.t (name)",
    ] {
        let (ran, probed) = bench.attempt(1, &Direct::default(), &[sql]).await;
        let fault = ran.failed();
        assert_eq!(fault.summary, "left by an earlier try: index app.by_name is there, but INVALID");
        assert_eq!(fault.residue, ["drop index concurrently if exists app.by_name"]);
        assert_eq!((fault.effect, probed), (Effect::None, None), "it was found, not made");
    }
    let residue = vec!["drop index concurrently if exists app.by_name".to_owned()];
    let sql = ["create index concurrently by_name on app.t (name)"];
    let ran = bench.retry(&residue, &sql).await;
    assert_eq!(ran.facts().notices, Vec::<String>::new());
    assert_eq!(bench.is_valid("app.by_name"), "t");
    // Somebody else mended it meanwhile: it is not dropped.
    let ran = bench.retry(&residue, &sql).await;
    assert!(ran.failed().summary.starts_with("already there"));
    assert_eq!(bench.is_valid("app.by_name"), "t");
}

#[tokio::test]
async fn a_failed_build_says_what_it_left() {
    let Some(bench) = Bench::new().await else { return };
    bench.psql("insert into app.t values (1, 'again')");
    let sql = ["create index concurrently a on app.t (name)", "create unique index concurrently b on app.t (id)"];
    let (ran, probed) = bench.attempt(1, &Direct::default(), &sql).await;
    let fault = ran.failed();
    assert_eq!((fault.statement, fault.sqlstate.as_deref()), (Some(2), Some("23505")));
    assert_eq!(
        (fault.effect, fault.residue.as_slice()),
        (Effect::Possible, &["drop index concurrently if exists app.b".to_owned()][..])
    );
    assert!(
        fault.safe.starts_with("1 of 2 done: index app.a is there, valid; index app.b is there, but INVALID"),
        "{}",
        fault.safe
    );
    assert_eq!(probed.unwrap().before.len(), 2);
    bench.psql("delete from app.t where name = 'again'");
    let residue = fault.residue.clone();
    let ran = bench.retry(&residue, &sql).await;
    ran.facts();
    let left_out = "statement 2 is left out: index app.a is there, valid";
    let said = |chunk: &Chunk| matches!(chunk, Chunk::Notice { text, .. } if text == left_out);
    assert!(ran.chunks.iter().any(said), "{:?}", ran.chunks);
    assert_eq!((bench.is_valid("app.a"), bench.is_valid("app.b")), ("t".to_owned(), "t".to_owned()));
    // Nothing is left of a statement that is refused at once.
    let (ran, _) = bench.attempt(1, &Direct::default(), &["create index concurrently c on app.t (nope)"]).await;
    assert_eq!((ran.failed().effect, ran.failed().residue.len()), (Effect::None, 0));
    assert!(ran.failed().safe.starts_with("nothing of it is left: there is no index c"), "{}", ran.failed().safe);
}

#[tokio::test]
async fn somebody_elses_build_is_not_touched() {
    let Some(bench) = Bench::new().await else { return };
    let snapshot = bench.snapshot();
    let build = bench.open("create index concurrently by_name on app.t (name)", "virtualxid");
    let sql = ["create index concurrently if not exists by_name on app.t (name)"];
    let (ran, probed) = bench.attempt(1, &Direct::default(), &sql).await;
    assert!(ran.failed().summary.starts_with("index app.by_name is being built by pid "), "{:?}", ran.outcome);
    assert_eq!((ran.failed().residue.len(), probed), (0, None));
    let ran = bench.retry(&["drop index concurrently if exists app.by_name".to_owned()], &sql).await;
    assert!(ran.failed().summary.contains("is being built by pid"), "{:?}", ran.outcome);
    assert!(open_words(bench.rule(&sql, &[Some("absent".to_owned())]).await).contains("is being built"));
    // A role that may not see who builds sees the lock.
    bench.psql("create role modest login; grant usage on schema app to modest");
    let modest = open_url(bench.cluster.url(&bench.db).replace("postgres@", "modest@")).await.unwrap();
    let ruling = modest.rule(&script(&sql), &Direct::default(), &[None]).await.unwrap();
    assert!(matches!(&ruling, Ruling::Open(why) if why.contains("pid")), "{ruling:?}");
    bench.psql("drop owned by modest; drop role modest");
    bench.release();
    snapshot.end();
    build.end();
    assert_eq!(bench.is_valid("app.by_name"), "t");
}

#[tokio::test]
async fn a_drop_is_done_where_the_index_is_gone() {
    let Some(bench) = Bench::new().await else { return };
    bench.psql("create index by_name on app.t (name)");
    let drop = ["drop index concurrently app.by_name"];
    assert!(matches!(bench.rule(&drop, &[None]).await, Ruling::NotDone(_)));
    let snapshot = bench.snapshot();
    // It waits for sessions that may still use the index, and is cancelled.
    let dropping = bench.open("drop index concurrently app.by_name", "virtualxid");
    assert!(open_words(bench.rule(&drop, &[None]).await).contains("pid"));
    bench.psql(
        "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'virtualxid' \
                and datname = current_database()",
    );
    dropping.end();
    bench.release();
    snapshot.end();
    assert_eq!(bench.is_valid("app.by_name"), "f");
    let half = bench.rule(&drop, &[None]).await;
    assert!(matches!(&half, Ruling::Part { what, cleanup } if what.contains("half dropped") && cleanup.is_empty()));
    let (ran, probed) = bench.attempt(2, &Direct::default(), &drop).await;
    ran.facts();
    assert!(matches!(bench.rule(&drop, &probed.unwrap().before).await, Ruling::Done(_)));
    let ran = bench.attempt(1, &Direct::default(), &drop).await.0;
    assert_eq!(ran.failed().summary, "already there: there is no index \"app\".\"by_name\"");
    bench.attempt(1, &Direct::default(), &["drop index concurrently if exists app.by_name"]).await.0.facts();
}

#[tokio::test]
async fn a_rebuild_is_told_by_the_files() {
    let Some(bench) = Bench::new().await else { return };
    bench.psql("create index by_name on app.t (name); create index by_id on app.t (id)");
    for sql in [["reindex table concurrently app.t"], ["reindex (verbose) index concurrently app.by_id"]] {
        let (ran, probed) = bench.attempt(1, &Direct::default(), &sql).await;
        ran.facts();
        let before = probed.unwrap().before;
        let done = bench.rule(&sql, &before).await;
        assert!(matches!(&done, Ruling::Done(what) if what.contains("rebuilt")), "{done:?}");
        let (_, now) = bench.attempt(1, &Direct::default(), &["reindex index concurrently app.by_name"]).await;
        assert_ne!(now.unwrap().before, before);
    }
    let sql = ["reindex index concurrently app.by_id"];
    let before = bench.psql("select relfilenode || ' app.by_id' from pg_class where relname = 'by_id'");
    assert!(matches!(bench.rule(&sql, &[Some(before.clone())]).await, Ruling::NotDone(_)));
    bench.invalid("reindex index concurrently app.by_id");
    let half = bench.rule(&sql, &[Some(before)]).await;
    let Ruling::Part { cleanup, .. } = half else { panic!("{half:?}") };
    assert_eq!(cleanup, ["drop index concurrently if exists app.by_id_ccnew"]);
    assert_eq!(bench.attempt(1, &Direct::default(), &sql).await.0.failed().residue, cleanup);
    bench.retry(&cleanup, &sql).await.facts();
    assert_eq!(bench.psql("select count(*) from pg_index where not indisvalid"), "0");
}

#[tokio::test]
async fn a_vacuum_may_be_run_again() {
    let Some(bench) = Bench::new().await else { return };
    for sql in ["vacuum full app.t", "vacuum (analyze) app.t", "vacuum"] {
        let (ran, probed) = bench.attempt(1, &Direct::default(), &[sql]).await;
        ran.facts();
        let ruling = bench.rule(&[sql], &probed.unwrap().before).await;
        match sql {
            "vacuum full app.t" => assert!(matches!(ruling, Ruling::Done(_)), "{ruling:?}"),
            // The statistics may come late.
            _ => assert!(matches!(ruling, Ruling::Done(_) | Ruling::NotDone(_)), "{ruling:?}"),
        }
    }
}

#[tokio::test]
async fn a_value_of_a_type() {
    let Some(bench) = Bench::new().await else { return };
    let sql = ["alter type mood add value 'it''s' after 'ok'"];
    assert!(matches!(bench.rule(&sql, &[None]).await, Ruling::NotDone(_)));
    bench.attempt(1, &Direct::default(), &sql).await.0.facts();
    assert!(matches!(bench.rule(&sql, &[None]).await, Ruling::Done(_)));
    let ran = bench.attempt(1, &Direct::default(), &sql).await.0;
    assert_eq!(ran.failed().summary, "already there: type \"mood\" has the value it's");
    let again = "alter type public.mood add value if not exists 'it''s'";
    bench.attempt(1, &Direct::default(), &[again]).await.0.facts();
}

#[tokio::test]
async fn the_steps_own_probe_and_cleanup() {
    let Some(bench) = Bench::new().await else { return };
    let own = |question: &str| Direct {
        fixing: 0,
        question: Some(question.to_owned()),
        cleanup: script(&["truncate plain"]),
        cleaning: 0,
    };
    let three = own("select count(*) = 3 from plain");
    let sql = ["insert into plain values (1), (2)", "insert into plain select 1 / (count(*) - 2) from plain"];
    let (ran, _) = bench.attempt(1, &three, &sql).await;
    assert_eq!(
        (ran.failed().effect, ran.failed().residue.as_slice()),
        (Effect::Possible, &["truncate plain".to_owned()][..])
    );
    let part = bench.target.rule(&script(&sql), &three, &[]).await.unwrap();
    assert!(matches!(&part, Ruling::Part { cleanup, .. } if cleanup == &["truncate plain"]), "{part:?}");
    // What clears away brings no facts home.
    let direct = Direct { cleaning: 2, ..three.clone() };
    let all = ["truncate plain", "select 42", "insert into plain values (1), (2), (3)"];
    let ran = bench.attempt(2, &direct, &all).await.0;
    assert_eq!((ran.facts().affected, &ran.facts().value), (Some(3), &None));
    assert!(matches!(bench.target.rule(&script(&sql), &three, &[]).await.unwrap(), Ruling::Done(_)));
    let ran = bench.attempt(1, &three, &sql).await.0;
    assert!(ran.failed().summary.starts_with("already there: its probe says"));
    for (question, words) in [
        ("select nope", "column \"nope\" does not exist"),
        ("select 'perhaps'", "perhaps, which is neither true nor false"),
        ("select null::bool", "NULL"),
        ("with x as (select nextval('s')) select true", "does not exist"),
    ] {
        let (ran, probed) = bench.attempt(1, &own(question), &sql).await;
        assert!(matches!(ran.outcome, Outcome::Broke { .. }));
        assert!(ran.fault().summary.contains(words), "{}", ran.fault().summary);
        assert_eq!(probed, None);
        let ruling = bench.target.rule(&script(&sql), &own(question), &[]).await.unwrap();
        assert!(open_words(ruling).contains("cannot be asked"));
    }
    assert_eq!(bench.psql("select count(*) from plain"), "3");
    // Without a probe of any kind it goes as ever.
    bench.attempt(1, &Direct::default(), &["insert into plain values (4)"]).await.0.facts();
    assert!(!bench.target.can_tell(&script(&["insert into plain values (4)"]), &Direct::default()));
}
