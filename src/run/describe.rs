//! One calm sentence per entry, the same in the screen's log, in headless lines and in the report.

use std::time::Duration;

use super::event::HoldCause;
use super::rehearsed::Rehearsed;
use super::words::{self, name, phrase};
pub use super::words::{clock, duration};
use super::{Attempt, Direction, Entry, Event, Outcome, loss, plan, triggers};
use crate::runbook::{Runbook, StepId, TriggerAction, Undo, Verb, sql};

/// How a line wants to be read. Faces may colour by it; the words say it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
}

/// A sentence with its subject apart, for faces that align in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The step or trigger it is about; none: the run.
    pub subject: Option<String>,
    /// The rest of the sentence; readable by itself where there is no subject.
    pub text: String,
    pub tone: Tone,
    /// True where the text is a sentence of its own, so that a colon parts it from its subject.
    pub aside: bool,
}

/// The entry as one cleaned line; none for what is noise in a log (output, samples).
pub fn line(entry: &Entry, runbook: &Runbook) -> Option<String> {
    let Line { subject, text, aside, .. } = parts(entry, runbook)?;
    Some(match subject {
        Some(subject) if aside => format!("{subject}: {text}"),
        Some(subject) => format!("{subject} {text}"),
        None => text,
    })
}

/// As [`line`], in parts.
pub fn parts(entry: &Entry, runbook: &Runbook) -> Option<Line> {
    let event = &entry.event;
    about_step(event, runbook).or_else(|| about_signal(entry, runbook)).or_else(|| about_run(event, runbook))
}

/// A sample as a sentence: `error_rate 0.21 %`, `error_rate has no data: timeout`. None for other entries.
pub fn sample(entry: &Entry, runbook: &Runbook) -> Option<Line> {
    let Event::SampleTaken { probe, value, .. } = &entry.event else {
        return None;
    };
    Some(match value {
        Ok(value) => Line::of(probe, probe_value(probe, *value, runbook), Tone::Plain),
        Err(no) => Line::of(probe, format!("has no data: {}", phrase(&no.reason)), Tone::Warn),
    })
}

fn probe_value(probe: &str, value: f64, runbook: &Runbook) -> String {
    words::measure(value, runbook.probe(probe).map_or("", |probe| &probe.unit))
}

/// The values that a trigger saw: `error_rate 3.2 %, connections 41`.
pub fn values(values: &[(String, f64)], runbook: &Runbook) -> String {
    let one = |(probe, value): &(String, f64)| format!("{} {}", name(probe), probe_value(probe, *value, runbook));
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The probes that an expression names, in the order of the runbook.
pub fn probes_in<'a>(expression: &str, runbook: &'a Runbook) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = expression.split(|c| !is_word(c)).collect();
    let named = runbook.probes.iter().map(|probe| probe.id.as_str());
    named.filter(|id| words.contains(id)).collect()
}

impl Line {
    fn of(subject: &str, text: impl Into<String>, tone: Tone) -> Self {
        Self { subject: Some(name(subject)), text: text.into(), tone, aside: false }
    }

    fn run(text: impl Into<String>, tone: Tone) -> Self {
        Self { subject: None, text: text.into(), tone, aside: false }
    }

    fn aside(self) -> Self {
        Self { aside: true, ..self }
    }
}

/// `: because` where a reason was given.
fn because(reason: &str) -> String {
    match reason.trim() {
        "" => String::new(),
        reason => format!(": {}", phrase(reason)),
    }
}

