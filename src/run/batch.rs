//! A step that works in batches: what exactly it will do, where it takes up what an earlier attempt began, how far it is.

use serde::{Deserialize, Serialize};

use super::clean;
use super::event::{Attempt, Direction, Resolved};
use super::facts::Outcome;
use super::plan::millis;
use super::retune;
use super::state::{RunState, StepStatus};
use super::words::{count, duration, plural};
use crate::runbook::expr::{self, Context, ExprError, Place};
use crate::runbook::{Batch, Health, Sizing, Step, sql};

/// What is done to the rows of each range, with every value in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchOrder {
    pub table: String,
    pub key: String,
    /// None: the rows are deleted.
    pub set: Option<String>,
    pub filter: Option<String>,
    pub size: Sizing,
    pub pause_ms: u64,
    /// No batch begins while this expression is true.
    pub throttle: Option<String>,
    /// Nor beyond these limits.
    #[serde(default)]
    pub health: Health,
    pub complete: Option<String>,
    pub repeatable: bool,
    /// The attempt whose checkpoint it goes on from: its own number where it begins anew.
    pub since: u32,
}

impl BatchOrder {
    /// As the runbook has it, templates still text.
    pub fn planned(batch: &Batch) -> Self {
        Self {
            table: batch.table.clone(),
            key: batch.key.clone(),
            set: batch.set.clone(),
            filter: batch.filter.clone(),
            size: batch.size,
            pause_ms: millis(batch.pause),
            throttle: batch.throttle.as_ref().map(|throttle| throttle.source.clone()),
            health: batch.health,
            complete: batch.complete.clone(),
            repeatable: batch.repeatable,
            since: 0,
        }
    }

    pub fn new(batch: &Batch, dialect: sql::Dialect, context: &Context) -> Result<Self, ExprError> {
        let text = |text: &Option<String>| {
            text.as_ref().map(|text| expr::render(text, Place::Sql(dialect), context)).transpose()
        };
        Ok(Self {
            set: text(&batch.set)?,
            filter: text(&batch.filter)?,
            complete: text(&batch.complete)?,
            ..Self::planned(batch)
        })
    }

    /// The statement of a batch as people read it.
    pub fn statement(&self) -> String {
        let Self { table, key, .. } = self;
        let what = match &self.set {
            Some(set) => format!("update {table} set {}", set.trim()),
            None => format!("delete from {table}"),
        };
        let filter = self.filter.as_ref().map(|filter| format!("\n  and ({})", filter.trim())).unwrap_or_default();
        format!("{what}\nwhere {key} > … and {key} <= …{filter}")
    }

    /// `1,000 keys a batch`, `100 to 50,000 keys a batch, 200 ms each`.
    pub fn sizes(&self) -> String {
        retune::sizes(&self.size)
    }

    /// The same work: only then may one attempt go on where another stopped.
    fn is(&self, other: &Self) -> bool {
        let work = |order: &Self| (order.table.clone(), order.key.clone(), order.set.clone(), order.filter.clone());
        work(self) == work(other)
    }
}

/// The order of an attempt: it goes on where the attempt before it stopped, unless that one was taken back or had come to
/// its end.
///
/// # Errors
/// The one before it did other work: going on would mix the two.
pub fn continued(state: &RunState, step: &Step, attempt: &Attempt, order: BatchOrder) -> Result<BatchOrder, ExprError> {
    let anew = BatchOrder { since: attempt.n, ..order };
    let Some(run) = state.steps.get(&step.id) else { return Ok(anew) };
    let same_way = run.attempt.as_ref().is_some_and(|last| last.direction == attempt.direction);
    let broken_off = match attempt.direction {
        Direction::Forward => matches!(run.status, StepStatus::Failed | StepStatus::Broke),
        Direction::Undo => run.status == StepStatus::UndoFailed,
    };
    let Some(Resolved::Batch { order: before, .. }) = run.resolved.as_ref().filter(|_| same_way && broken_off) else {
        return Ok(anew);
    };
    // It had walked to its end: what it left is for a new walk, where one may be done.
    let walked = matches!(&run.outcome, Some(Outcome::Failed { facts: Some(facts), .. }) if facts.value.is_some());
    if walked && anew.repeatable {
        return Ok(anew);
    }
    if !before.is(&anew) {
        return Err(ExprError::Failed(
            "its text is not the one that the attempt before it began with, and batches of that one may be committed: \
             undo the step, then start it again"
                .to_owned(),
        ));
    }
    // The pace that people found right for it holds for the rest of it too.
    Ok(BatchOrder { since: before.since, size: before.size, pause_ms: before.pause_ms, ..anew })
}

