//! The times of a guide: clock times, lengths of phases, and when something is to be done afterwards.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A number in digits or in words.
macro_rules! number {
    () => {
        r"(\d{1,4}|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|thirty)"
    };
}

/// A number, or a range of two: the second counts.
macro_rules! range {
    () => {
        concat!(number!(), r"(?:\s*(?:[-–—/]|to|or)\s*", number!(), r")?[\s-]+")
    };
}

macro_rules! unit {
    () => {
        r"(hour|day|week|month|hr|h)s?\b"
    };
}

type Sign = LazyLock<Option<Regex>>;

static AFTER: Sign = LazyLock::new(|| {
    Regex::new(concat!(r"\b(?:first|after|within|next|for)\s+(?:the\s+)?(?:", range!(), ")?", unit!())).ok()
});
static LATER: Sign =
    LazyLock::new(|| Regex::new(concat!("^", range!(), unit!(), r"\s+(?:after|later|afterwards)\b")).ok());
/// Only where it is certain that the words are about later.
static DUE: Sign = LazyLock::new(|| {
    Regex::new(concat!(r"\b(?:in|older than|once|by)\s+(?:the\s+)?", range!(), unit!(), "|^", range!(), unit!())).ok()
});
static DAY: Sign = LazyLock::new(|| Regex::new(r"^(?:on )?(day|week)\s+(\d{1,3})\b").ok());

/// `First 24 Hours`, `after 7 days`, `after one week`, `next day`: hours. The later end of a range.
pub fn after(words: &str) -> Option<u32> {
    let words = words.to_lowercase();
    [&AFTER, &LATER].into_iter().find_map(|sign| sign.as_ref()?.captures(&words).and_then(|found| hours(&found)))
}

/// Hours of a line that says what is done afterwards: as [`after`], and also `7 days: …`, `in two weeks`, `tomorrow`, `Day 8`.
pub fn due(words: &str) -> Option<u32> {
    let words = words.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    if let Some(hours) = after(&words) {
        return Some(hours);
    }
    if let Some(found) = DAY.as_ref()?.captures(&words) {
        let each = if &found[1] == "day" { 24 } else { 7 * 24 };
        return bounded(found[2].parse::<u32>().ok()?.checked_mul(each)?);
    }
    if words.starts_with("tomorrow") {
        return Some(24);
    }
    DUE.as_ref()?.captures(&words).and_then(|found| hours(&found))
}

/// The last number and the unit of what was found; a unit alone is one of it.
fn hours(found: &Captures<'_>) -> Option<u32> {
    let mut count = 1;
    let mut each = None;
    for part in found.iter().skip(1).flatten() {
        match part.as_str() {
            "hour" | "hr" | "h" => each = Some(1),
            "day" => each = Some(24),
            "week" => each = Some(7 * 24),
            "month" => each = Some(30 * 24),
            word => count = self::count(word)?,
        }
    }
    bounded(count.checked_mul(each?)?)
}

fn bounded(hours: u32) -> Option<u32> {
    Some(hours.min(365 * 24)).filter(|hours| *hours > 0)
}

/// `7`, `seven`, `a`.
pub fn count(word: &str) -> Option<u32> {
    const WORDS: [(&str, u32); 15] = [
        ("a", 1),
        ("an", 1),
        ("one", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("ten", 10),
        ("twelve", 12),
        ("fourteen", 14),
        ("thirty", 30),
    ];
    let named = WORDS.iter().find(|(name, _)| *name == word).map(|(_, n)| *n);
    named.or_else(|| word.parse().ok())
}

static CLOCK: Sign = LazyLock::new(|| {
    Regex::new(r"(?:^|[(\s])([01]?\d|2[0-3]):([0-5]\d)(?:\s*(?:-|–|—|to)\s*([01]?\d|2[0-3]):([0-5]\d))?").ok()
});

/// `08:00` and `08:00 - 08:30`: minutes of the day, start and end.
pub fn clock(text: &str) -> Option<(u32, Option<u32>)> {
    let found = CLOCK.as_ref()?.captures(text)?;
    let part = |n: usize| found.get(n).and_then(|part| part.as_str().parse::<u32>().ok());
    let end = part(3).zip(part(4)).map(|(hour, minute)| hour * 60 + minute);
    Some((part(1)? * 60 + part(2)?, end))
}

static LASTS: Sign = LazyLock::new(|| Regex::new(r"(?i)\s*\(\s*~?(\d{1,4})\s*(min|minute|hour|hr|h)s?\s*\)").ok());

/// `(30 min)`, `(2 hours)`: minutes.
pub fn lasts(text: &str) -> Option<u32> {
    let found = LASTS.as_ref()?.captures(text)?;
    let number: u32 = found[1].parse().ok()?;
    let minutes = if found[2].to_lowercase().starts_with('h') { number * 60 } else { number };
    (1..=7 * 24 * 60).contains(&minutes).then_some(minutes)
}

/// A title without the length that [`lasts`] reads: what an id is made of.
pub fn without_length(title: &str) -> String {
    match LASTS.as_ref() {
        Some(sign) if lasts(title).is_some() => sign.replace(title, "").into_owned(),
        _ => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lengths_are_read() {
        assert_eq!(clock("08:00 - Preparation Phase"), Some((480, None)));
        assert_eq!(clock("Before Migration (08:00 - 08:30)"), Some((480, Some(510))));
        assert_eq!(lasts("Preparation (30 min)"), Some(30));
        assert_eq!(lasts("Monitor (2 hours)"), Some(120));
        assert_eq!(lasts("no length"), None);
        assert_eq!(without_length("Phase 1: Backup (10 minutes)"), "Phase 1: Backup");
        assert_eq!(without_length("Backup (nightly)"), "Backup (nightly)");
    }

    #[test]
    fn what_comes_later_is_read_in_words_and_digits() {
        for (words, hours) in [
            ("First 24 Hours", 24),
            ("Immediate (First 2 Hours)", 2),
            ("First Week", 168),
            ("Delete rollback artifacts after 7 days", 168),
            ("After one week: drop `customers.address`", 168),
            ("Two weeks after the migration", 336),
            ("After 24–48 hours", 48),
            ("Next day", 24),
            ("After a month", 720),
            ("Keep it for the next two to three days", 72),
        ] {
            assert_eq!((after(words), due(words)), (Some(hours), Some(hours)), "{words}");
        }
        for (words, hours) in [
            ("7 days: delete the dump", 168),
            ("24-48 hours: look at the logs", 48),
            ("Drop the old table in two weeks", 336),
            ("Delete backups older than thirty days", 720),
            ("Tomorrow: tell the team", 24),
            ("**Day 8** remove it", 192),
        ] {
            assert_eq!((after(words), due(words)), (None, Some(hours)), "{words}");
        }
        for words in ["After Migration", "Update the ER diagram", "after the weekly report", "Update 3 tables daily"] {
            assert_eq!((after(words), due(words)), (None, None), "{words}");
        }
    }
}
