//! The verbs `backup` and `restore`.

use toml::de::DeValue;

use super::reader::Reader;
use super::steps::{self, Home, Known, template};
use super::{Owner, values};
use crate::runbook::dump::{Backup, DumpFormat, Prove, Restore};
use crate::runbook::expr::Place;
use crate::runbook::sql::Dialect;
use crate::runbook::text::Located;
use crate::runbook::{Verb, batch};

/// The facts of a backup, as its own `expect` and as later steps see them, and those of a restore.
pub(super) const BACKUP_FACTS: &[&str] = &["value", "rows", "table", "file", "taken", "proof", "ms"];
pub(super) const BACKUP_LATER: &[&str] = &["value", "rows", "table", "file", "taken", "age_s", "proof", "ms"];
pub(super) const RESTORE_FACTS: &[&str] = &["value", "rows", "table", "file", "ms"];
const BACKUP_HINT: &str =
    "write backup = \"backups/{{ run.id }}.dump\", or backup = { file = \"…\", prove = \"restore\" }";
const RESTORE_HINT: &str = "write restore = \"backups/{{ run.id }}.dump\", or restore = { file = \"…\" }";
/// Keys of either verb's table.
const JOBS: std::ops::RangeInclusive<u32> = 1..=32;

pub(super) fn backup(table: &Reader<'_, '_>, known: &Known, owner: &Owner, only: &[String]) -> Option<Read> {
    let (file, inner) = file_of(table, "backup", "a `backup`", BACKUP_HINT, owner)?;
    let mut backup = Backup {
        file: file.text,
        format: DumpFormat::default(),
        prove: Prove::default(),
        jobs: 1,
        exclude: Vec::new(),
    };
    let Some(inner) = inner else {
        return Some(Read {
            verb: Verb::Backup(Box::new(backup)),
            target: steps::target(table, known, "target", only),
        });
    };
    const FORMATS: &[(&str, DumpFormat)] =
        &[("custom", DumpFormat::Custom), ("directory", DumpFormat::Directory), ("plain", DumpFormat::Plain)];
    backup.format = values::one_of(&inner, "format", FORMATS).unwrap_or_default();
    let proofs = &[("read", Prove::Read), ("restore", Prove::Restore)];
    backup.prove = values::one_of(&inner, "prove", proofs).unwrap_or_default();
    backup.jobs = inner.whole("jobs", JOBS).unwrap_or(1);
    if inner.has("jobs") && backup.format != DumpFormat::Directory {
        let message = "`jobs` belongs to format = \"directory\": one file is written by one session";
        inner.refuse("jobs", message, "leave it out, or write format = \"directory\"");
    }
    backup.exclude = excluded(&inner);
    let target = target(table, &inner, known, only);
    let dialects = dialects(known, only, target.as_deref());
    for key in ["format", "jobs", "exclude"] {
        if inner.has(key) && dialects.contains(&Dialect::Sqlite) {
            inner.refuse(
                key,
                format!("`{key}` is PostgreSQL's: a backup of SQLite is a copy of its file"),
                "leave it out",
            );
        }
    }
    inner.finish();
    Some(Read { verb: Verb::Backup(Box::new(backup)), target })
}

pub(super) fn restore(table: &Reader<'_, '_>, known: &Known, owner: &Owner, only: &[String]) -> Option<Read> {
    let (file, inner) = file_of(table, "restore", "a `restore`", RESTORE_HINT, owner)?;
    let (target, check_rows) = match inner {
        None => (steps::target(table, known, "target", only), true),
        Some(inner) => {
            let check_rows = inner.flag("check_rows").unwrap_or(true);
            let target = target(table, &inner, known, only);
            inner.finish();
            (target, check_rows)
        }
    };
    Some(Read { verb: Verb::Restore(Box::new(Restore { file: file.text, check_rows })), target })
}

/// A verb with the target that it names.
pub(super) struct Read {
    pub verb: Verb,
    pub target: Option<String>,
}

/// A way back that is a restore says what it costs.
pub(super) fn costs(table: &Reader<'_, '_>, verb: &Verb, home: &Home<'_>) {
    if matches!(verb, Verb::Restore(_)) && !matches!(home, Home::Phase) && !table.has("loses") {
        table.missing("loses", "loses = \"every write since the backup\"");
    }
}

/// The archive, and the table it stands in where it is no bare text.
fn file_of<'c, 't>(
    table: &Reader<'c, 't>,
    key: &'static str,
    what: &'static str,
    hint: &str,
    owner: &Owner,
) -> Option<(Located, Option<Reader<'c, 't>>)> {
    let node = table.node(key)?;
    let (file, inner) = match node.value {
        DeValue::String(_) => (table.need_text(key, hint), None),
        DeValue::Table(_) => {
            let inner = table.notes.table_of(&node, key, what)?;
            (inner.need_text("file", "file = \"backups/{{ run.id }}.dump\""), Some(inner))
        }
        _ => return table.notes.wrong_type(&node, key, "a text or a table", hint),
    };
    let Some(mut file) = file else {
        // What else is wrong with it is still worth saying.
        if let Some(inner) = inner {
            for key in ["format", "prove", "jobs", "exclude", "target", "check_rows"] {
                inner.node(key);
            }
            inner.finish();
        }
        return None;
    };
    if file.text.contains('\0') {
        table.notes.at(&file, "the name of a file cannot hold a NUL byte", "remove it");
    }
    file.text = template(table.notes, &file, Place::Text, owner);
    Some((file, inner))
}

/// The target, in the verb's own table or beside it.
fn target(table: &Reader<'_, '_>, inner: &Reader<'_, '_>, known: &Known, only: &[String]) -> Option<String> {
    // Known also where it is not there.
    inner.node("target");
    if inner.has("target") && table.has("target") {
        table.refuse("target", "the target is named twice", "keep one of them");
    }
    let place = if inner.has("target") { inner } else { table };
    steps::target(place, known, "target", only)
}

fn excluded(inner: &Reader<'_, '_>) -> Vec<String> {
    let names = inner.texts("exclude").unwrap_or_default();
    for name in names.iter().filter(|name| batch::quoted(&name.text).is_none()) {
        inner.notes.at(name, format!("`{}` is not the name of a table", name.text), "an example: audit.events");
    }
    names.into_iter().map(|name| name.text).collect()
}

/// The kinds of database that the target is, in the environments the step belongs to.
fn dialects(known: &Known, only: &[String], target: Option<&str>) -> Vec<Dialect> {
    let Some(target) = target else { return Vec::new() };
    known.within(only).map(|environment| environment.dialect(target)).collect()
}
