//! The inventory of a database: the one query that takes it, and what is different between two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::runbook::asks::{Inventory, RowCounts};
use crate::runbook::sql::Dialect;

/// An object: kind, name, detail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item(pub String, pub String, pub String);

/// Why a snapshot cannot be taken on this kind of database.
pub fn unfit(wanted: &Inventory, dialect: Dialect) -> Option<&'static str> {
    let counts = wanted.rows == RowCounts::Exact || wanted.data || wanted.sequences || !wanted.schemas.is_empty();
    (dialect == Dialect::Sqlite && counts)
        .then_some("a snapshot of SQLite knows neither rows nor schemas: write rows = \"none\"")
}

/// What is sent: the last of the statements is the query whose rows are the items, in their order.
pub fn queries(wanted: &Inventory, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Sqlite => vec![include_str!("sqlite.sql").trim_end().to_owned()],
        // Rows that a policy hides are no rows that are not there: a role that may not see them is told so.
        Dialect::Postgres => vec!["set local row_security = off".to_owned(), postgres(wanted)],
    }
}

fn postgres(wanted: &Inventory) -> String {
    let literal = |text: &String| format!("'{}'", text.replace('\'', "''"));
    let schemas: Vec<String> = wanted.schemas.iter().map(literal).collect();
    include_str!("postgres.sql")
        .trim_end()
        .replace("{schemas}", &format!("array[{}]", schemas.join(", ")))
        .replace("{rows}", &(wanted.rows == RowCounts::Exact).to_string())
        .replace("{estimated}", &(wanted.rows == RowCounts::Estimated).to_string())
        .replace("{data}", &wanted.data.to_string())
        .replace("{sequences}", &wanted.sequences.to_string())
}

/// True where a snapshot's `ignore` leaves the object out: `rows public.visits`, `* public.cache_*`.
pub fn ignored(item: &Item, patterns: &[String]) -> bool {
    let whole = format!("{} {}", item.0, item.1);
    patterns.iter().any(|pattern| matches(pattern, &whole))
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open = false;
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        open = true;
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

/// One difference between two inventories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: String,
    pub name: String,
    /// None: it is new.
    pub before: Option<String>,
    /// None: it is gone.
    pub after: Option<String>,
}

impl Change {
    /// `+` new, `-` gone, `~` another detail.
    pub fn sign(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "+",
            (_, None) => "-",
            _ => "~",
        }
    }
}

/// What differs. Estimates are not compared: they move by themselves. A kind that only one of both counted (rows, data,
/// positions) is no difference either.
pub fn differences(before: &[Item], after: &[Item]) -> Vec<Change> {
    const COUNTED: &[&str] = &["rows", "data", "position"];
    let has = |items: &[Item], kind: &str| items.iter().any(|item| item.0 == kind);
    let left_out =
        |kind: &str| kind == "rows (estimated)" || (COUNTED.contains(&kind) && (has(before, kind) != has(after, kind)));
    let mut all: BTreeMap<(&str, &str), Change> = BTreeMap::new();
    let sides = before.iter().map(|item| (item, false)).chain(after.iter().map(|item| (item, true)));
    for (Item(kind, name, detail), is_after) in sides.filter(|(item, _)| !left_out(&item.0)) {
        let change = all.entry((kind, name)).or_insert_with(|| Change {
            kind: kind.clone(),
            name: name.clone(),
            before: None,
            after: None,
        });
        let side = if is_after { &mut change.after } else { &mut change.before };
        *side = Some(detail.clone());
    }
    all.into_values().filter(|change| change.before != change.after).collect()
}

/// How many objects of each kind, and rows in all.
pub fn counts(items: &[Item]) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for Item(kind, _, detail) in items {
        match kind.as_str() {
            "data" | "position" => {}
            "rows" | "rows (estimated)" => *counts.entry("rows".to_owned()).or_default() += detail.parse().unwrap_or(0),
            kind => *counts.entry(kind.replace(' ', "_")).or_default() += 1,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, name: &str, detail: &str) -> Item {
        Item(kind.to_owned(), name.to_owned(), detail.to_owned())
    }

    #[test]
    fn differences_are_named() {
        let before = [item("rows", "a", "3"), item("table", "a", ""), item("table", "b", "x")];
        let after = [item("data", "a", "77"), item("rows", "a", "4"), item("table", "b", "y"), item("table", "c", "")];
        let changes = differences(&before, &after);
        let said: Vec<String> = changes.iter().map(|one| format!("{} {} {}", one.sign(), one.kind, one.name)).collect();
        assert_eq!(said, ["~ rows a", "- table a", "~ table b", "+ table c"]);
        assert!(differences(&before, &before).is_empty());
        let estimated = [item("rows (estimated)", "a", "3")];
        assert!(differences(&estimated, &[item("rows (estimated)", "a", "4")]).is_empty());
        // An object that nobody can sum up twice is still looked for.
        assert_eq!(differences(&[item("rows", "a", "1"), item("rows", "b", "1")], &[item("rows", "a", "1")]).len(), 1);
    }

    #[test]
    fn patterns_leave_out() {
        let rows = item("rows", "public.visits", "7");
        for pattern in ["rows public.visits", "* public.visits", "rows *", "*", "rows public.*s", "r*blic*its"] {
            assert!(ignored(&rows, &[pattern.to_owned()]), "{pattern}");
        }
        for pattern in ["rows", "table *", "rows public.visit", "*.visit", ""] {
            assert!(!ignored(&rows, &[pattern.to_owned()]), "{pattern}");
        }
    }

    #[test]
    fn options_stand_in_the_query() {
        let wanted = Inventory { schemas: vec!["o'k".to_owned()], data: true, ..Inventory::default() };
        let text = queries(&wanted, Dialect::Postgres).pop().unwrap();
        assert!(
            text.contains("array['o''k']::text[] as schemas, true::boolean as counted") && !text.contains("{data}")
        );
    }
}
