//! Who may work on a database: two engines on one, take-overs, marks, swapped URLs, cut journals, and the ledger's commands.

use std::collections::BTreeMap;

use gonogo::run::event::{Grip, HoldCause, Proof, Rehearsed};
use gonogo::run::{CommandVerb, Event};
use gonogo::runbook::StepId;
use support::headless::{Ran, Running};
use support::postgres::Cluster;

use super::story::{Voice, parsed, started};
use super::{book, desk, desk_with_database};

const HEADLESS: [&str; 3] = ["--headless", "--json", "--yes"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

fn held(ran: &Ran) -> Vec<HoldCause> {
    let entries = parsed(&ran.out);
    let causes = entries.into_iter().filter_map(|entry| match entry.event {
        Event::Held { cause, .. } => Some(cause),
        _ => None,
    });
    causes.collect()
}

fn lost(ran: &Ran) -> String {
    let held = held(ran);
    match held.first() {
        Some(HoldCause::Target { error, .. }) => error.clone(),
        other => panic!("not held for its target: {other:?}\n{}", ran.out),
    }
}

fn grip(ran: &Ran) -> Grip {
    let mut grips = parsed(&ran.out).into_iter().filter_map(|entry| match entry.event {
        Event::TargetSeen { grip, .. } => Some(grip),
        _ => None,
    });
    grips.next_back().unwrap()
}

/// A step that ends once the gate is open.
const WAITS: &str = "[[phase.step]]\nid = \"wait\"\nsql = \"do $$ begin loop exit when (select open from gate); \
                     perform pg_sleep(0.02); end loop; end $$\"\nundo = \"none needed\"\n";
const ACTS: &str = "[[phase.step]]\nid = \"act\"\nsql = \"insert into done values (1)\"\nundo = \"none needed\"\n";

fn gate(cluster: &Cluster, db: &str) {
    cluster.psql(db, "create table gate (open bool); insert into gate values (false); create table done (n int)");
}

#[test]
fn two_engines_on_one_database() {
    let Some((one, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    let two = desk().with("DB", cluster.url(&db));
    one.write("runbook.toml", &book(WAITS));
    two.write("runbook.toml", &book(ACTS));
    let running = one.start(&with(&["run", "runbook.toml"], &HEADLESS));
    running.says("step_started");
    let refused = two.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    let why = lost(&refused);
    assert!(why.contains("another owner is at work") && why.contains("guard, user postgres"), "{why}");
    assert!(started(&parsed(&refused.out)).is_empty());
    // Whoever works is told apart from who waits: nothing of theirs was touched.
    cluster.psql(&db, "update gate set open = true");
    let ran = running.end().exits(0);
    assert!(matches!(grip(&ran), Grip { proof: Proof::Weaker { .. }, guarded: true, .. }));
    two.run(&with(&["resume", "last"], &HEADLESS)).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) from done"), "1");
}

#[test]
fn a_run_that_died_keeps_its_database_until_somebody_takes_it_over() {
    let Some((one, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    let two = desk().with("DB", cluster.url(&db));
    // A person's answer is awaited: no session works when the engine dies.
    let asks = "[[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n";
    one.write("runbook.toml", &book(&format!("{asks}{ACTS}")).replace("url = ", "ledger = \"create\", url = "));
    two.write("runbook.toml", &book(ACTS));
    let running = one.start(&["run", "runbook.toml", "--headless", "--json"]);
    running.says("target_seen");
    let ran = running.kill();
    assert!(ran.out.contains("ledger_created"), "{}", ran.out);
    assert_eq!((grip(&ran).proof, grip(&ran).epoch), (Proof::Ledger, Some(1)));
    let refused = two.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    assert!(
        matches!(&held(&refused)[0], HoldCause::Owned { owner, .. } if owner.contains("has not ended")),
        "{}",
        refused.out
    );
    // Nor does one pass by that wants no ledger of its own.
    let never = desk().with("DB", cluster.url(&db));
    never.write("runbook.toml", &book(ACTS).replace("url = ", "ledger = \"never\", url = "));
    let refused = never.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    assert!(matches!(&held(&refused)[0], HoldCause::Owned { owner, .. } if owner.contains("has not ended")));
    assert_eq!(cluster.psql(&db, "select count(*) from done"), "0");
    let wrong = two.run(&with(&["resume", "last", "--take-over", "nosuch"], &HEADLESS)).exits(6);
    assert!(wrong.out.contains("is not the name of the target's database"), "{}", wrong.out);
    let taken = two.run(&with(&["resume", "last", "--take-over", &db], &HEADLESS)).exits(0);
    assert!(taken.out.contains("\"kind\":\"taken_over\""), "{}", taken.out);
    assert_eq!(cluster.psql(&db, "select count(*) from done"), "1");
    // The old run is told, and gets it back only by word.
    let old = one.run(&with(&["resume", "last"], &HEADLESS)).exits(4);
    let Some(HoldCause::Owned { owner, .. }) = held(&old).into_iter().next_back() else { panic!("{}", old.out) };
    assert!(owner.contains("taken from this run by ") && owner.contains(" at 20"), "{owner}");
    one.run(&with(&["resume", "last", "--take-over", &db], &HEADLESS)).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) from gonogo.run where ended is null"), "0");
    assert_eq!(cluster.psql(&db, "select max(epoch) from gonogo.run"), "3");
}

#[test]
fn a_mark_of_another_environment_is_refused() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    desk.write("runbook.toml", &book(ACTS));
    desk.run(&["ledger", "create", "runbook.toml"]).exits(2).says("say --yes");
    desk.run(&["ledger", "create", "runbook.toml", "--yes"]).exits(0).says("create table gonogo.attempt");
    desk.run(&["ledger", "show", "runbook.toml"]).exits(0).says("marked as test").says("has ended");
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(0);
    desk.write("other.toml", &book(ACTS).replace("environments.test", "environments.production"));
    let refused = desk.run(&with(&["run", "other.toml"], &HEADLESS)).exits(4);
    let why = lost(&refused);
    assert!(why.contains("marked as test") && why.contains("the run is in production"), "{why}");
    assert_eq!(cluster.psql(&db, "select count(*) from done"), "1");
}

#[test]
fn a_ledger_is_not_dropped_under_a_run() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    desk.write("runbook.toml", &book(WAITS).replace("url = ", "ledger = \"create\", url = "));
    let running = desk.start(&with(&["run", "runbook.toml"], &HEADLESS));
    running.says("step_started");
    desk.run(&["ledger", "drop", "runbook.toml", "--yes"]).exits(6).says("have not ended").says("--force");
    desk.run(&["ledger", "show", "runbook.toml"]).exits(0).says("not ended");
    cluster.psql(&db, "update gate set open = true");
    running.end().exits(0);
    desk.run(&["ledger", "drop", "runbook.toml", "--yes"]).exits(0).says("drop schema gonogo cascade");
    desk.run(&["ledger", "show", "runbook.toml"]).exits(0).says("no ledger").says("create schema gonogo");
}

#[test]
fn swapped_urls_and_moved_databases_are_refused() {
    let Some((desk, cluster, staging)) = desk_with_database() else { return };
    let production = cluster.create_db();
    for db in [&staging, &production] {
        gate(cluster, db);
    }
    let text = book(ACTS).replace(
        "[environments.test]",
        "[environments.prod]\ntargets.main = { url = \"env:PROD\" }\n\n[environments.test]",
    );
    desk.write("runbook.toml", &text);
    let desk = desk.with("PROD", cluster.url(&production));
    for env in ["test", "prod"] {
        desk.run(&with(&["run", "runbook.toml", "--env", env], &HEADLESS)).exits(0);
    }
    desk.run(&["targets", "list"]).exits(0).says("journey, prod: main is ");
    let desk = desk.with("PROD", cluster.url(&staging));
    let why = lost(&desk.run(&with(&["run", "runbook.toml", "--env", "prod"], &HEADLESS)).exits(4));
    assert!(why.contains("is known as main of environment test") && why.contains("the run is in prod"), "{why}");
    assert!(why.contains("gonogo targets forget journey --env test"), "{why}");
    let elsewhere = cluster.create_db();
    gate(cluster, &elsewhere);
    let desk = desk.with("PROD", cluster.url(&elsewhere));
    let run = |code| desk.run(&with(&["run", "runbook.toml", "--env", "prod"], &HEADLESS)).exits(code);
    let why = lost(&run(4));
    assert!(why.contains(&format!("database was {production}, is {elsewhere}")), "{why}");
    desk.run(&["targets", "forget", "journey", "--env", "prod"]).exits(0).says("forgotten: journey, prod");
    run(0);
    desk.run(&["targets", "forget", "nosuch"]).exits(2).says("nothing is known");
}

#[test]
fn a_journal_that_was_cut_is_refused() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    let asks = "[[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n";
    desk.write("runbook.toml", &book(&format!("{asks}{ACTS}")).replace("url = ", "ledger = \"create\", url = "));
    desk.run(&["run", "runbook.toml", "--headless", "--json"]).exits(4);
    // What the ledger would know, had the journal gone on and been cut to what it is now.
    let knows = "insert into gonogo.attempt (run, step, direction, n, status, epoch, seq, head) \
                 select run, 'act', 'forward', 1, 'done', 1, 44, 'ff' from gonogo.run";
    cluster.psql(&db, knows);
    let refused = desk.run(&with(&["resume", "last"], &HEADLESS)).exits(4);
    let why = held(&refused).into_iter().find_map(|cause| match cause {
        HoldCause::Target { error, .. } => Some(error),
        _ => None,
    });
    let why = why.unwrap();
    assert!(why.contains("the journal ends at entry ") && why.contains("the target's ledger knows 44"), "{why}");
    assert!(!started(&parsed(&refused.out)).contains(&"act".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_guard_holds_the_run_and_going_on_claims_anew() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    let asks = "[[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n";
    desk.write("runbook.toml", &book(&format!("{asks}{ACTS}")).replace("url = ", "ledger = \"create\", url = "));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json"]).exits(4);
    assert_eq!(grip(&ran).epoch, Some(1));
    let running = Running::spawn(desk.command(&["engine", desk.run_dir().to_str().unwrap()]));
    let mut voice = Voice::at(&desk.run_dir()).await;
    let before = voice
        .until("the second claim", |event| matches!(event, Event::TargetSeen { grip, .. } if grip.epoch == Some(2)));
    let before = before.await.seq;
    // It was held when its first engine left.
    voice.say(CommandVerb::Release).await;
    voice.until_after(before, "the run goes on", |event| matches!(event, Event::Released { .. })).await;
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                where datname = current_database() and application_name like '%guard%'";
    assert_eq!(cluster.psql(&db, kill), "1");
    let held = voice
        .until_after(before, "held for its target", |event| {
            matches!(event, Event::Held { cause: HoldCause::Target { error, .. }, .. } if error.contains("was lost"))
        })
        .await;
    voice.say(CommandVerb::Release).await;
    let third = |event: &Event| matches!(event, Event::TargetSeen { grip, .. } if grip.epoch == Some(3));
    voice.until_after(held.seq, "the third claim", third).await;
    voice.say(CommandVerb::Tick { step: "look".into(), item: 0, answer: None }).await;
    voice.until("the end", |event| matches!(event, Event::RunEnded { .. })).await;
    running.end().exits(0);
    assert_eq!(cluster.psql(&db, "select epoch, ended is not null from gonogo.run"), "3|t");
}

#[test]
fn a_crash_at_every_point_of_a_claim_leaves_a_run_that_goes_on() {
    for (point, epoch) in [("guard.locked", "1"), ("guard.claimed", "2"), ("known.rename", "2")] {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        gate(cluster, &db);
        desk.write("runbook.toml", &book(ACTS).replace("url = ", "ledger = \"create\", url = "));
        let mut dies = desk.command(&with(&["run", "runbook.toml"], &HEADLESS));
        let ran = Running::spawn({
            dies.env("GONOGO_FAILPOINT", format!("{point}:kill"));
            dies
        });
        assert_eq!(ran.end().code, None, "{point}");
        desk.run(&with(&["resume", "last"], &HEADLESS)).exits(0);
        assert_eq!(cluster.psql(&db, "select epoch from gonogo.run where ended is not null"), epoch, "{point}");
        assert_eq!(cluster.psql(&db, "select count(*) from done"), "1", "{point}");
    }
}

#[test]
fn a_crash_before_the_ledger_is_told_of_the_end_asks_the_next_run() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    gate(cluster, &db);
    desk.write("runbook.toml", &book(ACTS).replace("url = ", "ledger = \"create\", url = "));
    let mut dies = desk.command(&with(&["run", "runbook.toml"], &HEADLESS));
    dies.env("GONOGO_FAILPOINT", "guard.end:kill");
    assert_eq!(Running::spawn(dies).end().code, None);
    let next = desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    assert!(matches!(&held(&next)[0], HoldCause::Owned { .. }), "{}", next.out);
    desk.run(&with(&["run", "runbook.toml", "--take-over", &db], &HEADLESS)).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) from done"), "2");
}

