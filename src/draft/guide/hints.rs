//! What a draft points at for its reader: variables that no step hands to the next, files that a checklist speaks of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::book::{Book, Part, Step, Verb};
use crate::runbook::shell;

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

/// Variables of the operator's environment that a step names: those that neither it nor another step sets.
pub fn handed(step: &Step, book: &Book) -> BTreeSet<String> {
    let Verb::Shell(text) = &step.verb else { return BTreeSet::new() };
    let borrowed = borrowed(step, book);
    shell::unset(text).into_keys().filter(|name| !borrowed.contains(name)).collect()
}

const ASKED: &str = "asked before the run begins: `env` of a step names it";

static EXPORTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^`?\$?([A-Za-z_][A-Za-z0-9_]*)`?\s+(?:(?:is|was|must be|environment variable)\s+)*(?:exported|set|defined)\.?$").ok()
});

/// What is asked before the run begins needs no question of a person: `DATABASE_URL exported`, where `env` names it.
pub fn drop_asked(book: &mut Book, lines: &[&str]) {
    let steps = || book.phases.iter().chain(&book.plans).flat_map(Part::alive);
    let handed: BTreeSet<String> = steps().flat_map(|step| handed(step, book)).collect();
    let asked = |item: &str| EXPORTED.as_ref().and_then(|sign| sign.captures(item)).map(|found| found[1].to_owned());
    for step in book.phases.iter_mut().chain(&mut book.plans).flat_map(|part| &mut part.steps) {
        let Verb::Checklist(items) = &mut step.verb else { continue };
        // A list of nothing else stays: a step needs something to do.
        let is_needless = |item: &String| asked(item).is_some_and(|name| handed.contains(&name));
        if items.iter().all(is_needless) {
            continue;
        }
        for item in items.extract_if(.., |item| is_needless(item)) {
            let says = |n: &usize| lines.get(n - 1).is_some_and(|line| line.contains(item.as_str()));
            let own: Vec<usize> = step.lines.extract_if(.., |n| says(n)).collect();
            book.left.extend(own.into_iter().map(|n| (n, ASKED.to_owned())));
        }
    }
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
