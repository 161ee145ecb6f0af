//! Outcomes in words: what failed, and what is safe now. The same for every kind of database.

use super::problem::Problem;
use super::watch::Cause;
use crate::run::facts::Effect;
use crate::run::{Facts, Fault, Outcome, Verdict, fault as said};

pub(super) const ROLLED_BACK: &str = "the transaction was rolled back, nothing changed";
pub(super) const NOTHING_SENT: &str = "no statement was sent, nothing changed";
pub(super) const BY_ITSELF: &str =
    "each statement ran by itself: what ended before this one stays. Look before you try again";
pub(super) const FAILED_ALONE: &str = "the only statement this attempt sent failed and was taken back by the database";

/// Why a script came to no good end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The database, or the way to it.
    Problem(Problem),
    /// Asked to end between two statements.
    Cause(Cause),
}

/// The fault of a stop in statement `statement` (0: in none of the script's), told apart by who wanted it.
pub(super) fn fault(
    stop: Stop,
    cause: Option<Cause>,
    statement: u32,
    effect: Effect,
    safe: impl Into<String>,
) -> Fault {
    let at = (statement > 0).then_some(statement);
    match (stop, cause) {
        (Stop::Problem(problem), Some(cause)) => {
            Fault { summary: cause.words(), detail: Some(problem.words()), ..problem.fault(at, effect, safe) }
        }
        (Stop::Problem(problem), None) => problem.fault(at, effect, safe),
        (Stop::Cause(cause), _) => {
            Fault { summary: cause.words(), statement: at, safe: safe.into(), effect, ..Fault::default() }
        }
    }
}

pub(super) fn failed(fault: Fault, facts: Option<Facts>) -> Outcome {
    Outcome::Failed { fault: Box::new(fault), facts: facts.map(Box::new), verdict: None }
}

pub(super) fn broke(fault: Fault) -> Outcome {
    Outcome::Broke { fault: Box::new(fault) }
}

/// An expectation that does not hold.
pub(super) fn refused(verdict: Verdict, facts: Facts, effect: Effect, safe: &str) -> Outcome {
    let fault = Fault { summary: said::refused(&verdict), safe: safe.to_owned(), effect, ..Fault::default() };
    Outcome::Failed { fault: Box::new(fault), facts: Some(Box::new(facts)), verdict: Some(verdict) }
}

/// An expectation that could not be judged.
pub(super) fn unjudged(mut fault: Fault, effect: Effect, safe: &str) -> Outcome {
    fault.effect = effect;
    if fault.safe.is_empty() {
        safe.clone_into(&mut fault.safe);
    }
    broke(fault)
}

pub(super) fn done(facts: Facts, verdict: Option<Verdict>) -> Outcome {
    Outcome::Done { facts: Box::new(facts), verdict }
}
