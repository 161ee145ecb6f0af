//! What a guide shows of an answer: a table as psql prints it, a number by itself, a number within a sentence.

use std::sync::LazyLock;

use regex::Regex;

use super::words::expectation;

static WITHIN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bexpect(?:ed)?\b").ok());

/// `Verify that none is missing. Expected: 0` in two: what is done, and what is expected, where that is certain.
pub fn parted(text: &str) -> (&str, Option<&str>) {
    let found = WITHIN.as_ref().and_then(|sign| sign.find_iter(text).last());
    let split = found.map(|found| text.split_at(found.start()));
    match split.filter(|(before, says)| before.contains(char::is_alphanumeric) && expectation(says).is_some()) {
        Some((before, says)) => (before.trim_end_matches([' ', '.', ',', ';', '(', '-', '–', '—']), Some(says)),
        None => (text, None),
    }
}

/// An expression for what a fence shows below `Expected output:`. None: no certain number stands there.
pub fn shown(text: &str) -> Option<String> {
    let number = |line: &str| !line.is_empty() && line.len() <= 15 && line.bytes().all(|byte| byte.is_ascii_digit());
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let [only] = lines.as_slice() {
        return number(only).then(|| format!("value == {only}"));
    }
    let border = |line: &&str| line.len() > 1 && line.bytes().all(|byte| matches!(byte, b'-' | b'+'));
    let [head, line, rows @ ..] = lines.as_slice() else { return None };
    if !border(line) {
        return None;
    }
    let (rows, count) = match rows.split_last() {
        Some((last, rows)) if counted(last).is_some() => (rows, counted(last)),
        _ => (rows, None),
    };
    match rows {
        [value] if !head.contains('|') && number(value) => Some(format!("value == {value}")),
        _ => count.map(|count| format!("rows == {count}")),
    }
}

/// `(3 rows)`
fn counted(line: &str) -> Option<u32> {
    let inner = line.strip_prefix('(')?.strip_suffix(')')?;
    inner.strip_suffix(" rows").or(inner.strip_suffix(" row"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_where_they_are_certain() {
        for (text, wanted) in [
            (" count\n-------\n 50000\n(1 row)", Some("value == 50000")),
            ("50000", Some("value == 50000")),
            (" id | name\n----+------\n  1 | a\n  2 | b\n(2 rows)", Some("rows == 2")),
            (" name\n------\n a\n(1 row)", Some("rows == 1")),
            (" a | b\n---+---\n 1 | 2", None),
            ("CREATE TABLE", None),
            ("about 3 MB", None),
        ] {
            assert_eq!(shown(text).as_deref(), wanted, "{text}");
        }
        let text = "Verify that none is missing. Expected: 0";
        assert_eq!(parted(text), ("Verify that none is missing", Some("Expected: 0")));
        for text in ["Expected: 0", "Look whether it is as expected", "Verify it. Expected: 5-10"] {
            assert_eq!(parted(text), (text, None));
        }
    }
}
