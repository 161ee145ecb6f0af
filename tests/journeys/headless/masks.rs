//! Masked columns, with a real server: nothing of a masked value is in any file of the run, and `expect` saw it.

use std::path::Path;

use support::headless::Running;

use super::{book, desk_with_database};

const SECRET: &str = "ada.lovelace@example.org";

/// Every byte of every file under a folder.
fn all(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all(&path) } else { std::fs::read(&path).unwrap_or_default() }).collect()
}

fn holds(folder: &Path, text: &str) -> bool {
    all(folder).windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn no_file_of_the_run_holds_a_masked_value() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let table = "create table users (id int primary key, email text unique, age int check (age > 0))";
    cluster.psql(&db, &format!("{table}; insert into users values (1, '{SECRET}', 36), (2, null, 40)"));
    let steps = "[[phase.step]]\nid = \"look\"\nsql = \"select email, id from users order by id\"\nmask = [\"EMAIL\"]\n\
                 expect = \"value is startingwith('ada.') and row.email | length == 24 and rows == 2\"\n\
                 [[phase.step]]\nid = \"twice\"\nsql = \"insert into users select 3, email, 1 from users where id = 1\"\n\
                 undo = \"none needed\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"row\"\nsql = \"update users set age = -1\"\nundo = \"none needed\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"value\"\nsql = \"select email::int from users\"\nexpect = \"none\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"unexpected\"\nsql = \"select email from users where id = 1\"\nexpect = \"value == 'bob'\"\n\
                 on_fail = \"continue\"\n";
    desk.write("runbook.toml", &book(steps).replace("targets.main", "mask = [\"email\"]\ntargets.main"));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(0);
    for said in ["Key (email)=(‹masked›) already exists.", "Failing row contains (‹masked›)", "look", "unexpected"]
    {
        assert!(ran.out.contains(said), "never said {said}:\n{}", ran.out);
    }
    let report = desk.run(&["report", "last"]).exits(0);
    assert!(report.out.contains("‹masked›"), "{}", report.out);
    for text in [&ran.out, &ran.err, &report.out] {
        assert!(!text.contains("ada.lovelace"), "{text}");
    }
    assert!(holds(&desk.journal(), "select email, id"), "the journal is not where it is looked for");
    assert!(!holds(&desk.journal(), "ada.lovelace"));
}

/// Batches along a masked key, files of migrations, notices that are judged, dynamic SQL, names made of values.
#[test]
fn no_way_of_the_server_to_say_a_value_gets_it_into_a_file() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let people = "create table people (email text primary key, n int)";
    let users = "create table users (id int primary key, email text)";
    cluster.psql(
        &db,
        &format!(
            "{users}; insert into users values (1, '{SECRET}'); {people}; \
             insert into people values ('{SECRET}', 5), ('bob', 1)"
        ),
    );
    let failing = "on_fail = \"continue\"\n";
    let say = "do $$ begin raise notice 'Key (id)=(1), Key (email)=(%)', (select email from users); end $$";
    let dynamic = "do $$ begin execute format('insert into users values (1, %L)', (select email from users)); end $$";
    let steps = format!(
        "[[phase.step]]\nid = \"walk\"\nbatch = {{ table = \"people\", key = \"email\", size = 1, set = \"n = 10 / (n - 1)\" }}\n\
         undo = \"none needed\"\n{failing}\
         [[phase.step]]\nid = \"files\"\nmigrations = {{ tool = \"plain\", folder = \"m\" }}\nundo = \"none needed\"\n\
         [[phase.step]]\nid = \"says\"\nsql = \"{say}\"\nexpect = \"notices | length == 0\"\nundo = \"none needed\"\n{failing}\
         [[phase.step]]\nid = \"dynamic\"\nsql = \"{dynamic}\"\nundo = \"none needed\"\n{failing}\
         [[phase.step]]\nid = \"named\"\nsql = \"select email::regclass from users\"\nexpect = \"rows == 1\"\n{failing}\
         [[phase.step]]\nid = \"slip\"\nsql = \"select id from users\"\nmask = [\"emial\"]\nexpect = \"rows == 1\"\n"
    );
    let head = "mask = [\"email\"]\ntargets.main = { ledger = \"create\",";
    desk.write("runbook.toml", &book(&steps).replace("targets.main = {", head));
    desk.write("m/001_first.sql", "select email, id from users;\nselect id, email as \"EMAIL\" from users;");
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(0);
    let said = [
        "division by zero",
        "[\"‹masked›\",\"1\"]",
        "[\"1\",\"‹masked›\"]",
        "Key (email)=(‹masked›)",
        "CONTEXT: ‹masked›",
        "no result had a column emial",
    ];
    for said in said {
        assert!(ran.out.contains(said), "never said {said}:\n{}", ran.out);
    }
    let report = desk.run(&["report", "last"]).exits(0);
    for text in [&ran.out, &ran.err, &report.out] {
        assert!(!text.contains("ada.lovelace"), "{text}");
    }
    assert!(!holds(&desk.journal(), "ada.lovelace"));
    assert_eq!(cluster.psql(&db, "select reached from gonogo.checkpoint"), SECRET, "the target knows how far it is");
}

