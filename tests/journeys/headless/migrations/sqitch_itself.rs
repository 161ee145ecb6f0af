//! Beside the real sqitch: each takes what the other has applied for its own, and takes it back.

use std::process::Command;

use super::*;

/// What the registry says, without times and without who committed.
const ROWS: &[&str] = &[
    "select change_id, script_hash, change, project, note, planned_at, planner_name, planner_email \
     from sqitch.changes order by committed_at",
    "select tag_id, tag, project, change_id, note, planned_at, planner_name, planner_email from sqitch.tags order by tag",
    "select * from sqitch.dependencies order by 1, 3",
    "select event, change_id, change, project, note, requires, conflicts, tags, planned_at, planner_name, planner_email \
     from sqitch.events order by committed_at",
    "select project, uri from sqitch.projects",
    "select version from sqitch.releases",
];

/// Its tables with their columns and constraints, in words.
const SHAPE: &str = "select c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
     pg_get_expr(d.adbin, d.adrelid) from pg_attribute a join pg_class c on c.oid = a.attrelid \
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
     where c.relnamespace = 'sqitch'::regnamespace and c.relkind = 'r' and a.attnum > 0 \
     union all select conrelid::regclass::text, 0, conname, pg_get_constraintdef(oid), null, null from pg_constraint \
     where connamespace = 'sqitch'::regnamespace order by 1, 2, 3";

const PLAN: &str = "%syntax-version=1.0.0\n%project=shop\n%uri=https://example.test/shop/\n\n\
     users 2026-03-14T10:00:00Z Ada Engineer <ada@example.test> # Adds users; \"quoted\", a \\\\ and ü\n\
     orders [users !stock] 2026-03-14T10:00:01Z Ada Engineer <ada@example.test> # two\\nlines\n\
     @v1.0 2026-03-14T10:00:02Z Bo Planner <bo@example.test> # The first\n\
     @v1.1 2026-03-14T10:00:03Z Bo Planner <bo@example.test>\n\
     users [users@v1.0] 2026-03-14T10:00:04Z Ada Engineer <ada@example.test> # A mail address\n\
     mails [users orders@v1.0] 2026-03-14T10:00:05Z Ada Engineer <ada@example.test>\n\
     stock 2026-03-14T10:00:06Z Ada Engineer <ada@example.test>\n";

const SCRIPTS: &[(&str, &str, &str, &str)] = &[
    ("users@v1.0", "create table t1 (id int primary key);", "drop table t1;", "select id from t1 where false;"),
    ("orders", "create table t2 (id int);", "drop table t2;", "select id from t2 where false;"),
    (
        "users",
        "alter table t1 add mail text;",
        "alter table t1 drop mail;",
        "do $$ begin assert (select count(*) = 1 from pg_attribute where attname = 'mail' and attrelid = 't1'::regclass); end $$;",
    ),
    ("stock", "create table t3 (id int);", "drop table t3;", "select 1 / (count(*) + 1) from t3;"),
];

fn project(desk: &Desk) {
    desk.write("db/sqitch.conf", "[core]\n\tengine = pg\n");
    desk.write("db/sqitch.plan", PLAN);
    for (name, deploy, revert, verify) in SCRIPTS {
        desk.write(
            &format!("db/deploy/{name}.sql"),
            &format!("-- Deploy shop to pg\n\nBEGIN;\n\n{deploy}\n\nCOMMIT;\n"),
        );
        desk.write(&format!("db/revert/{name}.sql"), &format!("BEGIN;\n{revert}\nCOMMIT;\n"));
        desk.write(&format!("db/verify/{name}.sql"), &format!("BEGIN;\n{verify}\nROLLBACK;\n"));
    }
    // What cannot run in a transaction has none.
    desk.write("db/deploy/mails.sql", "create index concurrently t1_mail on t1 (mail);\n");
    desk.write("db/revert/mails.sql", "drop index concurrently t1_mail;\n");
    desk.write("db/verify/mails.sql", "select 't1_mail'::regclass;\n");
}

fn real(desk: &Desk, cluster: &Cluster, db: &str, args: &[&str]) -> String {
    let url = cluster.url(db).replacen("postgres:", "db:pg:", 1);
    let mut command = Command::new("sqitch");
    command.current_dir(desk.path("db")).env("HOME", desk.path("")).env("SQITCH_FULLNAME", "Cy").args(args).arg(url);
    let output = command.output().expect("sqitch runs: scripts/setup installs it");
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sqitch {args:?}: {words}");
    words
}

fn registry(cluster: &Cluster, db: &str) -> Vec<String> {
    ROWS.iter().map(|sql| cluster.psql(db, sql)).collect()
}

