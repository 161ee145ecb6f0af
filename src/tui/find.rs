//! Search: through steps, through what a step shows, through the log.

use ratatui::layout::Rect;

use super::act::select;
use super::layout::areas;
use super::message::Out;
use super::model::{Model, Pane};
use super::pane;
use super::theme::Ink;
use super::view;

/// The whole terminal, as last told.
pub fn screen(model: &Model) -> Rect {
    Rect::new(0, 0, model.size.0, model.size.1)
}

/// Goes to the next match (or the one before) in the pane that has the focus; without one there, in another.
/// `here`: a match that is in sight already counts.
pub fn jump(model: &mut Model, forward: bool, here: bool) -> Option<Out> {
    let pattern = model.search.as_ref()?.pattern.clone();
    let focus = view::focus(model);
    let others = [Pane::Phases, Pane::Step, Pane::Result, Pane::Log].into_iter().filter(|pane| *pane != focus);
    for pane in std::iter::once(focus).chain(others) {
        let found = match pane {
            Pane::Phases => step(model, &pattern, forward, here),
            _ => line(model, pane, &pattern, forward, here),
        };
        if found {
            model.focus = Some(pane);
            return None;
        }
    }
    model.tell(Ink::Warn, format!("not found: {}", crate::run::clean::line(&pattern, 60)));
    None
}

/// The next step whose title or id matches; from the end on to the start.
fn step(model: &mut Model, pattern: &str, forward: bool, here: bool) -> bool {
    let ids = view::walk(model);
    let matches = |id: &crate::runbook::StepId| {
        let title = model.runbook.step(id).map_or("", view::title);
        pane::find(title, pattern).is_some() || pane::find(&id.0, pattern).is_some()
    };
    let at = view::shown(model).and_then(|id| ids.iter().position(|other| *other == id)).unwrap_or(0);
    let hits: Vec<usize> = (0..ids.len()).filter(|n| ids.get(*n).is_some_and(&matches)).collect();
    let Some(id) = pick(&hits, at, forward, here).and_then(|n| ids.get(n).cloned()) else {
        return false;
    };
    select(model, id);
    true
}

/// The next line of a pane that matches, brought to its top.
fn line(model: &mut Model, pane: Pane, pattern: &str, forward: bool, here: bool) -> bool {
    let area = areas(model, screen(model)).pane(pane);
    if area.is_empty() {
        return false;
    }
    let sheet = pane::sheet(model, pane, area);
    let height = pane::room(model, pane, area);
    let last = sheet.lines.len().saturating_sub(height);
    let at = sheet.offset(model.scroll.get(&pane).copied(), height);
    let matches = |n: &usize| sheet.lines.get(*n).is_some_and(|line| pane::find(&line.to_string(), pattern).is_some());
    let hits: Vec<usize> = (0..sheet.lines.len()).filter(matches).collect();
    // A match below the last full page shows with that page: there is nothing further to scroll to.
    let from = model.found.filter(|(in_pane, n)| *in_pane == pane && n.min(&last) == &at).map_or(at, |(_, n)| n);
    let Some(n) = pick(&hits, from, forward, here) else {
        return false;
    };
    model.found = Some((pane, n));
    model.scroll.insert(pane, n.min(last));
    true
}

/// The hit after (or before) `at`, around the end.
fn pick(hits: &[usize], at: usize, forward: bool, here: bool) -> Option<usize> {
    let next = match forward {
        true => hits.iter().find(|n| **n > at || (here && **n == at)).or_else(|| hits.first()),
        false => hits.iter().rev().find(|n| **n < at).or_else(|| hits.last()),
    };
    next.copied()
}
