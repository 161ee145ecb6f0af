//! The post-mortem of a run, from its journal alone: as data, as JSON, as Markdown.

mod deviations;
mod escape;
mod files;
mod gather;
mod human;
mod markdown;
pub mod model;
mod sections;
mod stats;
mod steps;

use crate::run::{Entry, clean, words};
use crate::runbook::Runbook;

use gather::Gather;

pub use escape::inline;
pub use model::{Anchor, Report};

/// The report over `entries` (from the first, in order; any prefix of a run will do). `anchor`: where the
/// journal's chain stands, where the caller knows it.
pub fn build(entries: &[Entry], runbook: &Runbook, anchor: Option<Anchor>) -> Report {
    let mut gather = Gather::new(runbook);
    for entry in entries {
        gather.take(entry);
    }
    let start = runbook.window.starts.unwrap_or(gather.state.opened_at.wall);
    let mut steps = std::mem::take(&mut gather.steps);
    steps.extend(steps::rows(&gather));
    Report {
        v: model::VERSION,
        runbook: model::About {
            id: runbook.id.clone(),
            title: runbook.title.clone(),
            file: runbook.source.name.clone(),
            digest: runbook.source.digest.clone(),
        },
        run: about(&gather),
        window: window(&gather, start),
        phases: steps::phases(&gather, start),
        steps,
        failures: steps::failures(&gather.tried),
        rollbacks: steps::rollbacks(&gather),
        notes: notes(&gather),
        criteria: criteria(&gather),
        followups: followups(&gather),
        waivers: waivers(runbook),
        anchor,
        targets: gather.targets,
        triggers: gather.triggers.into_values().collect(),
        probes: gather.stats.rows(runbook),
        answers: gather.answers,
        votes: gather.votes,
        deviations: gather.deviations,
        refusals: gather.refusals,
    }
}

/// The report as one Markdown document, foreign text escaped and cleaned.
pub fn markdown(entries: &[Entry], runbook: &Runbook, anchor: Option<Anchor>) -> String {
    markdown::render(&build(entries, runbook, anchor))
}

/// The report as one JSON object (fields: [`model::Report`]), indented, ended by a line feed.
///
/// # Errors
/// Where serde_json cannot write it, which no report has been seen to cause.
pub fn json(entries: &[Entry], runbook: &Runbook, anchor: Option<Anchor>) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(&build(entries, runbook, anchor))?;
    Ok(clean::json(&text) + "\n")
}

fn about(gather: &Gather) -> model::Run {
    let (state, opened) = (&gather.state, &gather.state.opened);
    let reason = match (&state.ended, &state.hold) {
        (Some((_, reason, _)), _) => reason.clone(),
        (None, Some(hold)) => words::hold(&hold.cause, gather.runbook),
        (None, None) => String::new(),
    };
    let environment = gather.runbook.environment(&opened.environment);
    model::Run {
        id: opened.run.clone(),
        mode: opened.mode,
        environment: opened.environment.clone(),
        protected: environment.is_some_and(|environment| environment.protected),
        opened_by: opened.by.clone(),
        people: gather.people.clone(),
        confirmed_by: state.confirmed.clone(),
        set: opened.set.clone(),
        version: opened.version.clone(),
        end: state.ended.as_ref().map(|(end, ..)| *end),
        reason,
        held: state.ended.is_none() && state.hold.is_some(),
        legs: gather.legs.len() as u32,
        rehearsed: opened.rehearsed.as_ref().map(|last| model::Rehearsal {
            run: last.run.clone(),
            at: last.at,
            environment: last.environment.clone(),
            same_digest: last.same_digest,
        }),
    }
}

fn window(gather: &Gather, planned_start: chrono::DateTime<chrono::Utc>) -> model::Window {
    let (state, window) = (&gather.state, &gather.runbook.window);
    let ended = state.ended.as_ref().map(|(_, _, at)| *at);
    model::Window {
        planned_start,
        planned_ms: window.lasts.map(words::millis),
        started: state.opened_at.wall,
        ended: ended.map(|at| at.wall),
        took_ms: ended.unwrap_or(state.at).ms.saturating_sub(state.opened_at.ms),
        zone: window.zone.unwrap_or(chrono_tz::Tz::UTC).name().to_owned(),
    }
}

fn notes(gather: &Gather) -> Vec<model::Note> {
    let one = |note: &crate::run::state::Note| model::Note {
        at: note.at.wall,
        by: note.by.clone(),
        step: note.step.as_ref().map(|step| step.0.clone()),
        text: note.text.clone(),
    };
    gather.state.notes.iter().map(one).collect()
}

fn criteria(gather: &Gather) -> Vec<model::Criterion> {
    let one = |criterion: &crate::runbook::Criterion| {
        let judged = gather.state.criteria.get(&criterion.id);
        model::Criterion {
            id: criterion.id.clone(),
            title: criterion.title.clone(),
            when: criterion.when.source.clone(),
            met: judged.and_then(|(verdict, _)| *verdict),
            detail: judged.map(|(_, detail)| detail.clone()).unwrap_or_default(),
            judged: judged.is_some(),
        }
    };
    gather.runbook.criteria.iter().map(one).collect()
}

fn waivers(runbook: &Runbook) -> Vec<model::Waiver> {
    let one = |waiver: &crate::runbook::Waiver| model::Waiver {
        rule: waiver.rule.clone(),
        scope: waiver.scope.words(),
        reason: waiver.reason.clone(),
    };
    runbook.waivers.iter().map(one).collect()
}

fn followups(gather: &Gather) -> Vec<model::Followup> {
    let idle = words::no_followups(&gather.state);
    let end = gather.state.ended.as_ref().map(|(_, _, at)| at.wall).filter(|_| idle.is_none());
    let one = |followup: &crate::runbook::Followup| model::Followup {
        id: followup.id.clone(),
        title: followup.title.clone(),
        due: end.map(|end| steps::later(end, followup.due)),
        due_ms: words::millis(followup.due),
        not_applicable: idle.clone(),
        checklist: followup.checklist.clone(),
    };
    gather.runbook.followups.iter().map(one).collect()
}
