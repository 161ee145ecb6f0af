//! Signals read for the eye: how old a number is, where its threshold lies, what a trigger is up to.

use std::collections::VecDeque;

use super::super::chart::Column;
use super::super::model::Model;
use super::super::theme::Ink;
use super::time;
use crate::run::describe::duration;
use crate::run::state::Sample;
use crate::run::{clean, triggers};
use crate::runbook::{Probe, Trigger, TriggerAction};

/// A bound that a trigger's condition puts on a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    pub value: f64,
    /// True where more is bad.
    pub above: bool,
}

impl Threshold {
    pub fn breached(self, value: f64) -> bool {
        if self.above { value > self.value } else { value < self.value }
    }
}

/// The number of a probe as it is to be shown.
pub struct Reading {
    pub text: String,
    pub ink: Ink,
    /// Why the number is not to be trusted: `no data 12 s: connection refused`.
    pub flaw: Option<String>,
}

pub fn reading(model: &Model, probe: &Probe) -> Reading {
    let run = model.state.probes.get(&probe.id);
    let Some(last) = run.and_then(|run| run.samples.back()) else {
        return Reading { text: "no sample yet".to_owned(), ink: Ink::Dim, flaw: None };
    };
    let valid = run.and_then(|run| run.last_valid);
    let number = |value: f64| {
        let unit = clean::line(&probe.unit, 12);
        format!("{}{}{unit}", super::super::text::value(value), if unit.is_empty() { "" } else { " " })
    };
    let age = time::since(model, last.at);
    match (&last.value, valid) {
        (Ok(value), _) if age <= stale_ms(probe) => Reading {
            text: number(*value),
            ink: if breaches(model, probe, *value) { Ink::Bad } else { Ink::Strong },
            flaw: None,
        },
        (Ok(value), _) => {
            Reading { text: number(*value), ink: Ink::Dim, flaw: Some(format!("STALE: {} old", duration(age))) }
        }
        (Err(none), valid) => Reading {
            text: "NO DATA".to_owned(),
            ink: Ink::Warn,
            flaw: Some(match valid {
                Some((at, value)) => {
                    let ago = duration(time::since(model, at));
                    format!("{} · last {} {ago} ago", clean::line(&none.reason, 120), number(value))
                }
                None => clean::line(&none.reason, 120),
            }),
        },
    }
}

/// Two measurements late is stale.
fn stale_ms(probe: &Probe) -> u64 {
    let every = probe.every.as_millis() as u64 + probe.timeout.as_millis() as u64;
    (2 * every).max(2_000)
}

/// The newest samples as columns of a chart, at most `width`; time that nobody measured as columns too, so that a picture of an
/// hour with a hole does not look like an hour without.
pub fn columns(probe: &Probe, samples: &VecDeque<Sample>, width: usize) -> Vec<Column> {
    let every = (probe.every.as_millis() as u64).max(1);
    let mut out = VecDeque::new();
    let mut next: Option<u64> = None;
    for sample in samples.iter().rev() {
        let silence = next.map_or(0, |next| next.saturating_sub(sample.at.ms));
        if silence > triggers::stale_after_ms(probe) {
            // As wide as it was long, but never so wide that nothing else is seen.
            let missed = usize::try_from(silence / every - 1).unwrap_or(usize::MAX).clamp(1, (width / 4).max(1));
            (0..missed).for_each(|_| out.push_front(Column::Gap));
        }
        out.push_front(sample.value.as_ref().map_or(Column::NoData, |value| Column::Value(*value)));
        next = Some(sample.at.ms);
        if out.len() >= width {
            break;
        }
    }
    out.drain(..out.len().saturating_sub(width));
    out.into()
}

fn breaches(model: &Model, probe: &Probe, value: f64) -> bool {
    thresholds(model, &probe.id).iter().any(|threshold| threshold.breached(value))
}

/// The bounds of all triggers on a probe, first written first.
pub fn thresholds(model: &Model, probe: &str) -> Vec<Threshold> {
    let triggers = model.runbook.triggers.iter();
    triggers.flat_map(|trigger| bounds(&trigger.when.source, probe)).collect()
}

/// Bounds of the plain form `probe > number` (or the other way round). Anything cleverer has no line in a chart.
fn bounds(source: &str, probe: &str) -> Vec<Threshold> {
    let tokens = tokens(source);
    let at = |n: usize| tokens.get(n).map(String::as_str);
    let free = |n: Option<usize>| n.and_then(at).is_none_or(|token| matches!(token, "and" | "or" | "(" | ")" | "not"));
    let mut out = Vec::new();
    for n in 0..tokens.len() {
        let (Some(a), Some(op), Some(b)) = (at(n), at(n + 1), at(n + 2)) else {
            break;
        };
        let above = match op {
            ">" | ">=" => true,
            "<" | "<=" => false,
            _ => continue,
        };
        if !free(n.checked_sub(1)) || !free(Some(n + 3)) {
            continue;
        }
        match (a == probe, b == probe, a.parse::<f64>(), b.parse::<f64>()) {
            (true, _, _, Ok(value)) => out.push(Threshold { value, above }),
            (_, true, Ok(value), _) => out.push(Threshold { value, above: !above }),
            _ => {}
        }
    }
    out.retain(|threshold| threshold.value.is_finite());
    out
}