/// How far a step in batches is: shown while it runs, and journaled now and then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batches {
    /// Batches committed.
    pub n: u64,
    /// Keys that the next one looks at.
    pub size: u64,
    /// Rows written.
    pub rows: u64,
    /// About how many it will be, where they could be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Thousandths of the keys that are done; none while nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permille: Option<u16>,
    /// Rows a second, lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Milliseconds it still takes; none while that is not sure enough to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// The last key that is done, and the last that will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
    /// Why no batch begins now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pausing: Option<String>,
    /// True where that is a signal's doing: the throttle's, or the health's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub throttled: bool,
    /// Since the attempt began.
    pub ms: u64,
}

impl Batches {
    /// `412,000 of ~1,000,000 rows · 41 % · 8,200 rows/s · ~1m12 left · batch 413 (1,000 keys) · throttled: load > 80`
    pub fn words(&self) -> String {
        let mut words = self.figures();
        words.extend(self.pause());
        words.join(" · ")
    }

    /// Why no batch begins now: `throttled: replication lag 12 s > 5 s (standby walreceiver)`.
    pub fn pause(&self) -> Option<String> {
        let word = if self.throttled { "throttled" } else { "pausing" };
        self.pausing.as_ref().map(|why| format!("{word}: {}", clean::line(why, 200)))
    }

    /// Everything that can be counted, in words.
    fn figures(&self) -> Vec<String> {
        let mut words = self.counts();
        let at = words.len().min(1);
        words.splice(at..at, self.percent());
        if let Some(left) = self.left() {
            words.insert(words.len() - 1, left);
        }
        words
    }

    /// `~1m12 left`
    pub fn left(&self) -> Option<String> {
        self.left_ms.map(|left| format!("~{} left", duration(left)))
    }

    /// `412,000 of ~1,000,000 rows`, `8,200 rows/s`, `batch 413 (1,000 keys)`.
    pub fn counts(&self) -> Vec<String> {
        let rows = match self.of {
            Some(of) => format!("{} of ~{}", count(self.rows), plural(of, "row")),
            None => plural(self.rows, "row"),
        };
        let mut words = vec![rows];
        words.extend(self.rate.map(|rate| format!("{} rows/s", count(rate))));
        words.push(format!("batch {} ({})", count(self.n.saturating_add(1)), plural(self.size, "key")));
        words
    }

    /// `41 %`; all of it only where nothing is left.
    pub fn percent(&self) -> Option<String> {
        self.permille.map(|share| format!("{} %", share.min(1_000) / 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let mut batches = Batches { n: 412, size: 1_000, rows: 412_000, of: Some(1_000_000), ..Batches::default() };
        assert_eq!(batches.words(), "412,000 of ~1,000,000 rows · batch 413 (1,000 keys)");
        batches.rate = Some(8_200);
        batches.left_ms = Some(72_000);
        batches.permille = Some(412);
        batches.pausing = Some("connections = 91\u{1b}".to_owned());
        let words = batches.words();
        assert!(
            words.starts_with("412,000 of ~1,000,000 rows · 41 % · 8,200 rows/s · ~1m12 left · batch 413"),
            "{words}"
        );
        assert!(words.contains("pausing: connections = 91") && !words.contains('\u{1b}'), "{words}");
        batches.throttled = true;
        assert!(batches.words().contains(" · throttled: connections = 91"), "{}", batches.words());
    }
}
