//! What a question says before it is answered: what will happen, what it costs, what is known.

use super::form::{Form, Kind};
use crate::run::describe::duration;
use crate::run::event::{Attempt, HoldCause};
use crate::run::facts::{Effect, Outcome};
use crate::run::follow::acting;
use crate::run::state::StepStatus;
use crate::run::{clean, loss, plan, remedy, words};
use crate::runbook::{PhaseKind, StepId, Verb};
use crate::tui::model::{Mode, Model};
use crate::tui::pace;
use crate::tui::pane::header;
use crate::tui::pane::step::brief;
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::back::{self, Way};
use crate::tui::view::{self, next, time};

type Said = Vec<(Ink, String)>;

pub fn title(model: &Model, form: &Form) -> String {
    match &form.kind {
        Kind::Consent => format!("This is {}", next::environment(model).to_uppercase()),
        Kind::Retry(id) => format!("Run {} again?", name(model, id)),
        Kind::Fix(id) => format!("Fix, then run {} again?", name(model, id)),
        Kind::Skip(id) => format!("Skip {}?", name(model, id)),
        Kind::Cancel(attempt) => format!("Cancel {}?", clean::line(&attempt.to_string(), 60)),
        Kind::Leftover(attempt) => format!("End what is left of {}?", clean::line(&attempt.to_string(), 60)),
        Kind::Settle(attempt) => format!("What happened to {}?", clean::line(&attempt.to_string(), 60)),
        Kind::Vote { role, go: true, .. } => format!("{}: go?", role_title(model, role)),
        Kind::Vote { role, go: false, .. } => format!("{}: NO-GO", role_title(model, role)),
        Kind::Answer { .. } => "An answer is needed".to_owned(),
        Kind::Retune(attempt, _) => format!("Another pace for {}", clean::line(&attempt.to_string(), 60)),
        Kind::SignOff(_) if plan::wants_sign_off(&model.state) => "Let the phase pass?".to_owned(),
        Kind::SignOff(_) => "Sign off before the time is over?".to_owned(),
        Kind::Release => "Let the run go on?".to_owned(),
        Kind::TakeOver(target) => format!("TAKE OVER {}?", clean::line(target, 40)),
        Kind::AutoOn => "Let steps start by themselves?".to_owned(),
        Kind::Rollback => format!("ROLL BACK on {}", next::environment(model).to_uppercase()),
        Kind::Abandon => "Give the run up?".to_owned(),
        Kind::Quit => "Leave this screen".to_owned(),
        Kind::Save(_) => "Save the result".to_owned(),
    }
}

/// True where the frame of the question should look like danger.
pub fn alarms(form: &Form) -> bool {
    matches!(
        form.kind,
        Kind::Rollback | Kind::Abandon | Kind::Consent | Kind::TakeOver(_) | Kind::Vote { go: false, .. }
    )
}

fn name(model: &Model, id: &StepId) -> String {
    model.runbook.step(id).map_or_else(|| clean::line(&id.0, 60), |step| clean::line(view::title(step), 60))
}

fn role_title(model: &Model, role: &str) -> String {
    clean::line(view::role_title(model, role), 60)
}

/// The words above the choices and fields.
pub fn said(model: &Model, form: &Form) -> Said {
    match &form.kind {
        Kind::Consent => consent(model),
        Kind::Retry(id) => retry(model, id),
        Kind::Fix(id) => fix(model, id),
        Kind::Skip(id) => skip(model, id),
        Kind::Cancel(attempt) => cancel(model, attempt),
        Kind::Leftover(attempt) => leftover(model, attempt),
        Kind::Settle(attempt) => settle(model, attempt),
        Kind::Vote { go: true, .. } => vec![(Ink::Text, "It is recorded with your name and the time.".to_owned())],
        Kind::Vote { go: false, .. } => {
            vec![(Ink::Warn, "A no-go holds the run. It is recorded with your name, the time and the reason.".to_owned())]
        }
        Kind::Answer { step, item } => answer(model, step, *item),
        Kind::Retune(_, now) => pace::said(now),
        Kind::SignOff(_) => sign_off(model),
        Kind::Release => release(model),
        Kind::TakeOver(target) => take_over(model, target),
        Kind::AutoOn => vec![(
            Ink::Text,
            "Steps start one after the other without Enter, until one fails, asks for a person, or you press a again."
                .to_owned(),
        )],
        Kind::Rollback => rollback(model, form),
        Kind::Abandon => vec![(
            Ink::Warn,
            "The run ends as failed. Nothing is undone: what is done stays as it is, and no key of this screen changes it any more."
                .to_owned(),
        )],
        Kind::Quit => quit(model),
        Kind::Save(text) => {
            let lines = text::plural(text.lines().count(), "line");
            vec![(Ink::Text, format!("{lines}; a file that is there already is never overwritten."))]
        }
    }
}

