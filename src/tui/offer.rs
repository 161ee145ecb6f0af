//! What an action would do here and now, or why it cannot be done: the words of footer, help and palette.

use super::keymap::Action;
use super::message::Link;
use super::model::{Mode, Model, Pane};
use super::pace;
use super::view;
use super::view::next::{self, Enter};
use crate::run::event::HoldCause;
use crate::run::state::StepStatus;
use crate::run::{clean, plan, remedy, triggers};
use crate::runbook::{Asks, PhaseKind, Verb};

/// Whether an action can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// With its consequence.
    Yes(String),
    /// Not now; why.
    No(String),
    /// It has no meaning here.
    Absent,
}

fn yes(text: impl Into<String>) -> Offer {
    Offer::Yes(text.into())
}

fn no(text: impl Into<String>) -> Offer {
    Offer::No(text.into())
}

/// What `action` would do now.
pub fn offer(action: Action, model: &Model) -> Offer {
    match action {
        Action::PlayPause
        | Action::StepBack
        | Action::StepOn
        | Action::Slower
        | Action::Faster
        | Action::NextFailure
        | Action::NextTrigger
        | Action::ToNote
        | Action::SeekTenth
        | Action::SeekStart
        | Action::SeekEnd => replay(action, model),
        Action::Enter
        | Action::Tick
        | Action::Go
        | Action::NoGo
        | Action::Retry
        | Action::Fix
        | Action::Skip
        | Action::Cancel
        | Action::Settle
        | Action::SignOff
        | Action::StopCountdown
        | Action::TakeOver
        | Action::Rollback
        | Action::Hold
        | Action::Auto
        | Action::EditSql
        | Action::Bigger
        | Action::Smaller
        | Action::Retune
        | Action::Note
        | Action::Abandon => command(action, model),
        _ => look(action, model),
    }
}

fn replay(action: Action, model: &Model) -> Offer {
    let Mode::Replay { status, .. } = &model.mode else {
        return Offer::Absent;
    };
    match action {
        Action::PlayPause if status.playing => yes("pauses the replay"),
        Action::PlayPause => yes("plays on"),
        Action::StepBack if model.zoom => Offer::Absent,
        Action::StepOn if model.zoom => Offer::Absent,
        Action::StepBack => yes("one entry back"),
        Action::StepOn => yes("one entry on"),
        Action::Slower => yes("halves the speed, down to ×1"),
        Action::Faster => yes("doubles the speed, up to ×1000"),
        Action::NextFailure => yes("to the next failure"),
        Action::NextTrigger => yes("to the next trigger that fired"),
        Action::ToNote => yes("to the next note"),
        Action::SeekTenth => yes("to that tenth of the run"),
        Action::SeekStart => yes("to the start of the run"),
        _ => yes("to the end of the run"),
    }
}

/// Actions that ask the engine for something.
fn command(action: Action, model: &Model) -> Offer {
    if model.is_replay() {
        return Offer::Absent;
    }
    let meant = match action {
        Action::Enter => enter(model),
        Action::Tick | Action::Go | Action::NoGo => human(action, model),
        Action::Bigger | Action::Smaller | Action::Retune => pace::offer(action, model),
        Action::Retry | Action::Fix | Action::Skip | Action::Cancel | Action::Settle | Action::EditSql => {
            step(action, model)
        }
        _ => run(action, model),
    };
    // Going back to the current step starts nothing and needs no engine.
    let goes_back = action == Action::Enter && matches!(next::enter(model), Enter::Return(_));
    match (meant, next::mute(model)) {
        (Offer::Yes(_), Some(why)) if !goes_back => no(why),
        // Whoever only watches need not know what else is in the way.
        (Offer::No(_), Some(why)) if !model.drives() => no(why),
        (offer, _) => offer,
    }
}

fn enter(model: &Model) -> Offer {
    let name = |id| model.runbook.step(id).map_or(String::new(), |step| clean::line(view::title(step), 60));
    match next::enter(model) {
        Enter::Consent => yes("asks for the protected database, typed"),
        Enter::Start(id) => yes(format!("starts: {}", name(&id))),
        Enter::Tick(..) => yes("ticks the chosen line, or asks for its answer"),
        Enter::Return(id) => yes(format!("goes back to the current step: {}", name(&id))),
        Enter::Nothing if model.state.hold.is_some() && next::runs_on(model).is_some() => {
            no("held after this step: it goes on, c stops it; H lets the run go on")
        }
        Enter::Nothing if matches!(run(Action::Hold, model), Offer::Yes(_)) && model.state.hold.is_some() => {
            no("nothing starts while the run is held: H lets it go on")
        }
        Enter::Nothing => no("nothing to start now"),
    }
}

