//! The way back: by the files that lead down, or by SQL of the runbook that makes the tool forget.

use super::*;
use crate::headless::story::started;

const DOWN: &str = "undo = { migrations = \"down\" }";

/// What leads down from each of a kind's files.
fn write_downs(kind: &Kind, desk: &Desk) {
    for (n, (name, _)) in kind.files.iter().enumerate() {
        let down = format!("drop table t{};", n + 1);
        match kind.tool {
            "sqlx" | "golang-migrate" => {
                desk.write(&format!("migrations/{}", name.replace(".up.", ".down.")), &down);
            }
            "plain" => {
                desk.write(&format!("migrations/{}", name.replace(".sql", ".down.sql")), &down);
            }
            "flyway" => {
                desk.write(&format!("migrations/{}", name.replacen('V', "U", 1)), &down);
            }
            "sqitch" => {
                desk.write(&format!("migrations/{}", name.replace("deploy", "revert")), &down);
            }
            // It stands in the same file.
            _ => {}
        }
    }
}

/// Forward, back, forward: what was there before stays, what the step applied goes, last first, and comes again.
#[tokio::test(flavor = "multi_thread")]
async fn down_and_up_again() {
    for kind in KINDS.iter().filter(|kind| kind.tool != "prisma") {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 1);
        desk.write("runbook.toml", &kind.step("", ""));
        desk.run(&RUN).exits(0);
        anew(&desk);
        kind.write(&desk, 3);
        write_downs(kind, &desk);
        desk.write("runbook.toml", &kind.step("", &format!("expect = \"value == 2\"\n{DOWN}")));
        let ran = desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
        let entries = entries(&desk.run_dir()).await;
        assert_eq!(started(&entries), ["migrate", "undo of migrate", "migrate (attempt 2)"], "{}", ran.out);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{}", kind.tool);
    }
}

/// A step that fails at its third file is rolled back: the two it applied go, and the tool does not know them any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_step_applied_is_taken_back() {
    for kind in KINDS.iter().filter(|kind| kind.tool != "prisma") {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        write_downs(kind, &desk);
        cluster
            .psql(&db, "create schema other; create table other.t3 (id int); create view t3 as select * from other.t3");
        desk.write("runbook.toml", &kind.step("", &format!("on_fail = \"rollback\"\n{DOWN}")));
        let ran = desk.run(&RUN).exits(5);
        assert_eq!(kind.applied(cluster, &db), [""; 0], "{}: {}", kind.tool, ran.out);
        assert_eq!(tables(cluster, &db), [""; 0], "{}", kind.tool);
    }
}

/// What an earlier attempt applied is taken back, although the last one could not even look.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_attempt_without_its_table_forgets_nothing() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("dbmate");
    kind.write(&desk, 3);
    cluster.psql(&db, "create view t3 as select 1");
    desk.write("runbook.toml", &kind.step("", DOWN));
    desk.run(&RUN).exits(4);
    assert_eq!(tables(cluster, &db), ["t1", "t2"]);
    // It is there, and cannot be read.
    cluster.psql(&db, "alter table schema_migrations rename column version to other");
    let (engine, mut voice) = taken_up(&desk).await;
    voice.say(retry()).await;
    let broken = |event: &Event| matches!(event, Event::StepEnded { attempt, .. } if attempt.n == 2);
    voice.until("the second attempt ends", broken).await;
    cluster.psql(&db, "alter table schema_migrations rename column other to version");
    voice.say(CommandVerb::Rollback { plan: None, reason: "it is enough".to_owned() }).await;
    engine.end().exits(5);
    assert_eq!(tables(cluster, &db), [""; 0]);
    assert_eq!(kind.applied(cluster, &db), [""; 0]);
}

