//! Columns that a runbook masks: taken out of what a step brings home before any of it becomes an event.
//!
//! `expect` was judged on the true values by then. Of them only its yes or no is kept: what names them says less here.
//! Where it cannot be told whether a value is of a masked column, it is taken out too.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::words::Words;
use super::event::{Attempt, Event, Resolved};
use super::facts::{Chunk, Facts, Fault, Masked, NoData, Outcome, Verdict};
use super::follow::acting;
use super::state::{RunState, StepRun};
use super::{Batches, columns as named, context, fault};
use crate::runbook::{Probe, ProbeSource, Runbook, Step, StepId, Verb, expr};

/// What is shown in place of a value.
pub const MARK: &str = "‹masked›";
/// The facts that hold what a step brought home of a database's contents.
const CONTENTS: &[&str] = &["value", "row", "table", "notices"];

/// The columns, in lower case, that are masked in what a step, or its undo, brings home in an environment.
pub fn columns(book: &Runbook, environment: &str, step: &StepId) -> Vec<String> {
    let step = book.step(step).map(|step| step.mask.as_slice()).unwrap_or_default();
    let environment = book.environment(environment).map(|one| one.mask.as_slice()).unwrap_or_default();
    step.iter().chain(environment).map(|name| name.to_lowercase()).collect()
}

/// True for a step that shows contents of tables. Of a plan or an inventory only errors and notices are masked.
pub fn applies(step: &Step) -> bool {
    match &step.verb {
        Verb::Sql(script) => script.asks.is_rows(),
        Verb::Batch(_) | Verb::Migrations(_) => true,
        _ => false,
    }
}

/// True where the key that a step walks along is masked: then nothing says how far it has come by its values.
pub fn hides_key(book: &Runbook, environment: &str, step: &StepId, key: &str) -> bool {
    Words { columns: &columns(book, environment, step), code: None, sent: "" }.names_one(key)
}

/// A piece of output without the values of masked columns. A NULL stays one.
pub(super) fn chunk(book: &Runbook, state: &RunState, attempt: &Attempt, chunk: Chunk) -> Chunk {
    let Some(mask) = Mask::of(book, state, attempt) else { return chunk };
    match chunk {
        Chunk::Rows { n, rows } if mask.shows => {
            Chunk::Rows { n, rows: rows.into_iter().map(|row| mask.row(row)).collect() }
        }
        Chunk::Notice { severity, text } => Chunk::Notice { severity, text: mask.words(None, "").of(&text) },
        Chunk::Batch(batches) => Chunk::Batch(Box::new(mask.batches(*batches))),
        Chunk::Judged { xid, ledger, mut facts, mut verdict } => {
            mask.home(book, state, attempt, &mut facts, &mut verdict);
            Chunk::Judged { xid, ledger, facts, verdict }
        }
        other => other,
    }
}

/// A sample without what a query answered that is no number. In an environment that masks nobody knows whose it is.
pub fn sample(masked: &[String], probe: &Probe, value: Result<f64, NoData>) -> Result<f64, NoData> {
    let sources = std::iter::once(&probe.source).chain(probe.traffic.as_ref().map(|traffic| &traffic.source));
    let asked: Vec<String> = sources
        .filter_map(|source| match source {
            ProbeSource::Sql { sql, .. } => Some(sql.to_lowercase()),
            _ => None,
        })
        .collect();
    if masked.is_empty() || asked.is_empty() {
        return value;
    }
    let columns: Vec<String> = masked.iter().map(|name| name.to_lowercase()).collect();
    value.map_err(|none| NoData::new(Words { columns: &columns, code: None, sent: &asked.join("\n") }.of(&none.reason)))
}

/// An outcome without the values of masked columns.
pub(super) fn outcome(book: &Runbook, state: &RunState, attempt: &Attempt, outcome: Outcome) -> Outcome {
    let Some(mask) = Mask::of(book, state, attempt) else { return outcome };
    match outcome {
        Outcome::Done { mut facts, mut verdict } => {
            mask.home(book, state, attempt, &mut facts, &mut verdict);
            Outcome::Done { facts, verdict }
        }
        Outcome::Failed { mut fault, mut facts, mut verdict } => {
            let true_saw = verdict.as_ref().map(|verdict| verdict.saw.clone()).filter(|saw| !saw.is_empty());
            match (&mut facts, &mut verdict) {
                (Some(facts), _) => mask.home(book, state, attempt, facts, &mut verdict),
                (None, Some(verdict)) => MARK.clone_into(&mut verdict.saw),
                (None, None) => {}
            }
            let quotes = true_saw.is_some_and(|saw| fault.summary.contains(&saw));
            match verdict.as_ref().filter(|verdict| quotes && !verdict.passed) {
                Some(verdict) => fault.summary = fault::refused(verdict),
                None => mask.summary(book, attempt, &mut fault),
            }
            mask.rest(book, attempt, &mut fault);
            Outcome::Failed { fault, facts, verdict }
        }
        Outcome::Broke { mut fault } => {
            mask.summary(book, attempt, &mut fault);
            mask.rest(book, attempt, &mut fault);
            Outcome::Broke { fault }
        }
        Outcome::Unknown { known } => Outcome::Unknown { known: mask.known(book, attempt, &known) },
    }
}

