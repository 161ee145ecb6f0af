//! What a mask took out of the facts of a step: whoever asks for it in an expression gets no result, whatever way was taken.
//!
//! Filters and tests of the engine swallow what is absent (`default`, `selectattr`, `is defined`), so that it is no use to fail
//! inside of them. A veil notes that it was touched, and the evaluation as a whole fails.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

/// Facts that a mask left something out of say here what.
pub(super) const MASKED: &str = "masked";

thread_local! {
    /// The first words of a veil that the evaluation under way on this thread has touched.
    static TOUCHED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Evaluates, and tells what masked thing it asked for, if it did. An evaluation is of one thread.
pub(super) fn watched<T>(evaluate: impl FnOnce() -> T) -> (T, Option<String>) {
    TOUCHED.take();
    let result = evaluate();
    (result, TOUCHED.take())
}

/// Names with their values, some of which are masked: absent by themselves, but not as if they had never been.
#[derive(Debug)]
struct Veil {
    there: BTreeMap<String, Value>,
    /// What a mask took out, with the words about it.
    masked: BTreeMap<String, String>,
}

impl Veil {
    fn touched(&self, name: Option<&str>) {
        let words = match name {
            Some(name) => self.masked.get(name),
            None => self.masked.values().next(),
        };
        if let Some(words) = words {
            TOUCHED.with_borrow_mut(|touched| {
                touched.get_or_insert_with(|| words.clone());
            });
        }
    }
}

impl Object for Veil {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.touched(Some(name));
        self.there.get(name).cloned()
    }

    /// Used as a whole: compared, ordered, written, gone through.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.touched(None);
        Enumerator::Values(self.there.keys().map(|name| Value::from(name.as_str())).collect())
    }

    /// How many columns there are is not masked.
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.there.len() + self.masked.len())
    }
}

/// The facts of a step behind what a mask took out of them. `masked`: as the facts say it.
pub(super) fn over(step: &str, mut facts: BTreeMap<String, Value>, masked: &Value) -> Value {
    let columns = masked.get_attr("columns").ok().filter(|columns| !columns.is_undefined());
    let columns: BTreeMap<String, String> = columns
        .and_then(|columns| columns.try_iter().ok())
        .into_iter()
        .flatten()
        .filter_map(|name| {
            name.as_str().map(|name| (name.to_owned(), format!("column {name} of step {step} is masked")))
        })
        .collect();
    if let Some(row) = facts.get_mut("row") {
        *row = veiled(row, &columns);
    }
    if let Some(table) = facts.get_mut("table")
        && let Ok(rows) = table.try_iter()
    {
        *table = rows.map(|row| veiled(&row, &columns)).collect();
    }
    if masked.get_attr("value").is_ok_and(|value| value.is_true()) {
        let words = format!("the value of step {step} is masked");
        return Value::from_object(Veil { there: facts, masked: [("value".to_owned(), words)].into() });
    }
    Value::from_pairs(facts)
}

fn veiled(row: &Value, columns: &BTreeMap<String, String>) -> Value {
    let Ok(names) = row.try_iter() else { return row.clone() };
    let there: BTreeMap<String, Value> =
        names.filter_map(|name| Some((name.as_str()?.to_owned(), row.get_item(&name).ok()?))).collect();
    Value::from_object(Veil { there, masked: columns.clone() })
}
