//! Expressions and templates: one engine (Jinja), strict about undefined names, pure, bounded.

mod context;
mod engine;
mod escape;
mod plan;
mod strict;
mod syntax;
#[cfg(test)]
mod tests;
mod veil;

use std::collections::BTreeSet;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind};

pub(super) use context::has_template;
pub use context::{Context, FACT_NAMES, RUN_NAMES, RunNames, TARGET_NAMES};
pub use escape::Place;
pub(super) use syntax::layout;
pub use syntax::{Flaw, Part, Reference};

use super::{Expr, Runbook, Secret};

/// Why an expression or template has no result. Never a "no": whoever judges by it must say "not judged".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    #[error("{}: {}", .0.message, .0.hint)]
    Syntax(Flaw),
    /// Probes that have no number now.
    #[error("no data for {}", .0.join(", "))]
    NoData(Vec<String>),
    /// Names that have no value: a fact the step did not bring home, a step that did not run.
    #[error("nothing there for {}", .0.join(", "))]
    Absent(Vec<String>),
    #[error("the result is {0}, not true or false")]
    NotBoolean(String),
    #[error("{0}")]
    Failed(String),
}

/// True or false. Err where it cannot be judged: a syntax error, absent data, a comparison of unlike things,
/// a result that is something else.
pub fn eval_bool(expr: &Expr, context: &Context) -> Result<bool, ExprError> {
    let source = expr.source.as_str();
    let parsed = syntax::expression(source).map_err(ExprError::Syntax)?;
    silence(&parsed.references, context)?;
    let evaluated = veil::watched(|| engine::value(&parsed, source, context.root()));
    let value = unveiled(evaluated, source, &parsed.references, context)?;
    match value.kind() {
        ValueKind::Bool => Ok(value.is_true()),
        _ => Err(ExprError::NotBoolean(engine::describe(&value))),
    }
}

/// True for words of [`ExprError::Absent`] that hold nothing but names out of `source`.
pub fn names_alone(words: &str, source: &str) -> bool {
    let names = words.strip_prefix("nothing there for `").and_then(|names| names.strip_suffix('`'));
    names.is_some_and(|names| names.split("`, `").all(|name| source.contains(name)))
}

/// The names an expression mentions with the values they have: `value = 51, error_rate = 0.4`.
/// Holds foreign text: clean it before it is shown.
pub fn explain(expr: &Expr, context: &Context) -> String {
    let source = expr.source.as_str();
    let Ok(parsed) = syntax::expression(source) else {
        return String::new();
    };
    let mut parts: Vec<String> = Vec::new();
    // A whole plan is no word in a sentence: the result shows it.
    for reference in parsed.references.iter().filter(|one| one.root != syntax::PLAN) {
        let name = source.get(reference.at.clone()).unwrap_or(&reference.root);
        let part = if context.is_silent(&reference.root) {
            format!("{name} = no data")
        } else if let Some(value) = context.look_up(reference) {
            format!("{name} = {}", escape::shown(&value))
        } else {
            continue;
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

/// The text of a template, each value escaped for the place where the text will stand.
pub fn render(template: &str, place: Place, context: &Context) -> Result<String, ExprError> {
    if !has_template(template) {
        return Ok(template.to_owned());
    }
    let parsed = syntax::template(template, place == Place::Url).map_err(ExprError::Syntax)?;
    silence(&parsed.references, context)?;
    let evaluated = veil::watched(|| engine::text(&parsed, template, context.root(), place));
    unveiled(evaluated, template, &parsed.references, context)
}

/// A secret's plain text with its templates resolved; names of secrets stay as they are.
pub fn render_secret(secret: &Secret, context: &Context) -> Result<Secret, ExprError> {
    match secret {
        Secret::Plain(text) if text.starts_with("sqlite:") => Ok(Secret::Plain(render(text, Place::Text, context)?)),
        Secret::Plain(text) => Ok(Secret::Plain(render(text, Place::Url, context)?)),
        other => Ok(other.clone()),
    }
}

/// The probes an expression looks at, in the order of the runbook.
pub fn probe_names(expr: &Expr, runbook: &Runbook) -> Vec<String> {
    let Ok(parsed) = syntax::expression(&expr.source) else { return Vec::new() };
    let roots: BTreeSet<&str> = parsed.references.iter().map(|one| one.root.as_str()).collect();
    let probes = runbook.probes.iter().filter(|probe| roots.contains(probe.id.as_str()));
    probes.map(|probe| probe.id.clone()).collect()
}

/// True where the expression mentions that name (`exit`, `error_rate`, `steps`).
pub fn mentions(expr: &Expr, name: &str) -> bool {
    syntax::expression(&expr.source).is_ok_and(|parsed| parsed.references.iter().any(|one| one.root == name))
}

/// What a check needs of an expression: the names it mentions. Err: what is wrong with it.
pub(super) fn expression_names(source: &str) -> Result<Vec<Reference>, Flaw> {
    syntax::expression(source).map(|parsed| parsed.references)
}

/// What a check needs of a template.
pub(super) struct TemplateNames {
    pub references: Vec<Reference>,
    /// Each `{{ … }}`: the bytes of its expression, and the name where it is nothing but one.
    pub emits: Vec<(std::ops::Range<usize>, Option<String>)>,
}

pub(super) fn template_names(source: &str) -> Result<TemplateNames, Flaw> {
    syntax::template(source, false).map(|parsed| TemplateNames { references: parsed.references, emits: parsed.emits })
}

/// Three-valued: what looks at a probe without data is neither true nor false.
fn silence(references: &[Reference], context: &Context) -> Result<(), ExprError> {
    let mut silent: Vec<String> = Vec::new();
    for reference in references.iter().filter(|one| context.is_silent(&one.root)) {
        if !silent.contains(&reference.root) {
            silent.push(reference.root.clone());
        }
    }
    if silent.is_empty() { Ok(()) } else { Err(ExprError::NoData(silent)) }
}

/// A result that asked for nothing masked. A masked name that stands there as such is told like any other that is absent.
fn unveiled<T>(
    (result, masked): (Result<T, Error>, Option<String>),
    source: &str,
    references: &[Reference],
    context: &Context,
) -> Result<T, ExprError> {
    let result = result.map_err(|error| failure(&error, source, references, context));
    match (result, masked) {
        (Err(ExprError::Absent(names)), _) if !names.is_empty() => Err(ExprError::Absent(names)),
        (_, Some(words)) => Err(ExprError::Failed(words)),
        (result, None) => result,
    }
}

fn failure(error: &Error, source: &str, references: &[Reference], context: &Context) -> ExprError {
    if error.kind() == ErrorKind::UndefinedError {
        let absent = references
            .iter()
            .filter(|one| context.look_up(one).is_some_and(|value| value.is_undefined()))
            .map(|one| format!("`{}`", source.get(one.at.clone()).unwrap_or(&one.root)))
            .collect();
        return ExprError::Absent(absent);
    }
    if error.kind() == ErrorKind::OutOfFuel {
        return ExprError::Failed("it takes too long to work out".into());
    }
    let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    ExprError::Failed(words)
}