/// Where no file leads down, as with Prisma always, SQL of the runbook does it, and the tool's table says so in the same
/// transaction. What was applied before the step stays recorded.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_with_the_runbooks_own_undo() {
    for kind in KINDS {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 1);
        desk.write("runbook.toml", &kind.step("", ""));
        desk.run(&RUN).exits(0);
        anew(&desk);
        kind.write(&desk, 3);
        let undo = "undo = { sql = \"drop table t3; drop table t2\", unrecord = true }";
        let fails =
            "[[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
        let step = kind.step("", &format!("expect = \"value == 2\"\n{undo}"));
        desk.write("runbook.toml", &format!("{step}\n{fails}\n"));
        desk.run(&RUN).exits(5);
        assert_eq!(kind.applied(cluster, &db), kind.versions[..1], "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1"], "{}", kind.tool);
        anew(&desk);
        desk.write("runbook.toml", &step);
        desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{}", kind.tool);
        if kind.tool == "prisma" {
            let back =
                "select distinct migration_name from _prisma_migrations where rolled_back_at is not null order by 1";
            assert_eq!(lines(&cluster.psql(&db, back)), kind.versions[1..]);
        }
    }
}

/// The undo's own statements may search elsewhere, where a table of that name is another's: the one that the step wrote is
/// meant.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_where_it_was_recorded() {
    for kind in KINDS.iter().filter(|kind| kind.tool != "sqitch") {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        let table = kind.applied.split(" from ").nth(1).unwrap().split(' ').next().unwrap();
        let undo = format!(
            "undo = {{ sql = \"create schema other; create table other.{table} as select * from {table}; \
             set search_path = other; drop table public.t3, public.t2, public.t1\", unrecord = true }}"
        );
        let fails =
            "[[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
        desk.write("runbook.toml", &format!("{}\n{fails}\n", kind.step("", &undo)));
        desk.run(&RUN).exits(5);
        assert_eq!(kind.applied(cluster, &db), [""; 0], "{}", kind.tool);
        let other = kind.applied.replace(table, &format!("other.{table}"));
        assert_eq!(lines(&cluster.psql(&db, &other)), kind.versions, "{}", kind.tool);
    }
}

/// What was never deployed is not taken back either.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_recorded_is_reverted() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("sqitch");
    kind.write(&desk, 3);
    cluster.psql(&db, "create view t3 as select 1");
    let undo = "undo = { sql = \"set search_path = pg_catalog; drop table public.t2, public.t1\", unrecord = true }";
    desk.write("runbook.toml", &kind.step("", &format!("on_fail = \"rollback\"\n{undo}")));
    desk.run(&RUN).exits(5);
    assert_eq!(kind.applied(cluster, &db), [""; 0]);
    let events = cluster.psql(&db, "select event || ' ' || change from sqitch.events order by committed_at");
    assert_eq!(lines(&events), ["deploy first", "deploy second", "revert second", "revert first"]);
}

/// An undo that fails leaves the rows as they were.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_fails_forgets_nothing() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("prisma");
    kind.write(&desk, 2);
    let undo = "undo = { sql = \"drop table t2; drop table nowhere\", unrecord = true }";
    let fails = "[[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
    desk.write("runbook.toml", &format!("{}\n{fails}\n", kind.step("", undo)));
    desk.run(&RUN).exits(4);
    assert_eq!(kind.applied(cluster, &db), kind.versions[..2]);
    assert_eq!(tables(cluster, &db), ["t1", "t2"]);
}

/// Somebody applied another one since: nothing is pulled away from under it.
#[tokio::test(flavor = "multi_thread")]
async fn not_under_a_later_file() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("dbmate");
    kind.write(&desk, 3);
    let by_hand = "[[phase.step]]\nid = \"by-hand\"\nsql = \"insert into schema_migrations values ('20240103')\"\nundo = \"none needed\"\n\
                   [[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
    desk.write("runbook.toml", &format!("{}\n{by_hand}\n", kind.step(", to = \"20240102\"", DOWN)));
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("20240103_third.sql was applied after this step, by somebody else"), "{}", ran.out);
    assert_eq!(tables(cluster, &db), ["t1", "t2"]);
}
