//! Known troubles of a guide: what they say, and the step they speak of, where that can be told.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::blocks::{Block, Kind};
use super::super::book::{Book, Step, Trouble, Verb};
use super::{Placer, objects};

/// A trouble as the guide tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    title: String,
    cause: Vec<String>,
    fix: Vec<String>,
    /// The last command of its fix.
    last: String,
    lines: Vec<usize>,
}

/// Words of errors, as databases and systems write them.
const ERRORS: [&str; 16] = [
    "already exists",
    "does not exist",
    "foreign key constraint",
    "duplicate key",
    "permission denied",
    "deadlock",
    "lock timeout",
    "statement timeout",
    "timed out",
    "timeout",
    "connection refused",
    "too many clients",
    "no space left",
    "disk full",
    "out of memory",
    "syntax error",
];
const CAUSES: [&str; 6] = ["cause", "problem", "symptom", "why", "error", "reason"];
const FIXES: [&str; 6] = ["solution", "fix", "resolution", "action", "remedy", "what to do"];
/// Words that name no step.
const NOISE: [&str; 22] = [
    "issue", "problem", "error", "errors", "fails", "fail", "failed", "failure", "if", "the", "a", "at", "during",
    "when", "after", "midway", "to", "is", "of", "and", "in", "step",
];
/// Steps that a trouble is written at, at most.
const STEPS: usize = 5;

impl Placer<'_> {
    /// A heading among troubles begins one, or says which part of one follows.
    pub(super) fn trouble_heading(&mut self, text: &str, line: usize) {
        let part = begins(text, &CAUSES) || begins(text, &FIXES);
        match self.told.last_mut().filter(|_| part) {
            Some(told) => {
                if begins(text, &FIXES) { &mut told.fix } else { &mut told.cause }.push(text.to_owned());
                told.lines.push(line);
            }
            None => self.told.push(Told { title: text.to_owned(), lines: vec![line], ..Told::default() }),
        }
    }

    /// What is said about a trouble.
    pub(super) fn trouble(&mut self, block: Block) {
        if block.kind == Kind::Row {
            let (title, rest) = block.text.split_once(" · ").unwrap_or((block.text.as_str(), ""));
            let (cause, fix) = rest.rsplit_once(" · ").unwrap_or(("", rest));
            let texts = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
            let (cause, fix): (Vec<String>, Vec<String>) = (texts(cause), texts(fix));
            return self.told.push(Told { title: title.into(), cause, fix, last: String::new(), lines: block.lines });
        }
        let Some(told) = self.told.last_mut() else { return };
        if let Kind::Code(_) = block.kind {
            let lines: Vec<&str> =
                block.lines.iter().filter_map(|n| self.lines.get(n - 1)).map(|line| line.trim_end()).collect();
            told.last = lines.last().map(|line| line.trim().to_owned()).unwrap_or_default();
            told.fix.push(lines.join("\n"));
        } else {
            let fixes = begins(&block.text, &FIXES)
                || !begins(&block.text, &CAUSES) && (!told.fix.is_empty() || block.kind != Kind::Paragraph);
            if fixes { &mut told.fix } else { &mut told.cause }.push(block.text);
        }
        told.lines.extend(block.lines);
    }
}

