//! One walk over the entries: what the final state no longer knows (every attempt, vote, edit, firing) is kept here.

use std::collections::{BTreeMap, BTreeSet};

use super::deviations;
use super::model::{Answer, Deviation, Fired, Refusal, Sample, Signed, Target, Trigger, Vote};
use super::stats::Stats;
use super::{model, steps};
use crate::run::event::{Claim, Resolved};
use crate::run::{Attempt, Entry, Event, Moment, Outcome, RunState, describe, words};
use crate::runbook::{Runbook, StepId};

/// Samples told of a trigger that fired.
const SAMPLES: usize = 12;

/// One attempt from its start to its end.
pub struct Tried<'a> {
    pub seq: u64,
    pub leg: u32,
    pub attempt: &'a Attempt,
    pub resolved: &'a Resolved,
    pub by: &'a str,
    pub started: Moment,
    /// The entry that ended it, and how.
    pub ended: Option<(u64, Moment, &'a Outcome)>,
    pub settled: Option<(Claim, &'a str, &'a str)>,
}

/// A phase from its beginning to its end.
pub struct Visit {
    pub leg: u32,
    pub phase: String,
    pub entered: Moment,
    pub left: Option<Moment>,
    pub early: Option<Signed>,
}

/// A rollback from its beginning to its end.
pub struct Turn<'a> {
    pub seq: u64,
    pub leg: u32,
    pub plan: &'a Option<String>,
    pub steps: &'a [StepId],
    pub by: &'a str,
    pub reason: &'a str,
    pub started: Moment,
    pub ended: Option<Moment>,
    /// What was left out of it, by a person or because it was not called for.
    pub skipped: Vec<&'a StepId>,
}

pub struct Gather<'a> {
    pub runbook: &'a Runbook,
    pub state: RunState,
    pub people: Vec<String>,
    pub targets: Vec<Target>,
    pub visits: Vec<Visit>,
    pub tried: Vec<Tried<'a>>,
    /// Steps of the legs that are over.
    pub steps: Vec<model::Step>,
    pub turns: Vec<Turn<'a>>,
    pub triggers: BTreeMap<&'a str, Trigger>,
    pub stats: Stats,
    pub answers: Vec<Answer>,
    pub votes: Vec<Vote>,
    pub deviations: Vec<Deviation>,
    pub refusals: Vec<Refusal>,
    /// Legs that were begun; a run that is no rehearsal has one.
    pub legs: BTreeSet<u32>,
    engines: u32,
}

impl<'a> Gather<'a> {
    pub fn new(runbook: &'a Runbook) -> Self {
        Self {
            runbook,
            state: RunState::default(),
            people: Vec::new(),
            targets: Vec::new(),
            visits: Vec::new(),
            tried: Vec::new(),
            steps: Vec::new(),
            turns: Vec::new(),
            triggers: BTreeMap::new(),
            stats: Stats::default(),
            answers: Vec::new(),
            votes: Vec::new(),
            deviations: Vec::new(),
            refusals: Vec::new(),
            legs: BTreeSet::new(),
            engines: 0,
        }
    }

    pub fn take(&mut self, entry: &'a Entry) {
        let next = matches!(entry.event, Event::LegStarted { leg } if leg != self.state.leg);
        if next && !self.legs.is_empty() {
            let over = steps::rows(self);
            self.steps.extend(over);
        }
        let last = self.state.at.ms;
        self.state.apply(entry);
        if matches!(entry.event, Event::RunOpened(_) | Event::LegStarted { .. }) {
            self.legs.insert(self.state.leg);
        }
        self.stats.take(&entry.event, &self.state, self.runbook);
        self.person(&entry.event);
        self.course(entry);
        self.attempt(entry);
        self.sign_off(entry);
        self.signal(entry);
        let silence = (self.engines > 0).then(|| entry.at.ms.saturating_sub(last));
        self.engines += u32::from(matches!(entry.event, Event::EngineStarted { .. }));
        self.deviations.extend(deviations::of(entry, silence));
    }

    /// Only people have a host in their name; what the engine does by itself has none.
    fn person(&mut self, event: &Event) {
        let by = match event {
            Event::RunOpened(opened) => &opened.by,
            Event::PhaseLeft { early: Some((by, _)), .. } => by,
            Event::Confirmed { by, .. }
            | Event::StepStarted { by, .. }
            | Event::StepSkipped { by, .. }
            | Event::CancelAsked { by, .. }
            | Event::LeftoverAsked { by, .. }
            | Event::Settled { by, .. }
            | Event::Ticked { by, .. }
            | Event::Voted { by, .. }
            | Event::SqlEdited { by, .. }
            | Event::BatchRetuned { by, .. }
            | Event::CountdownStopped { by, .. }
            | Event::Held { by, .. }
            | Event::Released { by }
            | Event::TakenOver { by, .. }
            | Event::RollbackStarted { by, .. }
            | Event::NoteAdded { by, .. } => by,
            _ => return,
        };
        if by.contains('@') && !self.people.contains(by) {
            self.people.push(by.clone());
        }
    }

