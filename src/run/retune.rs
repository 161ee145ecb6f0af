//! The pace of a step in batches, and how a person changes it while it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Attempt, Event, Resolved};
use super::state::{RunState, StepRun, StepStatus};
use super::words::{count, duration, millis, plural};
use crate::runbook::batch::{BIGGEST, LARGEST, SMALLEST};
use crate::runbook::{Health, Sizing};

/// The longest that a batch may be meant to take, and the longest pause (milliseconds).
const LONGEST_AIM_MS: u64 = 600_000;
const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// How large batches are, and what lies between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    pub size: Sizing,
    pub pause_ms: u64,
}

impl Tuning {
    /// That of an attempt in batches; none for other work.
    pub fn of(resolved: &Resolved) -> Option<Self> {
        match resolved {
            Resolved::Batch { order, .. } => Some(Self { size: order.size, pause_ms: order.pause_ms }),
            _ => None,
        }
    }

    /// That of a step which works in batches now.
    pub fn running(run: &StepRun) -> Option<(&Attempt, Self)> {
        let runs = matches!(run.status, StepStatus::Running | StepStatus::Undoing);
        let tuning = Self::of(run.resolved.as_ref().filter(|_| runs)?)?;
        Some((run.attempt.as_ref()?, tuning))
    }

    /// Twice as much a batch; itself where that is too much.
    pub fn more(self) -> Self {
        let size = match self.size.aim_ms {
            Some(aim) => Sizing { aim_ms: Some(aim.saturating_mul(2).min(LONGEST_AIM_MS)), ..self.size },
            None => Sizing::fixed(self.size.start.saturating_mul(2).min(LARGEST)),
        };
        Self { size, ..self }
    }

    /// Half as much a batch.
    pub fn less(self) -> Self {
        let size = match self.size.aim_ms {
            Some(aim) => Sizing { aim_ms: Some((aim / 2).max(1)), ..self.size },
            None => Sizing::fixed((self.size.start / 2).max(1)),
        };
        Self { size, ..self }
    }

    /// What a person types: a number of keys (`2000`) or a time (`200ms`) for each batch, and the pause (`100ms`, `0`).
    ///
    /// # Errors
    /// In words: what cannot be read, or is out of range.
    pub fn typed(self, batch: &str, pause: &str) -> Result<Self, String> {
        let plain = batch.trim().replace([',', '_'], "");
        let size = match plain.parse::<u64>() {
            Ok(keys) if (1..=LARGEST).contains(&keys) => Sizing::fixed(keys),
            Ok(_) => return Err(format!("a batch has 1 to {} keys", count(LARGEST))),
            Err(_) => self.aimed(length(batch, "write a number of keys (2000) or a time (200ms)")?)?,
        };
        let pause_ms = length(pause, "write the pause as 100ms, 2s or 0")?;
        if pause_ms > LONGEST_PAUSE_MS {
            return Err(format!("a pause lasts {} at most", duration(LONGEST_PAUSE_MS)));
        }
        Ok(Self { size, pause_ms })
    }

    /// A size that follows the time a batch takes, from where it is now.
    fn aimed(self, aim: u64) -> Result<Sizing, String> {
        if !(1..=LONGEST_AIM_MS).contains(&aim) {
            return Err(format!("a batch takes 1 ms to {}", duration(LONGEST_AIM_MS)));
        }
        let start = self.size.start;
        let (min, max) = match self.size.aim_ms {
            Some(_) => (self.size.min, self.size.max),
            None => (SMALLEST.min(start), BIGGEST.max(start)),
        };
        Ok(Sizing { start, min, max, aim_ms: Some(aim) })
    }

    /// As it could be typed: keys or time, and the pause.
    pub fn as_typed(&self) -> (String, String) {
        let batch = match self.size.aim_ms {
            Some(aim) => format!("{aim}ms"),
            None => self.size.start.to_string(),
        };
        (batch, format!("{}ms", self.pause_ms))
    }

