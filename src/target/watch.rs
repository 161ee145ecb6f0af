//! Who wants a running attempt to end before its time: the operator, the step's own time limit, or we ourselves
//! because others wait behind it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Operator,
    Timeout(Duration),
    /// More sessions waited behind us than the target allows, or one for too long: the one that waited longest.
    BlockedOthers {
        count: u64,
        longest: Duration,
        whom: String,
    },
}

impl Cause {
    /// `cancelled`, `timed out after 20m`, `taken back by gonogo: 3 sessions waited behind it, …`.
    pub fn words(&self) -> String {
        match self {
            Self::Operator => "cancelled".to_owned(),
            Self::Timeout(limit) => format!("timed out after {}", humantime::format_duration(*limit)),
            Self::BlockedOthers { count, longest, whom } => {
                let sessions = if *count == 1 { "1 session".to_owned() } else { format!("{count} sessions") };
                let seconds = longest.as_secs_f64();
                format!("taken back by gonogo: {sessions} waited behind it, the first for {seconds:.1} s: {whom}")
            }
        }
    }
}

/// Remembers the first reason; a server's "canceling statement" is told apart by it.
pub(super) struct Watch {
    stop: CancellationToken,
    limit: Option<(Instant, Duration)>,
    cause: OnceLock<Cause>,
    /// We ourselves want the end.
    ended: CancellationToken,
}

impl Watch {
    pub fn new(stop: CancellationToken, timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            stop,
            // A limit that no clock can hold is no limit.
            limit: timeout.and_then(|limit| Some((now.checked_add(limit)?, limit))),
            cause: OnceLock::new(),
            ended: CancellationToken::new(),
        }
    }

    /// The same operator and the same time limit, for one more try: what we ourselves wanted is forgotten.
    pub fn again(&self) -> Self {
        Self { stop: self.stop.clone(), limit: self.limit, cause: OnceLock::new(), ended: CancellationToken::new() }
    }

    /// Returns once the attempt is to end.
    pub async fn fired(&self) -> Cause {
        tokio::select! {
            biased;
            cause = self.asked() => cause,
            () = self.ended.cancelled() => self.cause().unwrap_or(Cause::Operator),
        }
    }

    /// Returns once the operator or the time limit wants the end, whatever we ourselves want.
    pub async fn asked(&self) -> Cause {
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
        let _ = self.cause.set(cause.clone());
        cause
    }

    /// The end that we ourselves want; nothing where somebody wanted one before.
    pub fn end(&self, cause: Cause) {
        let _ = self.cause.set(cause);
        self.ended.cancel();
    }

    /// The reason, where there is one by now.
    pub fn cause(&self) -> Option<Cause> {
        if self.cause.get().is_none()
            && let Some(cause) = self.asked_by_now()
        {
            let _ = self.cause.set(cause);
        }
        self.cause.get().cloned()
    }

    /// What the operator or the time limit wants by now, whatever we ourselves want.
    pub fn asked_by_now(&self) -> Option<Cause> {
        if self.stop.is_cancelled() {
            return Some(Cause::Operator);
        }
        self.limit.filter(|(at, _)| Instant::now() >= *at).map(|(_, limit)| Cause::Timeout(limit))
    }

    /// Time until the limit; none where there is no limit.
    pub fn time_left(&self) -> Option<Duration> {
        self.limit.map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> Cause {
        Cause::BlockedOthers { count: 2, longest: Duration::from_millis(5_240), whom: "pid 9 (web, app)".to_owned() }
    }

    #[tokio::test]
    async fn the_first_reason_stays_and_the_operator_is_still_heard() {
        let stop = CancellationToken::new();
        let watch = Watch::new(stop.clone(), None);
        assert_eq!((watch.cause(), watch.asked_by_now()), (None, None));
        watch.end(blocked());
        assert_eq!(watch.fired().await, blocked());
        stop.cancel();
        assert_eq!(watch.asked().await, Cause::Operator);
        assert_eq!((watch.cause(), watch.asked_by_now()), (Some(blocked()), Some(Cause::Operator)));
        assert_eq!(watch.again().cause(), Some(Cause::Operator));
    }

    #[test]
    fn words_tell_the_causes_apart() {
        assert_eq!(
            blocked().words(),
            "taken back by gonogo: 2 sessions waited behind it, the first for 5.2 s: pid 9 (web, app)"
        );
        assert_eq!(Cause::Timeout(Duration::from_secs(90)).words(), "timed out after 1m 30s");
    }
}
