//! How a database fares, and which of its limits are exceeded. Numbers only: no clock, no database.

use std::collections::{BTreeMap, VecDeque};

use crate::run::words::duration;
use crate::runbook::Health;

/// Looks at the write-ahead log that are remembered: they reach back for as many seconds, or twice as long with gaps.
const LOOKS: usize = 1_000;

/// What is measured between batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::target) enum Signal {
    Lag,
    LockWaiters,
    OldestTransaction,
}

impl Signal {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lag => "replication lag",
            Self::LockWaiters => "lock waiters",
            Self::OldestTransaction => "oldest transaction",
        }
    }
}

/// A measured value, and whom it is about. Milliseconds, or a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Vital {
    pub signal: Signal,
    pub value: u64,
    /// `standby walreceiver`, `pid 812 (app, psql) idle in transaction: …`; empty where there is nothing to say.
    pub whom: String,
}

/// One look at a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Vitals {
    /// What was measured; absent: there is nothing to measure, or it is not wanted.
    pub known: Vec<Vital>,
    /// What could not be measured, or only in part; why.
    pub unread: Vec<(Signal, String)>,
    /// Those of them that brought no answer at all.
    pub silent: Vec<Signal>,
}

impl Vitals {
    /// The first signal that is beyond its limit: `replication lag 12 s > 5.0 s (standby walreceiver)`.
    pub fn breach(&self, limits: &Health) -> Option<(Signal, String)> {
        self.known.iter().find_map(|vital| {
            let limit = match vital.signal {
                Signal::Lag => limits.lag_ms,
                Signal::LockWaiters => limits.lock_waiters.map(u64::from),
                Signal::OldestTransaction => limits.oldest_transaction_ms,
            };
            let limit = limit.filter(|limit| vital.value > *limit)?;
            let words = |value| match vital.signal {
                Signal::LockWaiters => format!("{value}"),
                _ => duration(value),
            };
            let whom = if vital.whom.is_empty() { String::new() } else { format!(" ({})", vital.whom) };
            let text = format!("{} {} > {}{whom}", vital.signal.name(), words(vital.value), words(limit));
            Some((vital.signal, text))
        })
    }
}

/// What a primary says of one standby: positions in bytes since the beginning of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Standby {
    pub name: String,
    /// Its session on the primary.
    pub pid: i32,
    /// What it has replayed.
    pub replayed: u128,
    /// The lag that the primary reports; none where it knows none.
    pub reported_ms: Option<u64>,
    /// When it last answered, by its own clock: only whether that changed is of interest.
    pub answered: String,
}

/// How far standbys are behind. The lag a primary reports stands still where a standby replays nothing, so it is also told
/// from what the log's end was at our looks: what was there then, and is not replayed now, is at least that late.
#[derive(Clone, Debug, Default)]
pub(in crate::target) struct LagTrack {
    /// Milliseconds, and the log's end then.
    ends: VecDeque<(u64, u128)>,
    /// By session: its last answer, and when we first saw that.
    answers: BTreeMap<i32, (String, u64)>,
}

impl LagTrack {
    /// A look at `now_ms`. The slowest standby: milliseconds, and its name. None: there is no standby.
    pub fn look(&mut self, now_ms: u64, end: u128, standbys: &[Standby]) -> Option<(u64, String)> {
        self.ends.push_back((now_ms, end));
        if self.ends.len() > LOOKS {
            let mut nth = 0_usize;
            self.ends.retain(|_| {
                nth += 1;
                nth.is_multiple_of(2)
            });
        }
        self.answers.retain(|pid, _| standbys.iter().any(|standby| standby.pid == *pid));
        let lags: Vec<(u64, String)> =
            standbys.iter().map(|standby| (self.lag(now_ms, standby), standby.name.clone())).collect();
        lags.into_iter().max_by_key(|(lag, _)| *lag)
    }

    fn lag(&mut self, now_ms: u64, standby: &Standby) -> u64 {
        let answer = self.answers.entry(standby.pid).or_insert_with(|| (standby.answered.clone(), now_ms));
        if answer.0 != standby.answered {
            *answer = (standby.answered.clone(), now_ms);
        }
        // A standby that has nothing to receive is silent for seconds: it is as late as it was when it last answered.
        let then = answer.1;
        let missed = self.ends.iter().find(|(_, end)| *end > standby.replayed);
        let tracked = missed.map_or(0, |(at, _)| then.saturating_sub(*at));
        tracked.max(standby.reported_ms.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standby(replayed: u128, answered: &str) -> Standby {
        Standby { name: "b".to_owned(), pid: 7, replayed, reported_ms: Some(3), answered: answered.to_owned() }
    }

    #[test]
    fn a_standby_that_replays_nothing_is_late() {
        let mut track = LagTrack::default();
        assert_eq!(track.look(0, 100, &[]), None);
        assert_eq!(track.look(1_000, 200, &[standby(200, "a")]), Some((3, "b".to_owned())));
        assert_eq!(track.look(2_000, 300, &[standby(200, "b")]).unwrap().0, 3, "what was written just now");
        assert_eq!(track.look(5_000, 400, &[standby(200, "c")]).unwrap().0, 3_000);
        assert_eq!(track.look(9_000, 400, &[standby(200, "c")]).unwrap().0, 3_000, "it says nothing: it need not");
        assert_eq!(track.look(12_000, 400, &[standby(200, "d")]).unwrap().0, 10_000);
        assert_eq!(track.look(13_000, 400, &[standby(400, "e")]).unwrap().0, 3);
        let slow = Standby { reported_ms: Some(90_000), pid: 8, name: "c".to_owned(), ..standby(400, "e") };
        assert_eq!(track.look(14_000, 400, &[standby(400, "f"), slow]), Some((90_000, "c".to_owned())));
    }

    #[test]
    fn a_long_memory_is_thinned() {
        let mut track = LagTrack::default();
        for second in 0..10_000_u64 {
            track.look(second * 1_000, u128::from(second) + 1, &[standby(1, &second.to_string())]);
        }
        assert!(track.ends.len() <= LOOKS);
        let lag = track.look(10_000_000, 20_000, &[standby(1, "x")]).unwrap().0;
        assert!(lag > 1_000_000, "{lag}");
    }

    #[test]
    fn breaches_by_name() {
        let vital = |signal, value, whom: &str| Vital { signal, value, whom: whom.to_owned() };
        let limits = Health { lag_ms: Some(5_000), lock_waiters: Some(5), oldest_transaction_ms: Some(300_000) };
        let seen = |known: Vec<Vital>| Vitals { known, ..Vitals::default() }.breach(&limits).map(|(_, text)| text);
        assert_eq!(seen(vec![vital(Signal::Lag, 5_000, "b"), vital(Signal::LockWaiters, 5, "")]), None);
        let late = seen(vec![vital(Signal::Lag, 12_000, "standby walreceiver")]).unwrap();
        assert_eq!(late, "replication lag 12 s > 5.0 s (standby walreceiver)");
        assert_eq!(seen(vec![vital(Signal::LockWaiters, 6, "")]).unwrap(), "lock waiters 6 > 5");
        let old = seen(vec![vital(Signal::OldestTransaction, 372_000, "pid 9")]).unwrap();
        assert_eq!(old, "oldest transaction 6m12 > 5m00 (pid 9)");
        let off = Vitals { known: vec![vital(Signal::Lag, u64::MAX, "")], ..Vitals::default() };
        assert_eq!(off.breach(&Health::OFF), None);
    }
}
