//! What the state of a run demands by itself: the next phase, the next step, the next undo, a hold, the end.

use super::context;
use super::event::{Attempt, Direction, End, Event, HoldCause, Mode, Moment};
use super::plan::{self, held};
use super::state::{Fired, Rollback, RunState, StepRun, StepStatus};
use super::{GONOGO, coverage, giving_up, legs, limits, loss, poll, prepare, triggers, words};
use crate::runbook::{Advance, OnFail, Phase, Runbook, Step, StepId, Undo, Verb, expr};

/// Why a rehearsal rolls back: the way back is half of what it is for.
const TURN: &str = "rehearsal: now the way back";

/// The next events that follow from the state alone; empty once it rests. The caller applies them and asks again.
pub fn follow(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    let let_go = state.engine.as_ref().is_some_and(|engine| !engine.running);
    if state.opened.run.is_empty() || state.ended.is_some() || let_go {
        return Vec::new();
    }
    let signals = triggers::follow(book, state, now);
    if !signals.is_empty() {
        return signals;
    }
    if let Some(doubt) = doubt(state) {
        return doubt;
    }
    if let Some(trigger) = countdown_over(state, now) {
        return countdown_end(book, state, trigger);
    }
    if let Some(over) = poll::overdue(book, state, now) {
        return vec![over];
    }
    if state.hold.is_some() || plan::needs_confirmation(book, state) || !targets_ready(book, state) {
        return lost_target(state);
    }
    if state.rolling_back() {
        return back(book, state, now);
    }
    if state.rollback.is_some() {
        return recover(book, state, now);
    }
    if state.countdown().is_some() { Vec::new() } else { forward(book, state, now) }
}

/// An attempt whose outcome nobody knows blocks everything until a person settles it.
fn doubt(state: &RunState) -> Option<Vec<Event>> {
    let attempt = state.open.iter().find(|attempt| state.status(&attempt.step) == StepStatus::InDoubt)?;
    // A rollback cannot go ahead over a doubt: whoever settles it decides anew.
    let mut events: Vec<Event> =
        counting(state).map(|trigger| Event::CountdownStopped { trigger, by: GONOGO.to_owned() }).collect();
    // A hold of another cause stays: it has to be lifted by itself.
    if state.hold.is_none() {
        events.push(held(HoldCause::InDoubt { attempt: attempt.clone() }));
    }
    (!events.is_empty()).then_some(events)
}

/// True once every target of the environment has said who it is, to this engine and since it last stood still.
pub fn targets_ready(book: &Runbook, state: &RunState) -> bool {
    silent_target(book, state).is_none()
}

/// The first target that has not said who it is.
pub fn silent_target<'a>(book: &'a Runbook, state: &RunState) -> Option<&'a str> {
    let env = book.environment(&state.opened.environment)?;
    let silent = |name: &String| !state.targets.get(name).is_some_and(|seen| seen.reached);
    env.targets.iter().map(|(name, _)| name).find(|name| silent(name)).map(String::as_str)
}

fn lost_target(state: &RunState) -> Vec<Event> {
    if state.hold.is_some() {
        return Vec::new();
    }
    let cause = state.targets.iter().find_map(|(target, seen)| match (&seen.lost, &seen.owner) {
        (Some(error), _) => Some(HoldCause::Target { target: target.clone(), error: error.clone() }),
        (None, Some(owner)) => Some(HoldCause::Owned { target: target.clone(), owner: owner.clone() }),
        (None, None) => None,
    });
    cause.map(held).into_iter().collect()
}

fn counting(state: &RunState) -> impl Iterator<Item = String> {
    let counting = |fired: &Option<Fired>| fired.as_ref().is_some_and(|fired| fired.at_ms.is_some());
    state.triggers.iter().filter(move |(_, run)| counting(&run.fired)).map(|(id, _)| id.clone())
}

/// The trigger whose countdown has run out. A hold does not stop a countdown: its own key does.
fn countdown_over(state: &RunState, now: Moment) -> Option<&str> {
    let doubt = state.open.iter().any(|attempt| state.status(&attempt.step) == StepStatus::InDoubt);
    state.countdown().filter(|(_, at)| !doubt && now.ms >= *at).map(|(trigger, _)| trigger)
}

