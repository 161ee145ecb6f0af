//! Moves of the eyes: selection, panes, scrolling. Nothing here reaches the engine.

use super::act::select;
use super::find::screen;
use super::keymap::Action;
use super::layout::{Areas, areas};
use super::message::Out;
use super::model::{Model, Pane};
use super::pane;
use super::view;

/// Does a move.
pub fn go(model: &mut Model, action: Action) -> Option<Out> {
    match action {
        Action::Up => along(model, -1),
        Action::Down => along(model, 1),
        Action::PageUp => page(model, -1),
        Action::PageDown => page(model, 1),
        Action::Top => to_end(model, false),
        Action::Bottom => to_end(model, true),
        Action::Left => model.column = model.column.saturating_sub(1),
        Action::Right => model.column = (model.column + 1).min(columns(model).saturating_sub(1)),
        Action::NextPane => turn(model, 1),
        Action::PrevPane => turn(model, -1),
        Action::Zoom => model.zoom = !model.zoom,
        Action::Follow => follow(model),
        Action::Dismiss => dismiss(model),
        _ => {}
    }
    None
}

fn columns(model: &Model) -> usize {
    let output = view::shown_step(model).and_then(|(_, run)| run).map(|run| &run.output);
    let count = output.into_iter().flat_map(|output| &output.lines).map(|line| match line {
        crate::run::output::Line::Header { names, .. } => names.len(),
        crate::run::output::Line::Row(cells) => cells.len(),
        _ => 0,
    });
    count.max().unwrap_or(0)
}

/// One line up or down: of the list, of the checklist, or of the text.
fn along(model: &mut Model, by: isize) {
    match view::focus(model) {
        Pane::Phases => walk(model, by),
        Pane::Step if view::human(model).is_some() => choose(model, by),
        pane => scroll(model, pane, by),
    }
}

fn walk(model: &mut Model, by: isize) {
    let ids: Vec<_> = view::walk(model)
        .into_iter()
        .filter(|id| model.runbook.step(id).is_some_and(|step| view::belongs(model, step)))
        .collect();
    let at = view::shown(model).and_then(|id| ids.iter().position(|other| *other == id));
    let last = ids.len().saturating_sub(1);
    let to = match at {
        Some(at) => at.saturating_add_signed(by).min(last),
        // From the end of the run: into the list from its near end.
        None if by < 0 => last,
        None => 0,
    };
    if let Some(id) = ids.into_iter().nth(to) {
        select(model, id);
    }
}

fn choose(model: &mut Model, by: isize) {
    let Some((step, _)) = view::human(model) else {
        return;
    };
    let last = view::items(step).saturating_sub(1);
    let at = view::item(model).unwrap_or(0);
    model.item = Some(at.saturating_add_signed(by).min(last));
}

fn layout(model: &Model) -> Areas {
    areas(model, screen(model))
}

/// Scrolls a pane by lines. At its natural end it follows by itself again.
pub fn scroll(model: &mut Model, pane: Pane, by: isize) {
    let area = layout(model).pane(pane);
    if area.is_empty() {
        return;
    }
    let height = pane::room(model, pane, area);
    let sheet = pane::sheet(model, pane, area);
    let last = sheet.lines.len().saturating_sub(height);
    let at = sheet.offset(model.scroll.get(&pane).copied(), height);
    let to = at.saturating_add_signed(by).min(last);
    if to == sheet.offset(None, height) && sheet.rest != pane::Rest::At(to) {
        model.scroll.remove(&pane);
    } else {
        model.scroll.insert(pane, to);
    }
}

fn page(model: &mut Model, by: isize) {
    let pane = view::focus(model);
    let area = layout(model).pane(pane);
    let rows = isize::try_from(pane::room(model, pane, area)).unwrap_or(1).saturating_sub(1).max(1);
    match pane {
        Pane::Phases => walk(model, by * rows),
        _ => scroll(model, pane, by * rows),
    }
}

fn to_end(model: &mut Model, end: bool) {
    let far = isize::try_from(u32::MAX / 4).unwrap_or(isize::MAX);
    let by = if end { far } else { -far };
    match view::focus(model) {
        Pane::Phases => walk(model, by),
        Pane::Step if view::human(model).is_some() => choose(model, by),
        pane => scroll(model, pane, by),
    }
}

/// The next pane that can be seen, or opened.
fn turn(model: &mut Model, by: isize) {
    let has_result = pane::result::has_any(model);
    let panes: Vec<Pane> = Pane::ALL.into_iter().filter(|pane| has_result || *pane != Pane::Result).collect();
    let focus = view::focus(model);
    let at = panes.iter().position(|pane| *pane == focus).unwrap_or(0);
    let count = panes.len() as isize;
    let to = (at as isize + by).rem_euclid(count);
    model.focus = panes.get(to.unsigned_abs()).copied();
}

fn follow(model: &mut Model) {
    model.selected = None;
    model.item = None;
    model.column = 0;
    model.scroll.clear();
}

fn dismiss(model: &mut Model) {
    if model.search.take().is_some() {
        return;
    }
    match &model.alarm {
        Some((seq, _)) if *seq > model.alarm_seen => model.alarm_seen = *seq,
        _ => {
            model.zoom = false;
            model.focus = None;
            follow(model);
        }
    }
}
