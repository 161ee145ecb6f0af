//! Every tool: from nothing, from the middle, up to a version, and again with nothing to do.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_and_again() {
    for kind in KINDS {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 3 and rows == 3 and table[2].version != ''\""));
        let ran = desk.run(&RUN).exits(0);
        assert!(ran.out.contains("file 3 of 3"), "{}: {}", kind.tool, ran.out);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{}", kind.tool);
        let facts = facts(&desk).await;
        let versions: Vec<&str> = facts.table.iter().map(|row| row["version"].as_str().unwrap()).collect();
        assert_eq!(versions, kind.versions);
        assert!(facts.table.iter().all(|row| row["ms"].is_u64()), "{facts:?}");
        let report = desk.run(&["report", "last"]).exits(0).out;
        assert!(report.contains("## Migration files") && report.contains(kind.files[1].0), "{report}");
        anew(&desk);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 0\""));
        desk.run(&RUN).exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_to_a_version_then_the_rest() {
    for kind in KINDS {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        let to = format!(", to = \"{}\", expect_pending = 2", kind.versions[1]);
        desk.write("runbook.toml", &kind.step(&to, "expect = \"value == 2\""));
        desk.run(&RUN).exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions[..2], "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2"], "{}", kind.tool);
        anew(&desk);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 1\""));
        desk.run(&RUN).exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
    }
}

/// A file that fails takes nothing of itself with it, and leaves what came before; once mended, a retry goes on there.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_is_rolled_back_and_not_recorded() {
    for kind in KINDS {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        // The second file's own statement is the one that fails: a table of its name is there.
        cluster.psql(&db, "create table t2 (wrong int)");
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 3\""));
        let ran = desk.run(&RUN).exits(4);
        assert!(ran.out.contains("already exists") && ran.out.contains("1 file applied"), "{}: {}", kind.tool, ran.out);
        let fault = crate::headless::story::fault(&entries(&desk.run_dir()).await, "migrate");
        assert!(fault.place.starts_with("migrations/") && fault.place.contains(".sql:"), "{fault:?}");
        assert_eq!(kind.applied(cluster, &db), kind.versions[..1], "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2"], "{}", kind.tool);
        cluster.psql(&db, "drop table t2");
        retried(&desk).await.exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
        assert_eq!(tables(cluster, &db), ["t1", "t2", "t3"], "{}", kind.tool);
    }
}

/// What runs outside of a transaction runs by itself, and is recorded once it is done.
#[tokio::test(flavor = "multi_thread")]
async fn outside_of_a_transaction() {
    let index = "create index concurrently i1 on t1 (id);";
    let cases: [(&str, &str, String); 6] = [
        ("sqlx", "11_index.up.sql", format!("-- no-transaction\n{index}")),
        ("plain", "004_index.sql", format!("-- no-transaction\n{index}")),
        ("golang-migrate", "4_index.up.sql", index.to_owned()),
        (
            "dbmate",
            "20240104_index.sql",
            format!("-- migrate:up transaction:false\n{index}\n-- migrate:down\ndrop index i1;"),
        ),
        ("flyway", "V3__index.sql", index.to_owned()),
        ("prisma", "20240104000000_index/migration.sql", index.to_owned()),
    ];
    for (tool, name, text) in cases {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        let kind = kind(tool);
        kind.write(&desk, 3);
        desk.write(&format!("migrations/{name}"), &text);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 4\""));
        desk.run(&RUN).exits(0);
        assert_eq!(kind.applied(cluster, &db).len(), 4, "{tool}");
        let valid = "select indisvalid from pg_index where indexrelid = 'i1'::regclass";
        assert_eq!(cluster.psql(&db, valid), "t", "{tool}");
    }
}

/// What a dump brings along: the tool's table is found all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_empties_the_search_path() {
    for kind in KINDS {
        let Some((desk, cluster, db)) = desk_with_database() else { return };
        kind.write(&desk, 3);
        let (name, text) = kind.files[1];
        let emptied =
            text.replace("create table t2", "select set_config('search_path', '', false); create table public.t2");
        assert_ne!(emptied, text);
        desk.write(&format!("migrations/{name}"), &emptied);
        desk.write("runbook.toml", &kind.step("", "expect = \"value == 3\""));
        desk.run(&RUN).exits(0);
        assert_eq!(kind.applied(cluster, &db), kind.versions, "{}", kind.tool);
    }
}

