//! How a step is taken back.

use toml::de::DeValue;

use super::reader::Reader;
use super::steps::{self, Home, Known};
use crate::runbook::Undo;

const HINT: &str = "write \"none needed\", \"irreversible\", or { sql = \"…\" }";

pub(super) fn undo(
    table: &Reader<'_, '_>,
    known: &Known,
    home: &Home<'_>,
    id: &str,
    title: &str,
    role: Option<&String>,
    only: &[String],
) -> Undo {
    if !matches!(home, Home::Phase) {
        if table.has("undo") {
            let message = "a step of a rollback has no `undo` of its own";
            table.refuse("undo", message, "leave it out");
        }
        return Undo::Unsaid;
    }
    let Some(node) = table.node("undo") else {
        return Undo::Unsaid;
    };
    match node.value {
        DeValue::String(text) => match text.as_ref() {
            "none needed" => Undo::NotNeeded,
            "irreversible" => Undo::Irreversible,
            other => {
                table.notes.say(node.span, format!("`{other}` is not an undo"), HINT);
                Undo::Unsaid
            }
        },
        DeValue::Table(_) => {
            let Some(inner) = table.notes.table_of(&node, "undo", "an undo") else {
                return Undo::Unsaid;
            };
            let home = Home::Undo { title, role: role.cloned(), only };
            Undo::By(Box::new(steps::step(inner, known, &home, id)))
        }
        _ => {
            table.notes.wrong_type::<()>(&node, "undo", "a text or a table", HINT);
            Undo::Unsaid
        }
    }
}
