//! Time as the operator needs it: what is left of the window, of a phase, of a step, and the last safe moment to turn back.

use chrono::{DateTime, Utc};

use super::super::message::Link;
use super::super::model::{Mode, Model};
use super::back;
use crate::run::describe::duration;
use crate::run::state::PhaseRun;
use crate::run::{Moment, plan, words};
use crate::runbook::{Phase, PhaseKind, Step};

/// When the window started, or would have: now, before the run was opened.
pub fn window_start(model: &Model) -> DateTime<Utc> {
    let opened = if model.state.seq == 0 { model.now.wall } else { model.state.opened_at.wall };
    model.runbook.window.starts.unwrap_or(opened)
}

/// When the window ends; none where it has no end.
pub fn window_end(model: &Model) -> Option<DateTime<Utc>> {
    let lasts = chrono::Duration::from_std(model.runbook.window.lasts?).ok()?;
    window_start(model).checked_add_signed(lasts)
}

/// Milliseconds until `then`; negative once it is over.
pub fn until(model: &Model, then: DateTime<Utc>) -> i64 {
    (then - model.now.wall).num_milliseconds()
}

/// The last moment to begin the rollback so that it ends within the window.
pub fn last_safe(model: &Model) -> Option<DateTime<Utc>> {
    let cost = i64::try_from(back::estimate(model).ms).ok()?;
    window_end(model)?.checked_sub_signed(chrono::Duration::milliseconds(cost))
}

/// `2h18` or `12m04 ago`.
pub fn span(ms: i64) -> String {
    if ms < 0 { format!("{} ago", duration(ms.unsigned_abs())) } else { format!("in {}", duration(ms.unsigned_abs())) }
}

/// The clock of the window's zone, with its name.
pub fn clock(model: &Model, at: DateTime<Utc>) -> String {
    match model.runbook.window.zone {
        Some(zone) => format!("{}", at.with_timezone(&zone).format("%H:%M:%S %Z")),
        None => format!("{} UTC", at.format("%H:%M:%S")),
    }
}

/// The clock without the zone's name, for lists.
pub fn short_clock(model: &Model, at: DateTime<Utc>) -> String {
    match model.runbook.window.zone {
        Some(zone) => at.with_timezone(&zone).format("%H:%M:%S").to_string(),
        None => at.format("%H:%M:%S").to_string(),
    }
}

/// The clock without the zone's name, with the day where that is not today.
pub fn day_clock(model: &Model, at: DateTime<Utc>) -> String {
    let zone = model.runbook.window.zone;
    let day = words::day(at, zone);
    let clock = short_clock(model, at);
    if day == words::day(model.now.wall, zone) { clock } else { format!("{} {clock}", day.format("%Y-%m-%d")) }
}

/// The run clock: it stands still once the run is over.
pub fn run_clock(model: &Model) -> u64 {
    match &model.state.ended {
        Some((_, _, at)) => at.ms,
        None => model.now.ms.max(model.state.at.ms),
    }
}

/// Since when nothing is known of the run's work: its engine is gone. None: all is known. An engine that only this screen
/// cannot speak to lives on, and does on time what it would do: its journal is still read.
pub fn unknown_since(model: &Model) -> Option<Moment> {
    let state = &model.state;
    let let_go = state.engine.as_ref().is_some_and(|engine| !engine.running);
    if state.ended.is_some() {
        return None;
    }
    if let_go {
        return Some(state.at);
    }
    match (&model.mode, &model.link) {
        // When it died nobody wrote down: what it did after its last entry nobody knows.
        (Mode::Replay { status, .. }, _) => status.engine_died.then_some(state.at),
        (Mode::Live { .. }, Link::Stopped(_)) if state.at.ms > model.link_since.ms => Some(state.at),
        (Mode::Live { .. }, Link::Stopped(_)) => Some(model.link_since),
        (Mode::Live { .. }, Link::Up | Link::Lost(_)) => None,
    }
}

/// True where something goes on that this screen cannot stop: its engine lives, and is out of reach.
pub fn is_out_of_reach(model: &Model) -> bool {
    !model.is_replay() && matches!(model.link, Link::Lost(_)) && unknown_since(model).is_none()
}

/// The run clock of what the engine does: it stands still while nobody knows whether that goes on. The clock of the window,
/// of its phases and of the age of what is known goes on: that time passes.
pub fn work_clock(model: &Model) -> u64 {
    let now = run_clock(model);
    unknown_since(model).map_or(now, |since| now.min(since.ms))
}

/// `since 03:41:07, 12 s ago`: how old the last news is; none while all is known.
pub fn unknown_words(model: &Model) -> Option<String> {
    let since = unknown_since(model)?;
    let ago = duration(self::since(model, since));
    Some(format!("since {}, {ago} ago", short_clock(model, since.wall)))
}

/// What is left until `at`. A screen whose clock lags behind the engine's never shows more than the whole countdown.
pub fn countdown(model: &Model, at: u64) -> String {
    let left = duration(at.saturating_sub(work_clock(model)));
    if unknown_since(model).is_some() { format!("{left} (it stands still)") } else { left }
}

/// Milliseconds since a moment, on the run clock.
pub fn since(model: &Model, then: Moment) -> u64 {
    run_clock(model).saturating_sub(then.ms)
}

/// Milliseconds a phase has taken so far.
pub fn phase_took(model: &Model, run: &PhaseRun) -> Option<u64> {
    let entered = run.entered?;
    Some(run.left.map_or_else(|| since(model, entered), |left| left.ms.saturating_sub(entered.ms)))
}

/// Milliseconds of a phase's time box that are left; negative once it is over. None: it has none, or is not under way. What
/// is left of watching is left while nobody watches.
pub fn phase_left(model: &Model, phase: &Phase) -> Option<i64> {
    let run = model.state.phases.get(&phase.id).filter(|run| run.left.is_none())?;
    let lasts = i64::try_from(phase.lasts?.as_millis()).ok()?;
    if phase.kind == PhaseKind::Monitor {
        let now = Moment { ms: work_clock(model), ..model.now };
        return i64::try_from(plan::watch_left_ms(phase, &model.state, now)).ok();
    }
    let took = i64::try_from(phase_took(model, run)?).ok()?;
    Some(lasts.saturating_sub(took))
}

/// Milliseconds a step took, or has taken so far.
pub fn step_took(model: &Model, step: &Step) -> Option<u64> {
    model.state.step(&step.id)?.took_ms(work_clock(model))
}
