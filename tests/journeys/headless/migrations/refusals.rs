//! Where the bookkeeping and the folder do not fit, nothing is touched, and it is said what to do.

use super::*;

/// A run that holds, having touched nothing.
fn refused(desk: &Desk, words: &[&str]) {
    let ran = desk.run(&RUN).exits(4);
    for words in words {
        assert!(ran.out.contains(words), "{words:?}\n{}", ran.out);
    }
    assert!(ran.out.contains("nothing was applied"), "{}", ran.out);
    anew(desk);
}

/// All three are applied, then `sql` is done to the tool's table, and a fourth file is there.
fn applied(tool: &str, fourth: File) -> Option<(Desk, &'static Cluster, String)> {
    let (desk, cluster, db) = desk_with_database()?;
    let kind = kind(tool);
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step("", ""));
    desk.run(&RUN).exits(0);
    anew(&desk);
    desk.write(&format!("migrations/{}", fourth.0), fourth.1);
    Some((desk, cluster, db))
}

const FOURTH: &[(&str, File)] = &[
    ("sqlx", ("11_fourth.up.sql", "create table t4 (id int);")),
    ("plain", ("004_fourth.sql", "create table t4 (id int);")),
    ("golang-migrate", ("4_fourth.up.sql", "create table t4 (id int);")),
    ("dbmate", ("20240104_fourth.sql", "-- migrate:up\ncreate table t4 (id int);\n-- migrate:down\ndrop table t4;\n")),
    ("flyway", ("V3__fourth.sql", "create table t4 (id int);")),
    ("prisma", ("20240104000000_fourth/migration.sql", "create table t4 (id int);")),
];

fn fourth(tool: &str) -> File {
    FOURTH.iter().find(|(known, _)| *known == tool).unwrap().1
}

#[test]
fn dirty() {
    let cases = [
        ("sqlx", "update _sqlx_migrations set success = false where version = 10", "delete from _sqlx_migrations"),
        ("plain", "update schema_versions set applied_at = null where version = 3", "delete from schema_versions"),
        ("golang-migrate", "update schema_migrations set dirty = true", "migrate force"),
        ("flyway", "update flyway_schema_history set success = false where version = '2'", "flyway repair"),
        (
            "prisma",
            "update _prisma_migrations set finished_at = null where migration_name like '%third'",
            "prisma migrate resolve --rolled-back 20240103000000_third",
        ),
    ];
    for (tool, sql, cure) in cases {
        let Some((desk, cluster, db)) = applied(tool, fourth(tool)) else { return };
        cluster.psql(&db, sql);
        refused(&desk, &["dirty", cure]);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{tool}");
    }
}

#[test]
fn changed_since_it_was_applied() {
    for tool in ["sqlx", "plain", "flyway", "prisma"] {
        let Some((desk, cluster, db)) = applied(tool, fourth(tool)) else { return };
        desk.write(&format!("migrations/{}", kind(tool).files[1].0), "create table t2 (id bigint);");
        refused(&desk, &["was changed since it was applied", "put the change into a new one"]);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{tool}");
    }
}

#[test]
fn applied_and_not_in_the_folder() {
    for (tool, _) in FOURTH {
        let Some((desk, cluster, db)) = applied(tool, fourth(tool)) else { return };
        std::fs::remove_file(desk.path(&format!("migrations/{}", kind(tool).files[2].0))).unwrap();
        refused(&desk, &["there is no such file in migrations"]);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{tool}");
    }
}

/// Older than the last applied one: refused by the tools that refuse it, applied and told by those that do not.
#[test]
fn out_of_order() {
    let late: [(&str, File, bool); 5] = [
        ("sqlx", ("5_late.up.sql", "create table t9 (id int);"), true),
        ("dbmate", ("20240102b_late.sql", "-- migrate:up\ncreate table t9 (id int);\n"), false),
        ("prisma", ("20240102120000_late/migration.sql", "create table t9 (id int);"), true),
        ("plain", ("0_late.sql", "create table t9 (id int);"), false),
        ("flyway", ("V1_5__late.sql", "create table t9 (id int);"), false),
    ];
    for (tool, file, taken) in late {
        // A second file with the same digits is refused for another reason by dbmate.
        if tool == "dbmate" {
            continue;
        }
        let Some((desk, cluster, db)) = applied(tool, file) else { return };
        if taken {
            let ran = desk.run(&RUN).exits(0);
            assert!(ran.out.contains("out of order"), "{tool}: {}", ran.out);
            assert_eq!(tables(cluster, &db), ["t1", "t2", "t3", "t9"], "{tool}");
        } else {
            refused(&desk, &["applies files in order only"]);
            assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{tool}");
        }
    }
}