    /// `1,000 keys a batch → 2,000 keys a batch, pause 100 ms → 0 ms`: what differs.
    pub fn change(&self, to: &Self) -> String {
        let mut words = Vec::new();
        if self.size != to.size {
            words.push(format!("{} → {}", sizes(&self.size), sizes(&to.size)));
        }
        if self.pause_ms != to.pause_ms {
            words.push(format!("pause {} → {}", duration(self.pause_ms), duration(to.pause_ms)));
        }
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    /// What is wrong with one that came over the socket.
    fn flaw(&self) -> Option<&'static str> {
        let Sizing { start, min, max, aim_ms } = self.size;
        let sane = 1 <= min && min <= start && start <= max && max <= LARGEST;
        let aims = aim_ms.is_none_or(|aim| (1..=LONGEST_AIM_MS).contains(&aim));
        (!sane || !aims || self.pause_ms > LONGEST_PAUSE_MS).then_some("such a size or pause is out of range")
    }
}

/// `1,000 keys a batch`, `100 to 50,000 keys a batch, 200 ms each`.
pub fn sizes(size: &Sizing) -> String {
    match size.aim_ms {
        Some(aim) => format!("{} to {} keys a batch, {} each", count(size.min), count(size.max), duration(aim)),
        None => format!("{} a batch", plural(size.start, "key")),
    }
}

