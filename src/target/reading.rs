//! What is read off an answer that is more than rows: the plan of a query, the inventory of a database.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::SqlJob;
use super::cell::Cell;
use crate::run::inventory::{self, Change, Item};
use crate::run::{Facts, Fault, limits};
use crate::runbook::Asks;

/// Kinds that an expression may name although there are none.
const KINDS: &[&str] = &[
    "schema",
    "table",
    "column",
    "constraint",
    "index",
    "policy",
    "trigger",
    "function",
    "view",
    "sequence",
    "enum",
    "extension",
    "grant",
    "rows",
];

/// Differences that a verdict names.
const TOLD: usize = 12;

/// How one attempt's answer is read, and what was read so far.
pub(super) struct Reading<'a> {
    asks: &'a Asks,
    /// The snapshot to compare with.
    before: Option<&'a [Item]>,
    /// Takes secrets out, as the journal does: what is compared went through the same.
    hide: Option<&'a (dyn Fn(&str) -> String + Sync)>,
    lines: Vec<String>,
    items: Vec<Item>,
    bytes: usize,
}

/// A result to be shown in place of the rows that came.
pub(super) struct Shown {
    pub names: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl<'a> Reading<'a> {
    pub fn new(job: &SqlJob<'a>) -> Self {
        let SqlJob { asks, before, hide, .. } = *job;
        Self { asks, before, hide, lines: Vec::new(), items: Vec::new(), bytes: 0 }
    }

    /// True where the answer is what it is.
    pub fn is_plain(&self) -> bool {
        self.asks.is_rows()
    }

    /// True where the rows are no result of the step, but what it is made of.
    pub fn keeps_rows(&self) -> bool {
        matches!(self.asks, Asks::Inventory(_))
    }

    pub fn is_full(&self) -> bool {
        self.items.len() >= limits::SNAPSHOT_ITEMS || self.bytes >= limits::SNAPSHOT_BYTES
    }

    /// One row of the answer.
    pub fn row<'r>(&mut self, width: usize, cell: &impl Fn(usize) -> Cell<'r>) {
        let text =
            |i: usize| if i < width { cell(i).cut(limits::FACT_BYTES).unwrap_or_default() } else { String::new() };
        match self.asks {
            Asks::Rows => {}
            // PostgreSQL has one column, SQLite the plan's words in the last of four.
            Asks::Plan { .. } if self.lines.len() < limits::LINES_SHOWN => {
                self.lines.push(text(width.saturating_sub(1)))
            }
            Asks::Plan { .. } => {}
            Asks::Inventory(wanted) => {
                let hidden = |text: String| self.hide.map_or_else(|| text.clone(), |hide| hide(&text));
                let item = Item(hidden(text(0)), hidden(text(1)), hidden(text(2)));
                if !self.is_full() && !inventory::ignored(&item, &wanted.ignore) {
                    self.bytes += item.0.len() + item.1.len() + item.2.len();
                    self.items.push(item);
                }
            }
        }
    }

    /// Why it cannot be judged; none where it can.
    pub fn unfit(&self) -> Option<Fault> {
        let Asks::Inventory(wanted) = self.asks else { return None };
        if self.is_full() {
            return Some(Fault {
                hint: Some(
                    "name the schemas that matter, schemas = [\"public\"], or leave objects out with ignore".into(),
                ),
                ..Fault::new(format!("there is more to take in than a snapshot holds ({} objects)", self.items.len()))
            });
        }
        let missing = wanted.schemas.iter().find(|schema| {
            let named = |item: &Item| item.0 == "schema" && item.1.trim_matches('"') == schema.as_str();
            !self.items.iter().any(named)
        });
        if let Some(schema) = missing {
            return Some(Fault::new(format!("there is no schema `{schema}`, so there is nothing to take in")));
        }
        let other = wanted.compare.as_ref().filter(|_| self.before.is_none())?;
        Some(Fault {
            hint: Some("run the step that takes it, or skip this one with a reason".to_owned()),
            ..Fault::new(format!("there is no snapshot `{other}` to compare with: it was not taken in this run"))
        })
    }

