//! COMMIT, and the proof of what it did. The driver says "fine" also where the server answered ROLLBACK, so the
//! transaction's own number is asked for afterwards; where the answer was lost, it is asked for elsewhere.
//!
//! A ledger row in the target would be a stronger proof than the number (it survives a failover); its insert belongs
//! behind BEGIN, its reading into [`decide`].

use std::time::Duration;

use sqlx::Row;
use tokio::time::timeout;

use super::Postgres;
use super::activity::Fate;
use super::session::Session;
use crate::target::problem::Problem;
use crate::target::raw;

/// How long the server is asked for a transaction's fate.
pub(super) const DECIDE: Duration = Duration::from_secs(10);

/// Begins the transaction and leaves a mark that ends with it, without taking a snapshot: the script may still
/// say `set transaction`.
pub(super) const BEGIN: &str = "begin; set local gonogo.transaction = 'open'";
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
    Unknown(String),
}

/// What is to be committed: asked before COMMIT, while the session can still answer.
pub(super) enum Proof {
    /// Its transaction number; none where nothing was written.
    Number(Option<String>),
    Refused(Commit),
}

/// Looks whether the transaction is still the one that was begun, and notes its number. `marked`: false where the
/// script reset the session's settings, and the mark with them.
pub(super) async fn prove(session: &mut Session, marked: bool) -> Proof {
    match session.texts::<2>(STATE).await {
        Ok([mark, _]) if marked && mark.as_deref() != Some("open") => {
            // Whatever is open now is none of ours; closing the session would take it back too.
            let _ = session.roll_back().await;
            Proof::Refused(Commit::EndedByScript)
        }
        Ok([_, number]) => Proof::Number(number),
        Err(problem) if problem.lost => Proof::Refused(Commit::Lost(problem)),
        Err(problem) => {
            let _ = session.roll_back().await;
            Proof::Refused(Commit::RolledBack(problem))
        }
    }
}

/// Sends COMMIT and finds out what it did.
pub(super) async fn commit(target: &Postgres, session: &mut Session, number: Option<&str>) -> Commit {
    let answer = raw::command(&mut session.conn, "commit").await.map_err(Problem::of_postgres);
    match (answer, number) {
        (Ok(()), None) => Commit::Done,
        (Ok(()), Some(number)) => confirm(target, session, number).await,
        (Err(problem), _) if !problem.lost => Commit::RolledBack(problem),
        (Err(problem), None) => Commit::Harmless(problem),
        (Err(problem), Some(number)) => decide(target, number, &problem.words()).await,
    }
}

async fn confirm(target: &Postgres, session: &mut Session, number: &str) -> Commit {
    let query = sqlx::query("select pg_xact_status($1::text::xid8)").persistent(false).bind(number);
    let status = match timeout(DECIDE, query.fetch_one(&mut session.conn)).await {
        Ok(Ok(row)) => row.try_get::<Option<String>, _>(0).ok().flatten(),
        _ => None,
    };
    match status.as_deref() {
        Some("committed") => Commit::Done,
        Some("aborted") => Commit::RolledBack(answered_rollback()),
        _ => decide(target, number, "COMMIT was answered, but its confirmation was not").await,
    }
}

fn answered_rollback() -> Problem {
    Problem {
        hint: Some("an error inside the transaction was hidden from us; run the statements one by one".to_owned()),
        ..Problem::own("the server answered COMMIT with ROLLBACK")
    }
}

/// What became of a transaction whose COMMIT was sent and whose answer was lost.
pub(super) async fn decide(target: &Postgres, number: &str, why: &str) -> Commit {
    match target.fate(number, DECIDE).await {
        Fate::Committed => Commit::Done,
        Fate::Aborted => Commit::RolledBack(Problem::own(format!("lost in COMMIT, and taken back: {why}"))),
        Fate::Open(known) => Commit::Unknown(format!(
            "COMMIT of transaction {number} was sent, and its answer was lost ({why}); {known}. \
             Look at the data, then say whether it happened"
        )),
    }
}
