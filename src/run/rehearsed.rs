//! What a run knows of its rehearsal: which one it was, what was not the same, and how long each step took there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{Attempt, Direction, Entry, Event, Resolved};
use super::facts::Outcome;
use crate::runbook::StepId;

/// A step is told as slow or quick when it took more than so many times as long as (or than) in the rehearsal …
const TIMES: u64 = 2;
/// … and the difference is more than so many milliseconds.
const MORE_MS: u64 = 10_000;

/// A rehearsal that went forward, back and forward again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    pub run: String,
    /// When it ended.
    pub at: DateTime<Utc>,
    pub environment: String,
    /// True where not a letter of the runbook changed since.
    pub same_digest: bool,
    /// Steps that are new, gone, or say something else since then.
    pub changed_steps: Vec<String>,
    /// Variables that had other values then: `monitor was 5s, is 30m`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_values: Vec<String>,
    /// How long its steps took.
    #[serde(default, skip_serializing_if = "StepTimes::is_empty")]
    pub times: StepTimes,
}

impl Rehearsed {
    /// What was not the same, though the text was; holds foreign text.
    pub fn otherwise(&self) -> Option<String> {
        (self.same_digest && !self.other_values.is_empty()).then(|| self.other_values.join("; "))
    }
}

/// Milliseconds that steps took, by step and direction: one number for each that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepTimes {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub forward: BTreeMap<StepId, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub undo: BTreeMap<StepId, u64>,
}

impl StepTimes {
    pub fn is_empty(&self) -> bool {
        self.forward.is_empty() && self.undo.is_empty()
    }

    /// Milliseconds that the step took in this direction; none: it was not done.
    pub fn of(&self, step: &StepId, direction: Direction) -> Option<u64> {
        let side = match direction {
            Direction::Forward => &self.forward,
            Direction::Undo => &self.undo,
        };
        side.get(step).copied()
    }

    /// Lets go of what `keep` says no to.
    pub fn retain(&mut self, keep: impl Fn(&StepId, Direction) -> bool) {
        self.forward.retain(|step, _| keep(step, Direction::Forward));
        self.undo.retain(|step, _| keep(step, Direction::Undo));
    }
}

impl Resolved {
    /// True where the attempt does what is left of an earlier one: its time is not that of the whole step.
    pub fn goes_on(&self, attempt: &Attempt) -> bool {
        match self {
            Self::Batch { order, .. } => order.since != attempt.n,
            Self::Migrations { order, .. } => order.since.is_some(),
            _ => false,
        }
    }
}

/// Gathers the times of a rehearsal from its entries, in their order.
#[derive(Debug, Default)]
pub struct Stopwatch {
    /// None: it was done, and its time is not that of the whole step.
    seen: BTreeMap<(StepId, Direction), Option<u64>>,
    /// Attempts that do what is left of an earlier one.
    going_on: BTreeSet<Attempt>,
    edited: BTreeSet<StepId>,
}

impl Stopwatch {
    /// The kinds of entries that it looks at, as the journal names them.
    pub const KINDS: [&str; 3] = ["step_started", "step_ended", "sql_edited"];

    /// The first time that a step was done counts: the second way forward finds what the first has warmed up.
    pub fn saw(&mut self, entry: &Entry) {
        match &entry.event {
            Event::StepStarted { attempt, resolved, .. } if resolved.goes_on(attempt) => {
                self.going_on.insert(attempt.clone());
            }
            Event::StepEnded { attempt, outcome: outcome @ Outcome::Done { .. } } => {
                let whole = outcome.whole_ms(self.going_on.contains(attempt));
                self.seen.entry((attempt.step.clone(), attempt.direction)).or_insert(whole);
            }
            Event::SqlEdited { step, .. } => {
                self.edited.insert(step.clone());
            }
            _ => {}
        }
    }

    /// What was edited on the way is not what the runbook says: its time would mislead.
    pub fn times(self) -> StepTimes {
        let mut times = StepTimes::default();
        let seen = self.seen.into_iter().filter(|((step, _), _)| !self.edited.contains(step));
        for ((step, direction), ms) in seen.filter_map(|(key, ms)| Some((key, ms?))) {
            match direction {
                Direction::Forward => times.forward.insert(step, ms),
                Direction::Undo => times.undo.insert(step, ms),
            };
        }
        times
    }
}

/// True where a step that took `ms` was, or is, much slower than the `rehearsed_ms` of its rehearsal.
pub fn much_slower(ms: u64, rehearsed_ms: u64) -> bool {
    ms > rehearsed_ms.saturating_mul(TIMES) && ms - rehearsed_ms > MORE_MS
}