fn consent(model: &Model) -> Said {
    let state = &model.state;
    let mut out = vec![(Ink::Text, "Nothing was started yet. From here on steps change this:".to_owned())];
    for (name, run) in &state.targets {
        out.push((Ink::Strong, format!("  {}", header::target(name, run))));
        let Some(print) = &run.fingerprint else {
            continue;
        };
        let mut words = vec![clean::line(&format!("{} {}", print.kind, print.version), 80)];
        words.extend(print.system_id.as_ref().map(|id| format!("system {}", clean::line(id, 40))));
        words.extend(print.timeline.map(|timeline| format!("timeline {timeline}")));
        out.push((Ink::Dim, format!("  {}", words.join(", "))));
    }
    let digest: String = clean::line(&state.opened.source.digest, 80).chars().take(12).collect();
    let source = clean::line(&state.opened.source.name, 100);
    out.push((Ink::Dim, format!("  runbook {source}, digest {digest}…")));
    out.push(rehearsed(model));
    if let Some(reason) = &state.opened.unrehearsed {
        out.push((Ink::Warn, format!("  it goes without its rehearsal: {}", clean::line(reason, 300))));
    }
    for approval in &state.opened.approvals {
        let at = words::date(approval.at, model.runbook.window.zone);
        out.push((Ink::Good, format!("  approved by {} on {at}", clean::line(&approval.by, 60))));
    }
    if let Some(end) = time::window_end(model) {
        out.push((Ink::Dim, format!("  window ends {}", time::span(time::until(model, end)))));
    }
    let what = match model.consent_print().and_then(plan::short_id) {
        Some(_) => "database and the last four digits of its system",
        None => "name of the database",
    };
    out.push((Ink::Text, format!("Type the {what}: {}", clean::line(&model.consent_name(), 80))));
    out
}

/// When this runbook was last rehearsed, and what changed since.
fn rehearsed(model: &Model) -> (Ink, String) {
    let Some(last) = &model.state.opened.rehearsed else {
        return (Ink::Warn, "  never rehearsed, as far as this journal folder knows".to_owned());
    };
    let (at, place) = (words::date(last.at, model.runbook.window.zone), clean::line(&last.environment, 40));
    if let Some(otherwise) = last.otherwise() {
        let otherwise = clean::line(&otherwise, 300);
        return (Ink::Warn, format!("  rehearsed as it is on {at} in {place}, but with OTHER VALUES: {otherwise}"));
    }
    if last.same_digest {
        return (Ink::Good, format!("  rehearsed as it is on {at} in {place}"));
    }
    let what = match last.changed_steps.as_slice() {
        [] => "the runbook changed since, though none of its steps".to_owned(),
        steps => format!("CHANGED since: {}", clean::line(&steps.join(", "), 300)),
    };
    (Ink::Warn, format!("  last rehearsed on {at} in {place}; {what}"))
}

