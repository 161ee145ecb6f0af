//! SQL whose engine died, or whose COMMIT nobody saw answered: a transaction is decided by its target.

use std::time::Duration;

use super::{Found, Left};
use crate::run::event::Statement;
use crate::run::facts::Effect;
use crate::run::{Facts, Fault, Outcome};
use crate::target::{Key, Past, Resolution};

/// How long a target has to tell what it knows.
const LOOK: Duration = Duration::from_secs(20);

pub async fn look(left: &Left, target: &str, statements: &[Statement], transaction: bool) -> Found {
    if transaction {
        return in_transaction(left, target).await;
    }
    let what = match statements.len() {
        1 => "its one statement ran outside a transaction".to_owned(),
        all => format!(
            "outside a transaction; statement {} of {all} was the last known to be sent",
            left.run.output.statement
        ),
    };
    left.unknown(format!("{what}; {}", sessions(left, target).await))
}

async fn in_transaction(left: &Left, name: &str) -> Found {
    let key = Key { run: left.doors.run().to_owned(), attempt: left.attempt.clone() };
    let past = Past { judged: left.run.judged.clone(), server: left.doors.known(name) };
    let asked = async {
        let target = left.doors.visit(name).await?;
        Ok::<_, String>(target.resolve(&key, &past).await)
    };
    let resolution = match tokio::time::timeout(LOOK, asked).await {
        Ok(Ok(resolution)) => resolution,
        Ok(Err(error)) => unasked(left, error),
        Err(_) => unasked(left, "the target did not answer".to_owned()),
    };
    match resolution {
        Resolution::Done(how) => Found::Ended(done(left, how)),
        Resolution::NotDone(how) => Found::Ended(not_done(left, how)),
        Resolution::Open(why) => {
            left.unknown(format!("it ran in one transaction: all of it happened or nothing; {why}"))
        }
    }
}

/// Without its target nothing is decided: also a COMMIT that was never sent is only then over when the server says so.
fn unasked(left: &Left, why: String) -> Resolution {
    let sent = if left.run.judged.is_some() { "its COMMIT was about to be sent" } else { "its COMMIT was never sent" };
    Resolution::Open(format!("{sent}, and its target cannot be asked: {why}"))
}

/// It committed: what it brought home was judged good before, and the journal has it.
fn done(left: &Left, how: String) -> Outcome {
    let (facts, verdict) = match &left.run.judged {
        Some(judged) => (judged.facts.clone(), judged.verdict.clone()),
        None => (Facts::default(), None),
    };
    Outcome::Done { facts: Box::new(Facts { recovered: Some(how), ..facts }), verdict }
}

fn not_done(left: &Left, how: String) -> Outcome {
    let fault = Fault {
        safe: how,
        effect: Effect::None,
        interrupted: true,
        ..Fault::new(format!("{}, and nothing of it happened", left.died()))
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}

/// The sessions it still has on its server, in words.
async fn sessions(left: &Left, target: &str) -> String {
    let asked = left.doors.leftover_sessions(target, &left.attempt);
    match tokio::time::timeout(LOOK, asked).await {
        Ok(Ok(sessions)) if sessions.is_empty() => "the server has no session of it any more".to_owned(),
        Ok(Ok(sessions)) => format!("the server still has a session of it: {}", sessions.join("; ")),
        Ok(Err(error)) => format!("the server could not be asked: {error}"),
        Err(_) => "the server did not answer".to_owned(),
    }
}
