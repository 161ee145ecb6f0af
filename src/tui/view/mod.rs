//! What the model means: questions that several panes and the keys ask, answered once. Reads, never changes.

pub mod back;
pub mod next;
pub mod paced;
pub mod signal;
pub mod time;

use super::model::{Model, Pane};
use crate::run::event::{HoldCause, Resolved};
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Direction, poll};
use crate::runbook::{OnFail, Phase, PhaseKind, Step, StepId, Verb};

/// True where the step belongs to the environment of this run.
pub fn belongs(model: &Model, step: &Step) -> bool {
    step.only.is_empty() || step.only.contains(&model.state.opened.environment)
}

/// The step the run stands at: what runs, else what blocks, else what comes next. None: nothing is left, or a
/// monitor phase waits for its time.
pub fn current(model: &Model) -> Option<StepId> {
    let state = &model.state;
    if state.ended.is_some() {
        return None;
    }
    if let Some(open) = state.open.iter().next() {
        return Some(open.step.clone());
    }
    if let Some(step) = state.hold.as_ref().and_then(|hold| held_step(&hold.cause)) {
        return Some(step);
    }
    if let Some(rollback) = &state.rollback {
        return rollback.steps.iter().find(|id| !is_back(model, id)).cloned();
    }
    next_forward(model)
}

/// The word of a state. What ran when all news ended is not said to run.
pub fn word(model: &Model, status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Running if time::unknown_since(model).is_some() => "was running",
        StepStatus::Undoing if time::unknown_since(model).is_some() => "was undoing",
        status => super::theme::word(status),
    }
}

/// True while something runs that is not a person's: an engine does not leave it alone.
pub fn machine_at_work(model: &Model) -> bool {
    let human = |step: &StepId| model.runbook.step(step).is_some_and(|step| step.verb.is_human());
    model.state.open.iter().any(|attempt| !human(&attempt.step))
}

fn held_step(cause: &HoldCause) -> Option<StepId> {
    match cause {
        HoldCause::Step { step } | HoldCause::NoGo { step, .. } => Some(step.clone()),
        HoldCause::InDoubt { attempt } | HoldCause::Undo { attempt } => Some(attempt.step.clone()),
        _ => None,
    }
}

/// True where a rollback is past the step.
pub fn is_back(model: &Model, id: &StepId) -> bool {
    let in_plan = model.runbook.steps().all(|step| step.id != *id);
    match model.state.status(id) {
        StepStatus::Undone | StepStatus::Skipped | StepStatus::Left | StepStatus::UndoSkipped => true,
        StepStatus::Done => in_plan,
        _ => false,
    }
}

fn next_forward(model: &Model) -> Option<StepId> {
    let from = phase_index(model).unwrap_or(0);
    for (n, phase) in model.runbook.phases.iter().enumerate().skip(from) {
        let open = phase.steps.iter().find(|step| belongs(model, step) && !is_past(model, step));
        if let Some(step) = open {
            return Some(step.id.clone());
        }
        let waits = phase.kind == PhaseKind::Monitor && phase.lasts.is_some();
        let left = model.state.phases.get(&phase.id).is_some_and(|run| run.left.is_some());
        if waits && !left && (n == from || !phase.steps.is_empty() || n > from) {
            return None;
        }
    }
    None
}

fn is_past(model: &Model, step: &Step) -> bool {
    match model.state.step(&step.id) {
        Some(run) if run.is_over() => true,
        Some(run) => run.status == StepStatus::Failed && step.on_fail == OnFail::Continue,
        None => false,
    }
}

/// Where in the runbook the run is; none before its first phase.
pub fn phase_index(model: &Model) -> Option<usize> {
    let current = model.state.phase.as_ref()?;
    model.runbook.phases.iter().position(|phase| phase.id == *current)
}

/// The phase the run is in.
pub fn phase(model: &Model) -> Option<&Phase> {
    phase_index(model).and_then(|n| model.runbook.phases.get(n))
}

/// True while the end of the run is told instead of a step.
pub fn at_end(model: &Model) -> bool {
    model.state.ended.is_some() && model.selected.is_none()
}

/// The step on the screen: where the operator went, else the current one, else the last that did something.
pub fn shown(model: &Model) -> Option<StepId> {
    if at_end(model) {
        return None;
    }
    model
        .selected
        .clone()
        .or_else(|| current(model))
        .or_else(|| latest(model))
        .or_else(|| model.runbook.steps().next().map(|step| step.id.clone()))
}

