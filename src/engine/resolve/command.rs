//! A command whose engine died: its shim goes on, kept its end, never began, or is gone itself.

use super::{Found, Left};
use crate::child::shim::Standing;
use crate::engine::exec::{self, lost};
use crate::run::facts::Effect;
use crate::run::{Fault, Outcome};

pub fn look(left: &Left) -> Found {
    let place = exec::place(&left.doors.records(), &left.attempt);
    match place.look() {
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

fn never_started(left: &Left) -> Outcome {
    let fault = Fault {
        safe: "nothing was started".to_owned(),
        effect: Effect::None,
        ..Fault::new(format!("it was never started: {}", left.died()))
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}
