//! The model of a runbook as the program uses it: already checked, durations resolved, templates still text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::sql::{self, Dialect};

/// The stable name of a step. Selection, undo, attempts and replay go by it, never by position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A runbook's text with every file it names, as they were read: what a run journals first and re-reads ever after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The name shown in messages, as given on the command line (`runbooks/demo/runbook.toml`).
    pub name: String,
    /// The text of the runbook.
    pub text: String,
    /// The folder that relative paths of `run` and `shell` steps start from (absolute).
    pub folder: String,
    /// The files that steps name with `file`, by their path as written: text.
    pub files: BTreeMap<String, String>,
    /// SHA-256 (hex) over the text and all files.
    pub digest: String,
}

/// One maintenance window.
#[derive(Clone, Debug, Default)]
pub struct Runbook {
    pub id: String,
    pub title: String,
    pub window: Window,
    /// Role id and its title, in the order of the file.
    pub roles: Vec<(String, String)>,
    /// Every variable with its value (the default, or what `--set` said), in the order of the file.
    pub vars: Vec<(String, Var)>,
    pub environments: Vec<Environment>,
    pub probes: Vec<Probe>,
    pub triggers: Vec<Trigger>,
    pub phases: Vec<Phase>,
    pub rollbacks: Vec<RollbackPlan>,
    pub criteria: Vec<Criterion>,
    pub followups: Vec<Followup>,
    /// A file the report is written to when the run ends; relative to the folder the run was opened in.
    pub report: Option<String>,
    pub source: Source,
}

/// When the window starts (none: when the run starts) and how long it lasts.
#[derive(Clone, Debug, Default)]
pub struct Window {
    pub starts: Option<DateTime<Utc>>,
    pub lasts: Option<Duration>,
    /// The zone clocks are shown in; UTC where the runbook names none.
    pub zone: Option<chrono_tz::Tz>,
}

/// The value of a variable, typed by its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Var {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Where a run happens: its targets, and how carefully it is treated.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub name: String,
    /// Wants a typed confirmation, refuses rehearsals.
    pub protected: bool,
    /// How many people must approve before a run starts.
    pub approvals: u32,
    /// Target name and how to reach it, in the order of the file.
    pub targets: Vec<(String, TargetSpec)>,
}

/// A database that steps work on.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    pub url: Secret,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    /// How often a transaction that did not get its locks in time (or was the victim of a deadlock) is tried within
    /// one attempt.
    pub lock_tries: u32,
    /// How much a statement of ours may keep others waiting before it is cancelled and tried later.
    pub max_blocked: MaxBlocked,
    pub ledger: LedgerUse,
    /// True where other runs may work on this database at the same time.
    pub concurrent: bool,
}

/// How many sessions may wait behind us, and for how long the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxBlocked {
    pub sessions: u32,
    pub lasting: Duration,
}

/// Whether gonogo keeps its ledger in a target: the rows that prove what committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerUse {
    /// Used where somebody has made one.
    #[default]
    Found,
    /// Made at the first contact where there is none: the runbook consents.
    Create,
    Never,
}

impl TargetSpec {
    /// `url` with every default.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(300),
            lock_tries: 5,
            max_blocked: MaxBlocked { sessions: 20, lasting: Duration::from_secs(5) },
            ledger: LedgerUse::Found,
            concurrent: false,
        }
    }
}

/// A secret named, never written: resolved only at the moment of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`
    File(String),
    /// `cmd:COMMAND`, run by the shell; its first line of output counts.
    Cmd(String),
    /// Text without a secret in it, such as `sqlite:demo.db` or `http://127.0.0.1:9090`. May hold a template.
    Plain(String),
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Cmd(_) => f.write_str("cmd:…"),
            Self::Plain(text) => f.write_str(text),
        }
    }
}

/// An expression (`expect`, `when`, `only_if`, `throttle`): Jinja, strict about undefined names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    pub source: String,
    /// 1-based line of the runbook.
    pub line: u32,
}

