//! Snapshots and plans in a run: what changed is shown and judged, a way back proves itself, two databases are compared.

use gonogo::run::{Event, Outcome};
use support::headless::Desk;

use super::story::{outcome, parsed};
use super::{book, desk, desk_with_database};

const ARGS: [&str; 5] = ["run", "runbook.toml", "--headless", "--json", "--yes"];

const BOOK: &str = r#"
[[phase.step]]
id       = "before"
snapshot = { name = "before", data = true }
expect   = "row.table == 1 and row.rows == 3"

[[phase.step]]
id   = "change"
sql  = "alter table t add column note text; update t set name = 'z' where id = 1; create index t_name on t (name)"
undo = { sql = "drop index t_name; update t set name = 'a' where id = 1; alter table t drop column note" }

[[phase.step]]
id       = "after"
snapshot = { name = "after", data = true, compare = "before" }
expect   = "value == 3 and table | selectattr('kind', 'eq', 'index') | list | length == 1"

[[phase.step]]
id      = "plan"
explain = "select * from t where name = 'b' order by name"
expect  = "(uses_index('t_name') or scans('t')) and ms < 60000 and row.planning_ms >= 0"

[[phase.step]]
id       = "same"
snapshot = { name = "same", data = true, compare = "after" }
expect   = "value == 0"
on_fail  = "rollback"
"#;

fn prepared() -> Option<(Desk, String)> {
    let (desk, cluster, db) = desk_with_database()?;
    cluster.psql(
        &db,
        "create table t (id integer primary key, name text); insert into t values (1, 'a'), (2, 'b'), (3, 'c')",
    );
    Some((desk, db))
}

#[test]
fn a_change_is_named_and_its_way_back_proven() {
    let Some((desk, _)) = prepared() else { return };
    let plan = "[[rollback]]\nid = \"back\"\n[[rollback.step]]\nid = \"undo\"\n\
                sql = \"drop index t_name; update t set name = 'a' where id = 1; alter table t drop column note\"\n\
                [[rollback.step]]\nid = \"proof\"\nsnapshot = { name = \"back\", data = true, compare = \"before\" }\n\
                expect = \"value == 0\"\n\
                [[trigger]]\nid = \"never\"\nwhen = \"one > 2\"\nthen = \"rollback\"\nplan = \"back\"\ngrace = \"100ms\"\n\
                [[probe]]\nid = \"one\"\nevery = \"100ms\"\nsql = \"select count(*) from pg_indexes where schemaname = 'public'\"\n";
    // The trigger sees the second index and one more, made by a step after the comparison.
    let more = "[[phase.step]]\nid = \"third\"\nsql = \"create index third on t (id)\"\nundo = { sql = \"drop index third\" }\n\
                [[phase.step]]\nid = \"watch\"\nwait = \"60s\"\n";
    let plan = plan.replace("drop index t_name;", "drop index third; drop index t_name;");
    // With a ledger: what only asks is not recorded in it.
    let text = book(&format!("{BOOK}{more}{plan}")).replace("url = ", "ledger = \"create\", url = ");
    desk.write("runbook.toml", &text);
    let ran = desk.run(&ARGS);
    let entries = parsed(&ran.out);
    for step in ["before", "change", "after", "plan", "same", "undo", "proof"] {
        let ended = outcome(&entries, step);
        assert!(matches!(ended, Outcome::Done { .. }), "{step}: {ended:?}");
    }
    assert!(entries.iter().any(|entry| matches!(entry.event, Event::RollbackEnded {})));
    let report = desk.run(&["report"]).exits(0).out;
    assert!(report.contains("snapshot") && report.contains("explain"), "{report}");
}

