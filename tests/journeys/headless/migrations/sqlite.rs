//! The same road for a file of SQLite.

use sqlx::migrate::Migrator;
use sqlx::{Connection, Row, SqliteConnection};

use super::*;

const TOOLS: [(&str, &str); 4] = [
    ("sqlx", "select group_concat(version) from (select version from _sqlx_migrations where success order by version)"),
    (
        "plain",
        "select group_concat(version) from (select version from schema_versions where applied_at is not null order by version)",
    ),
    ("golang-migrate", "select cast(version as text) from schema_migrations where not dirty"),
    ("dbmate", "select group_concat(version) from (select version from schema_migrations order by version)"),
];

async fn ask(desk: &Desk, sql: &'static str) -> Option<String> {
    let url = format!("sqlite:{}", desk.path("app.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sql).fetch_one(&mut conn).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_cut_and_gone_on_with() {
    for (tool, applied) in TOOLS {
        let url = |desk: &Desk| format!("sqlite:{}?mode=rwc", desk.path("app.db").display());
        let desk = desk();
        let kind = kind(tool);
        kind.write(&desk, 3);
        let text = kind.step("", "expect = \"value == 3\"\nretries = 1").replace("env:DB", &url(&desk));
        desk.write("runbook.toml", &text);
        killed(&desk, &RUN, "target.migrate.file", 2);
        let two = if tool == "golang-migrate" { kind.versions[1].to_owned() } else { kind.versions[..2].join(",") };
        assert_eq!(ask(&desk, applied).await.as_ref(), Some(&two), "{tool}");
        desk.run(&RESUME).exits(0);
        let all = if tool == "golang-migrate" { kind.versions[2].to_owned() } else { kind.versions.join(",") };
        assert_eq!(ask(&desk, applied).await.as_ref(), Some(&all), "{tool}");
        let made = "select group_concat(name) from (select name from sqlite_schema where name like 't_' order by name)";
        assert_eq!(ask(&desk, made).await.as_deref(), Some("t1,t2,t3"), "{tool}");
        if tool == "sqlx" {
            let mut conn = SqliteConnection::connect(&url(&desk)).await.unwrap();
            Migrator::new(desk.path("migrations")).await.unwrap().run(&mut conn).await.unwrap();
        }
    }
}

#[test]
fn not_for_tools_whose_table_is_another_there() {
    let desk = desk();
    kind("flyway").write(&desk, 1);
    desk.write("runbook.toml", &kind("flyway").step("", "").replace("env:DB", "sqlite:app.db?mode=rwc"));
    desk.run(&["check", "runbook.toml"]).exits(3).says("files of flyway are applied to PostgreSQL only");
}
