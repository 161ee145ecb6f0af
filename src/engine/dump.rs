//! Backups and restores: a worker under a shim does them, and its record says how they ended. Where the last word of the
//! record is that the end was near, the disk or the server decides.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::doors::Doors;
use super::exec::Order;
use crate::child::shim::Place;
use crate::run::dump::{RECORD, Record, Work, WorkOrder};
use crate::run::event::{Fingerprint, Resolved};
use crate::run::facts::{Effect, Judged};
use crate::run::{Direction, Facts, Fault, Judge, Outcome};
use crate::target::{Key, Past, Resolution};

/// How long the server has to tell what became of a transaction.
const LOOK: Duration = Duration::from_secs(20);

const READ_ONLY: &str = "the database was only read; what is left of the archive is removed by the next attempt";
const TAKEN_BACK: &str = "its COMMIT was never sent: the server took everything back, the database is as it was";

/// What of it is a backup or a restore: the target's name, and what its worker is told.
pub fn work(resolved: &Resolved) -> Option<(&str, Work)> {
    match resolved {
        Resolved::Backup { target, order } => Some((target, Work::Backup((**order).clone()))),
        Resolved::Restore { target, order } => Some((target, Work::Restore((**order).clone()))),
        _ => None,
    }
}

/// The order as its worker reads it.
pub fn order(doors: &Doors, order: &Order, place: &Place, work: Work) -> Result<String, String> {
    let folder = std::path::absolute(place.dir()).map_err(|error| error.to_string())?;
    let undo = if order.attempt.direction == Direction::Undo { "undo" } else { "" };
    let order = WorkOrder {
        run: doors.run().to_owned(),
        step: order.attempt.step.clone(),
        attempt: format!("{undo}{}", order.attempt.n),
        folder: folder.display().to_string(),
        work,
    };
    serde_json::to_string(&order).map_err(|error| error.to_string())
}

/// An attempt whose worker no longer runs.
pub struct Over<'a> {
    pub doors: &'a Doors,
    pub order: &'a Order,
    pub place: &'a Place,
    pub target: &'a str,
    pub work: &'a Work,
    /// The server that it was sent to.
    pub server: Option<Fingerprint>,
    pub judge: &'a Judge,
}

