//! The panes: each makes a sheet of lines, and one painter shows a window of it.

pub mod alarm;
mod batches;
pub mod ending;
pub mod fault;
pub mod footer;
pub mod header;
pub mod log;
pub mod phases;
pub mod result;
pub mod signals;
pub mod step;
pub mod timeline;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::model::{Model, Pane};
use super::text;
use super::theme::{Ink, Look};

/// A pane's whole content, of which a window is shown.
#[derive(Default)]
pub struct Sheet {
    pub lines: Vec<Line<'static>>,
    /// Where the eye should rest when nobody scrolls.
    pub rest: Rest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    #[default]
    Top,
    Tail,
    /// This line stays in sight.
    At(usize),
}

impl Sheet {
    pub fn new(lines: Vec<Line<'static>>, rest: Rest) -> Self {
        Self { lines, rest }
    }

    /// The first line shown in `height` rows.
    pub fn offset(&self, explicit: Option<usize>, height: usize) -> usize {
        let last = self.lines.len().saturating_sub(height);
        match (explicit, self.rest) {
            (Some(top), _) => top.min(last),
            (None, Rest::Top) => 0,
            (None, Rest::Tail) => last,
            (None, Rest::At(line)) => line.saturating_sub(height.saturating_sub(1) / 2).min(last),
        }
    }
}

/// Sheets that are dear to make and seldom change, each with the mark of what it was made of.
#[derive(Default)]
pub struct Kept(RefCell<BTreeMap<Pane, (u64, Arc<Sheet>)>>);

impl Kept {
    fn get(&self, pane: Pane, mark: u64, make: impl FnOnce() -> Sheet) -> Arc<Sheet> {
        if let Some((of, sheet)) = self.0.borrow().get(&pane)
            && *of == mark
        {
            return Arc::clone(sheet);
        }
        let sheet = Arc::new(make());
        self.0.borrow_mut().insert(pane, (mark, Arc::clone(&sheet)));
        sheet
    }
}

/// The sheet of a pane, as wide and high as its inner area.
pub fn sheet(model: &Model, pane: Pane, area: Rect) -> Arc<Sheet> {
    let Rect { width, height, .. } = area;
    match pane {
        Pane::Phases => Arc::new(phases::sheet(model, width)),
        Pane::Step => Arc::new(step::sheet(model, width)),
        Pane::Result => model.kept.get(pane, result::mark(model, width), || result::sheet(model, width)),
        Pane::Signals => Arc::new(signals::sheet(model, width, height)),
        Pane::Log => model.kept.get(pane, log::mark(model, width, height), || log::sheet(model, width, height)),
    }
}

/// A number that tells two states of a sheet apart.
fn mark(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Rows a pane has for its sheet: some keep a part of their area for what always stays in sight.
pub fn room(model: &Model, pane: Pane, area: Rect) -> usize {
    let pinned = match pane {
        Pane::Result => result::pinned(model, area.width).len(),
        _ => 0,
    };
    usize::from(area.height).saturating_sub(pinned)
}

/// Shows the window of a sheet that the model asks for.
pub fn paint(model: &Model, frame: &mut Frame, pane: Pane, area: Rect) {
    if area.is_empty() {
        return;
    }
    let sheet = sheet(model, pane, area);
    let height = usize::from(area.height);
    let top = sheet.offset(model.scroll.get(&pane).copied(), height);
    let lines: Vec<Line<'static>> =
        sheet.lines.iter().skip(top).take(height).map(|line| marked(model, line.clone())).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// `12-30 of 204`, where not everything is in sight.
pub fn position(model: &Model, pane: Pane, area: Rect) -> Option<String> {
    let height = room(model, pane, area);
    let sheet = sheet(model, pane, area);
    let total = sheet.lines.len();
    if total <= height || height == 0 {
        return None;
    }
    let top = sheet.offset(model.scroll.get(&pane).copied(), height);
    Some(format!("{}-{} of {}", top + 1, top + height, text::count(total as u64)))
}

/// A frame with its title, brighter where the keys go.
pub fn frame_around(
    model: &Model,
    frame: &mut Frame,
    area: Rect,
    title: Line<'static>,
    foot: Option<String>,
    focus: bool,
) {
    if area.width < 2 || area.height < 2 {
        return;
    }
    let ink = if focus { Ink::Focus } else { Ink::Border };
    let mut block = Block::new().borders(Borders::ALL).border_style(model.look.style(ink)).title_top(title);
    if let Some(foot) = foot {
        block = block.title_bottom(Line::styled(format!(" {foot} "), model.look.style(Ink::Dim)).right_aligned());
    }
    frame.render_widget(block, area);
}

/// A pane's title, underlined by weight where it has the focus.
pub fn title(look: Look, text: &str, focus: bool) -> Line<'static> {
    let style = look.style(if focus { Ink::Focus } else { Ink::Title });
    Line::styled(format!(" {text} "), style)
}

/// A line with what is searched for shown as found.
fn marked(model: &Model, line: Line<'static>) -> Line<'static> {
    let Some(search) = model.search.as_ref().filter(|search| !search.pattern.is_empty()) else {
        return line;
    };
    let style = model.look.style(Ink::Match);
    let mut spans = Vec::new();
    for span in line.spans {
        mark_span(span, &search.pattern, style, &mut spans);
    }
    Line { spans, ..Line::default() }.style(line.style)
}

fn mark_span(span: Span<'static>, pattern: &str, style: Style, out: &mut Vec<Span<'static>>) {
    let mut rest = span.content.as_ref();
    while let Some(at) = find(rest, pattern) {
        let (before, found) = rest.split_at(at);
        let (found, after) = found.split_at(pattern.len().min(found.len()));
        if !before.is_empty() {
            out.push(Span::styled(before.to_owned(), span.style));
        }
        out.push(Span::styled(found.to_owned(), span.style.patch(style)));
        rest = after;
    }
    out.push(Span::styled(rest.to_owned(), span.style));
}

/// Where `pattern` stands in `text`, ASCII letters of any case.
pub fn find(text: &str, pattern: &str) -> Option<usize> {
    if pattern.is_empty() {
        return None;
    }
    let same = |at: &usize| text.get(*at..at + pattern.len()).is_some_and(|part| part.eq_ignore_ascii_case(pattern));
    text.char_indices().map(|(at, _)| at).find(same)
}