/// A file outside of a transaction that stops at a value: the doubt is told, and what to do, not the value.
#[test]
fn a_doubt_is_told_without_the_value() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, &format!("create table users (email text); insert into users values ('{SECRET}')"));
    let step =
        "[[phase.step]]\nid = \"files\"\nmigrations = { tool = \"dbmate\", folder = \"m\" }\nundo = \"none needed\"\n";
    desk.write("runbook.toml", &book(step).replace("targets.main", "mask = [\"email\"]\ntargets.main"));
    desk.write(
        "m/1_first.sql",
        "-- migrate:up transaction:false\ncreate table t (n int);\ninsert into t select email::int from users;\n",
    );
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(4);
    for said in ["complete it or clear it away", "type integer: ‹masked›"] {
        assert!(ran.out.contains(said), "never said {said}:\n{}", ran.out);
    }
    assert!(!ran.out.contains("ada.lovelace") && !holds(&desk.journal(), "ada.lovelace"), "{}", ran.out);
}

/// Killed in its COMMIT and taken up: what is found out of the journal is what was masked, and masked no second time.
#[test]
fn what_is_found_out_after_a_kill_is_masked_once() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, &format!("create table users (id int, email text); insert into users values (7, '{SECRET}')"));
    let step = "[[phase.step]]\nid = \"look\"\nsql = \"update users set id = 8 returning id, email\"\nmask = [\"email\"]\n\
                expect = \"row.email is startingwith('ada') and value == 8\"\nundo = \"none needed\"\n\
                [[phase.step]]\nid = \"after\"\nsql = \"select {{ steps['look'].value }} as n\"\nexpect = \"value == 8\"\n";
    desk.write("runbook.toml", &book(step).replace("targets.main = {", "targets.main = { ledger = \"create\","));
    let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
    command.env("GONOGO_FAILPOINT", "target.commit.answered:kill:1");
    let ran = Running::spawn(command).end();
    assert_eq!(ran.code, None, "{}\n{}", ran.out, ran.err);
    let ran = desk.run(&["resume", "last", "--headless", "--json", "--yes"]).exits(0);
    assert!(ran.out.contains("row.email = \\\"‹masked›\\\"") && ran.out.contains("value = 8"), "{}", ran.out);
    assert!(!holds(&desk.journal(), "ada.lovelace"));
}

/// A plan of a query is shown as it is: nobody is told that it would be masked.
#[test]
fn a_plan_says_what_is_masked_only_where_it_is() {
    let Some((desk, ..)) = desk_with_database() else { return };
    let steps = "[[phase.step]]\nid = \"planned\"\nexplain = \"select 1\"\nexpect = \"plan.cost < 10\"\n\
                 [[phase.step]]\nid = \"look\"\nsql = \"select 1 as email\"\nexpect = \"rows == 1\"\n";
    desk.write("runbook.toml", &book(steps).replace("targets.main", "mask = [\"email\"]\ntargets.main"));
    let plan = desk.run(&["plan", "runbook.toml"]).exits(0);
    assert_eq!(plan.out.matches("masks").count(), 1, "{}", plan.out);
}

/// The same steps without `mask`: what the test looks for would be there.
#[test]
fn what_is_not_masked_is_kept() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, &format!("create table users (id int, email text); insert into users values (1, '{SECRET}')"));
    let step = "[[phase.step]]\nid = \"look\"\nsql = \"select email, id from users\"\nexpect = \"rows == 1\"\n";
    desk.write("runbook.toml", &book(step));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(holds(&desk.journal(), SECRET));
}

