//! What a step brings home: facts for expressions, text for the screen, faults with everything that is known of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::Batches;
use super::inventory::Item;
use super::migrations::FileTurn;

/// The names that `expect` and later steps see. Absent: the verb has no such thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// First cell of the last result: a number or boolean where the column is one, else text; null for NULL.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// Count of rows of the last result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// First row and first rows (`limits::TABLE_ROWS`) of the last result, by column name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub table: Vec<BTreeMap<String, Value>>,
    /// The plan of an explained query, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<String>,
    /// Rows written, over all statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<u64>,
    /// Batches committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<u64>,
    /// Migration files applied, or taken back: `table` says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileFact>,
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// HTTP body: parsed where it is JSON, else text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Answers of a checklist, by question.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    /// When a backup's snapshot was taken: ISO 8601, by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// How a backup was proven: `read` or `restored`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// What the server had counted when the snapshot was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<Box<super::dump::Counters>>,
    /// What a mask took out of them, so that whoever asks for it is told so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked: Option<Box<Masked>>,
    /// Milliseconds the attempt took.
    pub ms: u64,
    /// How its end is known, where no engine saw it: "the ledger of main has its row".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<String>,
}

impl Facts {
    /// False where the end was found out afterwards, and nobody measured how long it took.
    pub fn is_timed(&self) -> bool {
        self.ms > 0 || self.recovered.is_none()
    }

    /// True for a batch that found no row to write, in all its attempts.
    pub fn is_empty_batch(&self) -> bool {
        self.batches.is_some() && self.affected == Some(0)
    }
}

/// Keeps a JSON null (an SQL NULL) apart from an absent value.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}

/// What is not among the facts because a mask took it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Masked {
    /// True where there was a value.
    pub value: bool,
    /// Keys that are in no row.
    pub columns: BTreeSet<String>,
}

/// A file that a step promised to produce.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileFact {
    pub path: String,
    pub size: u64,
    /// Hex.
    pub sha256: String,
}

/// A piece of what a running attempt shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "chunk", rename_all = "snake_case")]
pub enum Chunk {
    /// Statement `n` (1-based) of `of` was sent.
    Statement {
        n: u32,
        of: u32,
    },
    Columns {
        n: u32,
        names: Vec<String>,
        types: Vec<String>,
    },
    /// Rows as text, as psql prints each value; null is NULL.
    Rows {
        n: u32,
        rows: Vec<Vec<Option<String>>>,
    },
    /// Statement `n` ended: rows it returned (all, kept or not) or wrote.
    StatementEnd {
        n: u32,
        rows: u64,
        affected: u64,
        ms: u64,
    },
    Notice {
        severity: String,
        text: String,
    },
    /// Output of a command (`out` or `err`), or the body of an answer.
    Text {
        stream: String,
        text: String,
    },
    /// How far a step in batches is: journaled now and then, the checkpoint is in the target.
    Batch(Box<Batches>),
    /// A transaction that was judged good and is about to be committed: journaled before COMMIT is sent. An attempt
    /// without it has never committed. `xid`: its number; none where it has none. `ledger`: its row is written with it.
    Judged {
        xid: Option<String>,
        ledger: bool,
        facts: Box<Facts>,
        verdict: Option<Verdict>,
    },
    Probed(Probed),
    /// A snapshot, whole: what a later one is compared with.
    Inventory {
        name: String,
        items: Vec<Item>,
    },
    /// The versions of the migration files whose turn comes in this attempt: journaled before the first is touched.
    Migrating {
        versions: Vec<String>,
        /// Where the tool's table is, or is made; none: there is no such thing, or its name says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<String>,
    },
    /// The turn of a migration file came, or is over.
    File(FileTurn),
}

/// What was there before the first statement of SQL outside of a transaction was sent, and whose session sends it:
/// journaled before that. An attempt without it has sent nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probed {
    /// The server's process, and when it started, as the server says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<(i32, String)>,
    /// By statement of the step's own: what its effect is later compared with. None: nothing to compare.
    pub before: Vec<Option<String>>,
}

/// A judged transaction as the state of a run remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub xid: Option<String>,
    pub ledger: bool,
    pub facts: Facts,
    pub verdict: Option<Verdict>,
}

/// Whether the thing that a failed attempt tried may have happened all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing happened, or the server took it back.
    #[default]
    None,
    /// All or part of it happened.
    Possible,
}

/// Everything known of a failure. Foreign text is kept as it came; faces make it safe to show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// One line: what failed.
    pub summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// 1-based statement it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<u32>,
    /// 1-based character in that statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// `file:line` of the runbook or of the SQL file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What is safe now: "the transaction was rolled back, nothing changed".
    #[serde(skip_serializing_if = "String::is_empty")]
    pub safe: String,
    pub effect: Effect,
    /// Its engine died, and it is proven that nothing of it happened: trying again is safe.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// A person left it for something else, unanswered: it neither failed nor could it not be asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// SQL that clears away what is left of it; a retry runs it first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub residue: Vec<String>,
    /// Cause and fix, where the runbook's `trouble` knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<(String, String)>,
    /// Which of the step's known troubles it is (counted from 0), where that one has SQL that takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<u16>,
}

impl Fault {
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), ..Self::default() }
    }
}

/// The judgement of an `expect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub expect: String,
    pub passed: bool,
    /// What it saw: `value = 51`.
    pub saw: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Done {
        facts: Box<Facts>,
        verdict: Option<Verdict>,
    },
    /// It was tried and the answer is no: an error of the server, an exit status, an expectation that does not hold.
    Failed {
        fault: Box<Fault>,
        facts: Option<Box<Facts>>,
        verdict: Option<Verdict>,
    },
    /// It could not be asked or judged: no connection, no such program, an expression that breaks.
    Broke {
        fault: Box<Fault>,
    },
    /// It may have happened, or may still happen. Blocks the run until a person settles it.
    Unknown {
        known: String,
    },
}

impl Outcome {
    /// Milliseconds that it took to do the whole step, as its engine measured them: what the times of a rehearsal and of a run
    /// are compared by. None: not done, not timed, or `goes_on`: an earlier attempt did a part of it.
    pub fn whole_ms(&self, goes_on: bool) -> Option<u64> {
        match self {
            Self::Done { facts, .. } => (facts.is_timed() && !goes_on).then_some(facts.ms),
            _ => None,
        }
    }

    /// True for a question that people were asked, and left for something else.
    pub fn is_left(&self) -> bool {
        matches!(self, Self::Broke { fault } if fault.left)
    }

    /// True where it was not done, and should have been.
    pub fn is_trouble(&self) -> bool {
        !matches!(self, Self::Done { .. }) && !self.is_left()
    }
}

/// Why a sample is not a number. Never good, never bad: absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoData {
    pub reason: String,
}

impl NoData {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
