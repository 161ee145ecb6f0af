//! Backups and restores as they are ordered, what their worker writes down, and what a restore would lose.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Fault};
use super::state::RunState;
use crate::runbook::dump::{Backup, DumpFormat, Prove, Restore};
use crate::runbook::expr::{self, Context, ExprError, Place};
use crate::runbook::{StepId, TargetSpec};

/// The file of an attempt's folder in which its worker writes down how far it is: a [`Record`].
pub const RECORD: &str = "outcome";

/// A backup to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupOrder {
    pub file: String,
    pub format: DumpFormat,
    pub prove: Prove,
    pub jobs: u32,
    pub exclude: Vec<String>,
    /// How long one table is waited for.
    pub lock_timeout_ms: u64,
}

/// A restore to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    pub file: String,
    pub check_rows: bool,
    pub lock_timeout_ms: u64,
    /// What this run knows of the archive: it took it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Known>,
}

/// An archive that a step of this run has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub step: StepId,
    pub sha256: String,
    /// When its snapshot was taken, as the server says it.
    pub taken: String,
    pub tables: Vec<TableRows>,
    /// Tables without their rows.
    pub left_out: Vec<String>,
}

/// How many rows a table has; its name as SQL takes it: `public.orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    pub name: String,
    pub rows: u64,
}

/// What a worker is told, on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrder {
    pub run: String,
    pub step: StepId,
    /// Which attempt of the step it is: `2`, or `undo2`.
    pub attempt: String,
    /// The attempt's folder (absolute): [`RECORD`] and other private files.
    pub folder: String,
    pub work: Work,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Backup(BackupOrder),
    Restore(RestoreOrder),
}

/// How far a worker is; durable before the next thing happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// Everything was done and proven but for the last move: the archive gets its name, or COMMIT is sent.
    Finishing {
        /// The transaction's number on the server.
        xid: Option<String>,
        facts: Box<Facts>,
    },
    Done {
        facts: Box<Facts>,
    },
    Failed {
        fault: Box<Fault>,
    },
}

/// The counters of a database's tables at one moment: what was written since can be told by the difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// When the server last began to count: another value, and nothing can be told.
    pub since: String,
    pub tables: Vec<Counter>,
}

/// Rows written into a table since the server began to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub oid: u32,
    pub name: String,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

impl BackupOrder {
    /// `leg`: of a rehearsal; the archive of its second leg gets a name of its own, since none is overwritten.
    pub fn new(backup: &Backup, spec: Option<&TargetSpec>, leg: u32, context: &Context) -> Result<Self, ExprError> {
        let file = named(&backup.file, context)?;
        Ok(Self {
            file: if leg > 1 { format!("{file}.leg{leg}") } else { file },
            format: backup.format,
            prove: backup.prove,
            jobs: backup.jobs,
            exclude: backup.exclude.clone(),
            lock_timeout_ms: lock_timeout(spec),
        })
    }
}

impl RestoreOrder {
    pub fn new(
        restore: &Restore,
        spec: Option<&TargetSpec>,
        state: &RunState,
        context: &Context,
    ) -> Result<Self, ExprError> {
        let file = named(&restore.file, context)?;
        let backup = known(state, &file);
        Ok(Self { backup, file, check_rows: restore.check_rows, lock_timeout_ms: lock_timeout(spec) })
    }
}

fn named(file: &str, context: &Context) -> Result<String, ExprError> {
    let file = expr::render(file, Place::Text, context)?;
    match file.contains('\0') {
        true => Err(ExprError::Failed("the name of a file cannot hold a NUL byte".to_owned())),
        // No name becomes an option of a program.
        false if file.starts_with('-') => Ok(format!("./{file}")),
        false => Ok(file),
    }
}

fn lock_timeout(spec: Option<&TargetSpec>) -> u64 {
    spec.map_or(3_000, |spec| super::plan::millis(spec.lock_timeout))
}

/// The newest backup of this run that has written `file`.
fn known(state: &RunState, file: &str) -> Option<Known> {
    let taken = state.steps.iter().filter_map(|(id, run)| {
        let facts = run.facts.as_ref()?;
        let made = facts.file.as_ref().filter(|made| made.path == file)?;
        Some((facts.taken.clone()?, id, facts, made))
    });
    let (taken, id, facts, made) = taken.max_by(|a, b| a.0.cmp(&b.0))?;
    let text = |row: &std::collections::BTreeMap<String, serde_json::Value>, key: &str| {
        row.get(key).and_then(|value| value.as_str().map(str::to_owned))
    };
    let left_out = |row: &&std::collections::BTreeMap<String, serde_json::Value>| {
        row.get("left_out").is_some_and(|value| value.as_bool() == Some(true))
    };
    let tables = facts.table.iter().filter(|row| !left_out(row)).filter_map(|row| {
        Some(TableRows { name: text(row, "name")?, rows: row.get("rows").and_then(serde_json::Value::as_u64)? })
    });
    Some(Known {
        step: id.clone(),
        sha256: made.sha256.clone(),
        taken,
        tables: tables.collect(),
        left_out: facts.table.iter().filter(left_out).filter_map(|row| text(row, "name")).collect(),
    })
}

impl BackupOrder {
    /// What is done, in one line. Holds foreign text.
    pub fn words(&self, target: &str) -> String {
        let proof = match self.prove {
            Prove::Read => "read whole",
            Prove::Restore => "restored into a database of its own, rows compared",
        };
        let left_out = match self.exclude.is_empty() {
            true => String::new(),
            false => format!(", without the rows of {}", self.exclude.join(", ")),
        };
        format!("backup of {target} into {} ({}{left_out}), proof: {proof}", self.file, self.format.word())
    }
}

impl RestoreOrder {
    /// What is done, in one line. Holds foreign text.
    pub fn words(&self, target: &str) -> String {
        let rows = match (&self.backup, self.check_rows) {
            (Some(known), true) => format!(", rows compared with those of {}", known.step),
            _ => String::new(),
        };
        format!("{target} goes back to {}, in one transaction{rows}", self.file)
    }
}

/// The facts of a backup with its age as a fact more.
#[derive(Serialize)]
pub struct Aged<'f> {
    #[serde(flatten)]
    pub facts: &'f Facts,
    pub age_s: i64,
}

/// Seconds since the snapshot of a backup was taken; none: it is no backup. Never below 0: clocks differ.
pub fn age_s(facts: &Facts, now: DateTime<Utc>) -> Option<i64> {
    let taken = DateTime::parse_from_rfc3339(facts.taken.as_ref()?).ok()?;
    Some((now - taken.with_timezone(&Utc)).num_seconds().max(0))
}
