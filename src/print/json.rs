//! One entry as one JSON object on one line, bounded in size and safe to look at.

use serde::Serialize;
use serde_json::Value;

use crate::run::clean;
use crate::run::{Entry, event};

/// No line is longer, in bytes before escaping; an entry that would be is cut and says so (`"cut": true`).
pub const JSON_BYTES: usize = 1024 * 1024;
/// How long strings and lists may stay, tried in turn until the whole fits.
const CUTS: [(usize, usize); 4] = [(64 * 1024, 10_000), (4 * 1024, 500), (256, 100), (64, 10)];

#[derive(Serialize)]
struct Versioned<'a> {
    v: u32,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// The entry itself (`seq`, `at`, `event`) with `"v": 1`, without a line feed. Long texts of an oversized entry
/// end in "…", long lists are shortened, and the object then holds `"cut": true`.
pub fn json(entry: &Entry) -> String {
    let v = event::FORMAT;
    let whole = match serde_json::to_string(&Versioned { v, entry }) {
        Ok(whole) if whole.len() <= JSON_BYTES => whole,
        Ok(whole) => shortened(&whole).unwrap_or_else(|| unsaid(entry)),
        Err(_) => unsaid(entry),
    };
    clean::json(&whole)
}

/// What is left of an entry that cannot be said: its number.
fn unsaid(entry: &Entry) -> String {
    format!("{{\"v\":{},\"seq\":{},\"cut\":true}}", event::FORMAT, entry.seq)
}

fn shortened(whole: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(whole).ok()?;
    value.as_object_mut()?.insert("cut".to_owned(), Value::Bool(true));
    for (text, list) in CUTS {
        cut(&mut value, text, list);
        let line = value.to_string();
        if line.len() <= JSON_BYTES {
            return Some(line);
        }
    }
    None
}

fn cut(value: &mut Value, text: usize, list: usize) {
    match value {
        Value::String(string) if string.len() > text => {
            string.truncate(string.floor_char_boundary(text));
            string.push('…');
        }
        Value::Array(items) => {
            items.truncate(list);
            items.iter_mut().for_each(|item| cut(item, text, list));
        }
        Value::Object(fields) => {
            while fields.len() > list.max(20) {
                let last = fields.keys().next_back().cloned();
                last.map(|key| fields.remove(&key));
            }
            fields.values_mut().for_each(|field| cut(field, text, list));
        }
        _ => {}
    }
}
