//! `RunState::apply`: the only fold. What an entry means for what a run is.

mod watching;

use std::sync::Arc;

use super::event::{Attempt, Claim, Direction, Entry, Event, Moment};
use super::facts::{Chunk, Effect, Judged, Outcome};
use super::limits;
use super::loss::Loss;
use super::output::OutputLog;
use super::retune;
use super::state::{
    Engine, Fired, Hold, Note, PhaseRun, Rollback, RunState, Sample, StepRun, StepStatus, TargetRun, Tick, TriggerRun,
    Vote,
};
use crate::runbook::StepId;

/// True for an attempt after one in the same direction that nobody could prove: whoever obeyed that knows its key.
fn doubted(step: &StepRun, next: &Attempt) -> bool {
    let same_way = step.attempt.as_ref().is_some_and(|before| before.direction == next.direction);
    same_way && step.claim.is_some() && matches!(step.outcome, Some(Outcome::Unknown { .. }))
}

impl RunState {
    /// The state after `entries`, from nothing.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    pub fn apply(&mut self, entry: &Entry) {
        let before = self.at;
        self.seq = entry.seq;
        self.at = entry.at;
        match &entry.event {
            Event::RunOpened(opened) => {
                self.opened = (**opened).clone();
                self.opened_at = entry.at;
                self.leg = 1;
            }
            Event::EngineStarted { pid, host, boot, zero_ms, by } => {
                self.engine = Some(Engine {
                    pid: *pid,
                    host: host.clone(),
                    boot: boot.clone(),
                    zero_ms: *zero_ms,
                    by: by.clone(),
                    since: entry.at,
                    running: true,
                });
                self.nobody_watched(before, entry.at);
                // A new engine looks for itself whether there is data.
                for trigger in self.triggers.values_mut() {
                    trigger.blind = None;
                }
                self.screens.clear();
                for target in self.targets.values_mut() {
                    target.reached = false;
                    target.lost = None;
                    target.owner = None;
                    target.others.clear();
                    target.taking = false;
                }
            }
            Event::EngineStopped { .. } => self.engine_stopped(),
            Event::Gap { ms } => {
                let from = entry.at.ms.saturating_sub(*ms).max(before.ms);
                self.nobody_watched(Moment { ms: from, ..before }, entry.at);
                // Whoever slept asks again who the targets are; until they have answered, nothing starts.
                for target in self.targets.values_mut() {
                    target.reached = false;
                }
            }
            event @ (Event::TargetSeen { target, .. }
            | Event::TargetLost { target, .. }
            | Event::TargetOwned { target, .. }
            | Event::TakenOver { target, .. }) => {
                contact(self.targets.entry(target.clone()).or_default(), event);
            }
            Event::Confirmed { by, .. } => self.confirmed = Some(by.clone()),
            Event::PhaseEntered { phase } => {
                let run = self.phases.entry(phase.clone()).or_default();
                *run = PhaseRun { entered: Some(entry.at), watched_since: entry.at.ms, ..PhaseRun::default() };
                self.phase = Some(phase.clone());
            }
            Event::PhaseLeft { phase, early } => {
                let run = self.phases.entry(phase.clone()).or_default();
                run.left = Some(entry.at);
                run.early.clone_from(early);
            }
            Event::AdvanceSet { auto, .. } => self.auto = *auto,
            Event::Held { cause, by } => {
                self.hold = Some(Hold { cause: cause.clone(), by: by.clone(), at: entry.at });
            }
            Event::Released { .. } => {
                self.hold = None;
                // The engine reaches for lost targets again; until it has, nothing starts.
                for target in self.targets.values_mut() {
                    target.lost = None;
                    target.owner = None;
                }
            }
            Event::RollbackStarted { plan, steps, by, reason } => {
                self.hold = None;
                for trigger in self.triggers.values_mut() {
                    if let Some(fired) = &mut trigger.fired {
                        fired.at_ms = None;
                    }
                }
                // Another way back after one that failed: what was left out of that is still not taken back.
                let skipped = self.rollback.take().map(|before| before.skipped).unwrap_or_default();
                self.rollback = Some(Rollback {
                    skipped,
                    plan: plan.clone(),
                    steps: steps.clone(),
                    by: by.clone(),
                    reason: reason.clone(),
                    started: entry.at,
                    ended: None,
                    recovers: self.breached(),
                });
            }
            Event::RollbackEnded {} => {
                if let Some(rollback) = &mut self.rollback {
                    rollback.ended = Some(entry.at);
                }
                self.rollbacks_done += 1;
            }
            Event::LossMeasured { backup, lost } => {
                self.losses.insert(backup.clone(), Loss { at: entry.at, lost: lost.clone() });
            }
            Event::LegStarted { leg } => self.leg_started(*leg),
            Event::NoteAdded { by, text, step } => {
                self.notes.push(Note { by: by.clone(), at: entry.at, text: text.clone(), step: step.clone() });
            }
            Event::Refused { why, .. } => self.last_refusal = Some((entry.seq, why.clone())),
            Event::ScreenAttached { by, .. } => *self.screens.entry(by.clone()).or_default() += 1,
            Event::ScreenLost { by } => self.screen_lost(by),
            Event::CriterionJudged { criterion, verdict, detail } => {
                self.criteria.insert(criterion.clone(), (*verdict, detail.clone()));
            }
            Event::RunEnded { end, reason } => {
                self.ended = Some((*end, reason.clone(), entry.at));
                self.hold = None;
            }
            event => {
                self.apply_step(entry, event);
                self.apply_signal(entry, event);
            }
        }
    }

    /// A person may have several screens, and is there until the last of them is gone.
    fn screen_lost(&mut self, by: &str) {
        let left = self.screens.get(by).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => self.screens.remove(by),
            left => self.screens.insert(by.to_owned(), left),
        };
    }

    fn engine_stopped(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.running = false;
        }
        self.screens.clear();
    }

    fn leg_started(&mut self, leg: u32) {
        self.leg = leg;
        self.first_leg.clone_from(&self.snapshots);
        for step in self.steps.values_mut() {
            *step = StepRun {
                tries: step.tries,
                tries_before: step.tries,
                undo_tries: step.undo_tries,
                changed: self.seq,
                ..StepRun::default()
            };
        }
        self.phases.clear();
        self.phase = None;
        self.completed.clear();
        self.rollback = None;
    }

    fn step_mut(&mut self, id: &StepId) -> &mut StepRun {
        let seq = self.seq;
        let step = self.steps.entry(id.clone()).or_default();
        step.changed = seq;
        step
    }

    fn apply_step(&mut self, entry: &Entry, event: &Event) {
        match event {
            Event::StepStarted { attempt, resolved, by } => {
                self.open.insert(attempt.clone());
                if attempt.direction == Direction::Undo {
                    self.joins_rollback(&attempt.step);
                }
                let step = self.step_mut(&attempt.step);
                match attempt.direction {
                    Direction::Forward => {
                        step.ticks.clear();
                        step.votes.clear();
                        step.tries = attempt.n;
                        step.status = StepStatus::Running;
                        step.facts = None;
                        step.forward = None;
                    }
                    Direction::Undo => {
                        step.undo_tries = attempt.n;
                        step.status = StepStatus::Undoing;
                    }
                }
                if !doubted(step, attempt) {
                    step.key_n = attempt.n;
                }
                step.attempt = Some(attempt.clone());
                step.resolved = Some(resolved.clone());
                step.started = Some(entry.at);
                step.ended = None;
                step.by = Some(by.clone());
                step.outcome = None;
                step.claim = None;
                step.cancel_asked = false;
                step.output = OutputLog::default();
                step.judged = None;
                step.probed = None;
                step.inventory = None;
            }
            Event::Output { attempt, chunk } => {
                // Output does not make a confirm stale: `changed` stays.
                let step = self.steps.entry(attempt.step.clone()).or_default();
                step.output.push(chunk);
                if let Chunk::Columns { names, .. } = chunk {
                    step.results.extend(names.iter().map(|name| name.to_lowercase()));
                    step.results_of.get_or_insert_with(|| attempt.clone());
                }
                if let Chunk::Judged { xid, ledger, facts, verdict } = chunk {
                    step.wrote |= xid.is_some() && attempt.direction == Direction::Forward;
                    step.judged = Some(Judged {
                        xid: xid.clone(),
                        ledger: *ledger,
                        facts: (**facts).clone(),
                        verdict: verdict.clone(),
                    });
                }
                if let (Chunk::Migrating { versions, schema }, Direction::Forward) = (chunk, attempt.direction) {
                    step.migrating_in.clone_from(schema);
                    // A retry goes on where the first attempt began.
                    let known = step.migrating.get_or_insert_default();
                    let new = versions.iter().filter(|version| !known.contains(version)).cloned().collect::<Vec<_>>();
                    known.extend(new);
                }
                if let Chunk::Probed(probed) = chunk {
                    step.probed = Some(probed.clone());
                }
                if let Chunk::Inventory { name, items } = chunk {
                    // Cut off, or not what was expected, it is nothing to compare with: only the end can tell.
                    step.inventory = Some((name.clone(), Arc::new(items.clone())));
                }
            }
            Event::StepEnded { attempt, outcome } => self.step_ended(entry, attempt, outcome),
            Event::StepSkipped { step, by, reason } => {
                let status = self.left_out(step, by, reason);
                let run = self.step_mut(step);
                run.status = status;
                run.ended = Some(entry.at);
                run.claim = Some((by.clone(), reason.clone()));
            }
            Event::CancelAsked { attempt, .. } | Event::LeftoverAsked { attempt, .. } => {
                self.step_mut(&attempt.step).cancel_asked = true
            }
            Event::Settled { attempt, claim, by, reason } => self.settled(entry, attempt, *claim, by, reason),
            Event::Ticked { step, item, answer, by } => {
                let tick = Tick { answer: answer.clone(), by: by.clone(), at: entry.at };
                self.step_mut(step).ticks.insert(*item, tick);
            }
            Event::Unticked { step, item, .. } => {
                self.step_mut(step).ticks.remove(item);
            }
            Event::Voted { step, role, go, reason, by } => {
                let vote = Vote { go: *go, reason: reason.clone(), by: by.clone(), at: entry.at };
                self.step_mut(step).votes.insert(role.clone(), vote);
            }
            Event::BatchRetuned { attempt, to, .. } => retune::apply(self.step_mut(&attempt.step), attempt, *to),
            Event::SqlEdited { step, after, .. } => self.step_mut(step).edited = Some(after.clone()),
            _ => {}
        }
    }

    /// What a step is that is left out. Forward, what it did in part is still there; in a rollback a person answers for it.
    fn left_out(&mut self, id: &StepId, by: &str, reason: &str) -> StepStatus {
        if self.rollback.is_some() {
            self.note_completion(id, false);
        }
        match &mut self.rollback {
            // What belongs to another environment, or is not called for, is no gap.
            Some(rollback) if by != super::GONOGO => {
                rollback.skipped.push((id.clone(), reason.to_owned()));
                if rollback.plan.is_some() { StepStatus::Skipped } else { StepStatus::UndoSkipped }
            }
            _ => StepStatus::Skipped,
        }
    }

    fn step_ended(&mut self, entry: &Entry, attempt: &Attempt, outcome: &Outcome) {
        self.open.remove(attempt);
        let forward = attempt.direction == Direction::Forward;
        let step = self.step_mut(&attempt.step);
        step.ended = Some(entry.at);
        step.outcome = Some(outcome.clone());
        step.status = match (outcome, forward) {
            (Outcome::Done { .. }, true) => StepStatus::Done,
            (Outcome::Failed { .. }, true) => StepStatus::Failed,
            (Outcome::Broke { fault }, true) if fault.left => StepStatus::Left,
            (Outcome::Broke { .. }, true) => StepStatus::Broke,
            (Outcome::Unknown { .. }, _) => StepStatus::InDoubt,
            (Outcome::Done { .. }, false) => StepStatus::Undone,
            (_, false) => StepStatus::UndoFailed,
        };
        if step.status == StepStatus::Undone {
            step.taken_back();
        }
        let failed = matches!(step.status, StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed);
        step.failed_ms = failed.then_some(entry.at.ms);
        if forward {
            step.forward = Some(outcome.clone());
            step.migrated |= step.migrating.is_some() && leaves_something(outcome);
            step.facts = match outcome {
                Outcome::Done { facts, .. } => Some((**facts).clone()),
                Outcome::Failed { facts, .. } => facts.as_deref().cloned(),
                _ => None,
            };
        }
        let inventory = step.inventory.take().filter(|_| matches!(outcome, Outcome::Done { .. }));
        let counts = step.has_effect();
        self.snapshots.extend(inventory);
        self.note_completion(&attempt.step, counts);
        if matches!(outcome, Outcome::Unknown { .. }) {
            self.open.insert(attempt.clone());
        }
    }

    fn note_completion(&mut self, id: &StepId, counts: bool) {
        self.completed.retain(|done| done != id);
        if counts {
            self.completed.push(id.clone());
        }
    }

    fn settled(&mut self, entry: &Entry, attempt: &Attempt, claim: Claim, by: &str, reason: &str) {
        self.open.remove(attempt);
        let forward = attempt.direction == Direction::Forward;
        let step = self.step_mut(&attempt.step);
        step.ended = Some(entry.at);
        step.claim = Some((by.to_owned(), reason.to_owned()));
        // What a person claims is not tried again by itself.
        step.failed_ms = None;
        step.status = match (claim, forward) {
            (Claim::Done, true) => StepStatus::Done,
            (Claim::NotDone, true) => StepStatus::Failed,
            (Claim::Done, false) => StepStatus::Undone,
            (Claim::NotDone, false) => StepStatus::UndoFailed,
        };
        if step.status == StepStatus::Undone {
            step.taken_back();
        }
        let counts = step.has_effect();
        self.note_completion(&attempt.step, counts);
    }

    fn apply_signal(&mut self, entry: &Entry, event: &Event) {
        match event {
            Event::SampleTaken { probe, value, .. } => {
                self.phase_sees(entry.at, probe, value.is_ok());
                let run = self.probes.entry(probe.clone()).or_default();
                if let Ok(value) = value {
                    run.last_valid = Some((entry.at, *value));
                }
                run.samples.push_back(Sample { at: entry.at, value: value.clone() });
                if run.samples.len() > limits::SAMPLES_SHOWN {
                    run.samples.pop_front();
                }
            }
            Event::TriggerBreached { trigger } => self.trigger_mut(trigger).breached = Some(entry.at),
            Event::TriggerCleared { trigger } => {
                let run = self.trigger_mut(trigger);
                run.breached = None;
                if run.fired.as_ref().is_some_and(|fired| fired.at_ms.is_none()) {
                    run.fired = None;
                }
            }
            Event::TriggerFired { trigger, then, values, at_ms } => {
                let run = self.trigger_mut(trigger);
                run.times_fired += 1;
                run.fired =
                    Some(Fired { at: entry.at, then: *then, values: values.clone(), at_ms: *at_ms, stopped_by: None });
            }
            Event::TriggerBlind { trigger, reason, .. } => {
                self.trigger_mut(trigger).blind = Some((entry.at, reason.clone()));
            }
            Event::TriggerSighted { trigger } => self.trigger_mut(trigger).blind = None,
            Event::CountdownStopped { trigger, by } => {
                let run = self.trigger_mut(trigger);
                match &mut run.fired {
                    // What is fine again meanwhile is over with its countdown: it may fire anew.
                    Some(_) if run.breached.is_none() => run.fired = None,
                    Some(fired) => {
                        fired.at_ms = None;
                        fired.stopped_by = Some(by.clone());
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// A step that ended only after the rollback began is undone too: the list says so from then on.
    fn joins_rollback(&mut self, id: &StepId) {
        let undone = self.steps.values().filter(|step| step.status == StepStatus::Undone).count();
        if let Some(rollback) = &mut self.rollback
            && !rollback.steps.contains(id)
        {
            rollback.steps.insert(undone.min(rollback.steps.len()), id.clone());
        }
    }

    fn breached(&self) -> Vec<String> {
        let breached = self.triggers.iter().filter(|(_, trigger)| trigger.breached.is_some());
        breached.map(|(id, _)| id.clone()).collect()
    }

    fn trigger_mut(&mut self, id: &str) -> &mut TriggerRun {
        self.triggers.entry(id.to_owned()).or_default()
    }
}

/// True where something of an attempt may be there.
fn leaves_something(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault.effect == Effect::Possible,
        Outcome::Done { .. } | Outcome::Unknown { .. } => true,
    }
}

/// What an event says of one target.
fn contact(run: &mut TargetRun, event: &Event) {
    run.reached = false;
    run.lost = None;
    run.owner = None;
    run.others.clear();
    run.taking = false;
    match event {
        Event::TargetSeen { fingerprint, grip, .. } => {
            run.fingerprint = Some(fingerprint.clone());
            run.grip = grip.clone();
            run.reached = true;
        }
        Event::TargetOwned { fingerprint, owner, others, .. } => {
            run.others.clone_from(others);
            run.fingerprint = Some(fingerprint.clone());
            run.owner = Some(owner.clone());
        }
        Event::TargetLost { error, .. } => run.lost = Some(error.clone()),
        Event::TakenOver { .. } => run.taking = true,
        _ => {}
    }
}
