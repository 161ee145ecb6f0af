//! Waiting, which can be cancelled.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{CANCELLED, Order, done, failed, millis};
use crate::run::facts::Effect;
use crate::run::{Facts, Judge, Outcome};

/// Waits for `lasts`, or what is left of it after a resume.
pub async fn wait(order: &Order, lasts: Duration, judge: &Judge, stop: CancellationToken) -> Outcome {
    let started = Instant::now();
    let over = tokio::select! {
        () = sleep(lasts) => true,
        () = stop.cancelled() => false,
    };
    let facts = Facts { ms: millis(started.elapsed()), ..Facts::default() };
    if !over {
        return failed(order.fault(CANCELLED), Some(facts), None);
    }
    match judge(&facts) {
        Err(fault) => order.unjudged(fault, Effect::None),
        Ok(Some(verdict)) if !verdict.passed => failed(order.unexpected(&verdict), Some(facts), Some(verdict)),
        Ok(verdict) => done(facts, verdict),
    }
}