/// A warning about every name of the step's own mask that no result had: it may be written wrong. Given with the end of the
/// first attempt that had results.
pub(super) fn unmatched(book: &Runbook, state: &RunState, attempt: &Attempt) -> Option<Event> {
    let run = state.steps.get(&attempt.step).filter(|run| run.results_of.as_ref() == Some(attempt))?;
    let step = book.step(&attempt.step)?;
    let missing = |name: &&String| !run.results.contains(&name.to_lowercase());
    let missing: Vec<&str> = step.mask.iter().filter(missing).map(String::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    let text = format!("no result had a column {}: `mask` names it, and nothing was masked by it", missing.join(", "));
    let chunk = Chunk::Notice { severity: "WARNING".to_owned(), text };
    Some(Event::Output { attempt: attempt.clone(), chunk })
}

/// What is masked of one attempt, and what is known of it.
struct Mask<'s> {
    /// In lower case.
    columns: Vec<String>,
    run: &'s StepRun,
    /// True where rows are those of tables, not lines of a plan or an inventory.
    shows: bool,
    /// True where facts are of those rows; else they are the step's own counts.
    tells: bool,
}

impl<'s> Mask<'s> {
    /// None: nothing is masked there.
    fn of(book: &Runbook, state: &'s RunState, attempt: &Attempt) -> Option<Self> {
        let columns = columns(book, &state.opened.environment, &attempt.step);
        let run = state.steps.get(&attempt.step).filter(|_| !columns.is_empty())?;
        let tells = match &run.resolved {
            Some(Resolved::Sql { .. }) => true,
            Some(Resolved::Batch { .. } | Resolved::Migrations { .. }) => false,
            _ => return None,
        };
        let shows = acting(book, attempt).is_none_or(applies);
        Some(Self { columns, run, shows, tells: tells && shows })
    }

