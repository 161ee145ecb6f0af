//! Reading the TOML tree: every table says which keys it knows, and everything wrong is noted instead of stopping.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::Notes;
use super::values;
use crate::runbook::suggest;
use crate::runbook::text::Located;

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'t> {
    pub value: &'t DeValue<'t>,
    pub span: Range<usize>,
}

/// One table being read. [`Reader::finish`] reports the keys that nobody asked for.
pub(super) struct Reader<'c, 't> {
    pub notes: &'c Notes<'c>,
    table: &'t DeTable<'t>,
    /// Its header or braces.
    pub span: Range<usize>,
    /// What it is, for messages: "a step".
    pub what: &'static str,
    known: RefCell<Vec<&'static str>>,
    /// Keys that were reported already.
    refused: RefCell<Vec<&'static str>>,
}

impl<'c, 't> Reader<'c, 't> {
    pub fn new(notes: &'c Notes<'c>, table: &'t DeTable<'t>, span: Range<usize>, what: &'static str) -> Self {
        Self { notes, table, span, what, known: RefCell::default(), refused: RefCell::default() }
    }

    /// The value under `key`, which is from now on a known key.
    pub fn node(&self, key: &'static str) -> Option<Node<'t>> {
        #[cfg(test)]
        super::record::key(self.what, key);
        self.known.borrow_mut().push(key);
        self.table.get(key).map(|value| Node { value: value.get_ref(), span: value.span() })
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the key itself stands.
    pub fn key_span(&self, key: &str) -> Range<usize> {
        let found = self.table.keys().find(|known| known.get_ref() == key);
        found.map_or_else(|| self.span.clone(), toml::Spanned::span)
    }

    /// Every key with its value, in the order of the file: for tables whose keys are names.
    pub fn entries(&self) -> Vec<(String, Range<usize>, Node<'t>)> {
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let node = Node { value: value.get_ref(), span: value.span() };
                (key.get_ref().to_string(), key.span(), node)
            })
            .collect();
        all.sort_by_key(|(_, span, _)| span.start);
        all
    }

    pub fn text(&self, key: &'static str) -> Option<Located> {
        let node = self.node(key)?;
        self.notes.text_of(&node, key)
    }

    /// A text that must be there. `example`: how it could look, as the hint.
    pub fn need_text(&self, key: &'static str, example: &str) -> Option<Located> {
        let text = self.text(key);
        if text.is_none() && !self.has(key) {
            self.missing(key, example);
        }
        text.filter(|text| self.filled(key, text))
    }

    /// A text that may be absent, but not empty.
    pub fn need_or_none(&self, key: &'static str) -> Option<Located> {
        self.text(key).filter(|text| self.filled(key, text))
    }

    fn filled(&self, key: &str, text: &Located) -> bool {
        let empty = text.text.trim().is_empty();
        if empty {
            let message = format!("`{key}` is empty");
            self.notes.at(text, message, "write something, or leave the line out");
        }
        !empty
    }

    pub fn missing(&self, key: &str, example: &str) {
        let message = format!("{} needs `{key}`", self.what);
        self.notes.say(self.span.clone(), message, format!("write {example}"));
    }

