//! What a look at an environment found, as a table: a line per finding, and what to do about it.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::run::clean;

/// Characters of one sentence.
const SENTENCE: usize = 600;
/// Columns of the longest name of what a finding is about.
const ABOUT: usize = 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    Warn,
    Error,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at. Its texts may be foreign; they are cleaned here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// `main`, `step backup`, `probe error_rate`, `tool pg_dump`.
    pub about: String,
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// `runbooks/week1/runbook.toml:31`
    pub place: Option<String>,
}

/// The findings as aligned lines, in their order, and a last line that counts them.
pub fn findings(list: &[Finding]) -> String {
    let about = |one: &Finding| clean::line(&one.about, ABOUT);
    let width = list.iter().map(|one| about(one).width()).max().unwrap_or(0);
    let mut out = String::new();
    for one in list {
        let about = about(one);
        let gap = " ".repeat(width.saturating_sub(about.width()));
        let place = one.place.as_ref().map(|place| format!("{}: ", clean::line(place, SENTENCE))).unwrap_or_default();
        let what = clean::line(&one.what, SENTENCE);
        out.push_str(&format!("{:<5}  {about}{gap}  {place}{what}\n", one.level.word()));
        if let Some(hint) = &one.hint {
            out.push_str(&format!("{:<5}  {:width$}    {}\n", "", "", clean::line(hint, SENTENCE)));
        }
    }
    let count = |level| list.iter().filter(|one| one.level == level).count();
    out.push_str(&format!("{} ok, {} warn, {} error\n", count(Level::Ok), count(Level::Warn), count(Level::Error)));
    out
}

/// The findings as JSON: `level`, `about`, `what`, and `hint` and `place` (null where there is none).
pub fn findings_json(list: &[Finding]) -> Value {
    let one = |one: &Finding| {
        json!({
            "level": one.level.word(),
            "about": one.about,
            "what": one.what,
            "hint": one.hint,
            "place": one.place,
        })
    };
    list.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_foreign_text_is_made_visible() {
        let finding = |level, about: &str, what: &str, hint: Option<&str>| Finding {
            level,
            about: about.to_owned(),
            what: what.to_owned(),
            hint: hint.map(str::to_owned),
            place: (level == Level::Error).then(|| "r.toml:3".to_owned()),
        };
        let list = [
            finding(Level::Ok, "main", "PostgreSQL", None),
            finding(Level::Error, "step a", "no\x1b[31m table", Some("make it")),
        ];
        let text = findings(&list);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok     main    PostgreSQL");
        assert!(lines[1].starts_with("error  step a  r.toml:3: no") && !text.contains('\x1b'), "{text}");
        assert_eq!(lines[2].trim(), "make it");
        assert_eq!(lines[3], "1 ok, 0 warn, 1 error");
    }
}
