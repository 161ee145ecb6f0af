//! What comes next: what Enter would do, and the sentence that says it.

use ratatui::layout::Rect;

use super::super::layout;
use super::super::message::Link;
use super::super::model::{Mode, Model};
use super::super::text;
use super::super::theme::Ink;
use super::{at_current, current, human, item, phase, role_title, shown_step, time, title};
use crate::run::describe::{self, duration};
use crate::run::event::{End, HoldCause};
use crate::run::facts::Outcome;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{clean, limits, plan, poll};
use crate::runbook::{OnFail, PhaseKind, Step, StepId, Verb};

/// Characters of foreign text in a sentence of ours.
pub const WORDS: usize = 200;

/// Columns before the sentence, and one behind it.
const EDGE: usize = 4;

/// What Enter does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enter {
    /// Ask for the name of the protected environment's database.
    Consent,
    Start(StepId),
    /// Tick (or untick, or answer) the chosen line.
    Tick(StepId, usize),
    /// The selection is elsewhere: go back to the current step. Never starts what is not on the screen.
    Return(StepId),
    Nothing,
}

pub fn enter(model: &Model) -> Enter {
    let state = &model.state;
    let unread = state.opened.run.is_empty();
    let blocked = unread || model.is_replay() || state.ended.is_some() || state.countdown().is_some();
    let Some(id) = current(model).filter(|_| !blocked) else {
        return Enter::Nothing;
    };
    if !at_current(model) {
        return Enter::Return(id);
    }
    if let Some((step, _)) = human(model) {
        return match (&step.verb, item(model)) {
            (Verb::Checklist(_), Some(n)) => Enter::Tick(id, n),
            _ => Enter::Nothing,
        };
    }
    let startable = state.hold.is_none() && state.rollback.is_none() && state.open.is_empty();
    match state.status(&id) {
        StepStatus::Pending | StepStatus::Undone if startable && needs_consent(model) => Enter::Consent,
        StepStatus::Pending | StepStatus::Undone if startable => Enter::Start(id),
        _ => Enter::Nothing,
    }
}

/// True until somebody typed the name of the protected environment's database.
pub fn needs_consent(model: &Model) -> bool {
    model.is_protected() && model.state.confirmed.is_none() && model.state.opened.mode == Default::default()
}

/// Why nothing can be sent now; none: it can.
pub fn mute(model: &Model) -> Option<String> {
    match (&model.mode, &model.link) {
        (Mode::Replay { .. }, _) => Some("this is a replay: nothing can be changed".to_owned()),
        (Mode::Live { writes: false, .. }, _) => Some("this screen only watches".to_owned()),
        (_, Link::Lost(_)) => Some("the engine cannot be reached from here".to_owned()),
        (_, Link::Stopped(_)) => Some(format!("no engine drives the run: gonogo resume {}", run_id(model))),
        _ if model.state.ended.is_some() => Some("the run has ended".to_owned()),
        _ => None,
    }
}

pub fn run_id(model: &Model) -> String {
    clean::line(&model.state.opened.run, 60)
}

/// The sentence above the keys: what is going on, and the key that goes on.
pub fn sentence(model: &Model) -> (Ink, String) {
    if let Some((trigger, at)) = model.state.countdown().filter(|_| time::unknown_since(model).is_none()) {
        let left = time::countdown(model, at);
        let key = countdown_key(model);
        return (Ink::Alarm, format!("{} fired: rollback in {left}{key}", clean::line(trigger, WORDS)));
    }
    if let Some((end, reason, _)) = &model.state.ended {
        return ended(model, *end, reason);
    }
    if let Some((what, _)) = &model.sent {
        return (Ink::Active, format!("{what}: sent, waiting for the engine"));
    }
    match (&model.mode, &model.link) {
        (Mode::Live { .. }, Link::Stopped(_)) => {
            let text = format!("no engine drives this run: q leaves, then gonogo resume {}", run_id(model));
            return (Ink::Warn, text);
        }
        (Mode::Live { .. }, Link::Lost(_)) => {
            let again = format!("q leaves, then gonogo attach {}", run_id(model));
            let text = format!("this screen cannot reach the engine, the run goes on without it: {again}");
            return (Ink::Warn, text);
        }
        _ => {}
    }
    if let Some(hold) = &model.state.hold {
        return (Ink::Warn, hold_keys(model, &hold.cause));
    }
    standing(model)
}