    /// `sent`: what the step sends, in lower case.
    fn words<'a>(&'a self, code: Option<&'a str>, sent: &'a str) -> Words<'a> {
        Words { columns: &self.columns, code, sent }
    }

    fn covers(&self, name: &str) -> bool {
        self.columns.contains(&name.to_lowercase())
    }

    /// Names of the last result's columns; empty where none are known.
    fn names(&self) -> &'s [String] {
        &self.run.output.columns
    }

    fn row(&self, row: Vec<Option<String>>) -> Vec<Option<String>> {
        // A cell whose column is not known might be any.
        let hidden = |n: usize| self.names().get(n).is_none_or(|name| self.covers(name));
        let cell = |(n, cell): (usize, Option<String>)| cell.map(|text| if hidden(n) { MARK.to_owned() } else { text });
        row.into_iter().enumerate().map(cell).collect()
    }

    /// The checkpoint in the target knows how far it is; nothing is resumed by what is journaled of it.
    fn batches(&self, batches: Batches) -> Batches {
        let key = match &self.run.resolved {
            Some(Resolved::Batch { order, .. }) => Some(&order.key),
            _ => None,
        };
        let told = key.is_some_and(|key| !self.words(None, "").names_one(key));
        let pausing = batches.pausing.map(|why| self.words(None, "").of(&why));
        let (reached, high) = (batches.reached.filter(|_| told), batches.high.filter(|_| told));
        Batches { reached, high, pausing, ..batches }
    }

    /// Takes what is masked out of what a step brought home: absent, so that nothing later can work with a mark as with a
    /// value. What the verdict saw is told with the marks.
    fn home(
        &self,
        book: &Runbook,
        state: &RunState,
        attempt: &Attempt,
        facts: &mut Facts,
        verdict: &mut Option<Verdict>,
    ) {
        // Found out afterwards: it is what the journal has, or our own words.
        if facts.recovered.is_some() {
            return;
        }
        let marked = self.marked(facts);
        if let Some(verdict) = verdict {
            verdict.saw = self.saw(book, state, attempt, verdict, (facts, &marked));
        }
        facts.notices.clone_from(&marked.notices);
        if self.tells {
            self.strip(facts);
        }
    }

    /// What a verdict saw, told without the true values where it quotes them. `facts`: the true ones, and the marked.
    fn saw(
        &self,
        book: &Runbook,
        state: &RunState,
        attempt: &Attempt,
        verdict: &Verdict,
        facts: (&Facts, &Facts),
    ) -> String {
        let expect = acting(book, attempt).and_then(|step| step.expect.as_ref());
        let Some(expect) = expect.filter(|expect| expect.source == verdict.expect) else {
            return self.words(None, "").of(&verdict.saw);
        };
        let mut context = context::of(book, state);
        let mut told = |facts: &Facts| {
            context.facts(facts);
            expr::explain(expect, &context)
        };
        // Other things it saw may be others by now.
        let (before, now) = (told(facts.0), told(facts.1));
        if before == now { verdict.saw.clone() } else { now }
    }

    /// What a sentence about them may show: a mark in place of each value.
    fn marked(&self, facts: &Facts) -> Facts {
        let mut marked = facts.clone();
        marked.notices = facts.notices.iter().map(|text| self.words(None, "").of(text)).collect();
        if !self.tells {
            return marked;
        }
        let hidden = self.hidden(facts);
        let value = marked.value.iter_mut().filter(|_| hidden.value);
        let rows = marked.row.iter_mut().chain(&mut marked.table);
        let cells = rows.flatten().filter(|(name, _)| hidden.has(name)).map(|(_, cell)| cell);
        for cell in value.chain(cells).filter(|cell| !cell.is_null()) {
            *cell = MARK.into();
        }
        marked
    }

    fn strip(&self, facts: &mut Facts) {
        let hidden = self.hidden(facts);
        let value = hidden.value && facts.value.as_ref().is_some_and(|value| *value != Value::Null);
        if value {
            facts.value = None;
        }
        if value || !hidden.keys.is_empty() {
            facts.masked = Some(Box::new(Masked { value, columns: hidden.keys.clone() }));
        }
        for row in facts.row.iter_mut().chain(&mut facts.table) {
            row.retain(|name, _| !hidden.has(name));
        }
    }

    /// What is masked of facts. Where they are not of the result whose columns came last, the names of their own cells count,
    /// and nobody knows whose the value is.
    fn hidden(&self, facts: &Facts) -> Hidden {
        let names = self.names();
        let keys = named::keys(names);
        let own: BTreeSet<&String> = facts.row.iter().flat_map(BTreeMap::keys).collect();
        if own != keys.iter().collect() {
            let covered = |key: &&&String| {
                let first = key.rsplit_once('_').filter(|(_, n)| n.parse::<u32>().is_ok());
                self.covers(key) || first.is_some_and(|(first, _)| self.covers(first))
            };
            return Hidden { value: true, keys: own.iter().filter(covered).map(|key| (*key).clone()).collect() };
        }
        let value = names.first().is_none_or(|name| self.covers(name));
        let covered = keys.into_iter().zip(names).filter(|(_, name)| self.covers(name));
        Hidden { value, keys: covered.map(|(key, _)| key).collect() }
    }

    fn summary(&self, book: &Runbook, attempt: &Attempt, fault: &mut Fault) {
        let expect = acting(book, attempt).and_then(|step| step.expect.as_ref());
        let expect = expect.filter(|expect| CONTENTS.iter().any(|name| expr::mentions(expect, name)));
        let unjudged = expect.map(|expect| format!("expect {} cannot be judged: ", expect.source));
        fault.summary = match unjudged.filter(|start| self.shows && fault.summary.starts_with(start)) {
            Some(start) => {
                let why = fault.summary.get(start.len()..).unwrap_or_default();
                let source = expect.map_or("", |expect| expect.source.as_str());
                // Why not may quote the values; which names have none is the runbook's own words.
                let why = if expr::names_alone(why, source) { why } else { "why is not told, columns are masked" };
                format!("{start}{why}")
            }
            None => self.words(fault.sqlstate.as_deref(), &self.sent(book, attempt)).of(&fault.summary),
        };
    }

    fn rest(&self, book: &Runbook, attempt: &Attempt, fault: &mut Fault) {
        let sent = self.sent(book, attempt);
        let code = fault.sqlstate.clone();
        let words = self.words(code.as_deref(), &sent);
        fault.detail = fault.detail.take().map(|text| words.detail(&text));
        fault.hint = fault.hint.take().map(|text| words.of(&text));
    }

    /// What is known of an attempt in doubt. What the server said is told apart from our own words.
    fn known(&self, book: &Runbook, attempt: &Attempt, known: &str) -> String {
        match fault::heard(known) {
            Some((before, code, said, then)) => {
                let sent = self.sent(book, attempt);
                format!("{before}{}", fault::said(code, &self.words(Some(code), &sent).detail(said), then))
            }
            None => self.words(None, &self.sent(book, attempt)).of(known),
        }
    }

    /// What the step sends, in lower case.
    fn sent(&self, book: &Runbook, attempt: &Attempt) -> String {
        let texts: Vec<&str> = match (&self.run.resolved, acting(book, attempt).map(|step| &step.verb)) {
            (Some(Resolved::Sql { statements, direct, .. }), _) => {
                statements.iter().map(|one| one.sql.as_str()).chain(direct.question.as_deref()).collect()
            }
            (Some(Resolved::Batch { order, .. }), _) => {
                let texts = [&order.set, &order.filter, &order.complete].into_iter().flatten();
                texts.chain([&order.table, &order.key]).map(String::as_str).collect()
            }
            (_, Some(Verb::Migrations(folder))) => {
                let parts =
                    folder.files.iter().flat_map(|file| [Some(&file.up), file.down.as_ref(), file.verify.as_ref()]);
                parts.flatten().map(|part| part.text.as_str()).collect()
            }
            _ => Vec::new(),
        };
        texts.join("\n").to_lowercase()
    }
}

/// The facts that are of masked columns.
struct Hidden {
    value: bool,
    keys: BTreeSet<String>,
}

impl Hidden {
    fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }
}
