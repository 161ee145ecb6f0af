//! Text of a server without the values it quotes: by the names of columns it says, by its code, by what the step sent.

use std::sync::LazyLock;

use regex::Regex;

use super::MARK;
use crate::run::answers;

/// Errors whose detail is a whole row: of NOT NULL, of CHECK, of a view's check option.
const OF_A_ROW: &[&str] = &["23502", "23514", "44000"];
/// Errors that quote a name which a value may have become (`email::regclass`): of names and schemas, of what a server
/// cannot do, of databases and files; and SQLite's only code for all of them.
const OF_A_NAME: &[&str] = &["42", "0A", "3D", "3F", "58"];
const SQLITE_ERROR: &str = "1";
/// SQLite's words of a file it was given by a query: it stands in no quotes.
const UNOPENED: &str = "unable to open database: ";
/// Where text of a statement that the runbook does not hold begins: dynamic SQL, the place inside a function.
const BEHIND: &[(&str, &str)] = &[("CONTEXT: ", ""), ("QUERY: ", ""), ("SQL statement \"", "\"")];
/// Opening quotes of any language a server speaks, and what closes each; either way round in some.
const QUOTES: &[(char, &[char])] = &[
    ('"', &['"']),
    ('\'', &['\'']),
    ('`', &['`', '\'']),
    ('»', &['«', '»']),
    ('«', &['»', '«']),
    ('›', &['‹', '›']),
    ('‹', &['›', '‹']),
    ('„', &['“', '”', '„']),
    ('“', &['”', '“']),
    ('”', &['”', '“']),
    ('‚', &['‘', '’']),
    ('‘', &['’', '‘']),
    ('’', &['’']),
    ('「', &['」']),
    ('『', &['』']),
    ('《', &['》']),
];

/// `Key (a, email)=(1, ada@example.org)`: what stands between the columns and their values.
static BETWEEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\) ?= ?\(").ok());
/// A code in a sentence about an error: `… (22P02)`.
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r" \(([0-9A-Z]{5})\)").ok());
static ROW: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)row contains \(.*").ok());

/// What decides about a text.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    /// The masked columns, in lower case.
    pub columns: &'a [String],
    /// SQLSTATE, or SQLite's code; none: it is no error.
    pub code: Option<&'a str>,
    /// What the step sends, in lower case: what stands there is no value that came home.
    pub sent: &'a str,
}