/// The step's time is one for all files: what is under way when it is over is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_takes_the_file_back() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("plain");
    kind.write(&desk, 1);
    desk.write("migrations/002_long.sql", "create table t2 (id int);\nselect pg_sleep(600);");
    desk.write("runbook.toml", &kind.step("", "timeout = \"2s\""));
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("timed out") && ran.out.contains("1 file applied"), "{}", ran.out);
    assert_eq!(kind.applied(cluster, &db), ["1"]);
    assert_eq!(tables(cluster, &db), ["t1"]);
}

/// Each file has the tries of its target: who is in the way is told, and the file comes once they are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_tried_for_again() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("plain");
    kind.write(&desk, 1);
    desk.write("migrations/002_alter.sql", "alter table busy add column x int;");
    cluster.psql(&db, "create table busy ()");
    let mut other = cluster.psql_command(&db);
    let hold = ["-c", "begin; lock table busy; select pg_sleep(600)"];
    let mut other =
        other.args(hold).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    cluster.until(&db, "select count(*) from pg_locks where relation = 'busy'::regclass and granted", "1");
    desk.write(
        "runbook.toml",
        &kind.step("", "").replace("lock_timeout = \"20s\"", "lock_timeout = \"100ms\", lock_tries = 50"),
    );
    let running = desk.start(&RUN);
    running.says("LOCK: try 1 of 50");
    cluster.psql(&db, "select pg_terminate_backend(pid) from pg_locks where relation = 'busy'::regclass and granted");
    running.end().exits(0);
    other.wait().unwrap();
    assert_eq!(kind.applied(cluster, &db), ["1", "2"]);
}

/// What Flyway repeats comes last, once, and again when its text changes.
#[tokio::test(flavor = "multi_thread")]
async fn what_flyway_repeats() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("flyway");
    kind.write(&desk, 3);
    desk.write("migrations/R__view_of_all.sql", "create or replace view v as select 1 as one;\r\n");
    desk.write("runbook.toml", &kind.step("", ""));
    for (text, value) in [("1", 4), ("1", 0), ("2", 1)] {
        desk.write("migrations/R__view_of_all.sql", &format!("create or replace view v as select {text} as one;\n"));
        desk.write("runbook.toml", &kind.step("", &format!("expect = \"value == {value}\"")));
        desk.run(&RUN).exits(0);
        anew(&desk);
    }
    assert_eq!(cluster.psql(&db, "select one from v"), "2");
    let rows = "select count(*) from flyway_schema_history where version is null and description = 'view of all'";
    assert_eq!(cluster.psql(&db, rows), "2");
}

/// Flyway's own checksum of two lines, whatever ends them: taken from the documented formula (CRC-32 of the lines' bytes).
#[tokio::test(flavor = "multi_thread")]
async fn flyways_row() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    desk.write("migrations/V1.2.0__Two_words.sql", "create table t1 (id int);\r\nselect 1;\r\n");
    desk.write("runbook.toml", &step("\"migrations\"", "expect = \"value == 1\""));
    desk.run(&RUN).exits(0);
    let row = "select installed_rank, version, description, type, script, installed_by = current_user, execution_time >= 0, success \
               from flyway_schema_history";
    assert_eq!(cluster.psql(&db, row), "1|1.2.0|Two words|SQL|V1.2.0__Two_words.sql|t|t|t");
    let indexes = "select string_agg(indexname, ',' order by indexname) from pg_indexes where tablename = 'flyway_schema_history'";
    assert_eq!(cluster.psql(&db, indexes), "flyway_schema_history_pk,flyway_schema_history_s_idx");
}

/// The plan names what would be applied and where it is recorded, and touches nothing.
#[test]
fn the_plan_names_the_files() {
    let desk = desk().with("DB", "postgres://nobody@127.0.0.1:1/none");
    kind("dbmate").write(&desk, 2);
    desk.write("runbook.toml", &step("\"migrations/\"", "undo = { migrations = \"down\" }"));
    let ran = desk.run(&["plan", "runbook.toml", "--env", "test"]).exits(0);
    for words in
        ["of dbmate in migrations", "20240101_first.sql", "schema_migrations", "takes back what this step applied"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}
