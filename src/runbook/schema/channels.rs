//! Channels. See `parse::channels`.

use schemars::{JsonSchema, Schema};

use super::steps::one_of;
use super::values::{Argv, Id, WebAddress};

/// A named place where people are told: `slack`, `webhook` or `command`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_place)]
pub struct Channel {
    /// Gets a JSON object with `text` alone, as chats take it.
    pub slack: Option<WebAddress>,
    /// Gets a JSON object with `run`, `runbook`, `environment`, `event`, `text` and `at`.
    pub webhook: Option<WebAddress>,
    /// Gets the text on its standard input.
    pub command: Option<Argv>,
    /// Moments that are told there without a step.
    #[schemars(extend("uniqueItems" = true))]
    pub tells: Option<Vec<Tell>>,
    /// Environments in which they are told; without it, all.
    pub only: Option<Vec<Id>>,
}

fn one_place(schema: &mut Schema) {
    one_of(schema, &["slack", "webhook", "command"]);
}

/// A moment of a run: it began, an attempt failed, it was held, a rollback began, it ended.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Tell {
    Started,
    Failed,
    Held,
    Rollback,
    Ended,
}
