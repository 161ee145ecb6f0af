//! Phases. See `parse::phases`.

use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::steps::Step;
use super::values::{Id, Length, Text};

/// A timed part of the window, or `include` alone. Phases run in the order of the file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = own_or_included)]
pub struct Phase {
    pub id: Option<Id>,
    /// Without it, the id.
    pub title: Option<Text>,
    /// What it is for; may be left out where the id is one of these words. A `monitor` phase needs `lasts`.
    pub kind: Option<Kind>,
    /// The planned start, counted from the window's start.
    pub at: Option<Length>,
    /// Its time box. Planned against actual is shown; an overrun stops nothing.
    pub lasts: Option<Length>,
    /// The share of its time for which armed triggers must have had numbers; default 0.9. Needs `lasts`.
    #[schemars(range(min = 0, max = 1))]
    pub coverage: Option<f64>,
    /// `confirm` (default): the operator starts each step. `auto`: steps start by themselves until one needs a person.
    pub advance: Option<Advance>,
    /// Its steps.
    pub step: Option<Vec<Step>>,
    /// Instead of all other keys: the phases of another file run in this place.
    pub include: Option<Include>,
}

fn own_or_included(schema: &mut Schema) {
    super::steps::one_of(schema, &["id", "include"]);
    schema.insert("dependentSchemas".into(), json!({ "include": { "maxProperties": 1 } }));
}

/// Phases in a file of their own, pinned by its digest.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Include {
    /// From the runbook's folder; it may lead out of it.
    pub file: Text,
    /// The SHA-256 of the file as it was read. `gonogo check` says the right one.
    #[schemars(extend("pattern" = "^[0-9A-Fa-f]{64}$"))]
    pub sha256: String,
}

/// What a phase is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Kind {
    Prepare,
    Migrate,
    Verify,
    Monitor,
    Followup,
}

/// Who starts the steps of a phase.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Advance {
    Auto,
    Confirm,
}