    fn course(&mut self, entry: &'a Entry) {
        match &entry.event {
            Event::TargetSeen { target, fingerprint, grip } => {
                let known = self.targets.iter().rev().find(|seen| seen.name == *target);
                if known.is_none_or(|seen| seen.fingerprint != *fingerprint) {
                    self.targets.push(Target {
                        name: target.clone(),
                        at: entry.at.wall,
                        fingerprint: fingerprint.clone(),
                        grip: grip.clone(),
                    });
                }
            }
            Event::PhaseEntered { phase } => self.visits.push(Visit {
                leg: self.state.leg,
                phase: phase.clone(),
                entered: entry.at,
                left: None,
                early: None,
            }),
            Event::PhaseLeft { phase, early } => {
                if let Some(visit) = self.visits.iter_mut().rev().find(|visit| visit.phase == *phase) {
                    visit.left = Some(entry.at);
                    visit.early = early.as_ref().map(signed);
                }
            }
            Event::RollbackStarted { plan, steps, by, reason } => self.turns.push(Turn {
                seq: entry.seq,
                leg: self.state.leg,
                plan,
                steps,
                by,
                reason,
                started: entry.at,
                ended: None,
                skipped: Vec::new(),
            }),
            Event::StepSkipped { step, .. } => {
                if let Some(turn) = self.turns.last_mut().filter(|turn| turn.ended.is_none()) {
                    turn.skipped.push(step);
                }
            }
            Event::RollbackEnded {} => {
                if let Some(turn) = self.turns.last_mut() {
                    turn.ended = Some(entry.at);
                }
            }
            _ => {}
        }
    }

    fn attempt(&mut self, entry: &'a Entry) {
        match &entry.event {
            Event::StepStarted { attempt, resolved, by } => self.tried.push(Tried {
                seq: entry.seq,
                leg: self.state.leg,
                attempt,
                resolved,
                by,
                started: entry.at,
                ended: None,
                settled: None,
            }),
            Event::StepEnded { attempt, outcome } => {
                if let Some(tried) = self.tried_mut(attempt) {
                    tried.ended = Some((entry.seq, entry.at, outcome));
                }
            }
            Event::Settled { attempt, claim, by, reason } => {
                if let Some(tried) = self.tried_mut(attempt) {
                    tried.settled = Some((*claim, by, reason));
                }
            }
            _ => {}
        }
    }

    fn tried_mut(&mut self, attempt: &Attempt) -> Option<&mut Tried<'a>> {
        self.tried.iter_mut().rev().find(|tried| tried.attempt == attempt)
    }

    fn sign_off(&mut self, entry: &Entry) {
        let at = entry.at.wall;
        match &entry.event {
            Event::Ticked { step, item, answer, by } => self.answers.push(Answer {
                at,
                step: step.0.clone(),
                ask: describe::ask(self.runbook, step, *item),
                ticked: true,
                answer: answer.clone(),
                by: by.clone(),
            }),
            Event::Unticked { step, item, by } => self.answers.push(Answer {
                at,
                step: step.0.clone(),
                ask: describe::ask(self.runbook, step, *item),
                ticked: false,
                answer: None,
                by: by.clone(),
            }),
            Event::Voted { step, role, go, reason, by } => self.votes.push(Vote {
                at,
                step: step.0.clone(),
                role: role.clone(),
                go: *go,
                reason: reason.clone(),
                by: by.clone(),
            }),
            Event::Refused { by, what, why } => {
                self.refusals.push(Refusal { at, by: by.clone(), what: what.clone(), why: why.clone() })
            }
            _ => {}
        }
    }

    fn signal(&mut self, entry: &'a Entry) {
        let at = entry.at.wall;
        match &entry.event {
            Event::TriggerBreached { trigger } => self.trigger(trigger).breaches += 1,
            Event::TriggerFired { trigger, then, values, at_ms } => {
                let fired = Fired {
                    at,
                    then: *then,
                    values: values.clone(),
                    countdown_ms: at_ms.map(|end| end.saturating_sub(entry.at.ms)),
                    stopped_by: None,
                    samples: self.samples(trigger),
                };
                self.trigger(trigger).fired.push(fired);
            }
            Event::TriggerBlind { trigger, then, reason } => {
                let blind = model::Blind { at, then: *then, reason: reason.clone() };
                self.trigger(trigger).blind.push(blind);
            }
            Event::CountdownStopped { trigger, by } => {
                if let Some(fired) = self.trigger(trigger).fired.last_mut() {
                    fired.stopped_by = Some(by.clone());
                }
            }
            _ => {}
        }
    }

    fn trigger(&mut self, id: &'a str) -> &mut Trigger {
        let known = self.runbook.trigger(id);
        self.triggers.entry(id).or_insert_with(|| Trigger {
            id: id.to_owned(),
            when: known.map(|trigger| trigger.when.source.clone()).unwrap_or_default(),
            lasting_ms: known.map_or(0, |trigger| words::millis(trigger.lasting)),
            owner: describe::owner(id, self.runbook),
            breaches: 0,
            fired: Vec::new(),
            blind: Vec::new(),
        })
    }

    /// The last samples of a trigger's probes, oldest first.
    fn samples(&self, trigger: &str) -> Vec<Sample> {
        let when = self.runbook.trigger(trigger).map_or("", |trigger| &trigger.when.source);
        let mut samples = Vec::new();
        for probe in describe::probes_in(when, self.runbook) {
            let taken = self.state.probes.get(probe).into_iter().flat_map(|run| run.samples.iter().rev());
            samples.extend(taken.take(SAMPLES).map(|sample| Sample {
                at: sample.at.wall,
                probe: probe.to_owned(),
                value: sample.value.as_ref().ok().copied(),
                missing: sample.value.as_ref().err().map(|no| no.reason.clone()),
            }));
        }
        samples.sort_by_key(|sample| sample.at);
        samples.split_off(samples.len().saturating_sub(SAMPLES))
    }
}

pub fn signed((by, reason): &(String, String)) -> Signed {
    Signed { by: by.clone(), reason: reason.clone() }
}
