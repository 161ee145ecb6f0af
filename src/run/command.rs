//! What a person asks of the engine. A command names what its sender saw, so that a confirm of an outdated screen is refused.

use serde::{Deserialize, Serialize};

use super::event::{Attempt, Claim};
use super::retune::Tuning;
use crate::runbook::StepId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// `user@host`; over the socket the engine replaces the user by the peer's.
    pub by: String,
    /// The last entry that was on the sender's screen.
    pub seen: u64,
    pub verb: CommandVerb,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum CommandVerb {
    /// The name of the protected target's database, typed.
    Confirm {
        text: String,
    },
    Start {
        step: StepId,
    },
    /// Try a failed or broken step (or a failed undo) again.
    Retry {
        step: StepId,
    },
    /// The same, and ahead of it the SQL that the runbook knows to take its trouble away.
    Fix {
        step: StepId,
    },
    Skip {
        step: StepId,
        reason: String,
    },
    Cancel {
        attempt: Attempt,
    },
    /// End what the server still does for an attempt in doubt: its statement, or (`terminate`) its session.
    CancelLeftover {
        attempt: Attempt,
        terminate: bool,
    },
    Settle {
        attempt: Attempt,
        claim: Claim,
        reason: String,
    },
    Tick {
        step: StepId,
        item: usize,
        answer: Option<String>,
    },
    Untick {
        step: StepId,
        item: usize,
    },
    Vote {
        step: StepId,
        role: String,
        go: bool,
        reason: String,
    },
    EditSql {
        step: StepId,
        sql: String,
    },
    /// Change the pace of a step in batches while it runs. `from`: as its sender saw it.
    Retune {
        attempt: Attempt,
        from: Tuning,
        to: Tuning,
    },
    /// Leave a monitor phase before its time is over.
    SignOff {
        phase: String,
        reason: String,
    },
    Hold {
        reason: String,
    },
    Release,
    /// Take a target from the run that has it. `text`: the name of its database, typed.
    TakeOver {
        target: String,
        text: String,
    },
    SetAdvance {
        auto: bool,
    },
    Rollback {
        plan: Option<String>,
        reason: String,
    },
    StopCountdown,
    Note {
        text: String,
        step: Option<StepId>,
    },
    /// Let go of the run: it is held, the engine ends, `resume` goes on.
    Quit {
        reason: String,
    },
    /// Give the run up for failed; nothing is undone.
    Abandon {
        reason: String,
    },
}
