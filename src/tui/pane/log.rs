//! The log: what happened, one sentence each, the newest last.

use ratatui::text::{Line, Span};

use super::{Rest, Sheet};
use crate::tui::model::{Model, Pane};
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::{self, time};

/// The rows that one entry may take: no more than there are, so that how the newest begins is seen. None: as many as it
/// needs, where somebody reads or searches them.
fn most(model: &Model, height: u16) -> Option<usize> {
    let glanced = model.search.is_none() && view::focus(model) != Pane::Log;
    glanced.then_some(usize::from(height))
}

/// What the sheet is made of.
pub fn mark(model: &Model, width: u16, height: u16) -> u64 {
    super::mark((model.logged, model.log.len(), width, most(model, height)))
}

pub fn sheet(model: &Model, width: u16, height: u16) -> Sheet {
    let most = most(model, height);
    let mut lines = Vec::new();
    for line in &model.log {
        let clock = time::short_clock(model, line.at.wall);
        let indent = text::width(&clock) + 3;
        let room = usize::from(width).saturating_sub(indent).max(8);
        let parts = within(text::wrap(&line.text, room), most, room);
        for (n, part) in parts.into_iter().enumerate() {
            let head = if n == 0 { format!(" {clock}  ") } else { " ".repeat(indent) };
            lines.push(Line::from(vec![
                Span::styled(head, model.look.style(Ink::Dim)),
                Span::styled(part, model.look.style(line.ink)),
            ]));
        }
    }
    Sheet::new(lines, Rest::Tail)
}

fn within(mut lines: Vec<String>, most: Option<usize>, room: usize) -> Vec<String> {
    if let Some(most) = most.filter(|most| lines.len() > *most) {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = text::cut(&format!("{last} …"), room);
        }
    }
    lines
}
