//! The verbs `snapshot` and `explain`: SQL whose answer is read in its own way.

use toml::de::DeValue;

use super::reader::Reader;
use super::{FormulaKind, Owner, Script as Site, Wants, values};
use crate::runbook::asks::{Asks, Inventory, RowCounts};
use crate::runbook::text::Located;
use crate::runbook::{Script, expr, sql};

pub(super) const SNAPSHOT_FACTS: &[&str] = &["value", "rows", "row", "table", "ms"];
pub(super) const EXPLAIN_FACTS: &[&str] = &["value", "row", "plan", "ms"];
const NAME: &str = "name = \"before\"";

pub(super) fn facts_of(asks: &Asks) -> &'static [&'static str] {
    match asks {
        Asks::Rows => &[],
        Asks::Plan { .. } => EXPLAIN_FACTS,
        Asks::Inventory(_) => SNAPSHOT_FACTS,
    }
}

/// `snapshot = "before"`, or a table.
pub(super) fn snapshot(table: &Reader<'_, '_>) -> Option<Script> {
    let node = table.node("snapshot")?;
    let line = table.notes.line_at(node.span.start);
    let inventory = match node.value {
        DeValue::String(_) => {
            let name = table.need_text("snapshot", "snapshot = \"before\"")?;
            Inventory { name: named(table, &name)?, ..Inventory::default() }
        }
        _ => options(table.notes.table_of(&node, "snapshot", "a `snapshot`")?)?,
    };
    Some(Script { asks: Asks::Inventory(Box::new(inventory)), transaction: true, line, ..Script::default() })
}

fn options(inner: Reader<'_, '_>) -> Option<Inventory> {
    const ROWS: &[(&str, RowCounts)] =
        &[("exact", RowCounts::Exact), ("estimated", RowCounts::Estimated), ("none", RowCounts::None)];
    let name = inner.need_text("name", NAME).and_then(|name| named(&inner, &name));
    let other = inner.text("compare");
    let compare = other.as_ref().and_then(|name| named(&inner, name));
    if let (Some(name), Some(compare), Some(other)) = (&name, &compare, other) {
        inner.notes.compares.borrow_mut().insert((name.clone(), compare.clone()), other);
    }
    let texts = |key| inner.texts(key).unwrap_or_default().into_iter().map(|text| text.text).collect();
    let inventory = Inventory {
        name: name.clone().unwrap_or_default(),
        compare,
        schemas: texts("schemas"),
        rows: values::one_of(&inner, "rows", ROWS).unwrap_or_default(),
        data: inner.flag("data").unwrap_or(false),
        sequences: inner.flag("sequences").unwrap_or(false),
        ignore: texts("ignore"),
    };
    inner.finish();
    name.map(|_| inventory)
}

fn named(table: &Reader<'_, '_>, name: &Located) -> Option<String> {
    if expr::has_template(&name.text) || name.text.trim().is_empty() {
        table.notes.at(name, "the name of a snapshot is a plain text", NAME);
        return None;
    }
    Some(name.text.clone())
}

/// `explain = "select …"`, or a table with `sql` and `analyze`.
pub(super) fn explain(
    table: &Reader<'_, '_>,
    owner: &Owner,
    only: &[String],
    target: Option<String>,
) -> Option<Script> {
    let node = table.node("explain")?;
    let (text, analyze) = match node.value {
        DeValue::String(_) => (table.need_text("explain", "explain = \"select …\"")?, true),
        _ => {
            let inner = table.notes.table_of(&node, "explain", "an `explain`")?;
            let text = inner.need_text("sql", "sql = \"select …\"");
            let analyze = inner.flag("analyze").unwrap_or(true);
            inner.finish();
            (text?, analyze)
        }
    };
    if let Some(at) = sql::begins_with(&text.text, "explain") {
        let hint = "leave out the word explain, and its options: analyze = false only plans";
        table.notes.within(&text, at, "`explain` is the verb: here stands the query that is explained", hint);
        return None;
    }
    let wants = if analyze { Wants::Query } else { Wants::One };
    table.notes.formula(&text, FormulaKind::Sql, owner, None);
    let site = Site { text: text.clone(), transaction: true, target, only: only.to_vec(), wants };
    table.notes.scripts.borrow_mut().push(site);
    let line = table.notes.line(&text);
    Some(Script { text: text.text, asks: Asks::Plan { analyze }, transaction: true, line, ..Script::default() })
}