    /// A text for people. Its templates may use variables, and are resolved here.
    pub fn label(&self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        self.filled(key, &text).then(|| self.notes.resolve(&text))?
    }

    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.notes.wrong_type(&node, key, "true or false", "write it without quotes"),
        }
    }

    /// A whole number of that range.
    pub fn whole(&self, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let node = self.node(key)?;
        let DeValue::Integer(value) = node.value else {
            return self.notes.wrong_type(&node, key, "a whole number", "write it without quotes");
        };
        let value = u32::from_str_radix(value.as_str(), value.radix()).ok();
        let fits = value.filter(|value| range.contains(value));
        if fits.is_none() {
            let hint = format!("write a number from {} to {}", range.start(), range.end());
            self.notes.say(node.span, format!("`{key}` is out of range"), hint);
        }
        fits
    }

    /// A number of that range, with a point or without.
    pub fn number(&self, key: &'static str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let node = self.node(key)?;
        let value = match node.value {
            DeValue::Integer(value) => {
                i64::from_str_radix(value.as_str(), value.radix()).ok().map(|value| value as f64)
            }
            DeValue::Float(value) => value.as_str().parse().ok(),
            _ => return self.notes.wrong_type(&node, key, "a number", "write it without quotes"),
        };
        let fits = value.filter(|value: &f64| range.contains(value));
        if fits.is_none() {
            let hint = match range.end().is_finite() {
                true => format!("write a number from {} to {}", range.start(), range.end()),
                false => format!("write a number of at least {}", range.start()),
            };
            self.notes.say(node.span, format!("`{key}` is out of range"), hint);
        }
        fits
    }

    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        values::duration(self.notes, &node, key)
    }

    /// A list of texts, not empty.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Located>> {
        let node = self.node(key)?;
        let DeValue::Array(items) = node.value else {
            let hint = format!("write {key} = [\"…\", \"…\"]");
            return self.notes.wrong_type(&node, key, "a list of texts", &hint);
        };
        if items.is_empty() {
            let message = format!("`{key}` is an empty list");
            self.notes.say(node.span, message, "name at least one, or leave the line out");
            return None;
        }
        let texts: Vec<_> = items
            .iter()
            .filter_map(|item| {
                let node = Node { value: item.get_ref(), span: item.span() };
                self.notes.text_of(&node, key)
            })
            .collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// A table under `key`.
    pub fn table(&self, key: &'static str, what: &'static str) -> Option<Reader<'c, 't>> {
        let node = self.node(key)?;
        self.notes.table_of(&node, key, what)
    }

    /// The tables of a list (`[[key]]`).
    pub fn tables(&self, key: &'static str, what: &'static str) -> Vec<Reader<'c, 't>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let DeValue::Array(items) = node.value else {
            let hint = format!("write [[{key}]]");
            self.notes.wrong_type::<()>(&node, key, "a list of tables", &hint);
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                let node = Node { value: item.get_ref(), span: item.span() };
                self.notes.table_of(&node, key, what)
            })
            .collect()
    }

    /// A key that stands where it has no meaning.
    pub fn refuse(&self, key: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.refused.borrow_mut().push(key);
        self.notes.say(self.key_span(key), message, hint);
    }

    /// Reports the keys that are not known.
    pub fn finish(self) {
        let known = self.known.borrow();
        let refused = self.refused.borrow();
        let unknown = self.table.keys().filter(|key| {
            let key = key.get_ref().as_ref();
            !known.contains(&key) && !refused.contains(&key)
        });
        let mut names = known.clone();
        names.sort_unstable();
        names.dedup();
        for key in unknown {
            let message = format!("`{}` is not a key of {}", key.get_ref(), self.what);
            self.notes.say(key.span(), message, suggest::hint(key.get_ref(), &names, "remove it"));
        }
    }
}

impl<'n> Notes<'n> {
    /// Notes a value of the wrong type; always None.
    pub(super) fn wrong_type<T>(&self, node: &Node<'_>, key: &str, wanted: &str, hint: &str) -> Option<T> {
        let message = format!("`{key}` must be {wanted}, not {}", kind(node.value));
        self.say(node.span.clone(), message, hint);
        None
    }

    pub(super) fn text_of(&self, node: &Node<'_>, key: &str) -> Option<Located> {
        match node.value {
            DeValue::String(text) => Some(Located { text: text.to_string(), file: None, span: node.span.clone() }),
            _ => self.wrong_type(node, key, "a text", "write it in quotes"),
        }
    }

    pub(super) fn table_of<'t>(&'n self, node: &Node<'t>, key: &str, what: &'static str) -> Option<Reader<'n, 't>> {
        match node.value {
            DeValue::Table(table) => Some(Reader::new(self, table, node.span.clone(), what)),
            DeValue::Array(_) => {
                self.wrong_type(node, key, "one table", &format!("write [{key}] with single brackets"))
            }
            _ => self.wrong_type(node, key, "a table", &format!("write {key} = {{ … }}")),
        }
    }

    /// Notes every id that stands twice.
    pub(super) fn unique<'i>(&self, what: &str, ids: impl IntoIterator<Item = (&'i str, Range<usize>)>) {
        let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
        for (id, span) in ids {
            if seen.insert(id, ()).is_some() {
                let message = format!("the {what} `{id}` is there twice");
                self.say(span, message, "give one of them another id");
            }
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
