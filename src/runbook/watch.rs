//! The model's eyes: probes, which measure, and triggers, which act on what was measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Expr, Secret};

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
    /// How much must go on for the number to mean something; none: it always does.
    pub traffic: Option<Traffic>,
    pub line: u32,
}

/// A second question asked with every sample: with less than that, the sample is no data.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub source: ProbeSource,
    pub at_least: f64,
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
    /// Percent of the lines matching `of` (every line where absent) that match `matching`. Fewer such lines than `at_least`
    /// (never 0): no data.
    Share { matching: String, of: Option<String>, at_least: u32 },
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
    /// How long after it was armed it begins to judge; what was measured before does not count.
    pub after: Duration,
    /// The role that whoever is told of it should call.
    pub owner: Option<String>,
    /// Breached all that time, not one spike.
    pub lasting: Duration,
    /// Breached samples of each probe it takes, however long the breach lasts; at least 1.
    pub samples: u32,
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