fn latest(model: &Model) -> Option<StepId> {
    let ran = |id: &StepId| model.state.step(id).map_or(0, |run| run.changed);
    let steps = model.runbook.steps().map(|step| &step.id);
    steps.filter(|id| ran(id) > 0).max_by_key(|id| ran(id)).cloned()
}

/// The step on the screen with what the runbook and the run say of it.
pub fn shown_step(model: &Model) -> Option<(&Step, Option<&StepRun>)> {
    let id = shown(model)?;
    let run = model.state.step(&id);
    let step = model.runbook.step(&id)?;
    Some((step, run))
}

/// True where the shown step is in doubt, and a server may still be at work for it.
pub fn shown_in_doubt(model: &Model) -> bool {
    let run = shown_step(model).and_then(|(_, run)| run);
    let on_server = |run: &StepRun| matches!(run.resolved, Some(Resolved::Sql { .. } | Resolved::Migrations { .. }));
    run.is_some_and(|run| run.status == StepStatus::InDoubt && on_server(run))
}

/// What the step does on the screen: its undo where that is what runs or ran last.
pub fn acting<'a>(step: &'a Step, run: Option<&StepRun>) -> &'a Step {
    let undo = run.and_then(|run| run.attempt.as_ref()).is_some_and(|attempt| attempt.direction == Direction::Undo);
    match &step.undo {
        crate::runbook::Undo::By(by) if undo => by,
        _ => step,
    }
}

/// True where the step on the screen is the one the run stands at.
pub fn at_current(model: &Model) -> bool {
    let current = current(model);
    current.is_some() && shown(model) == current
}

/// The running checklist or poll on the screen.
pub fn human(model: &Model) -> Option<(&Step, &StepRun)> {
    let (step, run) = shown_step(model)?;
    let run = run?;
    (step.verb.is_human() && run.status == StepStatus::Running).then_some((step, run))
}

/// The pane that keys go to.
pub fn focus(model: &Model) -> Pane {
    match model.focus {
        Some(pane) => pane,
        None if human(model).is_some() => Pane::Step,
        None => Pane::Phases,
    }
}

/// The chosen line of the checklist or poll on the screen: where the operator went, else the first that is open.
pub fn item(model: &Model) -> Option<usize> {
    let (step, run) = shown_step(model)?;
    let count = items(step);
    let open = |n: &usize| match &step.verb {
        Verb::Poll(roles) => roles.get(*n).is_some_and(|role| run.is_none_or(|run| !run.votes.contains_key(role))),
        _ => run.is_none_or(|run| !run.ticks.contains_key(n)),
    };
    match model.item {
        Some(n) if n < count => Some(n),
        _ => (0..count).find(open).or_else(|| count.checked_sub(1)),
    }
}

/// Lines of the checklist, roles of the poll; 0 for other steps.
pub fn items(step: &Step) -> usize {
    match &step.verb {
        Verb::Checklist(items) => items.len(),
        Verb::Poll(roles) => roles.len(),
        _ => 0,
    }
}

/// Milliseconds that are left for the answers of a poll under way; none: it has no limit, or is not asked now.
pub fn answers_left(model: &Model, step: &Step, run: &StepRun) -> Option<u64> {
    poll::deadline(step, run).map(|end| end.saturating_sub(time::run_clock(model)))
}

/// True where the poll takes no vote any more: its time has run out.
pub fn is_poll_over(model: &Model, poll: &StepId) -> bool {
    let left =
        model.runbook.step(poll).zip(model.state.step(poll)).and_then(|(step, run)| answers_left(model, step, run));
    left == Some(0)
}

/// The title of a role, or its id where the runbook gives none.
pub fn role_title<'a>(model: &'a Model, role: &'a str) -> &'a str {
    model.runbook.role_title(role)
}

/// How long a step should take: as the runbook says, and a wait as long as it waits.
pub fn expected(step: &Step) -> Option<std::time::Duration> {
    step.expected_time.or(match step.verb {
        Verb::Wait(wait) => Some(wait),
        _ => None,
    })
}

/// A step's title, or its id where it has none.
pub fn title(step: &Step) -> &str {
    if step.title.is_empty() { &step.id.0 } else { &step.title }
}

/// The order in which steps are listed and walked through: those of phases, then those of a rollback plan under way.
pub fn walk(model: &Model) -> Vec<StepId> {
    let mut ids: Vec<StepId> = model.runbook.steps().map(|step| step.id.clone()).collect();
    if let Some(rollback) = &model.state.rollback {
        let extra: Vec<StepId> = rollback.steps.iter().filter(|id| !ids.contains(id)).cloned().collect();
        ids.extend(extra);
    }
    ids
}
