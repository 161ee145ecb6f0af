//! Steps: of a phase, of a rollback plan, and the undo of a step. One table of keys, cut for each home. See `parse::steps`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::asks::{Explain, Snapshot};
use super::dump::{Backup, Restore};
use super::migrations::{Migrations, Way};
use super::values::{Argv, Expression, Id, InnerFile, Length, Sql, Text};
use super::verbs::{Batch, Http, Item, Notify, Trouble, Verify};

/// What a step may do: exactly one of them. A new verb is added here, and as a key of [`Keys`].
pub(super) const VERBS: &[&str] = &[
    "checklist",
    "poll",
    "sql",
    "file",
    "batch",
    "migrations",
    "run",
    "shell",
    "http",
    "wait",
    "notify",
    "backup",
    "restore",
    "snapshot",
    "explain",
];
/// Those that can take something back.
pub(super) const UNDO_VERBS: &[&str] = &["sql", "file", "batch", "migrations", "run", "shell", "http", "restore"];
/// Keys that belong to some verbs only.
const BELONGS: &[(&str, &[&str])] = &[
    ("target", &["sql", "file", "batch", "migrations", "backup", "restore", "snapshot", "explain"]),
    ("connect", &["run", "shell"]),
    ("transaction", &["sql", "file"]),
    ("max_rows", &["sql", "file"]),
    ("mask", &["sql", "file", "batch", "migrations"]),
    ("probe", &["sql", "file"]),
    ("cleanup", &["sql", "file"]),
    ("unrecord", &["sql", "file"]),
    ("throttle", &["batch"]),
    ("produces", &["run", "shell"]),
    ("env", &["run", "shell"]),
    ("verify", &["run", "shell", "http"]),
];
/// Keys of a phase's step that its undo has not.
const NOT_IN_UNDO: &[&str] = &["id", "title", "role", "help", "only", "only_if", "mask", "undo", "on_fail"];

/// Every key that a step has in one of its homes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Keys {
    /// Unique in the runbook. Attempts, undo and replay go by it.
    pub id: Id,
    /// What is shown. Without it, the id.
    pub title: Option<Text>,
    /// The role that does it: one of `[roles]`.
    pub role: Option<Id>,
    /// Markdown, shown beside the step.
    pub help: Option<Text>,
    /// Items that a person ticks, or answers in words.
    #[schemars(length(min = 1))]
    pub checklist: Option<Vec<Item>>,
    /// Every role named says go; one no-go holds the run.
    #[schemars(length(min = 1))]
    pub poll: Option<Vec<Id>>,
    /// Statements, in one transaction; `expect` is judged before COMMIT.
    pub sql: Option<Sql>,
    /// A file of SQL in the runbook's folder, in one transaction.
    pub file: Option<InnerFile>,
    /// A large table worked through by ranges of its key.
    pub batch: Option<Batch>,
    /// What is pending of another tool's migration files, with that tool's own books kept.
    pub migrations: Option<Migrations>,
    /// A program and its arguments; an exit status other than 0 fails the step.
    pub run: Option<Argv>,
    /// A pipeline for bash, with errexit and pipefail.
    pub shell: Option<Text>,
    /// A request.
    pub http: Option<Http>,
    /// Waits that long.
    pub wait: Option<Length>,
    /// Tells somebody.
    pub notify: Option<Notify>,
    /// Takes an archive of the target and proves it before it gets its name.
    pub backup: Option<Backup>,
    /// Puts an archive in the place of everything that the target holds: all of it or nothing.
    pub restore: Option<Restore>,
    /// Takes the inventory of the target, and compares it with an earlier one.
    pub snapshot: Option<Snapshot>,
    /// Shows the plan of one query that only reads; `expect` asks it: `uses_index('idx')`, `ms < 100`.
    pub explain: Option<Explain>,
    /// The database it works on; `main`, or the only one, without it.
    pub target: Option<Id>,
    /// Hands a target to the command: PG* variables and a private password file.
    pub connect: Option<Id>,
    /// `none`: each statement runs by itself, as `create index concurrently` and `vacuum` need it.
    pub transaction: Option<Transaction>,
    /// With transaction = "none": a query whose first cell says whether it is done.
    pub probe: Option<Sql>,
    /// With transaction = "none": sent before a retry, to clear away what a failure left.
    pub cleanup: Option<Sql>,
    /// An expression over probes: while it is true, no batch begins.
    pub throttle: Option<Expression>,
    /// A file that must exist afterwards; its size and SHA-256 become facts.
    pub produces: Option<Text>,
    /// Names of variables of your environment that the command is given.
    pub env: Option<Vec<Text>>,
    /// Over the facts it brings home. False: the step failed. `none`: nothing is expected, which a query must say.
    pub expect: Option<Expression>,
    /// Rows it may write, over all statements. More: taken back before the commit.
    pub max_rows: Option<u32>,
    /// Names of columns whose values are kept out of journal, screen and report. `expect` judges the true ones.
    #[schemars(length(min = 1))]
    pub mask: Option<Vec<Text>>,
    /// False: the step is passed over.
    pub only_if: Option<Expression>,
    /// Environments it belongs to; without it, all.
    #[schemars(length(min = 1))]
    pub only: Option<Vec<Id>>,
    /// Ends an attempt that takes longer; of a poll, how long it waits for its answers. Not for checklists.
    pub timeout: Option<Length>,
    /// How often a failed attempt is tried again by itself.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<u32>,
    /// What a failure does; default `hold`.
    pub on_fail: Option<OnFail>,
    /// How it is taken back.
    pub undo: Option<Undo>,
    /// How long it should take; shown beside the actual time.
    pub expected_time: Option<Length>,
    /// A question that is asked where the outcome is in doubt.
    pub verify: Option<Verify>,
    /// Known problems.
    pub trouble: Option<Vec<Trouble>>,
    /// true: what `migrations` recorded is forgotten in the same transaction.
    pub unrecord: Option<bool>,
    /// What this way back costs. It is shown before anybody agrees to it.
    pub loses: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Transaction {
    None,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum OnFail {
    Hold,
    Rollback,
    Continue,
}

/// How a step is taken back: a table, or one of two words.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Undo {
    Word(UndoWord),
    By(UndoStep),
}

