//! An error that names an object of the database: the pattern it is known by, and the one step that makes the object.

use std::sync::LazyLock;

use regex::Regex;

use super::super::book::{Book, Verb};
use super::trouble::Place;
use crate::runbook::sql;

macro_rules! kinds {
    () => {
        "relation|table|index|column|constraint|type|schema|sequence|function|view|role|extension|trigger|database"
    };
}

static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)\b(?:"#,
        kinds!(),
        r#")\s+["'`“]?([a-z_][a-z0-9_.]*)["'`”]?\s+(already exists|does not exist|is being|has|is)\b"#
    ))
    .ok()
});

/// `relation addresses already exists`: the object, and what is said of it.
fn named(text: &str) -> Option<(String, String)> {
    let found = NAMED.as_ref()?.captures(text)?;
    Some((found[1].to_lowercase(), found[2].to_lowercase()))
}

/// A pattern for the words of an error; a server writes names in quotes, a guide often without.
pub(super) fn pattern(words: &str) -> String {
    let name = NAMED.as_ref().and_then(|named| named.captures(words)).and_then(|found| found.get(1));
    let Some(name) = name else { return format!("(?i){}", regex::escape(words)) };
    let quote = |c: char| "\"'`“”".contains(c);
    let (before, after) =
        (words[..name.start()].trim_end_matches(quote), words[name.end()..].trim_start_matches(quote));
    format!("(?i){}\"?{}\"?{}", regex::escape(before), regex::escape(name.as_str()), regex::escape(after))
}

/// The only step that makes the object of which an error says that it is there already; of other errors, the only step whose
/// SQL names it.
pub(super) fn place(book: &Book, text: &str) -> Option<Place> {
    let (name, said) = named(text)?;
    let name = regex::escape(name.rsplit('.').next().unwrap_or(&name));
    let sign = match said.as_str() {
        "already exists" => Regex::new(&format!(
            r#"(?i)\b(?:create|add|rename\s+to|into)\b(?:\s+(?:or|replace|unique|temp|temporary|materialized|concurrently|if|not|exists|{}))*\s+(?:\w+\.)?"?{name}\b"#,
            kinds!()
        )),
        _ => Regex::new(&format!(r"(?i)\b{name}\b")),
    };
    let sign = sign.ok()?;
    let is_insert = Regex::new(&format!(r#"(?i)\binsert\s+into\s+(?:\w+\.)?"?{name}\b"#)).ok()?;
    let mut found = book.phases.iter().enumerate().flat_map(|(n, part)| {
        let fits = part.steps.iter().enumerate().filter(|(_, step)| match &step.verb {
            Verb::Sql(text) => sign.is_match(&is_insert.replace_all(&sql::mask(text), " ")),
            _ => false,
        });
        fits.map(move |(at, _)| (false, n, at)).collect::<Vec<_>>()
    });
    found.next().filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_a_server_writes() {
        for (words, error) in [
            ("relation addresses already exists", "ERROR: relation \"addresses\" already exists"),
            ("relation \"a.b\" already exists", "relation \"a.b\" already exists"),
            ("column x does not exist", "column x does not exist"),
            ("Users (all) without XP", "users (all) without XP"),
        ] {
            assert!(Regex::new(&pattern(words)).unwrap().is_match(error), "{}", pattern(words));
        }
        assert!(!Regex::new(&pattern("relation a already exists")).unwrap().is_match("relation \"ab\" already exists"));
    }
}
