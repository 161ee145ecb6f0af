//! The draft before it is text: phases, steps, ways back, each with the lines of the guide it was made of.

use super::measured::Measured;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Checklist(Vec<String>),
    /// Ids of roles; none: all those of the draft.
    Poll(Vec<String>),
    Sql(String),
    File(String),
    /// A file that is not here: psql reads it.
    Psql(String),
    Shell(String),
}

impl Verb {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Checklist(_) => "checklist",
            Self::Poll(_) => "poll",
            Self::Sql(_) => "sql",
            Self::File(_) => "file",
            Self::Psql(_) => "run",
            Self::Shell(_) => "shell",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Step {
    pub id: String,
    pub title: String,
    pub help: Vec<String>,
    pub verb: Verb,
    pub expect: Option<String>,
    /// Its SQL asks something.
    pub asks: bool,
    /// It runs outside of a transaction.
    pub outside: bool,
    pub trouble: Vec<Trouble>,
    /// Other ways of doing it.
    pub others: Vec<Note>,
    /// Lines of the guide, 1-based.
    pub lines: Vec<usize>,
    /// Why it is not in the draft after all.
    pub dead: Option<String>,
}

/// A known trouble of a step.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// A regular expression. None: any error.
    pub matching: Option<String>,
    pub cause: String,
    pub fix: String,
    pub lines: Vec<usize>,
}

/// Lines of the guide that stand in the draft as a comment.
#[derive(Clone, Debug)]
pub struct Note {
    pub lines: Vec<(usize, String)>,
}

/// What must be true at the end, where a step of the draft knows it.
#[derive(Clone, Debug)]
pub struct Criterion {
    pub id: String,
    pub title: String,
    /// The step that knows it.
    pub step: String,
    pub when: String,
    pub lines: Vec<usize>,
}

/// A phase, or a way back.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub id: String,
    pub title: String,
    /// Of a phase.
    pub kind: &'static str,
    /// Minutes of the day at which it was planned to start.
    pub starts: Option<u32>,
    /// Minutes.
    pub lasts: Option<u32>,
    pub steps: Vec<Step>,
    pub lines: Vec<usize>,
    /// It says what success is.
    pub criteria: bool,
    /// It decides whether the window goes on.
    pub decides: bool,
    /// The line of the guide it was taken from, where it was behind the work that it decides about.
    pub moved: Option<usize>,
}

impl Part {
    pub fn alive(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.dead.is_none())
    }
}

#[derive(Clone, Debug)]
pub struct Followup {
    pub id: String,
    pub title: String,
    /// None: the guide does not say when.
    pub hours: Option<u32>,
    pub items: Vec<String>,
    pub lines: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Book {
    pub title: Option<String>,
    /// Id, words, line.
    pub roles: Vec<(String, String, usize)>,
    pub phases: Vec<Part>,
    pub plans: Vec<Part>,
    pub criteria: Vec<Criterion>,
    pub followups: Vec<Followup>,
    /// Triggers in words.
    pub measured: Vec<Measured>,
    /// When to go back, by the guide.
    pub reasons: Option<Note>,
    /// Lines of the title.
    pub named: Vec<usize>,
    /// Lines that went nowhere, with the reason.
    pub left: Vec<(usize, String)>,
    /// Lines whose ticks were dropped.
    pub ticks: Vec<usize>,
}

impl Book {
    /// The criteria whose step is in the draft.
    pub fn known_criteria(&self) -> impl Iterator<Item = &Criterion> {
        let alive = |id: &str| self.phases.iter().flat_map(Part::alive).any(|step| step.id == id);
        self.criteria.iter().filter(move |one| alive(&one.step))
    }
}
