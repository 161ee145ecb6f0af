//! Success criteria that something in the draft can answer: a query with its number, or a number a query brings home.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::book::{Book, Criterion, Step, Verb};
use super::super::words;
use crate::draft::write::{Ids, slug};

/// Makes criteria of what stands in the sections about success. What no query answers stays an item of a checklist.
pub(super) fn find(book: &mut Book, lines: &[&str]) {
    let mut ids = Ids::default();
    let known: Vec<Query> = book.phases.iter().flat_map(|part| &part.steps).filter_map(query).collect();
    let mut answered = BTreeSet::new();
    for part in book.phases.iter_mut().filter(|part| part.criteria) {
        for step in &mut part.steps {
            if let Some(query) = query(step).filter(|query| answered.insert(query.id.clone())) {
                let id = ids.unused(&slug(&step.title), "criterion");
                book.criteria.push(Criterion {
                    id,
                    title: step.title.clone(),
                    step: query.id,
                    when: query.when,
                    lines: Vec::new(),
                });
            }
            let Verb::Checklist(items) = &mut step.verb else { continue };
            items.retain(|item| {
                let Some(query) = answers(&known, item).filter(|query| answered.insert(query.id.clone())) else {
                    return true;
                };
                let says =
                    |n: &&usize| lines.get(**n - 1).is_some_and(|line| words::unticked(line).0.contains(item.as_str()));
                let own: Vec<usize> = step.lines.iter().filter(says).copied().collect();
                step.lines.retain(|line| !own.contains(line));
                let id = ids.unused(&slug(item), "criterion");
                let (step, when) = (query.id.clone(), query.when.clone());
                book.criteria.push(Criterion { id, title: item.clone(), step, when, lines: own });
                false
            });
        }
        part.steps.retain(|step| step.verb != Verb::Checklist(Vec::new()));
    }
}

/// A query that knows its number.
struct Query {
    id: String,
    /// `steps['id'].value == 43`
    when: String,
    number: String,
    /// What its title and the name of its column say.
    words: BTreeSet<String>,
    /// All that its SQL says.
    all: BTreeSet<String>,
}

static ALIAS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?i)\bas\s+"?(\w+)"?"#).ok());

fn query(step: &Step) -> Option<Query> {
    let Verb::Sql(text) = &step.verb else { return None };
    let expect = step.expect.as_ref().filter(|_| step.dead.is_none())?;
    let (_, number) = expect.split_once(" == ")?;
    let alias =
        ALIAS.as_ref().and_then(|alias| alias.captures(text)).map_or_else(String::new, |found| found[1].to_owned());
    let words = stems(&format!("{} {}", step.title, alias.replace('_', " ")));
    Some(Query {
        id: step.id.clone(),
        when: format!("steps['{}'].{expect}", step.id),
        number: number.to_owned(),
        words,
        all: stems(&text.replace(['_', '.'], " ")),
    })
}

static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:(\d{1,9})\s+(\p{Alphabetic}.*)|(\p{Alphabetic}[\p{Alphabetic} ]*):\s*(\d{1,9})(?:\s+total)?)$")
        .ok()
});

/// The only query that brings home the number of an item, and speaks of the same thing.
fn answers<'q>(known: &'q [Query], item: &str) -> Option<&'q Query> {
    if let Some(query) = none_of(known, item) {
        return Some(query);
    }
    let found = NUMBERED.as_ref()?.captures(item)?;
    let number = found.get(1).or(found.get(4))?.as_str();
    let words = stems(found.get(2).or(found.get(3))?.as_str());
    let mut fits = known.iter().filter(|query| query.number == number && !query.words.is_disjoint(&words));
    fits.next().filter(|_| fits.next().is_none())
}

/// The only query that counts to nothing, and speaks of what an item says there is none of: in its title and, with two words more,
/// in its SQL.
fn none_of<'q>(known: &'q [Query], item: &str) -> Option<&'q Query> {
    const SMALL: [&str; 12] = ["no", "none", "is", "are", "that", "with", "without", "from", "an", "in", "to", "has"];
    let lower = item.to_lowercase();
    let words = stems(lower.strip_prefix("no ")?);
    let words: BTreeSet<String> = words.into_iter().filter(|word| !SMALL.contains(&word.as_str())).collect();
    let mut fits = known.iter().filter(|query| {
        let titled = query.words.intersection(&words).count();
        query.number == "0"
            && query.when.contains("].value")
            && titled > 0
            && query.all.intersection(&words).count() > 1
    });
    fits.next().filter(|_| fits.next().is_none())
}

/// Words without their plural; those that every count has are left out.
fn stems(text: &str) -> BTreeSet<String> {
    const ALL: [&str; 10] = ["total", "count", "verify", "check", "all", "of", "the", "remaining", "number", "after"];
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1 && !ALL.contains(word));
    words
        .map(|word| word.trim_end_matches('s').to_owned())
        .filter(|word| !word.chars().all(|c| c.is_ascii_digit()))
        .collect()
}
