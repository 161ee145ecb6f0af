//! Probes and triggers. See `parse::watch`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};

use super::steps::one_of;
use super::values::{Argv, Expression, HeaderValue, Id, Length, Name, Pattern, Sql, Text, WebAddress};

/// A number, measured again and again. It has exactly one source: `prometheus`, `sql`, `http`, `log` or `run`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_source)]
pub struct Probe {
    /// A name in expressions.
    pub id: Name,
    /// What the screen and the report call it.
    pub title: Option<Text>,
    /// Its unit, such as `%`.
    pub unit: Option<Text>,
    /// How often; default 10s, at least 100ms.
    pub every: Option<Length>,
    /// How long one measurement may take; default `every`, at most 10s.
    pub timeout: Option<Length>,
    /// A second question, asked with every sample, and how much its answer must be at least. With less there is no data.
    pub traffic: Option<Traffic>,
    /// The one value that an instant query gives.
    pub prometheus: Option<Prometheus>,
    /// The first cell of the first row of one statement.
    pub sql: Option<SqlSource>,
    /// What of an answer over HTTP is the number.
    pub http: Option<HttpSource>,
    /// Lines of a followed log file: a share, or a rate.
    pub log: Option<LogSource>,
    /// The last line of a command's output that is not empty.
    pub run: Option<Argv>,
    /// The target that `sql` asks; `main`, or the only one, without it.
    pub target: Option<Id>,
}

fn one_source(schema: &mut Schema) {
    one_of(schema, &["prometheus", "sql", "http", "log", "run"]);
}

/// How much must be going on for a sample to mean something.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_question)]
pub struct Traffic {
    /// How much the answer must be at least.
    #[schemars(range(min = 0, max = 1e12))]
    pub at_least: f64,
    /// A query of the probe's own Prometheus.
    pub query: Option<Text>,
    /// The one value that an instant query gives.
    pub prometheus: Option<Prometheus>,
    /// The first cell of the first row of one statement.
    pub sql: Option<SqlSource>,
    /// What of an answer over HTTP is the number.
    pub http: Option<HttpSource>,
    /// The last line of a command's output that is not empty.
    pub run: Option<Argv>,
    /// The target that `sql` asks.
    pub target: Option<Id>,
}

fn one_question(schema: &mut Schema) {
    one_of(schema, &["query", "prometheus", "sql", "http", "run"]);
}

/// A query of Prometheus.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Prometheus {
    pub url: WebAddress,
    /// PromQL that gives exactly one value.
    pub query: Text,
}

/// A statement, or a table that also names the target it is sent to.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SqlSource {
    Text(Sql),
    Table(SqlQuestion),
}

/// A statement and the target it is sent to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SqlQuestion {
    /// The target; `main` without it.
    pub target: Option<Id>,
    pub sql: Sql,
}

/// An answer over HTTP, of which exactly one thing is the number: `json`, `latency` or `status`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_thing)]
pub struct HttpSource {
    pub url: WebAddress,
    pub headers: Option<BTreeMap<String, HeaderValue>>,
    /// A number in a JSON body, by JSON pointer: `/queue/depth`.
    #[schemars(extend("pattern" = "^(/|$)"))]
    pub json: Option<String>,
    /// Milliseconds until the body was read.
    pub latency: Option<bool>,
    /// The status of the answer.
    pub status: Option<bool>,
}

fn one_thing(schema: &mut Schema) {
    one_of(schema, &["json", "latency", "status"]);
}

/// Lines of a log file, followed from its end.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LogSource {
    /// The file.
    pub path: Text,
    /// Which lines count.
    pub matching: Pattern,
    /// Of which lines they are a share; without it, of all.
    pub of: Option<Pattern>,
    /// true: lines per second, instead of a share in percent.
    pub rate: Option<bool>,
    /// With fewer lines there is no data.
    #[schemars(range(min = 1))]
    pub at_least: Option<u32>,
    /// Over which time; default 60s.
    pub window: Option<Length>,
}

/// A condition over probes that does something when it is breached for long enough.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Trigger {
    pub id: Id,
    pub title: Option<Text>,
    /// An expression that looks at one probe or more.
    pub when: Expression,
    /// How long after the beginning of its phases it begins to judge; what was measured before does not count.
    pub after: Option<Length>,
    /// The role whose trigger it is: one of `[roles]`. The alarm and what people are told name it.
    pub owner: Option<Id>,
    /// How long it must be breached without a fine sample between; without it, one sample is enough.
    pub lasting: Option<Length>,
    /// How many numbers must have been breached in that time; default 2 with `lasting`, else 1.
    #[schemars(range(min = 1, max = 100))]
    pub samples: Option<u32>,
    /// Ids or kinds of the phases in which it is armed; without it, all.
    pub during: Option<During>,
    /// `warn` says so; `hold` also starts no further step; `rollback` also rolls back after a countdown.
    pub then: Action,
    /// The countdown of a rollback, default 15s: one key stops it.
    pub grace: Option<Length>,
    /// The rollback plan to take; without it, the undo of every step that has an effect.
    pub plan: Option<Id>,
    /// What the absence of data does. It never rolls back.
    pub missing: Option<Absence>,
    /// How long data must be absent; default 1m.
    pub missing_for: Option<Length>,
}

/// One phase, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum During {
    One(Id),
    Several(#[schemars(length(min = 1))] Vec<Id>),
}

/// What a trigger does.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Action {
    Warn,
    Hold,
    Rollback,
}

/// What the absence of data does.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Absence {
    Warn,
    Hold,
}
