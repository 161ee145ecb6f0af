//! The two lines at the top: what this is, where it happens, how much time is left.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::run::clean;
use crate::run::describe::duration;
use crate::run::event::{Mode as RunMode, Proof};
use crate::run::plan;
use crate::run::state::TargetRun;
use crate::tui::message::Link;
use crate::tui::model::{Mode, Model};
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::{back, next, time};

/// A piece of the header: in full, and for narrow terminals.
struct Part {
    ink: Ink,
    long: String,
    short: String,
}

fn part(ink: Ink, long: impl Into<String>, short: impl Into<String>) -> Part {
    Part { ink, long: long.into(), short: short.into() }
}

pub fn paint(model: &Model, frame: &mut Frame, area: Rect) {
    let width = usize::from(area.width);
    let lines = vec![first(model, width), second(model, width)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn first(model: &Model, width: usize) -> Line<'static> {
    let mut parts = vec![part(environment_ink(model), environment(model), environment(model))];
    let clock = time::clock(model, model.now.wall);
    parts.push(part(Ink::Strong, clock, time::short_clock(model, model.now.wall)));
    parts.extend(window(model));
    parts.extend(last_safe(model));
    row(model, width, (Ink::Title, title(model)), 42, parts)
}

fn title(model: &Model) -> String {
    let book = &model.runbook;
    let title = if book.title.is_empty() { &book.id } else { &book.title };
    format!("gonogo  {}", clean::line(title, 120))
}

/// The environment with how it is touched: the words that must never be mistaken.
fn environment(model: &Model) -> String {
    let name = next::environment(model).to_uppercase();
    let how = match (&model.mode, model.state.opened.mode) {
        (Mode::Replay { .. }, _) => "REPLAY",
        (_, RunMode::Rehearsal) if model.state.leg > 1 => "REHEARSAL LEG 2",
        (_, RunMode::Rehearsal) => "REHEARSAL",
        (Mode::Live { writes: false, .. }, _) => "LIVE, WATCHING",
        _ => "LIVE",
    };
    if name.is_empty() { format!(" {how} ") } else { format!(" {name} {how} ") }
}

fn environment_ink(model: &Model) -> Ink {
    let live = !model.is_replay() && model.state.opened.mode == RunMode::Live;
    if live && model.is_protected() { Ink::Alarm } else { Ink::Badge }
}

fn window(model: &Model) -> Option<Part> {
    if let Some((_, _, at)) = &model.state.ended {
        let took = duration(at.ms);
        return Some(part(Ink::Dim, format!("ended after {took}"), format!("took {took}")));
    }
    let left = time::until(model, time::window_end(model)?);
    let span = duration(left.unsigned_abs());
    Some(match left {
        ..0 => part(Ink::Bad, format!("WINDOW ENDED {span} ago"), format!("OVER {span}")),
        0..1_800_000 => part(Ink::Warn, format!("window ends in {span}"), format!("window {span}")),
        _ => part(Ink::Text, format!("window ends in {span}"), format!("window {span}")),
    })
}

fn last_safe(model: &Model) -> Option<Part> {
    if model.state.ended.is_some() || model.state.rollback.is_some() {
        return None;
    }
    let left = time::until(model, time::last_safe(model)?);
    let window = time::until(model, time::window_end(model)?);
    if window < 0 {
        return None;
    }
    // What is not known only makes it earlier.
    let estimate = back::estimate(model);
    if estimate.ms == 0 && !estimate.whole {
        return Some(part(Ink::Warn, "last safe rollback not known", "safe back ?"));
    }
    let span = duration(left.unsigned_abs());
    if !estimate.whole && left >= 0 {
        return Some(part(Ink::Warn, format!("last safe rollback before {span}"), format!("safe back <{span}")));
    }
    Some(match left {
        ..0 => part(Ink::Bad, format!("rollback too late by {span}"), format!("BACK LATE {span}")),
        0..1_800_000 => part(Ink::Warn, format!("last safe rollback in {span}"), format!("safe back {span}")),
        _ => part(Ink::Text, format!("last safe rollback in {span}"), format!("safe back {span}")),
    })
}

fn second(model: &Model, width: usize) -> Line<'static> {
    let mut parts = Vec::new();
    if let Some(rollback) = model.state.rollback.as_ref().filter(|_| model.state.rolling_back()) {
        let n = rollback.steps.len();
        parts.push(part(Ink::Alarm, format!(" ROLLING BACK {n} "), " ROLLBACK "));
    } else if let Some(rollback) = model.state.rollback.as_ref().filter(|_| model.state.ended.is_none()) {
        parts.push(match rollback.skipped.is_empty() {
            true => part(Ink::Badge, " ROLLED BACK ", " BACK "),
            false => part(Ink::Alarm, " NOT WHOLLY BACK ", " NOT BACK "),
        });
    }
    // Before what is more welcome in full.
    parts.extend(proof(model));
    if model.state.auto && model.state.ended.is_none() {
        parts.push(part(Ink::Warn, "auto-advance on", "auto"));
    }
    parts.push(connection(model));
    let (targets, run) = (targets(model), next::run_id(model));
    if total(&parts) + text::width(&run) + text::width(&targets).min(PLACE) + 4 <= width {
        parts.push(part(Ink::Dim, format!("run {run}"), run));
    }
    row(model, width, (Ink::Text, targets), 40, parts)
}

