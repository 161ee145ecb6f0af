//! `gonogo check --env`: what is found of servers, rights, objects, tools and probes before a window, by real servers.

use serde_json::Value;
use support::headless::Ran;
use support::pooler::Pooler;
use support::postgres::Cluster;
use support::sitter::Sitter;

use super::{book, desk, desk_with_database};

pub(super) fn step(id: &str, sql: &str) -> String {
    let expect = if sql.starts_with("select") { "expect = \"none\"\n" } else { "" };
    format!("[[phase.step]]\nid = \"{id}\"\nsql = '''{sql}'''\n{expect}undo = \"none needed\"\n\n")
}

/// The findings of the one runbook: `level about: what`.
pub(super) fn found(ran: &Ran) -> Vec<String> {
    let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}\n{}", ran.out, ran.err));
    let findings = said[0]["findings"].as_array().unwrap().iter();
    findings.map(|one| format!("{} {}: {}", text(one, "level"), text(one, "about"), text(one, "what"))).collect()
}

fn text<'a>(one: &'a Value, key: &str) -> &'a str {
    one[key].as_str().unwrap()
}

#[track_caller]
pub(super) fn has(found: &[String], wanted: &str) {
    assert!(found.iter().any(|one| one.contains(wanted)), "not found: {wanted}\n{}", found.join("\n"));
}

/// All that is wrong, whoever it is about.
pub(super) fn wrong(found: &[String]) -> Vec<&String> {
    found.iter().filter(|one| one.starts_with("error")).collect()
}

pub(super) const CHECK: [&str; 4] = ["check", "runbook.toml", "--env", "test"];

#[test]
fn a_ready_environment() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int primary key, currency text)");
    let steps = [
        step("make", "create table lines (id int references orders (id)); create index lines_id on lines (id)"),
        step("fill", "insert into lines select id from orders; alter table lines add column n int"),
        step("count", "select count(n) from lines join orders using (id)"),
        step("move", "alter table lines rename to order_lines"),
        step("look", "select count(*) from order_lines"),
        step("keys", "select count(*) from pg_constraint where conrelid = 'public.order_lines'::regclass"),
    ];
    let probe = "[[probe]]\nid = \"connections\"\nunit = \"sessions\"\nsql = \"select 41 + 1\"\n";
    desk.write("runbook.toml", &book(&format!("{}{probe}", steps.concat())));
    desk.run(&CHECK).exits(0).says("probe connections  42 sessions").says(", 0 error");
    let json = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(0);
    let found = found(&json);
    has(&found, "ok main: postgresql 15");
    has(&found, "warn main: it has no ledger");
    has(&found, "ok step make: 2 statements read by the server · orders (references)");
    has(&found, "ok step count: 1 statement read by the server · orders (select)");
    assert!(wrong(&found).is_empty(), "{found:#?}");
    assert_eq!(
        cluster.psql(&db, "select count(*) from pg_class where relname like '%lines%'"),
        "0",
        "nothing was sent"
    );
}

#[test]
fn objects_that_are_not_as_the_sql_has_them() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int, note text); create schema app; create table app.full (id int)");
    let steps = [
        step("typo", "select count(*) from ordres"),
        step("type", "select id + '2024-01-31'::json from orders"),
        step("column", "update orders set curency = 'EUR'"),
        step("alter", "alter table orders drop column gone, alter column note set not null"),
        step("there", "create table app.full (id int)"),
        step("twice", "alter table orders add column note text"),
        step("schema", "create table nowhere.t (id int)"),
        step("extension", "create extension no_such_extension"),
        step("drops", "drop table app.full"),
        step("late", "select count(*) from app.full"),
        step("grammar", "vacuum_all orders"),
        step("maybe", "drop table if exists ordres"),
    ];
    desk.write("runbook.toml", &book(&steps.concat()));
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    let found = found(&ran);
    has(&found, "error step typo: ordres is not there");
    has(&found, "error step column: ERROR: column \"curency\" of relation \"orders\" does not exist (42703)");
    has(&found, "error step alter: orders has no column gone");
    has(&found, "error step there: app.full is there already");
    has(&found, "error step twice: orders has a column note already");
    has(&found, "error step schema: there is no schema nowhere");
    has(&found, "error step extension: the server has no extension no_such_extension");
    has(&found, "error step late: app.full is not there any more: step drops takes it away before");
    has(&found, "ok step maybe:");
    assert!(!found.iter().any(|one| one.contains("column \"note\"")), "{found:#?}");
    has(&found, "error step type: ERROR: ");
    has(&found, "error step grammar: ERROR: syntax error at or near \"vacuum_all\" (42601)");
    assert_eq!(wrong(&found).len(), 10, "{found:#?}");
}