impl Words<'_> {
    /// A text without the values that it says are of a masked column, or of a whole row, and without what an error quotes
    /// that may be a value.
    pub fn of(&self, text: &str) -> String {
        let text = answers::untold(text);
        Words { code: self.code.or_else(|| code_in(&text)), ..*self }.told(&text)
    }

    fn told(&self, text: &str) -> String {
        let text = self.keys(&behind(text));
        let text = match ROW.as_ref() {
            Some(row) => row.replace_all(&text, format!("row contains ({MARK})")).into_owned(),
            None => text,
        };
        match self.code {
            // The parser of XML quotes the text below its message.
            Some(code) if code.starts_with("22") => {
                cut(&text, first_quote(&text).into_iter().chain(text.find('\n')).min())
            }
            Some(code) if code.len() < 5 && text.contains(UNOPENED) => {
                let (said, file) = text.split_once(UNOPENED).unwrap_or((&text, ""));
                let file = if holds(self.sent, &file.to_lowercase()) { file } else { MARK };
                format!("{said}{UNOPENED}{file}")
            }
            Some(code) if is_of_a_name(code) => cut(&text, self.foreign(&text)),
            _ => text,
        }
    }

    /// The detail of an error. In whatever language the server speaks: the values of a row have no names.
    pub fn detail(&self, text: &str) -> String {
        match self.code {
            Some(code) if OF_A_ROW.contains(&code) => match behind(text).split_once('(') {
                Some((before, _)) => format!("{before}({MARK})"),
                None => behind(text),
            },
            _ => self.of(text),
        }
    }

    /// Without all that stands from the values of the first key on that has a masked column: no later word is told from a
    /// value. Where an integrity error speaks of one key alone, the server's own end of the sentence is kept.
    fn keys(&self, text: &str) -> String {
        let mut from = 0;
        let keys: Vec<_> = BETWEEN.iter().flat_map(|between| between.find_iter(text)).collect();
        for found in &keys {
            let part = text.get(from..found.start()).unwrap_or_default();
            let names = part.split_once('(').map_or(part, |(_, names)| names);
            if self.names_one(names) {
                let values = found.end() - 1;
                let rest = text.get(values..).unwrap_or_default();
                let end = rest.rsplit_once(')').map_or("", |(_, end)| end);
                let own = keys.len() == 1 && self.code.is_some_and(|code| code.starts_with("23")) && !end.contains('…');
                let end = if own { end } else { "" };
                return format!("{}({MARK}){end}", text.get(..values).unwrap_or_default());
            }
            from = found.end();
        }
        text.to_owned()
    }

    /// True where a list of columns, or of expressions over them, names a masked one. A name may hold blanks and hyphens, and
    /// stands without quotes in some messages.
    pub fn names_one(&self, names: &str) -> bool {
        let names = names.to_lowercase();
        self.columns.iter().any(|column| holds(&names, column))
    }

    /// Where the first quote opens, if the step did not send what stands in one of them: which ends where is a guess then.
    fn foreign(&self, text: &str) -> Option<usize> {
        let (first, mut from) = (first_quote(text), 0);
        while let Some(open) = first_quote(text.get(from..)?).map(|at| from + at) {
            let quote = text.get(open..)?.chars().next()?;
            let inside = open + quote.len_utf8();
            let closing = QUOTES.iter().find(|(one, _)| *one == quote).map(|(_, closing)| *closing)?;
            let end = text.get(inside..)?.find(closing).map(|at| inside + at);
            let Some(end) = end else { return first };
            let after = end + text.get(end..)?.chars().next()?.len_utf8();
            // A quote inside a value closes nothing.
            let closed = !text.get(after..)?.starts_with(|c: char| c.is_alphanumeric() || closing.contains(&c));
            let name = text.get(inside..end)?.to_lowercase();
            if !closed || !(name.is_empty() || holds(self.sent, &name)) {
                return first;
            }
            from = after;
        }
        None
    }
}

/// The code that a sentence gives for what it quotes: of several, the one that says most about values.
fn code_in(text: &str) -> Option<&str> {
    if text.ends_with(" (1)") {
        return Some(SQLITE_ERROR);
    }
    let codes = CODE.iter().flat_map(|code| code.captures_iter(text)).filter_map(|found| Some(found.get(1)?.as_str()));
    codes.min_by_key(|code| if code.starts_with("22") { 0 } else { 1 + u8::from(!is_of_a_name(code)) })
}

fn is_of_a_name(code: &str) -> bool {
    code == SQLITE_ERROR || (code.len() == 5 && OF_A_NAME.iter().any(|class| code.starts_with(class)))
}

/// Where the first quote opens. An apostrophe inside a word is none.
fn first_quote(text: &str) -> Option<usize> {
    let mut before = ' ';
    text.char_indices().find_map(|(at, c)| {
        let in_a_word = matches!(c, '\'' | '’') && before.is_alphanumeric();
        before = c;
        (!in_a_word && QUOTES.iter().any(|(open, _)| *open == c)).then_some(at)
    })
}

fn cut(text: &str, at: Option<usize>) -> String {
    match at.and_then(|at| text.get(..at)) {
        Some(before) => format!("{before}{MARK}"),
        None => text.to_owned(),
    }
}

/// Without what the server adds of statements that are not the runbook's.
fn behind(text: &str) -> String {
    let found = BEHIND.iter().filter_map(|(word, tail)| Some((text.find(word)? + word.len() - tail.len(), *tail)));
    cut(text, found.map(|(at, _)| at).min())
}

