//! What the words of a guide mean: what a heading is about, expectations, ticks.

use std::sync::LazyLock;

use regex::Regex;

use super::times;

/// What a part of a guide is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Prepare,
    Migrate,
    Verify,
    Monitor,
    Rollback,
    Trouble,
    /// Hours after the end; none where nobody says when.
    Followup(Option<u32>),
    Criteria,
    Roles,
    GoNoGo,
    /// When to go back.
    Reasons,
    /// Shows how such things are done; nothing of it is done here.
    Example,
    /// Its heading says nothing of what is to be done.
    Background,
    /// Its heading says that it explains, and so does all below it.
    Explains,
}

impl Topic {
    /// It holds for everything below its heading.
    fn holds(self) -> bool {
        !matches!(self, Self::Prepare | Self::Migrate | Self::Verify | Self::Monitor | Self::GoNoGo | Self::Background)
    }
}

const TOPICS: &[(Topic, &[&str])] = &[
    (Topic::Trouble, &["troubleshoot", "known issue", "known problem", "common issue", "common problem", "faq"]),
    (Topic::Example, &["mistake", "common pattern", "migration pattern", "migration types", "types of migration"]),
    (Topic::GoNoGo, &["go/no-go", "go / no-go", "no-go", "decision point"]),
    (Topic::Criteria, &["success criteria", "acceptance", "definition of done"]),
    (Topic::Roles, &["responsibilit", "roles", "who does what"]),
    (Topic::Rollback, &["rollback", "roll back", "restore", "revert", "back out", "backout"]),
    (
        Topic::Explains,
        &[
            "overview",
            "reference",
            "related",
            "background",
            "why ",
            "documentation",
            "best practice",
            "summary",
            "notes",
            "context",
        ],
    ),
    (Topic::Monitor, &["monitor", "observ", "watch"]),
    (Topic::Verify, &["verif", "validat", "test", "smoke", "post-", "after "]),
    (Topic::Prepare, &["pre-", "prereq", "prepar", "backup", "before", "safety", "checklist", "announce"]),
    (
        Topic::Migrate,
        &[
            "migrat", "execut", "appl", "run ", "deploy", "step", "phase", "fix", "remov", "drop", "stop", "start",
            "creat", "add", "clean", "align", "during",
        ],
    ),
];

/// Some topics hold for everything below their heading.
pub fn topic(heading: &str, above: Option<Topic>) -> Topic {
    let words = heading.to_lowercase();
    let when = times::after(&words);
    match above {
        // Below what comes later a time needs no `after`.
        Some(Topic::Followup(above)) => return Topic::Followup(times::due(&words).or(above)),
        Some(Topic::Rollback) if has(&WHEN_BACK, &words) => return Topic::Reasons,
        // A list to tick off is one even among advice.
        Some(topic) if topic.holds() => return topic,
        _ => {}
    }
    if when.is_some() || has(&FOLLOWING, &words) {
        return Topic::Followup(when);
    }
    if has(&WHEN_BACK, &words) {
        return Topic::Reasons;
    }
    let found = TOPICS.iter().find(|(_, signs)| signs.iter().any(|sign| words.contains(sign))).map(|(topic, _)| *topic);
    match found {
        // To try the way back is not the way back.
        Some(Topic::Rollback) if words.contains("test") => Topic::Verify,
        Some(Topic::Rollback) => Topic::Rollback,
        _ if has(&FAILING, &words) => Topic::Trouble,
        _ if has(&EXAMPLE, &words) => Topic::Example,
        Some(topic) => topic,
        None => above.unwrap_or(Topic::Background),
    }
}

fn has(sign: &LazyLock<Option<Regex>>, words: &str) -> bool {
    sign.as_ref().is_some_and(|sign| sign.is_match(words))
}

static FOLLOWING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(next steps?|follow[- ]?ups?|documentation to (generate|write|update)|clean[- ]?up later)\b").ok()
});
static WHEN_BACK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(when to roll ?back|roll ?back (triggers?|criteria|conditions?))\b").ok());
static FAILING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\bif\b.*\b(fails?|failed|goes wrong|breaks)\b").ok());
// A name such as `example.com` shows nothing.
static EXAMPLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\bexamples?(?:$|[^.\w])").ok());

/// True for words that say what an answer should be.
pub fn expects(text: &str) -> bool {
    let words = text.trim_start_matches(['*', '-', '#', ' ', '_']).to_lowercase();
    ["expected", "should return", "should be", "expect:"].iter().any(|sign| words.starts_with(sign))
}

static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^[*\-#_\s]*expect(?:ed)?(?:\s+(?:results?|output|value|count))?\s*[:=]?[*_\s]*[:=]\s*[*_\s]*(\d{1,15})\s*(rows?\b)?\s*(.*)$").ok()
});

