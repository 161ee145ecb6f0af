//! What became of every line of a guide: nothing is dropped in silence.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::blocks::is_fence;
use super::book::{Book, Part};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Blank,
    /// Signs without words: fences, rules, borders of tables.
    Sign,
    /// It is in the draft: "step `backup`", "phase `prepare`".
    Used(String),
    /// It is listed at the draft's end, for this reason.
    Left(String),
}

#[derive(Clone, Debug)]
pub struct Line {
    /// As it was read: repaired, without secrets.
    pub text: String,
    pub fate: Fate,
}

/// The account of an import.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub lines: Vec<Line>,
    /// How many steps there are of each verb.
    pub steps: BTreeMap<&'static str, usize>,
    pub expectations: usize,
    pub phases: usize,
    pub plans: usize,
    pub criteria: usize,
    pub troubles: usize,
    pub followups: usize,
    pub roles: usize,
    /// Lines whose ticks were dropped.
    pub ticks: Vec<usize>,
    /// Line and kind of every secret that was not copied.
    pub secrets: Vec<(usize, String)>,
    /// The encoding the guide had been read as, and how many places were put right.
    pub repaired: Option<(&'static str, usize)>,
}

impl Account {
    pub fn of(book: &Book, lines: &[&str]) -> Self {
        let mut account = Self { lines: lines.iter().map(|line| fresh(line)).collect(), ..Self::default() };
        for (line, why) in &book.left {
            account.set(*line, || Fate::Left(why.clone()));
        }
        let parts =
            book.phases.iter().map(|part| ("phase", part)).chain(book.plans.iter().map(|part| ("rollback", part)));
        for (what, part) in parts.clone() {
            account.dead(part);
            account.part(what, part);
        }
        account.phases = book.phases.iter().filter(|part| part.alive().next().is_some()).count();
        account.plans = book.plans.iter().filter(|part| part.alive().next().is_some()).count();
        for one in &book.followups {
            one.lines.iter().for_each(|line| account.set(*line, || Fate::Used(format!("follow-up `{}`", one.id))));
        }
        for one in book.known_criteria() {
            one.lines.iter().for_each(|line| account.set(*line, || Fate::Used(format!("criterion `{}`", one.id))));
        }
        book.named.iter().for_each(|line| account.set(*line, || Fate::Used("the title".into())));
        account.criteria = book.known_criteria().count();
        account.followups = book.followups.len();
        account.roles = book.roles.len();
        account.ticks = book.ticks.clone();
        account.ticks.sort_unstable();
        account.ticks.dedup();
        account
    }

    fn dead(&mut self, part: &Part) {
        for step in &part.steps {
            let Some(why) = &step.dead else { continue };
            // A line that another step has as well stays used.
            for line in &step.lines {
                if let Some(known) = self.lines.get_mut(line - 1).filter(|known| !matches!(known.fate, Fate::Used(_))) {
                    known.fate = Fate::Left(why.clone());
                }
            }
        }
    }

    fn part(&mut self, what: &str, part: &Part) {
        if part.alive().next().is_none() {
            return;
        }
        part.lines.iter().for_each(|line| self.set(*line, || Fate::Used(format!("{what} `{}`", part.id))));
        for step in part.alive() {
            *self.steps.entry(step.verb.word()).or_default() += 1;
            self.expectations += usize::from(step.expect.is_some());
            let trouble = step.trouble.iter().flat_map(|one| &one.lines);
            let lines = step.lines.iter().chain(trouble);
            lines.for_each(|line| self.set(*line, || Fate::Used(format!("step `{}`", step.id))));
            self.troubles += step.trouble.len();
        }
    }

    fn set(&mut self, line: usize, fate: impl Fn() -> Fate) {
        let known = line.checked_sub(1).and_then(|at| self.lines.get_mut(at));
        if let Some(known) = known.filter(|known| known.fate != Fate::Blank) {
            known.fate = fate();
        }
    }

    /// A line counts as used only where all its words are in the draft, `body`; else it is listed as well.
    pub fn hold_to(&mut self, body: &str) {
        let mut said = BTreeSet::new();
        if let Ok(table) = toml::from_str::<toml::Table>(body) {
            table.values().for_each(|value| words_of(value, &mut said));
        }
        for line in self.lines.iter_mut().filter(|line| matches!(line.fate, Fate::Used(_))) {
            let number = |c: char| c.is_ascii_digit() || " \t>-*+".contains(c);
            let bare = line.text.trim_start_matches(number);
            if !split(bare).all(|word| said.contains(word)) {
                line.fate = Fate::Left("only a part of it is in the draft".into());
            }
        }
    }

    pub fn count(&self, fits: impl Fn(&Fate) -> bool) -> usize {
        self.lines.iter().filter(|line| fits(&line.fate)).count()
    }

    /// Lines that are listed and not used.
    pub fn left(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Left(_)))
    }

    pub fn used(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Used(_)))
    }

    /// `{"lines", "used", "left", "signs", "phases", "steps": {verb: n}, …}` with the left lines and their reasons.
    pub fn to_json(&self) -> Value {
        let left = self.lines.iter().enumerate().filter_map(|(n, line)| match &line.fate {
            Fate::Left(why) => Some(json!({ "line": n + 1, "text": line.text, "reason": why })),
            _ => None,
        });
        let secrets: Vec<Value> =
            self.secrets.iter().map(|(line, what)| json!({ "line": line, "what": what })).collect();
        json!({
            "lines": self.lines.len(),
            "used": self.used(),
            "signs": self.count(|fate| *fate == Fate::Sign),
            "left": left.collect::<Vec<_>>(),
            "phases": self.phases,
            "steps": self.steps,
            "expectations": self.expectations,
            "rollbacks": self.plans,
            "criteria": self.criteria,
            "troubles": self.troubles,
            "followups": self.followups,
            "roles": self.roles,
            "ticks_dropped": self.ticks,
            "secrets_removed": secrets,
            "repaired": self.repaired.map(|(encoding, places)| json!({ "read_as": encoding, "places": places })),
        })
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn words_of(value: &toml::Value, said: &mut BTreeSet<String>) {
    match value {
        toml::Value::String(text) => said.extend(split(text).map(str::to_owned)),
        toml::Value::Array(items) => items.iter().for_each(|item| words_of(item, said)),
        toml::Value::Table(table) => table.values().for_each(|item| words_of(item, said)),
        _ => {}
    }
}

fn fresh(line: &str) -> Line {
    let fate = if line.trim().is_empty() {
        Fate::Blank
    } else if is_fence(line) || !line.contains(char::is_alphanumeric) {
        Fate::Sign
    } else {
        Fate::Left("no step was made of it".into())
    };
    Line { text: line.to_owned(), fate }
}