/// The key that stops a countdown, or that this screen has none; nothing where it only watches.
pub fn countdown_key(model: &Model) -> &'static str {
    match &model.link {
        Link::Up => keys(model, if model.dialog.is_some() { " — ctrl-x stops it" } else { " — x stops it" }),
        Link::Lost(_) => keys(model, " — this screen cannot stop it now"),
        Link::Stopped(_) => "",
    }
}

/// Words about keys: only for a screen on which they do something.
fn keys<'a>(model: &Model, words: &'a str) -> &'a str {
    if model.drives() { words } else { "" }
}

fn ended(model: &Model, end: End, reason: &str) -> (Ink, String) {
    let (ink, word) = match end {
        End::Done => (Ink::Good, "done"),
        End::Failed => (Ink::Bad, "failed"),
        End::RolledBack => (Ink::Warn, "rolled back"),
    };
    let reason = clean::line(reason, WORDS);
    let gap = if reason.is_empty() { "" } else { ": " };
    let report = format!("gonogo report {}", run_id(model));
    (ink, format!("the run is over, {word} — q leaves, {report} tells it all{gap}{reason}"))
}

/// What goes on although the run is held.
pub fn runs_on(model: &Model) -> Option<String> {
    let at_work = |open: &&crate::run::Attempt| {
        let step = crate::run::follow::acting(&model.runbook, open).filter(|step| !step.verb.is_human());
        step.is_some() && matches!(model.state.status(&open.step), StepStatus::Running | StepStatus::Undoing)
    };
    let open = model.state.open.iter().find(at_work).filter(|_| time::unknown_since(model).is_none())?;
    model.runbook.step(&open.step).map(|step| clean::line(title(step), 60))
}

/// A hold in a few words, with the keys that end it.
fn hold_keys(model: &Model, cause: &HoldCause) -> String {
    let what = hold_words(model, cause);
    if let Some(name) = runs_on(model).filter(|_| model.drives()) {
        return format!("held after this step: {name} goes on, c stops it, H lets the run go on");
    }
    let way_on = match cause {
        HoldCause::Operator { .. } | HoldCause::Unanswered { .. } | HoldCause::Target { .. } => "H continues",
        HoldCause::Owned { .. } => "T takes it over, H looks again",
        HoldCause::Step { .. } => "r retries, s skips, R rolls back",
        HoldCause::NoGo { step, .. } if super::is_poll_over(model, step) => poll_over(model, step),
        HoldCause::NoGo { step, .. } if plan::no_go(&model.state, step).is_none() => "H continues, R rolls back",
        HoldCause::NoGo { .. } => "H continues once it is settled, R rolls back",
        HoldCause::Trigger { .. } | HoldCause::Missing { .. } => "H continues, R rolls back",
        HoldCause::InDoubt { .. } => "look at the target, then d settles it",
        HoldCause::Undo { .. } => "r tries it again, s skips it, R takes another way back",
        HoldCause::Rollback { .. } => "R begins it, H continues without",
        HoldCause::Criteria { .. } => "R rolls back, H accepts it: the run then ends as failed",
        HoldCause::Coverage { .. } | HoldCause::Breached { .. } => {
            "look for yourself, then o signs it off; R rolls back"
        }
        HoldCause::JournalFull {} => "make room, q lets go, gonogo resume goes on",
    };
    let full = if model.drives() { format!("held: {what} — {way_on}") } else { format!("held: {what}") };
    // Beside panes the strip says what it is held by, too: the keys then stand here alone.
    let (width, height) = model.size;
    let tiny = layout::shape(Rect::new(0, 0, width, height)) == layout::Shape::Tiny;
    let fits = text::width(&full) + EDGE <= usize::from(width);
    if fits || tiny || !model.drives() { full } else { format!("held — {way_on}") }
}

