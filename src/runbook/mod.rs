//! The language of runbooks: its model, its parser, its checks, its templates and expressions. Knows nothing else of ours.

pub mod batch;
mod check;
pub mod clean;
mod environment;
pub mod expr;
mod health;
mod load;
pub mod model;
mod parse;
mod problem;
mod render;
pub mod sql;
mod suggest;
mod text;
mod watch;

pub use batch::{Batch, Sizing};
pub use environment::{Environment, LedgerUse, MaxBlocked, TargetSpec};
pub use health::Health;
pub use load::{RUNBOOK_BYTES, from_source, load, typed_set};
pub use model::*;
pub use problem::{Problem, Problems};