fn tokens(source: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = None;
    for c in source.chars() {
        let kind = match c {
            c if c.is_whitespace() => None,
            c if c.is_alphanumeric() || c == '_' || c == '.' => Some('w'),
            '<' | '>' | '=' | '!' => Some('o'),
            _ => Some('x'),
        };
        match (kind, out.last_mut()) {
            (None, _) => {}
            (Some(k), Some(token)) if k != 'x' && last == Some(k) => token.push(c),
            _ => out.push(c.to_string()),
        }
        last = kind;
    }
    out
}

/// What a trigger is up to.
pub struct Watch {
    pub glyph: &'static str,
    pub word: String,
    pub ink: Ink,
}

pub fn watch(model: &Model, trigger: &Trigger) -> Watch {
    let run = model.state.triggers.get(&trigger.id);
    if let Some(fired) = run.and_then(|run| run.fired.as_ref()) {
        let ago = duration(time::since(model, fired.at));
        let word = match &fired.stopped_by {
            Some(by) => format!("FIRED {ago} ago; stopped by {}", clean::line(by, 40)),
            None => format!("FIRED {ago} ago: {}", action(fired.then)),
        };
        return Watch { glyph: "‼", word, ink: Ink::Bad };
    }
    if let Some((since, reason)) = run.and_then(|run| run.blind.as_ref()) {
        return Watch {
            glyph: "?",
            word: format!("BLIND {}: {}", duration(time::since(model, *since)), clean::line(reason, 80)),
            ink: Ink::Warn,
        };
    }
    if let Some(since) = run.and_then(|run| run.breached) {
        let of = super::super::text::planned(trigger.lasting);
        return Watch {
            glyph: "▲",
            word: format!("breached {} of {of}", duration(time::work_clock(model).saturating_sub(since.ms))),
            ink: Ink::Warn,
        };
    }
    // Once a rollback has begun nothing fires any more.
    if model.state.ended.is_some() || model.state.rollback.is_some() {
        return Watch { glyph: "·", word: "off".to_owned(), ink: Ink::Dim };
    }
    waits(model, trigger)
}

/// What a trigger is up to that nothing was seen by yet.
fn waits(model: &Model, trigger: &Trigger) -> Watch {
    let (book, state) = (&*model.runbook, &model.state);
    let said = |glyph, word: String, ink| Watch { glyph, word, ink };
    let Some(from) = triggers::judges_from(book, state, trigger) else {
        return said("·", "not in this phase".to_owned(), Ink::Dim);
    };
    if time::run_clock(model) < from.ms {
        return said("○", format!("from {}", time::day_clock(model, from.wall)), Ink::Dim);
    }
    match triggers::awaited(book, state, trigger, from) {
        Some(probe) => said("○", format!("waits for {}", clean::line(&probe, 40)), Ink::Dim),
        None => said("○", "armed".to_owned(), Ink::Text),
    }
}

pub fn action(action: TriggerAction) -> &'static str {
    match action {
        TriggerAction::Warn => "warns",
        TriggerAction::Hold => "holds",
        TriggerAction::Rollback => "rolls back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(f64, bool)> {
        bounds(source, "error_rate").into_iter().map(|t| (t.value, t.above)).collect()
    }

    #[test]
    fn a_hole_in_time_is_a_hole_in_the_picture() {
        let probe = &crate::tui::tests::book::book().probes[0];
        let every = probe.every.as_millis() as u64;
        let at = |n: u64| Sample { at: crate::run::Moment { ms: n * every, ..Default::default() }, value: Ok(1.0) };
        let samples: VecDeque<Sample> = [0, 1, 2, 12, 13].map(at).into();
        let shown = |width| {
            let column = |column: Column| if column == Column::Gap { '.' } else { '1' };
            columns(probe, &samples, width).into_iter().map(column).collect::<String>()
        };
        assert_eq!(shown(80), "111.........11");
        assert_eq!(shown(16), "111....11");
        assert_eq!(shown(4), "1.11");
        assert_eq!(shown(1), "1");
    }

    #[test]
    fn finds_plain_bounds_and_no_others() {
        assert_eq!(found("error_rate > 2"), [(2.0, true)]);
        assert_eq!(found("error_rate>=2.5 and lag > 3"), [(2.5, true)]);
        assert_eq!(found("lag > 3 or (0.5 < error_rate)"), [(0.5, true)]);
        assert_eq!(found("error_rate < 10"), [(10.0, false)]);
        assert_eq!(found("error_rate > 2 * base"), []);
        assert_eq!(found("2 + error_rate > 2"), []);
        assert_eq!(found("other.error_rate > 2"), []);
        assert_eq!(found("error_rate > nan"), []);
    }
}