/// A number measured again and again.
#[derive(Clone, Debug)]
pub struct Probe {
    pub id: String,
    pub title: String,
    pub unit: String,
    pub every: Duration,
    /// How long one measurement may take; its end is "no data".
    pub timeout: Duration,
    pub source: ProbeSource,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub enum ProbeSource {
    Prometheus {
        url: Secret,
        query: String,
    },
    /// First cell of the first row, on a target of the environment.
    Sql {
        target: String,
        sql: String,
    },
    Http {
        url: Secret,
        headers: Vec<(String, Secret)>,
        take: HttpTake,
    },
    Log {
        path: String,
        take: LogTake,
        window: Duration,
    },
    /// The last non-empty line of a command's output, as a number.
    Run {
        argv: Vec<String>,
    },
}

/// What of an HTTP answer is the number.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpTake {
    Status,
    /// Milliseconds until the body was read.
    Latency,
    /// A JSON pointer (`/queue/depth`) into the body.
    Json(String),
}

/// What of a followed log file is the number, over the lines of the last `window`.
#[derive(Clone, Debug)]
pub enum LogTake {
    /// Percent of the lines matching `of` (every line where absent) that match `matching`. No such line: no data.
    Share { matching: String, of: Option<String> },
    /// Lines per second that match.
    Rate { matching: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerAction {
    Warn,
    Hold,
    Rollback,
}

/// A condition over probes that, breached long enough, warns, holds or rolls back.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub id: String,
    pub title: String,
    pub when: Expr,
    /// Breached all that time, not one spike.
    pub lasting: Duration,
    /// Phase ids or kinds in which it is armed; empty: all.
    pub during: Vec<String>,
    pub then: TriggerAction,
    /// The visible countdown before a rollback goes ahead.
    pub grace: Duration,
    /// What the absence of data does, after `missing_for`; none: it is only shown.
    pub missing: Option<TriggerAction>,
    pub missing_for: Duration,
    /// A named rollback plan; none: the undo of every done step, last first.
    pub plan: Option<String>,
    pub line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    Prepare,
    Migrate,
    Verify,
    Monitor,
    Followup,
}

impl PhaseKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Migrate => "migrate",
            Self::Verify => "verify",
            Self::Monitor => "monitor",
            Self::Followup => "followup",
        }
    }
}

/// Whether the operator starts each step of a phase, or only the first that needs a human.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advance {
    #[default]
    Confirm,
    Auto,
}

/// A timed part of the window.
#[derive(Clone, Debug)]
pub struct Phase {
    pub id: String,
    pub title: String,
    pub kind: PhaseKind,
    /// Planned start, from the window's start.
    pub at: Option<Duration>,
    /// Its time box; a monitor phase holds here for that long.
    pub lasts: Option<Duration>,
    pub advance: Advance,
    pub steps: Vec<Step>,
    pub line: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFail {
    #[default]
    Hold,
    Rollback,
    Continue,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub struct Step {
    pub id: StepId,
    pub title: String,
    pub role: Option<String>,
    /// Markdown, shown beside the step.
    pub help: Option<String>,
    pub verb: Verb,
    /// The target `sql` and `file` work on, or that `connect` hands to a command.
    pub target: Option<String>,
    pub expect: Option<Expr>,
    pub only_if: Option<Expr>,
    /// Environments it belongs to; empty: all.
    pub only: Vec<String>,
    pub timeout: Option<Duration>,
    /// How often a *failed* (never an unknown) attempt is tried again by itself.
    pub retries: u32,
    pub on_fail: OnFail,
    pub undo: Undo,
    pub trouble: Vec<Trouble>,
    pub expected_time: Option<Duration>,
    /// A file that must exist afterwards. Template.
    pub produces: Option<String>,
    /// What a rollback plan's step costs.
    pub loses: Option<String>,
    pub line: u32,
}

/// What a step does: exactly one of these.
#[derive(Clone, Debug)]
pub enum Verb {
    Checklist(Vec<Item>),
    /// Every role says go; one no-go holds.
    Poll(Vec<String>),
    Sql(Script),
    /// argv, never a shell. Each element a template.
    Run(Vec<String>),
    /// For pipelines: run by `bash` with errexit and pipefail. Template, values shell-quoted.
    Shell(String),
    Http(HttpCall),
    Wait(Duration),
    Notify(Notify),
}

impl Verb {
    /// The word the runbook uses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Checklist(_) => "checklist",
            Self::Poll(_) => "poll",
            Self::Sql(script) if script.file.is_some() => "file",
            Self::Sql(_) => "sql",
            Self::Run(_) => "run",
            Self::Shell(_) => "shell",
            Self::Http(_) => "http",
            Self::Wait(_) => "wait",
            Self::Notify(_) => "notify",
        }
    }

