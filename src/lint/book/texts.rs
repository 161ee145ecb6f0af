//! Rules about words: what was left open, what is ticked in advance, what says nothing.

use std::sync::LazyLock;

use regex::Regex;

use crate::lint::desk::{Desk, Part, Spot};
use crate::lint::rule::Rule;
use crate::runbook::{Seg, Verb};

pub(super) static RULES: &[&Rule] = &[&PLACEHOLDER, &OPEN_WORDS, &TICKED, &VAGUE, &MOJIBAKE];

static PLACEHOLDER: Rule = Rule::error(
    "placeholder-in-command",
    "a placeholder that nobody has filled in is sent as it stands",
    "write the value, or make it a variable of [vars] and {{ name }}",
);
static OPEN_WORDS: Rule = Rule::warning(
    "placeholder-in-words",
    "a text for people still holds a placeholder: nobody knows in the night what was meant",
    "write it out, or make it a variable; what is only known then is asked: { ask = \"…\", answer = \"required\" }",
);
static TICKED: Rule = Rule::error(
    "checklist-ticked-in-advance",
    "a box that comes ticked, or a result that was made up, is no check",
    "write the plain question; a person ticks it, and the journal has who and when",
);
static VAGUE: Rule = Rule::warning(
    "expectation-without-number",
    "minimal, normal, stable, not spiking: two people will answer differently, and neither is wrong",
    "write the number, or better: measure it with a probe or a `sql` step and `expect`; or ask for the value in words",
);
static MOJIBAKE: Rule = Rule::warning(
    "text-decoded-wrongly",
    "the text was read in the wrong encoding once: signs are double, and commands may be broken by it",
    "convert the source anew, as UTF-8",
);

/// Keys whose texts are sent to a machine, not to a person.
const SENT: &[&str] = &[
    "sql",
    "file",
    "run",
    "shell",
    "url",
    "http",
    "webhook",
    "command",
    "probe",
    "cleanup",
    "query",
    "path",
    "set",
    "where",
    "complete",
    "body",
    "produces",
    "prometheus",
];
/// Keys that may hold anything: explanations, patterns.
const FREE: &[&str] = &["help", "reason", "cause", "fix", "match", "matching", "of"];

