//! Triggers: three-valued (breached, fine, no data), patient, and never fired by silence.

use super::context;
use super::event::{Event, HoldCause, Moment};
use super::plan::{self, held, millis};
use super::state::RunState;
use crate::runbook::{Phase, PhaseKind, Probe, Runbook, Trigger, TriggerAction, expr};

/// What a trigger's condition says of the newest samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Breached(Vec<(String, f64)>),
    Fine,
    NoData(String),
}

/// The first thing that the state of the triggers demands at `now`; nothing where all is as it should be.
pub fn follow(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    if state.ended.is_some() {
        return Vec::new();
    }
    if state.rollback.is_some() {
        return recovered(book, state, now);
    }
    book.triggers
        .iter()
        .map(|trigger| match judges_from(book, state, trigger) {
            Some(from) if now.ms >= from.ms => judge(book, state, trigger, from, now),
            _ => disarmed(state, trigger),
        })
        .find(|events| !events.is_empty())
        .unwrap_or_default()
}

/// While and after a rollback nothing fires any more; what was breached may become fine again.
fn recovered(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    let fine = breached(book, state)
        .into_iter()
        .filter_map(|id| book.trigger(&id))
        .find(|trigger| read(book, state, trigger, now) == Reading::Fine);
    fine.map(|trigger| Event::TriggerCleared { trigger: trigger.id.clone() }).into_iter().collect()
}

/// The triggers that are breached, in the runbook's order.
pub fn breached(book: &Runbook, state: &RunState) -> Vec<String> {
    let is_breached = |id: &String| state.triggers.get(id).is_some_and(|run| run.breached.is_some());
    book.triggers.iter().map(|trigger| trigger.id.clone()).filter(is_breached).collect()
}

/// Outside of its phases a trigger forgets a breach: its patience begins anew when it is armed again.
fn disarmed(state: &RunState, trigger: &Trigger) -> Vec<Event> {
    let breached = state.triggers.get(&trigger.id).is_some_and(|run| run.breached.is_some() && run.fired.is_none());
    if breached { vec![Event::TriggerCleared { trigger: trigger.id.clone() }] } else { Vec::new() }
}

/// True in the phases (by id or kind) that the trigger names, or in all.
pub fn is_armed(book: &Runbook, state: &RunState, trigger: &Trigger) -> bool {
    plan::phase(book, state).is_some_and(|phase| watches(trigger, phase))
}

/// When the trigger begins to judge: its `after` behind the beginning of the phase it is armed in, or of the first of several
/// such in a row. None: it is not armed in this phase.
pub fn judges_from(book: &Runbook, state: &RunState, trigger: &Trigger) -> Option<Moment> {
    let here = book.phases.iter().position(|phase| Some(&phase.id) == state.phase.as_ref())?;
    let began =
        |phase: &&Phase| state.phases.get(&phase.id).and_then(|run| run.entered).filter(|_| watches(trigger, phase));
    let row = book.phases[..=here].iter().rev().map_while(|phase| began(&phase));
    let armed = row.last()?;
    let wall = chrono::Duration::from_std(trigger.after).ok().and_then(|after| armed.wall.checked_add_signed(after));
    Some(Moment { wall: wall.unwrap_or(armed.wall), ms: armed.ms.saturating_add(millis(trigger.after)) })
}

/// True where the trigger is armed in that phase.
fn watches(trigger: &Trigger, phase: &Phase) -> bool {
    trigger.during.is_empty() || trigger.during.iter().any(|word| *word == phase.id || word == phase.kind.word())
}

/// Who acts where a trigger's rollback goes ahead by itself.
pub fn actor(trigger: &str) -> String {
    format!("{} (trigger {trigger})", super::GONOGO)
}

/// The trigger that acted, where [`actor`] named it; none: a person did, or gonogo for another reason.
pub fn acted(by: &str) -> Option<&str> {
    by.strip_prefix(super::GONOGO)?.strip_prefix(" (trigger ")?.strip_suffix(')')
}

/// The first trigger that keeps a watch from passing by itself: armed to hold or roll back, and its condition is true now,
/// also where its delay lets it not judge yet: what is bad at the end of a watch is not passed over.
pub fn standing<'a>(book: &'a Runbook, state: &RunState, phase: &Phase, now: Moment) -> Option<&'a Trigger> {
    let watch = phase.kind == PhaseKind::Monitor;
    let mut stops = book.triggers.iter().filter(|trigger| watch && trigger.then != TriggerAction::Warn);
    stops.find(|trigger| is_armed(book, state, trigger) && still_breached(book, state, trigger, now))
}

