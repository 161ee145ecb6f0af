//! Backups that prove themselves and restores that happen whole or not at all, on a real server with its real programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gonogo::run::{Entry, Event, Facts, Fault, Outcome};
use support::headless::{Desk, until};
use support::postgres::Cluster;
use support::sitter::Sitter;

use super::story::{entries, fault, outcome};
use super::{book, desk_with_database};

const BEFORE: &str = "create schema app; create type app.mood as enum ('sad', 'fine'); \
    create table app.users (id serial primary key, name text not null unique, mood app.mood); \
    create table orders (id int primary key, user_id int references app.users, amount numeric default 7); \
    create index orders_by_user on orders (user_id); \
    create view app.rich as select u.name, sum(o.amount) as amount from app.users u join orders o on o.user_id = u.id group by 1; \
    create function app.twice(n int) returns int language sql as 'select n * 2'; \
    create table parted (k int) partition by range (k); create table parted_1 partition of parted for values from (0) to (100); \
    insert into app.users (name, mood) select 'user ' || n, 'fine' from generate_series(1, 50) n; \
    insert into orders select n, 1 + n % 50 from generate_series(1, 400) n; insert into parted select generate_series(1, 9)";

const MIGRATION: &str = "create table teams (id int primary key, boss int references app.users not null); \
    insert into teams values (1, 1); alter table orders add column team int references teams; \
    update orders set team = 1, amount = 0; delete from parted; alter table app.users drop column mood; \
    create schema extra; create table extra.log (at timestamptz); create type colour as enum ('red'); \
    create function public.colour_of(c colour) returns text language sql as 'select c::text'; drop view app.rich; \
    create sequence loose; create materialized view totals as select count(*) from orders";

const ROWS: &str = "select (select count(*) from app.users) || ' ' || (select sum(amount) from orders) || ' ' || (select count(*) from parted)";

fn pg(cluster: &Cluster, program: &str, db: &str) -> Command {
    let mut command = Command::new(bin(cluster).join(program));
    command.args(["-U", "postgres", "-h", "127.0.0.1", "-p", &cluster.port().to_string(), "-d", db]);
    command
}

fn bin(cluster: &Cluster) -> PathBuf {
    let psql = cluster.psql_command("postgres");
    Path::new(psql.get_program()).parent().unwrap().to_owned()
}

