//! Why the next batch has to wait: a signal of the database's health, or the runbook's throttle. It is told when a wait
//! begins and when it ends, and no oftener than is worth reading.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::timeout;

use super::Ground;
use super::vitals::{Signal, Vitals};
use crate::run::words::{count, duration};
use crate::runbook::Health;

/// Milliseconds between two looks at the database, and after a look that brought nothing.
const LOOK_MS: u64 = 1_000;
const LATER_MS: u64 = 30_000;
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// A wait for the same reason that begins so soon (milliseconds) after the last one was told is not told again.
const TOLD_AGAIN_MS: u64 = 30_000;

const THROTTLE: &str = "throttle";

/// Waits so far, by the name of their reason: how many, and milliseconds.
type Sums = BTreeMap<&'static str, (u64, u64)>;

/// Times are milliseconds since the walk began.
pub(super) struct Brake {
    limits: Health,
    next_look: u64,
    /// What the last look found beyond its limit; where that one brought no answer, the look before it.
    sick: Option<(Signal, String)>,
    /// Signals of which it was said that they cannot be read, and whether they count as they were.
    unread: BTreeSet<(&'static str, bool)>,
    /// The wait under way: its reason, when it began, and whether that was told.
    wait: Option<(&'static str, u64, bool)>,
    told: BTreeMap<&'static str, u64>,
    sums: Sums,
}

/// What changed, for whoever tells it.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Sentences for the operator, as notices.
    pub said: Vec<String>,
    /// A wait began, or ended.
    pub turned: bool,
}

impl Brake {
    pub fn new(limits: Health) -> Self {
        Self {
            limits,
            next_look: 0,
            sick: None,
            unread: BTreeSet::new(),
            wait: None,
            told: BTreeMap::new(),
            sums: Sums::new(),
        }
    }

    /// Looks at the database where it is time to. Sentences: what could not be read, once each.
    pub async fn look(&mut self, ground: &mut dyn Ground<'_>, now_ms: u64) -> Vec<String> {
        if self.limits.is_off() || now_ms < self.next_look {
            return Vec::new();
        }
        match timeout(PATIENCE, ground.vitals(self.limits)).await {
            Err(_) => self.unanswered(now_ms),
            // Such a database has none.
            Ok(None) => {
                self.next_look = now_ms.saturating_add(LATER_MS);
                Vec::new()
            }
            Ok(Some(vitals)) => self.seen(vitals, now_ms),
        }
    }

    /// What was bad stays so: silence is no sign of health.
    fn unanswered(&mut self, now_ms: u64) -> Vec<String> {
        // Where a batch has to wait anyway, a slow look costs nothing.
        self.next_look = now_ms.saturating_add(if self.sick.is_some() { LOOK_MS } else { LATER_MS });
        let name = self.sick.as_ref().map_or("the database", |(signal, _)| signal.name());
        let why = format!("no answer within {}", duration(PATIENCE.as_millis().try_into().unwrap_or(u64::MAX)));
        self.unread(name, self.sick.is_some(), &why).into_iter().collect()
    }

    fn seen(&mut self, vitals: Vitals, now_ms: u64) -> Vec<String> {
        let still = self.sick.take().filter(|(signal, _)| vitals.silent.contains(signal));
        let kept = still.as_ref().map(|(signal, _)| *signal);
        self.sick = vitals.breach(&self.limits).or(still);
        // A look that brings nothing may be slow: it must not be what the batches wait for.
        let blind = vitals.known.is_empty() && !vitals.unread.is_empty() && self.sick.is_none();
        self.next_look = now_ms.saturating_add(if blind { LATER_MS } else { LOOK_MS });
        let unread = vitals.unread.iter();
        unread.filter_map(|(signal, why)| self.unread(signal.name(), kept == Some(*signal), why)).collect()
    }

    /// Says once that something cannot be read. `kept`: it counts as it was seen last.
    fn unread(&mut self, name: &'static str, kept: bool, why: &str) -> Option<String> {
        let counts = if kept {
            "cannot be read and counts as bad, as it was"
        } else {
            "cannot be read fully and counts as fine"
        };
        self.unread.insert((name, kept)).then(|| format!("HEALTH: {name} {counts}: {why}"))
    }

    /// Why no batch may begin now. `throttle`: what the runbook's own expression says.
    pub fn reason(&self, throttle: Option<String>) -> Option<(&'static str, String)> {
        let own = throttle.map(|why| (THROTTLE, why));
        own.or_else(|| self.sick.as_ref().map(|(signal, text)| (signal.name(), text.clone())))
    }