fn about_step(event: &Event, runbook: &Runbook) -> Option<Line> {
    Some(match event {
        Event::StepStarted { attempt, by, resolved } => {
            let fixed = if super::remedy::fixing(resolved) > 0 { ", with the known fix ahead of it" } else { "" };
            let text = format!("{}started by {}{}{fixed}", undo(attempt), name(by), nth(attempt));
            Line::of(&attempt.step.0, text, Tone::Plain)
        }
        Event::StepEnded { attempt, outcome } => ended(attempt, outcome, runbook),
        Event::StepSkipped { step, by, reason } => {
            Line::of(&step.0, format!("skipped by {}{}", name(by), because(reason)), Tone::Warn)
        }
        Event::CancelAsked { attempt, by } => {
            let text = format!("{}asked to stop by {}", undo(attempt), name(by));
            Line::of(&attempt.step.0, text, Tone::Warn)
        }
        Event::LeftoverAsked { attempt, terminate, by } => {
            let how = if *terminate { "to end" } else { "to stop" };
            let text = format!("{}what is left of it on the server was told {how} by {}", undo(attempt), name(by));
            Line::of(&attempt.step.0, text, Tone::Warn)
        }
        Event::Settled { attempt, claim, by, reason } => {
            let (what, claim) = (undo(attempt), words::claim(*claim));
            let text = format!("{what}settled as {claim} by {}{}", name(by), because(reason));
            Line::of(&attempt.step.0, text, Tone::Warn)
        }
        Event::Ticked { step, item, answer, by } => {
            let answer = answer.as_deref().map(because).unwrap_or_default();
            let text = format!("“{}” ticked by {}{answer}", ask(runbook, step, *item), name(by));
            Line::of(&step.0, text, Tone::Plain).aside()
        }
        Event::Unticked { step, item, by } => {
            let text = format!("“{}” unticked by {}", ask(runbook, step, *item), name(by));
            Line::of(&step.0, text, Tone::Plain).aside()
        }
        Event::Voted { step, role, go, reason, by } => {
            let (vote, tone) = if *go { ("go", Tone::Good) } else { ("NO-GO", Tone::Bad) };
            let text = format!("{} says {vote}, by {}{}", phrase(runbook.role_title(role)), name(by), because(reason));
            Line::of(&step.0, text, tone).aside()
        }
        Event::SqlEdited { step, by, .. } => {
            Line::of(&step.0, format!("SQL edited by {}", name(by)), Tone::Warn).aside()
        }
        Event::BatchRetuned { attempt, from, to, by } => {
            let text = format!("{}retuned by {}: {}", undo(attempt), name(by), from.change(to));
            Line::of(&attempt.step.0, text, Tone::Warn)
        }
        Event::NoteAdded { by, text, step } => {
            let text = format!("note by {}{}", name(by), because(text));
            match step {
                Some(step) => Line::of(&step.0, text, Tone::Plain).aside(),
                None => Line::run(text, Tone::Plain),
            }
        }
        _ => return None,
    })
}

fn undo(attempt: &Attempt) -> &'static str {
    match attempt.direction {
        Direction::Forward => "",
        Direction::Undo => "undo ",
    }
}

fn nth(attempt: &Attempt) -> String {
    match attempt.n {
        0 | 1 => String::new(),
        n => format!(" (attempt {n})"),
    }
}

/// The question behind a tick; its number where the runbook has no such item.
pub fn ask(runbook: &Runbook, step: &StepId, item: usize) -> String {
    match runbook.step(step).map(|step| &step.verb) {
        Some(Verb::Checklist(items)) if item < items.len() => phrase(&items[item].ask),
        _ => format!("item {}", item.saturating_add(1)),
    }
}

/// True where the attempt sends statements that write rows: then that there were none is news.
pub fn writes_rows(runbook: &Runbook, attempt: &Attempt) -> bool {
    let Some(step) = runbook.step(&attempt.step) else { return false };
    let verb = match (attempt.direction, &step.undo) {
        (Direction::Forward, _) => &step.verb,
        (Direction::Undo, Undo::By(undo)) => &undo.verb,
        (Direction::Undo, _) => return false,
    };
    verb_writes_rows(verb)
}

pub fn verb_writes_rows(verb: &Verb) -> bool {
    matches!(verb, Verb::Sql(script) if sql::writes_rows(&script.text))
}