fn human(action: Action, model: &Model) -> Offer {
    let Some((step, _)) = view::human(model).filter(|_| view::at_current(model)) else {
        return Offer::Absent;
    };
    match (&step.verb, action, view::item(model)) {
        (Verb::Checklist(_), Action::Tick, Some(_)) => yes("ticks or unticks the chosen line"),
        (Verb::Poll(_), Action::Go | Action::NoGo, Some(_)) if view::is_poll_over(model, &step.id) => {
            no("the time for answers is over")
        }
        (Verb::Poll(roles), Action::Go | Action::NoGo, Some(n)) => {
            let role = roles.get(n).map_or("", String::as_str);
            let title = clean::line(view::role_title(model, role), 40);
            let word = if action == Action::Go { "go" } else { "NO-GO, which holds the run" };
            yes(format!("{title} says {word} (asks first)"))
        }
        _ => Offer::Absent,
    }
}

fn step(action: Action, model: &Model) -> Offer {
    let Some((step, run)) = view::shown_step(model) else {
        return Offer::Absent;
    };
    let status = run.map_or(StepStatus::Pending, |run| run.status.clone());
    let name = clean::line(view::title(step), 60);
    match (action, status) {
        (Action::Retry, StepStatus::Failed | StepStatus::Broke) => yes(format!("runs {name} again (asks first)")),
        (Action::Retry, StepStatus::UndoFailed) => yes(format!("runs the undo of {name} again (asks first)")),
        (Action::Fix, StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed)
            if remedy::of(&model.runbook, &model.state, step).is_some() =>
        {
            yes(format!("sends the known fix, then {name} again (shows it, asks first)"))
        }
        (Action::Skip, StepStatus::Pending | StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed)
            if !view::at_current(model) =>
        {
            no("only the current step can be skipped")
        }
        (Action::Skip, StepStatus::Pending | StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed) => {
            yes(format!("leaves {name} out (asks for a reason)"))
        }
        (Action::Cancel, StepStatus::Running | StepStatus::Undoing) if !step.verb.is_human() => {
            match run.is_some_and(|run| run.cancel_asked) {
                true => no("cancel was asked for already"),
                false => yes(format!("cancels {name} (asks first)")),
            }
        }
        (Action::Cancel, StepStatus::InDoubt) if view::shown_in_doubt(model) => {
            yes("ends what the server may still do for it (asks first)")
        }
        (Action::Settle, StepStatus::InDoubt) => yes("says what happened to it: done, or not done (asks for a reason)"),
        (Action::EditSql, StepStatus::Pending | StepStatus::Failed | StepStatus::Broke) if matches!(&step.verb, Verb::Sql(script) if !matches!(script.asks, Asks::Inventory(_))) => {
            yes("changes its SQL before it runs; the journal keeps both texts")
        }
        (Action::EditSql, _) if matches!(step.verb, Verb::Sql(_)) => no("its SQL was sent already"),
        _ => Offer::Absent,
    }
}

/// A hold that ends with a decision about its step, not by going on.
fn needs_more_than_going_on(model: &Model, cause: &HoldCause) -> bool {
    let state = &model.state;
    if let HoldCause::Breached { trigger, .. } = cause {
        let (book, now) = (&model.runbook, model.now);
        let trigger = book.trigger(trigger);
        return trigger.is_some_and(|trigger| triggers::still_breached(book, state, trigger, now));
    }
    matches!(
        cause,
        HoldCause::Step { .. }
            | HoldCause::Undo { .. }
            | HoldCause::InDoubt { .. }
            | HoldCause::JournalFull {}
            | HoldCause::Coverage { .. }
    )
}

