//! The tables in which the tools keep what is applied: how each is made, read and written, in SQL of our own.

use super::registry::Registry;
use super::{MigrationOrder, OrderedFile};
use crate::runbook::batch::{parts, quoted};
use crate::runbook::migrations::{Tool, crc32};
use crate::runbook::sql::Dialect;
use crate::runbook::sql::names::ident;

/// The bookkeeping of a tool in a database.
pub struct Book<'o> {
    order: &'o MigrationOrder,
    dialect: Dialect,
    /// Its table, quoted.
    table: String,
}

impl<'o> Book<'o> {
    pub fn new(order: &'o MigrationOrder, dialect: Dialect) -> Self {
        let table = quoted(order.table()).unwrap_or_else(|| order.tool.table().to_owned());
        Self { order, dialect, table }
    }

    /// The same, in that schema whatever a file does to the search path. A table that is named with its schema stays there.
    pub fn within(mut self, schema: &str) -> Self {
        if let Some([table]) = parts(self.order.table()).as_deref() {
            self.table = format!("{}.{}", ident(schema), ident(table));
        }
        self
    }

    fn postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Where the bookkeeping is sqitch's.
    fn registry(&self) -> Registry<'_> {
        let schema = self.table.rsplit_once('.').map_or("sqitch", |(schema, _)| schema);
        let committer = self.order.committer.as_deref().unwrap_or("gonogo");
        Registry::new(schema, &self.order.files, committer)
    }

    /// A question whose first cell is `true` where the table is there.
    pub fn exists(&self) -> String {
        if self.postgres() {
            return format!("select (to_regclass({}) is not null)::text", self.text(&self.table));
        }
        let name = parts(self.order.table()).and_then(|mut parts| parts.pop()).unwrap_or_default();
        let name = self.text(&name);
        format!(
            "select case when count(*) > 0 then 'true' else 'false' end from sqlite_schema where type = 'table' and lower(name) = lower({name})"
        )
    }

    /// The table as the tool itself makes it.
    pub fn create(&self) -> Vec<String> {
        let table = &self.table;
        let name = parts(self.order.table()).and_then(|mut parts| parts.pop()).unwrap_or_default();
        let named = |end: &str| ident(&format!("{name}{end}"));
        let columns = match (self.order.tool, self.postgres()) {
            (Tool::Sqlx, true) => {
                "version bigint primary key, description text not null, installed_on timestamptz not null default now(), \
                 success boolean not null, checksum bytea not null, execution_time bigint not null"
            }
            (Tool::Sqlx, false) => {
                "version bigint primary key, description text not null, \
                 installed_on timestamp not null default current_timestamp, success boolean not null, checksum blob not null, \
                 execution_time bigint not null"
            }
            (Tool::Prisma, _) => {
                "id varchar(36) primary key not null, checksum varchar(64) not null, finished_at timestamptz, \
                 migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, \
                 started_at timestamptz not null default now(), applied_steps_count integer not null default 0"
            }
            (Tool::Dbmate, true) => "version varchar(255) primary key",
            (Tool::Dbmate, false) => "version varchar(128) primary key",
            (Tool::Flyway, _) => {
                "\"installed_rank\" integer not null, \"version\" varchar(50), \"description\" varchar(200) not null, \
                 \"type\" varchar(20) not null, \"script\" varchar(1000) not null, \"checksum\" integer, \
                 \"installed_by\" varchar(100) not null, \"installed_on\" timestamp not null default now(), \
                 \"execution_time\" integer not null, \"success\" boolean not null"
            }
            (Tool::GolangMigrate, true) => "version bigint not null primary key, dirty boolean not null",
            (Tool::GolangMigrate, false) => "version uint64, dirty bool",
            (Tool::Sqitch, _) => return self.registry().create(),
            (Tool::Plain, true) => {
                "version bigint primary key, name text not null, checksum text not null, applied_at timestamptz"
            }
            (Tool::Plain, false) => {
                "version bigint primary key, name text not null, checksum text not null, applied_at text"
            }
        };
        let mut all = vec![format!("create table if not exists {table} ({columns})")];
        match (self.order.tool, self.postgres()) {
            (Tool::Flyway, _) => {
                all.push(format!(
                    "alter table {table} add constraint {} primary key (\"installed_rank\")",
                    named("_pk")
                ));
                all.push(format!("create index {} on {table} (\"success\")", named("_s_idx")));
            }
            (Tool::GolangMigrate, false) => {
                all.push(format!("create unique index if not exists version_unique on {table} (version)"));
            }
            _ => {}
        }
        all
    }

    /// Its rows, oldest first: version, checksum, one of `done`, `started`, `gone`, `baseline`, and a name where the
    /// version is none that people know.
    pub fn read(&self) -> String {
        let table = &self.table;
        match (self.order.tool, self.postgres()) {
            (Tool::Sqlx, true) => format!(
                "select version::text, encode(checksum, 'hex'), case when success then 'done' else 'started' end \
                 from {table} order by version"
            ),
            (Tool::Sqlx, false) => format!(
                "select cast(version as text), lower(hex(checksum)), case when success then 'done' else 'started' end \
                 from {table} order by version"
            ),
            (Tool::Prisma, _) => format!(
                "select migration_name, checksum, case when rolled_back_at is not null then 'gone' \
                 when finished_at is null then 'started' else 'done' end from {table} order by started_at, finished_at"
            ),
            (Tool::Dbmate, _) => format!("select version, null, 'done' from {table} order by version"),
            (Tool::Flyway, _) => format!(
                "select coalesce(\"version\", 'R__' || \"description\"), \"checksum\"::text, \
                 case when not \"success\" then 'started' when \"type\" like 'UNDO%' or \"type\" = 'DELETE' then 'gone' \
                 when \"type\" in ('BASELINE', 'SQL_BASELINE') then 'baseline' else 'done' end \
                 from {table} where \"type\" <> 'SCHEMA' order by \"installed_rank\""
            ),
            (Tool::GolangMigrate, _) => format!(
                "select cast(version as text), null, case when dirty then 'started' else 'done' end from {table} limit 1"
            ),
            (Tool::Sqitch, _) => self.registry().read(),
            (Tool::Plain, _) => format!(
                "select cast(version as text), checksum, case when applied_at is null then 'started' else 'done' end \
                 from {table} order by version"
            ),
        }
    }

    /// What is sent with a file's statements, in their transaction: it is applied from then on.
    pub fn record(&self, file: &OrderedFile) -> Vec<String> {
        self.written(file, true)
    }

    /// What is sent before a file that runs outside of a transaction, so that the tool calls the database dirty until
    /// [`Self::finish`]. Nothing where the tool knows no such state.
    pub fn begin(&self, file: &OrderedFile) -> Vec<String> {
        match self.order.tool {
            Tool::Dbmate | Tool::Sqitch => Vec::new(),
            _ => self.written(file, false),
        }
    }

    fn written(&self, file: &OrderedFile, done: bool) -> Vec<String> {
        let table = &self.table;
        let (version, name) = (self.text(&file.version), self.text(&file.name));
        let checksum = file.checksum.as_deref().unwrap_or_default();
        vec![match (self.order.tool, self.postgres()) {
            (Tool::Sqlx, postgres) => {
                let bytes = if postgres { format!("decode('{checksum}', 'hex')") } else { format!("x'{checksum}'") };
                let took = if postgres && done { self.since("now()", 1_000_000_000) } else { "-1".to_owned() };
                format!(
                    "insert into {table} (version, description, success, checksum, execution_time) \
                     values ({}, {name}, {done}, {bytes}, {took})",
                    file.version
                )
            }
            (Tool::Prisma, _) => {
                let finished = if done { "clock_timestamp()" } else { "null" };
                format!(
                    "insert into {table} (id, checksum, finished_at, migration_name, started_at, applied_steps_count) \
                     values (gen_random_uuid()::text, {}, {finished}, {version}, now(), {})",
                    self.text(checksum),
                    u8::from(done)
                )
            }
            (Tool::Dbmate, _) => format!("insert into {table} (version) values ({version})"),
            (Tool::Flyway, _) => {
                let version = if file.repeatable { "null".to_owned() } else { version };
                self.history(&version, file, done)
            }
            (Tool::GolangMigrate, _) => return self.only_version(&file.version, !done),
            (Tool::Sqitch, _) => return self.registry().deployed(file),
            (Tool::Plain, _) => {
                let at = if done { self.now() } else { "null" };
                format!(
                    "insert into {table} (version, name, checksum, applied_at) values ({}, {name}, {}, {at})",
                    file.version,
                    self.text(checksum)
                )
            }
        }]
    }

    /// A row of Flyway's history.
    fn history(&self, version: &str, file: &OrderedFile, done: bool) -> String {
        let (table, script) = (&self.table, self.text(&file.script));
        let checksum = file.checksum.as_deref().unwrap_or("null");
        let took = if done { self.since("now()", 1_000) } else { "0".to_owned() };
        format!(
            "insert into {table} (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \
             \"installed_by\", \"execution_time\", \"success\") \
             select coalesce(max(\"installed_rank\"), 0) + 1, {version}, {}, 'SQL', {script}, {checksum}, current_user, \
             {took}, {done} from {table}",
            self.text(&file.name)
        )
    }

    /// golang-migrate's one row.
    fn only_version(&self, version: &str, dirty: bool) -> Vec<String> {
        let table = &self.table;
        vec![
            format!("delete from {table}"),
            format!("insert into {table} (version, dirty) values ({version}, {dirty})"),
        ]
    }

    /// What is sent after a file that ran outside of a transaction: it is applied.
    pub fn finish(&self, file: &OrderedFile) -> Vec<String> {
        let (table, version) = (&self.table, self.text(&file.version));
        vec![match (self.order.tool, self.postgres()) {
            (Tool::Sqlx, true) => format!(
                "update {table} set success = true, execution_time = {} where version = {}",
                self.since("installed_on", 1_000_000_000),
                file.version
            ),
            (Tool::Sqlx, false) => format!("update {table} set success = true where version = {}", file.version),
            (Tool::Prisma, _) => format!(
                "update {table} set finished_at = clock_timestamp(), applied_steps_count = 1 \
                 where migration_name = {version} and finished_at is null and rolled_back_at is null"
            ),
            (Tool::Dbmate | Tool::GolangMigrate | Tool::Sqitch, _) => return self.record(file),
            (Tool::Flyway, _) => format!(
                "update {table} set \"success\" = true, \"execution_time\" = {} \
                 where \"installed_rank\" = (select max(\"installed_rank\") from {table} where \"script\" = {}) \
                 and not \"success\"",
                self.since("\"installed_on\"", 1_000),
                self.text(&file.script)
            ),
            (Tool::Plain, _) => {
                format!("update {table} set applied_at = {} where version = {}", self.now(), file.version)
            }
        }]
    }

    /// What is sent where a file outside of a transaction certainly left nothing: it is as if it had never begun.
    pub fn unbegin(&self, file: &OrderedFile, previous: Option<&str>) -> Vec<String> {
        let (table, version) = (&self.table, self.text(&file.version));
        match self.order.tool {
            Tool::Dbmate | Tool::Sqitch => Vec::new(),
            Tool::Prisma => vec![format!(
                "update {table} set rolled_back_at = clock_timestamp() \
                 where migration_name = {version} and finished_at is null and rolled_back_at is null"
            )],
            Tool::Flyway => {
                let script = self.text(&file.script);
                vec![format!("delete from {table} where \"script\" = {script} and not \"success\"")]
            }
            _ => self.forget(file, previous),
        }
    }

    /// What is sent with the statements that take a file back, in their transaction: it is not applied any more.
    /// `previous`: the version before it.
    pub fn forget(&self, file: &OrderedFile, previous: Option<&str>) -> Vec<String> {
        let (table, version) = (&self.table, self.text(&file.version));
        let sql = match (self.order.tool, previous) {
            (Tool::GolangMigrate, Some(previous)) => {
                format!("update {table} set version = {previous}, dirty = false where version = {}", file.version)
            }
            (Tool::Sqlx | Tool::Plain | Tool::GolangMigrate, _) => {
                format!("delete from {table} where version = {}", file.version)
            }
            (Tool::Dbmate, _) => format!("delete from {table} where version = {version}"),
            (Tool::Sqitch, _) => return self.registry().reverted(file),
            (Tool::Prisma, _) => format!(
                "update {table} set rolled_back_at = clock_timestamp() \
                 where migration_name = {version} and rolled_back_at is null"
            ),
            (Tool::Flyway, _) if file.repeatable => {
                format!("delete from {table} where \"version\" is null and \"description\" = {}", self.text(&file.name))
            }
            // A row that says "undone" is not understood by every edition; none is understood by all.
            (Tool::Flyway, _) => format!("delete from {table} where \"version\" = {version}"),
        };
        vec![sql]
    }

    /// What is sent before a file is taken back outside of a transaction.
    pub fn begin_back(&self, file: &OrderedFile) -> Vec<String> {
        let table = &self.table;
        match self.order.tool {
            Tool::Sqlx => vec![format!("update {table} set success = false where version = {}", file.version)],
            Tool::Plain => vec![format!("update {table} set applied_at = null where version = {}", file.version)],
            Tool::GolangMigrate => self.only_version(&file.version, true),
            // Neither knows such a state: the journal alone does.
            Tool::Dbmate | Tool::Flyway | Tool::Prisma | Tool::Sqitch => Vec::new(),
        }
    }

    /// Where in a database of that name and schema the tool keeps others away: keys of advisory locks (PostgreSQL).
    pub fn locks(&self, database: &str, schema: &str) -> Vec<i64> {
        let table = parts(self.order.table()).and_then(|mut parts| parts.pop()).unwrap_or_default();
        match self.order.tool {
            Tool::Sqlx => vec![0x3d32_ad9e * i64::from(crc32([database.as_bytes()]))],
            Tool::Prisma => vec![72_707_369],
            Tool::Sqitch => vec![75_474_063],
            Tool::Flyway => {
                let name = format!("{}.{}", ident(schema), ident(&table));
                vec![FLYWAY + i64::from(java_hash(&name))]
            }
            // By a connection it names the database as it is, by an address with the slash before it.
            Tool::GolangMigrate => {
                [database.to_owned(), format!("/{database}")].iter().map(|name| golang(schema, &table, name)).collect()
            }
            // Neither takes a lock: this one keeps two of ours apart.
            Tool::Dbmate | Tool::Plain => {
                vec![OURS | i64::from(crc32([schema.as_bytes(), b"\0", table.as_bytes()]))]
            }
        }
    }

    fn now(&self) -> &'static str {
        if self.postgres() { "clock_timestamp()" } else { "current_timestamp" }
    }

    /// Time that passed since `start`, in so many parts of a second (PostgreSQL).
    fn since(&self, start: &str, parts: u32) -> String {
        let (end, kind) =
            if parts == 1_000 { ("clock_timestamp()::timestamp", "integer") } else { ("clock_timestamp()", "bigint") };
        let start = if parts == 1_000 && start == "now()" { "now()::timestamp" } else { start };
        format!("(extract(epoch from {end} - {start}) * {parts})::{kind}")
    }

    fn text(&self, text: &str) -> String {
        literal(text, self.dialect)
    }
}

/// A text as SQL takes it, whatever the server thinks of backslashes.
pub(super) fn literal(text: &str, dialect: Dialect) -> String {
    let doubled = text.replace('\'', "''");
    match dialect {
        Dialect::Postgres if doubled.contains('\\') => format!("E'{}'", doubled.replace('\\', "\\\\")),
        _ => format!("'{doubled}'"),
    }
}

/// `Flyway` as the first bytes of a number.
const FLYWAY: i64 = (0x46 << 40) + (0x6c << 32) + (0x79 << 24) + (0x77 << 16) + (0x61 << 8) + 0x79;
/// `gono` in the upper half.
const OURS: i64 = 0x676f_6e6f << 32;
const SALT: u32 = 1_486_364_155;

fn golang(schema: &str, table: &str, database: &str) -> i64 {
    let name = [schema, table, database].join("\0");
    i64::from(crc32([name.as_bytes()]).wrapping_mul(SALT))
}

/// As Java hashes a text: over its UTF-16 units.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
