//! A step that applies another tool's files: what exactly it is to do, and what its bookkeeping says of it. Pure.

mod books;
mod plan;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::books::Book;
pub use self::plan::{Index, Plan, Refused, Row, State, due, plan};
use super::clean;
use super::event::{Direction, Statement};
use super::facts::Facts;
use super::state::RunState;
use super::words::{duration, plural};
use crate::runbook::migrations::{Migration, Migrations, Part, Planned, Tool, Way};
use crate::runbook::sql::Dialect;
use crate::runbook::{Step, Undo, Verb};

/// The files of a step and whose bookkeeping is kept. The texts are in the run's own copy of the runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationOrder {
    pub folder: String,
    pub tool: Tool,
    pub way: Way,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_pending: Option<u32>,
    /// All of the folder's, in the order in which they are applied.
    pub files: Vec<OrderedFile>,
    /// The versions that were pending when the step first began; none: it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Vec<String>>,
    /// Whom the bookkeeping names as the one who applies, where it names somebody: `user@host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<String>,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedFile {
    pub version: String,
    pub name: String,
    /// From the tool's folder.
    pub script: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Hex.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
    pub transaction: bool,
    /// What leads back, and whether in a transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<(String, bool)>,
    /// What is asked before it counts as applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// What sqitch's plan says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
}

impl OrderedFile {
    fn new(file: &Migration) -> Self {
        Self {
            version: file.version.clone(),
            name: file.name.clone(),
            script: file.script.clone(),
            checksum: file.checksum.clone(),
            sha256: file.sha256.clone(),
            repeatable: file.repeatable,
            transaction: file.up.transaction,
            down: file.down.as_ref().map(|down| (down.path.clone(), down.transaction)),
            verify: file.verify.as_ref().map(|verify| verify.path.clone()),
            planned: file.planned.clone(),
        }
    }

    /// What people call it: its version, or the name of a change whose version is an id.
    pub fn known_as(&self) -> &str {
        if self.planned.is_some() { &self.name } else { &self.version }
    }
}

impl MigrationOrder {
    pub fn new(migrations: &Migrations, since: Option<Vec<String>>) -> Self {
        Self {
            folder: migrations.folder.clone(),
            tool: migrations.tool,
            way: migrations.way,
            table: migrations.table.clone(),
            to: migrations.to.clone(),
            expect_pending: migrations.expect_pending,
            files: migrations.files.iter().map(OrderedFile::new).collect(),
            since,
            committer: None,
        }
    }

    /// `12 files of sqlx in migrations, up to 20240131`; what is taken back: `what this step applied of migrations (sqlx)`.
    pub fn words(&self) -> String {
        let (tool, folder) = (self.tool.word(), clean::line(&self.folder, 200));
        match (self.way, &self.to) {
            (Way::Down, _) => format!("takes back what this step applied of {folder} ({tool}), last first"),
            (Way::Up, Some(to)) => {
                let files = plural(self.files.len() as u64, "file");
                let to = self.files.iter().find(|file| file.version == *to).map_or(to.as_str(), OrderedFile::known_as);
                format!("what is pending of {files} of {tool} in {folder}, up to {}", clean::line(to, 200))
            }
            (Way::Up, None) => {
                format!("what is pending of {} of {tool} in {folder}", plural(self.files.len() as u64, "file"))
            }
        }
    }

    /// True for a file that it reaches: up to `to`, where there is one.
    pub fn reaches(&self, n: usize) -> bool {
        let Some(file) = self.files.get(n) else { return false };
        let last = self.to.as_ref().and_then(|to| self.files.iter().position(|file| file.version == *to));
        last.is_none_or(|last| n <= last && !file.repeatable)
    }

    /// The table of the bookkeeping, as people write it.
    pub fn table(&self) -> &str {
        self.table.as_deref().unwrap_or_else(|| self.tool.table())
    }

    /// Of its files, those that this step applied: pending when it first began, and recorded now.
    pub fn applied(&self, rows: &[Row]) -> Vec<usize> {
        self.applied_by(&Index::new(self.tool, rows))
    }

