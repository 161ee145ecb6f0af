//! What a rule is: an id that never changes, how grave it is, why, and what to do instead. And the table of all of them.

use crate::runbook::Tone;

use super::{book, refused, shell, sql, waive};

/// How grave a finding is. Errors stop a run on a protected environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Wrong more often than not.
    Warning,
    /// Certainly wrong, or a check that cannot fail.
    Error,
}

impl Severity {
    /// `error`, `warning`, `note`: also the levels of SARIF.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Note => Tone::Note,
            Self::Warning => Tone::Warning,
            Self::Error => Tone::Error,
        }
    }
}

/// One rule of the check.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, the same in every version.
    pub id: &'static str,
    pub severity: Severity,
    /// Why it is a mistake, in one line.
    pub reason: &'static str,
    /// What to do instead, in one line.
    pub recipe: &'static str,
}

impl Rule {
    pub(super) const fn error(id: &'static str, reason: &'static str, recipe: &'static str) -> Self {
        Self { id, severity: Severity::Error, reason, recipe }
    }

    pub(super) const fn warning(id: &'static str, reason: &'static str, recipe: &'static str) -> Self {
        Self { id, severity: Severity::Warning, reason, recipe }
    }

    pub(super) const fn note(id: &'static str, reason: &'static str, recipe: &'static str) -> Self {
        Self { id, severity: Severity::Note, reason, recipe }
    }
}

/// Every rule, those of a family together.
pub fn rules() -> Vec<&'static Rule> {
    [refused::RULES, waive::RULES]
        .into_iter()
        .chain(book::rules())
        .chain(sql::rules())
        .chain(shell::rules())
        .flatten()
        .copied()
        .collect()
}

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().into_iter().find(|rule| rule.id == id)
}