/// True where it was so much quicker that it is worth a look: it may have found less to do.
pub fn much_quicker(ms: u64, rehearsed_ms: u64) -> bool {
    much_slower(rehearsed_ms, ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Facts, Moment};

    fn order() -> crate::run::batch::BatchOrder {
        serde_json::from_str(
            r#"{"table":"t","key":"id","set":null,"filter":null,"size":{"start":1,"min":1,"max":1,"aim_ms":null},"pause_ms":0,
            "throttle":null,"complete":null,"repeatable":true,"since":0}"#,
        )
        .unwrap()
    }

    fn ended(step: &str, direction: Direction, ms: u64, recovered: bool) -> Entry {
        let recovered = recovered.then(|| "its row is there".to_owned());
        let facts = Box::new(Facts { ms, recovered, ..Facts::default() });
        let attempt = Attempt { step: step.into(), direction, n: 1 };
        let event = Event::StepEnded { attempt, outcome: Outcome::Done { facts, verdict: None } };
        Entry { seq: 1, at: Moment::default(), event }
    }

    #[test]
    fn the_first_time_of_each_direction_counts() {
        let mut watch = Stopwatch::default();
        for (direction, ms) in [(Direction::Forward, 70), (Direction::Undo, 40), (Direction::Forward, 20)] {
            watch.saw(&ended("a", direction, ms, false));
        }
        watch.saw(&ended("guessed", Direction::Forward, 0, true));
        watch.saw(&ended("edited", Direction::Forward, 9, false));
        let (step, by, before, after) = ("edited".into(), String::new(), String::new(), String::new());
        watch.saw(&Entry {
            event: Event::SqlEdited { step, by, before, after },
            ..ended("x", Direction::Undo, 0, true)
        });
        let times = watch.times();
        assert_eq!(times.of(&"a".into(), Direction::Forward), Some(70));
        assert_eq!(times.of(&"a".into(), Direction::Undo), Some(40));
        assert_eq!((times.forward.len(), times.undo.len()), (1, 1), "{times:?}");
    }

    #[test]
    fn what_went_on_from_an_earlier_attempt_has_no_time() {
        let batch = |step: &str, n: u32, since: u32| {
            let order = crate::run::batch::BatchOrder { since, ..order() };
            let attempt = Attempt { step: step.into(), direction: Direction::Forward, n };
            let resolved = Resolved::Batch { target: "main".to_owned(), order: Box::new(order) };
            let event = Event::StepStarted { attempt, resolved, by: String::new() };
            Entry { event, ..ended(step, Direction::Forward, 0, false) }
        };
        let done = |step: &str, n: u32, ms: u64| {
            let mut entry = ended(step, Direction::Forward, ms, false);
            if let Event::StepEnded { attempt, .. } = &mut entry.event {
                attempt.n = n;
            }
            entry
        };
        let mut watch = Stopwatch::default();
        let run = [
            batch("whole", 1, 1),
            done("whole", 1, 700),
            batch("cut", 1, 1),
            // Its engine died; the second attempt did the rest, and the way forward after the way back all of it.
            batch("cut", 2, 1),
            done("cut", 2, 40),
            batch("cut", 3, 3),
            done("cut", 3, 90),
            batch("anew", 1, 1),
            batch("anew", 2, 2),
            done("anew", 2, 300),
        ];
        run.iter().for_each(|entry| watch.saw(entry));
        let times = watch.times().forward;
        let told: Vec<(&str, u64)> = times.iter().map(|(step, ms)| (step.0.as_str(), *ms)).collect();
        assert_eq!(told, [("anew", 300), ("whole", 700)]);
    }

    #[test]
    fn the_kinds_it_asks_for_are_the_kinds_it_looks_at() {
        let (step, by, before, after) = ("a".into(), String::new(), String::new(), String::new());
        let attempt = Attempt { step: "a".into(), direction: Direction::Forward, n: 1 };
        let events = [
            Event::StepStarted { attempt, resolved: Resolved::Human, by: String::new() },
            ended("a", Direction::Forward, 1, false).event,
            Event::SqlEdited { step, by, before, after },
        ];
        let kinds = events.map(|event| serde_json::to_value(event).unwrap()["kind"].as_str().unwrap().to_owned());
        assert_eq!(kinds, Stopwatch::KINDS);
    }

    #[test]
    fn much_is_twice_and_ten_seconds() {
        assert!(much_slower(20_001, 10_000) && !much_slower(20_000, 10_000));
        assert!(!much_slower(10_000, 0) && much_slower(10_001, 0) && !much_slower(40_000, 25_000));
        assert!(!much_slower(u64::MAX, u64::MAX) && !much_slower(0, u64::MAX));
        assert!(much_quicker(10_000, 20_001) && !much_quicker(20_001, 10_000));
    }

    #[test]
    fn a_journal_without_times_reads_and_writes_as_before() {
        let old =
            r#"{"run":"a","at":"2026-01-01T00:00:00Z","environment":"test","same_digest":true,"changed_steps":[]}"#;
        let read: Rehearsed = serde_json::from_str(old).unwrap();
        assert!(read.times.is_empty());
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
