//! Events: the facts of a run, journaled exactly as they are, and what every face shows.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::batch::BatchOrder;
use super::dump::{BackupOrder, RestoreOrder};
pub use super::ends::{Claim, End};
use super::facts::{Chunk, NoData, Outcome};
pub use super::identity::{Approval, Fingerprint, Grip, Proof};
use super::loss::Lost;
use super::migrations::MigrationOrder;
pub use super::other::OtherRun;
pub use super::rehearsed::Rehearsed;
use super::retune::Tuning;
use crate::runbook::{Asks, Source, StepId, Tell, TriggerAction, Var};

/// The version of the entries this program writes; it reads no other.
pub const FORMAT: u32 = 1;

/// A point in time: the wall clock for people, the run clock for rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    pub wall: DateTime<Utc>,
    /// Milliseconds since the run was opened, by a clock that counts suspend and never steps back
    /// (continued by the wall clock over a reboot).
    pub ms: u64,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3, … without gaps.
    pub seq: u64,
    pub at: Moment,
    pub event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Forward,
    Undo,
}

/// One try at a step in one direction: the unit of every promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    pub step: StepId,
    pub direction: Direction,
    /// 1, 2, 3, … per step and direction.
    pub n: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undo = if self.direction == Direction::Undo { "undo of " } else { "" };
        write!(f, "{undo}{}", self.step)?;
        if self.n > 1 {
            write!(f, " (attempt {})", self.n)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Live,
    Rehearsal,
}

/// What opened a run: everything needed to read it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub format: u32,
    pub run: String,
    pub mode: Mode,
    pub source: Source,
    pub environment: String,
    /// What `--set` said, by name.
    pub set: BTreeMap<String, Var>,
    pub by: String,
    /// The folder it was opened in: relative paths of commands start here.
    pub cwd: String,
    pub version: String,
    /// The last rehearsal of this runbook that the journal folder knew then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<Rehearsed>,
    /// The people who had approved it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Why it was opened without the rehearsal that its environment wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrehearsed: Option<String>,
}

/// What will run, resolved and redacted, as it is about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Resolved {
    Human,
    Sql {
        target: String,
        statements: Vec<Statement>,
        transaction: bool,
        #[serde(default, skip_serializing_if = "Direct::is_empty")]
        direct: Direct,
        /// What is read off its answer.
        #[serde(default, skip_serializing_if = "Asks::is_rows")]
        asks: Asks,
    },
    Batch {
        target: String,
        order: Box<BatchOrder>,
    },
    Migrations {
        target: String,
        order: Box<MigrationOrder>,
    },
    Run {
        argv: Vec<String>,
        connect: Option<String>,
    },
    Shell {
        script: String,
        connect: Option<String>,
    },
    Http {
        method: String,
        url: String,
        body: Option<String>,
    },
    Wait {
        ms: u64,
    },
    Notify {
        to: String,
        argv: Vec<String>,
        text: String,
    },
    Backup {
        target: String,
        order: Box<BackupOrder>,
    },
    Restore {
        target: String,
        order: Box<RestoreOrder>,
    },
    /// It could not be made ready; the outcome that follows says why.
    Unready,
}

impl Resolved {
    /// True for what is done by a process of this machine.
    pub fn is_command(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Shell { .. } | Self::Backup { .. } | Self::Restore { .. } => true,
            Self::Notify { argv, .. } => !argv.is_empty(),
            _ => false,
        }
    }
}

/// One SQL statement of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub sql: String,
    /// 1-based line of its first character in the file it came from (the runbook, for inline SQL).
    pub line: u32,
}