/// True where the trigger is armed, and nothing that it could judge was measured yet.
pub fn is_unjudged(book: &Runbook, state: &RunState, trigger: &Trigger, now: Moment) -> bool {
    let from = judges_from(book, state, trigger);
    from.is_some_and(|from| now.ms < from.ms || awaited(book, state, trigger, from).is_some())
}

/// True while the trigger's condition is true; what went silent while it was breached was not seen fine again.
pub fn still_breached(book: &Runbook, state: &RunState, trigger: &Trigger, now: Moment) -> bool {
    match read(book, state, trigger, now) {
        Reading::Breached(_) => true,
        Reading::Fine => false,
        Reading::NoData(_) => state.triggers.get(&trigger.id).is_some_and(|run| run.breached.is_some()),
    }
}

/// What the trigger's condition says of the newest sample of each probe it looks at.
pub fn read(book: &Runbook, state: &RunState, trigger: &Trigger, now: Moment) -> Reading {
    let mut values = Vec::new();
    for id in expr::probe_names(&trigger.when, book) {
        let Some(probe) = book.probe(&id) else { continue };
        match newest(state, probe, now) {
            Ok(value) => values.push((id, value)),
            Err(reason) => return Reading::NoData(format!("{id}: {reason}")),
        }
    }
    match expr::eval_bool(&trigger.when, &context::of(book, state)) {
        Ok(true) => Reading::Breached(values),
        Ok(false) => Reading::Fine,
        Err(error) => Reading::NoData(error.to_string()),
    }
}

/// The newest sample, if it is a number and not stale.
fn newest(state: &RunState, probe: &Probe, now: Moment) -> Result<f64, String> {
    let sample = state.probes.get(&probe.id).and_then(|run| run.samples.back()).ok_or("no sample yet")?;
    let value = sample.value.clone().map_err(|silence| silence.reason)?;
    let age = now.ms.saturating_sub(sample.at.ms);
    if age > stale_after_ms(probe) {
        return Err(format!("last sample is {} s old", age / 1000));
    }
    Ok(value)
}

/// Two intervals and the time one measurement may take: older is not news.
pub fn stale_after_ms(probe: &Probe) -> u64 {
    2 * millis(probe.every) + millis(probe.timeout)
}

fn judge(book: &Runbook, state: &RunState, trigger: &Trigger, from: Moment, now: Moment) -> Vec<Event> {
    let id = trigger.id.clone();
    let run = state.triggers.get(&id).cloned().unwrap_or_default();
    match read(book, state, trigger, now) {
        Reading::NoData(reason) => blind(book, state, trigger, reason, from, now),
        _ if awaited(book, state, trigger, from).is_some() => Vec::new(),
        _ if run.blind.is_some() => vec![Event::TriggerSighted { trigger: id }],
        Reading::Fine if run.breached.is_some() => vec![Event::TriggerCleared { trigger: id }],
        Reading::Fine => Vec::new(),
        Reading::Breached(values) => match run.breached {
            None => vec![Event::TriggerBreached { trigger: id }],
            Some(_) if run.fired.is_some() => Vec::new(),
            // What was not seen is not known to have been breached: the patience begins anew.
            Some(since) if has_gap(book, state, trigger, since) => vec![Event::TriggerBreached { trigger: id }],
            Some(since) if proves(book, state, trigger, since) && has_enough(book, state, trigger, since) => {
                fire(book, state, trigger, values, now)
            }
            Some(_) => Vec::new(),
        },
    }
}

/// The probe that a trigger with a delay waits for though its delay is over: what that measured last is from before. None:
/// it waits for none. `from`: when it begins to judge.
pub fn awaited(book: &Runbook, state: &RunState, trigger: &Trigger, from: Moment) -> Option<String> {
    let newest = |id: &String| state.probes.get(id).and_then(|run| run.samples.back());
    let is_early = |id: &String| newest(id).is_some_and(|sample| sample.at.ms < from.ms);
    expr::probe_names(&trigger.when, book).into_iter().find(|id| !trigger.after.is_zero() && is_early(id))
}

/// True once a sample taken at least `lasting` after the first breach is breached too: only a sample proves, time alone
/// does not.
fn proves(book: &Runbook, state: &RunState, trigger: &Trigger, since: Moment) -> bool {
    let newest = expr::probe_names(&trigger.when, book)
        .iter()
        .filter_map(|id| state.probes.get(id)?.samples.back())
        .map(|sample| sample.at.ms)
        .max();
    newest.is_none_or(|at| at >= since.ms + millis(trigger.lasting))
}

