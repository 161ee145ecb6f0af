//! The foot: one sentence that says what comes next, and the keys that work here.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::tui::keymap::{Action, BINDINGS, key_name, name};
use crate::tui::model::Model;
use crate::tui::offer::{Offer, offer};
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::next::{self, Enter};

/// Always there, at the end.
const ALWAYS: [Action; 3] = [Action::Palette, Action::Help, Action::Quit];
/// Known from everywhere, or of little help: only in the help.
const QUIET: [Action; 12] = [
    Action::Up,
    Action::Down,
    Action::Left,
    Action::Right,
    Action::PageUp,
    Action::PageDown,
    Action::Top,
    Action::Bottom,
    Action::PrevPane,
    Action::Abandon,
    Action::SeekStart,
    Action::SeekEnd,
];

/// The sentence: an answer to the last key where there is one, else what comes next.
pub fn paint_next(model: &Model, frame: &mut Frame, area: Rect) {
    let (ink, sentence) = match &model.toast {
        Some(toast) if model.state.countdown().is_none() => (toast.ink, toast.text.clone()),
        _ => next::sentence(model),
    };
    let width = usize::from(area.width);
    let sentence = text::cut(&sentence, width.saturating_sub(4));
    let line =
        Line::from(vec![Span::styled(" ▸ ", model.look.style(ink)), Span::styled(sentence, model.look.style(ink))]);
    frame.render_widget(Paragraph::new(line), area);
}

pub fn paint_keys(model: &Model, frame: &mut Frame, area: Rect) {
    frame.render_widget(Paragraph::new(lines(model, area.width, area.height)), area);
}

/// The keys, most important first, in as many lines as there are; what never goes away stands last.
fn lines(model: &Model, width: u16, rows: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let always: Vec<(String, String)> = ALWAYS.iter().filter_map(|action| hint(model, *action)).collect();
    let tail: usize = always.iter().map(|(key, name)| text::width(key) + text::width(name) + 3).sum();
    // Where Enter only ticks, the space bar says so already.
    let ticks = matches!(next::enter(model), Enter::Tick(..));
    let shown = BINDINGS
        .iter()
        .filter(|row| !ALWAYS.contains(&row.action) && !QUIET.contains(&row.action))
        .filter(|row| !(ticks && row.action == Action::Enter));
    let mut hints = shown.filter_map(|row| hint(model, row.action)).peekable();
    let mut out = Vec::new();
    for n in 0..rows {
        let last = n + 1 == rows;
        let room = if last { width.saturating_sub(tail) } else { width };
        let mut line = Vec::new();
        let mut used = 1;
        while let Some((key, name)) = hints.peek() {
            let wide = text::width(key) + text::width(name) + 3;
            if used + wide > room {
                break;
            }
            used += wide;
            push(model, &mut line, key, name);
            hints.next();
        }
        if last {
            always.iter().for_each(|(key, name)| push(model, &mut line, key, name));
        }
        out.push(Line::from(line));
    }
    out
}

fn push(model: &Model, line: &mut Vec<Span<'static>>, key: &str, name: &str) {
    let ink = if name.contains("ROLL") || name.contains("STOP") { Ink::Bad } else { Ink::Text };
    line.push(Span::raw(" "));
    line.push(Span::styled(key.to_owned(), model.look.style(Ink::Key)));
    line.push(Span::raw(" "));
    line.push(Span::styled(name.to_owned(), model.look.style(ink)));
    line.push(Span::raw(" "));
}

/// Key and name of an action that works here.
fn hint(model: &Model, action: Action) -> Option<(String, String)> {
    let row = BINDINGS.iter().find(|row| row.action == action)?;
    match offer(action, model) {
        Offer::Yes(_) => Some((key_name(model, row)?, name(model, row))),
        _ => None,
    }
}