fn retry(model: &Model, id: &StepId) -> Said {
    let run = model.state.step(id);
    let mut out = Vec::new();
    if let Some(Outcome::Failed { fault, .. } | Outcome::Broke { fault }) = run.and_then(|run| run.outcome.as_ref()) {
        out.push((Ink::Bad, format!("It said: {}", clean::line(&fault.summary, 300))));
        if fault.effect == Effect::Possible {
            out.push((Ink::Warn, "Careful: all or part of it may have happened.".to_owned()));
        }
        if !fault.safe.is_empty() {
            out.push((Ink::Text, clean::line(&fault.safe, 300)));
        }
    }
    if run.is_some_and(|run| run.edited.is_some()) {
        out.push((Ink::Warn, "Its SQL was edited for this run.".to_owned()));
    }
    if let Some(step) = model.runbook.step(id) {
        out.push((Ink::Text, format!("Runs again: {}", clean::line(&brief(model, step), 300))));
    }
    out
}

/// What is sent ahead, exactly, and then what a retry says.
fn fix(model: &Model, id: &StepId) -> Said {
    let mut out = Vec::new();
    let Some(step) = model.runbook.step(id) else { return out };
    match remedy::of(&model.runbook, &model.state, step) {
        Some(Ok(statements)) => {
            out.push((Ink::Strong, "Sent first, as a part of the same attempt:".to_owned()));
            for statement in statements {
                let text = clean::block(&statement.sql);
                out.extend(text.trim_end().lines().map(|line| (Ink::Strong, format!("  {line}"))));
            }
            let attempt = model.state.step(id).and_then(|run| run.attempt.as_ref());
            let acting = attempt.and_then(|attempt| acting(&model.runbook, attempt)).unwrap_or(step);
            let together = match &acting.verb {
                Verb::Sql(script) if script.transaction => "In one transaction with it: both happen, or neither.",
                _ => "Each statement by itself: what is done stays done.",
            };
            out.push((Ink::Text, together.to_owned()));
        }
        Some(Err(error)) => {
            out.push((Ink::Bad, format!("The fix cannot be made ready: {}", clean::line(&error.to_string(), 300))))
        }
        None => out.push((Ink::Warn, "There is no known fix any more.".to_owned())),
    }
    out.extend(retry(model, id));
    out
}

fn skip(model: &Model, id: &StepId) -> Said {
    let mut out =
        vec![(Ink::Text, "It is left out, and the report says so. Later steps that need it may fail.".to_owned())];
    if model.state.step(id).is_some_and(|run| run.has_effect()) {
        out.push((Ink::Warn, "Careful: part of it may have happened. Skipping undoes nothing.".to_owned()));
    }
    out
}

fn cancel(model: &Model, attempt: &Attempt) -> Said {
    let mut out = Vec::new();
    if let Some(took) = model.state.step(&attempt.step).and_then(|run| run.took_ms(time::work_clock(model))) {
        out.push((Ink::Text, format!("It has run for {}.", duration(took))));
    }
    let verb = model.runbook.step(&attempt.step).map(|step| &step.verb);
    let effect = match verb {
        Some(Verb::Sql(script)) if script.transaction => {
            "The server is asked to stop; its transaction is rolled back, nothing changes."
        }
        Some(Verb::Sql(_)) => "The server is asked to stop; statements that ended before stay done.",
        Some(Verb::Migrations(_)) => {
            "The server is asked to stop; the file under way is rolled back, files that are done stay applied and recorded."
        }
        Some(Verb::Backup(_)) => "The backup is broken off; its unfinished file is removed.",
        Some(Verb::Restore(_)) => "The restore is broken off; the server takes all of it back.",
        Some(Verb::Run(_) | Verb::Shell(_)) => "The command gets TERM, then KILL. What it did so far stays.",
        _ => "It is broken off; what it did so far stays.",
    };
    out.push((Ink::Text, effect.to_owned()));
    out
}

fn leftover(model: &Model, attempt: &Attempt) -> Said {
    vec![
        (Ink::Text, format!("Known: {}", known(model, attempt))),
        (
            Ink::Text,
            "The server is told to end the sessions that carry the name of this attempt, if there are any. \
                     gonogo looks again by itself and says what became of it."
                .to_owned(),
        ),
    ]
}

fn known(model: &Model, attempt: &Attempt) -> String {
    match model.state.step(&attempt.step).and_then(|run| run.outcome.as_ref()) {
        Some(Outcome::Unknown { known }) => clean::line(known, 600),
        _ => "it was started, and nobody saw it end".to_owned(),
    }
}