/// `lag 5.0 s, lock waiters 10, oldest transaction 5m00`, or that nothing is watched.
pub fn health(health: &Health) -> String {
    let parts = [
        health.lag_ms.map(|ms| format!("replication lag {}", duration(ms))),
        health.lock_waiters.map(|count| format!("lock waiters {count}")),
        health.oldest_transaction_ms.map(|ms| format!("oldest transaction {}", duration(ms))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "off".to_owned() } else { format!("at most: {}", parts.join(", ")) }
}

/// Milliseconds.
fn length(text: &str, hint: &str) -> Result<u64, String> {
    match text.trim() {
        "" | "0" => Ok(0),
        text => humantime::parse_duration(text)
            .map(|length: Duration| millis(length))
            .map_err(|_| format!("{:?} is no length of time: {hint}", super::clean::line(text, 40))),
    }
}

/// What the wish for another pace means.
///
/// # Errors
/// In words: why it is refused.
pub fn order(state: &RunState, attempt: Attempt, from: Tuning, to: Tuning, by: String) -> Result<Vec<Event>, String> {
    let run = state.steps.get(&attempt.step).and_then(Tuning::running);
    let Some((_, now)) = run.filter(|(running, _)| **running == attempt) else {
        return Err(format!("{attempt} does not work in batches now"));
    };
    if now != from {
        return Err(format!("{attempt} has another pace by now ({}): look again, then decide", sizes(&now.size)));
    }
    if to == now {
        return Err(format!("{attempt} keeps that pace already"));
    }
    match to.flaw() {
        Some(flaw) => Err(flaw.to_owned()),
        None => Ok(vec![Event::BatchRetuned { attempt, from, to, by }]),
    }
}

/// From here on the attempt is as it was retuned, also for an engine that takes it up.
pub fn apply(run: &mut StepRun, attempt: &Attempt, to: Tuning) {
    if run.attempt.as_ref() != Some(attempt) {
        return;
    }
    if let Some(Resolved::Batch { order, .. }) = &mut run.resolved {
        order.size = to.size;
        order.pause_ms = to.pause_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(keys: u64) -> Tuning {
        Tuning { size: Sizing::fixed(keys), pause_ms: 100 }
    }

    fn aimed(aim: u64) -> Tuning {
        Tuning { size: Sizing { start: 1_000, min: 50, max: 9_000, aim_ms: Some(aim) }, pause_ms: 0 }
    }

    #[test]
    fn more_and_less_stay_in_range() {
        assert_eq!((fixed(1_000).more(), fixed(1_000).less()), (fixed(2_000), fixed(500)));
        assert_eq!((fixed(LARGEST).more(), fixed(1).less()), (fixed(LARGEST), fixed(1)));
        assert_eq!((aimed(200).more(), aimed(200).less()), (aimed(400), aimed(100)));
        assert_eq!((aimed(LONGEST_AIM_MS).more(), aimed(1).less()), (aimed(LONGEST_AIM_MS), aimed(1)));
        for tuning in [fixed(LARGEST).more(), fixed(1).less(), aimed(u64::MAX).more(), aimed(1).less()] {
            assert_eq!(tuning.flaw(), None);
        }
    }

    #[test]
    fn only_who_saw_the_pace_of_a_running_walk_may_change_it() {
        use crate::run::event::Direction;
        let attempt = Attempt { step: "fill".into(), direction: Direction::Forward, n: 1 };
        let work = crate::run::BatchOrder {
            table: "t".to_owned(),
            key: "id".to_owned(),
            set: None,
            filter: None,
            size: fixed(1_000).size,
            pause_ms: 100,
            throttle: None,
            health: Health::OFF,
            complete: None,
            repeatable: false,
            since: 1,
        };
        let mut state = RunState::default();
        let run = StepRun {
            status: StepStatus::Running,
            attempt: Some(attempt.clone()),
            resolved: Some(Resolved::Batch { target: "main".to_owned(), order: Box::new(work) }),
            ..StepRun::default()
        };
        state.steps.insert(attempt.step.clone(), run);
        let ask = |state: &RunState, from, to| order(state, attempt.clone(), from, to, "me".to_owned());
        let (now, next) = (fixed(1_000), fixed(2_000));
        assert_eq!(ask(&state, now, next).map(|events| events.len()), Ok(1));
        assert!(ask(&state, now, now).unwrap_err().contains("keeps that pace already"));
        assert!(ask(&state, next, now).unwrap_err().contains("another pace by now"));
        assert!(ask(&state, now, fixed(LARGEST + 1)).unwrap_err().contains("out of range"));
        let run = state.steps.get_mut(&attempt.step).unwrap();
        apply(run, &attempt, next);
        assert_eq!(Tuning::running(run), Some((&attempt, next)));
        run.status = StepStatus::Failed;
        assert!(ask(&state, next, now).unwrap_err().contains("does not work in batches"));
    }

    #[test]
    fn what_is_typed() {
        let now = fixed(1_000);
        assert_eq!(now.typed("2,500", "0"), Ok(Tuning { size: Sizing::fixed(2_500), pause_ms: 0 }));
        let size = Sizing { start: 1_000, min: 100, max: 50_000, aim_ms: Some(250) };
        assert_eq!(now.typed("250ms", "1s 500ms"), Ok(Tuning { size, pause_ms: 1_500 }));
        assert_eq!(aimed(200).typed("1s", ""), Ok(aimed(1_000)));
        for (batch, pause) in [("0", "0"), ("1000001", "0"), ("much", "0"), ("10", "long"), ("11m", "0"), ("10", "2h")]
        {
            assert!(now.typed(batch, pause).is_err(), "{batch} {pause}");
        }
        for tuning in [now, aimed(200)] {
            let (batch, pause) = tuning.as_typed();
            assert_eq!(tuning.typed(&batch, &pause), Ok(tuning));
        }
    }

    #[test]
    fn what_changed_in_words() {
        assert_eq!(fixed(1_000).change(&fixed(2_000)), "1,000 keys a batch → 2,000 keys a batch");
        let calm = Tuning { pause_ms: 2_000, ..fixed(1_000) };
        assert_eq!(fixed(1_000).change(&calm), "pause 100 ms → 2.0 s");
        assert!(aimed(200).change(&aimed(100)).ends_with("200 ms each → 50 to 9,000 keys a batch, 100 ms each"));
    }
}
