//! What the phase under way has seen of its probes, and for how long nobody looked.

use crate::run::event::Moment;
use crate::run::state::{PhaseRun, RunState};

impl RunState {
    /// Time without an engine does not count as watched. Up to `from` the last numbers still vouch.
    pub(super) fn nobody_watched(&mut self, from: Moment, to: Moment) {
        let valid: Vec<String> = self
            .probes
            .iter()
            .filter(|(_, run)| run.samples.back().is_some_and(|sample| sample.value.is_ok()))
            .map(|(id, _)| id.clone())
            .collect();
        let Some(phase) = self.open_phase() else { return };
        phase.unwatched_ms += to.ms.saturating_sub(from.ms);
        for probe in valid {
            let seen = phase.seen.entry(probe).or_default();
            let since = seen.last.unwrap_or(0).max(phase.watched_since);
            *seen.spans.entry(from.ms.saturating_sub(since)).or_default() += 1;
        }
        phase.watched_since = to.ms;
    }

    pub(super) fn open_phase(&mut self) -> Option<&mut PhaseRun> {
        let phase = self.phases.get_mut(self.phase.as_ref()?)?;
        phase.left.is_none().then_some(phase)
    }

    pub(super) fn phase_sees(&mut self, at: Moment, probe: &str, valid: bool) {
        let Some(phase) = self.open_phase() else { return };
        let since = phase.watched_since;
        let seen = phase.seen.entry(probe.to_owned()).or_default();
        let silence = at.ms.saturating_sub(seen.last_valid.unwrap_or(0).max(since));
        seen.longest_ms = seen.longest_ms.max(silence);
        let span = at.ms.saturating_sub(seen.last.unwrap_or(0).max(since));
        seen.last = Some(at.ms);
        if valid {
            seen.last_valid = Some(at.ms);
            *seen.spans.entry(span).or_default() += 1;
        }
    }
}