#[test]
fn what_was_rehearsed_is_told_before_production() {
    let desk = desk();
    desk.write("shop.db", "");
    let text = |sql: &str| {
        format!(
            "format = 1\nid = \"shop\"\ntitle = \"Shop\"\n[environments.test]\ntargets.main = \"sqlite:shop.db\"\n\
             [environments.production]\nprotected = true\ntargets.main = \"sqlite:shop.db\"\n\
             [[phase]]\nid = \"migrate\"\n[[phase.step]]\nid = \"create\"\nsql = \"{sql}\"\nundo = {{ sql = \"drop table t\" }}\n\
             [[phase.step]]\nid = \"look\"\nsql = \"select 1\"\nexpect = \"value == 1\"\n\
             [[phase.step]]\nid = \"ask\"\nchecklist = [\"Is it well?\"]\n\
             [[phase.step]]\nid = \"there\"\nrun = [\"true\"]\nonly = [\"production\"]\nundo = \"none needed\"\n"
        )
    };
    let rehearsed = || {
        let ran = desk.run(&with(&["run", "runbook.toml", "--env", "production"], &HEADLESS)).exits(4);
        let opened = parsed(&ran.out).into_iter().find_map(|entry| match entry.event {
            Event::RunOpened(opened) => Some(opened.rehearsed),
            _ => None,
        });
        opened.unwrap()
    };
    desk.write("runbook.toml", &text("create table t (a)"));
    assert_eq!(rehearsed(), None);
    desk.run(&with(&["rehearse", "runbook.toml", "--env", "test"], &HEADLESS)).exits(0);
    let last = rehearsed().unwrap();
    assert!(last.same_digest && last.changed_steps.is_empty() && last.environment == "test", "{last:?}");
    // What each step took there, there and back: only of what was done, and not of what people did.
    let times = |last: &Rehearsed| {
        let ids = |side: &BTreeMap<StepId, u64>| side.keys().map(|id| id.0.clone()).collect::<Vec<_>>().join(" ");
        (ids(&last.times.forward), ids(&last.times.undo))
    };
    assert_eq!(times(&last), ("create look".to_owned(), "create".to_owned()));
    let plan = desk.run(&["plan", "runbook.toml", "--env", "production"]).exits(0);
    assert_eq!(plan.out.matches(" rehearsed\n").count(), 3, "{}", plan.out);
    desk.run(&["report"]).exits(0).says("| Took | Rehearsed |");
    // A line more above changes the text, and no step.
    desk.write("runbook.toml", &format!("# changed\n\n{}", text("create table t (a)")));
    let last = rehearsed().unwrap();
    assert!(!last.same_digest && last.changed_steps.is_empty(), "{last:?}");
    desk.write("runbook.toml", &text("create table t (a, b)"));
    let last = rehearsed().unwrap();
    assert_eq!(last.changed_steps, ["create"]);
    assert_eq!(times(&last), ("look".to_owned(), String::new()), "a changed step is another step");
}

