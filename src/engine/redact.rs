//! Secrets taken out of everything foreign before it is journaled: by value, whatever sentence they stand in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::run::Event;

/// Shorter values are not replaced: they would mutilate ordinary words.
const SHORTEST: usize = 4;
/// Fields that are ours: names, tags and places, never foreign text. A secret that happens to spell one changes nothing.
const OURS: &[&str] =
    &["kind", "chunk", "stream", "verb", "outcome", "effect", "place", "probe", "target", "trigger", "channel"];

/// What is shown instead of a secret begins so.
const MARK: &str = "‹secret:";

/// True where a secret was taken out of `text`.
pub fn is_redacted(text: &str) -> bool {
    text.contains(MARK)
}

/// The values that must not be seen, and the names shown instead. Grows as secrets are resolved.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Vec<(String, String)>>>,
}

impl Redactor {
    /// Hides `value` in its usual spellings behind `‹secret:NAME›` from now on.
    pub fn learn(&self, name: &str, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let shown = format!("{MARK}{name}›");
        if let Ok(mut known) = self.known.write() {
            for form in spellings(value) {
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

    /// Bytes at the end of a stream's piece that may be the beginning of a secret: they wait for the next piece.
    pub fn undecided(&self, piece: &str) -> usize {
        let Ok(known) = self.known.read() else { return 0 };
        let starts = |secret: &str| {
            let longest = secret.len().saturating_sub(1).min(piece.len());
            (1..=longest).rev().find(|n| piece.as_bytes().ends_with(&secret.as_bytes()[..*n]))
        };
        let bytes = known.iter().filter_map(|(secret, _)| starts(secret)).max().unwrap_or(0);
        // Never in the middle of a character.
        (bytes..=piece.len()).find(|n| piece.is_char_boundary(piece.len() - n)).unwrap_or(0)
    }

    /// The event without secrets in its foreign texts. What is ours (who, where, which) is left as it is.
    pub fn event(&self, event: Event) -> Event {
        let foreign = matches!(
            event,
            Event::StepStarted { .. }
                | Event::Output { .. }
                | Event::StepEnded { .. }
                | Event::SampleTaken { .. }
                | Event::TargetLost { .. }
                | Event::Told { .. }
                | Event::LossMeasured { .. }
                | Event::TriggerBlind { .. }
                | Event::SqlEdited { .. }
                | Event::Held { .. }
        );
        if !foreign || self.known.read().is_ok_and(|known| known.is_empty()) {
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
            Value::Object(fields) => {
                let ours = |name: &str, field: &Value| name == "attempt" || (field.is_string() && OURS.contains(&name));
                let foreign = fields.iter_mut().filter(|(name, field)| !ours(name, field));
                foreign.fold(false, |changed, (name, field)| self.field(name, field) | changed)
            }
            _ => false,
        }
    }

    fn field(&self, name: &str, field: &mut Value) -> bool {
        // A first cell that is a number may be a secret all the same.
        let digits = field.is_number() && matches!(name, "value");
        let plain = field.to_string();
        let hidden = digits.then(|| self.text(&plain)).filter(|text| *text != plain);
        match hidden {
            Some(text) => {
                *field = Value::String(text);
                true
            }
            None => self.walk(field),
        }
    }
}

/// The value as it is, as a URL, as JSON, as a shell's word, in hex and in base64.
fn spellings(value: &str) -> BTreeSet<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let json = serde_json::to_string(value).unwrap_or_default();
    let hex = value.bytes().fold(String::new(), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let all = [
        value.to_owned(),
        encoded.replace('+', "%20"),
        encoded.to_lowercase(),
        encoded,
        json.trim_matches('"').to_owned(),
        value.replace('\'', "'\\''"),
        hex.to_uppercase(),
        hex,
        base64(value.as_bytes()),
    ];
    all.into_iter().filter(|form| form.len() >= SHORTEST).collect()
}

/// The standard alphabet, without padding: with and without it both hold this text.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| (group << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            out.push(char::from(ALPHABET[((group >> (18 - 6 * n)) & 63) as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{Fingerprint, Resolved};
    use crate::run::{Attempt, Chunk, Direction, Facts, Outcome};

    const SECRET: &str = "hunter2 \"x\"'y";

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.learn("env:TOKEN", SECRET);
        redactor.learn("env:WORD", "forward");
        redactor.learn("env:PIN", "12345678");
        redactor
    }

    fn attempt() -> Attempt {
        Attempt { step: "forward".into(), direction: Direction::Forward, n: 1 }
    }

    #[test]
    fn every_spelling_is_hidden() {
        let redactor = redactor();
        for spelling in spellings(SECRET) {
            let text = redactor.text(&format!("a{spelling}b"));
            assert_eq!(text, "a‹secret:env:TOKEN›b", "{spelling}");
        }
        assert_eq!(base64(b"hunter2"), "aHVudGVyMg");
    }

    #[test]
    fn what_is_ours_stays() {
        let chunk = Chunk::Text { stream: "out".into(), text: "pw=forward 12345678".into() };
        let Event::Output { attempt: kept, chunk } = redactor().event(Event::Output { attempt: attempt(), chunk })
        else {
            panic!("another event");
        };
        assert_eq!(kept, attempt());
        let text = "pw=‹secret:env:WORD› ‹secret:env:PIN›".to_owned();
        assert_eq!(chunk, Chunk::Text { stream: "out".into(), text });
        let seen = Event::TargetSeen {
            target: "main".into(),
            fingerprint: Fingerprint { database: "forward".into(), ..Fingerprint::default() },
            grip: Default::default(),
        };
        assert_eq!(redactor().event(seen.clone()), seen);
        let resolved = Resolved::Run { argv: vec!["forward".into()], connect: None };
        let started = Event::StepStarted { attempt: attempt(), resolved, by: "me".into() };
        assert!(!serde_json::to_string(&redactor().event(started)).unwrap().contains("\"forward\"]"));
    }

    #[test]
    fn a_number_can_be_a_secret() {
        let facts = Facts { value: Some(12_345_678.into()), ..Facts::default() };
        let ended =
            Event::StepEnded { attempt: attempt(), outcome: Outcome::Done { facts: Box::new(facts), verdict: None } };
        assert!(!serde_json::to_string(&redactor().event(ended)).unwrap().contains("12345678"));
    }

    #[test]
    fn a_split_secret_waits_for_its_rest() {
        let redactor = redactor();
        assert_eq!(redactor.undecided("token=hunter2"), 7);
        assert_eq!(redactor.undecided("nothing of it ü"), 0);
        for split in 1..SECRET.len() {
            let first = format!("say {}", &SECRET[..split]);
            let keep = first.len() - redactor.undecided(&first);
            let rest = format!("{}{}.", &first[keep..], &SECRET[split..]);
            let whole = redactor.text(&first[..keep]) + &redactor.text(&rest);
            assert_eq!(whole, "say ‹secret:env:TOKEN›.");
        }
    }
}
