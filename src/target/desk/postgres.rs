//! A PostgreSQL server, reached by libpq's variables: who it is, its databases, who stands in the way.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::time::timeout;
use tracing::log::LevelFilter;

use super::DeskError;
use crate::run::dump::{Counters, TableRows};
use crate::target::postgres::{COUNTERS, read_counters};
use crate::target::problem::Problem;
use crate::target::raw;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tables that an archive holds rows of, as the archive's own program sees them. Tables of extensions come with
/// their extension.
pub(super) const TABLES: &str = "select c.oid::int8, format('%I.%I', n.nspname, c.relname) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind = 'r' and c.relpersistence in ('p', 'u') and n.nspname !~ '^pg_' \
      and n.nspname not in ('information_schema', 'gonogo') \
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid \
        and d.deptype = 'e') \
    order by 2";

/// What is to be asked of a server.
#[derive(Clone)]
pub struct Desk {
    options: PgConnectOptions,
}

/// Who the server is, and what of it matters to an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As `150004`.
    pub version: u32,
    pub database: String,
    /// Bytes of all tables, without their indexes.
    pub data_bytes: u64,
    /// Bytes of the whole database.
    pub bytes: u64,
    pub may_create_databases: bool,
    /// Subscriptions of this database: they cannot be dropped in a transaction.
    pub subscriptions: Vec<String>,
    /// Schemas that cannot be dropped, since an extension lives in them.
    pub kept_schemas: Vec<String>,
}

impl Server {
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }
}

impl Desk {
    /// By `PGHOST`, `PGPORT`, …, and the password in `PGPASSFILE`. None: the environment names no server.
    ///
    /// # Errors
    /// The password file cannot be read.
    pub fn of(env: &BTreeMap<String, String>) -> Result<Option<Self>, DeskError> {
        let Some(host) = env.get("PGHOST") else { return Ok(None) };
        // The rest (TLS, options, name) is read by the driver from the same environment.
        let mut options = PgConnectOptions::new_without_pgpass();
        options = match host.starts_with('/') {
            true => options.socket(host),
            false => options.host(host),
        };
        if let Some(password) = password(env)? {
            options = options.password(&password);
        }
        Ok(Some(Self { options: options.log_statements(LevelFilter::Off) }))
    }

    /// A connection of its own; `database`: another one than the environment's.
    pub(super) async fn connect(&self, database: Option<&str>) -> Result<PgConnection, DeskError> {
        let options = match database {
            Some(name) => self.options.clone().database(name),
            None => self.options.clone(),
        };
        let connecting = async {
            let mut conn = PgConnection::connect_with(&options).await?;
            let limits = "select set_config('statement_timeout', '0', false), set_config('row_security', 'off', false), \
                          set_config('idle_in_transaction_session_timeout', '0', false)";
            raw::command(&mut conn, limits).await.map(|()| conn)
        };
        let what = "the server cannot be reached";
        match timeout(PATIENCE, connecting).await {
            Ok(conn) => conn.map_err(Problem::of_postgres).map_err(DeskError::of(what)),
            Err(_) => Err(DeskError::of(what)(Problem::lost("no answer within 20 s"))),
        }
    }

