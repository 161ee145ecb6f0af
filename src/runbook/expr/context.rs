//! The names that expressions and templates see: variables, the run, targets, probes, facts of steps.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};
use serde::Serialize;

use super::syntax::{Part, Reference};
use super::{ExprError, Place, render, veil};
use crate::runbook::{Runbook, StepId, Var};

/// What `run.…` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunNames {
    pub id: String,
    pub environment: String,
    /// `live` or `rehearsal`.
    pub mode: String,
    pub operator: String,
}

/// The names of `run`.
pub const RUN_NAMES: &[&str] = &["id", "environment", "mode", "operator"];
/// The names of `target.<name>`.
pub const TARGET_NAMES: &[&str] = &["kind", "version", "host", "database", "role", "system_id", "timeline"];
/// Behind this name stand the facts of steps, by their ids.
const STEPS: &str = "steps";
/// Every name that the facts of some step can have.
pub const FACT_NAMES: &[&str] = &[
    "value", "rows", "row", "table", "plan", "affected", "batches", "notices", "exit", "stdout", "stderr", "file",
    "status", "body", "answers", "ms", "taken", "proof",
];

/// Facts that are left out of a journal where they are empty, but are there all the same.
const EMPTY_LISTS: &[&str] = &["table", "notices"];

/// What expressions see. Cheap to clone; built once per run and completed as facts come home.
#[derive(Clone, Debug, Default)]
pub struct Context {
    names: BTreeMap<String, Value>,
    steps: BTreeMap<String, Value>,
    targets: BTreeMap<String, Value>,
    /// Probes that have no number now.
    silent: BTreeSet<String>,
}

impl Context {
    /// The names of a run: its variables (those that mention the run are resolved here), the run, its probes, which
    /// have no data yet. Err: a variable that cannot be resolved.
    pub fn new(runbook: &Runbook, run: &RunNames) -> Result<Self, ExprError> {
        let mut context = Self::default();
        context.names.insert("run".into(), value_of(run));
        for (name, var) in &runbook.vars {
            let var = context.resolve_var(var)?;
            context.var(name, &var);
        }
        context.silent = runbook.probes.iter().map(|probe| probe.id.clone()).collect();
        Ok(context)
    }

    /// A variable with its templates resolved by the names that are there already.
    pub(in crate::runbook) fn resolve_var(&self, var: &Var) -> Result<Var, ExprError> {
        match var {
            Var::Text(text) if has_template(text) => Ok(Var::Text(render(text, Place::Text, self)?)),
            other => Ok(other.clone()),
        }
    }

    pub(in crate::runbook) fn var(&mut self, name: &str, var: &Var) {
        self.names.insert(name.to_owned(), value_of(var));
    }

    /// What is known of a target: the names of [`TARGET_NAMES`].
    pub fn target(&mut self, name: &str, fingerprint: &impl Serialize) {
        self.targets.insert(name.to_owned(), value_of(fingerprint));
        self.names.insert("target".into(), Value::from_pairs(self.targets.clone()));
    }

    /// The latest number of a probe. None, or no finite number: it has no data.
    pub fn probe(&mut self, id: &str, value: Option<f64>) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                self.silent.remove(id);
                self.names.insert(id.to_owned(), Value::from(value));
            }
            None => {
                self.names.remove(id);
                self.silent.insert(id.to_owned());
            }
        }
    }

    /// What a step brought home: `steps['id']`. What a mask took out of it cannot be asked for.
    pub fn step(&mut self, id: &StepId, facts: &impl Serialize) {
        let facts = value_of(facts);
        let masked = facts.get_attr(veil::MASKED).unwrap_or(Value::UNDEFINED);
        let names = complete(&facts);
        let facts = if masked.is_undefined() { Value::from_pairs(names) } else { veil::over(&id.0, names, &masked) };
        self.steps.insert(id.0.clone(), facts);
    }

    /// What the step that is judged now brought home: names of their own.
    pub fn facts(&mut self, facts: &impl Serialize) {
        for name in FACT_NAMES {
            self.names.remove(*name);
        }
        self.names.extend(complete(&value_of(facts)));
    }

    pub(super) fn root(&self) -> Value {
        let mut names = self.names.clone();
        if let Some(steps) = self.steps() {
            names.insert(STEPS.into(), steps);
        }
        Value::from_pairs(names)
    }

    /// All of `steps`, put together where it is asked for: at every step it would cost the square of them.
    fn steps(&self) -> Option<Value> {
        (!self.steps.is_empty()).then(|| Value::from_pairs(self.steps.clone()))
    }

    pub(super) fn is_silent(&self, name: &str) -> bool {
        self.silent.contains(name)
    }

    /// The value of a reference, as far as it can be told without evaluating. None: a part is computed.
    pub(super) fn look_up(&self, reference: &Reference) -> Option<Value> {
        let known = if reference.root == STEPS { self.steps() } else { self.names.get(&reference.root).cloned() };
        let mut value = known.unwrap_or(Value::UNDEFINED);
        for part in &reference.path {
            value = match part {
                Part::Name(name) => value.get_attr(name).unwrap_or(Value::UNDEFINED),
                Part::Index(index) => value.get_item(&Value::from(*index)).unwrap_or(Value::UNDEFINED),
                Part::Computed => return None,
            };
        }
        Some(value)
    }
}

fn value_of(data: &impl Serialize) -> Value {
    Value::from(Serde(data))
}

/// True where a text has something to resolve.
pub(in crate::runbook) fn has_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

fn complete(facts: &Value) -> BTreeMap<String, Value> {
    let mut names: BTreeMap<String, Value> = BTreeMap::new();
    if facts.kind() == ValueKind::Map
        && let Ok(keys) = facts.try_iter()
    {
        for key in keys {
            if let (Some(name), Ok(value)) = (key.as_str(), facts.get_item(&key)) {
                names.insert(name.to_owned(), value);
            }
        }
    }
    names.remove(veil::MASKED);
    for name in EMPTY_LISTS {
        names.entry((*name).into()).or_insert_with(|| Value::from(Vec::<Value>::new()));
    }
    names.entry("answers".into()).or_insert_with(|| Value::from_pairs(BTreeMap::<String, Value>::new()));
    names
}
