//! The head of a runbook: format, names, window, roles, variables, channels, environments. See `parse::head`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::channels::Channel;
use super::ending::{Criterion, Followup, Rollback, Waiver};
use super::phases::Phase;
use super::values::{DatabaseAddress, Id, Length, Text};
use super::watch::{Probe, Trigger};

/// One maintenance window of gonogo: see docs/language.md.
#[derive(JsonSchema)]
#[schemars(title = "gonogo runbook", deny_unknown_fields)]
pub struct Runbook {
    /// The version of the language: always 1.
    #[schemars(extend("const" = 1))]
    pub format: u32,
    /// The runbook's id.
    pub id: Id,
    /// What it is called on screen and in the report. Without it, the id.
    pub title: Option<Text>,
    /// A file that the report is written to when the run is over: a new file in the folder the run was opened in;
    /// a rehearsal of `report.md` writes `report.rehearsal.md`.
    pub report: Option<Text>,
    /// When the window starts, how long it lasts, in which zone clocks are shown.
    pub window: Option<Window>,
    /// Who takes part: the role's id and what it is called. A step names the role that does it, a poll those it asks.
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}))]
    pub roles: Option<BTreeMap<String, String>>,
    /// Variables with their defaults: texts, numbers, true or false. `--set NAME=VALUE` overrides them.
    #[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}))]
    pub vars: Option<BTreeMap<String, Variable>>,
    /// Named places where people are told.
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}))]
    pub channels: Option<BTreeMap<String, Channel>>,
    /// Where it can run: each environment has its databases.
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}))]
    pub environments: Option<BTreeMap<String, Environment>>,
    /// Numbers, measured again and again.
    pub probe: Option<Vec<Probe>>,
    /// Conditions over probes that do something when they are breached for long enough.
    pub trigger: Option<Vec<Trigger>>,
    /// The timed parts of the window, in order.
    #[schemars(length(min = 1))]
    pub phase: Vec<Phase>,
    /// Named ways back. Without one, a rollback is the undo of every step that has an effect, the last first.
    pub rollback: Option<Vec<Rollback>>,
    /// Judged when the run ends, and printed in the report.
    pub criterion: Option<Vec<Criterion>>,
    /// What remains to be done after the window.
    pub followup: Option<Vec<Followup>>,
    /// Findings of the check that are meant, each with its reason.
    pub waive: Option<Vec<Waiver>>,
}

/// When the window is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Window {
    /// When it starts: a TOML date with its time, written without quotes. With an offset (`2024-01-31T08:00:00Z`), or local to
    /// `zone`. Left out, it starts when the run does. (Editors hand dates to a schema as texts, hence the type.)
    #[schemars(extend(
        "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
    ))]
    pub starts: Option<String>,
    /// How long it lasts.
    pub lasts: Option<Length>,
    /// The zone of its clocks, such as `Europe/Berlin`. Without it, UTC.
    #[schemars(extend("examples" = ["Europe/Berlin", "UTC"]))]
    pub zone: Option<Text>,
}

/// The default of a variable; it says of which type the variable is.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Variable {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// An environment: staging, production.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Environment {
    /// The operator types the database's name before the first step; rehearsals are refused.
    pub protected: Option<bool>,
    /// How many different people must approve this very runbook before a live run is opened: two or more.
    #[schemars(range(min = 0, max = 99))]
    pub approvals: Option<u32>,
    /// `required`: a live run wants a rehearsal of this very runbook that came to its good end. Default `told`.
    pub rehearsal: Option<Rehearsal>,
    /// Names of columns that every step masks here.
    #[schemars(length(min = 1))]
    pub mask: Option<Vec<Text>>,
    /// Its databases by name. Steps that name none work on `main`.
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}))]
    pub targets: Option<BTreeMap<String, TargetEntry>>,
}

/// Whether a live run wants a rehearsal, or only says whether there was one.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Rehearsal {
    Required,
    Told,
}

/// A database: its address, or a table with `url` and how it is to be treated.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum TargetEntry {
    Address(DatabaseAddress),
    Table(Target),
}

/// A database and how it is to be treated.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Target {
    /// Its address.
    pub url: DatabaseAddress,
    /// How long one statement waits for a lock; default 3s.
    pub lock_timeout: Option<Length>,
    /// How long one statement may take; default 5m.
    pub statement_timeout: Option<Length>,
    /// How often a script is tried within one attempt when it got no lock in time; default 5.
    #[schemars(range(min = 1, max = 100))]
    pub lock_tries: Option<u32>,
    /// How many sessions may wait behind a script, and for how long, before it is taken back and tried later.
    pub max_blocked: Option<MaxBlocked>,
    /// `found`: a ledger is used where somebody made one. `create`: it is made at the first contact. `never`.
    pub ledger: Option<LedgerUse>,
    /// true: other runs that say so too may work on this database at the same time.
    pub concurrent: Option<bool>,
}

/// How many sessions may wait behind a script, and for how long the first of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MaxBlocked {
    /// Default 20.
    #[schemars(range(min = 1, max = 100_000))]
    pub sessions: Option<u32>,
    /// Default 5s.
    pub lasting: Option<Length>,
}

/// Whether the target's ledger is used.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum LedgerUse {
    Found,
    Create,
    Never,
}