fn settle(model: &Model, attempt: &Attempt) -> Said {
    vec![
        (Ink::Text, format!("Known: {}", known(model, attempt))),
        (Ink::Warn, "Look at the target first. Your word is recorded as a claim, not as a proof; a wrong one may do it twice, or never.".to_owned()),
    ]
}

fn answer(model: &Model, id: &StepId, item: usize) -> Said {
    let ask = model.runbook.step(id).and_then(|step| match &step.verb {
        Verb::Checklist(items) => items.get(item).map(|item| clean::line(&item.ask, 600)),
        _ => None,
    });
    vec![(Ink::Strong, ask.unwrap_or_default())]
}

fn sign_off(model: &Model) -> Said {
    let mut out = Vec::new();
    if plan::wants_sign_off(&model.state) {
        let missed = model.state.hold.as_ref().map(|hold| next::hold_words(model, &hold.cause)).unwrap_or_default();
        out.push((Ink::Warn, format!("{missed}. It then passes on your word, and the report says so.")));
        return out;
    }
    if let Some(left) = view::phase(model).and_then(|phase| time::phase_left(model, phase)) {
        let left = duration(left.unsigned_abs());
        out.push((Ink::Text, format!("{left} of watching are left. They are given up, and the report says so.")));
    }
    out
}

fn release(model: &Model) -> Said {
    let mut out = Vec::new();
    if let Some(hold) = &model.state.hold {
        out.push((Ink::Text, format!("It stands still: {}.", next::hold_words(model, &hold.cause))));
    }
    if let Some(HoldCause::Criteria { .. }) = model.state.hold.as_ref().map(|hold| &hold.cause) {
        out.push((Ink::Warn, "Going on accepts that: the run ends as FAILED. R rolls back instead.".to_owned()));
        return out;
    }
    out.push(goes_on(model));
    out
}

/// What happens once the run is let go on.
fn goes_on(model: &Model) -> (Ink, String) {
    let watching = view::phase(model).and_then(|phase| Some((phase, time::phase_left(model, phase)?)));
    let words = match (view::current(model), watching) {
        _ if model.state.rolling_back() => "The way back goes on by itself.",
        (Some(id), _) if model.state.status(&id) == StepStatus::Running => "What is under way goes on.",
        (Some(_), _) if model.state.auto => {
            return (Ink::Warn, "Auto-advance is on: the next step starts by itself.".to_owned());
        }
        (Some(_), _) => "The next step waits for Enter.",
        (None, Some((phase, left))) if phase.kind == PhaseKind::Monitor && left > 0 => {
            return (Ink::Text, format!("The watching goes on for {}.", duration(left.unsigned_abs())));
        }
        (None, _) => "No step is left to start here.",
    };
    (Ink::Text, words.to_owned())
}

fn take_over(model: &Model, target: &str) -> Said {
    let mut out = Vec::new();
    let Some(run) = model.state.targets.get(target) else { return out };
    out.push((Ink::Strong, format!("  {}", header::target(target, run))));
    if let Some(owner) = &run.owner {
        out.push((Ink::Warn, format!("{}.", clean::line(owner, 400))));
    }
    out.push((
        Ink::Text,
        "Make sure that nobody works on it any more. Nothing that the other run began is undone; it can write nothing here from then on, and is told who took over.".to_owned(),
    ));
    if let Some(print) = &run.fingerprint {
        out.push((Ink::Text, format!("Type the name of the database: {}", clean::line(&print.database, 80))));
    }
    out
}

fn quit(model: &Model) -> Said {
    let running = model.state.open.len();
    let mut out = Vec::new();
    if running > 0 {
        out.push((Ink::Warn, format!("{} under way.", text::plural(running, "attempt"))));
    }
    if view::machine_at_work(model) {
        out.push((Ink::Text, "The engine can let go of the run once it has ended (H: nothing new starts).".to_owned()));
    }
    if matches!(&model.mode, Mode::Live { .. }) {
        out.push((Ink::Dim, format!("gonogo attach {} brings a screen back.", next::run_id(model))));
    }
    if model.drives() && model.state.ended.is_none() {
        out.push((Ink::Dim, "To end the run for good: esc, then type : and give up.".to_owned()));
    }
    out
}

