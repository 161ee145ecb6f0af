//! The report as data: what the JSON form holds, field by field, and what the Markdown form is written from.
//!
//! Times are instants in UTC (RFC 3339), lengths are whole milliseconds, foreign text is kept as it came.
//! Fields may be added within version 1; a changed meaning gets a new version.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::run::event::{Claim, Direction, End, Fingerprint, Grip, Mode};
use crate::run::{Facts, Fault, Verdict};
use crate::runbook::{TriggerAction, Var};

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// The post-mortem of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub v: u32,
    pub runbook: About,
    pub run: Run,
    pub window: Window,
    pub targets: Vec<Target>,
    /// In the order of the runbook, once per leg; a phase never entered has no times.
    pub phases: Vec<Phase>,
    /// In the order of the runbook, once per leg.
    pub steps: Vec<Step>,
    /// Every attempt that failed, broke or stayed in doubt, in the order they happened.
    pub failures: Vec<Failure>,
    pub rollbacks: Vec<Rollback>,
    /// Triggers that were breached, fired or went blind.
    pub triggers: Vec<Trigger>,
    pub probes: Vec<Probe>,
    /// Every tick of a checklist, taken back ones too.
    pub answers: Vec<Answer>,
    /// Every vote, changed ones too.
    pub votes: Vec<Vote>,
    /// What was not as the runbook says.
    pub deviations: Vec<Deviation>,
    /// Commands that were refused.
    pub refusals: Vec<Refusal>,
    pub notes: Vec<Note>,
    pub criteria: Vec<Criterion>,
    pub followups: Vec<Followup>,
    /// Findings of the check that the runbook's author answered for; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
    /// The end of the journal's hash chain, so that later edits are evident to whoever holds this report.
    pub anchor: Option<Anchor>,
}

/// A finding of the check that was waived in the runbook.
#[derive(Clone, Debug, Serialize)]
pub struct Waiver {
    /// The id of the rule.
    pub rule: String,
    /// What it is about: `step backup`; empty for the whole runbook.
    pub scope: String,
    pub reason: String,
}

/// The runbook that was run.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    pub id: String,
    pub title: String,
    pub file: String,
    /// SHA-256 (hex) over the runbook and the files it names.
    pub digest: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub id: String,
    pub mode: Mode,
    pub environment: String,
    pub protected: bool,
    pub opened_by: String,
    /// Everybody who did something, in the order of their first deed.
    pub people: Vec<String>,
    /// Who typed the confirmation of a protected environment.
    pub confirmed_by: Option<String>,
    /// What `--set` changed.
    pub set: BTreeMap<String, Var>,
    /// The version of gonogo.
    pub version: String,
    /// None: it has not ended.
    pub end: Option<End>,
    /// Why it ended, or why it is held.
    pub reason: String,
    pub held: bool,
    pub legs: u32,
    /// The last rehearsal that was known when the run was opened; left out where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<Rehearsal>,
}

/// The run that the times of a rehearsal are of.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    pub run: String,
    pub at: DateTime<Utc>,
    pub environment: String,
    /// True where not a letter of the runbook changed since.
    pub same_digest: bool,
}

/// Planned against actual time of the whole.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    pub planned_start: DateTime<Utc>,
    pub planned_ms: Option<u64>,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    /// From the opening to the end, or to the last entry.
    pub took_ms: u64,
    /// The IANA name of the zone that clocks are shown in.
    pub zone: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub name: String,
    pub at: DateTime<Utc>,
    pub fingerprint: Fingerprint,
    pub grip: Grip,
}

