//! Secrets taken out of everything before it is journaled: by value, whatever sentence they stand in.

use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::run::Event;

/// Shorter values are not replaced: they would mutilate ordinary words.
const SHORTEST: usize = 4;

/// The values that must not be seen, and the names shown instead. Grows as secrets are resolved.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Vec<(String, String)>>>,
}

impl Redactor {
    /// Hides `value` (plain, percent-encoded, and as JSON writes it) behind `‹secret:NAME›` from now on.
    pub fn learn(&self, name: &str, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let shown = format!("‹secret:{name}›");
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        if let Ok(mut known) = self.known.write() {
            for form in [value.to_owned(), encoded.replace('+', "%20"), encoded] {
                if !known.iter().any(|(value, _)| *value == form) {
                    known.push((form, shown.clone()));
                }
            }
            known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        }
    }

    /// `text` without secrets.
    pub fn text(&self, text: &str) -> String {
        let Ok(known) = self.known.read() else { return String::new() };
        known.iter().fold(text.to_owned(), |text, (value, shown)| {
            if text.contains(value.as_str()) { text.replace(value.as_str(), shown) } else { text }
        })
    }

    /// The event without secrets in any of its texts.
    pub fn event(&self, event: Event) -> Event {
        if self.known.read().is_ok_and(|known| known.is_empty()) {
            return event;
        }
        let Ok(mut value) = serde_json::to_value(&event) else { return event };
        if !self.walk(&mut value) {
            return event;
        }
        serde_json::from_value(value).unwrap_or(event)
    }

    /// True if anything was replaced.
    fn walk(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let clean = self.text(text);
                let changed = clean != *text;
                *text = clean;
                changed
            }
            Value::Array(items) => items.iter_mut().fold(false, |changed, item| self.walk(item) | changed),
            Value::Object(fields) => fields.values_mut().fold(false, |changed, field| self.walk(field) | changed),
            _ => false,
        }
    }
}
