//! The verb `migrations`: a folder of another tool's files, and the way back through them.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::reader::{Node, Reader};
use super::steps::Known;
use super::{Notes, values};
use crate::runbook::batch;
use crate::runbook::migrations::{self, Flaw, Migrations, Part, Tool, Way};
use crate::runbook::sql::{Dialect, Finding};
use crate::runbook::text::Located;
use crate::runbook::{Step, Undo, Verb};

/// What the undo of a step `migrations` is written as.
const DOWN: &str = "down";
const HINT: &str = "write migrations = \"migrations\", or { folder = \"migrations\", tool = \"sqlx\" }";

/// `step`: the step's own table. In an undo the word stands for the files of the step: [`completed`] brings them.
pub(super) fn migrations(
    step: &Reader<'_, '_>,
    known: &Known,
    only: &[String],
    target: Option<&String>,
    is_undo: bool,
) -> Option<Migrations> {
    let node = step.node("migrations")?;
    if is_undo {
        return down(step, &node);
    }
    let dialects = known.dialects(only, target);
    match node.value {
        DeValue::String(_) => {
            let folder = step.need_text("migrations", "migrations = \"migrations\"")?;
            Asked { folder, tool: None, to: None, table: None, expect_pending: None }.read(step.notes, &dialects)
        }
        DeValue::Table(_) => {
            let inner = step.notes.table_of(&node, "migrations", "a `migrations`")?;
            let asked = asked(&inner);
            inner.finish();
            asked?.read(step.notes, &dialects)
        }
        _ => step.notes.wrong_type(&node, "migrations", "a folder or a table", HINT),
    }
}

fn down(step: &Reader<'_, '_>, node: &Node<'_>) -> Option<Migrations> {
    let is_down = matches!(node.value, DeValue::String(text) if text.as_ref() == DOWN);
    if !is_down {
        let message = "an undo takes back the files of its own step, by the files that lead down";
        step.notes.say(node.span.clone(), message, "write undo = { migrations = \"down\" }");
        return None;
    }
    let (folder, tool, way) = (String::new(), Tool::Plain, Way::Down);
    Some(Migrations { folder, tool, to: None, table: None, expect_pending: None, way, files: Vec::new() })
}

/// What the runbook says of a folder.
struct Asked {
    folder: Located,
    tool: Option<Tool>,
    to: Option<Located>,
    table: Option<Located>,
    expect_pending: Option<u32>,
}

fn asked(table: &Reader<'_, '_>) -> Option<Asked> {
    let folder = table.need_text("folder", "folder = \"migrations\"");
    let tool = values::one_of(table, "tool", Tool::ALL);
    let to = table.need_or_none("to");
    let name = table.need_or_none("table");
    let expect_pending = table.whole("expect_pending", 0..=u32::MAX);
    // What was wrong with it was said.
    let wrong = tool.is_none() && table.has("tool");
    folder.filter(|_| !wrong).map(|folder| Asked { folder, tool, to, table: name, expect_pending })
}

impl Asked {
    fn read(self, notes: &Notes<'_>, dialects: &BTreeSet<Dialect>) -> Option<Migrations> {
        let (folder, files) = notes.folder(&self.folder)?;
        let tool = match self.tool.map_or_else(|| migrations::guess(&files), Ok) {
            Ok(tool) => tool,
            Err(flaw) => return complain(notes, &self.folder, &[flaw]),
        };
        if !tool.knows_sqlite() && dialects.iter().all(|dialect| *dialect == Dialect::Sqlite) {
            let message = format!("files of {} are applied to PostgreSQL only", tool.word());
            notes.at(&self.folder, message, "use sqlx, dbmate, golang-migrate or plain for SQLite");
            return None;
        }
        let all = match migrations::read(tool, &files) {
            Ok(all) => all,
            Err(flaws) => return complain(notes, &self.folder, &flaws),
        };
        let table = match &self.table {
            Some(text) => Some(table_name(notes, text, tool)?),
            None => None,
        };
        let to = match &self.to {
            Some(text) => Some(last(notes, text, tool, &all)?),
            None => None,
        };
        let parts = all.iter().flat_map(|one| [Some(&one.up), one.down.as_ref(), one.verify.as_ref()]).flatten();
        parts.for_each(|part| judge(notes, part, tool, dialects));
        Some(Migrations { folder, tool, to, table, expect_pending: self.expect_pending, way: Way::Up, files: all })
    }
}

fn complain<T>(notes: &Notes<'_>, folder: &Located, flaws: &[Flaw]) -> Option<T> {
    for flaw in flaws {
        let file = flaw.path.as_ref().and_then(|path| notes.known_file(path));
        notes.within(file.as_ref().unwrap_or(folder), flaw.at.clone(), flaw.message.clone(), flaw.hint.clone());
    }
    None
}

