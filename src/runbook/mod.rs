//! The language of runbooks: its model, its parser, its checks, its templates and expressions. Knows nothing else of ours.

pub mod asks;
pub mod batch;
mod channel;
mod check;
pub mod clean;
pub mod dump;
mod environment;
pub mod expr;
mod folder;
mod health;
mod load;
pub mod migrations;
pub mod model;
mod parse;
mod places;
mod problem;
mod render;
pub mod schema;
pub mod sql;
mod suggest;
mod text;
mod waiver;
mod watch;

pub use asks::Asks;
pub use batch::{Batch, Sizing};
pub use channel::{Channel, ChannelTo, Tell};
pub use dump::{Backup, Restore};
pub use environment::{Environment, LedgerUse, MaxBlocked, TargetSpec};
pub use health::Health;
pub use load::{RUNBOOK_BYTES, from_source, load, typed_set};
pub use migrations::{Migration, Migrations, Tool, Way};
pub use model::*;
pub use places::{Place, Places, Seg};
pub use problem::{Problem, Problems, lines};
pub use render::{Tone, picture};
pub use suggest::nearest;
