//! The lines of a `sqitch.plan`.

use std::ops::Range;

use super::{Say, Stamp};

/// What the plan holds.
pub(super) struct Plan {
    pub project: String,
    pub uri: Option<String>,
    pub lines: Vec<Line>,
}

/// A change or a tag.
pub(super) struct Line {
    /// Its bytes in the file.
    pub at: Range<usize>,
    pub named: Named,
    pub stamp: Stamp,
}

pub(super) enum Named {
    Change {
        name: String,
        needs: Vec<Need>,
    },
    /// With its `@`.
    Tag(String),
}

/// `name`, `name@tag`, `@tag`, `project:name`; with `!` before it a conflict.
pub(super) struct Need {
    pub conflicts: bool,
    pub project: Option<String>,
    pub change: Option<String>,
    pub tag: Option<String>,
}

impl Need {
    /// As ids and the registry have it.
    pub fn words(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!("@{tag}"));
        format!("{}{}", self.change.as_deref().unwrap_or_default(), tag.unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let (conflicts, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (project, text) = match text.split_once(':') {
            Some((project, rest)) => (Some(project), rest),
            None => (None, text),
        };
        let (change, tag) = match text.split_once('@') {
            Some((change, tag)) => (Some(change).filter(|change| !change.is_empty()), Some(tag)),
            None => (Some(text), None),
        };
        let good = [project, change, tag].into_iter().flatten().all(is_name);
        let own = |part: Option<&str>| part.map(str::to_owned);
        good.then(|| Self { conflicts, project: own(project), change: own(change), tag: own(tag) })
    }
}

/// What belongs to sqitch's own grammar and is not followed here.
const LET: &str = "let sqitch do it: run = [\"sqitch\", \"deploy\", \"--verify\"] with connect = \"…\"";
const SHAPE: &str = "as sqitch writes it: NAME [REQUIRED] 2026-03-14T10:00:00Z PLANNER <ADDRESS> # note";

/// None: it has no project. Whatever is wrong is said with its line.
pub(super) fn parse(text: &str, say: &mut Say<'_>) -> Option<Plan> {
    let (mut project, mut uri, mut lines) = (None, None, Vec::new());
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let raw = whole.trim_end_matches(['\r', '\n']);
        let at = start..start + raw.len();
        start += whole.len();
        let (line, note) = raw.split_once('#').unwrap_or((raw, ""));
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(pragma) = line.strip_prefix('%') {
            let (key, value) = pragma.split_once('=').unwrap_or((pragma, ""));
            match (key.trim(), value.trim()) {
                ("project", name) if is_name(name) => project = Some(name.to_owned()),
                ("project", name) => say(at, format!("`{name}` is not the name of a project"), SHAPE),
                ("uri", address) if is_canonical(address) => uri = Some(address.to_owned()),
                ("uri", address) => {
                    say(at, format!("`{address}` may be read in several ways, and every id is made of it"), LET);
                }
                _ => {}
            }
            continue;
        }
        match entry(line) {
            Ok((named, stamp)) => lines.push(Line { at, named, stamp: Stamp { note: unescaped(note), ..stamp } }),
            Err((message, hint)) => say(at, message, hint),
        }
    }
    if project.is_none() {
        say(0..0, "there is no line %project=NAME".to_owned(), "this is the plan of no project");
    }
    project.map(|project| Plan { project, uri, lines })
}

/// A line without its note. Err: message and hint.
fn entry(line: &str) -> Result<(Named, Stamp), (String, &'static str)> {
    let wrong = |message: String| (message, SHAPE);
    let line = match line.strip_prefix('+') {
        Some(rest) => rest.trim_start(),
        None if line.starts_with('-') => return Err(("a plan that takes back is not followed".to_owned(), LET)),
        None => line,
    };
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let (needs, rest) = match rest.strip_prefix('[') {
        Some(open) => open.split_once(']').ok_or_else(|| wrong("`[` without `]`".to_owned()))?,
        None => ("", rest),
    };
    let (at, planner) = rest.trim_start().split_at_checked(20).unwrap_or(("", ""));
    if !is_time(at) {
        return Err(wrong(format!("`{name}` has no time")));
    }
    let planner = planner.trim_start().strip_suffix('>').and_then(|planner| planner.split_once('<'));
    let Some((person, email)) = planner.filter(|(person, email)| !person.trim().is_empty() && !email.is_empty()) else {
        return Err(wrong(format!("`{name}` has no planner")));
    };
    // One blank stands between the name and the address; more belong to the name.
    let person = person.strip_suffix([' ', '\t']).unwrap_or(person).to_owned();
    let stamp = Stamp { at: at.to_owned(), name: person, email: email.to_owned(), note: String::new() };
    let plain = name.strip_prefix('@').unwrap_or(name);
    if !is_name(plain) {
        return Err(wrong(format!("`{name}` is not a name")));
    }
    if name.starts_with('@') {
        return Ok((Named::Tag(name.to_owned()), stamp));
    }
    let needs = needs.split_whitespace().map(|need| {
        let found = Need::parse(need).filter(|need| !is_relative(need));
        found.ok_or_else(|| (format!("`{need}` names no change in a way that is followed here"), LET))
    });
    Ok((Named::Change { name: name.to_owned(), needs: needs.collect::<Result<_, _>>()? }, stamp))
}

/// `@HEAD`, `@ROOT`, or the id of a change.
fn is_relative(need: &Need) -> bool {
    let tag = need.tag.as_deref().is_some_and(|tag| ["HEAD", "ROOT"].contains(&tag));
    let id = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    tag || need.change.as_deref().is_some_and(id)
}

/// A name of sqitch: without blanks, `@`, `:`, `#` and backslashes, and without punctuation around it. As it is part of a
/// path, no part of it is hidden or leads upwards.
fn is_name(text: &str) -> bool {
    let punctuation = |c: char| c.is_ascii_punctuation() && c != '_';
    !text.is_empty()
        && !text.starts_with(punctuation)
        && !text.ends_with(punctuation)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ['@', ':', '#', '\\'].contains(&c))
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// `2026-03-14T10:00:00Z`
fn is_time(text: &str) -> bool {
    let format = "0000-00-00T00:00:00Z";
    let fits = |(is, should): (char, char)| if should == '0' { is.is_ascii_digit() } else { is == should };
    text.len() == format.len()
        && text.chars().zip(format.chars()).all(fits)
        && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// An address that has one form only: sqitch brings others into another one before it makes ids of them.
fn is_canonical(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let low = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !scheme.is_empty()
        && scheme.chars().all(low)
        && !host.is_empty()
        && host.chars().all(|c| low(c) || c == '.' || c == '-')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
}

/// A note in one line, with its breaks.
fn unescaped(note: &str) -> String {
    let mut text = String::new();
    let mut chars = note.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('\\', Some('\\')) => Some('\\'),
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('r')) => Some('\r'),
            _ => None,
        };
        match meant {
            Some(meant) => {
                chars.next();
                text.push(meant);
            }
            None => text.push(c),
        }
    }
    text
}