/// The schema as the server's own program writes it, without what it writes anew each time.
fn schema(cluster: &Cluster, db: &str) -> String {
    let dump = pg(cluster, "pg_dump", db).args(["--schema-only", "-N", "gonogo"]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let text = String::from_utf8(dump.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn backup(rest: &str) -> String {
    format!("[[phase.step]]\nid = \"backup\"\n{rest}\n")
}

fn go(desk: &Desk, steps: &str) -> support::headless::Ran {
    desk.write("runbook.toml", &book(steps));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"])
}

async fn facts(desk: &Desk, step: &str) -> Facts {
    match outcome(&entries(&desk.run_dir()).await, step) {
        Outcome::Done { facts, .. } => *facts,
        other => panic!("{step}: {other:?}"),
    }
}

/// The databases that trial restores of the desk's run have left.
fn scratches(desk: &Desk, cluster: &Cluster) -> String {
    let run = desk
        .run_dir()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_lowercase()
        .replace(|c: char| !c.is_alphanumeric(), "_");
    let run: String = run.chars().take(30).collect();
    cluster
        .psql("postgres", &format!("select count(*) from pg_database where starts_with(datname, 'gonogo_proof_{run}')"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_archive_proves_itself() {
    for (kind, proof) in [
        ("prove = \"read\"", "read"),
        ("prove = \"restore\"", "restored"),
        ("format = \"directory\", jobs = 2, prove = \"restore\"", "restored"),
        ("format = \"plain\", prove = \"restore\"", "restored"),
    ] {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        cluster.psql(&db, BEFORE);
        let expect = format!(
            "value == 459 and rows == 3 and file.size > 0 and proof == '{proof}' and table[0].name == 'app.users' and table[0].rows == 50"
        );
        let steps =
            backup(&format!("backup = {{ file = \"b/{{{{ run.id }}}}.dump\", {kind} }}\nexpect = \"{expect}\""));
        let age = "[[phase.step]]\nid = \"age\"\nsql = \"select 1\"\nexpect = \"steps['backup'].age_s < 600 and steps['backup'].age_s >= 0\"\n";
        go(&desk, &format!("{steps}{age}")).exits(0).says("the archive was read whole");
        let facts = facts(&desk, "backup").await;
        let file = facts.file.unwrap();
        let path = desk.path(&file.path);
        assert!(path.exists(), "{kind}");
        if path.is_file() {
            let sum = Command::new("sha256sum").arg(&path).output().unwrap();
            assert!(String::from_utf8(sum.stdout).unwrap().starts_with(&file.sha256), "{kind}");
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "nobody else may read it");
        }
        let left: Vec<_> = fs::read_dir(desk.path("b")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 1, "{kind}: {left:?}");
        assert!(facts.counters.is_some_and(|counters| counters.tables.len() >= 3), "{kind}");
        let restored = facts.table.iter().filter_map(|row| row.get("restored")?.as_u64()).sum::<u64>();
        assert_eq!(restored, if proof == "restored" { 459 } else { 0 }, "{kind}");
        assert_eq!(scratches(&desk, cluster), "0", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_back_exactly_what_was_there() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    cluster.psql(&db, "create schema gonogo; create table gonogo.mine (n int); insert into gonogo.mine values (1)");
    cluster.psql(&db, "grant usage on schema public to public");
    let (schema_before, rows_before) = (schema(cluster, &db), cluster.psql(&db, ROWS));
    let steps = format!(
        "{}[[phase.step]]\nid = \"migrate\"\nsql = \"\"\"{MIGRATION}\"\"\"\n[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\nexpect = \"value == 459\"\n",
        backup("backup = \"b.dump\"")
    );
    go(&desk, &steps).exits(0).says("every table has the rows of the backup");
    assert_eq!(schema(cluster, &db), schema_before);
    assert_eq!(cluster.psql(&db, ROWS), rows_before);
    assert_eq!(cluster.psql(&db, "select count(*) from gonogo.mine"), "1", "the ledger's schema is left alone");
    assert_eq!(cluster.psql(&db, "select nextval('app.users_id_seq')"), "51", "sequences too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_everything_as_it_was() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    // Restorable as it is, but with other rows than its backup has counted: a row is added to what the archive says.
    let dump = desk.path("b.sql");
    let run = pg(cluster, "pg_dump", &db).arg("-f").arg(&dump).status().unwrap();
    assert!(run.success());
    let text = fs::read_to_string(&dump).unwrap();
    fs::write(&dump, text.replace("CREATE INDEX orders_by_user", "select 1/0; CREATE INDEX orders_by_user")).unwrap();
    cluster.psql(&db, MIGRATION);
    let before = (schema(cluster, &db), cluster.psql(&db, "select sum(team) from orders"));
    go(&desk, "[[phase.step]]\nid = \"restore\"\nrestore = \"b.sql\"\n").exits(4).says("division by zero");
    let fault = fault(&entries(&desk.run_dir()).await, "restore");
    assert!(fault.safe.contains("nothing was committed: the database is as it was"), "{fault:?}");
    assert_eq!((schema(cluster, &db), cluster.psql(&db, "select sum(team) from orders")), before);
}

/// The archive's SQL ends before its time, and psql lives: nothing waits for it with every table locked.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_where_its_archive_cannot_be_read_on() {
    use std::os::unix::fs::PermissionsExt;
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    go(&desk, &backup("backup = \"b.dump\"")).exits(0);
    cluster.psql(&db, MIGRATION);
    let before = schema(cluster, &db);
    let bin = bin(cluster);
    for name in ["pg_dump", "pg_restore", "psql"] {
        let real = format!("{}/{name}", bin.display());
        // Lists and whole reads are the real one's; what is to be loaded breaks off.
        let cut = "echo 'pg_restore: error: could not read from input file' >&2; exit 1";
        let text = match name {
            "pg_restore" => format!(
                "#!/bin/sh\ncase \"$*\" in *--list*|*/dev/null*) exec {real} \"$@\";; esac\n{real} \"$@\" | head -c 3000; {cut}\n"
            ),
            _ => format!("#!/bin/sh\nexec {real} \"$@\"\n"),
        };
        fs::set_permissions(desk.write(&format!("cut/{name}"), &text), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", desk.path("cut").display(), std::env::var("PATH").unwrap());
    let other = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db)).with("PATH", path);
    fs::copy(desk.path("b.dump"), other.path("b.dump")).unwrap();
    go(&other, "[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\ntimeout = \"30s\"\n").exits(4);
    let fault = fault(&entries(&other.run_dir()).await, "restore");
    assert!(fault.summary.contains("could not read from input file"), "{fault:?}");
    assert!(fault.safe.contains("nothing was committed: the database is as it was"), "{fault:?}");
    assert_eq!(schema(cluster, &db), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_were_cut_or_changed_are_found_out_before_anything_is_dropped() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    cluster.psql(&db, "create table big as select n, md5(n::text) as text from generate_series(1, 20000) n");
    let cut = "[[phase.step]]\nid = \"cut\"\nshell = \"truncate -s $(( $(stat -c %s b.dump) * 6 / 10 )) b.dump\"\n";
    let restore = "[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n";
    go(&desk, &format!("{}{cut}{restore}", backup("backup = \"b.dump\"")))
        .exits(4)
        .says("is not the archive that backup has made");
    // The same archive, of which this run knows nothing: only a full read can tell.
    let other = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    fs::copy(desk.path("b.dump"), other.path("b.dump")).unwrap();
    let listed =
        Command::new(bin(cluster).join("pg_restore")).arg("--list").arg(other.path("b.dump")).output().unwrap();
    assert!(listed.status.success(), "its list is whole: a list proves nothing");
    go(&other, restore).exits(4).says("cannot be read to its end");
    assert_eq!(cluster.psql(&db, "select count(*) from orders"), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_the_way_of_a_restore_is_named() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    go(&desk, &backup("backup = \"b.dump\"")).exits(0);
    let other = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    fs::copy(desk.path("b.dump"), other.path("b.dump")).unwrap();
    let _sitter = Sitter::start(cluster, &db, "select count(*) from orders");
    let steps = book("[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n").replace("\"20s\"", "\"3s\"");
    other.write("runbook.toml", &steps);
    let ran = other.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    ran.says("lock timeout").says("sitter");
    assert_eq!(cluster.psql(&db, "select count(*) from orders"), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_databases_is_told_so_at_once() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        &db,
        "create role plain_dumper login; create table t as select 1 as n; grant select on t to plain_dumper",
    );
    let url = cluster.url(&db).replace("postgres@", "plain_dumper@");
    let desk = desk.with("DB", url);
    go(&desk, &backup("backup = { file = \"b.dump\", prove = \"restore\" }"))
        .exits(4)
        .says("may not create databases")
        .says("createdb");
    assert!(!desk.path("b.dump").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_program_in_the_path_is_passed_by_and_no_file_is_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t as select 1 as n");
    for name in ["pg_dump", "pg_restore", "psql"] {
        let path =
            desk.write(&format!("old/{name}"), "#!/bin/sh\necho \"pg_dump (PostgreSQL) 12.1\"\ntouch \"$0.used\"\n");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", desk.path("old").display(), std::env::var("PATH").unwrap());
    let desk = desk.with("PATH", path);
    let other = "[[phase.step]]\nid = \"again\"\nbackup = \"b.dump\"\n";
    go(&desk, &format!("{}{other}", backup("backup = \"b.dump\"\nexpect = \"value == 1\"")))
        .exits(4)
        .says("no backup is overwritten");
    assert!(desk.path("old/pg_dump.used").exists(), "it was asked for its version");
    assert!(!desk.path("old/pg_restore.used").exists(), "and nothing of it did any work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_on_without_its_engine() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t as select generate_series(1, 5000) as n");
    let sitter = Sitter::start(cluster, &db, "lock table t in access exclusive mode");
    desk.write("runbook.toml", &book(&backup("backup = \"b.dump\"\nexpect = \"value == 5000\"")));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    cluster.until(&db, "select count(*) > 0 from pg_stat_activity where datname = current_database() and (application_name = 'pg_dump' or wait_event_type = 'Lock')", "t");
    running.kill();
    drop(sitter);
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(facts(&desk, "backup").await.value, Some(5000.into()));
    assert_eq!(desk.run(&["report"]).exits(0).out.matches("2 attempts").count(), 0, "one attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_on_without_its_engine_and_happens_once() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    let steps = format!(
        "{}[[phase.step]]\nid = \"migrate\"\nsql = \"\"\"{MIGRATION}\"\"\"\n[[phase.step]]\nid = \"ready\"\nshell = \"touch ready; while [ ! -e go ]; do sleep 0.05; done\"\n[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n",
        backup("backup = \"b.dump\"")
    );
    let before = schema(cluster, &db);
    desk.write("runbook.toml", &book(&steps));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    until("ready", || desk.path("ready").exists());
    let sitter = Sitter::start(cluster, &db, "select count(*) from teams");
    desk.write("go", "");
    cluster.until(&db, "select count(*) > 0 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())", "t");
    running.kill();
    drop(sitter);
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(schema(cluster, &db), before);
    let told = entries(&desk.run_dir()).await;
    assert_eq!(super::story::started(&told).iter().filter(|step| *step == "restore").count(), 1);
    let Outcome::Done { facts, .. } = outcome(&told, "restore") else { panic!("done") };
    assert!(facts.recovered.is_some());
}

const WAY_BACK: &str = "[[rollback]]\nid = \"back\"\n[[rollback.step]]\nid = \"back\"\nrestore = \"b.dump\"\nloses = \"every write since the backup\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_restore_says_what_it_loses() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    let before = (schema(cluster, &db), cluster.psql(&db, ROWS));
    let trigger =
        "[[trigger]]\nid = \"bad\"\nwhen = \"broken > 0\"\nthen = \"rollback\"\nplan = \"back\"\ngrace = \"100ms\"\n";
    let probe = "[[probe]]\nid = \"broken\"\nevery = \"200ms\"\nsql = { target = \"main\", sql = \"select case when exists (select from pg_namespace where nspname = 'bad') then 1 else 0 end\" }\n";
    let wait = "[[phase.step]]\nid = \"long\"\nwait = \"10m\"\n";
    let steps = format!("{}{wait}{WAY_BACK}{probe}{trigger}", backup("backup = \"b.dump\""));
    desk.write("runbook.toml", &book(&steps));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    running.says("a restore of backup loses: no row was written since");
    cluster.psql(&db, "insert into orders (id) select generate_series(1001, 1012); delete from app.users where id = 50 and not exists (select from orders where user_id = 50)");
    running.says("about 12 rows written since: public.orders 12");
    cluster.psql(&db, "create schema bad");
    let ran = running.end().exits(5).says("ROLLBACK begins by plan back");
    let told = entries(&desk.run_dir()).await;
    let reason = told.iter().find_map(|entry| match &entry.event {
        Event::RollbackStarted { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.unwrap();
    assert!(
        reason.contains("backup backup is ") && reason.contains("12 rows written since: public.orders 12"),
        "{reason}"
    );
    assert!(desk.run(&["report"]).exits(0).out.contains("12 rows written since"), "{}", ran.out);
    assert_eq!((schema(cluster, &db), cluster.psql(&db, ROWS)), before);
}

/// The worker of the step, and its shim, by the record that the shim keeps.
fn processes(desk: &Desk, step: &str) -> Option<(i32, i32)> {
    let text = fs::read_to_string(desk.run_dir().join(format!("attempts/{step}.forward.1/started"))).ok()?;
    let started: serde_json::Value = serde_json::from_str(&text).ok()?;
    let pid = |key: &str| started[key]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    Some((pid("child")?, pid("shim")?))
}

fn kill(pid: i32, whole_group: bool) {
    let who = if whole_group { format!("-{pid}") } else { pid.to_string() };
    assert!(Command::new("kill").args(["-9", "--", &who]).status().unwrap().success(), "{who}");
}

/// What is said of the first attempt that failed.
fn first_fault(told: &[Entry]) -> Fault {
    let found = told.iter().find_map(|entry| match &entry.event {
        Event::StepEnded { outcome: Outcome::Failed { fault, .. }, .. } => Some((**fault).clone()),
        _ => None,
    });
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_processes_are_all_killed_is_known_not_to_be_there() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t as select generate_series(1, 10) as n");
    let sitter = Sitter::start(cluster, &db, "lock table t in access exclusive mode");
    desk.write("runbook.toml", &book(&backup("backup = { file = \"b.dump\", prove = \"restore\" }")));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    cluster.until(
        &db,
        "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        "t",
    );
    let (worker, shim) = processes(&desk, "backup").unwrap();
    running.kill();
    kill(shim, false);
    kill(worker, true);
    drop(sitter);
    // What a program of the first attempt may have left, or may still write to.
    let run = desk.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    desk.write(&format!("b.dump.part-{run}.1/toc.dat"), "half of it");
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0).says("its worker died as well");
    let told = entries(&desk.run_dir()).await;
    assert!(first_fault(&told).safe.contains("the database was only read"));
    assert_eq!(facts(&desk, "backup").await.value, Some(10.into()), "the second attempt is a whole one");
    assert_eq!(scratches(&desk, cluster), "0");
    let parts = fs::read_dir(desk.path(""))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".part-"));
    assert_eq!(parts.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_processes_are_all_killed_never_happened() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    let dump = desk.path("b.dump");
    assert!(pg(cluster, "pg_dump", &db).arg("-Fc").arg("-f").arg(&dump).status().unwrap().success());
    cluster.psql(&db, MIGRATION);
    let before = schema(cluster, &db);
    let sitter = Sitter::start(cluster, &db, "select count(*) from teams");
    let steps = book("[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n");
    desk.write("runbook.toml", &steps.replace("\"20s\"", "\"4s\""));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    cluster.until(&db, "select count(*) > 0 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())", "t");
    let (worker, shim) = processes(&desk, "restore").unwrap();
    running.kill();
    kill(shim, false);
    kill(worker, true);
    cluster.until(&db, "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())", "0");
    let told = desk.run(&["resume", "last", "--headless"]);
    assert!(
        told.out.contains("its COMMIT was never sent") || told.out.contains("its worker died as well"),
        "{}",
        told.out
    );
    drop(sitter);
    assert_eq!(schema(cluster, &db), before);
    let fault = first_fault(&entries(&desk.run_dir()).await);
    assert!(fault.safe.contains("its COMMIT was never sent"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_those_of_the_backup_stop_a_restore() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    // A materialized view is filled last of all, by whatever its query does.
    let more = "create function app.odd() returns int language plpgsql as $$ begin delete from public.orders where id = 1; return 1; end $$; \
        create materialized view app.seen as select app.odd() as n";
    cluster.psql(&db, more);
    cluster.psql(&db, "insert into orders values (1, 1) on conflict do nothing");
    let steps = format!("{}[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n", backup("backup = \"b.dump\""));
    go(&desk, &steps).exits(4).says("the rows are not those of the backup: public.orders 400, there 399");
    assert_eq!(cluster.psql(&db, "select count(*) from orders"), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cancelled_leaves_nothing() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table t as select 1 as n");
    let sitter = Sitter::start(cluster, &db, "lock table t in access exclusive mode");
    let ran = go(&desk, &backup("backup = \"b/x.dump\"\ntimeout = \"2s\""));
    ran.exits(4).says("timed out after 2s");
    drop(sitter);
    assert_eq!(fs::read_dir(desk.path("b")).unwrap().count(), 0);
    let dumps =
        "select count(*) from pg_stat_activity where application_name = 'pg_dump' and datname = current_database()";
    cluster.until(&db, dumps, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_may_be_left_out_and_then_nothing_is_restored_over_them() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, BEFORE);
    let steps = backup(
        "backup = { file = \"b.dump\", exclude = [\"orders\"], prove = \"restore\" }\nexpect = \"value == 59 and rows == 2\"",
    );
    let restore = "[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n";
    go(&desk, &format!("{steps}{restore}")).exits(4).says("left out the rows of public.orders");
    assert_eq!(cluster.psql(&db, "select count(*) from orders"), "400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_sqlite_is_copied_and_checked() {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    let text = book(&format!(
        "[[phase.step]]\nid = \"make\"\nsql = \"create table t (n int); insert into t values (1), (2)\"\n{}",
        backup("backup = \"b/copy.db\"\nexpect = \"value == 2 and proof == 'read' and table[0].name == 't'\"")
    ));
    desk.write(
        "runbook.toml",
        &text.replace(
            "url = \"env:DB\", lock_timeout = \"20s\", statement_timeout = \"10m\"",
            "url = \"sqlite:my.db?mode=rwc\"",
        ),
    );
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(fs::read(desk.path("b/copy.db")).unwrap().starts_with(b"SQLite format 3"));
    assert!(facts(&desk, "backup").await.file.unwrap().size > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_commit_nobody_saw_answered_is_asked_of_the_server() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let db = cluster.create_db();
    cluster.psql(&db, BEFORE);
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("DB", cluster.url(&db));
    assert!(pg(&cluster, "pg_dump", &db).arg("-Fc").arg("-f").arg(desk.path("b.dump")).status().unwrap().success());
    let before = (schema(&cluster, &db), cluster.psql(&db, ROWS));
    cluster.psql(&db, MIGRATION);
    // COMMIT is durable on the server, and its answer is held back for a standby that never comes.
    cluster.psql(&db, "alter system set synchronous_standby_names = 'nosuch'");
    cluster.psql(&db, "select pg_reload_conf()");
    desk.write("runbook.toml", &book("[[phase.step]]\nid = \"restore\"\nrestore = \"b.dump\"\n"));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    cluster.until(&db, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "1");
    let (worker, shim) = processes(&desk, "restore").unwrap();
    running.kill();
    kill(shim, false);
    kill(worker, true);
    cluster.psql(&db, "alter system reset synchronous_standby_names");
    cluster.psql(&db, "select pg_reload_conf()");
    cluster.until(&db, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "0");
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    let told = entries(&desk.run_dir()).await;
    assert_eq!(super::story::started(&told), ["restore"], "once");
    let Outcome::Done { facts, .. } = outcome(&told, "restore") else { panic!("it is done") };
    assert!(facts.recovered.is_some_and(|how| how.contains("is committed")), "how it is known is said");
    assert_eq!(facts.value, Some(459.into()));
    assert_eq!((schema(&cluster, &db), cluster.psql(&db, ROWS)), before);
}

/// Large objects bring transactions of their own: refused before anything is touched, in every format.
#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_not_restored_in_parts() {
    for format in ["custom", "directory", "plain"] {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        cluster.psql(&db, "create table t (id int); insert into t values (1); select lo_from_bytea(0, 'hello')");
        let steps = format!(
            "{}[[phase.step]]\nid = \"change\"\nsql = \"insert into t values (2)\"\n\
             [[phase.step]]\nid = \"back\"\nrestore = \"{{{{ steps['backup'].file.path }}}}\"\n",
            backup(&format!("backup = {{ file = \"b.dump\", format = \"{format}\" }}"))
        );
        let ran = go(&desk, &steps).exits(4);
        assert!(ran.out.contains("large objects") && ran.out.contains("nothing was touched"), "{format}: {}", ran.out);
        assert_eq!(cluster.psql(&db, "select count(*) from t"), "2", "{format}");
    }
}

/// The reason is the server's own, not what it did to pg_dump.
#[test]
fn a_table_that_may_not_be_read_is_named() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        "postgres",
        "do $$ begin create role backup_reader login; exception when duplicate_object then null; end $$",
    );
    cluster.psql(&db, "create table open_to_all (id int); create table hidden_rows (id int); grant select on open_to_all to backup_reader");
    let desk = desk.with("DB", cluster.url(&db).replace("postgres@", "backup_reader@"));
    go(&desk, &backup("backup = \"b.dump\"")).exits(4).says("permission denied for table hidden_rows");
}
