//! Planned against actual: the rows of phases, steps, failures and rollbacks.

use chrono::{DateTime, TimeDelta, Utc};

use super::gather::{Gather, Tried, Turn, signed};
use super::human;
use super::model::{Failure, Phase, Rollback, RollbackStep, Settled, Step};
use crate::run::event::{Direction, Resolved};
use crate::run::rehearsed::much_slower;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Outcome, describe, words};
use crate::runbook::{self, StepId, Undo};

/// `from` plus a length, as far as dates go.
pub fn later(from: DateTime<Utc>, length: std::time::Duration) -> DateTime<Utc> {
    let delta = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
    from.checked_add_signed(delta).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Phases of every leg, in the order of the runbook. `start`: the window's planned start.
pub fn phases(gather: &Gather, start: DateTime<Utc>) -> Vec<Phase> {
    let mut rows = Vec::new();
    for &leg in &gather.legs {
        for phase in &gather.runbook.phases {
            let blank = Phase {
                leg,
                id: phase.id.clone(),
                title: phase.title.clone(),
                kind: phase.kind.word(),
                planned_start: phase.at.map(|at| later(start, at)),
                planned_ms: phase.lasts.map(words::millis),
                entered: None,
                left: None,
                took_ms: None,
                early: None,
            };
            let visits = gather.visits.iter().filter(|visit| visit.leg == leg && visit.phase == phase.id);
            let before = rows.len();
            rows.extend(visits.map(|visit| Phase {
                entered: Some(visit.entered.wall),
                left: visit.left.map(|left| left.wall),
                took_ms: visit.left.map(|left| left.ms.saturating_sub(visit.entered.ms)),
                early: visit.early.clone(),
                ..blank.clone()
            }));
            if rows.len() == before {
                rows.push(blank);
            }
        }
    }
    rows
}

/// The steps of the leg that the gathered state is in.
pub fn rows(gather: &Gather) -> Vec<Step> {
    let runbook = gather.runbook;
    let steps = runbook.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)));
    steps.map(|(phase, step)| row(gather, &phase.id, step)).collect()
}

fn row(gather: &Gather, phase: &str, step: &runbook::Step) -> Step {
    let run = gather.state.step(&step.id);
    let tried = |tried: &&Tried| {
        tried.leg == gather.state.leg && tried.attempt.step == step.id && tried.attempt.direction == Direction::Forward
    };
    let last = gather.tried.iter().rev().find(tried);
    let outcome = last.and_then(|tried| tried.ended).map(|(_, _, outcome)| outcome);
    let (facts, verdict) = match outcome {
        Some(Outcome::Done { facts, verdict }) => (Some((**facts).clone()), verdict.clone()),
        Some(Outcome::Failed { facts, verdict, .. }) => (facts.as_deref().cloned(), verdict.clone()),
        _ => (None, None),
    };
    let asked = run.and_then(|run| human::answered(step, run));
    let here = step.only.is_empty() || step.only.contains(&gather.state.opened.environment);
    Step {
        leg: gather.state.leg,
        phase: phase.to_owned(),
        id: step.id.0.clone(),
        title: step.title.clone(),
        verb: step.verb.word(),
        role: step.role.clone(),
        status: match run {
            None if !here => "not in this environment",
            run => run.map_or("pending", status),
        },
        planned_ms: step.expected_time.map(words::millis),
        by: asked.as_ref().map(|asked| asked.by.clone()).or_else(|| last.map(|tried| tried.by.to_owned())),
        started: last.map(|tried| tried.started.wall),
        ended: last.and_then(|tried| tried.ended).map(|(_, at, _)| at.wall),
        took_ms: last.and_then(took),
        rehearsed_ms: gather.state.rehearsed_ms(&step.id, Direction::Forward),
        much_slower: last.is_some_and(|tried| is_slower(gather, tried)),
        attempts: gather.tried.iter().filter(tried).count() as u32,
        results: match asked {
            Some(asked) => vec![asked.result],
            None => {
                let results = |facts| words::results(facts, describe::verb_writes_rows(&step.verb));
                facts.as_ref().map(results).unwrap_or_default()
            }
        },
        facts,
        verdict,
        claim: run.and_then(|run| run.claim.as_ref()).map(signed),
    }
}

/// What was done is told as done, also where nobody took it back.
fn status(run: &StepRun) -> &'static str {
    match (&run.status, &run.forward) {
        (StepStatus::UndoSkipped, Some(Outcome::Failed { .. } | Outcome::Broke { .. })) => "failed, its undo skipped",
        (StepStatus::UndoSkipped, _) => "done, its undo skipped",
        (status, _) => words::status(status),
    }
}

fn took(tried: &Tried) -> Option<u64> {
    let (_, end, _) = tried.ended?;
    Some(end.ms.saturating_sub(tried.started.ms))
}

