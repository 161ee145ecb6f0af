//! A walk in batches whose engine died: it goes on from its checkpoint, once nothing of the old engine can get in its way.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Found, Left};
use crate::run::facts::Effect;
use crate::run::{BatchOrder, Fault, Outcome};

/// How long a target has to tell what it knows.
const LOOK: Duration = Duration::from_secs(30);
/// How long a session that an engine left may still take to notice it.
const PATIENCE: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(200);
/// What the journal holds instead of a secret.
const HIDDEN: &str = "‹secret:";

pub async fn look(left: &Left, target: &str, order: &BatchOrder) -> Found {
    if [&order.set, &order.filter, &order.complete].into_iter().flatten().any(|text| text.contains(HIDDEN)) {
        let words = "its batches are committed as its checkpoint says, but its text held a secret, which the journal does \
                     not keep: it cannot go on by itself. Settle it as not done, then retry: that goes on from the \
                     checkpoint";
        return left.unknown(words);
    }
    let why = match timeout(LOOK, alone(left, target)).await {
        Ok(Ok(None)) => return Found::GoesOn,
        Ok(Ok(Some(session))) => format!("the server still has a session of it: {session}"),
        Ok(Err(error)) => format!("its target cannot be asked: {error}"),
        Err(_) => "its target did not answer".to_owned(),
    };
    left.unknown(format!("it works in batches and goes on from its checkpoint as soon as it can; {why}"))
}

/// Waits until the server has no session of it any more. None: it may go on. With a ledger it may go on all the same: the
/// checkpoint's row is locked by whoever is at work.
async fn alone(left: &Left, name: &str) -> Result<Option<String>, String> {
    let target = left.doors.visit(name).await?;
    let label = left.doors.label(&left.attempt);
    let started = Instant::now();
    loop {
        let looks = target.look(&label).await.map_err(|error| error.to_string())?;
        let Some(look) = looks.first() else { return Ok(None) };
        if started.elapsed() >= PATIENCE {
            let session = format!("pid {} {}", look.pid, look.state);
            return Ok((!target.has_ledger()).then_some(session));
        }
        sleep(POLL).await;
    }
}

/// How an attempt that was in doubt and could go on ends: the next one goes on from its checkpoint.
pub fn to_be_taken_up(left: &Left) -> Outcome {
    let fault = Fault {
        safe: "what is committed stays and is in its checkpoint; the next attempt goes on from there".to_owned(),
        effect: Effect::Possible,
        interrupted: true,
        ..Fault::new(left.died())
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}
