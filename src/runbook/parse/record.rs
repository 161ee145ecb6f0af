//! What the parser asks for, so that a test can compare it with the JSON Schema (`runbook::schema`). Only in tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Keys by the kind of table that was read, and the words a key may have.
#[derive(Clone, Default)]
pub struct Record {
    pub keys: BTreeMap<&'static str, BTreeSet<&'static str>>,
    pub choices: BTreeMap<(&'static str, &'static str), BTreeSet<String>>,
}

thread_local! {
    static RECORD: RefCell<Record> = RefCell::default();
}

pub fn key(what: &'static str, key: &'static str) {
    RECORD.with_borrow_mut(|record| record.keys.entry(what).or_default().insert(key));
}

pub fn choices(what: &'static str, key: &'static str, words: impl Iterator<Item = String>) {
    RECORD.with_borrow_mut(|record| record.choices.entry((what, key)).or_default().extend(words));
}

/// Everything that this thread's parser asked for since the last call.
pub fn take() -> Record {
    RECORD.take()
}