const PLACES: &str = r"(?x)
      \b(?:TODO|FIXME|TBD)\b | \bXXX(?:$|[^-\w])
    | \b(?:CHANGE[_-]?ME|REPLACE[_-]?ME|FILL[_-]?ME)\b | \bchange[_-]me\b | \bchangeme\b
    | \b(?:YOUR|your)[-_](?:[A-Za-z0-9]+)
    | (?:^|[\s'\x22=@/:])\[(?:the\x20)?(?:previous[\x20-])?(?:commit|commit[\x20-]hash|uuid|name|date|url|host|version|branch|tag|user|table|id)\]
    | (?:^|[\s'\x22=@/:])<(?:[a-z0-9]+[_\x20-])*(?:host|hostname|name|user|username|password|commit|hash|uuid|id|url|path|date|time|version|table|database|db|key|token|branch|tag|file|dir|folder|email|bucket|project|server|port|number|value)>";

static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PLACES).ok());

pub(super) fn check(desk: &Desk<'_>) {
    for (path, text) in desk.texts_of_book() {
        let keys: Vec<&str> = path.iter().filter_map(name).collect();
        let spot = Spot { path: path.clone(), file: None, part: None };
        if MARKS.iter().any(|mark| text.contains(mark)) {
            desk.note(&MOJIBAKE, &desk.subject(&path), &spot, "signs that stand for one wrongly decoded letter");
        }
        let free = keys.iter().any(|key| FREE.contains(key)) || keys.first().is_some_and(|key| *key == "waive");
        let sent = keys.iter().any(|key| SENT.contains(key)) && !keys.contains(&"text");
        if !free && !text.starts_with("env:") {
            placeholder(desk, &spot, &without_comments(&text, sent), sent);
        }
    }
    for (path, text) in desk.files_of_book() {
        let spot = Spot { path: Vec::new(), file: Some(path.clone()), part: None };
        placeholder(desk, &spot, &without_comments(text, true), true);
    }
    checklists(desk);
}

fn name(seg: &Seg) -> Option<&str> {
    match seg {
        Seg::Key(key) => Some(key),
        Seg::Name(name) => Some(name),
        Seg::Nth(_) => None,
    }
}

/// What UTF-8 reads like in Windows-1252.
const MARKS: &[&str] = &["â€", "Ã¤", "Ã¶", "Ã¼", "Ã©", "Ã¨", "ðŸ", "âœ", "â†", "Â°", "Â "];

/// SQL and shell with the lines that are comments blanked out, byte for byte.
fn without_comments(text: &str, sent: bool) -> String {
    if !sent {
        return text.to_owned();
    }
    let blank = |line: &str| {
        let comment = line.trim_start().starts_with("--") || line.trim_start().starts_with('#');
        let end = if comment { 0 } else { line.find(" -- ").unwrap_or(line.len()) };
        let rest: String = line[end..].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        format!("{}{rest}", &line[..end])
    };
    text.split_inclusive('\n').map(blank).collect()
}

fn placeholder(desk: &Desk<'_>, spot: &Spot, text: &str, sent: bool) {
    let Some(found) = PLACE.as_ref().and_then(|pattern| pattern.find(text)) else { return };
    let lead = found.as_str().find(['<', '[']).unwrap_or(0);
    let word = &found.as_str()[lead..];
    let rule = if sent { &PLACEHOLDER } else { &OPEN_WORDS };
    let spot = spot.part(found.start() + lead..found.end());
    desk.note(rule, &desk.subject(&spot.path), &spot, format!("`{word}` is a placeholder"));
}

const TICKS: &[&str] = &["[x]", "[X]", "✅", "☑", "✔", "(simulated)", "(done)"];
const VAGUE_WORDS: &[&str] = &[
    "minimal",
    "normal",
    "stable",
    "acceptable",
    "reasonable",
    "not spiking",
    "no spikes",
    "as expected",
    "looks good",
    "look good",
    "healthy",
];

fn checklists(desk: &Desk<'_>) {
    for act in &desk.acts {
        // Undos and their like are called after their step.
        let own = matches!(act.part, Part::Forward | Part::Plan(_));
        if let Some(tick) = TICKS.iter().find(|tick| own && act.step.title.contains(**tick)) {
            desk.step(&TICKED, act, &act.spot("title"), format!("`{tick}`: the answer stands before the question"));
        }
        let Verb::Checklist(items) = &act.step.verb else { continue };
        for (n, item) in items.iter().enumerate() {
            let mut spot = act.verb();
            spot.path.push(Seg::Nth(n));
            if item.answer_required {
                spot.path.push(Seg::Key("ask"));
            }
            if let Some(tick) = TICKS.iter().find(|tick| item.ask.contains(**tick)) {
                desk.step(&TICKED, act, &spot, format!("`{tick}`: this is answered before anybody has looked"));
            }
            let numbered = item.ask.chars().any(|c| c.is_ascii_digit());
            if let Some(word) = vague(&item.ask).filter(|_| !item.answer_required && !numbered) {
                desk.step(&VAGUE, act, &spot, format!("what is `{word}`?"));
            }
        }
    }
    for (n, followup) in desk.book.followups.iter().enumerate() {
        for (m, item) in followup.checklist.iter().enumerate() {
            if let Some(tick) = TICKS.iter().find(|tick| item.contains(**tick)) {
                let mut spot = desk.spot(&[Seg::Key("followup"), Seg::Nth(n)], "checklist");
                spot.path.push(Seg::Nth(m));
                desk.note(&TICKED, &Default::default(), &spot, format!("`{tick}`: this is answered in advance"));
            }
        }
    }
}

fn vague(text: &str) -> Option<&'static str> {
    let text = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
    VAGUE_WORDS.iter().find(|word| text.contains(&format!(" {word} "))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_what_looks_like_them() {
        let pattern = PLACE.as_ref().unwrap();
        for open in [
            "git checkout <commit>",
            "[previous commit]",
            "https://<your-host>/x",
            "TODO: ask",
            "your-database",
            "CHANGE_ME",
        ] {
            assert!(pattern.is_match(open), "{open}");
        }
        for fine in [
            "select a<b and c>d",
            "sort <in >out",
            "GOAL-XXXXXX",
            "select parts[id]",
            "${names[user]}",
            "mktemp XXXXXXXX",
            "a[1]",
            "todos",
            "(?P<name>x)",
        ] {
            assert!(!pattern.is_match(fine), "{fine}");
        }
    }

    #[test]
    fn vague_words_are_words() {
        assert_eq!(vague("Load is normal"), Some("normal"));
        assert_eq!(vague("Tables are normalised"), None);
    }
}