fn begins(text: &str, words: &[&str]) -> bool {
    let plain = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    words.iter().any(|word| plain.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

/// Writes each trouble at the steps it speaks of; the others are listed.
pub(super) fn attach(book: &mut Book, told: Vec<Told>) {
    for one in told.into_iter().filter(|one| !one.cause.is_empty() || !one.fix.is_empty()) {
        let trouble = Trouble {
            matching: matching(&one),
            cause: std::iter::once(&one.title).chain(&one.cause).cloned().collect::<Vec<_>>().join(". "),
            fix: one.fix.join("\n"),
            lines: one.lines.clone(),
        };
        let places = places(book, &one);
        if places.is_empty() {
            const WHY: &str = "a known trouble: which step it happens in cannot be told (`trouble`)";
            book.left.extend(one.lines.iter().map(|line| (*line, WHY.to_owned())));
        }
        for (plan, part, step) in places {
            let parts = if plan { &mut book.plans } else { &mut book.phases };
            if let Some(step) = parts.get_mut(part).and_then(|part| part.steps.get_mut(step)) {
                // The first that fits counts: those that fit any error come last.
                let last = step.trouble.iter().position(|known| known.matching.is_none());
                let at = last.filter(|_| trouble.matching.is_some()).unwrap_or(step.trouble.len());
                step.trouble.insert(at, trouble.clone());
            }
        }
    }
}

static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("[\"`“]([^\"`”]{6,80})[\"`”]").ok());

/// The words of the error, where the guide says them. None: any error.
fn matching(told: &Told) -> Option<String> {
    if let Some(found) = QUOTED.as_ref().and_then(|quoted| quoted.captures(&told.title)) {
        return Some(objects::pattern(&found[1]));
    }
    let text = format!("{}\n{}", told.title, told.cause.join("\n")).to_lowercase();
    ERRORS.iter().find(|words| text.contains(**words)).map(|words| format!("(?i){words}"))
}

/// A plan or a phase, which one, and which of its steps.
pub(super) type Place = (bool, usize, usize);

/// The steps that a trouble speaks of: by their number, by the program its fix ends with, by the words of its title, or by the
/// object that its error names.
fn places(book: &Book, told: &Told) -> Vec<Place> {
    let all = || {
        let parts = |plan: bool, parts: &'_ [_]| -> Vec<(Place, Step)> {
            let steps = parts.iter().enumerate().flat_map(|(n, part): (usize, &super::super::book::Part)| {
                part.steps.iter().enumerate().map(move |(at, step)| ((plan, n, at), step.clone()))
            });
            steps.collect()
        };
        let mut all = parts(false, &book.phases);
        all.extend(parts(true, &book.plans));
        all
    };
    let all: Vec<(Place, Step)> = all();
    let fits = |fit: &dyn Fn(&Step) -> bool| -> Vec<Place> {
        all.iter().filter(|(_, step)| fit(step)).map(|(place, _)| *place).take(STEPS).collect()
    };
    if let Some(number) = number(&told.title) {
        return fits(&|step| {
            std::iter::once(&step.title).chain(step.help.first()).any(|text| self::number(text) == Some(number.clone()))
        });
    }
    if let Some(file) = program(&told.last) {
        let found = fits(&|step| match &step.verb {
            Verb::Shell(text) => calls(text, file),
            Verb::Checklist(_) => step.help.iter().any(|text| text.contains('\n') && calls(text, file)),
            Verb::File(path) | Verb::Psql(path) => path == file,
            _ => false,
        });
        if !found.is_empty() {
            return found;
        }
    }
    let mut plain = told.title.to_lowercase();
    ERRORS.iter().for_each(|words| plain = plain.replace(words, " "));
    for words in [stems(&told.title), stems(&plain)] {
        let named = fits(&|step| words.len() > 1 && words.is_subset(&stems(&step.title)));
        if named.len() == 1 {
            return named;
        }
    }
    objects::place(book, &told.title).into_iter().collect()
}

static STEP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bstep\s+(\d+[a-z]?)\b").ok());

/// `Step 5a` of a title.
fn number(title: &str) -> Option<String> {
    Some(STEP.as_ref()?.captures(title)?[1].to_lowercase())
}

fn calls(script: &str, file: &str) -> bool {
    script.split_whitespace().any(|word| word.trim_start_matches("./") == file)
}

/// The first word of a command that names a file.
fn program(command: &str) -> Option<&str> {
    let file = |word: &&str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        word.starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '/')
            && name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && (2..=4).contains(&end.len()))
    };
    command.split_whitespace().find(file).map(|word| word.trim_start_matches("./"))
}

/// `adding` and `add`, `creating` and `create` are one.
fn stem(word: &str) -> &str {
    match word.strip_suffix("ing").filter(|stem| stem.len() > 2) {
        Some(stem) => stem,
        None => word.strip_suffix('e').filter(|stem| stem.len() > 4).unwrap_or(word),
    }
}

/// The words of a title that may name a step, cut to their beginnings.
fn stems(title: &str) -> BTreeSet<String> {
    let title = title.to_lowercase();
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty() && !NOISE.contains(word));
    words.map(|word| stem(word).chars().take(6).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_fix_is_its_file() {
        assert_eq!(program("./scripts/run.sh staging"), Some("scripts/run.sh"));
        assert_eq!(program("npx ts-node scripts/verify.ts"), Some("scripts/verify.ts"));
        assert_eq!(program("pm2 restart all"), None);
        assert_eq!(number("If Step 5a fails").as_deref(), Some("5a"));
    }

    #[test]
    fn the_words_of_an_error_are_what_it_is_known_by() {
        let told =
            |title: &str, cause: &str| Told { title: title.into(), cause: vec![cause.into()], ..Told::default() };
        assert_eq!(matching(&told("Creation fails", "Table already exists")).as_deref(), Some("(?i)already exists"));
        assert_eq!(
            matching(&told("Fails - \"Users (all) without XP\"", "")).as_deref(),
            Some("(?i)Users \\(all\\) without XP")
        );
        assert_eq!(matching(&told("It is odd", "nobody knows")), None);
    }
}