    fn applied_by(&self, index: &Index<'_>) -> Vec<usize> {
        let since = self.since.as_deref().unwrap_or_default();
        let ours = |file: &OrderedFile| since.contains(&file.version) && index.state(file) == State::Done;
        (0..self.files.len()).filter(|n| self.files.get(*n).is_some_and(ours)).collect()
    }

    /// What the step brings home: `value` and `rows` are how many files were applied (taken back), `table` says which.
    /// `ms`: by version, where it is known.
    pub fn facts(&self, files: &[usize], ms: &BTreeMap<String, u64>) -> Facts {
        let row = |file: &OrderedFile| {
            let text = |text: &str| Value::String(text.to_owned());
            let took = ms.get(&file.version).map_or(Value::Null, |ms| Value::from(*ms));
            let cells = [("version", text(file.known_as())), ("name", text(&file.script)), ("ms", took)];
            cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>()
        };
        let table: Vec<_> = files.iter().filter_map(|n| self.files.get(*n)).map(row).collect();
        let count = table.len() as u64;
        Facts { value: Some(Value::from(count)), rows: Some(count), files: Some(count), table, ..Facts::default() }
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Its first statement is about to be sent.
    Begun,
    /// Applied and recorded, or taken back and forgotten.
    Done,
    Failed,
}

/// A file whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTurn {
    /// 1-based, of those whose turn comes in this attempt.
    pub n: u32,
    pub of: u32,
    pub version: String,
    pub name: String,
    pub state: FileState,
    /// In one transaction with its bookkeeping.
    pub transaction: bool,
    pub ms: u64,
}

impl FileTurn {
    /// `file 2 of 3 · 002_add.sql · applied · 12 ms`
    pub fn words(&self) -> String {
        let state = match self.state {
            FileState::Begun if self.transaction => "begins".to_owned(),
            FileState::Begun => "begins, outside of a transaction".to_owned(),
            FileState::Done => format!("done · {}", duration(self.ms)),
            FileState::Failed => format!("failed · {}", duration(self.ms)),
        };
        format!("file {} of {} · {} · {state}", self.n, self.of, clean::line(&self.name, 200))
    }
}

/// The order of an attempt: an undo, and a retry, are about what was pending when the step first began.
pub fn order(state: &RunState, step: &Step, migrations: &Migrations) -> MigrationOrder {
    let since = state.steps.get(&step.id).and_then(|run| run.migrating.clone());
    let committer = (migrations.tool == Tool::Sqitch).then(|| state.opened.by.clone());
    MigrationOrder { committer, ..MigrationOrder::new(migrations, since) }
}

/// What an undo sends after its own statements, so that the tool forgets what the step recorded.
pub fn unrecorded(state: &RunState, step: &Step, direction: Direction, dialect: Dialect) -> Vec<Statement> {
    let (Direction::Undo, Undo::By(undo), Verb::Migrations(migrations)) = (direction, &step.undo, &step.verb) else {
        return Vec::new();
    };
    if !undo.unrecord {
        return Vec::new();
    }
    let order = order(state, step, migrations);
    let book = Book::new(&order, dialect);
    // The undo's own statements come first, and may search elsewhere.
    let book = match state.steps.get(&step.id).and_then(|run| run.migrating_in.as_deref()) {
        Some(schema) => book.within(schema),
        None => book,
    };
    let since = order.since.clone().unwrap_or_default();
    let ours = order.files.iter().enumerate().rev().filter(|(_, file)| since.contains(&file.version));
    let texts = ours.flat_map(|(n, file)| book.forget(file, previous(&order, n)));
    texts.map(|sql| Statement { sql, line: undo.line }).collect()
}

/// The version before a file.
pub fn previous(order: &MigrationOrder, n: usize) -> Option<&str> {
    order.files.get(n.checked_sub(1)?).map(|file| file.version.as_str())
}

/// The part of a file that is sent.
pub fn part(file: &Migration, way: Way) -> Option<&Part> {
    match way {
        Way::Up => Some(&file.up),
        Way::Down => file.down.as_ref(),
    }
}
