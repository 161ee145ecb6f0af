//! What the expressions of a run see, and the judgement of what a step brought home.

use super::dump;
use super::event::Mode;
use super::facts::{Facts, Fault, Verdict};
use super::state::RunState;
use crate::runbook::expr::{self, Context, RunNames};
use crate::runbook::{Runbook, Step};

/// The names of the run as it stands: variables, run, targets, probes that have a number now, facts of steps.
pub fn of(book: &Runbook, state: &RunState) -> Context {
    let opened = &state.opened;
    let names = RunNames {
        id: opened.run.clone(),
        environment: opened.environment.clone(),
        mode: match opened.mode {
            Mode::Live => "live".to_owned(),
            Mode::Rehearsal => "rehearsal".to_owned(),
        },
        operator: opened.by.clone(),
    };
    // A variable that cannot be resolved is then an undefined name, which is an error where it is used.
    let mut context = Context::new(book, &names).unwrap_or_default();
    for (name, seen) in &state.targets {
        if let Some(fingerprint) = &seen.fingerprint {
            context.target(name, fingerprint);
        }
    }
    for (id, run) in &state.probes {
        let newest = run.samples.back().and_then(|sample| sample.value.as_ref().ok().copied());
        context.probe(id, newest);
    }
    for (id, run) in &state.steps {
        match (&run.facts, run.facts.as_ref().and_then(|facts| dump::age_s(facts, state.at.wall))) {
            (Some(facts), Some(age_s)) => context.step(id, &dump::Aged { facts, age_s }),
            (Some(facts), None) => context.step(id, facts),
            (None, _) => {}
        }
    }
    context
}

/// The judge of a step's facts, to be handed to whoever runs it.
pub fn judge(
    book: &Runbook,
    state: &RunState,
    step: &Step,
) -> impl Fn(&Facts) -> Result<Option<Verdict>, Fault> + Send + Sync + use<> {
    let expect = step.expect.clone();
    let line = expect.as_ref().map_or(step.line, |expect| expect.line);
    let place = format!("{}:{line}", step.file(&state.opened.source.name));
    // Where nothing is expected, nothing is to be seen.
    let context = expect.as_ref().map(|_| of(book, state));
    let max_rows = step.max_rows;
    move |facts| {
        let bounded = max_rows.map(|most| bound(facts, most));
        let (Some(expect), Some(context)) = (&expect, &context) else { return Ok(bounded) };
        if bounded.as_ref().is_some_and(|verdict| !verdict.passed) {
            return Ok(bounded);
        }
        let mut context = context.clone();
        context.facts(facts);
        let saw = expr::explain(expect, &context);
        match expr::eval_bool(expect, &context) {
            Ok(passed) => Ok(Some(Verdict { expect: expect.source.clone(), passed, saw })),
            Err(error) => Err(Fault {
                place: place.clone(),
                ..Fault::new(format!("expect {} cannot be judged: {error}", expect.source))
            }),
        }
    }
}

/// More rows than a script may write is a wrong result, whatever else it brought home.
fn bound(facts: &Facts, most: u32) -> Verdict {
    let written = facts.affected.unwrap_or(0);
    Verdict {
        expect: format!("affected <= {most} (max_rows)"),
        passed: written <= u64::from(most),
        saw: format!("affected = {written}"),
    }
}
