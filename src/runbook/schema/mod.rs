//! The JSON Schema of a runbook, for editors: types that mirror the language and carry the words an editor shows.
//!
//! The parser is written by hand and knows its keys by asking for them. `tests` compares what it asks for with what stands
//! here, so a key that is added there and forgotten here (or the other way round) fails with its name.

pub mod asks;
pub mod channels;
pub mod dump;
pub mod ending;
pub mod head;
pub mod migrations;
pub mod phases;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod values;
pub mod verbs;
pub mod watch;

use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

/// The line at the top of a runbook by which editors find the schema. `path`: relative to the runbook, or an address.
pub fn directive(path: &str) -> String {
    format!("#:schema {path}")
}

/// The schema (draft 2020-12) as it is printed and kept: indented JSON with a line break at the end.
pub fn text() -> String {
    // A tree of texts, numbers and lists always becomes JSON.
    let mut text = serde_json::to_string_pretty(&value()).unwrap_or_default();
    text.push('\n');
    text
}

/// The schema (draft 2020-12) as a value.
pub fn value() -> Value {
    generator().into_root_schema_for::<head::Runbook>().to_value()
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(tame));
    settings.into_generator()
}

/// TOML knows no null, so a key that may be left out is simply not required; and formats of Rust's numbers tell nobody
/// anything.
fn tame(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("format");
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(one)] = any.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            for (key, value) in one {
                object.entry(key).or_insert(value);
            }
        }
    }
}