impl Over<'_> {
    /// How it ended, by its record. `known`: what was seen of its process.
    pub async fn outcome(&self, known: Known) -> Outcome {
        let record = match self.record() {
            Ok(record) => record,
            Err(why) => {
                return Outcome::Unknown { known: format!("{}; its record cannot be read: {why}", known.words) };
            }
        };
        match record {
            Some(Record::Done { facts }) => self.done(*facts, known),
            Some(Record::Failed { fault }) => {
                let summary = if known.stopped { known.words.clone() } else { fault.summary.clone() };
                let fault = Fault { place: self.order.place.clone(), exit: known.exit, summary, ..*fault };
                failed(fault, None)
            }
            None => self.not_done(known, READ_ONLY, TAKEN_BACK),
            Some(Record::Finishing { xid, facts }) => match (self.work, xid) {
                (Work::Restore(_), Some(xid)) => self.by_number(xid, *facts, known).await,
                (Work::Restore(_), None) => Outcome::Unknown {
                    known: format!(
                        "{}; its COMMIT was about to be sent, and a file does not tell whose it was; a restore of the same \
                         copy may be done again",
                        known.words
                    ),
                },
                (Work::Backup(_), _) => self.by_name(*facts, known),
            },
        }
    }

    fn record(&self) -> Result<Option<Record>, String> {
        match fs::read(self.place.file(RECORD)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// It was proven before it got its name.
    fn by_name(&self, facts: Facts, known: Known) -> Outcome {
        let there = facts.file.as_ref().is_some_and(|file| {
            let path = self.doors.cwd().join(&file.path);
            is_that_big(&path, file.size)
        });
        match there {
            true => self.done(Facts { recovered: Some("the proven archive has its name".to_owned()), ..facts }, known),
            false => self.not_done(known, READ_ONLY, TAKEN_BACK),
        }
    }

    async fn by_number(&self, xid: String, facts: Facts, known: Known) -> Outcome {
        let key = Key { run: self.order.run.clone(), attempt: self.order.attempt.clone() };
        let judged = Judged { xid: Some(xid), ledger: false, facts: facts.clone(), verdict: None };
        let past = Past { judged: Some(judged), server: self.server.clone() };
        let asked = async {
            let target = self.doors.visit(self.target).await?;
            Ok::<_, String>(target.resolve(&key, &past).await)
        };
        let resolution = match tokio::time::timeout(LOOK, asked).await {
            Ok(Ok(resolution)) => resolution,
            Ok(Err(why)) => Resolution::Open(format!("its target cannot be asked: {why}")),
            Err(_) => Resolution::Open("its target did not answer".to_owned()),
        };
        match resolution {
            Resolution::Done(how) => self.done(Facts { recovered: Some(how), ..facts }, known),
            Resolution::NotDone(how) => {
                let safe = format!("{how}: the database is as it was");
                self.not_done(known, &safe, &safe)
            }
            Resolution::Open(why) => Outcome::Unknown {
                known: format!(
                    "{}; it ran in one transaction, and its COMMIT was about to be sent; {why}",
                    known.words
                ),
            },
        }
    }

    fn done(&self, facts: Facts, known: Known) -> Outcome {
        let facts = Facts { ms: known.ms, recovered: facts.recovered.clone().or(known.recovered), ..facts };
        match (self.judge)(&facts) {
            Ok(verdict) if verdict.as_ref().is_none_or(|verdict| verdict.passed) => {
                Outcome::Done { facts: Box::new(facts), verdict }
            }
            Ok(Some(verdict)) => {
                let summary = format!("expected {}, saw {}", verdict.expect, verdict.saw);
                let fault = Fault { place: self.order.place.clone(), effect: Effect::Possible, ..Fault::new(summary) };
                Outcome::Failed { fault: Box::new(fault), facts: Some(Box::new(facts)), verdict: Some(verdict) }
            }
            Ok(None) => Outcome::Done { facts: Box::new(facts), verdict: None },
            Err(fault) => Outcome::Broke { fault: Box::new(Fault { effect: Effect::Possible, ..fault }) },
        }
    }

    fn not_done(&self, known: Known, backup: &str, restore: &str) -> Outcome {
        let safe = if matches!(self.work, Work::Backup(_)) { backup } else { restore };
        let fault = Fault {
            place: self.order.place.clone(),
            safe: safe.to_owned(),
            effect: Effect::None,
            exit: known.exit,
            interrupted: known.interrupted,
            ..Fault::new(known.words)
        };
        failed(fault, None)
    }
}

/// What was seen of the process of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// In words.
    pub words: String,
    pub exit: Option<i32>,
    pub ms: u64,
    /// It was cancelled, or its time was over.
    pub stopped: bool,
    /// Its engine or its shim died.
    pub interrupted: bool,
    /// How its end is known, where no engine saw it.
    pub recovered: Option<String>,
}

impl Known {
    /// By the outcome of its command; none: it may still run, or nothing was started, and the outcome stands.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Done { facts, .. } => Some(Self {
                words: "its worker ended without a record".to_owned(),
                exit: facts.exit,
                ms: facts.ms,
                recovered: facts.recovered.clone(),
                ..Self::default()
            }),
            Outcome::Failed { fault, facts: Some(facts), .. } => Some(Self {
                // The command is named by its program: that is gonogo itself.
                words: match fault.summary.strip_prefix('`').and_then(|rest| rest.split_once("` ")) {
                    Some((_, how)) => format!("its worker {how} and left no word"),
                    None => fault.summary.clone(),
                },
                exit: facts.exit,
                ms: facts.ms,
                // A worker that was ended says so in other words than its exit status.
                stopped: !fault.summary.starts_with('`'),
                interrupted: false,
                recovered: facts.recovered.clone(),
            }),
            _ => None,
        }
    }
}

fn is_that_big(path: &Path, size: u64) -> bool {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let below = fs::read_dir(path).into_iter().flatten().flatten();
            below.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum::<u64>() == size
        }
        Ok(meta) => meta.len() == size,
        Err(_) => false,
    }
}

fn failed(fault: Fault, facts: Option<Facts>) -> Outcome {
    Outcome::Failed { fault: Box::new(fault), facts: facts.map(Box::new), verdict: None }
}
