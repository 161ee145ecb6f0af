//! SQL outside of a transaction whose end nobody saw: decided by what the database shows, once no session runs it any more.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Found, Left};
use crate::engine::doors;
use crate::engine::redact::is_redacted;
use crate::run::event::{Direct, Statement};
use crate::run::facts::Effect;
use crate::run::{Facts, Fault, Outcome};
use crate::target::{Look, Ruling, Target, left as left_words};

/// How long one look may take: waiting for its session to leave included.
const LOOK: Duration = Duration::from_secs(10);
/// Between two questions whether the session has left.
const AGAIN: Duration = Duration::from_millis(250);

const NOT_SENT: &str = "no statement was sent, nothing changed";

pub async fn look(left: &Left, target: &str, statements: &[Statement], direct: &Direct) -> Found {
    let Some(probed) = &left.run.probed else {
        // The journal holds what was there before ahead of the first statement, always.
        let fault = Fault { safe: NOT_SENT.to_owned(), ..Fault::new(format!("{}; {NOT_SENT}", left.died())) };
        return failed(fault, None);
    };
    if direct.question.as_deref().is_some_and(is_redacted) {
        return open(
            left,
            statements,
            "its probe holds a secret that the journal does not keep, so it cannot be asked",
        );
    }
    let deadline = Instant::now() + LOOK;
    let database = match timeout_at(deadline, left.doors.again(target, left.seen.as_ref())).await {
        Ok(Ok(database)) => database,
        Ok(Err(why)) => return open(left, statements, &format!("the server could not be asked: {why}")),
        Err(_) => return open(left, statements, "the server did not answer"),
    };
    let own = statements.get(direct.cleaning as usize..).unwrap_or_default();
    let tells = database.can_tell(own, direct);
    let sessions = match gone(left, &database, probed.session.as_ref(), tells.then_some(deadline)).await {
        Ok(sessions) => sessions,
        Err(why) => return open(left, statements, &format!("the server could not be asked: {why}")),
    };
    if !sessions.is_empty() {
        return open(left, statements, &busy(&sessions));
    }
    if !tells {
        return open(left, statements, "the server has no session of it any more");
    }
    let ruling = timeout_at(deadline + LOOK, database.rule(own, direct, &probed.before)).await;
    match ruling {
        Ok(Ok(ruling)) => ruled(left, statements, ruling),
        Ok(Err(error)) => open(left, statements, &format!("the server could not be asked: {error}")),
        Err(_) => open(left, statements, "the server did not answer"),
    }
}

/// Waits until the server has no session of the attempt, until `deadline` (none: looks once); those that are left.
async fn gone(
    left: &Left,
    database: &Target,
    session: Option<&(i32, String)>,
    deadline: Option<Instant>,
) -> Result<Vec<Look>, String> {
    let label = left.doors.label(&left.attempt);
    loop {
        let sessions = database.look_for(&label, session).await.map_err(|error| error.to_string())?;
        let over = deadline.is_none_or(|deadline| Instant::now() >= deadline);
        if sessions.is_empty() || over {
            return Ok(sessions);
        }
        sleep(AGAIN).await;
    }
}

/// A session that is left, and how to be rid of it.
fn busy(sessions: &[Look]) -> String {
    let all: Vec<String> = sessions.iter().map(doors::words).collect();
    let by_hand: Vec<String> = sessions.iter().map(|look| format!("select pg_cancel_backend({})", look.pid)).collect();
    format!(
        "the server still has a session of it: {}. Wait for its end, or cancel it: on the screen, or by hand with {} \
         (pg_terminate_backend ends the session itself)",
        all.join("; "),
        by_hand.join("; ")
    )
}

fn ruled(left: &Left, statements: &[Statement], ruling: Ruling) -> Found {
    match ruling {
        Ruling::Done(what) if left.step.expect.is_some() => {
            open(left, statements, &format!("{what}; whether it is as expected cannot be judged any more"))
        }
        Ruling::Done(what) => {
            let facts = Facts { recovered: Some(what), ..Facts::default() };
            Found::Ended(Outcome::Done { facts: Box::new(facts), verdict: None })
        }
        Ruling::NotDone(what) => {
            let safe = "nothing of it is there, and nothing of it still runs".to_owned();
            failed(Fault { safe, ..Fault::new(format!("it did not come to its end: {what}")) }, Some(what))
        }
        Ruling::Part { what, cleanup } => {
            let fault = Fault {
                safe: left_words(&what, &cleanup),
                effect: Effect::Possible,
                residue: cleanup,
                ..Fault::new("it did not come to its end")
            };
            failed(fault, Some(what))
        }
        Ruling::Open(why) => open(left, statements, &format!("the server has no session of it any more, but {why}")),
    }
}

fn failed(fault: Fault, recovered: Option<String>) -> Found {
    let facts = recovered.map(|what| Box::new(Facts { recovered: Some(what), ..Facts::default() }));
    Found::Ended(Outcome::Failed { fault: Box::new(fault), facts, verdict: None })
}

fn open(left: &Left, statements: &[Statement], known: &str) -> Found {
    let what = match statements.len() {
        1 => "its one statement ran outside a transaction".to_owned(),
        all => format!(
            "outside a transaction; statement {} of {all} was the last known to be sent",
            left.run.output.statement
        ),
    };
    left.unknown(format!("{what}; {known}"))
}