#[test]
fn rights_of_the_role() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let role = format!("{db}_deploy");
    cluster.psql(
        &db,
        &format!(
            "create role {role} login; create table orders (id int); create table secret (id int); \
        grant select on orders to {role}; create table seen (id int); alter table seen enable row level security; \
        grant select on seen to {role}; revoke create on schema public from public"
        ),
    );
    let steps = [
        step("reads", "select count(*) from orders"),
        step("writes", "insert into orders values (1)"),
        step("alters", "alter table orders add column b int"),
        step("peeks", "select count(*) from secret"),
        step("policy", "select count(*) from seen"),
        step("makes", "create table fresh (id int)"),
    ];
    let url = cluster.url(&db).replacen("postgres@", &format!("{role}@"), 1);
    assert!(url.contains(&role), "{url}");
    let desk = desk.with("DB", url);
    desk.write("runbook.toml", &book(&steps.concat()));
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    let found = found(&ran);
    cluster.psql(&db, &format!("drop owned by {role}; drop role {role}"));
    has(&found, "ok step reads: 1 statement read by the server · orders (select)");
    has(&found, "error step writes: this role may not insert on orders");
    has(&found, "error step alters: orders belongs to postgres, and only its owner may do this");
    has(&found, "error step peeks: this role may not select on secret");
    has(&found, "warn step policy: seen has row security for this role");
    has(&found, "error step makes: this role may not make anything in schema public");
    has(&found, "warn main: this role does not see the transactions of others");
    assert_eq!(wrong(&found).len(), 4, "{found:#?}");
}

#[test]
fn tools_files_probes_secrets_and_company() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    let steps = "[[phase.step]]\nid = \"backup\"\nrun = [\"pg_dump\", \"-Fc\", \"-f\", \"out/b.dump\"]\nconnect = \"main\"\n\
                 produces = \"out/b.dump\"\nundo = \"none needed\"\n\n\
                 [[phase.step]]\nid = \"load\"\nrun = [\"no-such-loader\"]\nundo = \"irreversible\"\n\n\
                 [[phase.step]]\nid = \"call\"\nhttp = { url = \"http://127.0.0.1:9/\", headers = { authorization = \"env:API_TOKEN\" } }\n\n";
    let tail = "[[probe]]\nid = \"counted\"\nrun = [\"touch\", \"started\"]\n\n[[probe]]\nid = \"lag\"\nsql = \"select lag from nowhere\"\n\n[[trigger]]\nid = \"t\"\nwhen = \"lag > 2\"\nthen = \"hold\"\n";
    desk.write("runbook.toml", &book(&format!("{steps}{}{tail}", step("after", "select count(*) from loaded"))));
    // A client of before the server: it says its version like the real one.
    let tool = desk.write("bin/pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", desk.path("bin").display(), std::env::var("PATH").unwrap());
    let desk = desk.with("PATH", path);
    let sitter = Sitter::start(cluster, &db, "lock table orders in access exclusive mode");
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    drop(sitter);
    let found = found(&ran);
    has(&found, "pg_dump is version 9.6.24, the server of main is 15");
    has(&found, "warn step backup: the folder ");
    has(&found, "error tool no-such-loader: it is not found");
    has(&found, "error secret env:API_TOKEN: the environment variable API_TOKEN is not set");
    has(&found, "ok probe counted: a command measures it, which is not started now");
    has(&found, "ok tool touch: ");
    assert!(!desk.path("started").exists(), "no command of a probe is started");
    has(&found, "error probe lag: no data: ERROR: relation \"nowhere\" does not exist");
    has(&found, "warn step after: not there now: loaded");
    assert_eq!(wrong(&found).len(), 4, "{found:#?}");
}

#[test]
fn servers_that_no_run_could_work_on() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    desk.write("runbook.toml", &book(&step("write", "insert into orders values (1)")));
    cluster.psql(&db, &format!("alter database {db} set default_transaction_read_only = on"));
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    has(&found(&ran), "error main: its transactions are read-only by default, and steps write to it");
    let nobody = super::desk().with("DB", "postgres://nobody@127.0.0.1:9/app");
    nobody.write("runbook.toml", &book(&step("write", "insert into orders values (1)")));
    nobody.run(&CHECK).exits(1).says("cannot open 127.0.0.1:9/app");
    nobody.run(&["check", "runbook.toml", "--env", "nowhere"]).exits(2);
}

