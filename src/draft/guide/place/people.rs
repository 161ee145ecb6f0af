//! A go/no-go that names people: they become roles, and the poll asks them.

use std::sync::LazyLock;

use regex::Regex;

use super::super::book::Verb;
use super::Placer;
use crate::draft::write::slug;

/// Somebody the guide names.
#[derive(Clone, Debug)]
pub(super) struct Person {
    name: String,
    /// `Dana (DB)`
    words: String,
    line: usize,
}

static SIGN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bgo\s*(?:/|or)?\s*no[- ]?go\b").ok());
static AGREES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\s(?:(?:must|have to|has to|should|need to|will|both|all)\s+)*(?:agree|decide|approve|confirm|vote|say|sign|give)\b").ok()
});
static LISTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:agree|decide|approve|vote|who|from|by|of)\b").ok());
static OWNERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^[\s>*_-]*(?:owners?|team|on-?call|operators?|people)\s*[*_]*\s*:\s*[*_]*(.+)$").ok()
});
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(\p{Lu}[\p{L}.'-]*(?: [\p{L}.'-]+)?)(?:\s*\([^()]*\))?$").ok());

impl Placer<'_> {
    /// Remembers who a line such as `**Owner:** Dana (DB), Marco (app)` names.
    pub(super) fn introduce(&mut self, lines: &[usize]) {
        for n in lines {
            let Some(line) = self.lines.get(n - 1) else { continue };
            let found = OWNERS.as_ref().and_then(|owners| owners.captures(line));
            if let Some(found) = found {
                self.people.extend(names(&found[1], *n).unwrap_or_default());
            }
        }
    }

    /// Makes a poll of a paragraph or an item that asks people by name. False: it does not.
    pub(super) fn poll_of(&mut self, text: &str, lines: &[usize]) -> bool {
        let line = lines.first().copied().unwrap_or(1);
        let Some(people) = asked(text, line) else { return false };
        self.flush_items(None);
        let roles = self.roles_of(people);
        let first = text.to_lowercase().contains("before this phase");
        self.add("Go / no-go".to_owned(), Verb::Poll(roles), lines.to_vec(), vec![text.to_owned()]);
        if first {
            self.first_of_its_phase();
        }
        true
    }

    /// True where the items that were gathered are those a go/no-go asks: then they are taken.
    pub(super) fn people_listed(&mut self) -> bool {
        let lead = self.said.last().map(|(text, _)| text.as_str()).filter(|text| text.ends_with(':'));
        let heading = self.stack.last().map(|heading| heading.text.as_str());
        let words = lead.or(heading).unwrap_or_default();
        let of_poll = [lead, heading].into_iter().flatten().any(|words| is(&SIGN, words));
        let lines = self.items.iter().filter_map(|(text, lines)| Some((text, *lines.first()?)));
        let people: Option<Vec<Person>> = lines.map(|(text, line)| person(text, line)).collect();
        let Some(people) = people.filter(|people| of_poll && people.len() > 1) else { return false };
        let known = people.iter().all(|one| self.people.iter().any(|known| known.name == one.name));
        if !(known || is(&LISTED, words)) {
            return false;
        }
        let mut lines: Vec<usize> = std::mem::take(&mut self.items).into_iter().flat_map(|(_, lines)| lines).collect();
        let roles = self.roles_of(people);
        let waiting = self.last_step().is_some_and(|step| step.verb == Verb::Poll(Vec::new()));
        if waiting && let Some(step) = self.last_step() {
            step.verb = Verb::Poll(roles);
            step.lines.append(&mut lines);
        } else {
            self.add("Go / no-go".to_owned(), Verb::Poll(roles), lines, Vec::new());
        }
        true
    }

    /// The ids of these people, each a role of the draft.
    fn roles_of(&mut self, people: Vec<Person>) -> Vec<String> {
        let mut roles = Vec::new();
        for one in people {
            let id = slug(&one.name);
            let known = self.people.iter().find(|known| known.name == one.name);
            let (words, line) = known.map_or((one.words, one.line), |known| (known.words.clone(), known.line));
            if !self.book.roles.iter().any(|(known, _, _)| *known == id) {
                self.book.roles.push((id.clone(), words, line));
            }
            roles.push(id);
        }
        roles
    }

    /// What is agreed before a phase stands first in it.
    fn first_of_its_phase(&mut self) {
        let Some((false, part, at)) = self.last else { return };
        if let Some(steps) = self.book.phases.get_mut(part).map(|part| &mut part.steps)
            && let Some(steps) = steps.get_mut(..=at)
        {
            steps.rotate_right(1);
            // What is said behind it is about the work before it.
            self.last = Some((false, part, at));
            let own = self.options.as_mut().and_then(|options| options.first.as_mut());
            if let Some((false, _, step)) = own.filter(|(plan, of, step)| !*plan && *of == part && *step < at) {
                *step += 1;
            }
        }
    }
}

