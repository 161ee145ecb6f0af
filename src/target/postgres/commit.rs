//! From BEGIN to the certain end of a transaction. Its row in the ledger is written in it, the journal knows of its COMMIT
//! before it is sent, and afterwards the row is read back: the driver says "fine" also where the server answered ROLLBACK.
//! Without a ledger the transaction's own number is asked for, which is the weaker proof: it means something only on this
//! server and for as long as the server remembers it.

use std::time::Duration;

use tokio::time::timeout;

use super::Postgres;
use super::activity::Fate;
use super::ledger::{self, Barred};
use super::session::Session;
use crate::failpoint;
use crate::target::problem::Problem;
use crate::target::{LedgerEntry, Resolution, raw};

/// How long the server is asked for a transaction's fate.
const DECIDE: Duration = Duration::from_secs(10);

/// Begins the transaction and leaves a mark that ends with it, without taking a snapshot: the script may still
/// say `set transaction`.
const BEGIN: &str = "begin; set local gonogo.transaction = 'open'";
const STATE: &str = "select current_setting('gonogo.transaction', true), pg_current_xact_id_if_assigned()::text";

#[derive(Debug)]
pub(super) enum Commit {
    Done,
    /// The server refused and took everything back.
    RolledBack(Problem),
    /// The connection was lost before COMMIT was sent.
    Lost(Problem),
    /// The connection was lost in the COMMIT of a transaction that had written nothing.
    Harmless(Problem),
    /// The script itself had ended the transaction before.
    EndedByScript,
    /// The attempt's row may not be written; why.
    Barred(Problem),
    /// The journal does not take it; why. COMMIT was not sent.
    Unwitnessed(String),
    Unknown(String),
}

/// A transaction on its way.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Its row, where one is to be written.
    entry: Option<LedgerEntry>,
    /// Its number, once it has one. With a ledger: the one under which its row was written.
    number: Option<String>,
    written: bool,
}

impl Proof {
    /// `entry`: none where no ledger is to know of it.
    pub fn new(target: &Postgres, entry: Option<&LedgerEntry>) -> Self {
        Self { entry: entry.filter(|_| target.has_ledger()).cloned(), ..Self::default() }
    }

    pub async fn begin(&self, session: &mut Session) -> Result<(), Problem> {
        session.command(BEGIN).await
    }

    /// Its number, and whether a row in the ledger goes with it: what the journal is told.
    pub fn told(&self) -> (Option<String>, bool) {
        (self.number.clone(), self.written)
    }

    /// Writes the attempt's row, once.
    pub async fn write(&mut self, target: &Postgres, session: &mut Session) -> Result<(), Problem> {
        let Some(entry) = self.entry.as_ref().filter(|_| !self.written) else { return Ok(()) };
        match ledger::claim(session, entry, target.epoch()).await {
            Ok(xid) => {
                self.number = Some(xid);
                self.written = true;
                Ok(())
            }
            Err(Barred::Stale(owner)) => Err(ledger::stale(&owner)),
            Err(Barred::Closed) => Err(Problem::own("this attempt is closed already: its key in the ledger is taken")),
            Err(Barred::Problem(problem)) => Err(problem),
        }
    }

    /// Looks whether the transaction is still the one that was begun. `marked`: false where the script reset the
    /// session's settings, and the mark with them. A transaction that wrote although it was to read gets its row now.
    pub async fn check(&mut self, target: &Postgres, session: &mut Session, marked: bool) -> Result<(), Commit> {
        let [mark, number] = match session.texts::<2>(STATE).await {
            Ok(state) => state,
            Err(problem) if problem.lost => return Err(Commit::Lost(problem)),
            Err(problem) => {
                let _ = session.roll_back().await;
                return Err(Commit::RolledBack(problem));
            }
        };
        let other = self.written && number != self.number;
        if other || (marked && mark.as_deref() != Some("open")) {
            // Whatever is open now is none of ours; closing the session would take it back too.
            let _ = session.roll_back().await;
            return Err(Commit::EndedByScript);
        }
        self.number = number;
        if self.number.is_some() {
            self.write(target, session).await.map_err(|problem| match problem.lost {
                true => Commit::Lost(problem),
                false => Commit::Barred(problem),
            })?;
        }
        Ok(())
    }

    /// Sends COMMIT and finds out what it did.
    pub async fn commit(&self, target: &Postgres, session: &mut Session) -> Commit {
        failpoint::hit("target.commit.before");
        let answer = raw::command(&mut session.conn, "commit").await.map_err(Problem::of_postgres);
        failpoint::hit("target.commit.answered");
        match (answer, &self.number) {
            (Ok(()), None) => Commit::Done,
            (Ok(()), Some(_)) => self.confirm(target, session).await,
            (Err(problem), _) if !problem.lost => Commit::RolledBack(problem),
            (Err(problem), None) => Commit::Harmless(problem),
            (Err(problem), Some(_)) => self.decide(target, &problem.words()).await,
        }
    }

    /// COMMIT was answered: with what, only the server's own memory tells.
    async fn confirm(&self, target: &Postgres, session: &mut Session) -> Commit {
        let committed = match timeout(DECIDE, self.read_back(session)).await {
            Ok(Ok(committed)) => committed,
            Ok(Err(_)) | Err(_) => None,
        };
        match committed {
            Some(true) => Commit::Done,
            Some(false) => Commit::RolledBack(answered_rollback()),
            None => self.decide(target, "COMMIT was answered, but its confirmation was not").await,
        }
    }

    async fn read_back(&self, session: &mut Session) -> Result<Option<bool>, Problem> {
        if let Some(entry) = self.entry.as_ref().filter(|_| self.written) {
            let row = ledger::read(session, &entry.key).await?;
            return Ok(Some(row.is_some_and(|row| row.done && row.xid == self.number)));
        }
        let number = self.number.clone().unwrap_or_default();
        let rows = session.rows("select pg_xact_status($1::text::xid8)", &[&number]).await?;
        Ok(match rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).as_deref() {
            Some("committed") => Some(true),
            Some("aborted") => Some(false),
            _ => None,
        })
    }

    /// What became of a transaction whose COMMIT was sent and whose answer was lost.
    pub async fn decide(&self, target: &Postgres, why: &str) -> Commit {
        let aborted = || Commit::RolledBack(Problem::own(format!("lost in COMMIT, and taken back: {why}")));
        let unknown = |known: String| {
            let number = self.number.as_deref().unwrap_or("without a number");
            Commit::Unknown(format!(
                "COMMIT of transaction {number} was sent, and its answer was lost ({why}); {known}. \
                 Look at the data, then say whether it happened"
            ))
        };
        if let Some(entry) = self.entry.as_ref().filter(|_| self.written) {
            return match target.fence(&entry.key).await {
                Resolution::Done(_) => Commit::Done,
                Resolution::NotDone(_) => aborted(),
                Resolution::Open(known) => unknown(known),
            };
        }
        match target.fate(self.number.as_deref().unwrap_or_default(), None, DECIDE).await {
            Fate::Committed => Commit::Done,
            Fate::Aborted => aborted(),
            Fate::Open(known) => unknown(known),
        }
    }
}

fn answered_rollback() -> Problem {
    Problem {
        hint: Some("an error inside the transaction was hidden from us; run the statements one by one".to_owned()),
        ..Problem::own("the server answered COMMIT with ROLLBACK")
    }
}
