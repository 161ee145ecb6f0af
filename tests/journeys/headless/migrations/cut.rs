//! Killed in the middle: what is recorded is done, the rest is done by the next attempt, and nothing twice.

use super::*;
use crate::headless::story::started;
use gonogo::run::Outcome;

async fn resumed(tool: &str, place: &str, nth: u32, recorded: usize) {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind(tool);
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step("", "expect = \"value == 3\"\nretries = 1"));
    killed(&desk, &RUN, place, nth);
    cluster.until(
        &db,
        "select count(*) from pg_stat_activity where datname = current_database() \
         and application_name like 'gonogo journey%migrate%'",
        "0",
    );
    assert_eq!(kind.applied(cluster, &db), kind.versions[..recorded], "{tool} at {place}");
    let ran = desk.run(&RESUME);
    let entries = entries(&desk.run_dir()).await;
    assert_eq!(ran.code, Some(0), "{tool} at {place}\n{}\n{:?}", ran.out, started(&entries));
    assert_eq!(kind.applied(cluster, &db), kind.versions, "{tool} at {place}");
    assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{tool} at {place}");
    desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_second_of_three_files() {
    for kind in KINDS {
        resumed(kind.tool, "target.migrate.file", 2, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_commit_of_the_second_file() {
    // The bookkeeping's table is made by a transaction of its own.
    resumed("sqlx", "target.statements.after", 3, 1).await;
    resumed("flyway", "target.commit.before", 3, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_was_done_but_said() {
    resumed("prisma", "target.migrate.file", 3, 3).await;
}

/// Wherever it is killed: every file once. A table that is made twice is an error.
#[tokio::test(flavor = "multi_thread")]
async fn at_any_place() {
    let places = [
        ("target.migrate.before", 1),
        ("target.begin.after", 2),
        ("target.begin.after", 4),
        ("target.statements.after", 2),
        ("target.commit.before", 2),
        ("target.commit.answered", 1),
        ("target.commit.answered", 3),
        ("target.commit.answered", 4),
        ("journal.append.after", 5),
        ("journal.append.before", 5),
        ("engine.turn.appended", 4),
    ];
    for (at, (place, nth)) in places.into_iter().enumerate() {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        let kind = &KINDS[at % KINDS.len()];
        kind.write(&desk, 3);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 3\"\nretries = 1"));
        killed(&desk, &RUN, place, nth);
        let ran = desk.run(&RESUME);
        // How many entries share an append is the machine's affair: the last may have been among them.
        let over = ran.err.contains("has ended (every step done)");
        assert!(ran.code == Some(0) || over, "{} at {place} {nth}\n{}\n{}", kind.tool, ran.out, ran.err);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{} at {place} {nth}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{} at {place} {nth}", kind.tool);
        desk.run(&["audit"]).exits(0);
    }
}

/// What runs outside of a transaction and was begun is never silently run again.
#[tokio::test(flavor = "multi_thread")]
async fn in_doubt_outside_of_a_transaction() {
    let marks = [
        ("plain", "004_index.sql", "-- no-transaction\n", "target.migrate.alone"),
        ("sqlx", "11_index.up.sql", "-- no-transaction\n", "target.migrate.alone"),
        ("dbmate", "20240104_index.sql", "-- migrate:up transaction:false\n", "target.migrate.alone"),
    ];
    for (tool, name, head, place) in marks {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        let kind = kind(tool);
        kind.write(&desk, 3);
        desk.write(
            &format!("migrations/{name}"),
            &format!("{head}insert into t1 values (1);\ninsert into t1 values (2);"),
        );
        desk.write("runbook.toml", &kind.step("", "retries = 1"));
        killed(&desk, &RUN, place, 1);
        let ran = desk.run(&RESUME).exits(4);
        assert!(ran.out.contains("was begun outside of a transaction"), "{tool}: {}", ran.out);
        let ended = outcome(&entries(&desk.run_dir()).await, "migrate");
        assert!(matches!(ended, Outcome::Unknown { .. }), "{tool}: {ended:?}");
        desk.run(&RESUME).exits(4);
        assert_eq!(cluster.psql(&db, "select count(*) from t1"), "2", "{tool}");
    }
}

/// What fails in its middle is no less in doubt than what was cut there: no retry sends it a second time.
#[tokio::test(flavor = "multi_thread")]
async fn failed_in_the_middle_outside_of_a_transaction() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("dbmate");
    kind.write(&desk, 3);
    let fails = "-- migrate:up transaction:false\ninsert into t1 values (1);\nselect 1/0;";
    desk.write("migrations/20240104_fails.sql", fails);
    desk.write("runbook.toml", &kind.step("", "retries = 1"));
    let ran = desk.run(&RUN).exits(4);
    for words in ["20240104_fails.sql", "division by zero", "was begun outside of a transaction"] {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    let told = entries(&desk.run_dir()).await;
    assert!(matches!(outcome(&told, "migrate"), Outcome::Unknown { .. }), "{told:?}");
    assert_eq!(started(&told), ["migrate"]);
    desk.run(&RESUME).exits(4);
    assert_eq!(cluster.psql(&db, "select count(*) from t1"), "1");
    // A person has completed it, and told the tool.
    cluster.psql(&db, "insert into schema_migrations values ('20240104')");
    desk.run(&RESUME).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) from t1"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_on_the_way_down_outside_of_a_transaction() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("dbmate");
    kind.write(&desk, 3);
    let down = "-- migrate:down transaction:false\ninsert into t1 values (1);\nselect 1/0;";
    desk.write("migrations/20240104_fourth.sql", &format!("-- migrate:up\ncreate table t4 (id int);\n{down}"));
    let fails = "[[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
    let undo = "undo = { migrations = \"down\", retries = 1 }";
    desk.write("runbook.toml", &format!("{}\n{fails}\n", kind.step("", undo)));
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("was begun outside of a transaction"), "{}", ran.out);
    desk.run(&RESUME).exits(4);
    assert_eq!(cluster.psql(&db, "select count(*) from t1"), "1");
}

/// The tool's own mark says it too: in doubt first, and after a person's word the tool is still to be told.
#[tokio::test(flavor = "multi_thread")]
async fn marked_as_begun() {
    let index = "create index concurrently i1 on t1 (id);";
    for (tool, name, cure) in [
        ("prisma", "20240104000000_index/migration.sql", "prisma migrate resolve"),
        ("flyway", "V3__index.sql", "flyway repair"),
        ("golang-migrate", "4_index.up.sql", "migrate force"),
    ] {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        let kind = kind(tool);
        kind.write(&desk, 3);
        desk.write(&format!("migrations/{name}"), index);
        desk.write("runbook.toml", &kind.step("", ""));
        killed(&desk, &RUN, "target.migrate.marked", 1);
        let ran = desk.run(&RESUME).exits(4);
        assert!(ran.out.contains("was begun outside of a transaction"), "{tool}: {}", ran.out);
        desk.run(&["settle", "last", "migrate", "not-done", "--reason", "looked"]).exits(0);
        let (engine, mut voice) = taken_up(&desk).await;
        voice.say(retry()).await;
        let again = |event: &Event| matches!(event, Event::StepEnded { attempt, .. } if attempt.n == 2);
        let ended = voice.until("the second attempt ends", again).await;
        let words = format!("{:?}", ended.event);
        assert!(words.contains("dirty") && words.contains(cure), "{tool}: {words}");
        drop(engine);
        assert_eq!(cluster.psql(&db, "select to_regclass('i1') is null"), "t", "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_goes_on_too() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("dbmate");
    kind.write(&desk, 3);
    let fails = "[[phase.step]]\nid = \"fails\"\nsql = \"select 1/0\"\non_fail = \"rollback\"\nundo = \"none needed\"";
    desk.write("runbook.toml", &format!("{}\n{fails}\n", kind.step("", "undo = { migrations = \"down\" }")));
    // Three forward, and one back.
    killed(&desk, &RUN, "target.migrate.file", 4);
    assert_eq!(kind.applied(cluster, &db), kind.versions[..2]);
    let ran = desk.run(&RESUME).exits(5);
    let undone = started(&entries(&desk.run_dir()).await);
    assert_eq!(undone.last().unwrap(), "undo of migrate (attempt 2)", "{}", ran.out);
    assert_eq!(kind.applied(cluster, &db), [""; 0]);
    assert_eq!(tables(cluster, &db), [""; 0]);
}
