//! Columns that a runbook masks: taken out of what a step brings home before any of it becomes an event.
//!
//! `expect` was judged on the true values by then. Of them only its yes or no is kept: what names them says less here.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::context;
use super::event::{Attempt, Resolved};
use super::facts::{Chunk, Facts, Fault, Outcome, Verdict};
use super::follow::acting;
use super::state::{RunState, StepRun};
use crate::runbook::{Asks, Runbook, StepId, expr};

/// What is shown in place of a value.
pub const MARK: &str = "‹masked›";
/// Errors whose detail is a whole row: of NOT NULL, of CHECK, of a view's check option.
const OF_A_ROW: &[&str] = &["23502", "23514", "44000"];

/// `Key (a, email)=(1, ada@example.org)`: the columns by name, the values behind them.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)\(([^=]*?)\) ?= ?\(.*\)").ok());
static ROW: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)row contains \(.*").ok());
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("(?s)\".*\"").ok());

/// The columns, in lower case, that are masked in what a step, or its undo, brings home in an environment.
pub fn columns(book: &Runbook, environment: &str, step: &StepId) -> Vec<String> {
    let step = book.step(step).map(|step| step.mask.as_slice()).unwrap_or_default();
    let environment = book.environment(environment).map(|one| one.mask.as_slice()).unwrap_or_default();
    step.iter().chain(environment).map(|name| name.to_lowercase()).collect()
}

/// A piece of output without the values of masked columns. A NULL stays one.
pub(super) fn chunk(book: &Runbook, state: &RunState, attempt: &Attempt, chunk: Chunk) -> Chunk {
    let Some(mask) = Mask::of(book, state, attempt) else { return chunk };
    match chunk {
        Chunk::Rows { n, rows } if mask.rows => {
            Chunk::Rows { n, rows: rows.into_iter().map(|row| mask.row(row)).collect() }
        }
        Chunk::Notice { severity, text } => Chunk::Notice { severity, text: mask.words(text, None) },
        Chunk::Judged { xid, ledger, mut facts, verdict } => {
            let verdict = mask.home(book, state, attempt, &mut facts, verdict).0;
            Chunk::Judged { xid, ledger, facts, verdict }
        }
        other => other,
    }
}

/// An outcome without the values of masked columns.
pub(super) fn outcome(book: &Runbook, state: &RunState, attempt: &Attempt, outcome: Outcome) -> Outcome {
    let Some(mask) = Mask::of(book, state, attempt) else { return outcome };
    match outcome {
        Outcome::Done { mut facts, verdict } => {
            let verdict = mask.home(book, state, attempt, &mut facts, verdict).0;
            Outcome::Done { facts, verdict }
        }
        Outcome::Failed { mut fault, mut facts, mut verdict } => {
            if let Some(facts) = &mut facts {
                let (told, saw) = mask.home(book, state, attempt, facts, verdict);
                if let Some((before, now)) = saw {
                    fault.summary = fault.summary.replace(&before, &now);
                }
                verdict = told;
            }
            mask.fault(book, attempt, &mut fault);
            Outcome::Failed { fault, facts, verdict }
        }
        Outcome::Broke { mut fault } => {
            mask.fault(book, attempt, &mut fault);
            Outcome::Broke { fault }
        }
        Outcome::Unknown { known } => Outcome::Unknown { known: mask.words(known, None) },
    }
}

/// The masked columns, in lower case, and the result that came last.
struct Mask<'s> {
    columns: Vec<String>,
    /// Names of the last result's columns; empty where none are known.
    names: &'s [String],
    /// False where the answer is no result of the step's own, but a plan or an inventory.
    rows: bool,
}

impl<'s> Mask<'s> {
    /// None: nothing is masked there.
    fn of(book: &Runbook, state: &'s RunState, attempt: &Attempt) -> Option<Self> {
        let columns = columns(book, &state.opened.environment, &attempt.step);
        let run = state.steps.get(&attempt.step).filter(|_| !columns.is_empty())?;
        let rows = match &run.resolved {
            Some(Resolved::Sql { asks, .. }) => matches!(asks, Asks::Rows),
            Some(Resolved::Batch { .. } | Resolved::Migrations { .. }) => false,
            _ => return None,
        };
        Some(Self { columns, names: names(run), rows })
    }

