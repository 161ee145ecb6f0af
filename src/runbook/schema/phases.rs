//! Phases. See `parse::phases`.

use schemars::JsonSchema;

use super::steps::Step;
use super::values::{Id, Length, Text};

/// A timed part of the window. Phases run in the order of the file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Phase {
    pub id: Id,
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
