//! The verbs `backup` and `restore`. See `parse::dump`.

use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::values::{Id, Text};

/// An archive of the step's target: its path, or a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Backup {
    File(Text),
    Table(BackupTable),
}

/// An archive of a database, proven before it gets its name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = jobs_of_a_directory)]
pub struct BackupTable {
    /// A new file, or folder, from the folder gonogo was started in. One that is there is never overwritten.
    pub file: Text,
    /// Default `custom`. Of `plain` only the last line tells that it is whole.
    pub format: Option<DumpFormat>,
    /// `read` (default): the whole archive is read. `restore`: it is restored into a database of its own, and its rows are counted.
    pub prove: Option<Prove>,
    /// With format = "directory": how many sessions write, and restore for the proof, at the same time.
    #[schemars(range(min = 1, max = 32))]
    pub jobs: Option<u32>,
    /// Tables whose rows are left out. A `restore` refuses such an archive.
    pub exclude: Option<Vec<Text>>,
    /// The database; `main`, or the only one, without it. May also stand beside `backup`.
    pub target: Option<Id>,
}

/// How the archive is written.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum DumpFormat {
    Custom,
    Directory,
    Plain,
}

/// How the archive is proven.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Prove {
    Read,
    Restore,
}

/// An archive that takes the place of everything in the step's target: its path, or a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Restore {
    File(Text),
    Table(RestoreTable),
}

/// Puts an archive in the place of everything that a PostgreSQL database holds: all of it or nothing.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RestoreTable {
    /// The archive.
    pub file: Text,
    /// The database; `main`, or the only one, without it. May also stand beside `restore`.
    pub target: Option<Id>,
    /// false leaves the comparison of rows with those of the backup out.
    pub check_rows: Option<bool>,
}

fn jobs_of_a_directory(schema: &mut Schema) {
    let directory = json!({ "required": ["format"], "properties": { "format": { "const": "directory" } } });
    schema.insert("dependentSchemas".into(), json!({ "jobs": directory }));
}
