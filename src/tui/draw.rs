//! One frame from one model. Reads, decides nothing, changes nothing.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::dialog;
use super::keymap::{Action, BINDINGS, key_name};
use super::layout::{Areas, Shape, areas, outer, shape};
use super::model::{Model, Pane};
use super::offer::{Offer, offer};
use super::pane::{self, alarm, footer, frame_around, header, position, title};
use super::text;
use super::theme::{self, Ink};
use super::view::{self, next};
use crate::run::clean;
use crate::run::state::StepStatus;

/// Draws the whole screen.
pub fn draw(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    if shape(area) == Shape::Tiny {
        tiny(model, frame, area);
    } else {
        let areas = areas(model, area);
        panes(model, frame, &areas);
        let body =
            Rect { y: areas.header.bottom(), height: areas.next.y.saturating_sub(areas.header.bottom()), ..area };
        // The numbers that fired it stay in sight beside it.
        let beside = if areas.signals.is_empty() { body.right() } else { areas.signals.x.saturating_sub(1) };
        let left = Rect { width: beside.saturating_sub(body.x), ..body };
        alarm::paint_panel(model, frame, if left.width >= 44 { left } else { body });
        dialog::draw::paint(model, frame, body, areas.next);
    }
    if model.look.ascii {
        theme::to_ascii(frame.buffer_mut());
    }
}

fn panes(model: &Model, frame: &mut Frame, areas: &Areas) {
    let look = model.look;
    let focus = view::focus(model);
    header::paint(model, frame, areas.header);
    if !areas.alarm.is_empty() {
        alarm::paint(model, frame, areas.alarm);
    }
    for (pane, name) in [(Pane::Phases, "Phases"), (Pane::Signals, "Signals")] {
        let area = areas.pane(pane);
        if !area.is_empty() {
            let foot = position(model, pane, area);
            frame_around(model, frame, outer(area), title(look, name, focus == pane), foot, focus == pane);
            pane::paint(model, frame, pane, area);
        }
    }
    middle(model, frame, areas, focus);
    if !areas.log.is_empty() {
        if areas.framed_log {
            let foot = position(model, Pane::Log, areas.log);
            frame_around(
                model,
                frame,
                outer(areas.log),
                title(look, "Log", focus == Pane::Log),
                foot,
                focus == Pane::Log,
            );
        }
        pane::paint(model, frame, Pane::Log, areas.log);
    }
    if !areas.brief.is_empty() {
        pane::signals::brief(model, frame, areas.brief);
    }
    if !areas.timeline.is_empty() {
        pane::timeline::paint(model, frame, areas.timeline);
    }
    footer::paint_next(model, frame, areas.next);
    footer::paint_keys(model, frame, areas.footer);
}

/// The step and what came of it, in one frame with a rule between.
fn middle(model: &Model, frame: &mut Frame, areas: &Areas, focus: Pane) {
    if areas.middle.width < 3 || areas.middle.height < 3 {
        return;
    }
    let focused = matches!(focus, Pane::Step | Pane::Result);
    let alone = areas.rule.is_empty();
    let foot_of = if alone && areas.step.is_empty() { Pane::Result } else { Pane::Step };
    let bottom = if areas.rule.is_empty() { foot_of } else { Pane::Result };
    let foot = position(model, bottom, areas.pane(bottom));
    let heading = heading(model, usize::from(areas.middle.width).saturating_sub(4), focused);
    frame_around(model, frame, areas.middle, heading, foot, focused);
    pane::paint(model, frame, Pane::Step, areas.step);
    if !areas.rule.is_empty() {
        rule(model, frame, areas, focus);
    }
    if !areas.result.is_empty() {
        pane::result::paint(model, frame, areas.result);
    }
}

/// `migrate › 011: fix schema conflicts  ✔ done`.
fn heading(model: &Model, width: usize, focused: bool) -> Line<'static> {
    let look = model.look;
    let Some((step, run)) = view::shown_step(model) else {
        return title(look, if view::at_end(model) { "The run is over" } else { "no step" }, focused);
    };
    let status = run.map_or(StepStatus::Pending, |run| run.status.clone());
    let phase = model
        .runbook
        .phase_of(&step.id)
        .map_or("rollback", |phase| if phase.title.is_empty() { &phase.id } else { &phase.title });
    let state = format!("{} {}", look.glyph(&status), view::word(model, &status));
    let moved = if view::at_current(model) || model.selected.is_none() { "" } else { " (not the current step)" };
    let room = width.saturating_sub(text::width(&state) + text::width(moved) + 3);
    let name = format!("{} › {}", clean::line(phase, 60), clean::line(view::title(step), 120));
    Line::from(vec![
        Span::raw(" "),
        Span::styled(text::cut(&name, room), look.style(if focused { Ink::Focus } else { Ink::Title })),
        Span::styled(moved, look.style(Ink::Warn)),
        Span::raw("  "),
        Span::styled(state, look.style(theme::ink(&status))),
        Span::raw(" "),
    ])
}

fn rule(model: &Model, frame: &mut Frame, areas: &Areas, focus: Pane) {
    let look = model.look;
    let width = usize::from(areas.rule.width);
    let above = position(model, Pane::Step, areas.step).map_or(String::new(), |words| format!(" {words} "));
    let ink = if focus == Pane::Result { Ink::Focus } else { Ink::Border };
    let dashes = width.saturating_sub(9 + text::width(&above) + 1);
    let line = Line::from(vec![
        Span::styled("─", look.style(ink)),
        Span::styled(" result ", look.style(if focus == Pane::Result { Ink::Focus } else { Ink::Dim })),
        Span::styled("─".repeat(dashes), look.style(ink)),
        Span::styled(above, look.style(Ink::Dim)),
        Span::styled("─", look.style(ink)),
    ]);
    frame.render_widget(Paragraph::new(line), areas.rule);
}

/// Too small for panes: the state, what comes next and the keys, as far as they go.
fn tiny(model: &Model, frame: &mut Frame, area: Rect) {
    let look = model.look;
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    let mut say = |ink: Ink, words: &str| {
        lines.extend(text::wrap(words, width).into_iter().map(|line| Line::styled(line, look.style(ink))));
    };
    let (ink, sentence) = next::sentence(model);
    if area.height == 1 {
        frame.render_widget(Paragraph::new(Line::styled(text::cut(&sentence, width), look.style(ink))), area);
        return;
    }
    say(ink, &sentence);
    if let Some((step, run)) = view::shown_step(model) {
        let status = run.map_or(StepStatus::Pending, |run| run.status.clone());
        let words = format!("{} {} {}", look.glyph(&status), theme::word(&status), clean::line(view::title(step), 80));
        say(theme::ink(&status), &words);
    }
    if model.dialog.is_some() {
        say(Ink::Warn, "a question is open: esc leaves it, or make the terminal larger");
    }
    say(Ink::Key, &keys(model));
    say(Ink::Dim, "too small: 40x12 shows the panes");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines), area);
}

/// The first few keys that work here.
fn keys(model: &Model) -> String {
    let works = BINDINGS.iter().filter(|row| matches!(offer(row.action, model), Offer::Yes(_)));
    let wanted = works.filter(|row| !matches!(row.action, Action::Zoom | Action::NextPane | Action::Up | Action::Down));
    let words = wanted.filter_map(|row| Some(format!("{} {}", key_name(model, row)?, row.name)));
    let mut words: Vec<String> = words.take(6).collect();
    words.push("q quit".to_owned());
    words.join("  ")
}
