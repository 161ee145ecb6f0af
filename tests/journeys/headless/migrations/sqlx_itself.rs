//! Beside the real migrator of sqlx: each takes what the other has applied for its own.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Connection, PgConnection};

use super::*;

async fn real(desk: &Desk, url: &str) -> Result<(), MigrateError> {
    let mut conn = PgConnection::connect(url).await.unwrap();
    Migrator::new(desk.path("migrations")).await.unwrap().run(&mut conn).await
}

const ROWS: &str = "select version, description, success, encode(checksum, 'hex'), execution_time >= -1 from _sqlx_migrations order by version";

#[tokio::test(flavor = "multi_thread")]
async fn ours_first_then_the_real_one() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("sqlx");
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step("", ""));
    desk.run(&RUN).exits(0);
    let ours = cluster.psql(&db, ROWS);
    // It checks every checksum, and finds nothing to do.
    real(&desk, &cluster.url(&db)).await.unwrap();
    assert_eq!(cluster.psql(&db, ROWS), ours);
    // What the real one writes in a database of its own is the same, row by row and column by column.
    let other = cluster.create_db();
    real(&desk, &cluster.url(&other)).await.unwrap();
    assert_eq!(cluster.psql(&other, ROWS), ours);
    let shape = "select column_name, data_type, is_nullable, column_default from information_schema.columns \
                 where table_name = '_sqlx_migrations' order by ordinal_position";
    assert_eq!(cluster.psql(&other, shape), cluster.psql(&db, shape));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_first_then_ours() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("sqlx");
    kind.write(&desk, 2);
    real(&desk, &cluster.url(&db)).await.unwrap();
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step(", expect_pending = 1", "expect = \"value == 1\""));
    desk.run(&RUN).exits(0);
    assert_eq!(kind.applied(cluster, &db), kind.versions);
    real(&desk, &cluster.url(&db)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn not_while_the_real_one_is_at_work() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let kind = kind("sqlx");
    kind.write(&desk, 3);
    desk.write("runbook.toml", &kind.step("", "").replace("lock_timeout = \"20s\"", "lock_timeout = \"200ms\""));
    let mut conn = PgConnection::connect(&cluster.url(&db)).await.unwrap();
    conn.lock().await.unwrap();
    let ran = desk.run(&RUN).exits(4);
    assert!(ran.out.contains("another migrator is at work: pid"), "{}", ran.out);
    assert_eq!(tables(cluster, &db), [""; 0]);
    conn.unlock().await.unwrap();
    anew(&desk);
    desk.run(&RUN).exits(0);
}
