//! The log: what happened, one sentence each, the newest last.

use ratatui::text::{Line, Span};

use super::{Rest, Sheet};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::time;

/// What the sheet is made of.
pub fn mark(model: &Model, width: u16) -> u64 {
    super::mark((model.logged, model.log.len(), width))
}

pub fn sheet(model: &Model, width: u16) -> Sheet {
    let mut lines = Vec::new();
    for line in &model.log {
        let clock = time::short_clock(model, line.at.wall);
        let indent = text::width(&clock) + 3;
        let wrapped = text::wrap(&line.text, usize::from(width).saturating_sub(indent).max(8));
        for (n, part) in wrapped.into_iter().enumerate() {
            let head = if n == 0 { format!(" {clock}  ") } else { " ".repeat(indent) };
            lines.push(Line::from(vec![
                Span::styled(head, model.look.style(Ink::Dim)),
                Span::styled(part, model.look.style(line.ink)),
            ]));
        }
    }
    Sheet::new(lines, Rest::Tail)
}