/// True where the attempt did the whole step, and took much longer than it did in the rehearsal.
fn is_slower(gather: &Gather, tried: &Tried) -> bool {
    let took = tried.ended.and_then(|(_, _, outcome)| outcome.whole_ms(tried.resolved.goes_on(tried.attempt)));
    let both = took.zip(gather.state.rehearsed_ms(&tried.attempt.step, tried.attempt.direction));
    both.is_some_and(|(took, rehearsed)| much_slower(took, rehearsed))
}

/// Every attempt that was not done, in the order they ended.
pub fn failures(tried: &[Tried]) -> Vec<Failure> {
    let mut rows: Vec<Failure> = tried.iter().filter_map(failure).collect();
    rows.sort_by_key(|row| row.seq);
    rows
}

fn failure(tried: &Tried) -> Option<Failure> {
    let (seq, at, outcome) = tried.ended?;
    let (what, fault, known, verdict) = match outcome {
        Outcome::Done { .. } => return None,
        // Nobody was asked to the end: that is no failure.
        Outcome::Broke { fault } if fault.left => return None,
        Outcome::Failed { fault, verdict, .. } => ("failed", Some(&**fault), None, verdict.clone()),
        Outcome::Broke { fault } => ("could not run", Some(&**fault), None, None),
        Outcome::Unknown { known } => ("in doubt", None, Some(known.clone()), None),
    };
    Some(Failure {
        seq,
        at: at.wall,
        step: tried.attempt.step.0.clone(),
        direction: tried.attempt.direction,
        attempt: tried.attempt.n,
        what,
        fault: fault.cloned(),
        known,
        verdict,
        statement: fault.and_then(|fault| fault.statement).and_then(|n| statement(tried.resolved, n)),
        settled: tried.settled.map(|(claim, by, reason)| Settled {
            claim,
            by: by.to_owned(),
            reason: reason.to_owned(),
        }),
    })
}

/// Statement `n` (1-based) of what was sent.
fn statement(resolved: &Resolved, n: u32) -> Option<String> {
    let Resolved::Sql { statements, .. } = resolved else {
        return None;
    };
    let index = usize::try_from(n).ok()?.checked_sub(1)?;
    statements.get(index).map(|statement| statement.sql.clone())
}

pub fn rollbacks(gather: &Gather) -> Vec<Rollback> {
    let ends = gather.turns.iter().skip(1).map(|turn| turn.seq).chain([u64::MAX]);
    let turns = gather.turns.iter().zip(ends);
    turns.map(|(turn, end)| rollback(gather, turn, end)).collect()
}

/// `end`: the entry at which the next rollback begins.
fn rollback(gather: &Gather, turn: &Turn, end: u64) -> Rollback {
    let plan = turn.plan.as_deref().and_then(|id| gather.runbook.plan(id));
    let within: Vec<&Tried> = gather.tried.iter().filter(|tried| (turn.seq..end).contains(&tried.seq)).collect();
    Rollback {
        leg: turn.leg,
        plan: turn.plan.clone(),
        by: turn.by.to_owned(),
        reason: turn.reason.to_owned(),
        planned_ms: plan.and_then(|plan| plan.expected_time).map(words::millis),
        started: turn.started.wall,
        ended: turn.ended.map(|ended| ended.wall),
        took_ms: turn.ended.map(|ended| ended.ms.saturating_sub(turn.started.ms)),
        steps: turn.steps.iter().map(|id| rollback_step(gather, turn, id, &within)).collect(),
    }
}

fn rollback_step(gather: &Gather, turn: &Turn, id: &StepId, within: &[&Tried]) -> RollbackStep {
    let mine: Vec<&&Tried> = within.iter().filter(|tried| tried.attempt.step == *id).collect();
    let last = mine.last();
    let status = match last.map(|tried| tried.ended) {
        None if turn.skipped.contains(&id) => "skipped",
        Some(_) if turn.skipped.contains(&id) => "failed, then skipped",
        None => "not reached",
        Some(None) => "running",
        Some(Some((_, _, Outcome::Done { .. }))) => "done",
        Some(Some((_, _, Outcome::Failed { .. }))) => "failed",
        Some(Some((_, _, Outcome::Broke { fault }))) if fault.left => "left unanswered",
        Some(Some((_, _, Outcome::Broke { .. }))) => "could not run",
        Some(Some((_, _, Outcome::Unknown { .. }))) => "in doubt",
    };
    let step = gather.runbook.step(id);
    let undo = step.and_then(|step| match &step.undo {
        Undo::By(undo) => undo.loses.clone(),
        _ => None,
    });
    RollbackStep {
        id: id.0.clone(),
        status,
        by: last.map(|tried| tried.by.to_owned()),
        took_ms: last.and_then(|tried| took(tried)),
        rehearsed_ms: last.and_then(|tried| gather.state.rehearsed_ms(id, tried.attempt.direction)),
        much_slower: last.is_some_and(|tried| is_slower(gather, tried)),
        attempts: mine.len() as u32,
        loses: undo.or_else(|| step.and_then(|step| step.loses.clone())),
    }
}