/// A rehearsal says what its snapshots prove.
#[test]
fn both_legs_are_compared() {
    let undo = "update t set name = 'a' where id = 1; alter table t drop column note; drop index t_name";
    for (undo, words) in [
        (undo, "the same in both legs: snapshots after, before, same"),
        (
            "alter table t drop column note; drop index t_name",
            "NOT the same in both legs: snapshot before (~ data public.t)",
        ),
    ] {
        let Some((desk, _)) = prepared() else { return };
        let text = BOOK
            .replace("drop index t_name; update t set name = 'a' where id = 1; alter table t drop column note", undo);
        desk.write("runbook.toml", &book(&text));
        let ran = desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
        assert!(ran.out.contains(words), "{}", ran.out);
        assert!(desk.run(&["report"]).exits(0).out.contains("the same in both legs"));
    }
}

#[test]
fn a_difference_that_is_not_expected_fails_and_is_shown() {
    let Some((desk, _)) = prepared() else { return };
    desk.write("runbook.toml", &book(&BOOK.replace("value == 3 and", "value == 0 and")));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]);
    assert!(
        ran.out.contains("~ │ data") && ran.out.contains("+ │ index") && ran.out.contains("public.t.note"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("+ column public.t.note, ~ data public.t, + index public.t_name"), "{}", ran.out);
    assert!(ran.out.contains("not as expected"), "{}", ran.out);
}

#[test]
fn two_databases_are_compared() {
    let Some((first, cluster, db)) = desk_with_database() else { return };
    let other = cluster.create_db();
    cluster.psql(&db, "create table t (id integer primary key)");
    cluster.psql(&other, "create table t (id bigint primary key)");
    drop(first);
    let desk = desk().with("DB", cluster.url(&db)).with("OTHER", cluster.url(&other));
    let text = "format = 1\nid = \"drift\"\n[environments.test]\ntargets.main = \"env:DB\"\ntargets.other = \"env:OTHER\"\n\
                [[phase]]\nid = \"verify\"\nadvance = \"auto\"\n\
                [[phase.step]]\nid = \"here\"\nsnapshot = { name = \"here\", rows = \"none\" }\n\
                [[phase.step]]\nid = \"there\"\ntarget = \"other\"\nsnapshot = { name = \"there\", rows = \"none\", compare = \"here\" }\n\
                expect = \"value == 1 and table[0].before == 'integer not null' and table[0].after == 'bigint not null'\"\n";
    desk.write("runbook.toml", text);
    desk.run(&ARGS).exits(0);
}

#[test]
fn a_file_has_an_inventory_too() {
    let desk = desk();
    let text = "format = 1\nid = \"file\"\n[environments.test]\ntargets.main = \"sqlite:t.db?mode=rwc\"\n\
                [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\
                [[phase.step]]\nid = \"make\"\nsql = \"create table t (id integer primary key, name text)\"\n\
                [[phase.step]]\nid = \"before\"\nsnapshot = { name = \"before\", rows = \"none\" }\nexpect = \"row.table == 1\"\n\
                [[phase.step]]\nid = \"index\"\nsql = \"create index t_name on t (name)\"\n\
                [[phase.step]]\nid = \"after\"\nsnapshot = { name = \"after\", rows = \"none\", compare = \"before\" }\nexpect = \"value == 1\"\n\
                [[phase.step]]\nid = \"plan\"\nexplain = \"select * from t where name = 'x'\"\nexpect = \"uses_index('t_name') and not scans('t')\"\n";
    desk.write("runbook.toml", text);
    desk.run(&ARGS).exits(0);
}

/// What a query calls may write: not here.
#[test]
fn an_explained_query_writes_nothing() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        &db,
        "create table t (id integer); insert into t values (1), (2); create sequence s;
         create function wipe() returns bigint language sql as 'with d as (delete from t returning 1) select count(*) from d'",
    );
    for (query, refused) in [("select wipe()", "SELECT"), ("select nextval('s')", "nextval()")] {
        let step = format!("[[phase.step]]\nid = \"plan\"\nexplain = \"{query}\"\nexpect = \"value >= 0\"\n");
        desk.write("runbook.toml", &book(&step));
        let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
        let words = format!("cannot execute {refused} in a read-only transaction");
        assert!(ran.out.contains(&words), "{}", ran.out);
    }
    assert_eq!(cluster.psql(&db, "select count(*) from t"), "2");
    assert_eq!(cluster.psql(&db, "select is_called from s"), "f");
}
