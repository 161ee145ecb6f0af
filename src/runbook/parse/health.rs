//! `health` of a batch: the limits of the built-in signals, each with a default, each to be switched off.

use toml::de::DeValue;

use super::reader::{Node, Reader};
use crate::runbook::Health;

const HINT: &str =
    "write health = { lag = \"5s\", lock_waiters = 5, oldest_transaction = \"5m\" }, or health = \"off\"";
/// The most sessions that a limit may name.
const MOST: u32 = 100_000;

/// None: something is wrong, and noted.
pub(super) fn health(batch: &Reader<'_, '_>) -> Option<Health> {
    let Some(node) = batch.node("health") else { return Some(Health::default()) };
    match node.value {
        DeValue::Table(_) => {
            let table = batch.notes.table_of(&node, "health", "`health`")?;
            let read = limits(&table);
            table.finish();
            read
        }
        _ if is_off(&node) => Some(Health::OFF),
        _ => batch.notes.wrong_type(&node, "health", "a table or \"off\"", HINT),
    }
}

fn limits(table: &Reader<'_, '_>) -> Option<Health> {
    let usual = Health::default();
    let lag_ms = length(table, "lag", usual.lag_ms);
    let oldest_transaction_ms = length(table, "oldest_transaction", usual.oldest_transaction_ms);
    let lock_waiters = match table.node("lock_waiters") {
        None => Some(usual.lock_waiters),
        Some(node) if is_off(&node) => Some(None),
        Some(_) => table.whole("lock_waiters", 0..=MOST).map(Some),
    };
    Some(Health { lag_ms: lag_ms?, lock_waiters: lock_waiters?, oldest_transaction_ms: oldest_transaction_ms? })
}

fn length(table: &Reader<'_, '_>, key: &'static str, usual: Option<u64>) -> Option<Option<u64>> {
    match table.node(key) {
        None => Some(usual),
        Some(node) if is_off(&node) => Some(None),
        Some(_) => {
            let length = super::head::positive(table, key)?;
            Some(Some(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)))
        }
    }
}

fn is_off(node: &Node<'_>) -> bool {
    matches!(node.value, DeValue::String(text) if text.as_ref() == "off")
}
