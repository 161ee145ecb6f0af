//! The mouse: select, focus, scroll, and the timeline of a replay. Nothing can be done with it alone.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::act::select;
use super::find::screen;
use super::layout::{Shape, areas, shape};
use super::message::{Out, ReplayControl};
use super::model::{Model, Pane};
use super::moves::scroll;
use super::pane::{self, phases, timeline};

/// Lines a turn of the wheel moves.
const STRIDE: isize = 3;

/// Lines the wheel asks for.
pub fn wheel(event: &MouseEvent) -> Option<isize> {
    match event.kind {
        MouseEventKind::ScrollUp => Some(-STRIDE),
        MouseEventKind::ScrollDown => Some(STRIDE),
        _ => None,
    }
}

pub fn mouse(model: &mut Model, event: &MouseEvent) -> Option<Out> {
    let area = screen(model);
    if shape(area) == Shape::Tiny {
        return None;
    }
    let at = Position::new(event.column, event.row);
    let places = areas(model, area);
    if let Some(by) = wheel(event) {
        let pane = Pane::ALL.into_iter().find(|pane| places.pane(*pane).contains(at))?;
        scroll(model, pane, by);
        return None;
    }
    let presses =
        matches!(event.kind, MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left));
    if !presses {
        return None;
    }
    if places.timeline.contains(at) {
        let fraction = timeline::fraction(places.timeline, event.column);
        return Some(Out::Replay(ReplayControl::SeekFraction(fraction)));
    }
    let pane = Pane::ALL.into_iter().find(|pane| places.pane(*pane).contains(at))?;
    model.focus = Some(pane);
    if pane == Pane::Phases {
        click(model, places.phases, event.row);
    }
    None
}

/// A click on a step of the list shows it.
fn click(model: &mut Model, area: Rect, row: u16) {
    let sheet = pane::sheet(model, Pane::Phases, area);
    let top = sheet.offset(model.scroll.get(&Pane::Phases).copied(), usize::from(area.height));
    let at = top + usize::from(row.saturating_sub(area.y));
    let rows = phases::rows(model, usize::from(area.width));
    if let Some(step) = rows.into_iter().nth(at).and_then(|row| row.step) {
        select(model, step);
    }
}
