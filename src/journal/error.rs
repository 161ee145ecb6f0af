//! What can go wrong with a journal, in words: what failed, where, what is safe, what to do next.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Holder;
use crate::run::clean;

/// Runs named in a message; more are only counted.
const NAMED: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    /// `code` is SQLite's extended result code, where there is one.
    #[error("the journal {}: cannot {what}: {message}{}", shown(.db), code_words(*.code))]
    Database { db: PathBuf, what: &'static str, code: Option<i32>, message: String },
    #[error(
        "the journal {} is full: the disk, a quota or a limit on the size of files leaves no room; nothing new was started and \
         nothing is lost. Make room (at least 2 MiB), then `gonogo resume`",
        shown(.db)
    )]
    Full { db: PathBuf },
    #[error("{} is refused: {why}", shown(.path))]
    Refused { path: PathBuf, why: String },
    #[error(
        "{} lies on {kind}, where locks and syncs cannot be trusted: name a folder on a local disk with --journal or GONOGO_JOURNAL",
        shown(.path)
    )]
    Network { path: PathBuf, kind: &'static str },
    #[error("run {run} is being run by {holder}: `gonogo watch {run}` looks on, only that engine writes")]
    Held { run: String, holder: Holder },
    #[error(
        "another engine has taken run {run} over (this one was epoch {epoch}): nothing was written, this engine must start nothing more"
    )]
    Stale { run: String, epoch: u64 },
    #[error(
        "the journal writer stopped after an earlier error: nothing more is written until `gonogo resume` has checked the journal"
    )]
    Poisoned,
    #[error("{0}")]
    Bad(#[from] BadEntry),
    #[error(
        "the journal {} is in format {format}, written by gonogo {program}; this is gonogo {}, which reads format {}: read it with \
         gonogo {program} or newer",
        shown(.db), env!("CARGO_PKG_VERSION"), crate::run::event::FORMAT
    )]
    Format { db: PathBuf, format: i64, program: String },
    #[error("{} is not a journal of gonogo: {why}", shown(.db))]
    NotAJournal { db: PathBuf, why: String },
    #[error("an event of kind `{kind}` was not written, for it could not be read back: {why}")]
    Unstorable { kind: String, why: String },
    #[error("`{}` cannot name a run: letters, digits, `-`, `_` and `.` only, at most 80, no leading dot", clean::line(.0, 100))]
    RunName(String),
    #[error("a run {run} exists already in {}", shown(.home))]
    Exists { run: String, home: PathBuf },
    #[error("there is no run `{}` in {}{}", clean::line(.name, 100), shown(.home), known_words(.known))]
    Unknown {
        name: String,
        home: PathBuf,
        /// Newest first where that was known.
        known: Vec<String>,
    },
    #[error("several runs have a living engine, name one: {}", list_words(.runs))]
    SeveralAlive { runs: Vec<String> },
    #[error("`{}` is the start of several runs: {}", clean::line(.name, 100), list_words(.candidates))]
    Ambiguous { name: String, candidates: Vec<String> },
}

/// The first entry that does not prove itself; those before it do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the journal is bad: {why}. {}", good_words(*.seq))]
pub struct BadEntry {
    pub seq: u64,
    pub why: String,
    /// True where its hash is right and only this program cannot read it.
    pub foreign: bool,
}

impl BadEntry {
    pub(super) fn new(seq: u64, why: impl Into<String>) -> Self {
        Self { seq, why: why.into(), foreign: false }
    }
}

impl JournalError {
    /// Where an entry cannot be read only by this program, the one that can is named.
    pub(super) fn written_by(self, program: &str) -> Self {
        match self {
            Self::Bad(bad) if bad.foreign => {
                let why = format!("{}. The journal was last written by gonogo {}", bad.why, clean::line(program, 40));
                Self::Bad(BadEntry { why, ..bad })
            }
            other => other,
        }
    }

    /// `what` completes "cannot …".
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(super) fn refused(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Refused { path: path.into(), why: why.into() }
    }

    /// True where the disk has no room: made room helps, nothing else is wrong.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// A path as one harmless line.
pub(super) fn shown(path: &Path) -> String {
    clean::line(&path.display().to_string(), 300)
}

fn code_words(code: Option<i32>) -> String {
    code.map_or_else(String::new, |code| format!(" (SQLite {code})"))
}

fn good_words(seq: u64) -> String {
    match seq {
        0 | 1 => "Nothing before it can be relied on".to_owned(),
        2 => "Entry 1 is good".to_owned(),
        _ => format!("Entries 1 to {} are good", seq - 1),
    }
}

fn known_words(known: &[String]) -> String {
    if known.is_empty() {
        return ", which holds no run yet".to_owned();
    }
    format!("; known are {} (`gonogo runs`)", list_words(known))
}

fn list_words(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| clean::line(name, 100)).collect();
    let mut words = shown.join(", ");
    if names.len() > NAMED {
        // Writing into a String cannot fail.
        let _ = write!(words, " and {} more", names.len() - NAMED);
    }
    words
}
