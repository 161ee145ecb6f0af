//! The chain: how an event becomes stored text with a hash, and how stored text proves itself. Pure.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::error::{BadEntry, JournalError};
use crate::run::{Entry, Event, Moment, clean};

/// SHA-256.
pub type Hash = [u8; 32];

const DOMAIN: &[u8] = b"gonogo entry v1";

/// The end of a journal as somebody knew it: how many entries, and the hash of the last. Written down elsewhere (a ledger, a
/// report, a screen) it makes later edits evident. Printed and read as `COUNT:HEX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    pub count: u64,
    /// Zero for an empty journal.
    pub head: Hash,
}

/// A row as it lies in the database, unproven.
pub(super) struct Row {
    pub seq: i64,
    pub json: Vec<u8>,
    pub hash: Vec<u8>,
}

/// An entry ready to be stored.
pub(super) struct Sealed {
    pub seq: u64,
    pub json: String,
    pub hash: Hash,
}

impl Anchor {
    /// The head in hex.
    pub fn hex(&self) -> String {
        crate::runbook::migrations::hex(&self.head)
    }

    /// Appends an event: the entry as a reader will see it, and its stored form. It is decoded from the stored text, so that
    /// whoever folds the answer holds exactly what the journal says, and what cannot be read back is never written.
    pub(super) fn seal(&mut self, at: Moment, event: Event) -> Result<(Entry, Sealed), JournalError> {
        let seq = self.count + 1;
        let entry = Entry { seq, at, event };
        let unstorable =
            |why: serde_json::Error| JournalError::Unstorable { kind: kind_of(&entry), why: why.to_string() };
        let json = serde_json::to_string(&entry).map_err(unstorable)?;
        let read_back = serde_json::from_str(&json).map_err(unstorable)?;
        self.count = seq;
        self.head = link(&self.head, json.as_bytes());
        let hash = self.head;
        Ok((read_back, Sealed { seq, json, hash }))
    }

    /// Takes the next stored row: its entry, where it follows from what came before.
    pub(super) fn admit(&mut self, row: &Row) -> Result<Entry, BadEntry> {
        let seq = self.count + 1;
        if u64::try_from(row.seq) != Ok(seq) {
            return Err(BadEntry::new(seq, format!("it is missing, entry {} follows", row.seq)));
        }
        let hash = link(&self.head, &row.json);
        if hash != *row.hash {
            return Err(BadEntry::new(seq, "its hash does not fit its text and the entry before it"));
        }
        let entry = decode(seq, &row.json)?;
        self.count = seq;
        self.head = hash;
        Ok(entry)
    }

    /// Compares with what the journal says of its own end, at its end.
    pub(super) fn check_end(&self, said: &Self) -> Result<(), BadEntry> {
        if self == said {
            return Ok(());
        }
        let seq = self.count.min(said.count) + 1;
        if self.count == said.count {
            return Err(BadEntry::new(self.count, "its hash is not the one noted as the journal's end"));
        }
        let why = format!("the journal holds {} entries, but notes {} as its end", self.count, said.count);
        Err(BadEntry::new(seq, why))
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.count, self.hex())
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (count, hex) = text.split_once(':')?;
            let count = count.parse().ok()?;
            if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let mut head = Hash::default();
            for (n, byte) in head.iter_mut().enumerate() {
                *byte = u8::from_str_radix(hex.get(n * 2..n * 2 + 2)?, 16).ok()?;
            }
            Some(Self { count, head })
        };
        parse().ok_or_else(|| {
            let shown = clean::line(text, 80);
            format!("`{shown}` is not an anchor: it is written COUNT:HASH, the hash as 64 hexadecimal digits")
        })
    }
}

fn link(before: &Hash, json: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(before);
    hasher.update(json);
    hasher.finalize().into()
}

fn decode(seq: u64, json: &[u8]) -> Result<Entry, BadEntry> {
    let entry: Entry = serde_json::from_slice(json).map_err(|error| {
        let kind = serde_json::from_slice::<serde_json::Value>(json)
            .ok()
            .and_then(|value| Some(value.get("event")?.get("kind")?.as_str()?.to_owned()));
        let kind = kind.map_or_else(|| "no kind".to_owned(), |kind| format!("kind `{}`", clean::line(&kind, 60)));
        let why = clean::line(&error.to_string(), 120);
        let program = env!("CARGO_PKG_VERSION");
        let format = crate::run::event::FORMAT;
        let why = format!("it is of {kind}, which gonogo {program} (format {format}) cannot read: {why}");
        BadEntry { foreign: true, ..BadEntry::new(seq, why) }
    })?;
    if entry.seq != seq {
        return Err(BadEntry::new(seq, format!("its text says that it is entry {}", entry.seq)));
    }
    match &entry.event {
        Event::RunOpened(opened) if opened.format != crate::run::event::FORMAT => Err(BadEntry::new(
            seq,
            format!("it opens a run in format {}, which this gonogo does not know", opened.format),
        )),
        _ => Ok(entry),
    }
}

fn kind_of(entry: &Entry) -> String {
    let value = serde_json::to_value(&entry.event).unwrap_or_default();
    let kind = value.get("kind").and_then(|kind| kind.as_str());
    kind.unwrap_or("unknown").to_owned()
}
