//! Outside of a transaction: whatever ends the engine, the next one says what became of the statement, by what the database
//! shows; what is left behind is cleared away by a retry.

use std::process::Stdio;
use std::time::Duration;

use gonogo::run::command::CommandVerb;
use gonogo::run::event::{HoldCause, Resolved};
use gonogo::run::facts::Effect;
use gonogo::run::{Attempt, Direction, Event, Outcome};
use support::headless::Desk;
use support::postgres::Cluster;

use super::story::{Voice, entries, fault, first, outcome, started};
use super::{book, desk_with_database};

const BUILD: &str = "create index concurrently by_name on t (name)";
const ARGS: [&str; 5] = ["run", "runbook.toml", "--headless", "--json", "--yes"];

/// A run whose first step builds an index, with a failpoint that ends it.
struct Site {
    desk: Desk,
    cluster: &'static Cluster,
    db: String,
}

impl Site {
    fn new(step: &str) -> Option<Self> {
        let (desk, cluster, db) = desk_with_database()?;
        cluster.psql(&db, "create table t (name text); insert into t select 'n' || n from generate_series(1, 5000) n");
        let rest = format!(
            "[[phase.step]]\nid = \"build\"\nsql = \"{BUILD}\"\ntransaction = \"none\"\n{step}\n\
             [[phase.step]]\nid = \"after\"\nsql = \"create table after ()\"\n"
        );
        desk.write("runbook.toml", &book(&rest));
        Some(Self { desk, cluster, db })
    }

    /// Runs until the failpoint ends it.
    fn run_into(&self, failpoint: &str) {
        let mut command = self.desk.command(&ARGS);
        command.env("GONOGO_FAILPOINT", failpoint).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(!command.status().unwrap().success());
    }

    fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.db, sql)
    }

    fn valid(&self) -> String {
        self.psql("select indisvalid from pg_index where indexrelid = to_regclass('by_name')")
    }

    /// A build that cannot end, killed with its engine: the server notices, and leaves an INVALID index behind.
    fn leave_invalid(&self) {
        let mut sleeper = self.cluster.psql_command(&self.db);
        sleeper.args(["-c", "begin isolation level repeatable read; select count(*) from t; select pg_sleep(3600)"]);
        let mut sleeper = sleeper.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let asleep =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
        self.cluster.until(&self.db, asleep, "1");
        self.run_into("target.direct.sent:kill");
        self.cluster.until(&self.db, "select count(*) from pg_index where indexrelid = to_regclass('by_name')", "1");
        // Its server finds out within seconds; a server that cannot is helped along.
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where datname = current_database() and application_name like 'gonogo % build'";
        self.psql(end);
        self.cluster.until(&self.db, end, "0");
        self.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                   and wait_event = 'PgSleep'",
        );
        sleeper.wait().unwrap();
        assert_eq!(self.valid(), "f");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_build_it_is_done() {
    let Some(site) = Site::new("") else { return };
    site.run_into("target.direct.after:kill");
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    let told = entries(&site.desk.run_dir()).await;
    assert_eq!(started(&told), ["build", "after"]);
    match outcome(&told, "build") {
        Outcome::Done { facts, .. } => {
            assert_eq!(facts.recovered.as_deref(), Some("index public.by_name is there, valid"));
        }
        other => panic!("{other:?}"),
    }
    site.desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_build_an_expectation_is_a_question() {
    let Some(site) = Site::new("expect = \"affected == 0\"") else { return };
    site.run_into("target.direct.after:kill");
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    let known = match outcome(&entries(&site.desk.run_dir()).await, "build") {
        Outcome::Unknown { known } => known,
        other => panic!("{other:?}"),
    };
    assert!(known.contains("index public.by_name is there, valid; whether it is as expected"), "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_first_statement_nothing_was_sent() {
    let Some(site) = Site::new("retries = 1") else { return };
    site.run_into("target.direct.before:kill");
    assert_eq!(site.valid(), "");
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    let told = entries(&site.desk.run_dir()).await;
    assert_eq!(started(&told), ["build", "build (attempt 2)", "after"]);
    let first_end = told.iter().find_map(|entry| match &entry.event {
        Event::StepEnded { outcome: Outcome::Failed { fault, .. }, .. } => Some(fault.clone()),
        _ => None,
    });
    let fault = first_end.unwrap();
    assert_eq!((fault.effect, fault.safe.as_str()), (Effect::None, "no statement was sent, nothing changed"));
    assert_eq!(site.valid(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_built_a_retry_clears_away_and_builds() {
    let Some(site) = Site::new("") else { return };
    site.leave_invalid();
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(4).says("INVALID");
    let folder = site.desk.run_dir();
    let told = entries(&folder).await;
    let left = fault(&told, "build");
    assert_eq!(
        (left.effect, left.residue.as_slice()),
        (Effect::Possible, &["drop index concurrently if exists public.by_name".to_owned()][..])
    );
    let engine = site.desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.ready().await;
    voice.say(CommandVerb::Retry { step: "build".into() }).await;
    engine.end().exits(0);
    let told = entries(&folder).await;
    let statements: Vec<Vec<String>> = told
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::StepStarted { resolved: Resolved::Sql { statements, .. }, .. } => {
                Some(statements.iter().map(|one| one.sql.clone()).collect())
            }
            _ => None,
        })
        .collect();
    assert_eq!(statements[1], ["drop index concurrently if exists public.by_name", BUILD]);
    assert_eq!(
        (started(&told), site.valid().as_str()),
        (vec!["build".into(), "build (attempt 2)".into(), "after".into()], "t")
    );
    site.desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_built_retries_of_the_runbook_do_the_same() {
    let Some(site) = Site::new("retries = 1") else { return };
    site.leave_invalid();
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(started(&entries(&site.desk.run_dir()).await), ["build", "build (attempt 2)", "after"]);
    assert_eq!(site.valid(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_left_is_not_cleared_away_by_itself() {
    let Some(site) = Site::new("retries = 3") else { return };
    site.leave_invalid();
    std::fs::remove_dir_all(site.desk.journal()).unwrap();
    site.desk.run(&ARGS).exits(4);
    let told = entries(&site.desk.run_dir()).await;
    assert_eq!(started(&told), ["build"], "only a person may have it dropped");
    assert!(fault(&told, "build").summary.starts_with("left by an earlier try"));
    assert_eq!(site.valid(), "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_left_is_ended_from_the_screen() {
    let Some(site) = Site::new("") else { return };
    site.run_into("target.direct.after:kill");
    let folder = site.desk.run_dir();
    let run = entries(&folder).await.iter().find_map(|entry| match &entry.event {
        Event::RunOpened(opened) => Some(opened.run.clone()),
        _ => None,
    });
    let mut left = site.cluster.psql_command(&site.db);
    left.env("PGAPPNAME", format!("gonogo {} build", run.unwrap())).args(["-c", "select pg_sleep(3600)"]);
    let mut left = left.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asleep = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    site.cluster.until(&site.db, asleep, "1");
    let engine = site.desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    let doubt = |event: &Event| matches!(event, Event::Held { cause: HoldCause::InDoubt { .. }, .. });
    voice.until("held in doubt", doubt).await;
    let known = match outcome(&entries(&folder).await, "build") {
        Outcome::Unknown { known } => known,
        other => panic!("{other:?}"),
    };
    for words in ["still has a session of it: pid ", "select pg_sleep(3600)", "by hand with select pg_cancel_backend("]
    {
        assert!(known.contains(words), "{known}");
    }
    let undo = Attempt { direction: Direction::Undo, ..first("build") };
    voice.say(CommandVerb::CancelLeftover { attempt: undo, terminate: false }).await;
    voice.until("refused", |event| matches!(event, Event::Refused { why, .. } if why.contains("not in doubt"))).await;
    voice.say(CommandVerb::CancelLeftover { attempt: first("build"), terminate: true }).await;
    // It ends, the doubt is decided, the hold is lifted and the run goes on, without another word.
    engine.end().exits(0);
    assert!(!left.wait().unwrap().success());
    let told = entries(&folder).await;
    assert!(matches!(outcome(&told, "build"), Outcome::Done { .. }));
    let said = |event: &Event| match event {
        Event::Output { chunk: gonogo::run::Chunk::Notice { text, .. }, .. } => text.contains("was told to end: pid"),
        _ => false,
    };
    assert!(told.iter().any(|entry| said(&entry.event)));
    assert_eq!(started(&told), ["build", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_is_decided_by_the_same_engine() {
    let Some(site) = Site::new("") else { return };
    site.run_into("target.direct.before:kill");
    site.desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
    let folder = site.desk.run_dir();
    let mut engine = site.desk.command(&["engine", folder.to_str().unwrap()]);
    engine.env("GONOGO_FAILPOINT", "target.direct.sent:error").stdout(Stdio::null()).stderr(Stdio::null());
    let mut engine = engine.spawn().unwrap();
    let mut voice = Voice::at(&folder).await;
    voice.ready().await;
    voice.say(CommandVerb::Retry { step: "build".into() }).await;
    let unknown = |event: &Event| matches!(event, Event::StepEnded { outcome: Outcome::Unknown { .. }, .. });
    let unknown = voice.until("in doubt", unknown).await;
    let decided = |event: &Event| {
        matches!(event, Event::StepEnded { outcome: Outcome::Done { .. } | Outcome::Failed { .. }, .. })
    };
    voice.until_after(unknown.seq, "decided", decided).await;
    assert!(matches!(outcome(&entries(&folder).await, "build"), Outcome::Done { .. }));
    let ended = tokio::task::spawn_blocking(move || engine.wait().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
    assert!(ended.success());
    assert_eq!(site.valid(), "t");
}