/// True where `name` stands in `text` as a whole word.
fn holds(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).is_some_and(|before| !before.ends_with(part));
        before && text.get(at + name.len()..).is_some_and(|after| !after.starts_with(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: Option<&'static str>, text: &str) -> String {
        let columns = ["email".to_owned(), "e-mail".to_owned(), "first name".to_owned(), "pay$".to_owned()];
        Words { columns: &columns, code, sent: "select email::regclass from users" }.of(text)
    }

    #[test]
    fn what_is_of_a_class_of_values_ends_at_the_first_quote_of_any_language() {
        for (open, close) in [("\"", "\""), ("»", "«"), ("« ", " »"), ("„", "“"), ("“", "”"), ("「", "」")]
        {
            let text = format!("n'est pas valide : {open}ada\" and » more{close} or so");
            assert_eq!(words(Some("22P02"), &text), "n'est pas valide : ‹masked›");
        }
        assert_eq!(words(Some("2200N"), "line 1: no end\n<a>ada</a>\n^"), "line 1: no end‹masked›");
    }

    #[test]
    fn a_name_that_was_sent_is_told_and_one_that_was_not_is_cut() {
        let cut = "ERROR: relation ‹masked›";
        for name in ["ada@example.org", "user", "users\"ada", "users\" ada"] {
            assert_eq!(words(Some("42P01"), &format!("ERROR: relation \"{name}\" does not exist")), cut, "{name}");
        }
        let said = "ERROR: relation \"Users\" does not exist";
        assert_eq!(words(Some("42P01"), said), said);
        assert_eq!(words(Some("P0001"), "ERROR: \"ada\" is odd"), "ERROR: \"ada\" is odd");
        assert_eq!(words(Some("1"), "bad JSON path: 'ada'"), "bad JSON path: ‹masked›");
    }

    #[test]
    fn a_sentence_that_gives_the_code_is_cut_by_it() {
        let asked = "the step's probe cannot be asked: ERROR: invalid input syntax for type integer: ";
        assert_eq!(words(None, &format!("{asked}\"ada (00000)\" (22P02)")), format!("{asked}‹masked›"));
        assert_eq!(words(None, "ERROR: relation \"ada\" is not there (42P01)"), "ERROR: relation ‹masked›");
        assert_eq!(words(None, "bad JSON path: 'ada' (1)"), "bad JSON path: ‹masked›");
        assert_eq!(words(None, "ERROR: \"users\" is locked (55P03)"), "ERROR: \"users\" is locked (55P03)");
    }

    #[test]
    fn a_file_that_sqlite_cannot_open_is_told_where_it_was_sent() {
        assert_eq!(words(Some("14"), "unable to open database: /no/ada@x"), "unable to open database: ‹masked›");
        let sent = "unable to open database: users";
        assert_eq!(words(Some("14"), sent), sent);
    }

    #[test]
    fn any_key_with_a_masked_column_cuts() {
        let kept = "Key (id)=(7) already exists.";
        assert_eq!(words(Some("23505"), kept), kept);
        for names in ["e-mail", "\"e-mail\"", "id, first name", "\"Pay$\"", "lower(email::text)", "(email = ''::text)"]
        {
            let said = words(Some("23505"), &format!("Key ({names})=(ada) (x) already exists."));
            assert_eq!(said, format!("Key ({names})=(‹masked›) already exists."));
        }
        let two = "Key (id)=(7) and then Key (email)=(ada)";
        assert_eq!(words(None, &format!("{two} ada")), "Key (id)=(7) and then Key (email)=(‹masked›)");
        assert_eq!(words(None, "Key (emails)=(7)"), "Key (emails)=(7)");
    }

    #[test]
    fn dynamic_sql_and_places_inside_functions_are_cut() {
        assert_eq!(words(None, "why\nQUERY: insert 'ada'\nCONTEXT: SQL statement \"x\""), "why\nQUERY: ‹masked›");
        assert_eq!(words(None, "in SQL statement \"insert 'ada'\""), "in SQL statement ‹masked›");
    }
}
