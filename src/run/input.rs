//! What reaches the engine.

use super::command::Command;
use super::event::{Attempt, Event};
use super::facts::{Chunk, NoData, Outcome};

/// What reaches the engine's one inbox.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Command(Command),
    Sample {
        probe: String,
        value: Result<f64, NoData>,
        took_ms: u64,
    },
    Chunk {
        attempt: Attempt,
        chunk: Chunk,
    },
    Ended {
        attempt: Attempt,
        outcome: Outcome,
    },
    /// A fact of the engine itself: a target seen, a screen attached.
    Fact(Event),
}