/// Actions on the run as a whole.
fn run(action: Action, model: &Model) -> Offer {
    let state = &model.state;
    if state.ended.is_some() {
        return Offer::Absent;
    }
    match action {
        Action::StopCountdown => match state.countdown() {
            Some((trigger, at)) => {
                let left = view::time::countdown(model, at);
                yes(format!("stops the rollback of {} that begins in {left}", clean::line(trigger, 40)))
            }
            None => Offer::Absent,
        },
        Action::TakeOver => match state.hold.as_ref().map(|hold| &hold.cause) {
            Some(HoldCause::Owned { target, .. }) => {
                yes(format!("takes target {} from its owner (asks for its name)", clean::line(target, 40)))
            }
            _ => Offer::Absent,
        },
        Action::Rollback if plan::is_stuck_back(state) => yes("takes another way back (asks which, and why)"),
        Action::Rollback if state.rolling_back() => no("a rollback is under way"),
        Action::Rollback if state.rollback.is_some() => no("the run is rolled back"),
        Action::Rollback if state.open.iter().any(|open| state.status(&open.step) == StepStatus::InDoubt) => {
            no("an attempt is in doubt: settle it first (d)")
        }
        Action::Rollback if state.completed.is_empty() && model.runbook.rollbacks.is_empty() => {
            no("nothing to undo yet; to end the run here: type : and give up")
        }
        Action::Rollback => yes("takes the done steps back (asks which way, why, and for a name where protected)"),
        Action::Hold if state.open.iter().any(|open| state.status(&open.step) == StepStatus::InDoubt) => {
            no("an attempt is in doubt: settle it first (d)")
        }
        Action::Hold if state.hold.as_ref().is_some_and(|hold| needs_more_than_going_on(model, &hold.cause)) => {
            Offer::Absent
        }
        Action::Hold if state.countdown().is_some() => no("a rollback is counting down: x stops it"),
        Action::SignOff if state.countdown().is_some() => Offer::Absent,
        Action::Hold if state.hold.is_some() => yes("lets the run go on (asks first)"),
        Action::Hold => yes("nothing new starts; what runs, runs on"),
        Action::Auto | Action::SignOff if state.rollback.is_some() => Offer::Absent,
        Action::Auto if state.auto => yes("every step waits for enter again"),
        Action::Auto => yes("steps start by themselves from here (asks first)"),
        Action::SignOff if plan::wants_sign_off(state) => yes("lets the phase pass on your word (asks for a reason)"),
        Action::SignOff => match view::phase(model).filter(|phase| phase.kind == PhaseKind::Monitor) {
            Some(phase) if view::time::phase_left(model, phase).is_some_and(|left| left > 0) => {
                yes("ends the watching before its time is over (asks for a reason)")
            }
            _ => Offer::Absent,
        },
        Action::Note => yes("writes a note into the journal"),
        _ => yes("ends the run as failed, undoes nothing (asks for a reason)"),
    }
}

/// Actions that only move eyes.
fn look(action: Action, model: &Model) -> Offer {
    let focus = view::focus(model);
    match action {
        Action::Dismiss => dismiss(model),
        Action::Follow if model.selected.is_none() && model.scroll.is_empty() => Offer::Absent,
        Action::Follow => yes("back to the current step and the newest lines"),
        Action::NextMatch | Action::PrevMatch if model.search.is_none() => Offer::Absent,
        Action::NextMatch => yes("to the next match"),
        Action::PrevMatch => yes("to the match before"),
        Action::Search => yes("finds text in steps, results and log"),
        Action::Zoom if model.zoom => yes("all panes again"),
        Action::Zoom => yes("this pane alone"),
        Action::Left | Action::Right if focus != Pane::Result => Offer::Absent,
        Action::Left | Action::Right => yes("moves over the columns of a wide result"),
        Action::Copy => yes("copies what this pane shows to your clipboard"),
        Action::Save if has_output(model) => yes("saves the result as a file"),
        Action::Save => no("this step has no result to save"),
        Action::NextPane | Action::PrevPane => yes("moves to another pane"),
        Action::Palette => yes("every command by name"),
        Action::Help => yes("the keys that work here"),
        Action::Quit => yes(quit(model)),
        _ => yes("moves in this pane"),
    }
}

fn quit(model: &Model) -> &'static str {
    match (&model.mode, &model.link) {
        (Mode::Live { writes: true, .. }, Link::Up) if model.state.ended.is_none() => {
            "leaves this screen; asks whether the run goes on"
        }
        _ => "leaves this screen",
    }
}

fn dismiss(model: &Model) -> Offer {
    if model.search.is_some() {
        return yes("ends the search");
    }
    match &model.alarm {
        Some((seq, _)) if *seq > model.alarm_seen => yes("puts the alarm aside"),
        _ if model.selected.is_some() || model.zoom => yes("back to the current step"),
        _ => Offer::Absent,
    }
}

fn has_output(model: &Model) -> bool {
    view::shown_step(model).is_some_and(|(_, run)| run.is_some_and(|run| !run.output.lines.is_empty()))
}
