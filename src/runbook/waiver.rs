//! The model of a waiver: a finding of the check that its author has seen and answers for.

/// Says of findings that they are meant. Journaled with the runbook, printed in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The id of the rule.
    pub rule: String,
    pub scope: WaiverScope,
    /// Why it is right here; never empty.
    pub reason: String,
    /// 1-based line of the runbook.
    pub line: u32,
}

/// What a waiver is about: ids of the runbook, or a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaiverScope {
    Runbook,
    /// A step, its undo and its `verify`.
    Step(String),
    /// A phase and its steps.
    Phase(String),
    Probe(String),
    Trigger(String),
    /// The path as the runbook writes it.
    File(String),
}

impl WaiverScope {
    /// `step backup`; empty for the whole runbook.
    pub fn words(&self) -> String {
        let (what, name) = match self {
            Self::Runbook => return String::new(),
            Self::Step(name) => ("step", name),
            Self::Phase(name) => ("phase", name),
            Self::Probe(name) => ("probe", name),
            Self::Trigger(name) => ("trigger", name),
            Self::File(name) => ("file", name),
        };
        format!("{what} {name}")
    }
}
