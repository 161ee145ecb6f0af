//! A backup or restore whose engine died: its shim goes on, kept its end, or is gone, and then its record decides.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Found, Left};
use crate::child::shim::Standing;
use crate::engine::dump::{Known, Over};
use crate::engine::exec::{self, Act, Order, lost};
use crate::engine::job::command_job;
use crate::run::dump::Work;
use crate::run::{Fault, Outcome};

pub async fn look(left: &Left, target: &str, work: &Work) -> Found {
    let order = Order {
        run: left.doors.run().to_owned(),
        attempt: left.attempt.clone(),
        key_n: left.run.key_n,
        environment: left.doors.environment().to_owned(),
        place: left.place.clone(),
    };
    let place = exec::place(&left.doors.records(), &left.attempt);
    let over = Over {
        doors: &left.doors,
        order: &order,
        place: &place,
        target,
        work,
        server: left.doors.known(target),
        judge: &*left.judge,
    };
    let in_doubt = matches!(left.run.outcome, Some(Outcome::Unknown { .. }));
    let known = match place.look() {
        Ok(Standing::Held) => return Found::GoesOn,
        Ok(Standing::Ended(_)) if !in_doubt => return Found::GoesOn,
        Ok(Standing::Ended(_)) => match ended(left, order.clone()).await {
            Ok(outcome) => Known::of(&outcome),
            Err(why) => return left.unknown(why),
        },
        Ok(Standing::NeverStarted) => {
            let fault = Fault {
                safe: "nothing was started".to_owned(),
                ..Fault::new(format!("it was never started: {}", left.died()))
            };
            return Found::Ended(Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None });
        }
        Ok(Standing::Lost(started)) => {
            // Its shim would have done so.
            place.forget_passwords();
            if started.lives() {
                return left.unknown(lost::words(&place, &started));
            }
            None
        }
        Err(error) => {
            return left.unknown(format!("{} does not tell what became of it: {error}", place.dir().display()));
        }
    };
    let known = known.unwrap_or_else(|| Known {
        words: format!("{}; its worker died as well", left.died()),
        interrupted: true,
        ..Known::default()
    });
    Found::Ended(over.outcome(known).await)
}

/// How the worker's process ended, as its shim kept it.
async fn ended(left: &Left, order: Order) -> Result<Outcome, String> {
    let job = command_job(&left.step, &left.context, &left.doors, order, Act::Argv(Vec::new()))?;
    let (out, _) = mpsc::channel(1);
    Ok(exec::attach(&job, &out, &|_| Ok(None), CancellationToken::new()).await)
}
