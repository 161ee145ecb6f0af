//! The only fold: what a run is after its entries so far. Screen, headless lines, resume, replay and report all read this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::event::{Attempt, Claim, Direction, End, Entry, Event, Fingerprint, HoldCause, Moment, Opened, Resolved};
use super::facts::{Effect, Facts, NoData, Outcome};
use super::limits;
use super::output::OutputLog;
use crate::runbook::{StepId, TriggerAction};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// The last entry applied, and when it was.
    pub seq: u64,
    pub at: Moment,
    pub opened: Opened,
    pub opened_at: Moment,
    pub engine: Option<Engine>,
    pub targets: BTreeMap<String, TargetRun>,
    pub confirmed: Option<String>,
    pub phase: Option<String>,
    pub phases: BTreeMap<String, PhaseRun>,
    pub steps: BTreeMap<StepId, StepRun>,
    /// Steps in the order they were completed: a rollback takes the last first.
    pub completed: Vec<StepId>,
    /// Leaves of the journal: attempts started and not ended.
    pub open: BTreeSet<Attempt>,
    pub auto: bool,
    pub hold: Option<Hold>,
    pub rollback: Option<Rollback>,
    pub rollbacks_done: u32,
    /// 1 but for rehearsals, which go forward twice.
    pub leg: u32,
    pub probes: BTreeMap<String, ProbeRun>,
    pub triggers: BTreeMap<String, TriggerRun>,
    pub notes: Vec<Note>,
    pub criteria: BTreeMap<String, (Option<bool>, String)>,
    pub screens: BTreeMap<String, bool>,
    pub last_refusal: Option<(u64, String)>,
    pub ended: Option<(End, String, Moment)>,
}

