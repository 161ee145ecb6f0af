//! Numbers of the probes, by phase and around the migration.

use std::collections::BTreeMap;

use super::model::{Probe, Stat};
use crate::run::{Event, NoData, RunState};
use crate::runbook::{PhaseKind, Runbook};

/// The samples of one probe over one time.
#[derive(Default)]
struct Taken {
    values: Vec<f64>,
    no_data: u64,
}

#[derive(Default)]
struct Measured {
    phases: Vec<(String, Taken)>,
    periods: [Taken; 3],
}

/// Collects samples; asked once at the end.
#[derive(Default)]
pub struct Stats {
    probes: BTreeMap<String, Measured>,
    migrated: bool,
}

impl Stats {
    /// Takes the sample of an entry; `state` is the run with the entry applied.
    pub fn take(&mut self, event: &Event, state: &RunState, runbook: &Runbook) {
        let kind = state.phase.as_deref().and_then(|id| runbook.phase(id)).map(|phase| phase.kind);
        let migrating = kind == Some(PhaseKind::Migrate) && state.rollbacks_done == 0;
        self.migrated |= migrating;
        let Event::SampleTaken { probe, value, .. } = event else {
            return;
        };
        let period = match (migrating, self.migrated) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        let measured = self.probes.entry(probe.clone()).or_default();
        measured.periods[period].push(value);
        measured.phase(state.phase.as_deref().unwrap_or_default()).push(value);
    }

    /// One row per probe of the runbook that was measured.
    pub fn rows(mut self, runbook: &Runbook) -> Vec<Probe> {
        let mut rows = Vec::new();
        for probe in &runbook.probes {
            let Some(measured) = self.probes.remove(&probe.id) else {
                continue;
            };
            let [before, during, after] = measured.periods.map(Taken::stat);
            rows.push(Probe {
                id: probe.id.clone(),
                title: probe.title.clone(),
                unit: probe.unit.clone(),
                phases: measured.phases.into_iter().filter_map(|(id, taken)| Some((id, taken.stat()?))).collect(),
                before,
                during,
                after,
            });
        }
        rows
    }
}

impl Measured {
    fn phase(&mut self, id: &str) -> &mut Taken {
        let at = self.phases.iter().position(|(known, _)| known == id);
        let at = at.unwrap_or_else(|| {
            self.phases.push((id.to_owned(), Taken::default()));
            self.phases.len() - 1
        });
        &mut self.phases[at].1
    }
}

impl Taken {
    fn push(&mut self, value: &Result<f64, NoData>) {
        match value {
            Ok(value) => self.values.push(*value),
            Err(_) => self.no_data += 1,
        }
    }

    fn stat(mut self) -> Option<Stat> {
        let valid = self.values.len() as u64;
        if valid + self.no_data == 0 {
            return None;
        }
        self.values.sort_by(f64::total_cmp);
        let middle = self.values.len() / 2;
        let median = match self.values.get(middle) {
            Some(upper) if self.values.len().is_multiple_of(2) => Some(f64::midpoint(self.values[middle - 1], *upper)),
            upper => upper.copied(),
        };
        Some(Stat {
            samples: valid + self.no_data,
            no_data: self.no_data,
            min: self.values.first().copied(),
            median,
            max: self.values.last().copied(),
        })
    }
}
