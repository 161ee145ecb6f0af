//! Backups and restores, as the runbook says them.

use serde::{Deserialize, Serialize};

/// How an archive lies on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DumpFormat {
    /// One compressed file that `pg_restore` reads.
    #[default]
    Custom,
    /// A folder with a file per table: several sessions may write and read it.
    Directory,
    /// SQL text: nothing in it tells a whole file from a cut one, but for its last line.
    Plain,
}

impl DumpFormat {
    pub fn word(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Directory => "directory",
            Self::Plain => "plain",
        }
    }
}

/// What a backup has to prove before it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prove {
    /// The whole archive was read.
    #[default]
    Read,
    /// It was restored into a database of its own, and every table has the rows of the snapshot.
    Restore,
}

/// Takes a backup of the step's target and proves it.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The archive: a new file, or folder. Template.
    pub file: String,
    pub format: DumpFormat,
    pub prove: Prove,
    /// Sessions that write (directory) and restore at the same time, 1 to 32.
    pub jobs: u32,
    /// Tables whose rows are left out, as `name` or `schema.name`.
    pub exclude: Vec<String>,
}

/// Puts a backup in the place of everything that its target holds.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The archive. Template.
    pub file: String,
    /// Compare the rows of every table with those of the backup before COMMIT.
    pub check_rows: bool,
}
