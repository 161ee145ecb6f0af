//! What a campaign counted: printed, and kept for the published table where one is written.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;

/// Counts by name.
#[derive(Debug, Default)]
pub struct Figures {
    name: &'static str,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Figures {
    pub fn new(name: &'static str) -> Self {
        Self { name, counts: Mutex::default() }
    }

    pub fn count(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    pub fn add(&self, what: impl Into<String>, n: u64) {
        *self.counts.lock().unwrap().entry(what.into()).or_default() += n;
    }

    /// The largest of what was seen.
    pub fn most(&self, what: impl Into<String>, n: u64) {
        let mut counts = self.counts.lock().unwrap();
        let most = counts.entry(what.into()).or_default();
        *most = n.max(*most);
    }

    pub fn get(&self, what: &str) -> u64 {
        self.counts.lock().unwrap().get(what).copied().unwrap_or_default()
    }

    /// Prints them, and appends them to the file of `GONOGO_FIGURES`.
    pub fn publish(&self) {
        let counts = self.counts.lock().unwrap();
        println!("{}: {counts:?}", self.name);
        let Some(path) = std::env::var_os("GONOGO_FIGURES") else { return };
        let line = serde_json::json!({ "campaign": self.name, "counts": &*counts }).to_string();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