/// What decides SQL outside of a transaction whose end nobody saw, and what a retry clears away first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Direct {
    /// The runbook's question: true where the effect is present and complete. None: what is known of the statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The runbook's way to clear away what a broken attempt left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleanup: Vec<Statement>,
    /// So many of the statements, the first ones, only clear away what the attempt before left.
    pub cleaning: u32,
    /// So many of those, the first ones, are what a person chose to send ahead of this attempt: the fix of a known trouble.
    #[serde(skip_serializing_if = "is_zero")]
    pub fixing: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Direct {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a run stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum HoldCause {
    Operator {
        reason: String,
    },
    Step {
        step: StepId,
    },
    NoGo {
        step: StepId,
        role: String,
    },
    Trigger {
        trigger: String,
    },
    Missing {
        trigger: String,
    },
    InDoubt {
        attempt: Attempt,
    },
    Undo {
        attempt: Attempt,
    },
    /// A rollback that may not go ahead by itself: what must be decided first.
    Rollback {
        reason: String,
    },
    /// Headless, and nobody there to answer.
    Unanswered {
        what: String,
    },
    /// The journal's disk has no room left: nothing new starts.
    JournalFull {},
    /// Everything ran, but these criteria are not met: accept (the run ends as failed) or roll back.
    Criteria {
        criteria: Vec<String>,
    },
    Target {
        target: String,
        error: String,
    },
    /// Another run has the target and has not ended.
    Owned {
        target: String,
        owner: String,
    },
    /// A phase's time is over, and its triggers did not see enough of it to say that all was well.
    Coverage {
        phase: String,
        missed: String,
    },
    /// A watch's time is over, and the condition of a trigger that holds or rolls back is true.
    Breached {
        phase: String,
        trigger: String,
        /// True where its start delay let it not judge yet.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unjudged: bool,
    },
}

/// Something that happened. Stored as it is; nobody converts live events to stored ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    RunOpened(Box<Opened>),
    /// An engine took the run up: at its opening, and after every interruption. `zero_ms`: what the clock of this
    /// `boot` showed at the run clock's zero.
    EngineStarted {
        pid: u32,
        host: String,
        boot: String,
        zero_ms: u64,
        by: String,
    },
    /// The engine stood still for that long just now, suspended with its machine or stopped by a signal.
    Gap {
        ms: u64,
    },
    /// The engine let go of the run in good order; it is held.
    EngineStopped {
        by: String,
        reason: String,
    },
    /// Reached, and the run's own for as long as its engine lives.
    TargetSeen {
        target: String,
        fingerprint: Fingerprint,
        #[serde(default)]
        grip: Grip,
    },
    /// Reached, but another run has it: in words who and since when. Only a typed take-over goes past that.
    TargetOwned {
        target: String,
        fingerprint: Fingerprint,
        owner: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<OtherRun>,
    },
    /// A person took the target from its owner.
    TakenOver {
        target: String,
        owner: String,
        by: String,
    },
    /// The runbook consents to a ledger in this target, and there was none.
    LedgerCreated {
        target: String,
    },
    TargetLost {
        target: String,
        error: String,
    },
    /// A protected environment was confirmed by typing its name.
    Confirmed {
        by: String,
        text: String,
    },

    PhaseEntered {
        phase: String,
    },
    /// `early`: who signed off before its time was over, and why.
    PhaseLeft {
        phase: String,
        early: Option<(String, String)>,
    },

    StepStarted {
        attempt: Attempt,
        resolved: Resolved,
        by: String,
    },
    Output {
        attempt: Attempt,
        chunk: Chunk,
    },
    StepEnded {
        attempt: Attempt,
        outcome: Outcome,
    },
    StepSkipped {
        step: StepId,
        by: String,
        reason: String,
    },
    /// Cancel was asked for; the outcome follows.
    CancelAsked {
        attempt: Attempt,
        by: String,
    },
    /// The sessions that an attempt in doubt still has on its server were to be cancelled, or ended altogether.
    LeftoverAsked {
        attempt: Attempt,
        terminate: bool,
        by: String,
    },
    /// A person closed an attempt in doubt.
    Settled {
        attempt: Attempt,
        claim: Claim,
        by: String,
        reason: String,
    },
    Ticked {
        step: StepId,
        item: usize,
        answer: Option<String>,
        by: String,
    },
    Unticked {
        step: StepId,
        item: usize,
        by: String,
    },
    Voted {
        step: StepId,
        role: String,
        go: bool,
        reason: String,
        by: String,
    },
    SqlEdited {
        step: StepId,
        before: String,
        after: String,
        by: String,
    },

    /// From its next batch on, a step in batches keeps this pace.
    BatchRetuned {
        attempt: Attempt,
        from: Tuning,
        to: Tuning,
        by: String,
    },

    SampleTaken {
        probe: String,
        value: Result<f64, NoData>,
        took_ms: u64,
    },
    TriggerBreached {
        trigger: String,
    },
    TriggerCleared {
        trigger: String,
    },
    /// `values`: the probes it looks at, as they were. `at_ms`: when its rollback goes ahead, on the run clock.
    TriggerFired {
        trigger: String,
        then: TriggerAction,
        values: Vec<(String, f64)>,
        at_ms: Option<u64>,
    },
    /// No valid data for `missing_for`.
    TriggerBlind {
        trigger: String,
        then: TriggerAction,
        reason: String,
    },
    TriggerSighted {
        trigger: String,
    },
    CountdownStopped {
        trigger: String,
        by: String,
    },

    Held {
        cause: HoldCause,
        by: String,
    },
    Released {
        by: String,
    },
    /// Steps start by themselves from here on, or no longer do.
    AdvanceSet {
        auto: bool,
        by: String,
    },
    RollbackStarted {
        plan: Option<String>,
        steps: Vec<StepId>,
        by: String,
        reason: String,
    },
    RollbackEnded {},
    /// People were told of entry `of`, or could not be.
    Told {
        channel: String,
        tell: Tell,
        of: u64,
        error: Option<String>,
    },
    /// What a restore of that backup would lose, as far as it is known now.
    LossMeasured {
        backup: StepId,
        lost: Lost,
    },
    /// A rehearsal begins its next leg: everything is to be done again.
    LegStarted {
        leg: u32,
    },

    NoteAdded {
        by: String,
        text: String,
        step: Option<StepId>,
    },
    Refused {
        by: String,
        what: String,
        why: String,
    },
    ScreenAttached {
        by: String,
        writes: bool,
    },
    ScreenLost {
        by: String,
    },
    CriterionJudged {
        criterion: String,
        verdict: Option<bool>,
        detail: String,
    },
    RunEnded {
        end: End,
        reason: String,
    },
}