#[derive(JsonSchema)]
pub enum UndoWord {
    #[schemars(rename = "none needed")]
    NotNeeded,
    #[schemars(rename = "irreversible")]
    Irreversible,
}

/// A step of a phase.
pub struct Step;
/// A step of a rollback plan.
pub struct RollbackStep;
/// What takes a step back.
pub struct UndoStep;

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        cut(generator, "A step of a phase. What it does is said by exactly one verb.", &["loses", "unrecord"], VERBS)
    }
}

impl JsonSchema for RollbackStep {
    fn schema_name() -> Cow<'static, str> {
        "RollbackStep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = "A step of a rollback plan. Without an id it is called after its plan.";
        let mut schema = cut(generator, words, &["undo", "on_fail", "unrecord"], VERBS);
        schema.remove("required");
        cost_of_a_restore(&mut schema);
        schema
    }
}

impl JsonSchema for UndoStep {
    fn schema_name() -> Cow<'static, str> {
        "UndoStep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let human = VERBS.iter().filter(|verb| !UNDO_VERBS.contains(verb));
        let without: Vec<&str> = NOT_IN_UNDO.iter().chain(human).copied().collect();
        let mut schema = cut(generator, "What takes a step back: exactly one verb.", &without, UNDO_VERBS);
        schema.remove("required");
        cost_of_a_restore(&mut schema);
        let down = generator.subschema_for::<Way>();
        if let Some(Value::Object(keys)) = schema.get_mut("properties") {
            keys.insert("migrations".into(), down.to_value());
        }
        schema
    }
}

/// The table of keys without some of them, with exactly one of `verbs`.
fn cut(generator: &mut SchemaGenerator, words: &str, without: &[&str], verbs: &[&str]) -> Schema {
    let mut schema = Keys::json_schema(generator);
    schema.insert("description".into(), words.into());
    if let Some(Value::Object(keys)) = schema.get_mut("properties") {
        keys.retain(|key, _| !without.contains(&key.as_str()));
    }
    one_of(&mut schema, verbs);
    let mut belongs = serde_json::Map::new();
    for (key, of) in BELONGS {
        let any: Vec<Value> = of.iter().map(|verb| json!({ "required": [verb] })).collect();
        belongs.insert((*key).to_owned(), json!({ "anyOf": any }));
    }
    schema.insert("dependentSchemas".into(), Value::Object(belongs));
    schema
}

/// A way back that is a restore says what it costs.
fn cost_of_a_restore(schema: &mut Schema) {
    if let Some(Value::Object(belongs)) = schema.get_mut("dependentSchemas") {
        belongs.insert("restore".into(), json!({ "required": ["loses"] }));
    }
}

/// Exactly one of these keys.
pub(super) fn one_of(schema: &mut Schema, keys: &[&str]) {
    let each: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
    schema.insert("oneOf".into(), Value::Array(each));
}
