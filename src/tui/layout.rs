//! Who gets which part of the terminal. The one place that drawing, scrolling and the mouse ask.

use ratatui::layout::Rect;

use super::model::{Model, Pane};
use super::pane;
use super::view;

/// How much the terminal can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A few words only.
    Tiny,
    /// One pane beside the list of phases, or alone.
    Narrow,
    /// Three columns.
    Full,
    /// Three columns, the outer ones wider.
    Wide,
}

pub fn shape(area: Rect) -> Shape {
    match (area.width, area.height) {
        (..40, _) | (_, ..12) => Shape::Tiny,
        (..100, _) | (_, ..26) => Shape::Narrow,
        (160.., _) => Shape::Wide,
        _ => Shape::Full,
    }
}

/// Empty where something is not shown. Panes are inner areas: their frames lie around them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Areas {
    pub header: Rect,
    pub alarm: Rect,
    pub phases: Rect,
    pub middle: Rect,
    pub step: Rect,
    pub rule: Rect,
    pub result: Rect,
    pub signals: Rect,
    /// One line of signals where there is no pane for them.
    pub brief: Rect,
    pub log: Rect,
    pub timeline: Rect,
    pub next: Rect,
    pub footer: Rect,
    pub framed_log: bool,
}

impl Areas {
    pub fn pane(&self, pane: Pane) -> Rect {
        match pane {
            Pane::Phases => self.phases,
            Pane::Step => self.step,
            Pane::Result => self.result,
            Pane::Signals => self.signals,
            Pane::Log => self.log,
        }
    }
}

/// The frame's inner part.
pub fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x.saturating_add(1),
        y: area.y.saturating_add(1),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// The frame around an inner area.
pub fn outer(area: Rect) -> Rect {
    Rect { x: area.x.saturating_sub(1), y: area.y.saturating_sub(1), width: area.width + 2, height: area.height + 2 }
}

/// Takes rows off the top of what is left.
fn top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let taken = Rect { height: rows, ..*rest };
    rest.y += rows;
    rest.height -= rows;
    taken
}

fn bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn west(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let taken = Rect { width: columns, ..*rest };
    rest.x += columns;
    rest.width -= columns;
    taken
}

fn east(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    rest.width -= columns;
    Rect { x: rest.x + rest.width, width: columns, ..*rest }
}

/// The areas of a screen that is not tiny.
pub fn areas(model: &Model, area: Rect) -> Areas {
    let shape = shape(area);
    let mut rest = area;
    let mut out = Areas {
        header: top(&mut rest, 2),
        footer: bottom(&mut rest, if shape == Shape::Narrow && area.height >= 20 { 2 } else { 1 }),
        next: bottom(&mut rest, 1),
        ..Areas::default()
    };
    if model.is_replay() {
        out.timeline = bottom(&mut rest, 2);
    }
    let alarm = pane::alarm::lines(model, usize::from(area.width)).len() as u16;
    out.alarm = top(&mut rest, alarm.min(area.height / 4));
    let focus = view::focus(model);
    if model.zoom {
        zoomed(&mut out, model, rest, focus);
        return out;
    }
    match shape {
        Shape::Narrow => narrow(&mut out, model, rest, area, focus),
        _ => full(&mut out, model, rest, area, shape),
    }
    out
}

fn zoomed(out: &mut Areas, model: &Model, rest: Rect, focus: Pane) {
    match focus {
        Pane::Phases => out.phases = inner(rest),
        Pane::Signals => out.signals = inner(rest),
        Pane::Log => {
            out.log = inner(rest);
            out.framed_log = true;
        }
        Pane::Step | Pane::Result => {
            out.middle = rest;
            split_middle(out, model, Some(focus));
        }
    }
}

fn full(out: &mut Areas, model: &Model, mut rest: Rect, area: Rect, shape: Shape) {
    let (left, right) = match shape {
        Shape::Wide => (44, 48),
        _ if area.width >= 120 => (32, 32),
        _ => (28, 27),
    };
    let log = match area.height {
        0..32 => 4,
        32..40 => 5,
        _ => 8,
    };
    out.log = inner(bottom(&mut rest, log));
    out.framed_log = true;
    out.phases = inner(west(&mut rest, left));
    out.signals = inner(east(&mut rest, right));
    out.middle = rest;
    split_middle(out, model, None);
}

/// Phases beside the step where there is room for both, else whichever has the focus. Signals fold into one line,
/// the log into two; either opens when it gets the focus.
fn narrow(out: &mut Areas, model: &Model, mut rest: Rect, area: Rect, focus: Pane) {
    if area.height >= 16 {
        out.brief = bottom(&mut rest, 1);
    }
    if area.height >= 18 {
        out.log = bottom(&mut rest, if area.height >= 24 { 2 } else { 1 });
    }
    match focus {
        Pane::Signals => {
            out.signals = inner(rest);
            return;
        }
        Pane::Log => {
            out.log = inner(rest);
            out.framed_log = true;
            return;
        }
        _ => {}
    }
    if area.width >= 70 {
        let list = west(&mut rest, if area.width >= 90 { 28 } else { 24 });
        out.phases = inner(list);
        out.middle = rest;
    } else if focus == Pane::Phases && model.focus.is_some() {
        out.phases = inner(rest);
        return;
    } else {
        out.middle = rest;
    }
    split_middle(out, model, None);
}

/// Cuts the middle into what runs and what came of it.
fn split_middle(out: &mut Areas, model: &Model, only: Option<Pane>) {
    let mut inside = inner(out.middle);
    match only {
        Some(Pane::Step) => {
            out.step = inside;
            return;
        }
        Some(_) => {
            out.result = inside;
            return;
        }
        None => {}
    }
    if !pane::result::has_any(model) {
        out.step = inside;
        return;
    }
    let needed = pane::step::sheet(model, inside.width).lines.len() as u16;
    let wanted = pane::result::height(model, inside.width).saturating_add(1);
    // What runs keeps two fifths, or whatever its result does not need.
    let spare = inside.height.saturating_sub(wanted.min(inside.height));
    let share = needed.min((inside.height * 2 / 5).max(spare));
    out.step = top(&mut inside, share);
    out.rule = top(&mut inside, 1);
    out.result = inside;
}
