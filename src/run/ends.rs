//! How a doubt is closed, and how a run ends.

use serde::{Deserialize, Serialize};

/// What a person says of an attempt that nobody can prove: a claim, never a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    Done,
    NotDone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Done,
    Failed,
    RolledBack,
}
