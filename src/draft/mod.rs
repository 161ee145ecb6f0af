//! Drafts of runbooks: a new one from a few answers (`init`), and one from a Markdown guide (`guide`). What is written here
//! is read again by the language itself before anybody gets it. No disk, no clock.

mod fit;
pub mod guide;
pub mod init;
mod query;
mod write;

pub use write::slug;