fn countdown_end(book: &Runbook, state: &RunState, trigger: &str) -> Vec<Event> {
    let Some(trigger) = book.trigger(trigger) else { return Vec::new() };
    let by = triggers::actor(&trigger.id);
    match triggers::obstacle(book, state, trigger) {
        Some(reason) => vec![
            Event::CountdownStopped { trigger: trigger.id.clone(), by: GONOGO.to_owned() },
            held(HoldCause::Rollback { reason }),
        ],
        None => rollback(book, state, trigger.plan.clone(), by, format!("trigger {} fired", trigger.id)),
    }
}

/// Begins a rollback: what runs is cancelled first, then everything goes back, last first.
pub fn rollback(book: &Runbook, state: &RunState, named: Option<String>, by: String, reason: String) -> Vec<Event> {
    let mut events: Vec<Event> = state
        .open
        .iter()
        .filter(|attempt| matches!(state.status(&attempt.step), StepStatus::Running | StepStatus::Undoing))
        .map(|attempt| match book.step(&attempt.step) {
            Some(step) if step.verb.is_human() => giving_up::left(attempt, "the run was rolled back"),
            _ => Event::CancelAsked { attempt: attempt.clone(), by: by.clone() },
        })
        .collect();
    let reason = loss::priced(book, state, named.as_deref(), reason);
    let steps = match named.as_deref().and_then(|plan| book.plan(plan)) {
        Some(plan) => plan.steps.iter().map(|step| step.id.clone()).collect(),
        None => plan::way_back(book, state).undo,
    };
    events.push(Event::RollbackStarted { plan: named, steps, by, reason });
    events
}

fn back(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    if let Some(attempt) = state.open.iter().next() {
        return finish_human(book, state, attempt);
    }
    let Some(step) = plan::next_back(book, state) else { return rolled_back(book, state) };
    let run = state.steps.get(&step.id).cloned().unwrap_or_default();
    let plan_step = state.rollback.as_ref().is_some_and(|rollback| rollback.plan.is_some());
    let direction = if plan_step { Direction::Forward } else { Direction::Undo };
    let (failed, tries, retries) = match (&step.undo, plan_step) {
        (Undo::By(undo), false) => (run.status == StepStatus::UndoFailed, run.undo_tries, undo.retries),
        _ => {
            let failed = matches!(run.status, StepStatus::Failed | StepStatus::Broke);
            (failed, run.tries_this_leg(), step.retries)
        }
    };
    // An undo that only lost its engine goes on as it began: by itself.
    if !failed || run.was_interrupted() {
        let skipped = if plan_step { left_out(book, state, step) } else { None };
        return skipped.unwrap_or_else(|| prepare::start(book, state, step, direction, GONOGO));
    }
    let may_retry = !run.cancel_asked && !run.found_residue();
    match (run.failed_ms, run.attempt) {
        (Some(failed_ms), _) if tries <= retries && may_retry => {
            let due = now.ms >= failed_ms + back_off_ms(tries);
            if due { prepare::start(book, state, step, direction, GONOGO) } else { Vec::new() }
        }
        (_, Some(attempt)) => vec![held(HoldCause::Undo { attempt })],
        (_, None) => Vec::new(),
    }
}

/// The last undo is done: a rehearsal that turned round by itself goes forward again, anything else is rolled back.
fn rolled_back(book: &Runbook, state: &RunState) -> Vec<Event> {
    let turned = state.rollback.as_ref().is_some_and(|rollback| rollback.reason == TURN && rollback.skipped.is_empty());
    if turned && state.leg == 1 && plan::way_back(book, state).is_empty() {
        return vec![Event::RollbackEnded {}, Event::LegStarted { leg: 2 }];
    }
    vec![Event::RollbackEnded {}]
}

fn recover(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    let Some(rollback) = &state.rollback else { return Vec::new() };
    let since = rollback.ended.unwrap_or(now).ms;
    let took = words::duration(now.ms.saturating_sub(since));
    let still = triggers::breached(book, state);
    let reason = match still.as_slice() {
        [] if rollback.recovers.is_empty() => rollback.reason.clone(),
        [] => format!("{}; {} is fine again after {took}", rollback.reason, rollback.recovers.join(", ")),
        still if now.ms >= since + limits::RECOVERY_MS => {
            format!("{}; {} was not seen fine again in {took} after the rollback", rollback.reason, still.join(", "))
        }
        _ => return Vec::new(),
    };
    vec![match incomplete(book, rollback) {
        None => Event::RunEnded { end: End::RolledBack, reason },
        Some(gap) => Event::RunEnded { end: End::Failed, reason: format!("{gap}; {reason}") },
    }]
}

