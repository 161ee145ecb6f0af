//! The words of the link: one JSON object per line in each direction.

use serde::{Deserialize, Serialize};

use crate::run::{Command, Progress};

/// The version both sides must speak; it changes with every change of these words or of a command.
pub(super) const VERSION: u32 = 1;

/// From a screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "up", rename_all = "snake_case")]
pub(super) enum Up {
    /// The first line. `by`: who the screen says it is; the engine believes the kernel instead.
    Hello {
        version: u32,
        by: String,
        watch: bool,
    },
    Command(Command),
}

/// From an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "down", rename_all = "snake_case")]
pub enum Down {
    /// The answer to a hello. `version`: of the engine's gonogo.
    Welcome { run: String, pid: u32, version: String },
    /// The journal may be read up to entry `seq`.
    Bell { seq: u64 },
    /// What moves; some of it gets lost where a screen is slow.
    Progress(Progress),
    /// A line that was not obeyed, and why; where the connection ends after it, why that too.
    Refused { why: String },
}
