//! Coverage: for how much of a phase the triggers had numbers to see by. Time that nobody saw is no time that was fine.

use super::event::Moment;
use super::plan::millis;
use super::state::{PhaseRun, RunState, Seen};
use super::{triggers, words};
use crate::runbook::{Phase, PhaseKind, Probe, Runbook, Trigger, TriggerAction, expr};

/// Why the phase may not pass by itself at `now`: what the triggers that could stop it did not see. None: they saw enough,
/// or there is nothing that they should have seen.
pub fn shortfall(book: &Runbook, state: &RunState, phase: &Phase, now: Moment) -> Option<String> {
    phase.lasts?;
    if phase.coverage <= 0.0 {
        return None;
    }
    let run = state.phases.get(&phase.id)?;
    let stops = |trigger: &&Trigger| trigger.then != TriggerAction::Warn && triggers::is_armed(book, state, trigger);
    book.triggers.iter().filter(stops).find_map(|trigger| {
        let probes = expr::probe_names(&trigger.when, book);
        let mut probes = probes.iter().filter_map(|id| book.probe(id));
        probes.find_map(|probe| missed(state, phase, run, trigger, probe, now))
    })
}

fn missed(
    state: &RunState,
    phase: &Phase,
    run: &PhaseRun,
    trigger: &Trigger,
    probe: &Probe,
    now: Moment,
) -> Option<String> {
    let news = triggers::stale_after_ms(probe);
    let watched = watched_ms(run, now);
    // Work that is over before a probe could be asked twice was not watched, and need not have been: only a watch must be.
    if phase.kind != PhaseKind::Monitor && watched <= 2 * news {
        return None;
    }
    let view = View { run, seen: run.seen.get(&probe.id), news, now, newest: newest(state, probe) };
    let share = if watched == 0 { 1.0 } else { view.covered_ms() as f64 / watched as f64 };
    // A little less than all is what a busy machine's clocks make of all.
    if share + 1e-9 < phase.coverage {
        let (share, wanted) = (percent(share), percent(phase.coverage));
        return Some(format!("{} had numbers for {share} of the time, {wanted} wanted", probe.id));
    }
    let most = millis(trigger.missing_for).max(news);
    let longest = view.longest_ms();
    (longest > most).then(|| {
        let (longest, most) = (words::duration(longest), words::duration(most));
        format!("{} had no number for {longest} at a stretch, {most} at most for {}", probe.id, trigger.id)
    })
}

/// Milliseconds of the phase in which an engine held the run.
fn watched_ms(run: &PhaseRun, now: Moment) -> u64 {
    let Some(entered) = run.entered else { return 0 };
    now.ms.saturating_sub(entered.ms + run.unwatched_ms)
}

/// The newest sample: when, and whether it is a number.
fn newest(state: &RunState, probe: &Probe) -> Option<(u64, bool)> {
    let sample = state.probes.get(&probe.id)?.samples.back()?;
    Some((sample.at.ms, sample.value.is_ok()))
}

fn percent(share: f64) -> String {
    // Never rounded up to what was wanted.
    format!("{} %", (share * 100.0 + 1e-6).floor())
}

/// What one probe saw of a phase. A number vouches for the time since the sample before it, and for the time after it until the
/// next, but for no longer than it is news.
struct View<'a> {
    run: &'a PhaseRun,
    seen: Option<&'a Seen>,
    news: u64,
    now: Moment,
    newest: Option<(u64, bool)>,
}

impl View<'_> {
    fn covered_ms(&self) -> u64 {
        let gaps = self.seen.map(|seen| &seen.spans);
        let past: u64 = gaps.into_iter().flatten().map(|(ms, count)| (*ms).min(self.news) * u64::from(*count)).sum();
        past + self.tail_ms()
    }

    /// The time since the newest sample.
    fn tail_ms(&self) -> u64 {
        let Some((at, true)) = self.newest else { return 0 };
        let until = self.now.ms.min(at + self.news);
        until.saturating_sub(at.max(self.run.watched_since))
    }

    fn longest_ms(&self) -> u64 {
        let last = self.seen.and_then(|seen| seen.last_valid).unwrap_or(0).max(self.run.watched_since);
        let now = self.now.ms.saturating_sub(last);
        self.seen.map_or(0, |seen| seen.longest_ms).max(now)
    }
}
