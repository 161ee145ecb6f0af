//! What must not be overlooked: a trigger that fired, a hold, an attempt in doubt, an engine that is gone.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use crate::run::event::{HoldCause, OtherRun};
use crate::run::facts::Outcome;
use crate::run::state::Fired;
use crate::run::{clean, describe};
use crate::runbook::TriggerAction;
use crate::tui::keymap::{Action, binding, key_name};
use crate::tui::message::Link;
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::next::{self, hold_words};
use crate::tui::view::{signal, time};

/// The strip under the header: nothing while all is well.
pub fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    let mut say = |ink: Ink, words: &str| {
        let wrapped = text::wrap(words, width.saturating_sub(3)).into_iter();
        out.extend(wrapped.map(|line| Line::styled(text::left(&format!("  {line}"), width), model.look.style(ink))));
    };
    match &model.link {
        Link::Lost(why) if !model.is_replay() => {
            let words = "The run is seen only through its journal, and nothing can be sent";
            say(Ink::Bad, &format!("✖ this screen has lost its engine: {}. {words}.", clean::line(why, 200)));
        }
        Link::Stopped(why) if !model.is_replay() && model.state.ended.is_none() => {
            let silence = time::unknown_words(model).map(|since| format!("; no news {since}")).unwrap_or_default();
            say(Ink::Bad, &format!("✖ the engine is not running: {}{silence}.", clean::line(why, 200)));
        }
        _ => {}
    }
    if let Some((trigger, at)) = model.state.countdown()
        && (!takes_screen(model) || model.dialog.is_some())
    {
        let left = time::countdown(model, at);
        let key = next::countdown_key(model);
        let owner = describe::owner(trigger, &model.runbook).map(|owner| format!(" (owner: {owner})"));
        let (trigger, owner) = (clean::line(trigger, 60), owner.unwrap_or_default());
        say(Ink::Alarm, &format!("‼ {trigger} fired{owner}: ROLLBACK in {left}{key}"));
    }
    if let Some(hold) = &model.state.hold {
        let by = format!("{} at {}", clean::line(&hold.by, 60), time::short_clock(model, hold.at.wall));
        let runs_on = next::runs_on(model).map(|name| format!(" AFTER THIS STEP ({name} goes on)")).unwrap_or_default();
        say(Ink::Warn, &format!("‼ HELD{runs_on}: {} ({by})", hold_words(model, &hold.cause)));
        if let HoldCause::InDoubt { attempt } = &hold.cause {
            say(Ink::Text, &format!("  what is known: {}", known(model, attempt)));
        }
        if let HoldCause::Owned { target, .. } = &hold.cause {
            for way in model.state.targets.get(target).iter().flat_map(|run| &run.others).map(OtherRun::way) {
                say(Ink::Text, &format!("  from another terminal: {way}"));
            }
        }
    }
    out
}

fn known(model: &Model, attempt: &crate::run::Attempt) -> String {
    let outcome = model.state.step(&attempt.step).and_then(|run| run.outcome.as_ref());
    match outcome {
        Some(Outcome::Unknown { known }) => clean::line(known, 400),
        _ => "it was started, and nobody saw it end".to_owned(),
    }
}

pub fn paint(model: &Model, frame: &mut Frame, area: Rect) {
    frame.render_widget(Paragraph::new(lines(model, usize::from(area.width))), area);
}

/// True while the fired trigger stands before everything else.
pub fn takes_screen(model: &Model) -> bool {
    let fresh = |(seq, _): &(u64, String)| *seq > model.alarm_seen;
    let over = model.state.ended.is_some() || model.state.rollback.is_some();
    model.alarm.as_ref().is_some_and(fresh) && fired(model).is_some() && !over
}

fn fired(model: &Model) -> Option<(&str, &Fired)> {
    let (_, id) = model.alarm.as_ref()?;
    let fired = model.state.triggers.get(id)?.fired.as_ref()?;
    Some((id, fired))
}

