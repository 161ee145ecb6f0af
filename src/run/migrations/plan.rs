//! From a folder and a tool's table to the files whose turn it is; or to the reason why nothing may be touched.

use super::{MigrationOrder, OrderedFile};
use crate::runbook::migrations::{Tool, Way, order_key};

/// A row of a tool's table, as it is normalized by [`super::Book::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub version: String,
    pub checksum: Option<String>,
    pub state: State,
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

/// What the rows say of one file.
pub fn recorded(order: &MigrationOrder, rows: &[Row], file: &OrderedFile) -> State {
    let key = |version: &str| order_key(order.tool, version);
    let wanted = key(&file.version);
    if order.tool == Tool::GolangMigrate {
        // One row: the version everything up to which is applied.
        return match rows.first() {
            Some(row) if row.state == State::Started && key(&row.version) == wanted => State::Started,
            Some(row) if row.version != "-1" && wanted <= key(&row.version) => State::Done,
            _ => State::Absent,
        };
    }
    let own: Vec<&Row> = rows.iter().filter(|row| key(&row.version) == wanted).collect();
    let started = own.iter().any(|row| row.state == State::Started);
    let covered =
        !file.repeatable && rows.iter().any(|row| row.state == State::Baseline && wanted <= key(&row.version));
    match (order.tool, own.last().map(|row| row.state)) {
        (Tool::Prisma, Some(_)) if own.iter().any(|row| row.state == State::Done) => State::Done,
        (Tool::Prisma, Some(_)) if started => State::Started,
        (_, Some(State::Baseline)) => State::Done,
        (_, Some(state)) => state,
        (_, None) if covered => State::Done,
        (_, None) => State::Absent,
    }
}

/// # Errors
/// The bookkeeping and the folder do not fit, or the tool calls the database dirty.
pub fn plan(order: &MigrationOrder, rows: &[Row]) -> Result<Plan, Refused> {
    clean(order, rows)?;
    known(order, rows)?;
    match order.way {
        Way::Up => up(order, rows),
        Way::Down => down(order, rows),
    }
}

/// Nothing is begun and unfinished.
fn clean(order: &MigrationOrder, rows: &[Row]) -> Result<(), Refused> {
    let started = rows.iter().find(|row| {
        let key = order_key(order.tool, &row.version);
        let file = order.files.iter().find(|file| order_key(order.tool, &file.version) == key);
        match file {
            Some(file) => row.state == State::Started && recorded(order, rows, file) == State::Started,
            None => row.state == State::Started,
        }
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
fn known(order: &MigrationOrder, rows: &[Row]) -> Result<(), Refused> {
    let table = order.table();
    for row in rows.iter().filter(|row| row.state == State::Done && row.version != "-1") {
        let key = order_key(order.tool, &row.version);
        let Some(file) = order.files.iter().find(|file| order_key(order.tool, &file.version) == key) else {
            return refused(
                format!("{} is applied (says {table}), and there is no such file in {}", row.version, order.folder),
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

fn up(order: &MigrationOrder, rows: &[Row]) -> Result<Plan, Refused> {
    let pending = |file: &OrderedFile| match file.repeatable {
        true => changed(order, rows, file),
        false => recorded(order, rows, file) != State::Done,
    };
    let turns: Vec<usize> =
        order.files.iter().enumerate().filter(|(n, file)| order.reaches(*n) && pending(file)).map(|(n, _)| n).collect();
    let notes = late(order, rows, &turns)?;
    Ok(Plan { turns, notes })
}

/// What is repeated is due where its text is not the one applied last.
fn changed(order: &MigrationOrder, rows: &[Row], file: &OrderedFile) -> bool {
    let key = order_key(order.tool, &file.version);
    let last = rows.iter().rev().find(|row| order_key(order.tool, &row.version) == key && row.state == State::Done);
    last.is_none_or(|row| row.checksum != file.checksum)
}

/// Files that are older than the last applied one.
fn late(order: &MigrationOrder, rows: &[Row], turns: &[usize]) -> Result<Vec<String>, Refused> {
    let done = |file: &OrderedFile| !file.repeatable && recorded(order, rows, file) == State::Done;
    let newest =
        order.files.iter().enumerate().filter(|(_, file)| done(file)).map(|(n, file)| (n, &file.version)).last();
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

fn down(order: &MigrationOrder, rows: &[Row]) -> Result<Plan, Refused> {
    let mut turns = order.applied(rows);
    let Some(last) = turns.last().copied() else { return Ok(Plan::default()) };
    // What was there before this step stays where it is; what came behind it may need it.
    let behind = order.files.iter().enumerate().skip(last + 1);
    let behind = { behind }.find(|(_, file)| !file.repeatable && recorded(order, rows, file) == State::Done);
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