/// True once the trigger's condition was judged on as many numbers, since the breach began, as it wants to see.
fn has_enough(book: &Runbook, state: &RunState, trigger: &Trigger, since: Moment) -> bool {
    let numbers = |id: &String| {
        let samples = state.probes.get(id).map_or_else(Default::default, |run| run.samples.iter());
        samples.filter(|sample| sample.value.is_ok() && sample.at.ms >= since.ms).count()
    };
    // Of several probes the one asked most often counts: each of its numbers was judged with the others' newest.
    let most = expr::probe_names(&trigger.when, book).iter().map(numbers).max();
    most.is_none_or(|most| most >= trigger.samples as usize)
}

/// True where a probe of the trigger was silent for longer than its samples are news, since the breach began.
fn has_gap(book: &Runbook, state: &RunState, trigger: &Trigger, since: Moment) -> bool {
    let probes = expr::probe_names(&trigger.when, book);
    probes.iter().filter_map(|id| Some((book.probe(id)?, state.probes.get(id)?))).any(|(probe, run)| {
        let valid = run.samples.iter().filter(|sample| sample.value.is_ok() && sample.at.ms >= since.ms);
        let times: Vec<u64> = valid.map(|sample| sample.at.ms).collect();
        times.windows(2).any(|pair| pair[1] - pair[0] > stale_after_ms(probe))
    })
}

fn fire(book: &Runbook, state: &RunState, trigger: &Trigger, values: Vec<(String, f64)>, now: Moment) -> Vec<Event> {
    let id = trigger.id.clone();
    let fired = |at_ms| Event::TriggerFired { trigger: id.clone(), then: trigger.then, values: values.clone(), at_ms };
    match trigger.then {
        TriggerAction::Warn => vec![fired(None)],
        TriggerAction::Hold => vec![fired(None), held(HoldCause::Trigger { trigger: id.clone() })],
        TriggerAction::Rollback => match obstacle(book, state, trigger) {
            None => vec![fired(Some(now.ms + millis(trigger.grace)))],
            Some(reason) => vec![fired(None), held(HoldCause::Rollback { reason })],
        },
    }
}

/// Why the trigger's rollback may not go ahead by itself.
pub fn obstacle(book: &Runbook, state: &RunState, trigger: &Trigger) -> Option<String> {
    let way = plan::way_back(book, state);
    if trigger.plan.is_some() {
        return (!way.in_doubt.is_empty()).then(|| way.obstacle()).flatten();
    }
    if way.is_empty() && state.open.is_empty() {
        return Some("nothing has been done that could be rolled back".to_owned());
    }
    way.obstacle()
}

fn blind(book: &Runbook, state: &RunState, trigger: &Trigger, reason: String, from: Moment, now: Moment) -> Vec<Event> {
    let Some(then) = trigger.missing else { return Vec::new() };
    let run = state.triggers.get(&trigger.id);
    if run.is_some_and(|run| run.blind.is_some()) {
        return Vec::new();
    }
    let sighted = sighted_ms(book, state, trigger).max(if trigger.after.is_zero() { 0 } else { from.ms });
    if now.ms.saturating_sub(sighted) < millis(trigger.missing_for) {
        return Vec::new();
    }
    let id = trigger.id.clone();
    let mut events = vec![Event::TriggerBlind { trigger: id.clone(), then, reason }];
    if then != TriggerAction::Warn {
        events.push(held(HoldCause::Missing { trigger: id }));
    }
    events
}

/// When the trigger last had all its data: the oldest of its probes' last numbers, not before its phase began.
fn sighted_ms(book: &Runbook, state: &RunState, trigger: &Trigger) -> u64 {
    let armed = state.phase.as_ref().and_then(|phase| state.phases.get(phase)?.entered).map_or(0, |entered| entered.ms);
    let oldest = expr::probe_names(&trigger.when, book)
        .iter()
        .map(|id| state.probes.get(id).and_then(|run| run.last_valid).map_or(0, |(at, _)| at.ms))
        .min()
        .unwrap_or(0);
    // While no engine ran, nobody looked: that is no silence of the source.
    let engine = state.engine.as_ref().map_or(0, |engine| engine.since.ms);
    oldest.max(armed).max(engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acted_is_read_as_it_was_written() {
        for id in ["errors-high", "a", "x_1"] {
            assert_eq!(acted(&actor(id)), Some(id));
        }
        for by in [super::super::GONOGO, "ann@host", "gonogo (by hand)", "ann (trigger errors-high)", ""] {
            assert_eq!(acted(by), None, "{by}");
        }
    }
}
