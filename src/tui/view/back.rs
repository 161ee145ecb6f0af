//! The way back: which steps a rollback would undo, in which order, at what cost, and how long it takes.

use super::super::model::Model;
use crate::run::describe::duration;
use crate::run::{Direction, plan};
use crate::runbook::{RollbackPlan, Step, StepId, Undo};

/// How one done step would be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Undo,
    /// It changed nothing.
    NotNeeded,
    Irreversible,
    /// The runbook does not say.
    Unsaid,
}

pub struct Line<'a> {
    pub step: &'a Step,
    pub way: Way,
    pub ms: Option<u64>,
}

/// Milliseconds, and whether every part of it had an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub ms: u64,
    pub whole: bool,
}

impl Estimate {
    pub fn words(self) -> String {
        match self {
            Self { ms: 0, whole: true } => "no time".to_owned(),
            Self { ms: 0, whole: false } => "no estimate".to_owned(),
            Self { ms, whole: true } => format!("about {}", duration(ms)),
            Self { ms, whole: false } => format!("at least {}", duration(ms)),
        }
    }
}

/// Done steps, last first, with how each is taken back.
pub fn undo_list(model: &Model) -> Vec<Line<'_>> {
    let done = model.state.completed.iter().rev();
    done.filter_map(|id| model.runbook.step(id)).map(|step| line(model, step)).collect()
}

fn line<'a>(model: &Model, step: &'a Step) -> Line<'a> {
    let way = match &step.undo {
        Undo::By(_) => Way::Undo,
        Undo::NotNeeded => Way::NotNeeded,
        Undo::Irreversible => Way::Irreversible,
        Undo::Unsaid if !step.changes() && !plan::wrote(&model.state, &step.id) => Way::NotNeeded,
        Undo::Unsaid => Way::Unsaid,
    };
    let ms = match &step.undo {
        Undo::By(undo) => {
            let said = undo.expected_time.map(|time| time.as_millis() as u64);
            let rehearsed = || model.state.rehearsed_ms(&step.id, Direction::Undo);
            said.or_else(rehearsed).or_else(|| forward_ms(model, &step.id))
        }
        _ => None,
    };
    Line { step, way, ms }
}

fn forward_ms(model: &Model, id: &StepId) -> Option<u64> {
    model.state.step(id)?.facts.as_ref().map(|facts| facts.ms)
}

/// What undoing every done step takes; an undo without a time of its own is taken to last as long as its step did.
pub fn undo_estimate(lines: &[Line<'_>]) -> Estimate {
    let undos = || lines.iter().filter(|line| line.way == Way::Undo);
    Estimate { ms: undos().filter_map(|line| line.ms).sum(), whole: undos().all(|line| line.ms.is_some()) }
}

/// What a named plan takes.
pub fn plan_estimate(plan: &RollbackPlan) -> Estimate {
    if let Some(time) = plan.expected_time {
        return Estimate { ms: time.as_millis() as u64, whole: true };
    }
    let times = || plan.steps.iter().map(|step| step.expected_time);
    Estimate {
        ms: times().flatten().map(|time| time.as_millis() as u64).sum(),
        whole: times().all(|time| time.is_some()),
    }
}

/// The way back that would be taken: the undo of every done step where all can be undone, else the first named plan.
pub fn estimate(model: &Model) -> Estimate {
    let mut lines = undo_list(model);
    // What runs will have to go back too.
    let running = model.state.open.iter().filter(|open| open.direction == Direction::Forward);
    let running = running.filter(|open| !model.state.completed.contains(&open.step));
    lines.extend(running.filter_map(|open| model.runbook.step(&open.step)).map(|step| line(model, step)));
    let blocked = lines.iter().any(|line| matches!(line.way, Way::Irreversible | Way::Unsaid));
    match model.runbook.rollbacks.first() {
        Some(plan) if blocked => plan_estimate(plan),
        _ => undo_estimate(&lines),
    }
}

/// What a plan costs, as its steps say.
pub fn losses(plan: &RollbackPlan) -> Vec<&str> {
    plan.steps.iter().filter_map(|step| step.loses.as_deref()).collect()
}
