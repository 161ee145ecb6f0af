//! The executors of everything that is not SQL: each does one attempt and brings home its outcome.

mod ask;
mod command;
mod http;
pub mod lost;
mod notify;
mod produces;
mod show;
mod wait;
mod watch;

use crate::run::words::millis;
use std::time::Duration;

use crate::run::event::Direction;
use crate::run::facts::Effect;
use crate::run::{Attempt, Facts, Fault, Outcome, Verdict};

pub use ask::{ASK, ask};
pub use command::{Act, CommandJob, attach, command, place};
pub use http::{HttpJob, http, only_reads};
pub use notify::{NotifyJob, To, notify};
pub use wait::wait;

/// How long a command that was asked to end (TERM) has until it is killed.
pub const GRACE: Duration = Duration::from_secs(10);

const CANCELLED: &str = "cancelled";

/// What an executor is told of the attempt it carries out.
#[derive(Clone, Debug)]
pub struct Order {
    /// The run's id.
    pub run: String,
    pub attempt: Attempt,
    /// The attempt whose key it uses: its own, or an earlier one that was in doubt.
    pub key_n: u32,
    pub environment: String,
    /// `file:line` of the step, for faults.
    pub place: String,
}

impl Order {
    /// The same for the same attempt, another for every other: forward and undo are told apart. An attempt after one in
    /// doubt has the key of that one, so that a server that obeyed it does not obey twice.
    pub fn key(&self) -> String {
        let Attempt { step, direction, .. } = &self.attempt;
        let n = self.key_n;
        match direction {
            Direction::Forward => format!("{}/{step}/{n}", self.run),
            Direction::Undo => format!("{}/{step}/undo/{n}", self.run),
        }
    }

    fn fault(&self, summary: impl Into<String>) -> Fault {
        Fault { place: self.place.clone(), ..Fault::new(summary) }
    }

    /// It was never begun.
    fn not_begun(&self, summary: impl Into<String>) -> Fault {
        Fault { safe: "nothing was started".to_owned(), effect: Effect::None, ..self.fault(summary) }
    }

    /// The judge could not judge what has been done.
    fn unjudged(&self, fault: Fault, effect: Effect) -> Outcome {
        let place = if fault.place.is_empty() { self.place.clone() } else { fault.place.clone() };
        broke(Fault { place, effect, ..fault })
    }

    fn unexpected(&self, verdict: &Verdict) -> Fault {
        self.fault(format!("expected {}, saw {}", verdict.expect, verdict.saw))
    }
}

fn broke(fault: Fault) -> Outcome {
    Outcome::Broke { fault: Box::new(fault) }
}

fn failed(fault: Fault, facts: Option<Facts>, verdict: Option<Verdict>) -> Outcome {
    Outcome::Failed { fault: Box::new(fault), facts: facts.map(Box::new), verdict }
}

fn done(facts: Facts, verdict: Option<Verdict>) -> Outcome {
    Outcome::Done { facts: Box::new(facts), verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_attempts_never_meet() {
        let key = |direction, n| {
            let attempt = Attempt { step: "m011".into(), direction, n };
            let order = Order {
                run: "r1".to_owned(),
                attempt,
                key_n: n,
                environment: "staging".to_owned(),
                place: String::new(),
            };
            order.key()
        };
        assert_eq!(key(Direction::Forward, 2), "r1/m011/2");
        assert_eq!(key(Direction::Undo, 2), "r1/m011/undo/2");
    }
}