/// Without a screen too a held run is ended, or taken back: its database is free then.
#[test]
fn a_held_run_is_ended_without_a_screen() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t (id int)");
    let steps = "[[phase.step]]\nid = \"act\"\nsql = \"insert into t values (1)\"\nundo = { sql = \"delete from t\" }\n\
                 [[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\n\
                 [[rollback]]\nid = \"other\"\n[[rollback.step]]\nsql = \"insert into t values (7)\"\n";
    desk.write("runbook.toml", &book(steps).replace("url = ", "ledger = \"create\", url = "));
    let open = "select count(*) from gonogo.run where ended is null";
    for (args, code, rows, words) in [
        (vec!["--give-up", "the office burns"], 1, "1", "given up by"),
        (vec!["--roll-back", "users complain"], 5, "", "users complain"),
        (vec!["--roll-back", "users complain", "--plan", "other"], 5, "1,7", "users complain"),
    ] {
        cluster.psql(&db, "truncate t");
        desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
        assert_eq!(cluster.psql(&db, open), "1");
        desk.run(&[vec!["resume", "last", "--headless", "--yes"], args].concat()).exits(code).says(words);
        assert_eq!(cluster.psql(&db, "select string_agg(id::text, ',' order by id) from t"), rows);
        assert_eq!(cluster.psql(&db, open), "0");
    }
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["resume", "last", "--headless", "--roll-back", "why", "--plan", "nosuch"]).exits(4).says("nosuch");
    desk.run(&["resume", "last", "--roll-back", "why"]).exits(2);
}
