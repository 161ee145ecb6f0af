//! The verb `batch`: a table worked through by ranges of its key.

use std::time::Duration;

use toml::de::DeValue;

use super::health::health;
use super::reader::{Node, Reader};
use super::steps::{self, Known};
use super::{FormulaKind, Owner, Script as Site, Wants};
use crate::runbook::batch::{self, BIGGEST, Batch, LARGEST, SIZE, SMALLEST, Sizing};
use crate::runbook::text::Located;
use crate::runbook::{Environment, Expr, Health, sql};

const SIZE_HINT: &str = "write size = 1000, or size = { start = 1000, min = 100, max = 50000, aim = \"200ms\" }";

/// Where its texts stand: what the checks need of it.
struct Texts<'a> {
    owner: &'a Owner,
    only: &'a [String],
    target: Option<&'a String>,
}

/// `step`: the step's own table, which holds `throttle`.
pub(super) fn batch(
    step: &Reader<'_, '_>,
    known: &Known,
    owner: &Owner,
    only: &[String],
    target: Option<&String>,
) -> Option<Batch> {
    let site = Texts { owner, only, target };
    let throttle = throttle(step, owner);
    let table = step.table("batch", "a `batch`")?;
    let name = name(&table, "table", "table = \"orders\"", 3);
    let key = name_of_key(&table);
    let set = work(&table, &site, key.as_deref(), &known.environments);
    let filter = fragment(&table, "where", &site).map(|text| text.text);
    let size = size(&table);
    let pause = table.duration("pause").unwrap_or(Duration::ZERO);
    let mut health = health(&table);
    let files = only_files(&site, &known.environments);
    if files {
        health = Some(Health::OFF);
    }
    if files && table.has("health") {
        table.refuse(
            "health",
            "a file of SQLite has no such signals",
            "leave `health` out; `throttle` may look at probes",
        );
    }
    let complete = table.need_or_none("complete");
    if let Some(text) = &complete {
        sql_text(&table, text, &site, Wants::One);
    }
    let repeatable = table.flag("repeatable").unwrap_or(false);
    // What is deleted is left out by itself.
    if repeatable && filter.is_none() && table.has("set") {
        let message = "`repeatable` means that `where` leaves out what is done, and there is no `where`";
        table.refuse("repeatable", message, "say which rows are still to be done, or leave `repeatable` out");
    }
    if table.has("throttle") {
        table.refuse("throttle", "`throttle` stands beside `batch`, not in it", "move it out, into the step");
    }
    let line = table.notes.line_at(table.span.start);
    table.finish();
    Some(Batch {
        table: name?,
        key: key?,
        set: set?,
        filter,
        size: size?,
        pause,
        throttle,
        health: health?,
        complete: complete.map(|text| text.text),
        repeatable,
        line,
    })
}

fn throttle(step: &Reader<'_, '_>, owner: &Owner) -> Option<Expr> {
    steps::expression(step, "throttle", owner, None)
}

/// The name of a table or column, of at most so many parts.
fn name(table: &Reader<'_, '_>, key: &'static str, example: &str, most: usize) -> Option<String> {
    if !table.has(key) {
        table.missing(key, example);
    }
    let text = table.need_or_none(key)?;
    let name = table.notes.resolve(&text)?;
    let fits = batch::quoted(&name).is_some() && batch::parts(&name).is_some_and(|parts| parts.len() <= most);
    if !fits {
        let what = if most == 1 { "a column" } else { "a table" };
        let message = format!("`{name}` is not the name of {what}");
        table.notes.at(&text, message, format!("as in SQL, for example {example}"));
    }
    fits.then(|| name.trim().to_owned())
}

fn name_of_key(table: &Reader<'_, '_>) -> Option<String> {
    const HINT: &str = "write the one column of the table's primary key: key = \"id\"";
    match table.node("key") {
        Some(node) if matches!(node.value, DeValue::Array(_)) => {
            table.notes.say(node.span, "a batch walks along one column, and this names a list", HINT);
            None
        }
        _ => name(table, "key", "key = \"id\"", 1),
    }
}

