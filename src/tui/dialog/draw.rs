//! Dialogs on the screen: a box in the middle, its words, its fields, and at its foot what the keys do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};
use tui_textarea::TextArea;

use super::editor::{Editor, Kind as EditorKind};
use super::field::{Field, Rule};
use super::form::Form;
use super::palette::Palette;
use super::{Dialog, body};
use crate::run::clean;
use crate::tui::keymap::{Action, BINDINGS, keys_of, name};
use crate::tui::model::Model;
use crate::tui::offer::{Offer, offer};
use crate::tui::text;
use crate::tui::theme::Ink;

pub fn paint(model: &Model, frame: &mut Frame, area: Rect, foot: Rect) {
    match &model.dialog {
        None => {}
        Some(Dialog::Help { top }) => help(model, frame, area, *top),
        Some(Dialog::Palette(palette)) => commands(model, frame, area, palette),
        Some(Dialog::Form(form)) => question(model, frame, area, form),
        Some(Dialog::Editor(editor)) => write(model, frame, area, editor),
        Some(Dialog::Search(field)) => search(model, frame, foot, field),
    }
}

/// A box in the middle of `area`; answers its inside.
fn window(
    model: &Model,
    frame: &mut Frame,
    area: Rect,
    size: (u16, u16),
    title: &str,
    alarm: bool,
    foot: &str,
) -> Rect {
    let width = size.0.min(area.width);
    let height = size.1.min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    if width < 3 || height < 3 {
        return Rect::default();
    }
    let look = model.look;
    let (border, head) = if alarm { (Ink::Bad, Ink::Alarm) } else { (Ink::Focus, Ink::Title) };
    let room = usize::from(width).saturating_sub(4);
    let title = Line::styled(format!(" {} ", text::cut(title, room)), look.style(head));
    let foot = Line::styled(format!(" {} ", text::cut(foot, room)), look.style(Ink::Key)).right_aligned();
    let block = Block::bordered()
        .border_type(if alarm { BorderType::Double } else { BorderType::Plain })
        .border_style(look.style(border))
        .title_top(title)
        .title_bottom(foot);
    let inside = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    inside
}

fn rows(area: Rect, from: u16, count: u16) -> Rect {
    Rect {
        y: area.y.saturating_add(from).min(area.bottom()),
        height: count.min(area.height.saturating_sub(from)),
        ..area
    }
}

/// The one line of a field; the textarea keeps its own cursor in sight.
fn input(frame: &mut Frame, area: Rect, area_of: &TextArea<'static>, active: bool) {
    if area.is_empty() {
        return;
    }
    if active {
        frame.render_widget(area_of, area);
    } else {
        let line = area_of.lines().first().map_or(String::new(), |line| clean::line(line, 500));
        frame.render_widget(Paragraph::new(text::cut(&line, usize::from(area.width))), area);
    }
}

