//! A look at a server before a window: read-only, on the connection that answers probes.

use std::time::Duration;

use super::Postgres;
use super::guard::CLASS;
use super::line::Rows;
use crate::run::{clean, words};
use crate::target::inspect::{Extension, Relation, Server};
use crate::target::problem::Problem;

/// Characters of a statement that are shown.
const QUERY: usize = 60;
/// How long a statement may wait for a lock while it is only read.
const LOCK: Duration = Duration::from_secs(1);
/// Sentences of each kind that are told.
const TOLD: usize = 5;

type Cells = std::vec::IntoIter<Option<String>>;

impl Postgres {
    pub async fn inspect(&self) -> Result<Server, Problem> {
        // What a session begins with: this one was made read-only since.
        let sql = "select (select reset_val from pg_settings where name = 'default_transaction_read_only'), \
                     (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::text, \
                     (select count(*) from pg_stat_activity where backend_type = 'client backend')::text, \
                     pg_database_size(current_database())::text, current_schema()::text, \
                     coalesce(has_schema_privilege(current_schema(), 'create'), false)::text, \
                     has_database_privilege(current_database(), 'create')::text, \
                     pg_has_role('pg_read_all_stats', 'usage')::text, \
                     coalesce((select rolcreatedb or rolsuper from pg_roles where rolname = current_user), false)::text, \
                     (select coalesce(sum(greatest(relpages, 0)::bigint), 0) * current_setting('block_size')::bigint \
                       from pg_class where relkind in ('r', 'm', 't'))::bigint::text, \
                     pg_backend_pid()::text";
        let mut row = first(self.asker.ask(sql, &[]).await?);
        let mut server = Server {
            read_only: text(&mut row) == "on",
            slots: number(&mut row),
            sessions: number(&mut row),
            database_bytes: number(&mut row),
            schema: row.next().flatten(),
            may_create: text(&mut row) == "true",
            may_create_schemas: text(&mut row) == "true",
            sees_all: text(&mut row) == "true",
            may_create_databases: text(&mut row) == "true",
            table_bytes: number(&mut row),
            ..Server::default()
        };
        let other = self.control.ask("select pg_backend_pid()::text", &[]).await?;
        server.pooled = text(&mut row) == text(&mut first(other));
        server.long = self.long().await?;
        server.prepared = self.prepared().await?;
        server.owners = self.owners().await?;
        Ok(server)
    }

    /// Transactions of this database that stand or last.
    async fn long(&self) -> Result<Vec<String>, Problem> {
        let sql = "select pid::text, usename::text, application_name, state, \
                     floor(extract(epoch from clock_timestamp() - xact_start))::text, query \
                   from pg_stat_activity \
                   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() \
                     and ((state like 'idle in transaction%' and state_change < clock_timestamp() - interval '1 min') \
                       or xact_start < clock_timestamp() - interval '5 min') \
                   order by xact_start limit $1::text::int";
        let rows = self.asker.ask(sql, &[&TOLD.to_string()]).await?;
        Ok(rows.into_iter().map(|row| session(&mut row.into_iter())).collect())
    }

    async fn prepared(&self) -> Result<Vec<String>, Problem> {
        let sql = "select gid, owner::text, floor(extract(epoch from clock_timestamp() - prepared))::text \
                   from pg_prepared_xacts where database = current_database() order by prepared limit $1::text::int";
        let rows = self.asker.ask(sql, &[&TOLD.to_string()]).await?;
        let words = |row: Vec<Option<String>>| {
            let mut row = row.into_iter();
            let (gid, owner) = (clean::line(&text(&mut row), QUERY), clean::line(&text(&mut row), QUERY));
            format!("{gid} of {owner}, for {}", age(&mut row))
        };
        Ok(rows.into_iter().map(words).collect())
    }