#[test]
fn ours_first_then_the_real_one() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    project(&desk);
    desk.write("runbook.toml", &step("\"db\"", "expect = \"value == 5\""));
    desk.run(&RUN).exits(0);
    let other = cluster.create_db();
    real(&desk, cluster, &other, &["deploy", "--verify"]);
    assert_eq!(registry(cluster, &db), registry(cluster, &other));
    assert_eq!(cluster.psql(&db, SHAPE), cluster.psql(&other, SHAPE));
    // Who applied it is whoever runs it.
    let committer = cluster.psql(&db, "select distinct committer_name || ' ' || committer_email from sqitch.events");
    assert!(committer.contains(' ') && !committer.contains("Cy"), "{committer}");
    assert!(real(&desk, cluster, &db, &["deploy", "--verify"]).contains("up-to-date"));
    assert!(real(&desk, cluster, &db, &["verify"]).contains("Verify successful"));
    real(&desk, cluster, &db, &["revert", "-y"]);
    assert_eq!(tables(cluster, &db), [""; 0]);
}

#[test]
fn the_real_one_first_then_ours_there_and_back() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    project(&desk);
    real(&desk, cluster, &db, &["deploy", "--to-change", "@v1.0"]);
    let before = registry(cluster, &db);
    let more = ", to = \"mails\", expect_pending = 2";
    let plan = "on_fail = \"rollback\"\n[[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\non_fail = \"rollback\"";
    let text = step(&format!("{{ folder = \"db\"{more} }}"), &format!("undo = {{ migrations = \"down\" }}\n{plan}"));
    desk.write("runbook.toml", &text);
    desk.run(&RUN).exits(5);
    let after = registry(cluster, &db);
    // All but the events are as they were.
    assert_eq!((&after[..3], &after[4..]), (&before[..3], &before[4..]));
    let events = "select string_agg(event || ' ' || change, ', ' order by committed_at) from sqitch.events";
    let told = "deploy users, deploy orders, deploy users, deploy mails, revert mails, revert users";
    assert_eq!(cluster.psql(&db, events), told);
    assert_eq!(cluster.psql(&db, "select count(*) from pg_attribute where attname = 'mail'"), "0");
    // The same by the real one.
    let other = cluster.create_db();
    real(&desk, cluster, &other, &["deploy", "--to-change", "mails"]);
    real(&desk, cluster, &other, &["revert", "-y", "--to-change", "@v1.0"]);
    assert_eq!(registry(cluster, &other), after);
    assert!(real(&desk, cluster, &db, &["deploy", "--verify"]).contains("+ stock"));
}

#[test]
fn what_its_verify_script_says_no_to_is_not_there() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    project(&desk);
    desk.write("db/verify/orders.sql", "BEGIN;\n\nselect 1 / count(*) from t2;\nROLLBACK;\n");
    desk.write("runbook.toml", &step("\"db\"", ""));
    let ran = desk.run(&RUN).exits(4);
    let words = "its verify script: ERROR: division by zero (SQLSTATE 22012) at db/verify/orders.sql:3";
    assert!(ran.out.contains(words), "{}", ran.out);
    assert_eq!(tables(cluster, &db), ["t1"]);
    assert_eq!(cluster.psql(&db, "select change from sqitch.changes"), "users");
    // Outside of a transaction it is there, and is not recorded.
    anew(&desk);
    project(&desk);
    desk.write("db/verify/mails.sql", "select 'nowhere'::regclass;\n");
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("db/verify/mails.sql:1") && ran.out.contains("does not say so"), "{}", ran.out);
    assert_eq!(cluster.psql(&db, "select count(*) from sqitch.changes"), "3");
    assert_eq!(cluster.psql(&db, "select 't1_mail'::regclass"), "t1_mail");
}

#[test]
fn what_the_plan_has_not_is_named() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    project(&desk);
    real(&desk, cluster, &db, &["deploy"]);
    // Another note is another change, and everything behind it too.
    desk.write("db/sqitch.plan", &PLAN.replace("# A mail address", "# An address"));
    desk.write("runbook.toml", &step("\"db\"", ""));
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("is applied (says sqitch.changes), and the plan in db has no such change"), "{}", ran.out);
    assert!(ran.out.contains("users ("), "{}", ran.out);
    anew(&desk);
    project(&desk);
    desk.write("db/deploy/stock.sql", "BEGIN;\ncreate table t3 (id bigint);\nCOMMIT;\n");
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("deploy/stock.sql was changed since it was applied"), "{}", ran.out);
}
