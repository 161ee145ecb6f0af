//! A Markdown guide becomes the draft of a runbook. Every line of the guide is in the draft, or is listed at its end.

mod account;
mod answers;
mod blocks;
mod book;
mod byhand;
mod fence;
mod hints;
mod measured;
mod place;
mod psql;
mod render;
mod repair;
mod secrets;
mod times;
mod words;

use std::collections::BTreeMap;

pub use account::{Account, Fate, Line};

use super::write::slug;
use crate::runbook::{self, Problems, Source};
use book::Book;

/// A guide, and what is around it.
pub struct Guide<'a> {
    pub text: &'a str,
    /// Its file's name, for comments.
    pub name: &'a str,
    /// The first line of the draft.
    pub schema: &'a str,
    /// The text of a file in the draft's folder, where there is one: `psql -f` of it becomes `file`.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

pub struct Import {
    /// The text of a `runbook.toml` that the language accepts.
    pub toml: String,
    pub account: Account,
}

/// Err: the draft is refused by the language, and not because of a step that could be left out.
pub fn import(guide: &Guide<'_>) -> Result<Import, Problems> {
    let text = guide.text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let repaired = repair::repair(&text);
    let (text, secrets) = secrets::remove(repaired.as_ref().map_or(text.as_str(), |one| one.text.as_str()));
    let lines: Vec<&str> = text.split('\n').collect();
    let mut book = place::place(blocks::blocks(&text, &lines), &lines, guide.read);
    let id = book.title.as_deref().map(slug).filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| Some(slug(guide.name)).filter(|id| !id.is_empty()).unwrap_or_else(|| "guide".into()));
    let body = accepted(&mut book, guide, &id)?;
    let mut account = Account::of(&book, &lines);
    account.hold_to(&body);
    account.secrets = secrets;
    account.repaired = repaired.map(|one| (one.encoding, one.places));
    let mut toml = body;
    toml.push_str(&render::remains(&account, guide.name));
    Ok(Import { toml, account })
}

/// The draft's text once the language accepts it: what it refuses goes to the list of what is not in the draft.
fn accepted(book: &mut Book, guide: &Guide<'_>, id: &str) -> Result<String, Problems> {
    loop {
        let rendered = render::runbook(book, guide.name, id, guide.schema);
        let mut dead: BTreeMap<(bool, usize, usize), String> = BTreeMap::new();
        for key in &rendered.unwritable {
            dead.insert(*key, "it looks like a template of the language".into());
        }
        let source = Source { name: "runbook.toml".into(), text: rendered.text.clone(), ..Source::default() };
        let problems = check(book, guide, source).err();
        for problem in problems.iter().flat_map(|problems| problems.list()) {
            let line = usize::try_from(problem.line).unwrap_or(0);
            if let Some(place) = rendered.step_at(line) {
                dead.entry((place.plan, place.part, place.step))
                    .or_insert_with(|| format!("refused: {}", problem.message));
            }
        }
        match problems {
            None if dead.is_empty() => return Ok(rendered.text),
            Some(problems) if dead.is_empty() => return Err(problems),
            _ => {}
        }
        for ((plan, part, step), why) in dead {
            let parts = if plan { &mut book.plans } else { &mut book.phases };
            if let Some(step) = parts.get_mut(part).and_then(|part| part.steps.get_mut(step)) {
                step.dead = Some(why);
            }
        }
    }
}

fn check(book: &Book, guide: &Guide<'_>, source: Source) -> Result<(), Problems> {
    let steps = book.phases.iter().chain(&book.plans).flat_map(|part| part.alive());
    let files = steps.filter_map(|step| match &step.verb {
        book::Verb::File(path) => Some((path.clone(), (guide.read)(path)?)),
        _ => None,
    });
    runbook::from_source(Source { files: files.collect(), ..source }, &BTreeMap::new()).map(drop)
}
