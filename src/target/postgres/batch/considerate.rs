//! A batch that lasts is looked after like a script: where it keeps others waiting for longer than the target allows, it
//! is cancelled, and tried again later and smaller.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::time::sleep;

use super::AGAIN;
use crate::target::postgres::Postgres;
use crate::target::postgres::activity::Backend;
use crate::target::postgres::locks::{Sentry, ahead_words};
use crate::target::problem::Problem;
use crate::target::watch::{Cause, Watch};

/// Batches that end before are not looked after: most of them hold nobody up, and a look has its price.
const SHORT: Duration = Duration::from_millis(200);

/// Why a batch of ours was cancelled by us, as if the server had said it.
pub(super) const BLOCKED_OTHERS: &str = "gonogo: others waited";

/// What we have asked the server to do to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancels {
    None,
    /// Asked, and the server has not answered yet.
    Asking,
    /// The signal is sent: if the batch was over before, it is still to be swallowed.
    Sent,
}

/// The work's result, and whether a cancel of ours may still be on its way to the session.
pub(super) async fn considerate<T>(
    target: &Postgres,
    label: &str,
    watch: &Watch,
    backend: Backend,
    committing: &AtomicBool,
    work: impl Future<Output = Result<T, Problem>>,
) -> (Result<T, Problem>, Cancels) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return (done, Cancels::None),
        () = sleep(SHORT) => {}
    }
    // What we want of this batch says nothing about the next.
    let watch = watch.again();
    let session = OnceLock::from(backend.clone());
    let committing = || committing.load(Ordering::Relaxed);
    let sentry = Sentry { target, label, watch: &watch, session: &session, committing: &committing };
    let (cancels, mut asked) = channel::channel(Cancels::None);
    let give_way = give_way(target, &watch, &backend, &committing, &cancels);
    tokio::pin!(give_way);
    let (done, ahead) = tokio::select! {
        ended = sentry.over(work) => ended,
        never = &mut give_way => match never {},
    };
    // A cancel under way is waited for: its signal must not meet the next batch. Questions to the server end by themselves.
    let answered = async { asked.wait_for(|cancels| *cancels != Cancels::Asking).await.is_ok() };
    tokio::select! {
        biased;
        _ = answered => {}
        never = &mut give_way => match never {},
    }
    let sent = *cancels.borrow();
    let done = done.map_err(|problem| match watch.cause() {
        Some(cause @ Cause::BlockedOthers { .. }) if problem.is_code("57014") => {
            Problem { code: Some(BLOCKED_OTHERS.to_owned()), ..Problem::own(cause.words()) }
        }
        _ => Problem { detail: problem.detail.clone().or(ahead_words(&ahead)), ..problem },
    });
    (done, sent)
}

/// Cancels the batch once it keeps others waiting for too long.
async fn give_way(
    target: &Postgres,
    watch: &Watch,
    backend: &Backend,
    committing: &(dyn Fn() -> bool + Sync),
    cancels: &channel::Sender<Cancels>,
) -> Infallible {
    // An end that the operator wants comes at the end of a batch, and is none of our business here.
    while !matches!(watch.fired().await, Cause::BlockedOthers { .. }) {
        std::future::pending::<()>().await;
    }
    loop {
        if !committing() {
            cancels.send_replace(Cancels::Asking);
            // A control connection that fails is tried again: there is nothing better to do.
            let _ = target.cancel(backend).await;
            cancels.send_replace(Cancels::Sent);
        }
        sleep(AGAIN).await;
    }
}