/// What people left out of the way back: then nobody can say that the run was rolled back.
fn incomplete(book: &Runbook, rollback: &Rollback) -> Option<String> {
    let planned = |id: &StepId| book.rollbacks.iter().flat_map(|plan| &plan.steps).any(|step| step.id == *id);
    // The steps of a plan go by their own names; of any other step it is the undo that was left out.
    let what = |id: &StepId| if planned(id) { "" } else { "the undo of " };
    let skipped = rollback.skipped.iter().map(|(step, reason)| format!("{}{step} was skipped ({reason})", what(step)));
    let skipped: Vec<String> = skipped.collect();
    (!skipped.is_empty()).then(|| format!("the way back is incomplete: {}", skipped.join(", ")))
}

fn forward(book: &Runbook, state: &RunState, now: Moment) -> Vec<Event> {
    let Some(phase) = plan::phase(book, state) else {
        return book.phases.first().map(|first| Event::PhaseEntered { phase: first.id.clone() }).into_iter().collect();
    };
    match plan::cursor(book, state) {
        Some(step) => at_step(book, state, phase, step, now),
        None if plan::watch_left_ms(phase, state, now) > 0 && !left_early(state, phase) => Vec::new(),
        None => leave(book, state, phase, now),
    }
}

fn left_early(state: &RunState, phase: &Phase) -> bool {
    state.phases.get(&phase.id).is_some_and(|run| run.left.is_some())
}

fn leave(book: &Runbook, state: &RunState, phase: &Phase, now: Moment) -> Vec<Event> {
    let mut events = Vec::new();
    if !left_early(state, phase) {
        if let Some(trigger) = triggers::standing(book, state, phase, now) {
            let unjudged = triggers::is_unjudged(book, state, trigger, now);
            let (phase, trigger) = (phase.id.clone(), trigger.id.clone());
            return vec![held(HoldCause::Breached { phase, trigger, unjudged })];
        }
        if let Some(missed) = coverage::shortfall(book, state, phase, now) {
            return vec![held(HoldCause::Coverage { phase: phase.id.clone(), missed })];
        }
        events.push(Event::PhaseLeft { phase: phase.id.clone(), early: None });
    }
    let next = book.phases.iter().skip_while(|other| other.id != phase.id).nth(1);
    match next {
        Some(next) => events.push(Event::PhaseEntered { phase: next.id.clone() }),
        None => events.extend(arrive(book, state)),
    }
    events
}

/// Everything ran: the criteria are judged, then the run ends, waits, or (a rehearsal) turns round.
fn arrive(book: &Runbook, state: &RunState) -> Vec<Event> {
    let context = context::of(book, state);
    let mut events = Vec::new();
    let mut unmet = Vec::new();
    for criterion in &book.criteria {
        let verdict = expr::eval_bool(&criterion.when, &context);
        if !matches!(verdict, Ok(true)) {
            unmet.push(criterion.id.clone());
        }
        let detail = match &verdict {
            Ok(_) => expr::explain(&criterion.when, &context),
            Err(error) => error.to_string(),
        };
        events.push(Event::CriterionJudged { criterion: criterion.id.clone(), verdict: verdict.ok(), detail });
    }
    if !unmet.is_empty() {
        events.push(held(HoldCause::Criteria { criteria: unmet }));
    } else if state.opened.mode == Mode::Rehearsal && state.leg == 1 {
        events.extend(match plan::way_back(book, state).obstacle() {
            None => rollback(book, state, None, GONOGO.to_owned(), TURN.to_owned()),
            Some(reason) => {
                let reason = format!("the way back cannot be rehearsed: {reason}");
                vec![Event::RunEnded { end: End::Failed, reason }]
            }
        });
    } else {
        events.push(Event::RunEnded { end: End::Done, reason: done_words(book, state) });
    }
    events
}

fn done_words(book: &Runbook, state: &RunState) -> String {
    let passed_over =
        book.steps().filter(|step| matches!(state.status(&step.id), StepStatus::Failed | StepStatus::Broke)).count();
    match passed_over {
        0 if state.opened.mode == Mode::Rehearsal => {
            let proof = legs::compared(state).map(|words| format!("; {words}")).unwrap_or_default();
            format!("rehearsed forward, back and forward again; the database is left migrated{proof}")
        }
        0 => "every step done".to_owned(),
        1 => "done; 1 failed step was passed over (on_fail = continue)".to_owned(),
        n => format!("done; {n} failed steps were passed over (on_fail = continue)"),
    }
}