/// What is done to the rows; inside: None deletes them. Outside: a problem that was noted.
fn work(
    table: &Reader<'_, '_>,
    site: &Texts<'_>,
    key: Option<&str>,
    environments: &[Environment],
) -> Option<Option<String>> {
    let delete = table.flag("delete");
    let set = fragment(table, "set", site);
    match (set, delete) {
        (Some(_), Some(true)) => {
            table.refuse("delete", "a batch changes rows or deletes them, not both", "make two steps of it");
            None
        }
        (None, Some(true)) if !table.has("set") => Some(None),
        (Some(set), _) => {
            let column = key.and_then(batch::parts).and_then(|mut parts| parts.pop());
            let dialect = if only_files(site, environments) { sql::Dialect::Sqlite } else { sql::Dialect::Postgres };
            if column.is_some_and(|column| sql::assigns(&sql::mask(&set.text), &column, dialect)) {
                let message = "this changes the key that the batches walk along: rows would be met twice, or never";
                table.notes.at(&set, message, "do it in an `sql` step, in one transaction");
            }
            Some(Some(set.text))
        }
        (None, _) => {
            if !table.has("set") {
                table.missing("set", "set = \"column = value\", or delete = true");
            }
            None
        }
    }
}

/// True where its target is a file of SQLite in every environment.
fn only_files(site: &Texts<'_>, environments: &[Environment]) -> bool {
    let is_file = |one: &Environment| site.target.is_some_and(|target| one.dialect(target) == sql::Dialect::Sqlite);
    environments.iter().all(is_file)
}

fn fragment(table: &Reader<'_, '_>, key: &'static str, site: &Texts<'_>) -> Option<Located> {
    let text = table.need_or_none(key)?;
    sql_text(table, &text, site, Wants::Fragment);
    Some(text)
}

fn sql_text(table: &Reader<'_, '_>, text: &Located, site: &Texts<'_>, wants: Wants) {
    table.notes.formula(text, FormulaKind::Sql, site.owner, None);
    table.notes.scripts.borrow_mut().push(Site {
        text: text.clone(),
        transaction: true,
        target: site.target.cloned(),
        only: site.only.to_vec(),
        wants,
    });
}

fn size(table: &Reader<'_, '_>) -> Option<Sizing> {
    let Some(node) = table.node("size") else { return Some(Sizing::fixed(SIZE)) };
    match node.value {
        DeValue::Table(_) => {
            let inner = table.notes.table_of(&node, "size", "a size")?;
            let sizing = tuned(&inner, &node);
            inner.finish();
            sizing
        }
        DeValue::String(_) => {
            let text = table.notes.text_of(&node, "size")?;
            let words = table.notes.resolve(&text)?;
            let size = words.trim().parse().ok().filter(|size| (1..=LARGEST).contains(size));
            if size.is_none() {
                table.notes.at(&text, format!("`{words}` is not a number of keys"), SIZE_HINT);
            }
            size.map(Sizing::fixed)
        }
        DeValue::Integer(_) => keys(table, "size").map(Sizing::fixed),
        _ => table.notes.wrong_type(&node, "size", "a whole number or a table", SIZE_HINT),
    }
}

fn keys(table: &Reader<'_, '_>, key: &'static str) -> Option<u64> {
    // As a bound of the language it fits.
    table.whole(key, 1..=u32::try_from(LARGEST).unwrap_or(u32::MAX)).map(u64::from)
}

fn tuned(table: &Reader<'_, '_>, node: &Node<'_>) -> Option<Sizing> {
    if !table.has("aim") {
        table.missing("aim", "aim = \"200ms\": how long a batch should take");
    }
    let aim = super::head::positive(table, "aim");
    // Known also where it is absent.
    let bound = |key, other| table.node(key).map_or(Some(other), |_| keys(table, key));
    let start = bound("start", SIZE)?;
    let (min, max) = (bound("min", SMALLEST.min(start))?, bound("max", BIGGEST.max(start))?);
    if !(min..=max).contains(&start) {
        let message = format!("`start` is {start}, and not between `min` ({min}) and `max` ({max})");
        table.notes.say(node.span.clone(), message, SIZE_HINT);
        return None;
    }
    let aim_ms = u64::try_from(aim?.as_millis()).ok().map(|ms| ms.max(1));
    Some(Sizing { start, min, max, aim_ms })
}
