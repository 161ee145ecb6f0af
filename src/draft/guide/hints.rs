//! What a draft points at for its reader: variables that no step hands to the next, files that a checklist speaks of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::book::{Book, Part, Step, Verb};

static SET: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*(?:export\s+|local\s+|read\s+)?([A-Za-z_][A-Za-z0-9_]*)=").ok());
static USED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)").ok());

/// Variables of the shell that a step uses and only another step sets: each step has a shell of its own.
pub fn borrowed(step: &Step, book: &Book) -> BTreeSet<String> {
    let Verb::Shell(text) = &step.verb else { return BTreeSet::new() };
    let own = named(&SET, text);
    let others = book.phases.iter().chain(&book.plans).flat_map(Part::alive).filter_map(|other| match &other.verb {
        Verb::Shell(text) if other.id != step.id => Some(named(&SET, text)),
        _ => None,
    });
    let others: BTreeSet<String> = others.flatten().collect();
    named(&USED, text).into_iter().filter(|name| others.contains(name) && !own.contains(name)).collect()
}

fn named(sign: &LazyLock<Option<Regex>>, text: &str) -> BTreeSet<String> {
    sign.iter().flat_map(|sign| sign.captures_iter(text)).map(|found| found[1].to_owned()).collect()
}

static SCRIPT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:run|execute|apply|contents of)\s+`?([\w./-]+\.sql)\b").ok());

/// The files of SQL that a checklist tells somebody to run.
pub fn scripts(step: &Step) -> BTreeSet<String> {
    let Verb::Checklist(items) = &step.verb else { return BTreeSet::new() };
    let texts = items.iter().chain(&step.help);
    let found = texts.flat_map(|text| SCRIPT.iter().flat_map(move |script| script.captures_iter(text)));
    found.map(|found| found[1].to_owned()).collect()
}
