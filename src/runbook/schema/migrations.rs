//! The verb `migrations`. See `parse::migrations`.

use schemars::JsonSchema;

use super::values::{InnerFile, Text};

/// A folder of another tool's migration files: its path, or a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Migrations {
    Folder(InnerFile),
    Table(MigrationsTable),
}

/// A folder of another tool's migration files, of which it applies what is pending and keeps that tool's own books.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MigrationsTable {
    /// Inside the runbook's folder.
    pub folder: InnerFile,
    /// Whose files they are. Guessed where the layout is that of one tool only.
    pub tool: Option<Tool>,
    /// The last version to be applied (for sqitch: a change or an `@tag`); without it, all.
    pub to: Option<Text>,
    /// The tool's table, where it was given another name (for sqitch: `registry.changes`). Not for Prisma.
    pub table: Option<Text>,
    /// How many files must be pending; with more or fewer, none is applied.
    pub expect_pending: Option<u32>,
}

/// Tools whose files and tables are known.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Tool {
    Sqlx,
    Prisma,
    Dbmate,
    Flyway,
    #[schemars(rename = "golang-migrate")]
    GolangMigrate,
    Sqitch,
    Plain,
}

/// The way back through the files that the step applied, last first.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Way {
    Down,
}