fn ended(attempt: &Attempt, outcome: &Outcome, runbook: &Runbook) -> Line {
    let (text, tone) = match outcome {
        Outcome::Done { facts, verdict } => {
            let mut text = if facts.is_timed() { format!("done in {}", duration(facts.ms)) } else { "done".to_owned() };
            let seen = match verdict {
                Some(verdict) if !verdict.saw.is_empty() => vec![phrase(&verdict.saw)],
                _ => words::results(facts, facts.affected == Some(0) && writes_rows(runbook, attempt)),
            };
            for result in seen {
                text.push_str(&format!(" · {result}"));
            }
            if let Some(how) = &facts.recovered {
                text.push_str(&format!(" · known afterwards: {}", phrase(how)));
            }
            (text, Tone::Good)
        }
        Outcome::Failed { fault, facts, .. } => {
            let timed = facts.as_ref().filter(|facts| facts.is_timed());
            let after = timed.map(|facts| format!(" after {}", duration(facts.ms)));
            let text = format!("failed{}: {}", after.unwrap_or_default(), words::fault(fault));
            (text, Tone::Bad)
        }
        Outcome::Broke { fault } if fault.left => (words::fault(fault), Tone::Warn),
        Outcome::Broke { fault } => (format!("could not run: {}", words::fault(fault)), Tone::Bad),
        Outcome::Unknown { known } => (format!("is in doubt{}", because(known)), Tone::Bad),
    };
    Line::of(&attempt.step.0, format!("{}{text}", undo(attempt)), tone)
}

fn about_signal(entry: &Entry, runbook: &Runbook) -> Option<Line> {
    Some(match &entry.event {
        Event::TriggerBreached { trigger } => Line::of(trigger, breached(trigger, runbook), Tone::Warn),
        Event::TriggerCleared { trigger } => Line::of(trigger, "is clear again", Tone::Good),
        Event::TriggerFired { trigger, then, values: seen, at_ms } => {
            let what = match at_ms {
                Some(at) if *then == TriggerAction::Rollback => {
                    format!("rolls back in {}", words::span(ms(at.saturating_sub(entry.at.ms))))
                }
                _ => words::action(*then).to_owned(),
            };
            Line::of(
                trigger,
                format!("FIRED: {} · {what}{}", values(seen, runbook), owned(trigger, runbook)),
                Tone::Bad,
            )
        }
        Event::TriggerBlind { trigger, then, reason } => {
            let text = format!("has no data · {}{}{}", words::action(*then), owned(trigger, runbook), because(reason));
            Line::of(trigger, text, Tone::Warn)
        }
        Event::TriggerSighted { trigger } => Line::of(trigger, "has data again", Tone::Good),
        Event::CountdownStopped { trigger, by } => {
            Line::of(trigger, format!("countdown stopped by {}", name(by)), Tone::Warn)
        }
        _ => return None,
    })
}

/// Whose trigger it is, by the title of the role.
pub fn owner(trigger: &str, runbook: &Runbook) -> Option<String> {
    let role = runbook.trigger(trigger)?.owner.as_ref()?;
    Some(phrase(runbook.role_title(role)))
}

fn owned(trigger: &str, runbook: &Runbook) -> String {
    owner(trigger, runbook).map(|owner| format!(" · owner: {owner}")).unwrap_or_default()
}