fn question(model: &Model, frame: &mut Frame, area: Rect, form: &Form) {
    let look = model.look;
    let width = area.width.min(80);
    let room = usize::from(width).saturating_sub(4);
    let mut said: Vec<Line<'static>> = Vec::new();
    for (ink, words) in body::said(model, form) {
        said.extend(text::wrap(&words, room).into_iter().map(|line| Line::styled(format!(" {line}"), look.style(ink))));
    }
    let mut asked = choices(model, form, room);
    if form.is_stale(model) {
        asked.push(Line::styled(" it changed meanwhile: esc, look, and ask again", look.style(Ink::Bad)));
    } else if let Some(error) = &form.error {
        let lines = text::wrap(error, room).into_iter();
        asked.extend(lines.map(|line| Line::styled(format!(" {line}"), look.style(Ink::Bad))));
    }
    let fields = form.fields.len() as u16;
    let wanted = said.len() as u16 + asked.len() as u16 + fields + 3;
    let foot = foot(model, form);
    let size = (width, wanted);
    let inside = window(model, frame, area, size, &body::title(model, form), body::alarms(form), &foot);
    // Fields and choices are never cut off: the words above them scroll.
    let below = (asked.len() as u16 + fields).min(inside.height);
    let above = rows(inside, 0, inside.height.saturating_sub(below + u16::from(inside.height > below + 1)));
    let over = said.len().saturating_sub(usize::from(above.height));
    let top = form.top.min(over);
    let more = (over > 0).then(|| format!(" pgup pgdn: {} more", text::plural(over - top, "line")));
    let mut shown: Vec<Line<'static>> = said.into_iter().skip(top).take(usize::from(above.height)).collect();
    if let (Some(more), Some(last)) = (more.filter(|_| over > top), shown.last_mut()) {
        *last = Line::styled(more, look.style(Ink::Warn));
    }
    frame.render_widget(Paragraph::new(shown), above);
    let lower = rows(inside, inside.height - below, below);
    let at = asked.len() as u16;
    frame.render_widget(Paragraph::new(asked), lower);
    for (n, field) in form.fields.iter().enumerate() {
        labelled(model, frame, rows(lower, at + n as u16, 1), field, form.at == n);
    }
}

fn choices(model: &Model, form: &Form, room: usize) -> Vec<Line<'static>> {
    let look = model.look;
    let line = |(n, words): (usize, &String)| {
        let chosen = n == form.chosen;
        let sign = if chosen { "▸" } else { " " };
        let style = look.style(if chosen { Ink::Selected } else { Ink::Text });
        Line::from(vec![
            Span::styled(format!(" {sign} "), look.style(Ink::Key)),
            Span::styled(text::left(words, room.saturating_sub(3)), style),
        ])
    };
    form.choices.iter().enumerate().map(line).collect()
}

fn labelled(model: &Model, frame: &mut Frame, area: Rect, field: &Field, active: bool) {
    let need = match field.rule {
        Rule::Optional => " (may stay empty)",
        _ => "",
    };
    let label = format!(" {}{need}: ", field.label);
    let wide = (text::width(&label) as u16).min(area.width / 2);
    let ink = if active { Ink::Key } else { Ink::Dim };
    let head = Rect { width: wide, ..area };
    frame.render_widget(
        Paragraph::new(Line::styled(text::left(&label, usize::from(wide)), model.look.style(ink))),
        head,
    );
    let rest = Rect { x: area.x + wide, width: area.width - wide, ..area };
    input(frame, rest, &field.area, active);
}

fn foot(model: &Model, form: &Form) -> String {
    let go = if form.is_guarded(model) { "…" } else { "enter goes" };
    let fields = if form.fields.len() > 1 { "tab next field · " } else { "" };
    let choose = if form.choices.is_empty() { "" } else { "↑↓ choose · " };
    format!("{choose}{fields}{go} · esc back, nothing happens")
}

fn write(model: &Model, frame: &mut Frame, area: Rect, editor: &Editor) {
    let (title, size) = match &editor.kind {
        EditorKind::Note(None) => ("Note".to_owned(), (80, 10)),
        EditorKind::Note(Some(step)) => (format!("Note on {}", clean::line(&step.0, 60)), (80, 10)),
        EditorKind::Sql(step) => (format!("SQL of {}, before it runs", clean::line(&step.0, 60)), (110, area.height)),
    };
    let foot = match &editor.warn {
        Some(warn) => warn.clone(),
        None => "ctrl-s saves · ctrl-o your editor · esc back".to_owned(),
    };
    let inside = window(model, frame, area, size, &title, editor.warn.is_some(), &foot);
    if inside.is_empty() {
        return;
    }
    frame.render_widget(&editor.area, inside);
}

fn search(model: &Model, frame: &mut Frame, area: Rect, field: &Field) {
    frame.render_widget(Clear, area);
    labelled(model, frame, area, field, true);
}

