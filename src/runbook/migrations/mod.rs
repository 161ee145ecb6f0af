//! A folder of another tool's migration files: what it holds, in the order in which that tool applies it.

mod layout;
mod name;
mod part;
mod sqitch;
mod sum;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub use self::layout::{File, Flaw, guess, read};
pub use self::name::{accepts, order_key};
pub use self::part::Part;
pub use self::sqitch::{Planned, Stamp, Tag};
pub use self::sum::{crc32, hex};

/// Files of one folder, and bytes of all of them.
pub const MOST_FILES: usize = 2_000;
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Whose bookkeeping is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    Sqlx,
    Prisma,
    Dbmate,
    Flyway,
    GolangMigrate,
    Sqitch,
    Plain,
}

impl Tool {
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("sqlx", Self::Sqlx),
        ("prisma", Self::Prisma),
        ("dbmate", Self::Dbmate),
        ("flyway", Self::Flyway),
        ("golang-migrate", Self::GolangMigrate),
        ("sqitch", Self::Sqitch),
        ("plain", Self::Plain),
    ];

    /// The word the runbook uses.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, tool)| *tool == self).map_or("plain", |(word, _)| word)
    }

    /// The table that holds what is applied, where the runbook names no other.
    pub fn table(self) -> &'static str {
        match self {
            Self::Sqlx => "_sqlx_migrations",
            Self::Prisma => "_prisma_migrations",
            Self::Dbmate | Self::GolangMigrate => "schema_migrations",
            Self::Flyway => "flyway_schema_history",
            Self::Sqitch => "sqitch.changes",
            Self::Plain => "schema_versions",
        }
    }

    /// True where a file that is older than the last applied one may still be applied: the tool itself does so too.
    pub fn takes_late_files(self) -> bool {
        matches!(self, Self::Sqlx | Self::Prisma | Self::Dbmate)
    }

    /// True where its bookkeeping can be kept in SQLite.
    pub fn knows_sqlite(self) -> bool {
        !matches!(self, Self::Prisma | Self::Flyway | Self::Sqitch)
    }
}

/// What a step `migrations` does.
#[derive(Clone, Debug)]
pub struct Migrations {
    /// As the runbook names it, without a slash at its end.
    pub folder: String,
    pub tool: Tool,
    /// The last version to be applied; none: all.
    pub to: Option<String>,
    /// The table of the bookkeeping, where it is not the tool's own.
    pub table: Option<String>,
    /// How many files have to be pending before the first is applied.
    pub expect_pending: Option<u32>,
    pub way: Way,
    /// In the order in which they are applied.
    pub files: Vec<Migration>,
}

/// Files are applied, or those that the step applied are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Up,
    Down,
}

/// One file, or a pair of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// As the tool's table names it; `R__name` for what Flyway repeats, the change's id for sqitch.
    pub version: String,
    /// The words behind the version, as the tool's table has them.
    pub name: String,
    /// The file's path from the tool's folder.
    pub script: String,
    /// As the tool computes it; none where it computes none.
    pub checksum: Option<String>,
    /// SHA-256 (hex) of the file's bytes.
    pub sha256: String,
    /// Applied again whenever its checksum changes.
    pub repeatable: bool,
    pub up: Part,
    pub down: Option<Part>,
    /// What is asked before it counts as applied; nothing of it stays.
    pub verify: Option<Part>,
    /// What sqitch's plan says of it.
    pub planned: Option<Planned>,
}

impl Migrations {
    /// The step's undo: the same files, the other way.
    pub fn back(&self) -> Self {
        Self { way: Way::Down, expect_pending: None, ..self.clone() }
    }

    /// `12 files of sqlx in migrations, up to 20240131`.
    pub fn words(&self) -> String {
        let files = if self.files.len() == 1 { "file" } else { "files" };
        let mut words = format!("{} {files} of {} in {}", self.files.len(), self.tool.word(), self.folder);
        let label = |to: &String| {
            let planned = self.files.iter().find(|file| file.version == *to && file.planned.is_some());
            planned.map_or_else(|| to.clone(), |file| file.name.clone())
        };
        if let Some(to) = self.to.as_ref().map(label) {
            let _ = write!(words, ", up to {to}");
        }
        words
    }
}
