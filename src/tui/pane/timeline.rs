//! The timeline of a replay: where it stands in the run, and where failures, triggers and notes lie.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::run::describe::duration;
use crate::tui::message::{Mark, MarkKind, ReplayStatus};
use crate::tui::model::{Mode, Model};
use crate::tui::theme::Ink;

pub fn paint(model: &Model, frame: &mut Frame, area: Rect) {
    let Mode::Replay { marks, status } = &model.mode else {
        return;
    };
    let lines = vec![bar(model, marks, status, area.width), words(model, marks, status)];
    frame.render_widget(Paragraph::new(lines), area);
}

/// The columns of the bar: one cell of margin at both ends.
fn span(width: u16) -> u16 {
    width.saturating_sub(2).max(1)
}

/// The share of the run that a column of the bar stands for.
pub fn fraction(area: Rect, column: u16) -> f64 {
    let at = column.saturating_sub(area.x + 1).min(span(area.width) - 1);
    f64::from(at) / f64::from((span(area.width) - 1).max(1))
}

fn column(ms: u64, total: u64, width: u16) -> usize {
    let share = ms.min(total) as f64 / total.max(1) as f64;
    (share * f64::from(span(width) - 1)).round() as usize
}

fn sign(kind: MarkKind) -> (&'static str, Ink) {
    match kind {
        MarkKind::Failure => ("✖", Ink::Bad),
        MarkKind::Trigger => ("‼", Ink::Warn),
        MarkKind::Note => ("✎", Ink::Strong),
    }
}

fn bar(model: &Model, marks: &[Mark], status: &ReplayStatus, width: u16) -> Line<'static> {
    let look = model.look;
    let here = column(status.position, status.total, width);
    let mut cells: Vec<(&str, Ink)> =
        (0..usize::from(span(width))).map(|n| if n < here { ("━", Ink::Active) } else { ("─", Ink::Border) }).collect();
    // Failures last: of two marks in one cell the graver one is seen.
    for kind in [MarkKind::Note, MarkKind::Trigger, MarkKind::Failure] {
        for mark in marks.iter().filter(|mark| mark.kind == kind) {
            if let Some(cell) = cells.get_mut(column(mark.ms, status.total, width)) {
                *cell = sign(kind);
            }
        }
    }
    if let Some(cell) = cells.get_mut(here) {
        *cell = ("█", Ink::Strong);
    }
    let spans = cells.into_iter().map(|(glyph, ink)| Span::styled(glyph, look.style(ink)));
    Line::from(std::iter::once(Span::raw(" ")).chain(spans).collect::<Vec<_>>())
}

fn words(model: &Model, marks: &[Mark], status: &ReplayStatus) -> Line<'static> {
    let look = model.look;
    let state = if status.playing { "▶ playing" } else { "⏸ paused" };
    let mut spans = vec![
        Span::styled(format!(" {state} ×{}", status.speed), look.style(Ink::Strong)),
        Span::styled(format!("   {} of {}", duration(status.position), duration(status.total)), look.style(Ink::Text)),
    ];
    for (kind, one) in [(MarkKind::Failure, "failure"), (MarkKind::Trigger, "trigger"), (MarkKind::Note, "note")] {
        let count = marks.iter().filter(|mark| mark.kind == kind).count();
        if count > 0 {
            let (glyph, ink) = sign(kind);
            spans.push(Span::styled(format!("   {glyph} "), look.style(ink)));
            spans.push(Span::styled(crate::tui::text::plural(count, one), look.style(Ink::Dim)));
        }
    }
    Line::from(spans)
}
