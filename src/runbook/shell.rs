//! Which variables a shell script needs from outside: those that it expands and nothing in it sets.
//!
//! This reads no more of a shell than it is sure of: where a script may set what it likes (`eval`, `source`), nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What every command is given by gonogo; `LC_*` and `GONOGO_*` as well.
const GIVEN: &[&str] = &["PATH", "HOME", "USER", "LANG", "TZ", "SHELL", "TMPDIR", "TERM"];
/// What bash sets by itself; `BASH*` as well.
const OWN: &[&str] = &[
    "_",
    "COLUMNS",
    "COMP_WORDS",
    "COPROC",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LINENO",
    "LINES",
    "MACHTYPE",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PS4",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
];

type Sign = LazyLock<Option<Regex>>;

/// Words behind which a script is no longer what stands there.
static UNSURE: Sign = LazyLock::new(|| {
    Regex::new(r"(?m)(?:^|[\s;&|(!`{])(?:eval|source|alias|\.|set\s+\+\S*u\S*|set\s+\+o\s+nounset|declare\s+-\S*n|local\s+-\S*n)(?:\s|$)|\$\{!|\{%").ok()
});
static SET: Sign = LazyLock::new(|| Regex::new(r#"(?m)(?:^|[\s;(&|{!`"'])([A-Za-z_]\w*)(?:\[[^\]\n]*\])?\+?="#).ok());
/// Commands whose words name variables.
static NAMING: Sign = LazyLock::new(|| {
    Regex::new(r"\b(for|select|read|local|declare|typeset|export|readonly|mapfile|readarray|getopts|coproc|wait|unset)\s([^\n;|&<]*)|-v\s+([A-Za-z_]\w*)").ok()
});
static BARE: Sign = LazyLock::new(|| Regex::new(r"(?:^|\s)([A-Za-z_]\w*)").ok());
/// `(( n = 1 ))`, `$(( n++ ))`
static COUNTED: Sign =
    LazyLock::new(|| Regex::new(r"([A-Za-z_]\w*)\s*(?:[-+*/%&|^]|<<|>>)?(?:=|\+\+|--)|(?:\+\+|--)([A-Za-z_]\w*)").ok());

/// The variables that a script of bash expands without a default and that neither it nor gonogo sets, each with the bytes of
/// its first use. Nothing where that is not sure. Templates (`{{ … }}`) are looked over.
pub fn unset(script: &str) -> BTreeMap<String, Range<usize>> {
    let script = bare(script);
    let unsure = UNSURE.as_ref().is_none_or(|sign| sign.is_match(&script));
    // A `)` of `case` within `$( … )` would end it too early.
    if unsure || script.contains("case ") && (script.contains("$(") || script.contains('`')) {
        return BTreeMap::new();
    }
    let mut reader =
        Reader { text: &script, at: 0, uses: BTreeMap::new(), guarded: BTreeSet::new(), bodies: Vec::new() };
    if reader.read(&mut vec![Mode::Plain]).is_none() {
        return BTreeMap::new();
    }
    let (mut uses, guarded) = (reader.uses, reader.guarded);
    let set = named(&script);
    uses.retain(|name, _| !guarded.contains(name) && !set.contains(name) && !is_given(name));
    uses
}

/// True for what a command finds in its environment without a word.
pub fn is_given(name: &str) -> bool {
    GIVEN.contains(&name)
        || OWN.contains(&name)
        || ["LC_", "GONOGO_", "BASH"].iter().any(|start| name.starts_with(start))
}

/// The script with every template made blank, byte for byte.
fn bare(script: &str) -> String {
    let mut out = script.replace("{% raw %}", "         ").replace("{% endraw %}", "            ");
    let mut from = 0;
    while let Some(open) = out.get(from..).and_then(|rest| rest.find("{{")).map(|at| from + at) {
        let Some(end) = out[open..].find("}}").map(|at| open + at + 2) else { break };
        out.replace_range(open..end, &".".repeat(end - open));
        from = end;
    }
    out
}

/// Names that anything in the script may set.
fn named(script: &str) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let first = |sign: &Sign, text: &str| -> Vec<String> {
        let found = sign.iter().flat_map(|sign| sign.captures_iter(text));
        found.filter_map(|found| found.iter().skip(1).flatten().next().map(|name| name.as_str().to_owned())).collect()
    };
    all.extend(first(&SET, script));
    for found in NAMING.iter().flat_map(|sign| sign.captures_iter(script)) {
        let words = found.get(2).map_or("", |words| words.as_str());
        let names = first(&BARE, words);
        let many = !matches!(found.get(1).map(|word| word.as_str()), Some("for" | "select"));
        all.extend(names.into_iter().take(if many { usize::MAX } else { 1 }));
        all.extend(found.get(3).map(|name| name.as_str().to_owned()));
    }
    for (at, _) in script.match_indices("((") {
        let inner = &script[at + 2..];
        all.extend(first(&COUNTED, inner.split_once("))").map_or(inner, |(inner, _)| inner)));
    }
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Commands: quotes and comments count.
    Plain,
    /// `$( … )`: the depth of brackets in it.
    Inside(u32),
    Double,
    /// `` ` … ` ``
    Ticks,
    /// `${NAME… }`. True: it stands in double quotes. The second: its text is a default, which may never be expanded.
    Brace(bool, bool),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    uses: BTreeMap<String, Range<usize>>,
    /// Names that somewhere have a default: the script knows that they may be missing.
    guarded: BTreeSet<String>,
    /// Here-documents that begin on the next line: their marks, and whether their text is expanded.
    bodies: Vec<(String, bool)>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) {
        self.at += self.rest().chars().next().map_or(1, char::len_utf8);
    }

    /// None: it does not end as it should, and was not understood.
    fn read(&mut self, modes: &mut Vec<Mode>) -> Option<()> {
        while let Some(c) = self.rest().chars().next() {
            let mode = *modes.last()?;
            let quoted = matches!(mode, Mode::Double | Mode::Brace(true, _));
            match c {
                '\\' => {
                    self.step();
                    self.step();
                }
                '$' => self.dollar(modes),
                '\'' if !quoted => self.at += self.rest()[1..].find('\'')? + 2,
                '"' => {
                    match mode {
                        Mode::Double => drop(modes.pop()),
                        _ => modes.push(Mode::Double),
                    }
                    self.step();
                }
                '`' => {
                    match mode {
                        Mode::Ticks => drop(modes.pop()),
                        _ if modes.contains(&Mode::Ticks) => return None,
                        _ => modes.push(Mode::Ticks),
                    }
                    self.step();
                }
                '}' if matches!(mode, Mode::Brace(..)) => {
                    modes.pop();
                    self.step();
                }
                '(' | ')' if matches!(mode, Mode::Inside(_)) => self.bracket(c, modes),
                '#' if !quoted && self.begins_word() => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '<' if !quoted && self.rest().starts_with("<<") => self.here()?,
                '\n' if !quoted && !self.bodies.is_empty() => self.skip_bodies()?,
                _ => self.step(),
            }
        }
        (modes.as_slice() == [Mode::Plain] && self.bodies.is_empty()).then_some(())
    }

    fn begins_word(&self) -> bool {
        let before = self.text[..self.at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || ";&|(`".contains(c))
    }

    fn bracket(&mut self, c: char, modes: &mut Vec<Mode>) {
        if let Some(Mode::Inside(depth)) = modes.last_mut() {
            match (c, *depth) {
                ('(', _) => *depth += 1,
                (_, 0) => drop(modes.pop()),
                (_, _) => *depth -= 1,
            }
        }
        self.step();
    }

    /// What stands behind a `$`.
    fn dollar(&mut self, modes: &mut Vec<Mode>) {
        let quoted = matches!(modes.last(), Some(Mode::Double | Mode::Brace(true, _)));
        let rest = self.rest();
        if rest.starts_with("$(") {
            modes.push(Mode::Inside(0));
            self.at += 2;
        } else if rest.starts_with("$'") && !quoted {
            self.at += 2;
            self.ansi();
        } else if let Some(inner) = rest.strip_prefix("${") {
            let counts = inner.starts_with('#');
            let name = name_at(inner.trim_start_matches('#')).to_owned();
            let start = self.at + 2 + usize::from(counts && !name.is_empty());
            let after = self.text.get(start + name.len()..).unwrap_or_default();
            let spared = after.strip_prefix(':').unwrap_or(after).starts_with(['-', '=', '+']);
            if !name.is_empty() {
                if spared { _ = self.guarded.insert(name.clone()) } else { self.used(&name, start, modes) }
            }
            // `${@:2}`, `${?}` and their like: what they are does not matter.
            self.at = start + name.len();
            modes.push(Mode::Brace(quoted, spared));
        } else {
            let name = name_at(&rest[1..]).to_owned();
            self.used(&name, self.at + 1, modes);
            self.at += 1 + name.len();
            // `$#`, `$$`, `$?`: the sign is no comment and no second dollar.
            if name.is_empty() && self.rest().starts_with(['$', '#', '?', '!', '*', '@', '-']) {
                self.at += 1;
            }
        }
    }

    fn used(&mut self, name: &str, start: usize, modes: &[Mode]) {
        let spared = modes.iter().any(|mode| matches!(mode, Mode::Brace(_, true)));
        if !name.is_empty() && !spared {
            self.uses.entry(name.to_owned()).or_insert(start - 1..start + name.len());
        }
    }

    /// The inside of `$'…'`.
    fn ansi(&mut self) {
        while let Some(c) = self.rest().chars().next() {
            self.step();
            match c {
                '\\' => self.step(),
                '\'' => return,
                _ => {}
            }
        }
    }

    /// `<<MARK`, `<<-'MARK'`; `<<<` is a word.
    fn here(&mut self) -> Option<()> {
        if self.rest().starts_with("<<<") {
            self.at += 3;
            return Some(());
        }
        let rest = self.rest()[2..].trim_start_matches('-').trim_start_matches([' ', '\t']);
        // `$(( 1 << 3 ))` is no document.
        let end = rest.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c)).unwrap_or(rest.len());
        let mark = rest[..end].replace(['\'', '"', '\\'], "");
        let plain = mark.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let expanded = mark.len() == end;
        let behind = self.text.len() - rest.len() + end;
        if !plain {
            return None;
        }
        self.bodies.push((mark, expanded));
        self.at = behind;
        Some(())
    }

    fn skip_bodies(&mut self) -> Option<()> {
        self.step();
        for (mark, expanded) in std::mem::take(&mut self.bodies) {
            let start = self.at;
            loop {
                let line = self.rest().split_inclusive('\n').next()?;
                let ends = line.trim() == mark;
                let body = start..self.at;
                self.at += line.len();
                if ends {
                    // Expanded as within double quotes, where a quote is a letter.
                    let text = self.text[body.clone()].replace('"', " ");
                    if expanded {
                        self.body(&text, body.start)?;
                    }
                    break;
                }
            }
        }
        // The line's end behind the last mark begins the next line.
        self.at -= usize::from(self.text[..self.at].ends_with('\n') && self.at > 0);
        Some(())
    }

    fn body(&mut self, text: &str, offset: usize) -> Option<()> {
        if text.contains("$(") || text.contains('`') {
            return None;
        }
        let guarded = std::mem::take(&mut self.guarded);
        let mut inner = Reader { text, at: 0, uses: BTreeMap::new(), guarded, bodies: Vec::new() };
        // Quotes do not count in it: the closing one is missing by intent.
        let mut modes = vec![Mode::Plain, Mode::Double];
        _ = inner.read(&mut modes);
        self.guarded = inner.guarded;
        for (name, at) in inner.uses {
            self.uses.entry(name).or_insert(at.start + offset..at.end + offset);
        }
        (modes == [Mode::Plain, Mode::Double]).then_some(())
    }
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

#[cfg(test)]
mod tests;