/// The trigger that a run is held by.
fn trigger_of(cause: &HoldCause) -> Option<&str> {
    match cause {
        HoldCause::Trigger { trigger } | HoldCause::Missing { trigger } | HoldCause::Breached { trigger, .. } => {
            Some(trigger)
        }
        _ => None,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn breached(trigger: &str, runbook: &Runbook) -> String {
    match runbook.trigger(trigger) {
        Some(trigger) => {
            let (when, then) = (phrase(&trigger.when.source), words::action(trigger.then));
            match trigger.lasting.is_zero() {
                true => format!("is breached: {when} · {then}"),
                false => format!("is breached: {when} · {then} after {}", words::span(trigger.lasting)),
            }
        }
        None => "is breached".to_owned(),
    }
}

fn about_run(event: &Event, runbook: &Runbook) -> Option<Line> {
    let (text, tone) = match event {
        Event::RunOpened(opened) => {
            let (mode, run) = (words::mode(opened.mode), name(&opened.run));
            let (place, by) = (name(&opened.environment), name(&opened.by));
            let title = phrase(&runbook.title);
            let mut text = format!("{title}: {mode} run {run} in {place}, opened by {by}");
            if !opened.approvals.is_empty() {
                let people: Vec<String> = opened.approvals.iter().map(|one| name(&one.by)).collect();
                text.push_str(&format!(", approved by {}", people.join(", ")));
            }
            if let Some(otherwise) = opened.rehearsed.as_ref().and_then(Rehearsed::otherwise) {
                text.push_str(&format!(", rehearsed with other values ({})", phrase(&otherwise)));
            }
            let reason = opened.unrehearsed.as_deref();
            let tone = if reason.is_some() { Tone::Warn } else { Tone::Plain };
            text.extend(reason.map(|reason| format!(", without its rehearsal{}", because(reason))));
            (text, tone)
        }
        Event::EngineStarted { pid, host, by, .. } => {
            let text = format!("engine started by {} on {}, pid {pid}", name(by), name(host));
            (text, Tone::Plain)
        }
        Event::EngineStopped { by, reason } => {
            let text = format!("engine stopped by {}{}", name(by), because(reason));
            (text, Tone::Warn)
        }
        Event::Gap { ms } => {
            (format!("everything stood still for {}: nobody watched in that time", duration(*ms)), Tone::Warn)
        }
        Event::TargetSeen { .. }
        | Event::TargetLost { .. }
        | Event::TargetOwned { .. }
        | Event::TakenOver { .. }
        | Event::LedgerCreated { .. } => return about_target(event),
        Event::Confirmed { by, text } => (format!("confirmed by {}: “{}”", name(by), phrase(text)), Tone::Plain),
        Event::AdvanceSet { auto: true, by } => {
            (format!("steps start by themselves from here on, by {}", name(by)), Tone::Plain)
        }
        Event::AdvanceSet { auto: false, by } => {
            (format!("each step waits for a confirm again, by {}", name(by)), Tone::Plain)
        }
        Event::Told { channel, tell, error: None, .. } => {
            (format!("{} told: {}", name(channel), tell.word()), Tone::Plain)
        }
        Event::Told { channel, tell, error: Some(error), .. } => {
            (format!("{} could not be told: {}{}", name(channel), tell.word(), because(error)), Tone::Warn)
        }
        Event::LegStarted { leg } => (format!("rehearsal leg {leg} begins"), Tone::Plain),
        Event::Refused { by, what, why } => {
            let text = format!("refused to {}: {}{}", name(by), phrase(what), because(why));
            (text, Tone::Warn)
        }
        Event::ScreenAttached { by, writes: true } => (format!("{} is at the controls", name(by)), Tone::Plain),
        Event::ScreenAttached { by, writes: false } => (format!("{} is watching", name(by)), Tone::Plain),
        Event::ScreenLost { by } => (format!("the screen of {} is gone", name(by)), Tone::Plain),
        Event::RunEnded { end, reason } => ended_run(*end, reason),
        _ => return about_course(event, runbook),
    };
    Some(Line::run(text, tone))
}

fn about_target(event: &Event) -> Option<Line> {
    let (text, tone) = match event {
        Event::TargetSeen { target, fingerprint, grip } => {
            let mut text = format!("target {} is {}", name(target), words::fingerprint(fingerprint));
            if let Some(digits) = plan::short_id(fingerprint) {
                text.push_str(&format!(" · system …{}", name(digits)));
            }
            for word in words::grip(grip) {
                text.push_str(&format!(" · {word}"));
            }
            let warns = grip.read_only || words::skew(grip).is_some();
            (text, if warns { Tone::Warn } else { Tone::Plain })
        }
        Event::TargetLost { target, error } => (format!("target {} lost{}", name(target), because(error)), Tone::Bad),
        Event::TargetOwned { target, owner, others, .. } => {
            let ways: Vec<String> = others.iter().map(|other| format!(" · {}", other.way())).collect();
            (format!("target {} has another owner{}{}", name(target), because(owner), ways.concat()), Tone::Bad)
        }
        Event::TakenOver { target, owner, by } => {
            (format!("target {} is taken over by {}{}", name(target), name(by), because(owner)), Tone::Warn)
        }
        Event::LedgerCreated { target } => {
            (format!("target {} has a ledger now (schema gonogo)", name(target)), Tone::Plain)
        }
        _ => return None,
    };
    Some(Line::run(text, tone))
}

fn ended_run(end: super::event::End, reason: &str) -> (String, Tone) {
    let tone = match end {
        super::event::End::Done => Tone::Good,
        _ => Tone::Bad,
    };
    (format!("run {}{}", words::end(end), because(reason)), tone)
}

fn about_course(event: &Event, runbook: &Runbook) -> Option<Line> {
    let (text, tone) = match event {
        Event::PhaseEntered { phase } => {
            let planned = runbook.phase(phase).and_then(|phase| phase.lasts);
            let planned = planned.map(|lasts| format!(" · {} planned", words::span(lasts)));
            (format!("phase {} begins{}", name(phase), planned.unwrap_or_default()), Tone::Plain)
        }
        Event::PhaseLeft { phase, early: None } => (format!("phase {} ends", name(phase)), Tone::Plain),
        Event::PhaseLeft { phase, early: Some((by, why)) } => {
            let text = format!("phase {} signed off early by {}{}", name(phase), name(by), because(why));
            (text, Tone::Warn)
        }
        Event::Held { cause, .. } => {
            let owner = trigger_of(cause).map(|trigger| owned(trigger, runbook)).unwrap_or_default();
            (format!("held: {}{owner}", words::hold(cause, runbook)), Tone::Warn)
        }
        Event::Released { by } => (format!("goes on, by {}", name(by)), Tone::Plain),
        Event::RollbackStarted { plan, steps, by, reason } => {
            let plan = plan.as_deref().map(|plan| format!(" by plan {}", name(plan)));
            let (plan, steps) = (plan.unwrap_or_default(), words::plural(steps.len() as u64, "step"));
            let text = format!("ROLLBACK begins{plan}, {steps}, by {}{}", name(by), because(reason));
            let owner = triggers::acted(by).map(|trigger| owned(trigger, runbook)).unwrap_or_default();
            (text + &owner, Tone::Bad)
        }
        Event::LossMeasured { backup, lost } => {
            let tone = if lost.as_ref().is_ok_and(Vec::is_empty) { Tone::Plain } else { Tone::Warn };
            (format!("a restore of {} loses: {}", name(&backup.0), loss::words_of(lost)), tone)
        }
        Event::RollbackEnded {} => ("rollback ended".to_owned(), Tone::Plain),
        Event::CriterionJudged { criterion, verdict, detail } => {
            let found = runbook.criteria.iter().find(|one| one.id == *criterion);
            let title = phrase(found.map_or(criterion, |one| &one.title));
            let (word, tone) = criterion_word(*verdict);
            (format!("criterion “{title}” {word}{}", because(detail)), tone)
        }
        _ => return None,
    };
    Some(Line::run(text, tone))
}

/// The word for a criterion's verdict.
pub fn criterion_word(verdict: Option<bool>) -> (&'static str, Tone) {
    match verdict {
        Some(true) => ("is met", Tone::Good),
        Some(false) => ("is NOT met", Tone::Bad),
        None => ("could not be judged", Tone::Warn),
    }
}
