//! `above 2% for more than 1 minute, roll back`: a trigger in words, as a comment that only misses what measures it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use super::times;
use crate::draft::write::comment;

/// A trigger that the guide tells in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// 1-based line of the guide.
    pub line: usize,
    pub words: String,
    /// An id that is also a name: `error_rate`.
    probe: &'static str,
    /// `> 2`
    limit: String,
    unit: &'static str,
    /// A duration of the language.
    lasting: Option<String>,
    then: &'static str,
}

static LIMIT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(>=|<=|>|<|≥|≤|\b(?:above|over|exceeds?|exceeding|more than|greater than|higher than|below|under|less than|lower than)\b)\s*(\d{1,9}(?:\.\d{1,6})?)\s*(%|percent\b|ms\b|s\b|seconds?\b)?").ok()
});
static LASTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^[^.]*?\bfor\s+(?:more than\s+|at least\s+|longer than\s+|over\s+)?(\w{1,8})\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b").ok()
});
static BACK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\broll(?:ing)?[- ]?(?:it )?back\b").ok());
static HOLD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\b(?:stop|pause|halt|hold|abort)\b").ok());

/// What guides measure, and the name it has here. The first that is found counts.
const SUBJECTS: [(&str, &str); 12] = [
    ("error rate", "error_rate"),
    ("failure rate", "error_rate"),
    ("5xx", "error_rate"),
    ("latency", "latency"),
    ("response time", "latency"),
    ("lag", "replication_lag"),
    ("connections", "connections"),
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("disk", "disk"),
    ("queue", "queue"),
    ("error", "errors"),
];

/// `is_reason`: it stands among the reasons to go back. None: it is no trigger that can be read.
pub fn measured(text: &str, line: usize, is_reason: bool) -> Option<Measured> {
    // `for more than 1 minute` is a time, not a limit.
    let is_time = |before: &str| before.trim_end().to_lowercase().ends_with("for");
    let found =
        LIMIT.as_ref()?.captures_iter(text).find(|found| !is_time(&text[..found.get(0).map_or(0, |m| m.start())]))?;
    let whole = found.get(0)?;
    let behind = &text[whole.end()..];
    let is = |sign: &LazyLock<Option<Regex>>| sign.as_ref().is_some_and(|sign| sign.is_match(text));
    let then = match (is(&BACK) || is_reason, is(&HOLD)) {
        (true, _) => "rollback",
        (false, true) => "hold",
        (false, false) => return None,
    };
    let sign = match found[1].to_lowercase().as_str() {
        ">=" | "≥" => ">=",
        "<=" | "≤" => "<=",
        "<" | "below" | "under" | "less than" | "lower than" => "<",
        _ => ">",
    };
    let unit = match found.get(3).map(|unit| unit.as_str().to_lowercase()).as_deref() {
        Some("%" | "percent") => "%",
        Some("ms") => "ms",
        Some(_) => "s",
        None => "",
    };
    let before = text[..whole.start()].to_lowercase();
    let probe = SUBJECTS.iter().find(|(words, _)| before.contains(words)).map_or("measured", |(_, probe)| probe);
    let limit = format!("{sign} {}", &found[2]);
    Some(Measured { line, words: text.to_owned(), probe, limit, unit, lasting: lasting(behind), then })
}

fn lasting(text: &str) -> Option<String> {
    let found = LASTING.as_ref()?.captures(text)?;
    let count = times::count(&found[1].to_lowercase()).filter(|count| (1..10_000).contains(count))?;
    Some(format!("{count}{}", found[2].chars().next()?.to_ascii_lowercase()))
}

/// All of them as comments: without the signs before them they are probes and triggers.
pub fn comments(all: &[Measured]) -> String {
    let mut out = String::new();
    let mut probes = BTreeSet::new();
    for (n, one) in all.iter().enumerate() {
        let _ = writeln!(out, "# A trigger, by the guide (line {}); it needs what measures it:", one.line);
        let _ = writeln!(out, "#   {}", comment(&one.words));
        if probes.insert(one.probe) {
            let _ = writeln!(out, "# [[probe]]\n# id    = \"{}\"\n# every = \"5s\"", one.probe);
            if !one.unit.is_empty() {
                let _ = writeln!(out, "# unit  = \"{}\"", one.unit);
            }
            out.push_str(
                "# prometheus = { url = \"env:PROMETHEUS_URL\", query = \"WHICH\" }   # or sql, http, log, run\n#\n",
            );
        }
        let id = format!("{}-{}", one.probe.replace('_', "-"), n + 1);
        let _ = writeln!(out, "# [[trigger]]\n# id      = \"{id}\"\n# when    = \"{} {}\"", one.probe, one.limit);
        if let Some(lasting) = &one.lasting {
            let _ = writeln!(out, "# lasting = \"{lasting}\"");
        }
        let _ = writeln!(out, "# then    = \"{}\"\n", one.then);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_times_are_told_apart() {
        let of = |text: &str, reason: bool| {
            measured(text, 1, reason).map(|one| {
                format!("{} {}{} {} {}", one.probe, one.limit, one.unit, one.lasting.unwrap_or_default(), one.then)
            })
        };
        for (text, reason, wanted) in [
            (
                "Watch the error rate for 15 minutes. If it is above 2% for more than 1 minute, roll back.",
                false,
                "error_rate > 2% 1m rollback",
            ),
            ("Error rate > 2%", true, "error_rate > 2%  rollback"),
            (
                "Pause when the replication lag exceeds 30 seconds for two minutes",
                false,
                "replication_lag > 30s 2m hold",
            ),
            ("If fewer: stop when connections drop below 5", false, "connections < 5  hold"),
        ] {
            assert_eq!(of(text, reason).as_deref(), Some(wanted), "{text}");
        }
        for text in ["It runs for more than 5 minutes, then stop", "Roll back if it is bad", "above 2% is bad"] {
            assert_eq!(of(text, false), None, "{text}");
        }
    }
}
