//! Who wants a running attempt to end before its time: the operator, or the step's own time limit.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Operator,
    Timeout(Duration),
}

impl Cause {
    /// `cancelled`, `timed out after 20m`.
    pub fn words(self) -> String {
        match self {
            Self::Operator => "cancelled".to_owned(),
            Self::Timeout(limit) => format!("timed out after {}", humantime::format_duration(limit)),
        }
    }
}

/// Remembers the first reason; a server's "canceling statement" is told apart by it.
pub(super) struct Watch {
    stop: CancellationToken,
    limit: Option<(Instant, Duration)>,
    cause: OnceLock<Cause>,
}

impl Watch {
    pub fn new(stop: CancellationToken, timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            stop,
            // A limit that no clock can hold is no limit.
            limit: timeout.and_then(|limit| Some((now.checked_add(limit)?, limit))),
            cause: OnceLock::new(),
        }
    }

    /// Returns once the attempt is to end.
    pub async fn fired(&self) -> Cause {
        let time_is_over = async {
            match self.limit {
                Some((at, limit)) => {
                    sleep_until(at).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        let cause = tokio::select! {
            biased;
            () = self.stop.cancelled() => Cause::Operator,
            limit = time_is_over => Cause::Timeout(limit),
        };
        *self.cause.get_or_init(|| cause)
    }

    /// The reason, where there is one by now.
    pub fn cause(&self) -> Option<Cause> {
        if let Some(cause) = self.cause.get() {
            return Some(*cause);
        }
        if self.stop.is_cancelled() {
            return Some(*self.cause.get_or_init(|| Cause::Operator));
        }
        match self.limit {
            Some((at, limit)) if Instant::now() >= at => Some(*self.cause.get_or_init(|| Cause::Timeout(limit))),
            _ => None,
        }
    }
}