    /// True for a masked column: by name, whatever its case, and for its second in one result (`email_2`).
    fn covers(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let first = name.rsplit_once('_').filter(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
        self.columns.iter().any(|one| *one == name || first.is_some_and(|(first, _)| one == first))
    }

    fn row(&self, row: Vec<Option<String>>) -> Vec<Option<String>> {
        // A cell whose column is not known might be any.
        let hidden = |n: usize| self.names.get(n).is_none_or(|name| self.covers(name));
        let cell = |(n, cell): (usize, Option<String>)| cell.map(|text| if hidden(n) { MARK.to_owned() } else { text });
        row.into_iter().enumerate().map(cell).collect()
    }

    /// What a step brought home, without what is masked: absent, so that nothing later can work with a mark as with a
    /// value. Also gives what the verdict saw, before and now, where that had to change.
    fn home(
        &self,
        book: &Runbook,
        state: &RunState,
        attempt: &Attempt,
        facts: &mut Facts,
        verdict: Option<Verdict>,
    ) -> (Option<Verdict>, Option<(String, String)>) {
        facts.notices = std::mem::take(&mut facts.notices).into_iter().map(|text| self.words(text, None)).collect();
        let marked = self.marked(facts);
        if !self.rows || !self.strip(facts) {
            return (verdict, None);
        }
        let Some(mut verdict) = verdict else { return (None, None) };
        let expect = acting(book, attempt).and_then(|step| step.expect.as_ref());
        let Some(expect) = expect.filter(|expect| expect.source == verdict.expect) else {
            return (Some(verdict), None);
        };
        let mut context = context::of(book, state);
        context.facts(&marked);
        let now = expr::explain(expect, &context);
        let before = std::mem::replace(&mut verdict.saw, now.clone());
        (Some(verdict), (!before.is_empty()).then_some((before, now)))
    }

    /// What a sentence about them may show: a mark in place of each value.
    fn marked(&self, facts: &Facts) -> Facts {
        let mut facts = facts.clone();
        let first = self.names.first().is_none_or(|name| self.covers(name));
        let value = facts.value.iter_mut().filter(|_| first);
        let rows = facts.row.iter_mut().chain(&mut facts.table);
        let cells = rows.flatten().filter(|(name, _)| self.covers(name)).map(|(_, cell)| cell);
        for cell in value.chain(cells).filter(|cell| !cell.is_null()) {
            *cell = MARK.into();
        }
        facts
    }

    /// True where something was taken out.
    fn strip(&self, facts: &mut Facts) -> bool {
        let mut gone = false;
        if facts.value.as_ref().is_some_and(|value| *value != Value::Null)
            && self.names.first().is_none_or(|name| self.covers(name))
        {
            facts.value = None;
            gone = true;
        }
        for row in facts.row.iter_mut().chain(&mut facts.table) {
            let before = row.len();
            row.retain(|name, _| !self.covers(name));
            gone |= row.len() < before;
        }
        gone
    }

    fn fault(&self, book: &Runbook, attempt: &Attempt, fault: &mut Fault) {
        let code = fault.sqlstate.clone();
        let expect = acting(book, attempt).and_then(|step| step.expect.as_ref());
        let unjudged = expect.map(|expect| format!("expect {} cannot be judged: ", expect.source));
        fault.summary = match unjudged.filter(|start| self.rows && fault.summary.starts_with(start)) {
            // Why not may quote the values.
            Some(start) => format!("{start}why is not told, columns are masked"),
            None => self.words(std::mem::take(&mut fault.summary), code.as_deref()),
        };
        fault.detail = fault.detail.take().map(|text| match code.as_deref() {
            // Its values have no names: all of it may be of a masked column. In whatever language the server speaks.
            Some(code) if OF_A_ROW.contains(&code) => cut_from(&text, '('),
            code => self.words(text, code),
        });
        fault.hint = fault.hint.take().map(|text| self.words(text, code.as_deref()));
    }

    /// Text of the server without the values that it says are of a masked column, or of a whole row. What an error about a
    /// value itself (class 22) quotes has no column: it is taken out as well.
    fn words(&self, text: String, code: Option<&str>) -> String {
        let mut text = text;
        if let Some(key) = KEY.as_ref() {
            text = key
                .replace_all(&text, |found: &regex::Captures<'_>| match self.names_one(&found[1]) {
                    true => format!("({})=({MARK})", &found[1]),
                    false => found[0].to_owned(),
                })
                .into_owned();
        }
        if let Some(row) = ROW.as_ref() {
            text = row.replace_all(&text, format!("row contains ({MARK})")).into_owned();
        }
        match QUOTED.as_ref().filter(|_| code.is_some_and(|code| code.starts_with("22"))) {
            Some(quoted) => quoted.replace_all(&text, format!("\"{MARK}\"")).into_owned(),
            None => text,
        }
    }

    /// True where a list of columns, or of expressions over them, names a masked one.
    fn names_one(&self, columns: &str) -> bool {
        columns.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| self.covers(word))
    }
}

fn names(run: &StepRun) -> &[String] {
    &run.output.columns
}

fn cut_from(text: &str, open: char) -> String {
    match text.split_once(open) {
        Some((before, _)) => format!("{before}({MARK})"),
        None => text.to_owned(),
    }
}
