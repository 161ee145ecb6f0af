//! What can go wrong before a step runs: a URL that cannot be honoured, a database that cannot be reached.

use thiserror::Error;

/// Never holds a password: a URL is named by its target, never repeated.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The URL cannot be read, or asks for something that cannot be honoured. Nothing was contacted.
    #[error("target {target}: {why}. Nothing was contacted; correct the URL and start again")]
    Url { target: String, why: String },
    /// No usable connection. `place` is `host:port/database` or the file's path.
    #[error("target {target}: cannot open {place}: {why}. Nothing was changed; {next}")]
    Connect {
        target: String,
        place: String,
        why: String,
        /// What to do next.
        next: String,
    },
    /// The server answered, but a question about itself failed.
    #[error("target {target}: {what}: {why}. Nothing was changed")]
    Ask { target: String, what: String, why: String },
    /// A private file for a command could not be written.
    #[error("target {target}: cannot write {path}: {why}. Nothing was started")]
    File { target: String, path: String, why: String },
}
