//! From a folder and a tool's table to the files whose turn it is; or to the reason why nothing may be touched.

use std::collections::BTreeMap;

use super::{MigrationOrder, OrderedFile};
use crate::run::words::plural;
use crate::runbook::migrations::{Tool, Way, order_key};

/// A row of a tool's table, as it is normalized by [`super::Book::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub version: String,
    pub checksum: Option<String>,
    pub state: State,
    /// What people call it, where the version is no word of theirs.
    pub name: Option<String>,
}

/// What the bookkeeping says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Done,
    /// Begun, and nobody knows how it ended: dirty, failed, unfinished.
    Started,
    /// Taken back.
    Gone,
    /// Everything up to this version counts as applied.
    Baseline,
    /// Not there.
    Absent,
}

/// The files whose turn it is, by their place in the order, in the order of their turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub turns: Vec<usize>,
    /// What somebody should know of it.
    pub notes: Vec<String>,
}

/// Why nothing is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub what: String,
    /// What to do.
    pub hint: String,
}

fn refused<T>(what: impl Into<String>, hint: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { what: what.into(), hint: hint.into() })
}

type Key = (Vec<u64>, String);

/// The rows of a table, found by version.
pub struct Index<'r> {
    tool: Tool,
    rows: &'r [Row],
    by_key: BTreeMap<Key, Vec<&'r Row>>,
    /// The highest version up to which everything counts as applied.
    baseline: Option<Key>,
}

impl<'r> Index<'r> {
    pub fn new(tool: Tool, rows: &'r [Row]) -> Self {
        let mut by_key: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            by_key.entry(order_key(tool, &row.version)).or_default().push(row);
        }
        let baseline = rows.iter().filter(|row| row.state == State::Baseline).map(|row| order_key(tool, &row.version));
        Self { tool, rows, by_key, baseline: baseline.max() }
    }

    /// What the rows say of one file.
    pub fn state(&self, file: &OrderedFile) -> State {
        let wanted = order_key(self.tool, &file.version);
        let covered = !file.repeatable && self.baseline.as_ref().is_some_and(|last| wanted <= *last);
        self.stands(&wanted, covered)
    }

    /// What they say of a version. `covered`: by a baseline.
    fn stands(&self, wanted: &Key, covered: bool) -> State {
        if self.tool == Tool::GolangMigrate {
            return self.only_version(wanted);
        }
        let own = self.by_key.get(wanted).map(Vec::as_slice).unwrap_or_default();
        let any = |state: State| own.iter().any(|row| row.state == state);
        match (self.tool, own.last().map(|row| row.state)) {
            (Tool::Prisma, Some(_)) if any(State::Done) => State::Done,
            (Tool::Prisma, Some(_)) if any(State::Started) => State::Started,
            (_, Some(State::Baseline)) => State::Done,
            (_, Some(state)) => state,
            (_, None) if covered => State::Done,
            (_, None) => State::Absent,
        }
    }

    /// golang-migrate has one row: the version everything up to which is applied.
    fn only_version(&self, wanted: &Key) -> State {
        let Some(row) = self.rows.first() else { return State::Absent };
        let last = order_key(self.tool, &row.version);
        match row.state {
            State::Started if last == *wanted => State::Started,
            _ if row.version != "-1" && *wanted <= last => State::Done,
            _ => State::Absent,
        }
    }

    /// The last row that says a file is applied.
    fn last_done(&self, file: &OrderedFile) -> Option<&Row> {
        self.last_done_of(&order_key(self.tool, &file.version))
    }

    fn last_done_of(&self, key: &Key) -> Option<&'r Row> {
        self.by_key.get(key)?.iter().rev().find(|row| row.state == State::Done).copied()
    }

    /// The rows by which something is applied now: the last of each version, and none that was undone or deleted since.
    fn applied(&self) -> impl Iterator<Item = (Key, &'r Row)> {
        let keyed = self.rows.iter().map(|row| (order_key(self.tool, &row.version), row));
        keyed.filter(|(key, row)| {
            let last = self.last_done_of(key).is_some_and(|last| std::ptr::eq(last, *row));
            last && row.version != "-1" && self.stands(key, false) != State::Gone
        })
    }
}

/// # Errors
/// The bookkeeping and the folder do not fit, or the tool calls the database dirty.
pub fn plan(order: &MigrationOrder, rows: &[Row]) -> Result<Plan, Refused> {
    let index = Index::new(order.tool, rows);
    let files = order.files.iter().map(|file| (order_key(order.tool, &file.version), file)).collect();
    clean(order, &index, &files)?;
    known(order, &index, &files)?;
    match order.way {
        Way::Up => up(order, &index),
        Way::Down => down(order, &index),
    }
}

/// The same, where as many files have to be pending as the step expects.
///
/// # Errors
/// As for [`plan`]; or other files are pending than were expected.
pub fn due(order: &MigrationOrder, rows: &[Row]) -> Result<Plan, Refused> {
    let plan = plan(order, rows)?;
    let pending = order.since.as_ref().map_or(plan.turns.len(), Vec::len);
    match order.expect_pending {
        Some(wanted) if order.way == Way::Up && pending != wanted as usize => refused(
            format!("pending: {}; expected: {wanted}", plural(pending as u64, "file")),
            "look at the tool's table and at the folder: is it the right database, the right branch?",
        ),
        _ => Ok(plan),
    }
}

