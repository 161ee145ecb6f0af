//! What a run is after its entries so far. Screen, headless lines, resume, replay and report all read this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::event::{Attempt, Direction, End, Fingerprint, Grip, HoldCause, Moment, Opened, OtherRun, Resolved};
use super::facts::{Effect, Facts, Judged, NoData, Outcome, Probed};
use super::inventory::Item;
use super::loss::Loss;
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
    /// The last snapshot of each name whose step ended well.
    pub snapshots: BTreeMap<String, Arc<Vec<Item>>>,
    /// Those of the first leg of a rehearsal, while it is in its second.
    pub first_leg: BTreeMap<String, Arc<Vec<Item>>>,
    pub criteria: BTreeMap<String, (Option<bool>, String)>,
    /// How many screens each person has here, watching ones included.
    pub screens: BTreeMap<String, u32>,
    /// What a restore would lose, by the backup's step.
    pub losses: BTreeMap<StepId, Loss>,
    pub last_refusal: Option<(u64, String)>,
    pub ended: Option<(End, String, Moment)>,
}

/// The engine that holds the run, or held it last.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    pub pid: u32,
    pub host: String,
    pub boot: String,
    pub zero_ms: u64,
    pub by: String,
    /// When it took the run up.
    pub since: Moment,
    pub running: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetRun {
    /// As it was at the last contact of any engine.
    pub fingerprint: Option<Fingerprint>,
    /// True once the engine that holds the run now has reached it.
    pub reached: bool,
    pub lost: Option<String>,
    /// How this run holds it.
    pub grip: Grip,
    /// Who has it instead of this run.
    pub owner: Option<String>,
    /// Those of them that are in this run's journal folder.
    pub others: Vec<OtherRun>,
    /// A person has typed that it is taken from its owner; the engine has not done so yet.
    pub taking: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseRun {
    pub entered: Option<Moment>,
    pub left: Option<Moment>,
    pub early: Option<(String, String)>,
    /// Milliseconds of it in which no engine held the run.
    pub unwatched_ms: u64,
    /// The run clock when it began, or when watching it last began again.
    pub watched_since: u64,
    /// What each probe saw of it.
    pub seen: BTreeMap<String, Seen>,
}

/// What a probe saw of a phase while it was watched. Times on the run clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub last: Option<u64>,
    pub last_valid: Option<u64>,
    /// The longest time without a number.
    pub longest_ms: u64,
    /// Milliseconds between a number and the sample before it, and how often it was so long.
    pub spans: BTreeMap<u64, u32>,
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
    /// People were asked, and the run went another way before they had answered.
    Left,
    Undoing,
    Undone,
    UndoFailed,
    /// Done, or done in part, and a person chose not to take it back.
    UndoSkipped,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepRun {
    pub status: StepStatus,
    /// Attempts so far, forward and undo.
    pub tries: u32,
    pub undo_tries: u32,
    /// Forward attempts of earlier legs of a rehearsal.
    pub tries_before: u32,
    pub attempt: Option<Attempt>,
    /// The attempt whose idempotency key is used: an earlier one where that was in doubt until a person said "not done".
    pub key_n: u32,
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
    /// The names, in lower case, of the columns of all results so far, and the first attempt that had one.
    pub results: BTreeSet<String>,
    pub results_of: Option<Attempt>,
    /// Its COMMIT was about to be sent.
    pub judged: Option<Judged>,
    /// The server gave its transaction a number: it wrote, whatever its words say.
    pub wrote: bool,
    /// Its first statement outside of a transaction was about to be sent.
    pub probed: Option<Probed>,
    /// The snapshot that the attempt has brought; it counts when the attempt has ended well.
    pub inventory: Option<(String, Arc<Vec<Item>>)>,
    /// The versions that were pending when a step of migration files first began; none: it never did, or was taken back.
    pub migrating: Option<Vec<String>>,
    /// The schema of their tool's table then.
    pub migrating_in: Option<String>,
    /// An attempt applied, or may have applied, migration files that nobody took back since.
    pub migrated: bool,
    pub cancel_asked: bool,
    /// The entry that last changed it: a confirm that saw less is refused.
    pub changed: u64,
    /// The run clock when a failed attempt ended: back-off of retries counts from it.
    pub failed_ms: Option<u64>,
}

impl StepRun {
    /// Forward attempts since the run, or this leg of a rehearsal, began.
    pub fn tries_this_leg(&self) -> u32 {
        self.tries - self.tries_before
    }

    /// True where it did, or may have done, something that a rollback must take back.
    pub fn has_effect(&self) -> bool {
        match (&self.status, &self.forward) {
            // Its checkpoint counts the rows of all attempts: to take back none would take back others'.
            (StepStatus::Done, Some(Outcome::Done { facts, .. })) if facts.is_empty_batch() => false,
            (StepStatus::Done | StepStatus::UndoFailed | StepStatus::UndoSkipped, _) => true,
            // A later attempt that could not even begin changes nothing about what an earlier one did.
            (StepStatus::Failed | StepStatus::Broke | StepStatus::Skipped, _) if self.migrated => true,
            (
                StepStatus::Failed | StepStatus::Broke | StepStatus::Skipped,
                Some(Outcome::Failed { fault, .. } | Outcome::Broke { fault }),
            ) => fault.effect == Effect::Possible,
            _ => false,
        }
    }

    /// Whatever migration files it applied, they are taken back.
    pub fn taken_back(&mut self) {
        self.migrating = None;
        self.migrating_in = None;
        self.migrated = false;
    }

    /// True where its last attempt only lost its engine, and it is proven that nothing of it happened.
    pub fn was_interrupted(&self) -> bool {
        let failed = matches!(self.status, StepStatus::Failed | StepStatus::UndoFailed);
        failed && matches!(&self.outcome, Some(Outcome::Failed { fault, .. }) if fault.interrupted)
    }

    /// SQL that clears away what its last attempt left, or found.
    pub fn residue(&self) -> &[String] {
        match &self.outcome {
            Some(Outcome::Failed { fault, .. } | Outcome::Broke { fault }) => &fault.residue,
            _ => &[],
        }
    }

    /// True where what is to be cleared away before another try may be somebody else's: that attempt sent nothing.
    pub fn found_residue(&self) -> bool {
        !self.residue().is_empty() && self.probed.is_none()
    }

    /// True where the run goes past it.
    pub fn is_over(&self) -> bool {
        matches!(self.status, StepStatus::Done | StepStatus::Skipped | StepStatus::UndoSkipped)
    }

    /// True where its last attempt does what is left of an earlier one.
    pub fn goes_on(&self) -> bool {
        let both = self.resolved.as_ref().zip(self.attempt.as_ref());
        both.is_some_and(|(resolved, attempt)| resolved.goes_on(attempt))
    }

    /// Milliseconds that its last attempt took, where they are those of the whole step: [`Outcome::whole_ms`].
    pub fn done_ms(&self) -> Option<u64> {
        self.outcome.as_ref()?.whole_ms(self.goes_on())
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
    /// Triggers that were breached when it began.
    pub recovers: Vec<String>,
    /// What people left out of the way back, and why: it is incomplete.
    pub skipped: Vec<(StepId, String)>,
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
    pub fn step(&self, id: &StepId) -> Option<&StepRun> {
        self.steps.get(id)
    }

    /// Milliseconds that the step took in the rehearsal of this run, in this direction; none: it is not known.
    pub fn rehearsed_ms(&self, id: &StepId, direction: Direction) -> Option<u64> {
        self.opened.rehearsed.as_ref()?.times.of(id, direction)
    }

    pub fn status(&self, id: &StepId) -> StepStatus {
        self.steps.get(id).map_or(StepStatus::Pending, |step| step.status.clone())
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
}
