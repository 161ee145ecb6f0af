//! All entries of a run with the states along the way, so that the state at any place is near.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::marks::{self, Mark};
use crate::run::event::Opened;
use crate::run::state::StepRun;
use crate::run::{Entry, Event, RunState};
use crate::runbook::StepId;

/// Entries between two remembered states, at least; runs of more than [`SNAPSHOTS`] times that have wider gaps.
pub const SNAPSHOT_EVERY: usize = 2_500;
/// How many states are remembered at most: what bounds the memory of a long run.
const SNAPSHOTS: usize = 128;

/// Later times count as this one (in 142,000 years): below it milliseconds are exact as floating point numbers too.
const LAST_MS: u64 = 1 << 52;

/// A state with its heavy parts shared: what did not change since the last snapshot is not kept again.
struct Snapshot {
    /// Without `opened` and `steps`.
    rest: RunState,
    opened: Arc<Opened>,
    steps: BTreeMap<StepId, Arc<StepRun>>,
}

pub struct Timeline {
    entries: Vec<Entry>,
    /// Run-clock milliseconds by entry, never falling, at most [`LAST_MS`].
    times: Vec<u64>,
    every: usize,
    /// The state before entry `i * every`.
    snapshots: Vec<Snapshot>,
    marks: Vec<Mark>,
    /// Entries other than samples: what idle skip travels to.
    notable: Vec<usize>,
    /// Entries of engines that took the run up from one that never said that it stops.
    takeovers: BTreeSet<usize>,
}

impl Timeline {
    /// Takes the entries of a run, in order from the first; folds them once.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut timeline = Self {
            times: Vec::with_capacity(entries.len()),
            every: SNAPSHOT_EVERY.max(entries.len().div_ceil(SNAPSHOTS)),
            snapshots: Vec::new(),
            marks: Vec::new(),
            notable: Vec::new(),
            takeovers: BTreeSet::new(),
            entries,
        };
        timeline.index();
        timeline.remember();
        timeline
    }

    fn index(&mut self) {
        let (mut ms, mut held) = (0, false);
        for (index, entry) in self.entries.iter().enumerate() {
            ms = entry.at.ms.min(LAST_MS).max(ms);
            self.times.push(ms);
            self.marks.extend(marks::kind(entry).map(|kind| Mark { index, ms, kind }));
            if !matches!(entry.event, Event::SampleTaken { .. }) {
                self.notable.push(index);
            }
            match &entry.event {
                Event::EngineStarted { .. } if held => _ = self.takeovers.insert(index),
                Event::EngineStarted { .. } => held = true,
                Event::EngineStopped { .. } => held = false,
                _ => {}
            }
        }
    }

    fn remember(&mut self) {
        let mut state = RunState::default();
        let mut touched = BTreeSet::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if index % self.every == 0 {
                let snapshot = Snapshot::of(&mut state, self.snapshots.last(), &touched);
                self.snapshots.push(snapshot);
                touched.clear();
            }
            state.apply(entry);
            // Output changes a step without saying so in `changed`.
            if let Event::Output { attempt, .. } = &entry.event
                && !touched.contains(&attempt.step)
            {
                touched.insert(attempt.step.clone());
            }
        }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_takeover(&self, index: usize) -> bool {
        self.takeovers.contains(&index)
    }

    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Run-clock time of the first and of the last entry.
    pub fn span(&self) -> (u64, u64) {
        let first = self.times.first().copied().unwrap_or(0);
        (first, self.times.last().copied().unwrap_or(first))
    }

    /// Run-clock time of an entry; the end's, beyond it.
    pub fn time(&self, index: usize) -> u64 {
        self.times.get(index).copied().unwrap_or(self.span().1)
    }

    /// How many entries had happened at `ms`.
    pub fn position_at(&self, ms: u64) -> usize {
        self.times.partition_point(|time| *time <= ms)
    }

    /// When the first entry from `position` on comes that is no sample.
    pub fn next_notable(&self, position: usize) -> Option<u64> {
        let at = self.notable.partition_point(|index| *index < position);
        self.notable.get(at).map(|index| self.times[*index])
    }

    /// The state after the first `position` entries.
    pub fn state_at(&self, position: usize) -> RunState {
        let position = position.min(self.entries.len());
        let nearest = (position / self.every).min(self.snapshots.len().saturating_sub(1));
        let mut state = self.snapshots.get(nearest).map(Snapshot::state).unwrap_or_default();
        let from = (nearest * self.every).min(position);
        for entry in &self.entries[from..position] {
            state.apply(entry);
        }
        state
    }
}

impl Snapshot {
    /// `touched`: steps that got output since `last`.
    fn of(state: &mut RunState, last: Option<&Self>, touched: &BTreeSet<StepId>) -> Self {
        // Taken out, so that the clone does not copy what is shared.
        let opened = std::mem::take(&mut state.opened);
        let steps = std::mem::take(&mut state.steps);
        let rest = state.clone();
        let shared = |(id, step): (&StepId, &StepRun)| {
            let known = last.and_then(|last| last.steps.get(id));
            let same = known.filter(|known| known.changed == step.changed && !touched.contains(id));
            (id.clone(), same.cloned().unwrap_or_else(|| Arc::new(step.clone())))
        };
        let snapshot = Self {
            rest,
            opened: match last.filter(|last| *last.opened == opened) {
                Some(last) => last.opened.clone(),
                None => Arc::new(opened.clone()),
            },
            steps: steps.iter().map(shared).collect(),
        };
        state.opened = opened;
        state.steps = steps;
        snapshot
    }

    fn state(&self) -> RunState {
        let mut state = self.rest.clone();
        state.opened = (*self.opened).clone();
        state.steps = self.steps.iter().map(|(id, step)| (id.clone(), (**step).clone())).collect();
        state
    }
}
