//! The journal: what happened in a run, durable before it counts. One run is one folder with one SQLite file, one writer and
//! any number of readers. Every entry carries a hash over itself and its predecessor, so that an edit after the fact shows.

mod chain;
mod error;
mod find;
mod guard;
mod home;
mod known;
mod list;
mod lock;
mod read;
mod reserve;
mod room;
mod store;
mod summary;
#[cfg(test)]
mod tests;
mod there;
mod write;

pub use chain::{Anchor, Hash};
pub use error::{BadEntry, JournalError};
pub use find::Wanted;
pub use home::{Home, RunDir};
pub use known::{KnownTarget, StrangeTarget};
pub use list::{RunFacts, RunInfo};
pub use lock::{Holder, holder};
pub use read::Reader;
pub use summary::Status;
pub use write::Writer;