    /// Sessions that hold the keys of gonogo.
    async fn owners(&self) -> Result<Vec<String>, Problem> {
        let sql = "select distinct a.pid::text, a.usename::text, a.application_name, a.state, \
                     floor(extract(epoch from clock_timestamp() - a.backend_start))::text, a.query \
                   from pg_locks l join pg_stat_activity a on a.pid = l.pid \
                   where l.locktype = 'advisory' and l.granted and l.classid = $1::text::bigint::oid and l.objsubid = 2 \
                     and l.database = (select oid from pg_database where datname = current_database()) limit 5";
        let rows = self.asker.ask(sql, &[&CLASS.to_string()]).await?;
        Ok(rows.into_iter().map(|row| session(&mut row.into_iter())).collect())
    }

    pub async fn relation(&self, name: &str) -> Result<Option<Relation>, Problem> {
        let sql = "select pg_get_userbyid(c.relowner)::text, pg_has_role(c.relowner, 'usage')::text, \
                     row_security_active(c.oid)::text, \
                     (select string_agg(r, ' ') from unnest(array['select', 'insert', 'update', 'references']) r \
                       where has_table_privilege(c.oid, r) or has_any_column_privilege(c.oid, r)), \
                     (select string_agg(r, ' ') from unnest(array['delete', 'truncate']) r \
                       where has_table_privilege(c.oid, r)), \
                     (select json_agg(attname order by attnum)::text from pg_attribute \
                       where attrelid = c.oid and attnum > 0 and not attisdropped) \
                   from pg_class c where c.oid = to_regclass($1)";
        let rows = self.asker.ask(sql, &[name]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut row = first(rows);
        let mut relation = Relation {
            owner: text(&mut row),
            owned: text(&mut row) == "true",
            row_security: text(&mut row) == "true",
            ..Relation::default()
        };
        for rights in [text(&mut row), text(&mut row)] {
            relation.rights.extend(rights.split_whitespace().map(str::to_owned));
        }
        relation.columns = serde_json::from_str(&text(&mut row)).unwrap_or_default();
        Ok(Some(relation))
    }

    pub async fn may_create_in(&self, schema: &str) -> Result<Option<bool>, Problem> {
        let sql = "select has_schema_privilege(oid, 'create')::text from pg_namespace where nspname = $1";
        let rows = self.asker.ask(sql, &[schema]).await?;
        Ok((!rows.is_empty()).then(|| text(&mut first(rows)) == "true"))
    }

    pub async fn extension(&self, name: &str) -> Result<Extension, Problem> {
        let sql = "select (installed_version is not null)::text from pg_available_extensions where name = $1";
        let rows = self.asker.ask(sql, &[name]).await?;
        Ok(match rows.is_empty() {
            true => Extension::Absent,
            false if text(&mut first(rows)) == "true" => Extension::Installed,
            false => Extension::Available,
        })
    }

    pub async fn reads(&self, sql: &str) -> Result<(), Problem> {
        self.asker.read(sql, LOCK).await
    }
}

fn first(rows: Rows) -> Cells {
    rows.into_iter().next().unwrap_or_default().into_iter()
}

fn text(row: &mut Cells) -> String {
    row.next().flatten().unwrap_or_default()
}

fn number(row: &mut Cells) -> u64 {
    text(row).parse().unwrap_or_default()
}

fn age(row: &mut Cells) -> String {
    words::span(Duration::from_secs(number(row)))
}

/// `pid 812 (app, psql, idle in transaction for 41 s): update orders …`
fn session(row: &mut Cells) -> String {
    let pid = text(row);
    let mut about: Vec<String> = [text(row), text(row)].iter().map(|part| clean::line(part, QUERY)).collect();
    about.retain(|part| !part.is_empty());
    let state = clean::line(&text(row), QUERY);
    about.push(format!("{state} for {}", age(row)));
    let query = clean::line(&text(row), QUERY);
    format!("pid {pid} ({}){}{query}", about.join(", "), if query.is_empty() { "" } else { ": " })
}