fn rollback(model: &Model, form: &Form) -> Said {
    let plan = form.plan(model).and_then(|id| model.runbook.plan(&id));
    let mut out = Vec::new();
    let estimate = match plan {
        Some(plan) => {
            let losses = back::losses(plan);
            match losses.is_empty() {
                true => out.push((Ink::Warn, "What it costs is not said in the runbook.".to_owned())),
                false => out.push((Ink::Bad, format!("It loses: {}", clean::line(&losses.join("; "), 600)))),
            }
            for lost in loss::of_steps(&model.runbook, &model.state, plan.steps.iter()) {
                out.push((Ink::Bad, format!("{lost}.")));
            }
            for (n, step) in plan.steps.iter().enumerate() {
                let what = clean::line(&brief(model, step), 200);
                let title = clean::line(view::title(step), 60);
                out.push((Ink::Text, format!("{:>3}. {}: {what}", n + 1, title.trim_end_matches([':', ' ']))));
            }
            let rehearsed = "Never rehearsed: a rehearsal goes back by the undo of each step.";
            out.push((Ink::Warn, rehearsed.to_owned()));
            back::plan_estimate(plan)
        }
        None => {
            let lines = back::undo_list(model);
            undo(model, &lines, &mut out);
            back::undo_estimate(&lines)
        }
    };
    out.push(match estimate {
        back::Estimate { ms: 0, whole: false } => (Ink::Warn, "How long it takes is not known.".to_owned()),
        known => (Ink::Text, format!("It takes {}.", known.words())),
    });
    if let Some(end) = time::window_end(model) {
        let left = time::until(model, end);
        let late = left < i64::try_from(estimate.ms).unwrap_or(i64::MAX);
        let ink = if late { Ink::Bad } else { Ink::Text };
        let word = if late { ": it may not end within the window" } else { "" };
        out.push((ink, format!("The window ends {}{word}.", time::span(left))));
    }
    if !model.state.open.is_empty() {
        out.push((Ink::Warn, "What runs now is ended first.".to_owned()));
    }
    out
}

/// The list of undo steps, in the order they will run.
fn undo(model: &Model, lines: &[back::Line<'_>], out: &mut Said) {
    if lines.is_empty() {
        let way = "No step is done: nothing is to be undone. To end the run here: esc, then : and give up.";
        out.push((Ink::Text, way.to_owned()));
    }
    for (n, line) in lines.iter().enumerate() {
        let name = clean::line(view::title(line.step), 60);
        let name = name.trim_end_matches([':', ' ']);
        let time = line.ms.map_or(String::new(), |ms| format!(", about {}", duration(ms)));
        let (ink, words) = match (line.way, &line.step.undo) {
            (Way::Undo, crate::runbook::Undo::By(by)) => {
                (Ink::Text, format!("{}{time}", clean::line(&brief(model, by), 160)))
            }
            (Way::NotNeeded, _) => (Ink::Dim, "nothing to undo".to_owned()),
            (Way::Irreversible, _) => (Ink::Bad, "IRREVERSIBLE: it stays done".to_owned()),
            _ => (Ink::Warn, "the runbook gives no undo: it stays done".to_owned()),
        };
        out.push((ink, format!("{:>3}. {name}: {words}", n + 1)));
    }
}

/// The choices of a rollback: the undo of all, then every named plan.
pub fn ways(model: &Model) -> Vec<String> {
    let lines = back::undo_list(model);
    let undo = format!("undo every done step, last first ({})", back::undo_estimate(&lines).words());
    let plans = model.runbook.rollbacks.iter().map(|plan| {
        let title = if plan.title.is_empty() { &plan.id } else { &plan.title };
        format!("{} ({})", clean::line(title, 60), back::plan_estimate(plan).words())
    });
    std::iter::once(undo).chain(plans).collect()
}