#[test]
fn a_file_of_sqlite() {
    let desk = desk();
    let head = "format = 1\nid = \"lite\"\ntitle = \"Lite\"\n[environments.test]\ntargets.main = \"sqlite:app.db?mode=rwc\"\n\n\
                [[phase]]\nid = \"migrate\"\n\n";
    let steps = [
        step("early", "select count(*) from orders"),
        step("make", "create table orders (id int)"),
        step("late", "select count(*) from orders"),
    ];
    desk.write("runbook.toml", &format!("{head}{}", steps.concat()));
    desk.run(&CHECK).exits(0).says("app.db is not there yet; a run makes it");
    assert!(!desk.path("app.db").exists(), "a look makes nothing");
    let by_name = desk.with("LITE", "sqlite:app.db?mode=rwc");
    by_name.write("named.toml", &format!("{}{}", head.replace("sqlite:app.db?mode=rwc", "env:LITE"), steps[1]));
    by_name.run(&["check", "named.toml", "--env", "test"]).exits(0).says("app.db is not there yet; a run makes it");
    assert!(!by_name.path("app.db").exists(), "nor by an address that only the environment knows");
    let desk = by_name;
    desk.write("app.db", "");
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    let found = found(&ran);
    has(&found, "error step early: ERROR: no such table: orders");
    has(&found, "ok step late: known when it runs: ERROR: no such table: orders");
    assert_eq!(wrong(&found).len(), 1, "{found:#?}");
}

#[test]
fn the_lint_has_its_say_whatever_the_output() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    let asks = "[[phase.step]]\nid = \"asks\"\nsql = \"select count(*) from orders\"\n\n";
    desk.write("runbook.toml", &book(asks));
    desk.run(&CHECK).exits(3).says("step-without-expect");
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(3);
    has(&found(&ran), "ok step asks: 1 statement read by the server");
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((said[0]["ok"].as_bool(), text(&said[0]["lint"][0], "rule")), (Some(false), "step-without-expect"));
    assert_eq!(said[0]["problems"], serde_json::json!([]));
    desk.run(&[&CHECK[..], &["--sarif"]].concat()).exits(2);
}

#[test]
fn a_standby_and_a_pooler() {
    let Some(primary) = Cluster::start(&[]) else { return };
    let db = primary.create_db();
    primary.psql(&db, "create table orders (id int)");
    let write = step("write", "insert into orders values (1)");
    if let Some(standby) = primary.standby() {
        standby.until(&db, "select count(*) from orders", "0");
        let desk = desk().with("DB", standby.url(&db));
        desk.write("runbook.toml", &book(&write));
        let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
        has(&found(&ran), "error main: the server is a standby: nothing can be written there, and steps write to it");
        desk.write("runbook.toml", &book(&step("read", "select count(*) from orders")));
        let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(0);
        has(&found(&ran), "warn main: the server is a standby");
    }
    let Some(pooler) = Pooler::start(&primary) else { return };
    let desk = desk().with("DB", pooler.url(&db));
    desk.write("runbook.toml", &book(&write));
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    has(&found(&ran), "error main: two connections are one session of the server: a pooler in transaction mode");
}

#[test]
fn who_works_there_and_what_a_batch_needs() {
    let Some(cluster) = Cluster::start(&[("max_prepared_transactions", "2")]) else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table orders (id int primary key, n int)");
    cluster.psql(&db, "begin; insert into orders values (7, 7); prepare transaction 'left over'");
    let desk = desk().with("DB", cluster.url(&db));
    let batch = "[[phase.step]]\nid = \"fill\"\nbatch = { table = \"orders\", key = \"id\", set = \"m = 1\" }\nundo = \"none needed\"\n";
    desk.write("runbook.toml", &book(batch));
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    let told = found(&ran);
    has(&told, "warn main: a prepared transaction: left over of postgres");
    has(&told, "error main: it has no ledger, and step fill needs one");
    has(&told, "error step fill: ERROR: column \"m\" of relation \"orders\" does not exist");
    let noted = "batch = { table = \"orders\", key = \"id\", set = \"n = 1 -- one\", where = \"n > 1 -- not yet\" }";
    desk.write("noted.toml", &book(&format!("[[phase.step]]\nid = \"fill\"\n{noted}\nundo = \"none needed\"\n")));
    let ran = desk.run(&["check", "noted.toml", "--env", "test", "--json"]);
    assert!(!wrong(&found(&ran)).iter().any(|one| one.contains("step fill: ERROR")), "{}", ran.out);
    // A run that is at work is told, and is not disturbed.
    let waits = "[[phase.step]]\nid = \"wait\"\nsql = \"select pg_sleep(600)\"\nundo = \"none needed\"\n";
    desk.write("at-work/runbook.toml", &book(waits));
    let running = desk.start(&["run", "at-work", "--headless", "--json", "--yes"]);
    running.says("step_started");
    let ran = desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1);
    has(&found(&ran), "warn main: a run works on it now: pid ");
    running.kill();
}