#[test]
fn not_as_many_as_expected() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("plain");
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step(", expect_pending = 2", ""));
    refused(&desk, &["pending: 3 files; expected: 2"]);
    assert_eq!(tables(cluster, &db), [""; 0]);
    assert_eq!(cluster.psql(&db, "select to_regclass('schema_versions') is null"), "t");
}

#[test]
fn a_table_of_another_tool() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(
        &db,
        "create table schema_migrations (version varchar(255) primary key); insert into schema_migrations values ('1')",
    );
    let kind = kind("golang-migrate");
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step("", ""));
    refused(&desk, &["schema_migrations is not a table of golang-migrate"]);
    assert_eq!(tables(cluster, &db), [""; 0]);
}

/// The keys are those that the tools themselves take: computed here by the server, from their documented formulas.
#[test]
fn while_the_tool_itself_is_at_work() {
    for (tool, key) in [("prisma", 72_707_369_i64), ("flyway", 77_431_708_279_161 + i64::from(flyways_hash()))] {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        let kind = kind(tool);
        kind.write(&desk, 3);
        desk.write("runbook.toml", &kind.step("", "").replace("lock_timeout = \"20s\"", "lock_timeout = \"200ms\""));
        let hold = format!("select pg_advisory_lock({key}); select 'held'; select pg_sleep(600)");
        let mut other = cluster
            .psql_command(&db)
            .args(["-c", &hold])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let held = format!(
            "from pg_locks where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = {key} \
             and database = (select oid from pg_database where datname = current_database())"
        );
        let count = format!("select count(*) {held}");
        cluster.until(&db, &count, "1");
        refused(&desk, &["another migrator is at work: pid", &format!("holds the lock of {tool}")]);
        assert_eq!(tables(cluster, &db), [""; 0]);
        cluster.psql(&db, &format!("select pg_terminate_backend(pid) {held}"));
        other.wait().unwrap();
        cluster.until(&db, &count, "0");
        desk.run(&RUN).exits(0);
    }
}

/// Who waits for the tool's lock has a snapshot, and an index that is made concurrently would wait for its end: in vain,
/// as that waits for us.
#[test]
fn while_the_tool_waits_for_its_turn() {
    let Some((desk, cluster, db)) =
        applied("prisma", ("20240104000000_a/migration.sql", "alter table busy add x int;"))
    else {
        return;
    };
    let index = "create index concurrently i1 on t1 (id);";
    desk.write("migrations/20240105000000_index/migration.sql", index);
    cluster.psql(&db, "create table busy ()");
    let sitter = support::sitter::Sitter::start(cluster, &db, "lock table busy");
    let running = desk.start(&RUN);
    let waits = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    cluster.until(&db, waits, "1");
    let mut other = cluster.psql_command(&db);
    let mut other = { other.env("PGAPPNAME", "prisma itself").args(["-c", "select pg_advisory_lock(72707369)"]) }
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    cluster.until(&db, waits, "2");
    drop(sitter);
    let ran = running.end().exits(4);
    for words in ["(prisma itself, active) waits for the lock of prisma", "20240105000000_index", "stop it, then retry"]
    {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    assert_eq!(cluster.psql(&db, "select to_regclass('i1') is null"), "t");
    assert!(other.wait().unwrap().success(), "it has its turn once ours is over");
    tokio::runtime::Runtime::new().unwrap().block_on(retried(&desk)).exits(0);
    assert_eq!(cluster.psql(&db, "select indisvalid from pg_index where indexrelid = 'i1'::regclass"), "t");
}

/// Java's hash of the quoted name of Flyway's table.
fn flyways_hash() -> i32 {
    r#""public"."flyway_schema_history""#.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
}