#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    pub leg: u32,
    pub id: String,
    pub title: String,
    pub kind: &'static str,
    pub planned_start: Option<DateTime<Utc>>,
    pub planned_ms: Option<u64>,
    pub entered: Option<DateTime<Utc>>,
    pub left: Option<DateTime<Utc>>,
    pub took_ms: Option<u64>,
    /// Who signed it off before its time was over, and why.
    pub early: Option<Signed>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Signed {
    pub by: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub leg: u32,
    pub phase: String,
    pub id: String,
    pub title: String,
    pub verb: &'static str,
    pub role: Option<String>,
    /// In words: `done`, `failed`, `undone`, `pending`, `not in this environment`, …
    pub status: &'static str,
    pub planned_ms: Option<u64>,
    /// Who started the last forward attempt; of a checklist or poll, who answered it.
    pub by: Option<String>,
    pub started: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    /// Of the last forward attempt.
    pub took_ms: Option<u64>,
    /// What it took in the rehearsal; left out where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsed_ms: Option<u64>,
    /// True where it took much longer than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub much_slower: bool,
    pub attempts: u32,
    /// The facts in words, most telling first.
    pub results: Vec<String>,
    pub facts: Option<Facts>,
    pub verdict: Option<Verdict>,
    /// Who skipped it, or said how it ended, and why.
    pub claim: Option<Signed>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub seq: u64,
    pub at: DateTime<Utc>,
    pub step: String,
    pub direction: Direction,
    pub attempt: u32,
    /// `failed`, `could not run` or `in doubt`.
    pub what: &'static str,
    /// None where it is in doubt.
    pub fault: Option<Fault>,
    /// What is known of an attempt in doubt.
    pub known: Option<String>,
    pub verdict: Option<Verdict>,
    /// The statement that failed, where one did.
    pub statement: Option<String>,
    /// How a person closed an attempt in doubt.
    pub settled: Option<Settled>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Settled {
    pub claim: Claim,
    pub by: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Rollback {
    pub leg: u32,
    /// None: the undo of every done step, last first.
    pub plan: Option<String>,
    pub by: String,
    pub reason: String,
    pub planned_ms: Option<u64>,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    pub took_ms: Option<u64>,
    pub steps: Vec<RollbackStep>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RollbackStep {
    pub id: String,
    /// `done`, `failed`, `could not run`, `in doubt`, `running`, `skipped`, `failed, then skipped`, `not reached`.
    pub status: &'static str,
    pub by: Option<String>,
    pub took_ms: Option<u64>,
    /// What it took in the rehearsal; left out where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsed_ms: Option<u64>,
    /// True where it took much longer than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub much_slower: bool,
    pub attempts: u32,
    /// What it cost.
    pub loses: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Trigger {
    pub id: String,
    pub when: String,
    pub lasting_ms: u64,
    /// Whose it is: the title of a role. Left out where it is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub breaches: u32,
    pub fired: Vec<Fired>,
    pub blind: Vec<Blind>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Fired {
    pub at: DateTime<Utc>,
    pub then: TriggerAction,
    pub values: Vec<(String, f64)>,
    /// Milliseconds of countdown it gave.
    pub countdown_ms: Option<u64>,
    pub stopped_by: Option<String>,
    /// The last samples of its probes before it fired, oldest first.
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Blind {
    pub at: DateTime<Utc>,
    pub then: TriggerAction,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    pub at: DateTime<Utc>,
    pub probe: String,
    pub value: Option<f64>,
    /// Why there was no data.
    pub missing: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    pub id: String,
    pub title: String,
    pub unit: String,
    /// By phase, in the order they were first measured in.
    pub phases: Vec<(String, Stat)>,
    /// Before the first phase of kind `migrate`, within them, and after them (or after the rollback).
    pub before: Option<Stat>,
    pub during: Option<Stat>,
    pub after: Option<Stat>,
}

/// Samples of one probe over a time. The three numbers are absent where no sample was valid.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stat {
    /// Valid or not.
    pub samples: u64,
    pub no_data: u64,
    pub min: Option<f64>,
    pub median: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub at: DateTime<Utc>,
    pub step: String,
    pub ask: String,
    /// False where a tick was taken back.
    pub ticked: bool,
    pub answer: Option<String>,
    pub by: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Vote {
    pub at: DateTime<Utc>,
    pub step: String,
    pub role: String,
    pub go: bool,
    pub reason: String,
    pub by: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Deviation {
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// `skipped`, `edited`, `retried`, `signed off early`, `settled by claim`, `cancelled`, `countdown stopped`,
    /// `interrupted`, `taken up again`, `target lost`, `advance by itself`.
    pub what: &'static str,
    pub step: Option<String>,
    pub by: String,
    pub reason: String,
    /// Both texts of an edit.
    pub before: Option<String>,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    pub at: DateTime<Utc>,
    pub by: String,
    pub what: String,
    pub why: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Note {
    pub at: DateTime<Utc>,
    pub by: String,
    pub step: Option<String>,
    pub text: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Criterion {
    pub id: String,
    pub title: String,
    pub when: String,
    /// None: not judged, or not to be judged.
    pub met: Option<bool>,
    /// Why, or what was seen.
    pub detail: String,
    pub judged: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Followup {
    pub id: String,
    pub title: String,
    /// Counted from the run's end; none where it has not ended, or where the follow-up is not to be done.
    pub due: Option<DateTime<Utc>>,
    pub due_ms: u64,
    /// Why it is not to be done: `not applicable: rolled back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<String>,
    pub checklist: Vec<String>,
}

/// Where the journal's chain stood when the report was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anchor {
    pub count: u64,
    /// Hex.
    pub head: String,
}
