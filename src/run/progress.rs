//! Progress: what moves while an attempt runs. Lossy on purpose; facts are events.

use serde::{Deserialize, Serialize};

use super::batch::Batches;
use super::event::Attempt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub attempt: Attempt,
    /// Statement `n` of `of`; 0 of 0 where the verb has none.
    pub statement: u32,
    pub of: u32,
    /// Rows received so far, over all statements.
    pub rows: u64,
    /// Bytes of output so far.
    pub bytes: u64,
    pub elapsed_ms: u64,
    /// Of a step in batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches: Option<Box<Batches>>,
    /// What it waits for: `lock: pid 812 (app, 41 s) update orders …`.
    pub waiting: Option<String>,
}
