//! Entries in order, paced and seekable: the half of the feed that replays. Reads no clock; `now` is an argument.

mod marks;
mod replay;
mod timeline;

pub use marks::{Mark, MarkKind};
pub use replay::{Replay, SPEEDS, Status};
pub use timeline::SNAPSHOT_EVERY;
