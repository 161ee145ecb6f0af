//! The one place where a runbook's own SQL is handed to the driver as it is. It was resolved, shown and journaled
//! before; nothing is pasted into it here.

use futures_util::stream::BoxStream;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Either, Error, Executor, SqlSafeStr};

/// What a statement brings: rows, and after each command the count of its tag.
pub(super) type Item<DB> = Result<Either<<DB as Database>::QueryResult, <DB as Database>::Row>, Error>;

/// Sends one statement of a script by the simple protocol (PostgreSQL: values as text, as psql prints them).
pub(super) fn send<'c, DB, E>(executor: E, sql: &str) -> BoxStream<'c, Item<DB>>
where
    DB: Database,
    E: Executor<'c, Database = DB>,
{
    executor.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)))
}

/// Asks the server for the columns of a statement without running it.
pub(super) async fn prepare<'c, DB, E>(executor: E, sql: &str) -> Result<DB::Statement, Error>
where
    DB: Database,
    E: Executor<'c, Database = DB> + 'c,
{
    executor.prepare(AssertSqlSafe(sql).into_sql_str()).await
}

/// One statement made of a runbook's own parts; its values are bound.
pub(super) fn query<'q, DB: Database>(sql: &str) -> Query<'q, DB, DB::Arguments> {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
}

/// Sends one command of our own and throws its answer away.
pub(super) async fn command<'c, DB, E>(executor: E, sql: &'static str) -> Result<(), Error>
where
    DB: Database,
    E: Executor<'c, Database = DB>,
{
    executor.execute(sqlx::raw_sql(sql)).await.map(|_| ())
}