fn at_step(book: &Runbook, state: &RunState, phase: &Phase, step: &Step, now: Moment) -> Vec<Event> {
    let run = state.steps.get(&step.id).cloned().unwrap_or_default();
    match run.status {
        StepStatus::Running => run.attempt.map(|attempt| finish_human(book, state, &attempt)).unwrap_or_default(),
        StepStatus::Pending | StepStatus::Undone => pending(book, state, phase, step),
        StepStatus::Failed | StepStatus::Broke => failed(book, state, phase, step, &run, now),
        _ => Vec::new(),
    }
}

fn pending(book: &Runbook, state: &RunState, phase: &Phase, step: &Step) -> Vec<Event> {
    if let Some(events) = left_out(book, state, step) {
        return events;
    }
    if starts_itself(state, phase, step) {
        prepare::start(book, state, step, Direction::Forward, GONOGO)
    } else {
        Vec::new()
    }
}

fn starts_itself(state: &RunState, phase: &Phase, step: &Step) -> bool {
    step.verb.is_human() || state.auto || phase.advance == Advance::Auto
}

/// What `only` and `only_if` make of a step whose turn it is; none: it is to be done.
fn left_out(book: &Runbook, state: &RunState, step: &Step) -> Option<Vec<Event>> {
    let skip = |reason: String| Some(vec![Event::StepSkipped { step: step.id.clone(), by: GONOGO.to_owned(), reason }]);
    if !step.only.is_empty() && !step.only.contains(&state.opened.environment) {
        return skip(format!("only in {}", step.only.join(", ")));
    }
    let only_if = step.only_if.as_ref()?;
    match expr::eval_bool(only_if, &context::of(book, state)) {
        Ok(true) => None,
        Ok(false) => skip(format!("only_if {} does not hold", only_if.source)),
        Err(error) => Some(prepare::unready(state, step, Direction::Forward, GONOGO, error.to_string())),
    }
}

fn failed(book: &Runbook, state: &RunState, phase: &Phase, step: &Step, run: &StepRun, now: Moment) -> Vec<Event> {
    // Closed by a person's claim: nothing happens by itself any more.
    let Some(failed_ms) = run.failed_ms else { return vec![held(HoldCause::Step { step: step.id.clone() })] };
    if run.was_interrupted() && starts_itself(state, phase, step) {
        return prepare::start(book, state, step, Direction::Forward, GONOGO);
    }
    if run.tries_this_leg() <= step.retries && !run.cancel_asked && !run.found_residue() {
        if now.ms < failed_ms + back_off_ms(run.tries) {
            return Vec::new();
        }
        return prepare::start(book, state, step, Direction::Forward, GONOGO);
    }
    match step.on_fail {
        _ if run.cancel_asked => vec![held(HoldCause::Step { step: step.id.clone() })],
        OnFail::Continue | OnFail::Hold => vec![held(HoldCause::Step { step: step.id.clone() })],
        OnFail::Rollback => match plan::way_back(book, state).obstacle() {
            Some(reason) => vec![held(HoldCause::Rollback { reason })],
            None => {
                let reason = format!("step {} failed (on_fail = rollback)", step.id);
                rollback(book, state, None, GONOGO.to_owned(), reason)
            }
        },
    }
}

/// One second, doubled with each try, half a minute at most.
pub fn back_off_ms(tries: u32) -> u64 {
    (1_000u64 << tries.saturating_sub(1).min(5)).min(30_000)
}

/// A checklist that is complete, a poll that all have answered: done. Anything else still runs.
fn finish_human(book: &Runbook, state: &RunState, attempt: &Attempt) -> Vec<Event> {
    let Some(run) = state.steps.get(&attempt.step) else { return Vec::new() };
    let Some(step) = acting(book, attempt) else { return Vec::new() };
    let done = match &step.verb {
        Verb::Checklist(items) => (0..items.len()).all(|item| run.ticks.contains_key(&item)),
        Verb::Poll(roles) => roles.iter().all(|role| run.votes.get(role).is_some_and(|vote| vote.go)),
        _ => false,
    };
    if !done || run.status == StepStatus::InDoubt {
        return Vec::new();
    }
    vec![prepare::human_done(book, state, step, attempt)]
}

/// The step, or its undo, that an attempt performs.
pub fn acting<'a>(book: &'a Runbook, attempt: &Attempt) -> Option<&'a Step> {
    let step = book.step(&attempt.step)?;
    match (attempt.direction, &step.undo) {
        (Direction::Forward, _) => Some(step),
        (Direction::Undo, Undo::By(undo)) => Some(undo),
        (Direction::Undo, _) => None,
    }
}
