//! What comes at the end: rollback plans, criteria, follow-ups, waivers. See `parse::ending`, `parse::waive`.

use schemars::JsonSchema;

use super::steps::RollbackStep;
use super::values::{Expression, Id, Length, Text};
use super::verbs::Item;

/// A named way back. Without one, a rollback is the undo of every step that has an effect, the last first.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rollback {
    pub id: Id,
    pub title: Option<Text>,
    /// How long it should take: the screen shows the last moment at which it still fits into the window.
    pub expected_time: Option<Length>,
    /// What it does, in order.
    #[schemars(length(min = 1))]
    pub step: Vec<RollbackStep>,
}

/// Judged when the run ends, and printed in the report.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Criterion {
    pub id: Option<Id>,
    pub title: Option<Text>,
    /// `steps['tables-after'].value == 43`
    pub when: Expression,
}

/// What remains to be done after the window.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Followup {
    pub id: Option<Id>,
    pub title: Text,
    /// When it is due, counted from the end of the run: `+48h`.
    pub due: Length,
    /// What is to be done.
    #[schemars(length(min = 1))]
    pub checklist: Option<Vec<Item>>,
}

/// A finding of the check that the author has seen and answers for. Without a place it is about the whole runbook.
#[derive(JsonSchema)]
// A rule, a reason, and one thing that it is about.
#[schemars(deny_unknown_fields, extend("maxProperties" = 3))]
pub struct Waiver {
    /// The rule of the check: `sql-update-without-where`.
    pub rule: Text,
    /// Why this is right here. It is printed in the report.
    pub reason: Text,
    /// The step it is about.
    pub step: Option<Text>,
    /// The phase it is about.
    pub phase: Option<Text>,
    /// The probe it is about.
    pub probe: Option<Text>,
    /// The trigger it is about.
    pub trigger: Option<Text>,
    /// The file it is about: `sql/011.sql`.
    pub file: Option<Text>,
}