    /// True where only a human can bring the step to its end.
    pub fn is_human(&self) -> bool {
        matches!(self, Self::Checklist(_) | Self::Poll(_))
    }
}

/// A line of a checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub ask: String,
    /// True where a tick is not enough: words must be typed.
    pub answer_required: bool,
}

/// SQL, inline or from a file of the runbook's folder. The text is a template.
#[derive(Clone, Debug)]
pub struct Script {
    pub text: String,
    /// The path as written, where the text came from a file.
    pub file: Option<String>,
    /// All statements in one transaction, or each by itself.
    pub transaction: bool,
    /// 1-based line of the runbook (inline) or 1 (file) where the text starts.
    pub line: u32,
    /// Outside of a transaction: a query whose first cell is true where the effect is present and complete. Template.
    pub probe: Option<SqlText>,
    /// Outside of a transaction: clears away what a broken attempt left. Template.
    pub cleanup: Option<SqlText>,
}

/// SQL beside a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlText {
    pub text: String,
    /// 1-based line of the runbook.
    pub line: u32,
}

#[derive(Clone, Debug)]
pub struct HttpCall {
    pub method: String,
    /// Template, values percent-encoded.
    pub url: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Notify {
    /// A JSON object with `text`, posted to a webhook.
    Webhook { url: Secret, text: String },
    /// A command that gets the text on its standard input.
    Command { argv: Vec<String>, text: String },
}

/// How a step is taken back.
#[derive(Clone, Debug, Default)]
pub enum Undo {
    /// The runbook says nothing: fine for steps that change nothing, a question for others.
    #[default]
    Unsaid,
    NotNeeded,
    Irreversible,
    /// An action of its own, run as an ordinary attempt with direction undo.
    By(Box<Step>),
}

/// A known problem, matched on failure.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Regular expression over the error's text.
    pub matching: String,
    pub cause: String,
    pub fix: String,
}

/// A named way back.
#[derive(Clone, Debug)]
pub struct RollbackPlan {
    pub id: String,
    pub title: String,
    pub expected_time: Option<Duration>,
    pub steps: Vec<Step>,
    pub line: u32,
}

/// Judged at the end, printed in the report.
#[derive(Clone, Debug)]
pub struct Criterion {
    pub id: String,
    pub title: String,
    pub when: Expr,
}

/// What remains to be done after the window.
#[derive(Clone, Debug)]
pub struct Followup {
    pub id: String,
    pub title: String,
    pub due: Duration,
    pub checklist: Vec<String>,
}

impl Runbook {
    /// Every step in the order it runs, rollback plans excluded.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// The step of that name: of a phase or of a rollback plan.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps().chain(self.rollbacks.iter().flat_map(|plan| &plan.steps)).find(|step| step.id == *id)
    }

    pub fn phase_of(&self, id: &StepId) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.steps.iter().any(|step| step.id == *id))
    }

    pub fn phase(&self, id: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.id == id)
    }

    pub fn plan(&self, id: &str) -> Option<&RollbackPlan> {
        self.rollbacks.iter().find(|plan| plan.id == id)
    }

    pub fn probe(&self, id: &str) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.id == id)
    }

    pub fn trigger(&self, id: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.id == id)
    }

    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|env| env.name == name)
    }
}

impl Environment {
    /// Whose SQL a target speaks.
    pub fn dialect(&self, target: &str) -> Dialect {
        let spec = self.targets.iter().find(|(name, _)| name == target);
        spec.map_or(Dialect::Postgres, |(_, spec)| Dialect::of(&spec.url))
    }
}

impl Step {
    /// True where running it may change something that only the runbook knows how to take back.
    pub fn changes(&self) -> bool {
        match &self.verb {
            Verb::Sql(script) => !sql::only_reads(&script.text),
            Verb::Run(_) | Verb::Shell(_) => true,
            Verb::Http(call) => !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS"),
            Verb::Checklist(_) | Verb::Poll(_) | Verb::Wait(_) | Verb::Notify(_) => false,
        }
    }
}
