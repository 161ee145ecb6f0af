//! The pacing of a replay: which entries are due, where the playhead stands, how fast it goes. The caller brings the time.

use chrono::TimeDelta;

use super::marks::{Mark, MarkKind};
use super::timeline::Timeline;
use crate::run::{Entry, Moment, RunState};

/// The speeds that faster and slower go through.
pub const SPEEDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// With idle skip, so many milliseconds of the run are left of any longer time in which only samples came.
const IDLE_MS: u64 = 2_000;

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Entries shown, of how many.
    pub position: usize,
    pub total: usize,
    pub playing: bool,
    pub speed: f64,
    pub idle_skip: bool,
    /// Run-clock time of the playhead, of the first entry, of the last.
    pub at_ms: u64,
    pub from_ms: u64,
    pub to_ms: u64,
}

/// A run played back. Starts before its first entry, paused.
pub struct Replay {
    timeline: Timeline,
    position: usize,
    /// The playhead on the run clock; parts of milliseconds matter at ×1.
    head: f64,
    speed: f64,
    idle_skip: bool,
    /// The caller's clock when time was last counted; none: paused.
    last_now: Option<u64>,
}

impl Replay {
    /// Takes all entries of a run, in order. Folds them once: about a second per million.
    pub fn new(entries: Vec<Entry>) -> Self {
        let timeline = Timeline::new(entries);
        Self {
            head: timeline.span().0 as f64,
            timeline,
            position: 0,
            speed: SPEEDS[0],
            idle_skip: false,
            last_now: None,
        }
    }

    /// Moves the playhead to `now_ms` (any clock of the caller's that does not step back) and returns the entries
    /// that became due, in order. Empty while paused; at the end it pauses by itself.
    pub fn advance(&mut self, now_ms: u64) -> &[Entry] {
        let from = self.position;
        if let Some(last) = self.last_now {
            self.last_now = Some(now_ms.max(last));
            self.travel(now_ms.saturating_sub(last) as f64 * self.speed);
            if self.position == self.timeline.len() {
                self.last_now = None;
            }
        }
        &self.timeline.entries()[from..self.position]
    }

    /// Moves the head on by `run_ms` of the run, over idle times in a hop where they are skipped.
    fn travel(&mut self, mut run_ms: f64) {
        while self.idle_skip && run_ms > 0.0 {
            let Some(next) = self.timeline.next_notable(self.position) else {
                break;
            };
            let next = next as f64;
            self.head = self.head.max(next - IDLE_MS as f64);
            let step = run_ms.min((next - self.head).max(0.0));
            self.head += step;
            run_ms -= step;
            if self.head < next {
                break;
            }
            // At the notable entry: it is past now, and the next gap may be hopped over too.
            self.catch_up();
        }
        self.head = (self.head + run_ms).min(self.timeline.span().1 as f64);
        self.catch_up();
    }

    fn catch_up(&mut self) {
        self.position = self.position.max(self.timeline.position_at(self.head as u64));
    }

    /// Milliseconds until [`advance`](Self::advance) has something to give; none while paused or at the end.
    pub fn next_due(&self) -> Option<u64> {
        self.last_now?;
        let next = self.timeline.entries().get(self.position).map(|_| self.timeline.time(self.position))?;
        let skipped = match (self.idle_skip, self.timeline.next_notable(self.position)) {
            (true, Some(notable)) => self.head.max(notable.saturating_sub(IDLE_MS) as f64),
            _ => self.head,
        };
        Some(((next as f64 - skipped).max(0.0) / self.speed).ceil() as u64)
    }

    /// Plays from here on; from the start where it is at the end.
    pub fn play(&mut self, now_ms: u64) {
        if self.position == self.timeline.len() {
            self.seek_to(0);
        }
        self.last_now = Some(now_ms);
    }

    pub fn pause(&mut self) {
        self.last_now = None;
    }

    pub fn toggle(&mut self, now_ms: u64) {
        match self.last_now {
            Some(_) => self.pause(),
            None => self.play(now_ms),
        }
    }

    /// ×1 to ×1000; what lies beyond, or is no number, is the nearest of them.
    pub fn set_speed(&mut self, speed: f64) {
        let [slowest, .., fastest] = SPEEDS;
        self.speed = if speed.is_nan() { slowest } else { speed.clamp(slowest, fastest) };
    }

