//! A database's refusal, taken apart into fields: the only form in which an error of the driver travels on.

use crate::run::Fault;
use crate::run::facts::Effect;

/// One error, field by field. The driver's own text is never printed: it names lines of the server's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    /// `ERROR`, `FATAL`, …; empty where it is not the server that speaks.
    pub severity: &'static str,
    pub message: String,
    /// SQLSTATE, or SQLite's extended result code.
    pub code: Option<String>,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character in the statement that was sent.
    pub position: Option<u32>,
    /// The connection is gone or can no longer be trusted: what the server did is not known from here.
    pub lost: bool,
}

impl Problem {
    /// A connection that ended, in our own words.
    pub fn lost(message: impl Into<String>) -> Self {
        Self { message: message.into(), lost: true, ..Self::default() }
    }

    /// Something the driver refused by itself; the connection is still good.
    pub fn own(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// `ERROR: relation "x" does not exist`
    pub fn summary(&self) -> String {
        if self.severity.is_empty() { self.message.clone() } else { format!("{}: {}", self.severity, self.message) }
    }

    /// The summary with its code, for places that have one line only.
    pub fn words(&self) -> String {
        match &self.code {
            Some(code) => format!("{} ({code})", self.summary()),
            None => self.summary(),
        }
    }

    pub fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// As a fault of statement `statement` (1-based; none where it was no statement of the script).
    pub fn fault(&self, statement: Option<u32>, effect: Effect, safe: impl Into<String>) -> Fault {
        Fault {
            summary: self.summary(),
            sqlstate: self.code.clone(),
            detail: self.detail.clone(),
            hint: self.hint.clone(),
            statement,
            position: statement.and(self.position),
            safe: safe.into(),
            effect,
            ..Fault::default()
        }
    }
}
