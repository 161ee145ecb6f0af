//! TOML as a person would write it: texts in the quotes that suit them, foreign words in comments, ids out of titles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::runbook::clean;

/// Characters of a foreign line that a comment keeps; guides have long lines, and none is to be lost.
const COMMENT: usize = 2000;
/// The longest id that is made of a title.
const ID: usize = 40;

/// A text as TOML: in one line with escapes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || clean::is_hostile(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text as TOML: several lines as they are, where they can stand so.
pub fn block(text: &str) -> String {
    let plain = |c: char| c == '\n' || c == '\t' || !(c.is_control() || clean::is_hostile(c));
    if text.contains('\n') && !text.contains("'''") && !text.ends_with('\'') && text.chars().all(plain) {
        format!("'''\n{text}'''")
    } else {
        quote(text)
    }
}

/// A text that means itself: what looks like a template is kept from being one. None: it cannot be kept.
pub fn literal(text: &str) -> Option<String> {
    let looks = ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign));
    match (looks, text.contains("endraw")) {
        (false, _) => Some(text.to_owned()),
        (true, false) => Some(format!("{{% raw %}}{text}{{% endraw %}}")),
        (true, true) => None,
    }
}

/// Foreign words in a comment: one line, nothing hidden in it.
pub fn comment(text: &str) -> String {
    clean::line(text, COMMENT)
}

/// An id out of a title: `Step 3: Test Rollback` becomes `step-3-test-rollback`.
pub fn slug(title: &str) -> String {
    let mut id = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c.to_ascii_lowercase());
        } else if !id.ends_with('-') && !id.is_empty() && !matches!(c, '\'' | '’') {
            id.push('-');
        }
    }
    if id.len() > ID {
        let cut = id[..=ID].rfind('-').filter(|at| *at > 10).unwrap_or(ID);
        id.truncate(cut);
    }
    id.trim_end_matches('-').to_owned()
}

/// Ids that are taken.
#[derive(Debug, Default)]
pub struct Ids {
    taken: BTreeSet<String>,
    /// The last number that was put behind each.
    last: BTreeMap<String, u32>,
}

impl Ids {
    pub fn of(taken: &[&str]) -> Self {
        Self { taken: taken.iter().copied().map(str::to_owned).collect(), last: BTreeMap::new() }
    }

    /// The id, or with the first free number behind it. It is taken from now on. `otherwise`: where nothing is left of it.
    pub fn unused(&mut self, id: &str, otherwise: &str) -> String {
        let id = if id.is_empty() { otherwise } else { id };
        if self.taken.insert(id.to_owned()) {
            return id.to_owned();
        }
        let last = self.last.entry(id.to_owned()).or_insert(1);
        loop {
            *last = last.saturating_add(1);
            let numbered = format!("{id}-{last}");
            // There are fewer ids than numbers.
            if self.taken.insert(numbered.clone()) || *last == u32::MAX {
                return numbered;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in
            ["", "a", "a\"b\\c", "two\nlines", "ends'", "a\n'''b", "a\u{202e}b\u{7f}\u{0}", "x\r\ny", "\n", "\n\nx\n"]
        {
            for written in [quote(text), block(text)] {
                let read: toml::Table = toml::from_str(&format!("x = {written}\n")).unwrap();
                assert_eq!(read["x"].as_str(), Some(text), "{written}");
            }
        }
    }

    #[test]
    fn ids_are_ids() {
        assert_eq!(slug("Step 3: Test Rollback"), "step-3-test-rollback");
        assert_eq!(slug("🚨 ÄÖ"), "");
        assert_eq!(slug("Don't"), "dont");
        assert!(slug(&"long words ".repeat(20)).len() <= 40);
        let mut ids = Ids::of(&["b", "b-2"]);
        let taken: Vec<String> = ["a", "a", "a-3", "a", "", "b"].iter().map(|id| ids.unused(id, "x")).collect();
        assert_eq!(taken, ["a", "a-2", "a-3", "a-4", "x", "b-3"]);
    }
}