/// The keys at a poll that is held by a no-go, and whose time is over: a go of everybody in time still counts.
fn poll_over(model: &Model, id: &StepId) -> &'static str {
    let step = model.runbook.step(id).zip(model.state.step(id));
    let fails = step.is_some_and(|(step, run)| poll::is_unanswered(step, run));
    match step.map(|(step, _)| step.on_fail) {
        _ if !fails => "H continues, R rolls back",
        Some(OnFail::Rollback) => "its time is over: H closes it as failed, and so begins the rollback, as R does",
        _ => "its time is over: H closes it as failed, then r asks anew or s skips; R rolls back",
    }
}

/// Why a run stands still, in a few words.
pub fn hold_words(model: &Model, cause: &HoldCause) -> String {
    let step = |id: &StepId| clean::line(&id.0, 60);
    let text = match cause {
        HoldCause::Operator { reason } if reason.is_empty() => "by the operator".to_owned(),
        HoldCause::Operator { reason } => format!("by the operator: {reason}"),
        HoldCause::Step { step: id } => {
            let silence = poll_fault(model, id).map(|words| format!(": {words}")).unwrap_or_default();
            format!("{} {}{silence}", step(id), super::super::theme::word(&model.state.status(id)))
        }
        HoldCause::NoGo { step: id, role } => match plan::no_go(&model.state, id) {
            Some(role) => format!("NO-GO from {} in {}", role_title(model, role), step(id)),
            None => format!("the NO-GO from {} in {} was changed into a go", role_title(model, role), step(id)),
        },
        HoldCause::Trigger { trigger } => format!("trigger {trigger} fired{}", owner(model, trigger)),
        HoldCause::Missing { trigger } => format!("trigger {trigger} has no data to see by{}", owner(model, trigger)),
        HoldCause::InDoubt { attempt } => format!("{attempt} is in doubt: it may have happened"),
        HoldCause::Undo { attempt } => format!("{attempt} failed"),
        HoldCause::Rollback { reason } => format!("the rollback waits for a decision: {reason}"),
        HoldCause::Unanswered { what } => format!("nobody answered: {what}"),
        HoldCause::Owned { target, owner } => format!("target {target} has another owner: {owner}"),
        HoldCause::Criteria { .. }
        | HoldCause::JournalFull {}
        | HoldCause::Coverage { .. }
        | HoldCause::Breached { .. } => crate::run::words::hold(cause, &model.runbook),
        HoldCause::Target { target, error } => format!("target {target} is lost: {error}"),
    };
    clean::line(&text, WORDS)
}

/// Whom to call about a trigger, where the runbook says so.
fn owner(model: &Model, trigger: &str) -> String {
    describe::owner(trigger, &model.runbook).map(|owner| format!(", owner: {owner}")).unwrap_or_default()
}

/// Who did not answer a poll in time: whoever is to be found is named where everybody looks.
fn poll_fault<'a>(model: &'a Model, id: &StepId) -> Option<&'a str> {
    model.runbook.step(id).filter(|step| matches!(step.verb, Verb::Poll(_)))?;
    match model.state.step(id)?.outcome.as_ref()? {
        Outcome::Failed { fault, .. } => Some(&fault.summary),
        _ => None,
    }
}

fn standing(model: &Model) -> (Ink, String) {
    if model.state.opened.run.is_empty() {
        return (Ink::Active, "reading the journal".to_owned());
    }
    if let Some(ended) = model.state.rollback.as_ref().and_then(|rollback| rollback.ended) {
        return recovering(model, ended.ms);
    }
    let Some(id) = current(model) else {
        return idle(model);
    };
    let Some(step) = model.runbook.step(&id) else {
        return (Ink::Text, format!("at {}", clean::line(&id.0, 60)));
    };
    let name = clean::line(title(step), 80);
    if model.state.rolling_back() {
        return (Ink::Active, rollback_words(model, &name));
    }
    match model.state.step(&id) {
        Some(run) if run.status == StepStatus::Running => running(model, step, run, &name),
        _ if model.is_replay() => (Ink::Text, format!("next was: {name}")),
        _ if !model.drives() => (Ink::Text, format!("watching; next comes: {name}")),
        _ if !at_current(model) => (Ink::Text, format!("Enter goes back to the current step: {name}")),
        _ if needs_consent(model) => {
            let text = format!("Enter: confirm {} first, then start: {name}", environment(model).to_uppercase());
            (Ink::Strong, text)
        }
        _ if model.state.auto && !step.verb.is_human() => (Ink::Active, format!("starts by itself: {name}")),
        _ => (Ink::Strong, format!("Enter starts: {name}")),
    }
}