    pub fn faster(&mut self) {
        let next = SPEEDS.iter().find(|speed| **speed > self.speed).copied();
        self.speed = next.unwrap_or(self.speed);
    }

    pub fn slower(&mut self) {
        let next = SPEEDS.iter().rev().find(|speed| **speed < self.speed).copied();
        self.speed = next.unwrap_or(self.speed);
    }

    /// Whether long times in which only samples came are cut to two seconds of the run.
    pub fn set_idle_skip(&mut self, on: bool) {
        self.idle_skip = on;
    }

    /// Shows the entries that had happened at `ms` of the run clock, and returns the state then.
    pub fn seek(&mut self, ms: u64) -> RunState {
        let (first, last) = self.timeline.span();
        let ms = ms.clamp(first, last);
        self.position = self.timeline.position_at(ms);
        self.head = ms as f64;
        self.state()
    }

    /// As [`seek`](Self::seek), to a part of the whole time: 0.0 the start, 1.0 the end.
    pub fn seek_fraction(&mut self, fraction: f64) -> RunState {
        let (first, last) = self.timeline.span();
        let part = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        self.seek(first.saturating_add((last.saturating_sub(first) as f64 * part) as u64))
    }

    /// Shows the first `position` entries. Pauses: a step is to be looked at.
    pub fn step_to(&mut self, position: usize) -> RunState {
        self.pause();
        self.seek_to(position);
        self.state()
    }

    /// One entry (or several) on or back. Pauses.
    pub fn step(&mut self, entries: isize) -> RunState {
        self.step_to(self.position.saturating_add_signed(entries))
    }

    fn seek_to(&mut self, position: usize) {
        self.position = position.min(self.timeline.len());
        let shown = self.position.saturating_sub(1);
        self.head = self.timeline.time(shown) as f64;
    }

    /// Goes on to the next entry of that kind, which is then the last one shown. None, and nothing moves,
    /// where there is no other.
    pub fn next_mark(&mut self, kind: MarkKind) -> Option<RunState> {
        let marks = self.timeline.marks();
        let from = marks.partition_point(|mark| mark.index < self.position);
        let next = marks[from..].iter().find(|mark| mark.kind == kind)?.index;
        Some(self.step_to(next + 1))
    }

    /// Goes back to the one before that is shown last or is already passed.
    pub fn previous_mark(&mut self, kind: MarkKind) -> Option<RunState> {
        let marks = self.timeline.marks();
        let to = marks.partition_point(|mark| mark.index + 1 < self.position);
        let previous = marks[..to].iter().rev().find(|mark| mark.kind == kind)?.index;
        Some(self.step_to(previous + 1))
    }

    /// The state of what is shown: the fold of [`shown`](Self::shown), from the nearest remembered state.
    pub fn state(&self) -> RunState {
        self.timeline.state_at(self.position)
    }

    /// The entries shown so far.
    pub fn shown(&self) -> &[Entry] {
        &self.timeline.entries()[..self.position]
    }

    /// True where the next entry is that of an engine that took the run up from one that never said that it stops. When
    /// that one died nobody wrote down: of the time since the last entry shown nothing is known.
    pub fn is_before_takeover(&self) -> bool {
        self.timeline.is_takeover(self.position)
    }

    /// All marks, for a timeline to draw.
    pub fn marks(&self) -> &[Mark] {
        self.timeline.marks()
    }

    pub fn status(&self) -> Status {
        let (from_ms, to_ms) = self.timeline.span();
        Status {
            position: self.position,
            total: self.timeline.len(),
            playing: self.last_now.is_some(),
            speed: self.speed,
            idle_skip: self.idle_skip,
            at_ms: self.head as u64,
            from_ms,
            to_ms,
        }
    }

    /// What the clocks said where the playhead stands; the wall clock goes on between two entries.
    pub fn moment(&self) -> Moment {
        let ms = self.head as u64;
        let entries = self.timeline.entries();
        let Some(last) = entries.get(self.position.saturating_sub(1)) else {
            return Moment::default();
        };
        let since = i64::try_from(ms.saturating_sub(last.at.ms)).unwrap_or(i64::MAX);
        let since = TimeDelta::try_milliseconds(since).unwrap_or_default();
        Moment { wall: last.at.wall.checked_add_signed(since).unwrap_or(last.at.wall), ms }
    }
}