    /// A wait goes on, or begins.
    pub fn waits(&mut self, name: &'static str, why: &str, now_ms: u64) -> News {
        if self.wait.is_some_and(|(before, ..)| before == name) {
            return News::default();
        }
        let mut news = self.goes_on(now_ms);
        let tell = self.told.get(name).is_none_or(|at| now_ms.saturating_sub(*at) >= TOLD_AGAIN_MS);
        self.wait = Some((name, now_ms, tell));
        news.turned = true;
        if tell {
            self.told.insert(name, now_ms);
            news.said.push(format!("THROTTLED: {why}"));
        }
        news
    }

    /// A batch may begin.
    pub fn goes_on(&mut self, now_ms: u64) -> News {
        let Some((name, since, told)) = self.wait.take() else { return News::default() };
        let took = now_ms.saturating_sub(since);
        let sum = self.sums.entry(name).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(took);
        let words = format!("THROTTLED: goes on after {} ({name})", duration(took));
        News { said: told.then_some(words).into_iter().collect(), turned: true }
    }

    /// `throttled 3 times, 12 s in all: replication lag 11 s, throttle 1.4 s`; none where it never was.
    pub fn summary(&self) -> Option<String> {
        let (times, ms) = self.sums.values().fold((0_u64, 0_u64), |(n, ms), sum| (n + sum.0, ms.saturating_add(sum.1)));
        if times == 0 {
            return None;
        }
        let parts: Vec<String> = self.sums.iter().map(|(name, (_, ms))| format!("{name} {}", duration(*ms))).collect();
        let times = if times == 1 { "once".to_owned() } else { format!("{} times", count(times)) };
        Some(format!("throttled {times}, {} in all: {}", duration(ms), parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::batch::vitals::Vital;

    #[test]
    fn a_wait_is_told_at_its_ends_and_not_too_often() {
        let mut brake = Brake::new(Health::OFF);
        assert!(brake.summary().is_none());
        let begins = brake.waits("replication lag", "replication lag 12 s > 5.0 s", 1_000);
        assert_eq!((begins.said.len(), begins.turned), (1, true));
        assert!(!brake.waits("replication lag", "replication lag 13 s > 5.0 s", 2_000).turned, "it is the same wait");
        let ends = brake.goes_on(12_000);
        assert_eq!(ends.said, ["THROTTLED: goes on after 11 s (replication lag)"]);
        assert!(!brake.goes_on(12_000).turned);
        // Soon again: it counts, and is not told.
        let again = brake.waits("replication lag", "again", 13_000);
        assert!(again.said.is_empty() && again.turned);
        let other = brake.waits(THROTTLE, "load > 80", 14_000);
        assert_eq!(other.said, ["THROTTLED: load > 80"], "the end of one that was not told is not told either");
        brake.goes_on(16_000);
        assert_eq!(brake.summary().unwrap(), "throttled 3 times, 14 s in all: replication lag 12 s, throttle 2.0 s");
        assert_eq!(brake.waits("replication lag", "later", 31_000).said.len(), 1);
        assert_eq!(brake.reason(Some("load > 80".to_owned())).unwrap().0, THROTTLE);
        assert_eq!(brake.reason(None), None);
    }
    /// A signal that was bad stays bad until it is seen otherwise; one that was not is no reason to wait.
    #[test]
    fn what_was_bad_and_cannot_be_read_stays_bad() {
        let limits = Health { lag_ms: Some(5_000), ..Health::OFF };
        let lag = |value| Vitals {
            known: vec![Vital { signal: Signal::Lag, value, whom: String::new() }],
            ..Vitals::default()
        };
        let silent = || Vitals {
            unread: vec![(Signal::Lag, "it is gone".to_owned())],
            silent: vec![Signal::Lag],
            ..Vitals::default()
        };
        let mut brake = Brake::new(limits);
        assert_eq!(
            brake.seen(silent(), 0),
            ["HEALTH: replication lag cannot be read fully and counts as fine: it is gone"]
        );
        assert_eq!(
            brake.unanswered(0),
            ["HEALTH: the database cannot be read fully and counts as fine: no answer within 6.0 s"]
        );
        assert_eq!((brake.reason(None), brake.next_look), (None, LATER_MS));
        brake.seen(lag(9_000), 0);
        let sick = brake.reason(None);
        assert!(sick.is_some());
        let words = "HEALTH: replication lag cannot be read and counts as bad, as it was: no answer within 6.0 s";
        assert_eq!(brake.unanswered(0), [words]);
        assert!(brake.unanswered(0).is_empty() && brake.seen(silent(), 0).is_empty(), "once");
        assert_eq!((brake.reason(None), brake.next_look), (sick, LOOK_MS));
        brake.seen(Vitals { silent: Vec::new(), ..silent() }, 0);
        assert_eq!(brake.reason(None), None, "what was seen in part is fine");
        brake.seen(lag(9_000), 0);
        brake.seen(lag(1), 0);
        assert_eq!(brake.reason(None), None);
    }
}