/// Every undo is done; the run stays open for a moment to show whether going back helped.
fn recovering(model: &Model, since_ms: u64) -> (Ink, String) {
    let breached = model.state.triggers.iter().filter(|(_, run)| run.breached.is_some());
    let names: Vec<String> = breached.map(|(id, _)| clean::line(id, 40)).collect();
    let left = duration((since_ms + limits::RECOVERY_MS).saturating_sub(model.now.ms));
    let whole = model.state.rollback.as_ref().is_none_or(|rollback| rollback.skipped.is_empty());
    let (ink, what) = if whole { (Ink::Active, "rolled back") } else { (Ink::Bad, "went back, but not wholly") };
    (ink, format!("{what}; waiting for {} to be fine again, {left} at most", names.join(", ")))
}

pub fn environment(model: &Model) -> String {
    clean::line(&model.state.opened.environment, 40)
}

fn rollback_words(model: &Model, name: &str) -> String {
    let Some(rollback) = &model.state.rollback else {
        return String::new();
    };
    let back = rollback.steps.iter().filter(|id| super::is_back(model, id)).count();
    let (n, all) = ((back + 1).min(rollback.steps.len()), rollback.steps.len());
    format!("rolling back, {n} of {all}: {name}{}", keys(model, " — H holds"))
}

fn running(model: &Model, step: &Step, run: &StepRun, name: &str) -> (Ink, String) {
    let text = match &step.verb {
        Verb::Checklist(items) => {
            let open = (0..items.len()).filter(|n| !run.ticks.contains_key(n)).count();
            match shown_step(model).zip(item(model)) {
                Some(((shown, _), n)) if shown.id == step.id && open > 0 && model.drives() => {
                    let ask = items.get(n).map_or(String::new(), |item| clean::line(&item.ask, 60));
                    format!("space ticks: {ask} ({open} of {} open)", items.len())
                }
                _ => format!("{name}: {open} of {} open", items.len()),
            }
        }
        Verb::Poll(roles) => {
            let open: Vec<&str> = roles
                .iter()
                .filter(|role| !run.votes.get(*role).is_some_and(|vote| vote.go))
                .map(String::as_str)
                .collect();
            let names: Vec<&str> = open.iter().map(|role| role_title(model, role)).collect();
            let left = super::answers_left(model, step, run).map(|ms| format!("{} left, ", duration(ms)));
            let (keys, left) = (keys(model, "g go, n no-go — "), left.unwrap_or_default());
            clean::line(&format!("{keys}{left}still to answer: {}", names.join(", ")), WORDS)
        }
        _ if run.cancel_asked => format!("cancelling {name}"),
        _ if model.is_replay() || time::unknown_since(model).is_some() => format!("was running: {name}"),
        _ => format!("running: {name}{}", keys(model, " — c cancels it, H holds after it")),
    };
    (Ink::Active, text)
}

fn idle(model: &Model) -> (Ink, String) {
    let Some(phase) = phase(model) else {
        return (Ink::Text, "nothing is known of the run yet".to_owned());
    };
    let name = clean::line(if phase.title.is_empty() { &phase.id } else { &phase.title }, 60);
    match time::phase_left(model, phase) {
        Some(left) if phase.kind == PhaseKind::Monitor && left > 0 => {
            let left = duration(left.unsigned_abs());
            let early = keys(model, " — o signs off early");
            (Ink::Active, format!("{name}: watching for {left} more, then it goes on{early}"))
        }
        _ => (Ink::Text, format!("{name}: every step is done")),
    }
}
