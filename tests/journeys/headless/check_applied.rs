//! `gonogo check --env`: steps that apply another tool's files, or put a backup in the place of what is there, have done so
//! by the time the steps behind them run. And what is said of the shipped runbooks on their own fixtures.

use std::os::unix::fs::PermissionsExt;

use support::headless::Desk;

use super::books::{fixture, folder, text};
use super::check_env::{CHECK, found, has, step, wrong};
use super::{book, desk, desk_with_database};

fn migrations(id: &str, more: &str) -> String {
    format!(
        "[[phase.step]]\nid = \"{id}\"\nmigrations = {{ folder = \"migrations\", tool = \"golang-migrate\"{more} }}\n\
         undo = {{ migrations = \"down\" }}\n\n"
    )
}

#[test]
fn files_of_another_tool_are_read_like_any_sql() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int primary key, old text)");
    desk.write("migrations/1_lines.up.sql", "create table lines (id int references orders (id));");
    desk.write("migrations/1_lines.down.sql", "drop table lines;");
    desk.write(
        "migrations/2_note.up.sql",
        "alter table orders add column note text;\nalter table orders drop column old;\n",
    );
    desk.write(
        "migrations/2_note.down.sql",
        "alter table orders drop column note;\nalter table orders add column old text;\n",
    );
    let steps = [
        migrations("first", ", to = \"1\", expect_pending = 1"),
        step("between", "select count(*) from lines"),
        migrations("second", ", expect_pending = 1"),
        step("behind", "select count(note) from orders join lines using (id)"),
        step("late", "alter table orders drop column old"),
    ];
    desk.write("runbook.toml", &book(&steps.concat()));
    let told = found(&desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1));
    has(&told, "ok step first: 1 statement read by the server · orders (references)");
    has(&told, "ok step between:");
    has(&told, "ok step second: 2 statements read by the server · orders (own)");
    has(&told, "ok undo second: 2 statements read by the server");
    has(&told, "ok undo first: 1 statement read by the server");
    has(&told, "error step late: orders has no column old");
    assert_eq!(wrong(&told).len(), 1, "{told:#?}");
    assert_eq!(
        cluster.psql(&db, "select to_regclass('lines') is null and to_regclass('schema_migrations') is null"),
        "t"
    );
}

#[test]
fn files_that_would_be_refused_or_fail_are_named() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    desk.write("migrations/1_orders.up.sql", "\ncreate table orders (id int);");
    desk.write("migrations/1_orders.down.sql", "drop table orders;");
    desk.write("runbook.toml", &book(&migrations("files", "")));
    let ran = desk.run(&CHECK).exits(1);
    ran.says("orders is there already").says("migrations/1_orders.up.sql:2");
    desk.write("runbook.toml", &book(&migrations("files", ", expect_pending = 2")));
    let told = found(&desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1));
    has(&told, "error step files: pending: 1 file; expected: 2");
    // What is recorded already is not looked at again.
    cluster.psql(&db, "create table schema_migrations (version bigint primary key, dirty boolean not null)");
    cluster.psql(&db, "insert into schema_migrations values (1, false)");
    desk.write("runbook.toml", &book(&migrations("files", "")));
    let told = found(&desk.run(&[&CHECK[..], &["--json"]].concat()).exits(0));
    has(&told, "ok step files: no file is pending");
}

#[test]
fn behind_a_restore_anything_may_be_there() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table orders (id int)");
    let restore = "[[phase.step]]\nid = \"back\"\nrestore = \"old.dump\"\nundo = \"irreversible\"\n\n";
    let steps = [
        step("drops", "drop table orders"),
        restore.to_owned(),
        step("reads", "select count(*) from orders"),
        step("older", "select count(archived) from old_orders"),
    ];
    desk.write("runbook.toml", &book(&steps.concat()));
    let told = found(&desk.run(&[&CHECK[..], &["--json"]].concat()));
    has(&told, "ok step reads: 1 statement read by the server");
    has(&told, "warn step older: not there now: old_orders");
    assert!(!wrong(&told).iter().any(|one| one.contains("orders")), "{told:#?}");
}

fn backup(id: &str, file: &str) -> String {
    format!(
        "[[phase.step]]\nid = \"{id}\"\nbackup = {{ file = \"{file}\", prove = \"restore\" }}\nundo = \"none needed\"\n\n"
    )
}

#[test]
fn what_backups_and_restores_need() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let role = format!("{db}_backup");
    cluster.psql(&db, &format!("create role {role} login"));
    let desk = desk.with("DB", cluster.url(&db).replacen("postgres@", &format!("{role}@"), 1));
    desk.write("there.dump", "x");
    let restore = |id: &str, file: &str| {
        format!("[[phase.step]]\nid = \"{id}\"\nrestore = \"{file}\"\nundo = \"irreversible\"\n\n")
    };
    let steps = [
        backup("new", "backups/today/a.dump"),
        backup("twice", "there.dump"),
        backup("no-folder", "there.dump/b.dump"),
        restore("ours", "backups/today/a.dump"),
        restore("nowhere", "of-last-year.dump"),
    ];
    desk.write("runbook.toml", &book(&steps.concat()));
    let told = found(&desk.run(&[&CHECK[..], &["--json"]].concat()).exits(1));
    cluster.psql(&db, &format!("drop role {role}"));
    has(&told, "ok step new: pg_dump and pg_restore 1");
    has(&told, "backups/today is not there yet; the backup makes it");
    has(&told, " free in ");
    has(&told, "error step new: this role may not create databases, and prove = \"restore\"");
    has(&told, "there.dump is there already, and no backup is overwritten");
    has(&told, "there.dump is no folder");
    has(&told, "of-last-year.dump is not there now");
    assert!(!told.iter().any(|one| one.starts_with("warn step ours")), "{told:#?}");
    assert_eq!(wrong(&told).len(), 5, "{told:#?}");
    assert!(!desk.path("backups").exists(), "a look makes nothing");
}

/// A shipped runbook on its fixture, with its logs and a manager of services that is there.
#[track_caller]
fn ready(desk: &Desk, name: &str) {
    desk.write("logs/access.log", "");
    desk.write("logs/app.log", "");
    let manager = desk.write("manager", "#!/bin/sh\n");
    std::fs::set_permissions(&manager, PermissionsExt::from_mode(0o755)).unwrap();
    let book = folder(name);
    let mut args = vec!["check", text(&book), "--env", "staging", "--json"];
    let set = format!("manager={}", text(&manager));
    if std::fs::read_to_string(book.join("runbook.toml")).unwrap().contains("\nmanager ") {
        args.extend(["--set", &set]);
    }
    let ran = desk.run(&args);
    let told = found(&ran);
    assert!(wrong(&told).is_empty(), "{told:#?}");
    ran.exits(0);
}

#[test]
fn the_shipped_runbooks_find_their_fixtures_ready() {
    let Some(cluster) = support::postgres::shared() else { return };
    for name in ["cody-versioned", "exports-type-fix", "goalgpt-phase1", "puzzle-battle-pass", "week1-wednesday"] {
        let db = fixture(cluster, &folder(name).join("fixture.sql"));
        let desk = desk().with("STAGING_DATABASE_URL", cluster.url(&db));
        let dev = folder(name).join("fixture_dev.sql");
        let dev = if dev.exists() { fixture(cluster, &dev) } else { db.clone() };
        ready(&desk.with("DEV_DATABASE_URL", cluster.url(&dev)), name);
    }
}
