//! What stands under a step's verbs. See `parse::verbs`, `parse::batch`, `parse::verify`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};

use super::steps::one_of;
use super::values::{Argv, Expression, HeaderValue, Id, Length, PlainWebAddress, Sql, Text, WebAddress};

/// An item of a checklist: a text that is ticked, or a question that wants words.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Item {
    Tick(Text),
    Question(Question),
}

/// An item of a checklist that may want words.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub ask: Text,
    /// `required`: words must be typed.
    pub answer: Option<Answer>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Answer {
    Required,
}

/// A request: a bare address is a GET.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Http {
    Get(PlainWebAddress),
    Call(HttpCall),
}

/// A request over HTTP.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HttpCall {
    pub url: PlainWebAddress,
    /// Default GET.
    pub method: Option<Method>,
    pub headers: Option<BTreeMap<String, HeaderValue>>,
    /// What is sent; values of `{{ … }}` are written as JSON where the body is JSON.
    pub body: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// Tells somebody: a bare text goes into the run's own output.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Notify {
    Text(Text),
    To(NotifyTo),
}

/// Whom to tell: a channel by its name, a webhook gets JSON with `text`, a command gets the text on its standard input.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_receiver)]
pub struct NotifyTo {
    /// What is said.
    pub text: Text,
    /// One of `[channels]`.
    pub channel: Option<Id>,
    pub webhook: Option<WebAddress>,
    pub command: Option<Argv>,
}

fn one_receiver(schema: &mut Schema) {
    one_of(schema, &["channel", "webhook", "command"]);
}

/// A large table worked through by ranges of its key, each in a transaction of its own. Has `set` or `delete`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_work)]
pub struct Batch {
    /// A name as in SQL: `scores`, `app.scores`.
    pub table: Text,
    /// The one column of its primary key.
    pub key: Text,
    /// Assignments as behind SET.
    pub set: Option<Sql>,
    /// true: the rows are deleted.
    pub delete: Option<bool>,
    /// Which rows it is about; without it, all.
    #[schemars(rename = "where")]
    pub filter: Option<Sql>,
    /// How many keys one batch looks at; default 1000.
    pub size: Option<Size>,
    /// Between two batches that wrote something.
    pub pause: Option<Length>,
    /// The limits of the database's health beyond which no batch begins, or `off`.
    pub health: Option<Health>,
    /// A query that must answer 0 at the end.
    pub complete: Option<Sql>,
    /// true says that `where` leaves out the rows that are done.
    pub repeatable: Option<bool>,
}

fn one_work(schema: &mut Schema) {
    one_of(schema, &["set", "delete"]);
}

/// Limits of the database's health, or `off`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Health {
    Off(Off),
    Limits(Limits),
}

/// What is switched off.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Off {
    Off,
}

/// Beyond one of these no batch begins. Each may be `off`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// How far the slowest standby may be behind; default 10s.
    pub lag: Option<LengthOrOff>,
    /// Sessions of the database that wait for a lock; default 10.
    pub lock_waiters: Option<CountOrOff>,
    /// The age of the oldest transaction of the database; default 30m.
    pub oldest_transaction: Option<LengthOrOff>,
}

/// A length of time, or `off`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum LengthOrOff {
    Length(Length),
    Off(Off),
}

/// A whole number, or `off`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum CountOrOff {
    Count(#[schemars(range(min = 0, max = 100_000))] u32),
    Off(Off),
}

/// A number of keys, a template over variables, or bounds of a size that follows the time batches take.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Size {
    Keys(#[schemars(range(min = 1))] u64),
    Template(#[schemars(extend("pattern" = "\\{\\{|^\\s*[0-9]+\\s*$"))] String),
    Tuned(Tuned),
}

/// A size that follows the time that batches take.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tuned {
    /// How long a batch should take.
    pub aim: Length,
    #[schemars(range(min = 1))]
    pub start: Option<u64>,
    #[schemars(range(min = 1))]
    pub min: Option<u64>,
    #[schemars(range(min = 1))]
    pub max: Option<u64>,
}

/// A question that changes nothing, asked where the outcome is in doubt, and what its answer must be if the step was done.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_ask)]
pub struct Verify {
    /// A GET.
    pub http: Option<Http>,
    /// A command that only looks.
    pub run: Option<Argv>,
    /// A query that only reads.
    pub sql: Option<Sql>,
    /// The target that `sql` asks.
    pub target: Option<Id>,
    /// What the answer must be.
    pub expect: Expression,
}

fn one_ask(schema: &mut Schema) {
    one_of(schema, &["http", "run", "sql"]);
}

/// A known problem: shown beside a failure whose text matches.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = some_help)]
pub struct Trouble {
    /// A regular expression over the text of the error.
    #[schemars(rename = "match")]
    pub matching: super::values::Pattern,
    pub cause: Option<Text>,
    pub fix: Option<Text>,
    /// Takes the problem away: an action where the step is `sql` or `file` itself, else for the operator to read.
    pub sql: Option<Text>,
}

fn some_help(schema: &mut Schema) {
    schema.insert("anyOf".into(), serde_json::json!([{ "required": ["cause"] }, { "required": ["fix"] }]));
}
