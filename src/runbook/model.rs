//! The model of a runbook as the program uses it: already checked, durations resolved, templates still text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::asks::Asks;
use super::batch::Batch;
use super::channel::Channel;
use super::dump::{Backup, Restore};
use super::environment::Environment;
use super::migrations::Migrations;
use super::sql;
pub use super::waiver::{Waiver, WaiverScope};
pub use super::watch::{HttpTake, LogTake, Probe, ProbeSource, Traffic, Trigger, TriggerAction};

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
    /// The files that steps name with `file` and phases include, by their path as written: text.
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
    pub channels: Vec<Channel>,
    pub probes: Vec<Probe>,
    pub triggers: Vec<Trigger>,
    pub phases: Vec<Phase>,
    pub rollbacks: Vec<RollbackPlan>,
    pub criteria: Vec<Criterion>,
    pub followups: Vec<Followup>,
    /// Findings of the check that the author answers for.
    pub waivers: Vec<Waiver>,
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
    /// The share of its time, 0 to 1, for which the armed triggers must have had numbers for it to pass by itself.
    pub coverage: f64,
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
    /// The target that the verbs of databases work on, or that `connect` hands to a command.
    pub target: Option<String>,
    pub expect: Option<Expr>,
    /// True where the runbook says `expect = "none"`: that nothing is expected is meant.
    pub expects_nothing: bool,
    /// Rows its script may write, over all statements; more are taken back before COMMIT.
    pub max_rows: Option<u32>,
    /// Columns whose values are kept out of journal, screen and report; of its undo too.
    pub mask: Vec<String>,
    pub only_if: Option<Expr>,
    /// Environments it belongs to; empty: all.
    pub only: Vec<String>,
    pub timeout: Option<Duration>,
    /// The undo of a `migrations`: what the step recorded in the tool's table is taken out in the same transaction.
    pub unrecord: bool,
    /// How often a *failed* (never an unknown) attempt is tried again by itself.
    pub retries: u32,
    pub on_fail: OnFail,
    pub undo: Undo,
    pub trouble: Vec<Trouble>,
    pub expected_time: Option<Duration>,
    /// A file that must exist afterwards. Template.
    pub produces: Option<String>,
    /// Variables of the operator's environment that its command is given: each is an `env:NAME`.
    pub env: Vec<Secret>,
    /// A question that changes nothing, asked where its outcome is in doubt: verb, target and `expect` count.
    pub verify: Option<Box<Step>>,
    /// What a rollback plan's step costs.
    pub loses: Option<String>,
    pub line: u32,
    /// The included file that it stands in, as its path is written; none: the runbook itself.
    pub from: Option<String>,
}

/// What a step does: exactly one of these.
#[derive(Clone, Debug)]
pub enum Verb {
    Checklist(Vec<Item>),
    /// Every role says go; one no-go holds.
    Poll(Vec<String>),
    Sql(Script),
    Batch(Box<Batch>),
    /// Files of another tool, with that tool's bookkeeping.
    Migrations(Box<Migrations>),
    /// argv, never a shell. Each element a template.
    Run(Vec<String>),
    /// For pipelines: run by `bash` with errexit and pipefail. Template, values shell-quoted.
    Shell(String),
    Http(HttpCall),
    Wait(Duration),
    Notify(Notify),
    Backup(Box<Backup>),
    Restore(Box<Restore>),
}

impl Verb {
    /// The word the runbook uses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Checklist(_) => "checklist",
            Self::Poll(_) => "poll",
            Self::Sql(script) if script.file.is_some() => "file",
            Self::Sql(script) => script.asks.word().unwrap_or("sql"),
            Self::Batch(_) => "batch",
            Self::Migrations(_) => "migrations",
            Self::Run(_) => "run",
            Self::Shell(_) => "shell",
            Self::Http(_) => "http",
            Self::Wait(_) => "wait",
            Self::Notify(_) => "notify",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
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
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Of `snapshot` it is empty: the query is gonogo's own.
    pub text: String,
    pub asks: Asks,
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
    /// A JSON object with `text`, posted to a webhook; `whole`: it also says which run it is about.
    Webhook { url: Secret, text: String, whole: bool },
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
    /// SQL that takes the trouble away, sent ahead of another try where a person says so. Template.
    pub remedy: Option<SqlText>,
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
    /// The secrets that steps and channels send, rollback plans included.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let plans = self.rollbacks.iter().flat_map(|plan| &plan.steps);
        let steps = self.phases.iter().flat_map(|phase| &phase.steps).chain(plans).flat_map(Step::secrets);
        steps.chain(self.channels.iter().filter_map(Channel::secret))
    }

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

    /// The title of a role, or its id where it has none.
    pub fn role_title<'a>(&'a self, role: &'a str) -> &'a str {
        self.roles.iter().find(|(id, _)| id == role).map_or(role, |(_, title)| title.as_str())
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

impl Step {
    /// A step that does this and nothing else: no target, no expectation, no word about its undo.
    pub fn new(id: impl Into<StepId>, verb: Verb) -> Self {
        Self {
            id: id.into(),
            title: String::new(),
            role: None,
            help: None,
            verb,
            target: None,
            expect: None,
            expects_nothing: false,
            max_rows: None,
            mask: Vec::new(),
            only_if: None,
            only: Vec::new(),
            timeout: None,
            unrecord: false,
            retries: 0,
            on_fail: OnFail::default(),
            undo: Undo::default(),
            trouble: Vec::new(),
            expected_time: None,
            produces: None,
            env: Vec::new(),
            verify: None,
            loses: None,
            line: 1,
            from: None,
        }
    }

    /// `file:line` of the step; `runbook`: the name of the runbook's own file.
    pub fn place(&self, runbook: &str) -> String {
        format!("{}:{}", self.file(runbook), self.line)
    }

    /// The file that its lines are lines of.
    pub fn file<'a>(&'a self, runbook: &'a str) -> &'a str {
        self.from.as_deref().unwrap_or(runbook)
    }

    /// The secrets that it sends, its undo and its `verify` included.
    fn secrets(&self) -> Vec<&Secret> {
        let mut all: Vec<&Secret> = match &self.verb {
            Verb::Http(call) => call.headers.iter().map(|(_, secret)| secret).collect(),
            Verb::Notify(Notify::Webhook { url, .. }) => vec![url],
            _ => Vec::new(),
        };
        if let Undo::By(undo) = &self.undo {
            all.extend(undo.secrets());
        }
        all.extend(self.handed_secrets());
        all.extend(self.verify.iter().flat_map(|verify| verify.secrets()));
        all
    }

    /// True where running it may change something that only the runbook knows how to take back.
    pub fn changes(&self) -> bool {
        match &self.verb {
            Verb::Sql(script) => script.asks.is_rows() && !sql::only_reads(&script.text),
            Verb::Batch(_) | Verb::Migrations(_) | Verb::Run(_) | Verb::Shell(_) => true,
            Verb::Http(call) => !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS"),
            Verb::Checklist(_) | Verb::Poll(_) | Verb::Wait(_) | Verb::Notify(_) | Verb::Backup(_) => false,
            Verb::Restore(_) => true,
        }
    }
}