    /// # Errors
    /// The server does not say.
    pub async fn server(&self) -> Result<Server, DeskError> {
        let mut conn = self.connect(None).await?;
        let sql = "select current_setting('server_version_num')::int8, current_database()::text, \
                   pg_database_size(current_database()), \
                   coalesce((select sum(pg_table_size(oid))::int8 from pg_class \
                     where relkind in ('r', 'm') and relnamespace <> 'pg_catalog'::regnamespace), 0), \
                   coalesce((select rolcreatedb or rolsuper from pg_roles where rolname = current_user), false), \
                   array(select s.subname::text from pg_subscription s \
                     join pg_database d on d.oid = s.subdbid and d.datname = current_database()), \
                   array(select n.nspname::text from pg_namespace n where n.nspname !~ '^pg_' \
                     and exists (select from pg_extension e where e.extnamespace = n.oid))";
        let row = one(&mut conn, sql).await.map_err(DeskError::of("the server does not say who it is"))?;
        let read = || -> Result<Server, sqlx::Error> {
            Ok(Server {
                version: u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0),
                database: row.try_get(1)?,
                bytes: row.try_get::<i64, _>(2)?.unsigned_abs(),
                data_bytes: row.try_get::<i64, _>(3)?.unsigned_abs(),
                may_create_databases: row.try_get(4)?,
                subscriptions: row.try_get(5)?,
                kept_schemas: row.try_get(6)?,
            })
        };
        read().map_err(Problem::of_postgres).map_err(DeskError::of("the server does not say who it is"))
    }

    /// The rows of every table of another database of the server.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn count(&self, database: &str) -> Result<Vec<TableRows>, DeskError> {
        let mut conn = self.connect(Some(database)).await?;
        let mut rows = Vec::new();
        for (_, name) in tables(&mut conn).await? {
            rows.push(TableRows { rows: count(&mut conn, &name).await?, name });
        }
        Ok(rows)
    }

    /// Makes an empty database like the environment's one, to restore into. One of that name is dropped before: it is
    /// what an earlier attempt left.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn create_scratch(&self, name: &str) -> Result<(), DeskError> {
        self.drop_scratch(name).await?;
        let mut conn = self.connect(None).await?;
        let sql = "select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L', $1, \
                     pg_encoding_to_char(encoding), datcollate, datctype) \
                   from pg_database where datname = current_database()";
        self.send(&mut conn, sql, name, "no database could be made for the trial restore").await
    }

    /// Drops it, whoever is still connected. One that is not there is as good.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn drop_scratch(&self, name: &str) -> Result<(), DeskError> {
        let mut conn = self.connect(None).await?;
        let sql = "select format('drop database if exists %I with (force)', $1)";
        self.send(&mut conn, sql, name, "the database of the trial restore could not be dropped").await
    }

    /// Sends the command that the server itself has put together, with every name quoted by it.
    async fn send(&self, conn: &mut PgConnection, sql: &'static str, name: &str, what: &str) -> Result<(), DeskError> {
        let made = sqlx::query(sql).persistent(false).bind(name.to_owned()).fetch_one(&mut *conn).await;
        let made = made.and_then(|row| row.try_get::<String, _>(0)).map_err(Problem::of_postgres);
        let command = made.map_err(DeskError::of(what))?;
        let sent = raw::query::<sqlx::Postgres>(&command).persistent(false).execute(conn).await;
        sent.map(|_| ()).map_err(Problem::of_postgres).map_err(DeskError::of(what))
    }

    /// Who keeps session `pid` waiting; empty: nobody. One line each.
    ///
    /// # Errors
    /// The server does not say.
    pub async fn in_the_way(&self, pid: i32) -> Result<Vec<String>, DeskError> {
        let mut conn = self.connect(None).await?;
        let sql = "select format('pid %s (%s%s, %s for %s s) %s', pid, usename, ', ' || nullif(application_name, ''), \
                     state, floor(extract(epoch from clock_timestamp() - xact_start)), left(query, 80)) \
                   from pg_stat_activity where pid = any (pg_blocking_pids($1)) order by pid";
        let rows = sqlx::query(sql).persistent(false).bind(pid).fetch_all(&mut conn).await;
        let read = |rows: Vec<PgRow>| {
            rows.iter().map(|row| row.try_get::<Option<String>, _>(0)).collect::<Result<Vec<_>, _>>()
        };
        let words = rows.and_then(read).map_err(Problem::of_postgres);
        let words = words.map_err(DeskError::of("the server does not say who is in the way"))?;
        let _ = conn.close().await;
        Ok(words.into_iter().flatten().collect())
    }
}

/// The tables of a database: number and name.
pub(super) async fn tables(conn: &mut PgConnection) -> Result<Vec<(i64, String)>, DeskError> {
    let what = "the tables could not be listed";
    let rows = sqlx::query(TABLES).persistent(false).fetch_all(conn).await;
    let read = |rows: Vec<PgRow>| {
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()
    };
    rows.and_then(read).map_err(Problem::of_postgres).map_err(DeskError::of(what))
}

/// The rows of one table, its name quoted by the server.
pub(super) async fn count(conn: &mut PgConnection, name: &str) -> Result<u64, DeskError> {
    let row = raw::query::<sqlx::Postgres>(&format!("select count(*) from only {name}"))
        .persistent(false)
        .fetch_one(conn)
        .await;
    let count = row.and_then(|row| row.try_get::<i64, _>(0)).map_err(Problem::of_postgres);
    count.map(i64::unsigned_abs).map_err(DeskError::of(format!("the rows of {name} could not be counted")))
}

/// What the server has counted of its tables until now.
pub(super) async fn counters(conn: &mut PgConnection) -> Result<Counters, Problem> {
    let rows = sqlx::query(COUNTERS).persistent(false).fetch_all(conn).await.map_err(Problem::of_postgres)?;
    let texts = |row: &PgRow| (0..row.len()).map(|at| row.try_get(at)).collect::<Result<Vec<Option<String>>, _>>();
    let rows = rows.iter().map(texts).collect::<Result<Vec<_>, sqlx::Error>>().map_err(Problem::of_postgres)?;
    read_counters(rows)
}

pub(super) async fn one(conn: &mut PgConnection, sql: &'static str) -> Result<PgRow, Problem> {
    sqlx::query(sql).persistent(false).fetch_one(conn).await.map_err(Problem::of_postgres)
}

/// The password in the private file that we have made ourselves: the last field of its first line.
fn password(env: &BTreeMap<String, String>) -> Result<Option<String>, DeskError> {
    let Some(path) = env.get("PGPASSFILE").filter(|path| !path.is_empty()) else { return Ok(None) };
    let unread = |error: std::io::Error| DeskError {
        what: format!("the password file {path} cannot be read"),
        why: error.to_string(),
        code: None,
    };
    let text = fs::read_to_string(path).map_err(unread)?;
    Ok(text.lines().next().map(last_field))
}

fn last_field(line: &str) -> String {
    let mut field = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => field.extend(chars.next()),
            ':' => field.clear(),
            c => field.push(c),
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_last_field_of_the_line() {
        assert_eq!(last_field("h:1:*:u\\:x:a\\\\b\\:c"), "a\\b:c");
        assert_eq!(last_field("/s:1:*:u:"), "");
    }
}
