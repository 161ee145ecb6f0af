//! What can happen in a run and what follows from it: facts, rules and one fold. Pure: `now` is an argument, nothing is done here.

pub mod answers;
pub mod autopilot;
pub mod batch;
mod by;
pub mod columns;
pub mod command;
pub mod context;
pub mod coverage;
pub mod decide;
pub mod describe;
pub mod dump;
pub mod ends;
pub mod event;
pub mod facts;
pub mod fault;
pub mod fold;
pub mod follow;
pub mod giving_up;
pub mod identity;
pub mod input;
pub mod inventory;
pub mod judge;
mod legs;
pub mod limits;
pub mod loss;
pub mod mask;
pub mod migrations;
mod other;
pub mod output;
pub mod plan;
pub mod poll;
pub mod prepare;
pub mod progress;
pub mod rehearsed;
pub mod remedy;
pub mod retune;
pub mod state;
pub mod tell;
pub mod triggers;
pub mod words;

/// Foreign text made safe to look at; it lives with the language, whose messages need it too.
pub use crate::runbook::clean;
pub use batch::{BatchOrder, Batches};
pub use command::{Command, CommandVerb};
pub use event::{Attempt, Direction, Entry, Event, Moment};
pub use facts::{Chunk, Facts, Fault, NoData, Outcome, Verdict};
pub use judge::Judge;
pub use migrations::MigrationOrder;
pub use progress::Progress;
pub use retune::Tuning;
pub use state::RunState;

/// Who acts where no person does.
pub const GONOGO: &str = "gonogo";
