//! What a step is called where nothing above it says so: by what its first statement or command does.

use std::sync::LazyLock;

use regex::Regex;

use super::super::book::Verb;
use super::Placer;
use crate::runbook::sql::{self, Dialect};

/// Characters of a paragraph that is taken for a title.
const TITLE: usize = 80;
/// Words of a command that say what it does: `kubectl rollout status`.
const WORDS: usize = 3;

impl Placer<'_> {
    /// The paragraph right above, where it leads to what follows: `Count what is there now:`.
    pub(super) fn led(&mut self) -> Option<(String, Vec<usize>)> {
        let leads = |(text, _): &mut (String, Vec<usize>)| text.ends_with(':') && text.len() <= TITLE;
        self.said.pop_if(leads)
    }

    /// A title for work that nothing names. A heading that opens a phase names the phase, not every step in it.
    pub(super) fn called(&self, verb: &Verb) -> String {
        let names_step = |text: &str| text.trim_start().to_lowercase().starts_with("step ");
        match self.stack.last().filter(|heading| heading.opens) {
            Some(heading) if !names_step(&heading.text) || self.last.is_some() => {
                work(verb).unwrap_or_else(|| self.name())
            }
            _ => self.name(),
        }
    }
}

/// A title ends without the sign that led to the work below it.
pub(super) fn title(text: &str) -> String {
    let bare = text.trim_end_matches([':', ' ']);
    if bare.is_empty() { text.to_owned() } else { bare.to_owned() }
}

fn work(verb: &Verb) -> Option<String> {
    match verb {
        Verb::Sql(text) => statement(&sql::split(text, Dialect::Postgres).ok()?.first()?.sql),
        Verb::Shell(text) => text.lines().find_map(command),
        Verb::File(path) | Verb::Psql(path) => Some(path.clone()),
        Verb::Checklist(_) | Verb::Poll(_) => None,
    }
}

static CHANGES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?is)^(create|alter|drop|insert|update|delete|truncate|vacuum|analyze|reindex|refresh)\s+(?:or\s+replace\s+)?"#,
        r#"(?:unique\s+|temp\s+|temporary\s+|unlogged\s+)?"#,
        r#"((?:materialized\s+view|table|index|view|function|type|schema|sequence|extension|trigger|policy|into|from)\s+)?"#,
        r#"(?:concurrently\s+)?(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?("?[a-z_][\w."]*)"#
    ))
    .ok()
});
static READS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?is)^select\s+(count\s*\()?.*?\bfrom\s+("?[a-z_][\w."]*)"#).ok());

/// `Create table addresses`, `Count customers`.
fn statement(sql: &str) -> Option<String> {
    if let Some(found) = CHANGES.as_ref()?.captures(sql) {
        let kind = found.get(2).map_or_else(String::new, |kind| kind.as_str().to_lowercase());
        let kind: Vec<&str> = kind.split_whitespace().collect();
        let words = [&[found[1].to_lowercase().as_str()], kind.as_slice(), &[&found[3]]].concat().join(" ");
        let mut chars = words.chars();
        return chars.next().map(|first| first.to_uppercase().chain(chars).collect());
    }
    let found = READS.as_ref()?.captures(sql)?;
    Some(format!("{} {}", if found.get(1).is_some() { "Count" } else { "Read" }, &found[2]))
}

/// `kubectl set env` of a line of shell. None: it does nothing by itself.
fn command(line: &str) -> Option<String> {
    const QUIET: [&str; 9] = ["cd", "set", "export", "source", "echo", "printf", "if", "for", "while"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let first = words.first()?;
    let plain = |word: &&&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    if QUIET.contains(first) || !first.starts_with(|c: char| c.is_ascii_alphabetic() || "./".contains(c)) {
        return None;
    }
    let spoken = words.iter().take_while(|word| !word.starts_with('-')).take_while(plain).take(WORDS);
    Some(spoken.copied().collect::<Vec<_>>().join(" ")).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_named_by_what_it_does() {
        for (sql, words) in [
            ("CREATE TABLE addresses (id int)", Some("Create table addresses")),
            ("create unique index concurrently if not exists a_b on a (b)", Some("Create index a_b")),
            ("INSERT INTO a SELECT 1", Some("Insert into a")),
            ("alter table only public.a add b int", Some("Alter table public.a")),
            ("update a set b = 1", Some("Update a")),
            ("select count(*) from a", Some("Count a")),
            ("select x\nfrom b", Some("Read b")),
            ("select 1", None),
        ] {
            assert_eq!(statement(sql).as_deref(), words, "{sql}");
        }
        for (line, words) in [
            ("kubectl set env deploy/shop A=b", Some("kubectl set env")),
            ("pg_dump \"$DATABASE_URL\" -Fc", Some("pg_dump")),
            ("./run.sh staging", Some("./run.sh staging")),
            ("# words", None),
            ("A=b", None),
            ("cd /srv", None),
        ] {
            assert_eq!(command(line).as_deref(), words, "{line}");
        }
    }
}
