//! What can be asked of a database before a window, read-only: who is at work there, what is there, and whether the
//! server itself understands a statement.

use super::{Kind, Target, TargetError};

/// A server as it stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Two connections of ours are one session of the server: a pooler lends sessions out.
    pub pooled: bool,
    /// Its sessions begin read-only.
    pub read_only: bool,
    /// Sessions that ordinary roles may have, and client sessions that are there.
    pub slots: u64,
    pub sessions: u64,
    pub database_bytes: u64,
    /// Of it tables without their indexes, as the server last counted their pages: asking for more would wait for locks.
    pub table_bytes: u64,
    /// The schema that unqualified names are made in; none: no schema of the search path is there.
    pub schema: Option<String>,
    /// This role may make objects in it.
    pub may_create: bool,
    /// This role may make schemas in the database.
    pub may_create_schemas: bool,
    pub may_create_databases: bool,
    /// This role sees what other roles' sessions do.
    pub sees_all: bool,
    /// Sessions that hold a transaction open without working for a minute, or work in one for five: a sentence each.
    pub long: Vec<String>,
    /// Transactions that were prepared and never ended.
    pub prepared: Vec<String>,
    /// Sessions that hold a run's guard.
    pub owners: Vec<String>,
}

/// A table, view, index or sequence that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    pub owner: String,
    /// This role owns it, or may act as its owner.
    pub owned: bool,
    /// Of `select`, `insert`, `update`, `delete`, `truncate`, `references`: what this role may do with it.
    pub rights: Vec<String>,
    /// Rows are hidden from this role.
    pub row_security: bool,
    pub columns: Vec<String>,
}

/// Whether an extension can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    Installed,
    Available,
    Absent,
}

/// Why the server did not understand a statement. Nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// SQLSTATE, or SQLite's result code.
    pub code: Option<String>,
    pub words: String,
    pub hint: Option<String>,
}

impl Target {
    /// The server as it stands; none for a file.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn inspect(&self) -> Result<Option<Server>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("its state", target.inspect().await).map(Some),
            Kind::Sqlite(_) => Ok(None),
        }
    }

    /// What is there by that name, which is SQL (`"app"."scores"`); none: nothing. A file is not asked.
    ///
    /// # Errors
    /// In words: the server cannot be asked, or this role may not look there.
    pub async fn relation(&self, name: &str) -> Result<Option<Relation>, String> {
        match &self.kind {
            Kind::Postgres(target) => target.relation(name).await.map_err(|problem| problem.words()),
            Kind::Sqlite(_) => Ok(None),
        }
    }

    /// Whether this role may make objects in a schema; none: there is no such schema, or it is a file.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn may_create_in(&self, schema: &str) -> Result<Option<bool>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("its schemas", target.may_create_in(schema).await),
            Kind::Sqlite(_) => Ok(None),
        }
    }

    /// Whether an extension is there; none for a file.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn extension(&self, name: &str) -> Result<Option<Extension>, TargetError> {
        match &self.kind {
            Kind::Postgres(target) => self.asked("its extensions", target.extension(name).await).map(Some),
            Kind::Sqlite(_) => Ok(None),
        }
    }

    /// Has the database read one statement without running it: grammar always, and for queries and changes of rows every
    /// name and type in it.
    ///
    /// # Errors
    /// What it does not understand, or that it could not be asked.
    pub async fn reads(&self, sql: &str) -> Result<(), Unread> {
        let answer = match &self.kind {
            Kind::Postgres(target) => target.reads(sql).await,
            Kind::Sqlite(target) => target.reads(sql).await,
        };
        answer.map_err(|problem| Unread { words: problem.words(), code: problem.code, hint: problem.hint })
    }
}