fn table_name(notes: &Notes<'_>, text: &Located, tool: Tool) -> Option<String> {
    if tool == Tool::Prisma {
        notes.at(text, "Prisma's table is always _prisma_migrations", "leave `table` out");
        return None;
    }
    let name = notes.resolve(text)?;
    if tool == Tool::Sqitch && !is_registry(&name) {
        notes.at(
            text,
            format!("`{name}` is not a registry of sqitch"),
            "write its schema and `changes`: table = \"sqitch.changes\"",
        );
        return None;
    }
    let fits = batch::quoted(&name).is_some() && batch::parts(&name).is_some_and(|parts| parts.len() <= 2);
    if !fits {
        notes.at(text, format!("`{name}` is not the name of a table"), "as in SQL: table = \"app.schema_versions\"");
    }
    fits.then(|| name.trim().to_owned())
}

/// sqitch's registry is a schema of several tables, named here by the one that says what is applied.
fn is_registry(name: &str) -> bool {
    matches!(batch::parts(name).as_deref(), Some([_, table]) if table == "changes")
}

/// The version that `to` names, as its file has it.
fn last(notes: &Notes<'_>, text: &Located, tool: Tool, all: &[migrations::Migration]) -> Option<String> {
    let wanted = notes.resolve(text)?;
    let key = migrations::order_key(tool, wanted.trim());
    let is_meant = |one: &&migrations::Migration| match &one.planned {
        Some(planned) => planned.tags.iter().map(|tag| &tag.name).chain([&one.name]).any(|name| *name == wanted.trim()),
        None => !one.repeatable && migrations::order_key(tool, &one.version) == key,
    };
    let found = all.iter().find(is_meant);
    if found.is_none() {
        let last = all.iter().rev().find(|one| !one.repeatable);
        let name = |last: &migrations::Migration| {
            if last.planned.is_some() { last.name.clone() } else { last.version.clone() }
        };
        let hint = last.map_or_else(String::new, |last| format!("the last one is {}", name(last)));
        notes.at(text, format!("there is no file of version `{wanted}`"), hint);
    }
    found.map(|one| one.version.clone())
}

/// Notes what is wrong with the SQL of a file on every kind of server that it may run on.
fn judge(notes: &Notes<'_>, part: &Part, tool: Tool, dialects: &BTreeSet<Dialect>) {
    let mut all = dialects.iter().map(|dialect| part.judge(*dialect));
    let first = all.next().unwrap_or_default();
    let both = all.fold(first, |left, right| {
        left.into_iter().filter(|one| right.iter().any(|other| other.message == one.message)).collect()
    });
    let Some(file) = notes.known_file(&part.path) else { return };
    for Finding { at, message, hint } in both {
        let hint = match (part.transaction, message.contains("transaction")) {
            (true, true) => outside(tool).to_owned(),
            (false, true) => "leave it out; or let the whole file be one transaction".to_owned(),
            _ => hint,
        };
        notes.within(&file, at, message, hint);
    }
}

/// How a file of the tool says that it runs outside of a transaction.
fn outside(tool: Tool) -> &'static str {
    match tool {
        Tool::Sqlx | Tool::Plain => "leave it out, or write `-- no-transaction` as the file's first line",
        Tool::Dbmate => "leave it out, or write `-- migrate:up transaction:false`",
        Tool::Flyway => "give it a file of its own, or write executeInTransaction=false into FILE.sql.conf",
        Tool::Prisma | Tool::GolangMigrate | Tool::Sqitch => "leave it out, or give it a file of its own",
    }
}

/// Brings together a step and its undo: what leads down belongs to the files that led up.
pub(super) fn completed(notes: &Notes<'_>, at: std::ops::Range<usize>, mut step: Step) -> Step {
    let Undo::By(undo) = &mut step.undo else { return step };
    match (&step.verb, &undo.verb) {
        (Verb::Migrations(up), Verb::Migrations(_)) => {
            let without = up.files.iter().find(|one| one.down.is_none() && !one.repeatable);
            if let Some(without) = without.filter(|_| up.files.iter().all(|one| one.down.is_none())) {
                let message = format!("no file of {} leads down ({} does not)", up.folder, without.script);
                notes.say(at, message, "write undo = { file = \"down.sql\", unrecord = true }");
            }
            undo.target.clone_from(&step.target);
            undo.verb = Verb::Migrations(Box::new(up.back()));
        }
        (_, Verb::Migrations(_)) => {
            let message =
                format!("`migrations = \"down\"` undoes `migrations`, and this step is a `{}`", step.verb.word());
            notes.say(at, message, "write { sql = \"…\" } or { file = \"…\" }");
        }
        (Verb::Migrations(_), Verb::Sql(script)) if undo.unrecord => {
            let other = undo.target != step.target;
            let what = if other { "another target" } else { "no transaction" };
            if other || !script.transaction {
                let message = format!("`unrecord` cannot be kept: this undo has {what}");
                notes.say(at, message, "let it be one transaction on the step's own target");
            }
        }
        _ if undo.unrecord => {
            let message = "`unrecord` forgets what `migrations` recorded, and this step is none";
            notes.say(at, message, "leave it out");
        }
        _ => {}
    }
    step
}
