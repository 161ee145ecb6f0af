//! The signals: every probe with its number, its line and its bound; every trigger with what it is up to.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use ratatui::{Frame, style::Style};

use super::{Rest, Sheet};
use crate::run::{clean, describe};
use crate::runbook::{Probe, Trigger};
use crate::tui::model::Model;
use crate::tui::theme::Ink;
use crate::tui::view::signal::{self, Reading};
use crate::tui::{chart, text};

pub fn sheet(model: &Model, width: u16, height: u16) -> Sheet {
    let width = usize::from(width).saturating_sub(2);
    let mut lines = Vec::new();
    let probes = &model.runbook.probes;
    if probes.is_empty() {
        lines.push(Line::styled(" this runbook measures nothing", model.look.style(Ink::Dim)));
    }
    let triggers: Vec<Line<'static>> = model.runbook.triggers.iter().flat_map(|t| trigger(model, t, width)).collect();
    let texts: Vec<(&Probe, Vec<Line<'static>>)> =
        probes.iter().map(|probe| (probe, number(model, probe, width))).collect();
    let fixed: usize = texts.iter().map(|(_, lines)| lines.len()).sum::<usize>() + triggers.len() + 1;
    let rows = (usize::from(height).saturating_sub(fixed) / probes.len().max(1)).clamp(1, 4);
    for (probe, number) in texts {
        lines.extend(number);
        lines.extend(picture(model, probe, width, rows));
    }
    if !triggers.is_empty() {
        let rule = format!(" ─ triggers {}", "─".repeat(width.saturating_sub(11)));
        lines.push(Line::styled(rule, model.look.style(Ink::Border)));
        lines.extend(triggers);
    }
    Sheet::new(lines, Rest::Top)
}

/// `error rate      0.21 %`, and under it what is wrong with the number.
fn number(model: &Model, probe: &Probe, width: usize) -> Vec<Line<'static>> {
    let reading = signal::reading(model, probe);
    let look = model.look;
    let sign = if reading.ink == Ink::Bad { "▲ " } else { "" };
    let end = format!("{sign}{}", reading.text);
    let end = text::cut(&end, width.saturating_sub(6));
    let room = width.saturating_sub(text::width(&end) + 1);
    let mut out = vec![Line::from(vec![
        Span::raw(" "),
        Span::styled(text::left(&name(probe), room), look.style(Ink::Text)),
        Span::raw(" "),
        Span::styled(end, look.style(reading.ink)),
    ])];
    if let Some(flaw) = &reading.flaw {
        let lines = text::wrap(flaw, width.saturating_sub(2)).into_iter().take(3);
        out.extend(lines.map(|line| Line::styled(format!("   {line}"), look.style(Ink::Warn))));
    }
    out
}

fn name(probe: &Probe) -> String {
    clean::line(if probe.title.is_empty() { &probe.id } else { &probe.title }, 60)
}

fn picture(model: &Model, probe: &Probe, width: usize, rows: usize) -> Vec<Line<'static>> {
    let Some(run) = model.state.probes.get(&probe.id).filter(|run| !run.samples.is_empty()) else {
        return Vec::new();
    };
    let values = signal::columns(probe, &run.samples, width);
    let threshold = signal::thresholds(model, &probe.id).first().copied();
    // Without a bound to keep there is little to see: a low picture is enough.
    let flat = values.iter().all(|value| *value == values[0]);
    let rows = match (threshold, flat) {
        (None, true) => 1,
        (None, false) => rows.min(2),
        (Some(_), _) => rows,
    };
    let lines = chart::lines(&values, threshold, width, rows, model.look);
    lines
        .into_iter()
        .map(|mut line| {
            line.spans.insert(0, Span::raw(" "));
            line
        })
        .collect()
}

fn trigger(model: &Model, trigger: &Trigger, width: usize) -> Vec<Line<'static>> {
    let watch = signal::watch(model, trigger);
    let look = model.look;
    let id = clean::line(&trigger.id, 40);
    let lasting =
        if trigger.lasting.is_zero() { String::new() } else { format!(" for {}", text::planned(trigger.lasting)) };
    let owner = describe::owner(&trigger.id, &model.runbook).map(|owner| format!(", owner: {owner}"));
    let (source, then) = (clean::line(&trigger.when.source, 100), signal::action(trigger.then));
    let when = format!("{source}{lasting}, {then}{}", owner.unwrap_or_default());
    let calm = matches!(watch.ink, Ink::Text | Ink::Dim);
    let mut out = Vec::new();
    let word_room = width.saturating_sub(text::width(&id) + 4);
    let beside = text::width(&watch.word) <= word_room;
    let word = if beside { text::right(&watch.word, word_room) } else { String::new() };
    out.push(Line::from(vec![
        Span::styled(format!(" {} ", watch.glyph), look.style(watch.ink)),
        Span::styled(id, look.style(if calm { watch.ink } else { Ink::Strong })),
        Span::raw(" "),
        Span::styled(word, look.style(watch.ink)),
    ]));
    let mut below = |style: Style, words: &str| {
        let lines = text::wrap(words, width.saturating_sub(2)).into_iter().take(3);
        out.extend(lines.map(|line| Line::styled(format!("   {line}"), style)));
    };
    if !beside {
        below(look.style(watch.ink), &watch.word);
    }
    below(look.style(Ink::Dim), &when);
    out
}

/// All signals in one line: `error rate 0.21 % · ‼ errors-high FIRED`. What is wrong comes first.
pub fn brief(model: &Model, frame: &mut Frame, area: Rect) {
    let look = model.look;
    let mut parts: Vec<(u8, String, Ink)> = Vec::new();
    for trigger in &model.runbook.triggers {
        let watch = signal::watch(model, trigger);
        if !matches!(watch.ink, Ink::Text | Ink::Dim) {
            parts.push((0, format!("{} {} {}", watch.glyph, clean::line(&trigger.id, 40), watch.word), watch.ink));
        }
    }
    for probe in &model.runbook.probes {
        let Reading { text, ink, flaw } = signal::reading(model, probe);
        let sign = if ink == Ink::Bad { "▲" } else { "" };
        let late = if flaw.is_some() && text != "NO DATA" { " STALE" } else { "" };
        parts.push((u8::from(ink != Ink::Bad) + 1, format!("{} {sign}{text}{late}", name(probe)), ink));
    }
    parts.sort_by_key(|(rank, _, _)| *rank);
    let mut spans = Vec::new();
    let mut room = usize::from(area.width).saturating_sub(1);
    for (n, (_, words, ink)) in parts.into_iter().enumerate() {
        let gap = if n == 0 { " " } else { " · " };
        let wanted = text::width(gap) + text::width(&words);
        if room < 8 {
            break;
        }
        spans.push(Span::styled(gap, look.style(Ink::Border)));
        spans.push(Span::styled(text::cut(&words, room.saturating_sub(text::width(gap))), look.style(ink)));
        room = room.saturating_sub(wanted);
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
