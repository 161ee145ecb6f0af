//! What is noted while reading, to be checked once everything is read: expressions, templates, SQL, and where they stand.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::runbook::expr::{Part, Place};
use crate::runbook::text::Located;

/// What an expression or template may mention, which depends on where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runbook) enum Owner {
    /// An address of a target: variables and the run.
    Target,
    /// A probe's source: targets too.
    Probe,
    /// Triggers and criteria: probes and every step.
    Watch,
    /// A step of a phase, by its id: probes and the steps before it.
    Step(String),
    /// The undo of a step: also the step itself.
    Undo(String),
    /// A step of a rollback plan: every step of the phases, and those before it in its plan.
    Plan { plan: String, step: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runbook) enum FormulaKind {
    Expression,
    Template(Place),
    /// A template of SQL, whose dialect is known only with its target.
    Sql,
}

/// An expression or template, to be checked once everything is read.
pub(in crate::runbook) struct Formula {
    pub text: Located,
    pub kind: FormulaKind,
    pub owner: Owner,
    /// The facts that are names of their own here, with the verb that brings them home.
    pub facts: Option<(&'static str, &'static [&'static str])>,
}

/// SQL, to be split and judged once everything is read.
pub(in crate::runbook) struct Script {
    pub text: Located,
    pub transaction: bool,
    pub target: Option<String>,
    /// Environments it runs in; empty: all.
    pub only: Vec<String>,
    pub wants: Wants,
}

/// What a piece of SQL has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runbook) enum Wants {
    Statements,
    One,
    /// One statement, which only reads.
    Decides,
    /// One query, which only reads.
    Query,
    /// A part of a statement of ours.
    Fragment,
}

/// Every text of the tree, with its place.
pub(in crate::runbook) fn every_text(table: &DeTable<'_>) -> Vec<Located> {
    let mut texts = Vec::new();
    let mut open: Vec<(&DeValue<'_>, Range<usize>)> = Vec::new();
    open.extend(table.values().map(|value| (value.get_ref(), value.span())));
    while let Some((value, span)) = open.pop() {
        match value {
            DeValue::String(text) => texts.push(Located { text: text.to_string(), file: None, span }),
            DeValue::Array(items) => open.extend(items.iter().map(|item| (item.get_ref(), item.span()))),
            DeValue::Table(table) => open.extend(table.values().map(|value| (value.get_ref(), value.span()))),
            _ => {}
        }
    }
    texts
}

/// True where a path of a reference is that one name.
pub(in crate::runbook) fn names(part: Option<&Part>) -> Option<&str> {
    match part {
        Some(Part::Name(name)) => Some(name),
        _ => None,
    }
}