/// The engine that holds the run, or held it last.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    pub pid: u32,
    pub host: String,
    pub boot: String,
    pub by: String,
    pub running: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetRun {
    pub fingerprint: Option<Fingerprint>,
    pub lost: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseRun {
    pub entered: Option<Moment>,
    pub left: Option<Moment>,
    pub early: Option<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StepStatus {
    #[default]
    Pending,
    Running,
    Done,
    /// The answer was no.
    Failed,
    /// It could not be asked.
    Broke,
    InDoubt,
    Skipped,
    Undoing,
    Undone,
    UndoFailed,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRun {
    pub status: StepStatus,
    /// Attempts so far, forward and undo.
    pub tries: u32,
    pub undo_tries: u32,
    pub attempt: Option<Attempt>,
    pub resolved: Option<Resolved>,
    pub started: Option<Moment>,
    pub ended: Option<Moment>,
    pub by: Option<String>,
    /// Of the last attempt, forward or undo.
    pub outcome: Option<Outcome>,
    /// Of the last forward attempt that brought some home.
    pub facts: Option<Facts>,
    pub forward: Option<Outcome>,
    /// How an attempt in doubt was closed, or why the step was skipped: who, words.
    pub claim: Option<(String, String)>,
    pub ticks: BTreeMap<usize, Tick>,
    pub votes: BTreeMap<String, Vote>,
    pub edited: Option<String>,
    pub output: OutputLog,
    pub cancel_asked: bool,
    /// The entry that last changed it: a confirm that saw less is refused.
    pub changed: u64,
    /// The run clock when a failed attempt ended: back-off of retries counts from it.
    pub failed_ms: Option<u64>,
}

impl StepRun {
    /// True where it did, or may have done, something that a rollback must take back.
    pub fn has_effect(&self) -> bool {
        match (&self.status, &self.forward) {
            (StepStatus::Done | StepStatus::UndoFailed, _) => true,
            (StepStatus::Failed, Some(Outcome::Failed { fault, .. })) => fault.effect == Effect::Possible,
            _ => false,
        }
    }

    /// True where the run goes past it.
    pub fn is_over(&self) -> bool {
        matches!(self.status, StepStatus::Done | StepStatus::Skipped)
    }

    /// Milliseconds from its start to its end, or to `now_ms`.
    pub fn took_ms(&self, now_ms: u64) -> Option<u64> {
        let started = self.started?;
        Some(self.ended.map_or(now_ms, |end| end.ms).saturating_sub(started.ms))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub answer: Option<String>,
    pub by: String,
    pub at: Moment,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    pub go: bool,
    pub reason: String,
    pub by: String,
    pub at: Moment,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    pub cause: HoldCause,
    pub by: String,
    pub at: Moment,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    pub plan: Option<String>,
    pub steps: Vec<StepId>,
    pub by: String,
    pub reason: String,
    pub started: Moment,
    pub ended: Option<Moment>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeRun {
    pub samples: VecDeque<Sample>,
    /// The last number and when; silence after it does not erase it, faces show its age.
    pub last_valid: Option<(Moment, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub at: Moment,
    pub value: Result<f64, NoData>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TriggerRun {
    /// Since when it is breached without a fine sample between.
    pub breached: Option<Moment>,
    pub fired: Option<Fired>,
    /// Blind: no valid data for its `missing_for`; why.
    pub blind: Option<(Moment, String)>,
    pub times_fired: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    pub at: Moment,
    pub then: TriggerAction,
    pub values: Vec<(String, f64)>,
    /// When the rollback goes ahead, on the run clock; none once stopped, or where it only warns or holds.
    pub at_ms: Option<u64>,
    pub stopped_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub by: String,
    pub at: Moment,
    pub text: String,
    pub step: Option<StepId>,
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

    pub fn step(&self, id: &StepId) -> Option<&StepRun> {
        self.steps.get(id)
    }

    pub fn status(&self, id: &StepId) -> StepStatus {
        self.steps
            .get(id)
            .map_or(StepStatus::Pending, |step| step.status.clone())
    }

    /// True while undo steps (or a named plan) run.
    pub fn rolling_back(&self) -> bool {
        self.rollback.as_ref().is_some_and(|rollback| rollback.ended.is_none())
    }

    /// The countdown that is running: trigger and the run clock's time of its end.
    pub fn countdown(&self) -> Option<(&str, u64)> {
        self.triggers
            .iter()
            .filter_map(|(id, trigger)| Some((id.as_str(), trigger.fired.as_ref()?.at_ms?)))
            .min_by_key(|(_, at)| *at)
    }

    pub fn apply(&mut self, entry: &Entry) {
        self.seq = entry.seq;
        self.at = entry.at;
        match &entry.event {
            Event::RunOpened(opened) => {
                self.opened = (**opened).clone();
                self.opened_at = entry.at;
                self.leg = 1;
            }
            Event::EngineStarted { pid, host, boot, by } => {
                self.engine = Some(Engine {
                    pid: *pid,
                    host: host.clone(),
                    boot: boot.clone(),
                    by: by.clone(),
                    running: true,
                });
                self.screens.clear();
            }
            Event::EngineStopped { .. } => self.engine_stopped(),
            Event::TargetSeen { target, fingerprint } => {
                let seen = self.targets.entry(target.clone()).or_default();
                seen.fingerprint = Some(fingerprint.clone());
                seen.lost = None;
            }
            Event::TargetLost { target, error } => {
                self.targets.entry(target.clone()).or_default().lost = Some(error.clone());
            }
            Event::Confirmed { by, .. } => self.confirmed = Some(by.clone()),
            Event::PhaseEntered { phase } => {
                let run = self.phases.entry(phase.clone()).or_default();
                *run = PhaseRun {
                    entered: Some(entry.at),
                    ..PhaseRun::default()
                };
                self.phase = Some(phase.clone());
            }
            Event::PhaseLeft { phase, early } => {
                let run = self.phases.entry(phase.clone()).or_default();
                run.left = Some(entry.at);
                run.early.clone_from(early);
            }
            Event::AdvanceSet { auto, .. } => self.auto = *auto,
            Event::Held { cause, by } => {
                self.hold = Some(Hold {
                    cause: cause.clone(),
                    by: by.clone(),
                    at: entry.at,
                });
            }
            Event::Released { .. } => self.hold = None,
            Event::RollbackStarted {
                plan,
                steps,
                by,
                reason,
            } => {
                self.hold = None;
                for trigger in self.triggers.values_mut() {
                    if let Some(fired) = &mut trigger.fired {
                        fired.at_ms = None;
                    }
                }
                self.rollback = Some(Rollback {
                    plan: plan.clone(),
                    steps: steps.clone(),
                    by: by.clone(),
                    reason: reason.clone(),
                    started: entry.at,
                    ended: None,
                });
            }
            Event::RollbackEnded {} => {
                if let Some(rollback) = &mut self.rollback {
                    rollback.ended = Some(entry.at);
                }
                self.rollbacks_done += 1;
            }
            Event::LegStarted { leg } => self.leg_started(*leg),
            Event::NoteAdded { by, text, step } => {
                self.notes.push(Note {
                    by: by.clone(),
                    at: entry.at,
                    text: text.clone(),
                    step: step.clone(),
                });
            }
            Event::Refused { why, .. } => self.last_refusal = Some((entry.seq, why.clone())),
            Event::ScreenAttached { by, writes } => {
                self.screens.insert(by.clone(), *writes);
            }
            Event::ScreenLost { by } => {
                self.screens.remove(by);
            }
            Event::CriterionJudged {
                criterion,
                verdict,
                detail,
            } => {
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

    fn engine_stopped(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.running = false;
        }
        self.screens.clear();
    }

    fn leg_started(&mut self, leg: u32) {
        self.leg = leg;
        for step in self.steps.values_mut() {
            *step = StepRun {
                tries: step.tries,
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
                let step = self.step_mut(&attempt.step);
                match attempt.direction {
                    Direction::Forward => {
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
                step.attempt = Some(attempt.clone());
                step.resolved = Some(resolved.clone());
                step.started = Some(entry.at);
                step.ended = None;
                step.by = Some(by.clone());
                step.outcome = None;
                step.claim = None;
                step.cancel_asked = false;
                step.output = OutputLog::default();
            }
            Event::Output { attempt, chunk } => {
                // Output does not make a confirm stale: `changed` stays.
                self.steps.entry(attempt.step.clone()).or_default().output.push(chunk);
            }
            Event::StepEnded { attempt, outcome } => self.step_ended(entry, attempt, outcome),
            Event::StepSkipped { step, by, reason } => {
                let run = self.step_mut(step);
                run.status = StepStatus::Skipped;
                run.ended = Some(entry.at);
                run.claim = Some((by.clone(), reason.clone()));
            }
            Event::CancelAsked { attempt, .. } => self.step_mut(&attempt.step).cancel_asked = true,
            Event::Settled {
                attempt,
                claim,
                by,
                reason,
            } => self.settled(entry, attempt, *claim, by, reason),
            Event::Ticked { step, item, answer, by } => {
                let tick = Tick {
                    answer: answer.clone(),
                    by: by.clone(),
                    at: entry.at,
                };
                self.step_mut(step).ticks.insert(*item, tick);
            }
            Event::Unticked { step, item, .. } => {
                self.step_mut(step).ticks.remove(item);
            }
            Event::Voted {
                step,
                role,
                go,
                reason,
                by,
            } => {
                let vote = Vote {
                    go: *go,
                    reason: reason.clone(),
                    by: by.clone(),
                    at: entry.at,
                };
                self.step_mut(step).votes.insert(role.clone(), vote);
            }
            Event::SqlEdited { step, after, .. } => self.step_mut(step).edited = Some(after.clone()),
            _ => {}
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
            (Outcome::Broke { .. }, true) => StepStatus::Broke,
            (Outcome::Unknown { .. }, _) => StepStatus::InDoubt,
            (Outcome::Done { .. }, false) => StepStatus::Undone,
            (_, false) => StepStatus::UndoFailed,
        };
        step.failed_ms = matches!(step.status, StepStatus::Failed | StepStatus::Broke).then_some(entry.at.ms);
        if forward {
            step.forward = Some(outcome.clone());
            step.facts = match outcome {
                Outcome::Done { facts, .. } => Some((**facts).clone()),
                Outcome::Failed { facts, .. } => facts.as_deref().cloned(),
                _ => None,
            };
        }
        let counts = step.has_effect();
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
        step.status = match (claim, forward) {
            (Claim::Done, true) => StepStatus::Done,
            (Claim::NotDone, true) => StepStatus::Failed,
            (Claim::Done, false) => StepStatus::Undone,
            (Claim::NotDone, false) => StepStatus::UndoFailed,
        };
        let counts = step.has_effect();
        self.note_completion(&attempt.step, counts);
    }

    fn apply_signal(&mut self, entry: &Entry, event: &Event) {
        match event {
            Event::SampleTaken { probe, value, .. } => {
                let run = self.probes.entry(probe.clone()).or_default();
                if let Ok(value) = value {
                    run.last_valid = Some((entry.at, *value));
                }
                run.samples.push_back(Sample {
                    at: entry.at,
                    value: value.clone(),
                });
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
            Event::TriggerFired {
                trigger,
                then,
                values,
                at_ms,
            } => {
                let run = self.trigger_mut(trigger);
                run.times_fired += 1;
                run.fired = Some(Fired {
                    at: entry.at,
                    then: *then,
                    values: values.clone(),
                    at_ms: *at_ms,
                    stopped_by: None,
                });
            }
            Event::TriggerBlind { trigger, reason, .. } => {
                self.trigger_mut(trigger).blind = Some((entry.at, reason.clone()));
            }
            Event::TriggerSighted { trigger } => self.trigger_mut(trigger).blind = None,
            Event::CountdownStopped { trigger, by } => {
                if let Some(fired) = &mut self.trigger_mut(trigger).fired {
                    fired.at_ms = None;
                    fired.stopped_by = Some(by.clone());
                }
            }
            _ => {}
        }
    }

    fn trigger_mut(&mut self, id: &str) -> &mut TriggerRun {
        self.triggers.entry(id.to_owned()).or_default()
    }
}
