//! Entries in words: one calm sentence each, for the log pane, headless lines and the report.

use super::clean;
use super::event::{Entry, Event};
use super::facts::Outcome;
use crate::runbook::Runbook;

/// Characters of foreign text in one sentence.
const WORDS: usize = 160;

/// The entry as one sentence; none where it is noise in a log (output, ordinary samples, screens).
pub fn line(entry: &Entry, _runbook: &Runbook) -> Option<String> {
    let text = match &entry.event {
        Event::RunOpened(opened) => format!("run {} opened by {}", opened.run, opened.by),
        Event::EngineStarted { by, .. } => format!("engine started by {by}"),
        Event::EngineStopped { reason, .. } => format!("engine stopped: {reason}"),
        Event::TargetSeen { target, fingerprint } => format!("target {target} is {}", fingerprint.database),
        Event::TargetLost { target, error } => format!("target {target} lost: {error}"),
        Event::Confirmed { by, .. } => format!("confirmed by {by}"),
        Event::PhaseEntered { phase } => format!("phase {phase} began"),
        Event::PhaseLeft { phase, .. } => format!("phase {phase} ended"),
        Event::StepStarted { attempt, by, .. } => format!("{attempt} started by {by}"),
        Event::StepEnded { attempt, outcome } => format!("{attempt} {}", outcome_words(outcome)),
        Event::StepSkipped { step, by, reason } => format!("{step} skipped by {by}: {reason}"),
        Event::CancelAsked { attempt, by } => format!("cancel of {attempt} asked by {by}"),
        Event::Settled {
            attempt, by, reason, ..
        } => format!("{attempt} settled by {by}: {reason}"),
        Event::Ticked { step, item, by, .. } => format!("{step}: item {} ticked by {by}", item + 1),
        Event::Unticked { step, item, by } => format!("{step}: item {} unticked by {by}", item + 1),
        Event::Voted { step, role, go, by, .. } => {
            format!("{step}: {} for {role} by {by}", if *go { "go" } else { "NO-GO" })
        }
        Event::SqlEdited { step, by, .. } => format!("SQL of {step} edited by {by}"),
        Event::TriggerBreached { trigger } => format!("trigger {trigger} breached"),
        Event::TriggerCleared { trigger } => format!("trigger {trigger} clear again"),
        Event::TriggerFired { trigger, .. } => format!("trigger {trigger} FIRED"),
        Event::TriggerBlind { trigger, reason, .. } => format!("trigger {trigger} is blind: {reason}"),
        Event::TriggerSighted { trigger } => format!("trigger {trigger} sees again"),
        Event::CountdownStopped { by, .. } => format!("countdown stopped by {by}"),
        Event::Held { by, .. } => format!("held by {by}"),
        Event::Released { by } => format!("released by {by}"),
        Event::AdvanceSet { auto, by } => format!("auto-advance {} by {by}", if *auto { "on" } else { "off" }),
        Event::RollbackStarted { by, reason, .. } => format!("rollback started by {by}: {reason}"),
        Event::RollbackEnded {} => "rollback ended".to_owned(),
        Event::LegStarted { leg } => format!("rehearsal leg {leg} began"),
        Event::NoteAdded { by, text, .. } => format!("note by {by}: {text}"),
        Event::Refused { what, why, .. } => format!("refused: {what}: {why}"),
        Event::CriterionJudged { criterion, detail, .. } => format!("criterion {criterion}: {detail}"),
        Event::RunEnded { reason, .. } => format!("run ended: {reason}"),
        Event::Output { .. } | Event::SampleTaken { .. } | Event::ScreenAttached { .. } | Event::ScreenLost { .. } => {
            return None;
        }
    };
    Some(clean::line(&text, WORDS))
}

fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { facts, .. } => format!("done in {}", duration(facts.ms)),
        Outcome::Failed { fault, .. } => format!("failed: {}", fault.summary),
        Outcome::Broke { fault } => format!("broke: {}", fault.summary),
        Outcome::Unknown { known } => format!("in doubt: {known}"),
    }
}

/// Milliseconds for people: `0.2 s`, `41 s`, `2m10`, `1h06`.
pub fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..10 => format!("{}.{} s", s, ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3600 => format!("{}m{:02}", s / 60, s % 60),
        _ => format!("{}h{:02}", s / 3600, s % 3600 / 60),
    }
}