/// Told all the time where "done" rests on less than a row in the target's ledger.
fn proof(model: &Model) -> Option<Part> {
    let weaker = |run: &TargetRun| run.reached && matches!(run.grip.proof, Proof::Weaker { .. });
    model.state.targets.values().any(weaker).then(|| part(Ink::Warn, "weaker proof", "weaker"))
}

fn connection(model: &Model) -> Part {
    let since = || duration(time::since(model, model.link_since));
    match (&model.mode, &model.link) {
        (Mode::Replay { .. }, _) => part(Ink::Dim, "read from the journal", "journal"),
        _ if model.state.ended.is_some() => part(Ink::Dim, "the run is over", "over"),
        (_, Link::Lost(_)) => part(Ink::Bad, format!("✖ engine lost {} ago", since()), "✖ lost"),
        (_, Link::Stopped(_)) => part(Ink::Bad, "✖ engine not running", "✖ no engine"),
        (_, Link::Up) => {
            let others = model.state.screens.values().sum::<u32>().saturating_sub(1);
            match others {
                0 => part(Ink::Good, "● engine", "● engine"),
                1 => part(Ink::Good, "● engine, 1 more screen", "● engine +1"),
                n => part(Ink::Good, format!("● engine, {n} more screens"), format!("● engine +{n}")),
            }
        }
    }
}

/// `main app@10.0.0.5:5432 …4711 as dba, primary`, for every target known.
fn targets(model: &Model) -> String {
    let words: Vec<String> = model.state.targets.iter().map(|(name, run)| target(name, run)).collect();
    if words.is_empty() { "no target seen yet".to_owned() } else { words.join(" · ") }
}

pub fn target(name: &str, run: &TargetRun) -> String {
    let name = clean::line(name, 30);
    if let Some(why) = &run.lost {
        return format!("{name} ✖ LOST: {}", clean::line(why, 80));
    }
    let Some(print) = &run.fingerprint else {
        return name;
    };
    let database = clean::line(&print.database, 60);
    let host = clean::line(&print.host, 60);
    let role = clean::line(&print.role, 30);
    let place = if host.is_empty() || host == database { database } else { format!("{database}@{host}") };
    let who = if role.is_empty() { String::new() } else { format!(" as {role}") };
    let standby = match (print.in_recovery, print.kind.as_str()) {
        (true, _) => ", STANDBY",
        (false, "postgresql") => ", primary",
        _ => "",
    };
    let digits = plan::short_id(print).map(|id| format!(" …{}", clean::line(id, 4))).unwrap_or_default();
    let owned = if run.owner.is_some() { " ✖ ANOTHER RUN HAS IT" } else { "" };
    format!("{name} {place}{digits}{owned}{who}{standby}")
}

/// Columns in which a database is told with its host: rather these than the run's name.
const PLACE: usize = 32;

/// Columns of the parts in their short forms.
fn total(parts: &[Part]) -> usize {
    parts.iter().map(|part| text::width(&part.short) + 2).sum()
}

/// Something at the left, of which `most` columns come before the long forms of the parts at the right; where they do not fit, first the short forms, then fewer of them.
fn row(model: &Model, width: usize, head: (Ink, String), most: usize, mut parts: Vec<Part>) -> Line<'static> {
    while parts.len() > 1 && total(&parts) + 4 > width {
        parts.pop();
    }
    // The last are the most welcome in full: they are the shortest of words.
    let wanted = text::width(&head.1).min(most) + 2;
    for n in (0..parts.len()).rev() {
        let more = text::width(&parts[n].long).saturating_sub(text::width(&parts[n].short));
        if total(&parts) + more + wanted <= width {
            parts[n].short = parts[n].long.clone();
        }
    }
    let room = width.saturating_sub(total(&parts) + 1);
    let mut spans =
        vec![Span::raw(" "), Span::styled(text::left(&head.1, room.saturating_sub(1)), model.look.style(head.0))];
    for part in parts {
        spans.push(Span::raw("  "));
        spans.push(Span::styled(part.short, model.look.style(part.ink)));
    }
    Line::from(spans)
}