type Files<'o> = BTreeMap<Key, &'o OrderedFile>;

/// Nothing is begun and unfinished.
fn clean(order: &MigrationOrder, index: &Index<'_>, files: &Files<'_>) -> Result<(), Refused> {
    let started = index.rows.iter().find(|row| {
        let file = files.get(&order_key(order.tool, &row.version));
        row.state == State::Started && file.is_none_or(|file| index.state(file) == State::Started)
    });
    let Some(row) = started else { return Ok(()) };
    let (version, table) = (&row.version, order.table());
    let hint = match order.tool {
        Tool::Prisma => format!("prisma migrate resolve --rolled-back {version} (or --applied {version})"),
        Tool::Flyway => "flyway repair".to_owned(),
        Tool::GolangMigrate => "migrate force VERSION, with the version that is truly there".to_owned(),
        _ => format!("delete from {table} where version = {version}, or set it to applied"),
    };
    refused(
        format!(
            "{} calls the database dirty: {version} was begun and did not come to its end ({table})",
            order.tool.word()
        ),
        format!("look what of it is there, complete it or clear it away, then tell the tool: {hint}"),
    )
}

/// What is applied is in the folder, and is what it was.
fn known(order: &MigrationOrder, index: &Index<'_>, files: &Files<'_>) -> Result<(), Refused> {
    let table = order.table();
    for (key, row) in index.applied() {
        let Some(file) = files.get(&key) else {
            let what = match &row.name {
                Some(name) => format!("{name} ({:.8}) is applied (says {table}), and the plan", row.version),
                None => format!("{} is applied (says {table}), and there is no such file", row.version),
            };
            let rest = if row.name.is_some() { " has no such change" } else { "" };
            return refused(
                format!("{what} in {}{rest}", order.folder),
                "is it the right folder, the right branch, the right database? Bring the file back, or take its row out by the \
                 tool's own means",
            );
        };
        let (Some(was), Some(is)) = (&row.checksum, &file.checksum) else { continue };
        if !file.repeatable && !was.eq_ignore_ascii_case(is) {
            return refused(
                format!("{} was changed since it was applied: its checksum is {is}, {table} has {was}", file.script),
                "bring the file back as it was applied, and put the change into a new one",
            );
        }
    }
    Ok(())
}

fn up(order: &MigrationOrder, index: &Index<'_>) -> Result<Plan, Refused> {
    let pending = |file: &OrderedFile| match file.repeatable {
        // What is repeated is due where its text is not the one applied last.
        true => index.last_done(file).is_none_or(|row| row.checksum != file.checksum),
        false => index.state(file) != State::Done,
    };
    let turns: Vec<usize> =
        order.files.iter().enumerate().filter(|(n, file)| order.reaches(*n) && pending(file)).map(|(n, _)| n).collect();
    let notes = late(order, index, &turns)?;
    Ok(Plan { turns, notes })
}

/// Files that are older than the last applied one.
fn late(order: &MigrationOrder, index: &Index<'_>, turns: &[usize]) -> Result<Vec<String>, Refused> {
    let done = |file: &OrderedFile| !file.repeatable && index.state(file) == State::Done;
    let newest = order.files.iter().enumerate().rfind(|(_, file)| done(file)).map(|(n, file)| (n, file.known_as()));
    let Some((newest, version)) = newest else { return Ok(Vec::new()) };
    let late = turns.iter().filter(|n| **n < newest).filter_map(|n| order.files.get(*n));
    let mut notes = Vec::new();
    for file in late.filter(|file| !file.repeatable) {
        if !order.tool.takes_late_files() {
            return refused(
                format!("{} is not applied, and {version}, which comes behind it, is", file.script),
                format!("{} applies files in order only: give it a version behind {version}", order.tool.word()),
            );
        }
        notes.push(format!("out of order: {} is older than {version}, which is applied", file.script));
    }
    Ok(notes)
}

fn down(order: &MigrationOrder, index: &Index<'_>) -> Result<Plan, Refused> {
    let mut turns = order.applied_by(index);
    let Some(last) = turns.last().copied() else { return Ok(Plan::default()) };
    // What was there before this step stays where it is; what came behind it may need it.
    let behind = order.files.iter().enumerate().skip(last + 1);
    let behind = { behind }.find(|(_, file)| !file.repeatable && index.state(file) == State::Done);
    if let Some((_, file)) = behind {
        return refused(
            format!("{} was applied after this step, by somebody else", file.script),
            "take that back first, or decide by hand: what this step applied may be needed by it",
        );
    }
    let stuck = turns.iter().filter_map(|n| order.files.get(*n)).find(|file| file.down.is_none());
    if let Some(file) = stuck {
        return refused(
            format!("nothing in {} leads down from {}", order.folder, file.script),
            "take it back by hand, then say that the undo is done",
        );
    }
    turns.reverse();
    Ok(Plan { turns, notes: Vec::new() })
}