/// `Expected: 43` and `Expected Result: 3 rows` as an expression. None where no certain number can be read.
pub fn expectation(text: &str) -> Option<String> {
    let found = NUMBER.as_ref()?.captures(text.trim())?;
    let rest = found[3].trim_start_matches(['*', '_']);
    // `5-10`, `100ms`, `4/4`, `100%`, `3 or 4` are no certain number of a cell.
    let certain = rest.is_empty()
        || rest.starts_with(['(', ',', ';', '.', '✅']) && !rest.starts_with(|c: char| c.is_ascii_digit());
    let certain = certain && !rest.starts_with(".0") && !rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    let fact = if found.get(2).is_some() { "rows" } else { "value" };
    certain.then(|| format!("{fact} == {}", &found[1]))
}

/// The text without the marks that say "done" in advance. The second: there were some.
pub fn unticked(text: &str) -> (String, bool) {
    let mut rest = text.trim().to_owned();
    let mut ticked = false;
    for (mark, done) in [
        ("✅ YES", true),
        ("✅", true),
        ("☑", true),
        ("✔", true),
        ("✓", true),
        ("❓", false),
        ("❌", false),
        ("⬜", false),
    ] {
        if rest.contains(mark) {
            rest = rest.replace(mark, " ").replace('\u{fe0f}', "");
            ticked |= done;
        }
    }
    (rest.split_whitespace().collect::<Vec<_>>().join(" "), ticked)
}

/// True for a paragraph whose list tells what something does or why, and asks for nothing: `This will create:`, `Why X?`.
pub fn tells(text: &str) -> bool {
    static WILL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\w+ (will|would|does)\b[^.]*:$").ok());
    let words = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    words.starts_with("why ") && words.ends_with(['?', ':']) || has(&WILL, &words)
}

/// True for a decision that a guide has taken in advance.
pub fn decided(text: &str) -> bool {
    let words = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    words.starts_with("decision:") && words.split(|c: char| !c.is_alphanumeric()).any(|word| word == "go")
}

/// True for words over what is not to be done: `BAD: …`, `❌ …`, `DON'T do this`.
pub fn is_warning(text: &str) -> bool {
    const SIGNS: [&str; 4] = ["bad:", "wrong:", "anti-pattern", "bad example"];
    const NEVER: [&str; 3] = ["don't do ", "do not do ", "never do "];
    let crossed = text.trim_start().starts_with(['❌', '✗', '🚫']);
    let plain = text.replace('’', "'").to_lowercase();
    let plain = plain.trim_start_matches(|c: char| !c.is_alphanumeric());
    crossed || SIGNS.iter().chain(&NEVER).any(|start| plain.starts_with(start))
}

/// True for words over how it is done instead.
pub fn is_advice(text: &str) -> bool {
    let plain = text.to_lowercase();
    let plain = plain.trim_start_matches(|c: char| !c.is_alphanumeric());
    text.trim_start().starts_with('✅')
        || ["good:", "good example", "do this", "instead"].iter().any(|start| plain.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_no_work() {
        for text in
            ["BAD: Fails if table has existing rows", "❌ all at once", "DON’T do this directly:", "⚠️ Wrong: no lock"]
        {
            assert!(is_warning(text), "{text}");
        }
        for text in ["GOOD: in batches", "Don't delete the backup", "✅ Safe", "badges", "Do this first"] {
            assert!(!is_warning(text), "{text}");
        }
        for text in ["GOOD: in batches", "✅ LOW RISK", "DO this (safe approach):", "Instead, use batches"] {
            assert!(is_advice(text), "{text}");
        }
    }

    #[test]
    fn headings_say_what_is_not_done() {
        assert_eq!(topic("Next Steps", None), Topic::Followup(None));
        assert_eq!(topic("First Week", Some(Topic::Followup(None))), Topic::Followup(Some(168)));
        assert_eq!(topic("Complete Migration Script Example", Some(Topic::Migrate)), Topic::Example);
        assert_eq!(topic("Move example.com to the new host", None), Topic::Background);
        assert_eq!(topic("5. Rollback Plan", Some(Topic::Explains)), Topic::Explains);
        assert_eq!(topic("If the copy fails", None), Topic::Trouble);
        assert_eq!(topic("Step 5a: If Migration Failed - Restore Backup", None), Topic::Rollback);
        assert_eq!(topic("When to Rollback", Some(Topic::Rollback)), Topic::Reasons);
    }

    #[test]
    fn only_certain_numbers_are_expected() {
        assert_eq!(expectation("Expected: 52").as_deref(), Some("value == 52"));
        assert_eq!(expectation("-- Expected: 3 (all columns present)").as_deref(), Some("value == 3"));
        assert_eq!(expectation("**Expected Result:** 7 rows").as_deref(), Some("rows == 7"));
        for vague in
            ["Expected: 5-10", "Expected: 100ms", "Expected: 4/4", "Expected: few", "Expected: 1.5", "Expected: 100%"]
        {
            assert_eq!(expectation(vague), None, "{vague}");
        }
    }

    #[test]
    fn ticks_are_dropped() {
        assert_eq!(unticked("❓ Backups there? ✅ YES"), ("Backups there?".into(), true));
        assert_eq!(unticked("Team told"), ("Team told".into(), false));
    }
}
