//! What can happen in a run and what follows from it: facts, rules and one fold. Pure: `now` is an argument, nothing is done here.

pub mod clean;
pub mod command;
pub mod describe;
pub mod event;
pub mod facts;
pub mod judge;
pub mod limits;
pub mod output;
pub mod progress;
pub mod state;

pub use command::{Command, CommandVerb};
pub use event::{Attempt, Direction, Entry, Event, Moment};
pub use facts::{Chunk, Facts, Fault, NoData, Outcome, Verdict};
pub use judge::Judge;
pub use progress::Progress;
pub use state::RunState;
