//! A command whose engine died: its shim goes on, kept its end, never began, or is gone itself.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Found, Left};
use crate::child::shim::Standing;
use crate::engine::exec::{self, Act, Order, lost};
use crate::engine::job::command_job;
use crate::run::event::Resolved;
use crate::run::facts::Effect;
use crate::run::{Fault, Outcome};

pub async fn look(left: &Left, resolved: &Resolved) -> Found {
    let place = exec::place(&left.doors.records(), &left.attempt);
    let in_doubt = matches!(left.run.outcome, Some(Outcome::Unknown { .. }));
    match place.look() {
        // A person has been asked already: the answer is here, and nothing of it is to be watched.
        Ok(Standing::Ended(_)) if in_doubt => conclude(left, resolved).await,
        Ok(Standing::Held | Standing::Ended(_)) => Found::GoesOn,
        Ok(Standing::NeverStarted) => Found::Ended(never_started(left)),
        Ok(Standing::Lost(started)) => {
            // Its shim would have done so.
            place.forget_passwords();
            left.unknown(lost::words(&place, &started))
        }
        Err(error) => left.unknown(format!("{} does not tell what became of it: {error}", place.dir().display())),
    }
}

/// Judges what its shim kept. What it said is in its facts; the journal has what was heard before the doubt.
async fn conclude(left: &Left, resolved: &Resolved) -> Found {
    let act = match resolved {
        Resolved::Shell { script, .. } => Act::Shell(script.clone()),
        Resolved::Run { argv, .. } | Resolved::Notify { argv, .. } => Act::Argv(argv.clone()),
        _ => return left.unknown("it was no command"),
    };
    let order = Order {
        run: left.doors.run().to_owned(),
        attempt: left.attempt.clone(),
        key_n: left.run.key_n,
        environment: left.doors.environment().to_owned(),
        place: left.place.clone(),
    };
    match command_job(&left.step, &left.context, &left.doors, order, act) {
        Ok(job) => {
            let (out, _) = mpsc::channel(1);
            Found::Ended(exec::attach(&job, &out, &*left.judge, CancellationToken::new()).await)
        }
        Err(why) => left.unknown(why),
    }
}

fn never_started(left: &Left) -> Outcome {
    let fault = Fault {
        safe: "nothing was started".to_owned(),
        effect: Effect::None,
        ..Fault::new(format!("it was never started: {}", left.died()))
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}
