//! What became of a transaction whose engine died: by the journal where COMMIT was never sent, by the ledger where its row
//! was to be written, else by the transaction's number.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Postgres;
use super::activity::Fate;
use crate::run::clean;
use crate::run::facts::Judged;
use crate::target::{Key, Past, Resolution};

/// How long one look waits for the server to let go of what the engine left.
const PATIENCE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(200);
/// Characters of a query that are shown.
const QUERY: usize = 60;

const NEVER_SENT: &str = "its COMMIT was never sent: the server took everything back";

impl Postgres {
    pub async fn resolve(&self, key: &Key, past: &Past) -> Resolution {
        match &past.judged {
            Some(Judged { ledger: true, .. }) if !self.has_ledger() => Resolution::Open(
                "its row was to be written into the ledger, and the database has no usable ledger now".to_owned(),
            ),
            Some(Judged { ledger: true, .. }) => self.fence(key).await,
            Some(Judged { xid: None, .. }) => Resolution::Done("it had written nothing".to_owned()),
            Some(Judged { xid: Some(xid), .. }) => self.by_number(xid, past).await,
            None => self.never_sent(key).await,
        }
    }

    async fn by_number(&self, xid: &str, past: &Past) -> Resolution {
        match self.fate(xid, past.server.as_ref(), PATIENCE).await {
            Fate::Committed => Resolution::Done(format!("the server says that transaction {xid} is committed")),
            Fate::Aborted => Resolution::NotDone(format!("the server says that transaction {xid} is aborted")),
            Fate::Open(why) => Resolution::Open(why),
        }
    }

    /// The journal proves that nothing was committed; the fence keeps an engine that is not quite dead from doing it yet.
    async fn never_sent(&self, key: &Key) -> Resolution {
        if self.has_ledger() {
            return match self.fence(key).await {
                Resolution::NotDone(_) => Resolution::NotDone(format!("{NEVER_SENT}, and its key is fenced")),
                // The journal is behind: another one has it.
                Resolution::Done(how) => Resolution::Open(format!(
                    "{how}, but this journal does not know of its COMMIT: is there another copy of the run?"
                )),
                open @ Resolution::Open(_) => open,
            };
        }
        let started = Instant::now();
        loop {
            let left = match self.look_for(&key.attempt.to_string(), None).await {
                Ok(left) => left,
                Err(problem) => {
                    return Resolution::NotDone(format!("{NEVER_SENT} ({}: it was not asked)", problem.words()));
                }
            };
            let Some(session) = left.first() else { return Resolution::NotDone(NEVER_SENT.to_owned()) };
            if started.elapsed() >= PATIENCE {
                let query = clean::line(&session.query, QUERY);
                return Resolution::Open(format!(
                    "its COMMIT was never sent, but its session still holds its locks: pid {} {}: {query}",
                    session.pid, session.state
                ));
            }
            sleep(POLL).await;
        }
    }
}