/// Questions of masked steps that are answered by a value; a batch along a masked key, killed and taken up; a notice, a
/// criterion and a fix that are near one.
#[test]
fn what_is_asked_beside_a_masked_step_quotes_no_value() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        &db,
        &format!(
            "create table users (email text primary key, n int); insert into users values ('{SECRET}', 1), ('bob', 2)"
        ),
    );
    let failing = "undo = \"none needed\"\non_fail = \"continue\"\n";
    let steps = format!(
        "[[phase.step]]\nid = \"walk\"\nbatch = {{ table = \"users\", key = \"email\", size = 1, set = \"n = 7\", complete = \"select min(email) from users\" }}\n{failing}\
         [[phase.step]]\nid = \"asks\"\ntransaction = \"none\"\nsql = \"update users set n = 8\"\n\
         probe = \"select min(email) from users\"\n{failing}\
         [[phase.step]]\nid = \"fails\"\ntransaction = \"none\"\nsql = \"update users set n = 8\"\n\
         probe = \"select min(email)::int from users\"\n{failing}\
         [[phase.step]]\nid = \"look\"\nsql = \"select email, n from users order by email\"\nexpect = \"rows == 2\"\n\
         [[phase.step]]\nid = \"empty\"\nsql = \"select email from users where n = 99\"\nexpect = \"row.email == 'x'\"\non_fail = \"continue\"\n\
         [[phase.step]]\nid = \"tells\"\nrun = [\"echo\", \"{{{{ steps['look'].table | json }}}}\"]\nundo = \"none needed\"\non_fail = \"continue\"\n\
         [[phase.step]]\nid = \"known\"\nsql = \"insert into users select email, 1 from users\"\n{failing}\
         trouble = [{{ match = \"ada\", cause = \"a copy\", fix = \"none\" }}]\n"
    );
    let probe = "[[probe]]\nid = \"p\"\nevery = \"100ms\"\nsql = \"select min(email) as address from users\"\n";
    let head = "mask = [\"email\"]\ntargets.main = { ledger = \"create\",";
    desk.write("runbook.toml", &format!("{}{probe}", book(&steps)).replace("targets.main = {", head));
    let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
    command.env("GONOGO_FAILPOINT", "target.batch.work:kill:2");
    let ran = Running::spawn(command).end();
    assert_eq!(ran.code, None, "{}\n{}", ran.out, ran.err);
    assert!(!holds(&desk.journal(), "ada.lovelace"));
    let resumed = desk.run(&["resume", "last", "--headless", "--json", "--yes"]).exits(0);
    let said = [
        "answered something that is not a whole number",
        "its first cell is neither true nor false",
        "type integer: ‹masked›",
        "nothing there for `row.email`",
        "column email of step look is masked",
        "not a number",
    ];
    for said in said {
        assert!(resumed.out.contains(said), "never said {said}:\n{}", resumed.out);
    }
    let report = desk.run(&["report", "last"]).exits(0);
    for text in [&ran.out, &ran.err, &resumed.out, &resumed.err, &report.out] {
        assert!(!text.contains("ada.lovelace"), "{text}");
    }
    assert!(!holds(&desk.journal(), "ada.lovelace"));
}

/// Errors of SQLite whose words are made of values.
#[test]
fn no_error_of_sqlite_says_a_masked_value() {
    let desk = super::desk();
    let url = format!("sqlite:{}?mode=rwc", desk.path("app.db").display());
    let desk = desk.with("DB", url);
    let step = |id: &str, sql: &str| {
        format!("[[phase.step]]\nid = \"{id}\"\nsql = \"{sql}\"\nundo = \"none needed\"\non_fail = \"continue\"\n")
    };
    let value = "(select email from users)";
    let steps = [
        step(
            "make",
            "create table users (email text unique, n int check (n > 0)); create table strict_t (n int) strict; insert into users values (lower('ADA.LOVELACE@X'), 1)",
        ),
        step("path", &format!("insert into users select json_extract('{{}}', {value}), 1")),
        step("json", &format!("insert into users select json({value}), 1")),
        step("twice", "insert into users select * from users"),
        step("check", "update users set n = -1"),
        step("strict", &format!("insert into strict_t select {value}")),
        step("attach", &format!("attach '/no/' || {value} as other")).replace("undo", "transaction = \"none\"\nundo"),
        step("vacuum", &format!("vacuum into '/no/' || {value}")).replace("undo", "transaction = \"none\"\nundo"),
    ];
    let text = book(&steps.concat()).replace(", lock_timeout = \"20s\", statement_timeout = \"10m\"", "");
    desk.write("runbook.toml", &text.replace("targets.main", "mask = [\"email\"]\ntargets.main"));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(0);
    for said in
        ["bad JSON path: ‹masked›", "UNIQUE constraint failed: users.email", "unable to open database: ‹masked›"]
    {
        assert!(ran.out.contains(said), "never said {said}:\n{}", ran.out);
    }
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains("ada.lovelace"), "{text}");
    }
    assert!(!holds(&desk.journal(), "ada.lovelace"));
}