fn commands(model: &Model, frame: &mut Frame, area: Rect, palette: &Palette) {
    let look = model.look;
    let lines = palette.lines(model);
    let height = area.height.min(24);
    let inside = window(model, frame, area, (90, height), "Commands", false, "enter does it · esc back");
    if inside.is_empty() {
        return;
    }
    labelled(model, frame, rows(inside, 0, 1), &palette.field, true);
    let list = rows(inside, 2, inside.height.saturating_sub(2));
    let room = usize::from(list.height);
    let chosen = palette.chosen.min(lines.len().saturating_sub(1));
    let top = (chosen + 1).saturating_sub(room);
    let width = usize::from(list.width);
    let shown: Vec<Line<'static>> = lines
        .iter()
        .enumerate()
        .skip(top)
        .take(room)
        .map(|(n, line)| {
            let ink = if line.enabled { Ink::Text } else { Ink::Dim };
            let off = if line.enabled { "" } else { "not now: " };
            let words = text::left(&format!("{off}{}", line.words), width.saturating_sub(34));
            let styled = Line::from(vec![
                Span::styled(format!(" {}", text::left(&line.key, 10)), look.style(Ink::Key)),
                Span::styled(text::left(&line.name, 22), look.style(ink)),
                Span::styled(format!(" {words}"), look.style(Ink::Dim)),
            ]);
            if n == chosen { styled.patch_style(look.style(Ink::Selected)) } else { styled }
        })
        .collect();
    let shown = if shown.is_empty() { vec![Line::raw(" nothing is called that")] } else { shown };
    frame.render_widget(Paragraph::new(shown), list);
}

/// The very table that keys are dispatched by: only what works here, with what it does.
fn help(model: &Model, frame: &mut Frame, area: Rect, top: usize) {
    let look = model.look;
    let width = area.width.min(96);
    let room = usize::from(width).saturating_sub(4);
    let mut lines = Vec::new();
    for row in BINDINGS {
        let Offer::Yes(words) = offer(row.action, model) else {
            continue;
        };
        let names: Vec<String> = match row.action {
            Action::SeekTenth => vec!["0-9".to_owned()],
            // It has no key, so that none can be hit by mistake.
            Action::Abandon => vec![": give up".to_owned()],
            _ => keys_of(model, row).into_iter().map(|key| key.name()).collect(),
        };
        if names.is_empty() {
            continue;
        }
        for (n, part) in text::wrap(&words, room.saturating_sub(38)).into_iter().enumerate() {
            let head = if n == 0 { (names.join(" "), name(model, row)) } else { (String::new(), String::new()) };
            lines.push(Line::from(vec![
                Span::styled(format!(" {} ", text::left(&head.0, 16)), look.style(Ink::Key)),
                Span::styled(text::left(&head.1, 19), look.style(Ink::Strong)),
                Span::styled(part, look.style(Ink::Text)),
            ]));
        }
    }
    lines.push(Line::default());
    for words in [
        "Every key of danger asks first. Typed names take no paste, and Enter rests half a second before it is taken.",
        "Signs: ○ to do  ▶ running  ✔ done  ✖ failed  ‼ broke  ? in doubt  ↷ skipped, left  ⤺ undoing  ↩ undone  ✗ undo failed",
    ] {
        lines.extend(
            text::wrap(words, room).into_iter().map(|line| Line::styled(format!(" {line}"), look.style(Ink::Dim))),
        );
    }
    let total = lines.len();
    let height = (total as u16 + 2).min(area.height);
    let fits = usize::from(height.saturating_sub(2));
    let top = top.min(total.saturating_sub(fits));
    let foot = if total > fits { "↑↓ more · esc back" } else { "esc back" };
    let inside = window(model, frame, area, (width, height), "Keys that work here", false, foot);
    let shown: Vec<Line<'static>> = lines.into_iter().skip(top).take(fits).collect();
    frame.render_widget(Paragraph::new(shown), inside);
}
