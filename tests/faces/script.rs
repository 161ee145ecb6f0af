//! A window as a script: its runbook built by hand, and the entries of a run that met most of what can happen.

mod book;
mod course;

use chrono::{TimeDelta, TimeZone, Utc};
use gonogo::run::event::Resolved;
use gonogo::run::{Attempt, Chunk, Entry, Event, Moment, NoData, Outcome};

pub use book::*;
pub use course::*;

/// Entries with a clock that only the script moves.
#[derive(Default)]
pub struct Script {
    pub entries: Vec<Entry>,
    pub ms: u64,
}

impl Script {
    pub fn after(&mut self, ms: u64) -> &mut Self {
        self.ms += ms;
        self
    }

    pub fn push(&mut self, event: Event) -> &mut Self {
        let start = Utc.with_ymd_and_hms(2024, 1, 31, 8, 0, 0).unwrap();
        let wall = start + TimeDelta::milliseconds(self.ms as i64);
        let seq = self.entries.len() as u64 + 1;
        let at = Moment { wall, ms: self.ms };
        self.entries.push(Entry { seq, at, event });
        self
    }

    pub fn start(&mut self, attempt: &Attempt, resolved: Resolved, by: &str) -> &mut Self {
        self.push(Event::StepStarted { attempt: attempt.clone(), resolved, by: by.into() })
    }

    pub fn output(&mut self, attempt: &Attempt, chunk: Chunk) -> &mut Self {
        self.push(Event::Output { attempt: attempt.clone(), chunk })
    }

    pub fn end(&mut self, attempt: &Attempt, outcome: Outcome) -> &mut Self {
        self.push(Event::StepEnded { attempt: attempt.clone(), outcome })
    }

    pub fn sample(&mut self, value: f64) -> &mut Self {
        self.push(Event::SampleTaken { probe: "error_rate".into(), value: Ok(value), took_ms: 12 })
    }

    pub fn blind(&mut self, reason: &str) -> &mut Self {
        self.push(Event::SampleTaken { probe: "error_rate".into(), value: Err(NoData::new(reason)), took_ms: 5000 })
    }
}
