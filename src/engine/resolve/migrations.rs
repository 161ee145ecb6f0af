//! Migration files whose engine died: decided by the tool's own table, once no session of the attempt is left. What began
//! outside of a transaction and is not recorded stays in doubt.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Found, Left};
use crate::run::facts::Effect;
use crate::run::migrations::FileState;
use crate::run::{Direction, Facts, Fault, MigrationOrder, Outcome};
use crate::target::standing;

/// How long a target has to tell what it knows, and how long a session that an engine left may take to notice it.
const LOOK: Duration = Duration::from_secs(40);
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(200);

pub async fn look(left: &Left, target: &str, order: &MigrationOrder) -> Found {
    let since = match left.attempt.direction {
        Direction::Forward => left.run.migrating.clone(),
        Direction::Undo => order.since.clone(),
    };
    // The journal holds what is pending ahead of the first statement, always.
    let Some(since) = since else { return Found::Ended(not_begun(left)) };
    match timeout(LOOK, asked(left, target, order, &since)).await {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => left.unknown(format!("each file is recorded in {} or is not; {why}", order.table())),
        Err(_) => {
            left.unknown(format!("each file is recorded in {} or is not; its target did not answer", order.table()))
        }
    }
}

async fn asked(left: &Left, name: &str, order: &MigrationOrder, since: &[String]) -> Result<Found, String> {
    let target = left.doors.visit(name).await.map_err(|why| format!("its target cannot be asked: {why}"))?;
    let label = left.doors.label(&left.attempt);
    let started = Instant::now();
    loop {
        let looks = target.look(&label).await.map_err(|error| error.to_string())?;
        let Some(look) = looks.first() else { break };
        if started.elapsed() >= PATIENCE {
            return Err(format!("the server still has a session of it: pid {} {}", look.pid, look.state));
        }
        sleep(POLL).await;
    }
    let rows = target.migrated(order).await.map_err(|error| error.to_string())?;
    // One that failed may have left something too, and an attempt ends with it.
    let alone = |file: &&crate::run::migrations::FileTurn| !file.transaction && file.state != FileState::Done;
    let begun: Vec<String> = left.run.output.files.values().filter(alone).map(|file| file.version.clone()).collect();
    let standing = standing(order, &rows, since, &begun);
    let name = |n: &usize| order.files.get(*n).map_or("?", |file| file.script.as_str());
    if let Some(broken) = &standing.broken {
        return Ok(left.unknown(format!(
            "{} was begun outside of a transaction, and {} does not say that it is done: look what of it is there, complete it \
             or clear it away, and tell the tool",
            name(broken),
            order.table()
        )));
    }
    let (over, open) = match left.attempt.direction {
        Direction::Forward => (standing.recorded, standing.open),
        Direction::Undo => (standing.open, standing.recorded),
    };
    let facts = Facts { recovered: None, ..order.facts(&over, &BTreeMap::new()) };
    let how = format!("{} says so", order.table());
    Ok(Found::Ended(match open.first() {
        None => done(left, facts, how),
        Some(next) => {
            let safe = format!(
                "{} of {} done, by {}; a retry goes on with {}",
                over.len(),
                since.len(),
                order.table(),
                name(next)
            );
            let fault = Fault { safe, effect: Effect::Possible, interrupted: true, ..Fault::new(left.died()) };
            Outcome::Failed { fault: Box::new(fault), facts: Some(Box::new(facts)), verdict: None }
        }
    }))
}

/// All of it happened: judged as it would have been.
fn done(left: &Left, facts: Facts, how: String) -> Outcome {
    let facts = Facts { recovered: Some(how), ..facts };
    match (left.judge)(&facts) {
        Ok(verdict) if verdict.as_ref().is_none_or(|verdict| verdict.passed) => {
            Outcome::Done { facts: Box::new(facts), verdict }
        }
        Ok(verdict) => {
            let fault = Fault {
                safe: "what is applied stays applied and recorded".to_owned(),
                effect: Effect::Possible,
                ..crate::run::fault::unexpected(verdict.as_ref())
            };
            Outcome::Failed { fault: Box::new(fault), facts: Some(Box::new(facts)), verdict }
        }
        Err(fault) => Outcome::Broke { fault: Box::new(Fault { effect: Effect::Possible, ..fault }) },
    }
}

fn not_begun(left: &Left) -> Outcome {
    let fault = Fault {
        safe: "no file was touched, nothing changed".to_owned(),
        interrupted: true,
        ..Fault::new(format!("{}, before its first file", left.died()))
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}