fn is(sign: &LazyLock<Option<Regex>>, text: &str) -> bool {
    sign.as_ref().is_some_and(|sign| sign.is_match(text))
}

/// Whom a go/no-go asks: names in brackets, or before what they do. None: it does not say.
fn asked(text: &str, line: usize) -> Option<Vec<Person>> {
    let rest = &text[SIGN.as_ref()?.find(text)?.end()..];
    let bracket = rest.split_once('(').and_then(|(_, inner)| inner.split_once(')')).map(|(inner, _)| inner);
    if let Some(people) = bracket.and_then(|inner| names(inner, line)) {
        return Some(people);
    }
    let rest = rest.trim_start_matches([':', ' ', '-', '–', '—']);
    let verb = AGREES.as_ref()?.find(rest)?;
    names(&rest[..verb.start()], line)
}

/// Two names or more, between commas and `and`. None: something among them is no name.
fn names(list: &str, line: usize) -> Option<Vec<Person>> {
    let list = list.replace(" and ", ",").replace(" & ", ",").replace(" / ", ",").replace(';', ",");
    let mut people: Vec<Person> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        people.push(person(part.trim_start_matches("both "), line)?);
    }
    let apart = |one: &Person| people.iter().filter(|other| other.name == one.name).count() == 1;
    (people.len() > 1 && people.iter().all(apart)).then_some(people)
}

fn person(text: &str, line: usize) -> Option<Person> {
    const NOBODY: [&str; 12] =
        ["yes", "no", "go", "no-go", "tbd", "pending", "all", "everyone", "everybody", "both", "open", "done"];
    let text = text.trim().trim_end_matches('.');
    let found = NAME.as_ref()?.captures(text)?;
    let name = found[1].trim().to_owned();
    let nobody = NOBODY.contains(&name.to_lowercase().as_str()) || slug(&name).is_empty() || name.len() > 40;
    (!nobody).then(|| Person { name, words: text.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_asked() {
        let of = |text: &str| {
            asked(text, 1).map(|people| people.into_iter().map(|one| one.name).collect::<Vec<_>>().join("+"))
        };
        for (text, names) in [
            ("Go/No-Go: Dana and Marco must both agree before this phase starts.", "Dana+Marco"),
            ("Go / no-go (Dana, Marco)", "Dana+Marco"),
            ("GO/NO-GO decision (DBA and Backend Lead)", "DBA+Backend Lead"),
            ("Go/no-go — Dana, Marco and Ines decide", "Dana+Marco+Ines"),
        ] {
            assert_eq!(of(text).as_deref(), Some(names), "{text}");
        }
        for text in [
            "Go/No-Go (30 min)",
            "Go/No-Go: Yes / No",
            "Go/No-Go (Yes / No)",
            "Go/No-Go: backups verified, team ready",
            "Go/No-Go: Dana decides",
            "Dana and Marco agree",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