/// The trigger that fired, over the panes: what, by which samples, what follows when, and the key that stops it.
pub fn paint_panel(model: &Model, frame: &mut Frame, area: Rect) {
    let Some((id, fired)) = fired(model).filter(|_| takes_screen(model) && model.dialog.is_none()) else {
        return;
    };
    let width = area.width.min(76);
    let lines = panel(model, id, fired, usize::from(width).saturating_sub(4));
    let height = (lines.len() as u16 + 2).min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    if place.width < 3 || place.height < 3 {
        return;
    }
    let style = model.look.style(Ink::Bad);
    let title = Line::styled(" ‼ TRIGGER FIRED ", model.look.style(Ink::Alarm));
    let block = Block::bordered().border_type(BorderType::Double).border_style(style).title_top(title);
    frame.render_widget(Clear, place);
    let inside = block.inner(place);
    frame.render_widget(block, place);
    frame.render_widget(Paragraph::new(lines), inside);
}

fn panel(model: &Model, id: &str, fired: &Fired, width: usize) -> Vec<Line<'static>> {
    let look = model.look;
    let mut out = vec![Line::default()];
    let mut say = |ink: Ink, words: &str| {
        let wrapped = text::wrap(words, width.saturating_sub(2)).into_iter();
        out.extend(wrapped.map(|line| Line::styled(format!("  {line}"), look.style(ink))));
    };
    let trigger = model.runbook.trigger(id);
    let title = trigger.filter(|t| !t.title.is_empty()).map_or(id, |t| t.title.as_str());
    say(Ink::Strong, &format!("{} ({})", clean::line(title, 100), clean::line(id, 60)));
    if let Some(trigger) = trigger {
        let lasting = text::planned(trigger.lasting);
        say(Ink::Text, &format!("{} for {lasting}", clean::line(&trigger.when.source, 200)));
    }
    for (probe, value) in &fired.values {
        say(Ink::Bad, &sample(model, probe, *value));
    }
    say(Ink::Dim, &format!("at {}", time::clock(model, fired.at.wall)));
    if let Some(owner) = describe::owner(id, &model.runbook) {
        say(Ink::Strong, &format!("owner: {owner}"));
    }
    say(Ink::Text, "");
    say(if fired.at_ms.is_some() { Ink::Alarm } else { Ink::Strong }, &consequence(model, fired));
    say(Ink::Text, "");
    say(Ink::Key, &keys(model));
    out.push(Line::default());
    out
}

/// `error_rate was 3.2 %: 1.9 2.4 2.8 3.2`, the newest last.
fn sample(model: &Model, probe: &str, value: f64) -> String {
    let book = model.runbook.probe(probe);
    let unit = book.map_or(String::new(), |probe| clean::line(&probe.unit, 12));
    let gap = if unit.is_empty() { "" } else { " " };
    let run = model.state.probes.get(probe);
    let before: Vec<String> = run.map_or(Vec::new(), |run| {
        let from = run.samples.len().saturating_sub(8);
        let samples = run.samples.iter().skip(from);
        samples.map(|sample| sample.value.as_ref().map_or("-".to_owned(), |value| text::value(*value))).collect()
    });
    format!("{} was {}{gap}{unit}; latest: {}", clean::line(probe, 60), text::value(value), before.join(" "))
}

fn consequence(model: &Model, fired: &Fired) -> String {
    match (fired.then, fired.at_ms, &fired.stopped_by) {
        (_, Some(at), _) => {
            let left = time::countdown(model, at);
            let word = if time::unknown_since(model).is_some() { "ROLLBACK WAS TO BEGIN" } else { "ROLLBACK BEGINS" };
            let reach =
                if time::is_out_of_reach(model) { " — this screen cannot stop it now" } else { ", by itself" };
            format!("{word} IN {left}{reach}")
        }
        (_, None, Some(by)) => format!("the rollback was stopped by {}", clean::line(by, 60)),
        (action, None, None) => match (action, model.state.hold.is_some()) {
            (_, true) => "the run is held: nothing new starts".to_owned(),
            (TriggerAction::Warn, false) => "it only warns: the run goes on".to_owned(),
            (action, false) => format!("it {}", signal::action(action)),
        },
    }
}

fn keys(model: &Model) -> String {
    let mut words = Vec::new();
    for (action, says) in [
        (Action::StopCountdown, "STOPS it"),
        (Action::Rollback, "roll back now"),
        (Action::Hold, if model.state.hold.is_some() { "continue" } else { "hold" }),
        (Action::Dismiss, "look behind"),
    ] {
        // A hold does not stop a countdown: it is not offered beside the key that does.
        if action == Action::Hold && model.state.countdown().is_some() {
            continue;
        }
        if let Some(key) = binding(action).and_then(|row| key_name(model, row)) {
            words.push(format!("{key} {says}"));
        }
    }
    words.join("   ")
}