    /// The whole of what was taken in, for the journal.
    pub fn taken(&self) -> Option<(String, Vec<Item>)> {
        let Asks::Inventory(wanted) = self.asks else { return None };
        Some((wanted.name.clone(), self.items.clone()))
    }

    fn changes(&self) -> Option<Vec<Change>> {
        self.before.map(|before| inventory::differences(before, &self.items))
    }

    /// The first differences in one line; none where nothing is compared, or nothing differs.
    pub fn told(&self) -> Option<String> {
        let changes = self.changes().filter(|changes| !changes.is_empty())?;
        let first: Vec<String> =
            changes.iter().take(TOLD).map(|one| format!("{} {} {}", one.sign(), one.kind, one.name)).collect();
        let more = changes.len().saturating_sub(TOLD);
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        Some(format!("{}{rest}", first.join(", ")))
    }

    /// What a person is shown of it.
    pub fn shown(&self) -> Shown {
        let text = |words: &str| Some(words.to_owned());
        match self.changes() {
            Some(changes) => Shown {
                names: ["", "kind", "object", "before", "after"].map(ToOwned::to_owned).to_vec(),
                rows: changes
                    .into_iter()
                    .map(|one| {
                        let (before, after) = (one.before.clone(), one.after.clone());
                        let detail = |detail: Option<String>| Some(detail.unwrap_or_default());
                        vec![text(one.sign()), Some(one.kind), Some(one.name), detail(before), detail(after)]
                    })
                    .collect(),
            },
            None => Shown {
                names: ["kind", "count"].map(ToOwned::to_owned).to_vec(),
                rows: inventory::counts(&self.items)
                    .into_iter()
                    .map(|(kind, n)| vec![Some(kind), Some(n.to_string())])
                    .collect(),
            },
        }
    }

    /// The facts of a plain script, or what was read in their place.
    pub fn facts(&self, plain: Facts) -> Facts {
        match self.asks {
            Asks::Rows => plain,
            Asks::Plan { .. } => self.plan(plain),
            Asks::Inventory(_) => self.inventory(plain),
        }
    }

    fn plan(&self, plain: Facts) -> Facts {
        let time = |label: &str| {
            let line = self.lines.iter().find_map(|line| line.strip_prefix(label))?;
            line.trim().trim_end_matches(" ms").parse::<f64>().ok()
        };
        let cost = self.lines.first().and_then(|line| {
            let (_, after) = line.split_once("..")?;
            after.split_whitespace().next()?.parse::<f64>().ok()
        });
        let execution = time("Execution Time:");
        let mut row = BTreeMap::new();
        for (name, value) in [("execution_ms", execution), ("planning_ms", time("Planning Time:")), ("cost", cost)] {
            row.insert(name.to_owned(), value.map_or(Value::Null, |value| json!(value)));
        }
        Facts {
            value: Some(execution.or(cost).map_or(Value::Null, |value| json!(value))),
            row: Some(row),
            // The server's own time, rounded up: "under 100 ms" is not true of 100.2.
            ms: execution.map_or(plain.ms, |ms| ms.ceil() as u64),
            plan: self.lines.clone(),
            notices: plain.notices,
            ..Facts::default()
        }
    }

    fn inventory(&self, plain: Facts) -> Facts {
        let counts = inventory::counts(&self.items);
        let mut row: BTreeMap<String, Value> = KINDS.iter().map(|kind| ((*kind).to_owned(), json!(0))).collect();
        row.extend(counts.into_iter().map(|(kind, n)| (kind, json!(n))));
        let changes = self.changes();
        let number = changes.as_ref().map_or(self.items.len(), Vec::len);
        let table = changes.unwrap_or_default().into_iter().take(limits::TABLE_ROWS).map(|one| {
            let detail = |detail: Option<String>| detail.map_or(Value::Null, Value::String);
            BTreeMap::from([
                ("change".to_owned(), json!(one.sign())),
                ("kind".to_owned(), json!(one.kind)),
                ("name".to_owned(), json!(one.name)),
                ("before".to_owned(), detail(one.before)),
                ("after".to_owned(), detail(one.after)),
            ])
        });
        Facts {
            value: Some(json!(number)),
            rows: Some(number as u64),
            table: table.collect(),
            row: Some(row),
            affected: None,
            ..plain
        }
    }
}
