//! How large the next batch is, and what may be said of the time that is left. Numbers only: no clock, no database.

use std::collections::VecDeque;

use crate::runbook::Sizing;

/// The time that the pace is taken from, how far apart its marks are, and the fewest of them.
const WINDOW_MS: u64 = 10_000;
const GRAIN_MS: u64 = 200;
const FEWEST: usize = 6;
/// Batches, and milliseconds, before anything is said of the time that is left.
const SURE_BATCHES: usize = 6;
const SURE_MS: u64 = 2_000;
/// The two halves of the window may differ by this factor, no more.
const STEADY: f64 = 2.0;

/// The size of batches: fixed, or following the time that they take.
#[derive(Clone, Debug)]
pub struct Sizer {
    bounds: Sizing,
    size: u64,
    /// A fixed size that was eased grows back to this; what took too long at its own size does not.
    ceiling: u64,
}

impl Sizer {
    pub fn new(bounds: Sizing) -> Self {
        Self { size: bounds.start.max(1), ceiling: bounds.start.max(1), bounds }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// A person wants other bounds: a fixed size is taken as it is, a size that follows its aim goes on from where it is.
    pub fn retune(&mut self, bounds: Sizing) {
        let start = bounds.start.max(1);
        self.ceiling = start;
        self.size = match bounds.aim_ms {
            Some(_) => self.size.clamp(bounds.min.max(1), bounds.max.max(bounds.min).max(1)),
            None => start,
        };
        self.bounds = bounds;
    }

    /// A batch of so many keys took so long. One that was not full says little.
    pub fn took(&mut self, keys: u64, ms: u64) {
        if keys < self.size {
            return;
        }
        let Some(aim) = self.bounds.aim_ms else {
            self.size = self.size.saturating_mul(2).min(self.ceiling);
            return;
        };
        // At most half as much again, at least half: one odd batch must not decide.
        let wish = u128::from(self.size) * u128::from(aim) / u128::from(ms.max(1));
        let wish = u64::try_from(wish).unwrap_or(u64::MAX);
        let size = self.size;
        self.size = wish.clamp(size.div_ceil(2), size.saturating_add(size.div_ceil(2)));
        self.size = self.size.clamp(self.bounds.min.max(1), self.bounds.max.max(1));
    }

    /// Others were in the way, or waited: a smaller batch holds less, for a shorter time.
    pub fn ease(&mut self) {
        let least = self.bounds.min.max(1).min(self.size);
        self.size = self.size.div_ceil(2).max(least);
    }

    /// A batch took too long, whatever its bounds say. False: it cannot be smaller.
    pub fn split(&mut self) -> bool {
        let smaller = self.size.div_ceil(2);
        let splits = smaller < self.size;
        self.size = smaller;
        self.ceiling = smaller;
        splits
    }
}

/// How fast it goes, since it last began to go at this pace.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Milliseconds since the start, keys and rows, at the end of batches: of the last ones, and of the last seconds.
    window: VecDeque<(u64, u64, u64)>,
    keys: u64,
    rows: u64,
    /// Batches since the pace was last another.
    batches: usize,
}

impl Pace {
    pub fn did(&mut self, at_ms: u64, keys: u64, rows: u64) {
        self.keys = self.keys.saturating_add(keys);
        self.rows = self.rows.saturating_add(rows);
        self.batches = self.batches.saturating_add(1);
        // Short batches share a place: the window is a length of time.
        let dense =
            self.window.len() >= FEWEST && self.window.iter().rev().nth(1).is_some_and(|it| at_ms < it.0 + GRAIN_MS);
        if dense {
            self.window.pop_back();
        }
        self.window.push_back((at_ms, self.keys, self.rows));
        while self.window.len() > FEWEST && self.window.front().is_some_and(|it| it.0 + WINDOW_MS < at_ms) {
            self.window.pop_front();
        }
    }

    /// From here on it goes at another pace, or began again after a pause: what was before says nothing of what comes.
    pub fn changes(&mut self) {
        self.window.clear();
        self.batches = 0;
    }

    /// Rows a second, pauses between batches included.
    pub fn rate(&self) -> Option<u64> {
        let ((from, _, before), (to, _, after)) = (self.window.front()?, self.window.back()?);
        let ms = to.checked_sub(*from).filter(|ms| *ms > 0)?;
        Some((after - before).saturating_mul(1_000) / ms)
    }

    /// Of so many keys, those that are left; none where there are fewer than were done.
    pub fn left(&self, keys: u64) -> Option<u64> {
        keys.checked_sub(self.keys)
    }

    /// Milliseconds that are left where there are `keys` of them in all; none while nobody can be sure.
    pub fn left_ms(&self, keys: Option<u64>) -> Option<u64> {
        let left = self.left(keys?)?;
        let (first, last) = (self.window.front()?, self.window.back()?);
        if self.batches < SURE_BATCHES || last.0.saturating_sub(first.0) < SURE_MS {
            return None;
        }
        let middle = self.window.get(self.window.len() / 2)?;
        let speed = |from: &(u64, u64, u64), to: &(u64, u64, u64)| {
            let ms = to.0.checked_sub(from.0).filter(|ms| *ms > 0)?;
            Some((to.1 - from.1) as f64 / ms as f64).filter(|speed| *speed > 0.0)
        };
        let (early, late) = (speed(first, middle)?, speed(middle, last)?);
        if early / late > STEADY || late / early > STEADY {
            return None;
        }
        // What overflows is a time that nobody waits for: the cast stops at the end of the scale.
        Some((left as f64 / speed(first, last)?) as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizing() -> impl Strategy<Value = Sizing> {
        (1_u64..5_000, 0_u64..5_000, 0_u64..100_000, proptest::option::of(1_u64..10_000))
            .prop_map(|(min, more, most, aim_ms)| Sizing { start: min + more, min, max: min + more + most, aim_ms })
    }

    proptest! {
        #[test]
        fn a_size_stays_within_its_bounds(bounds in sizing(), took in proptest::collection::vec((any::<u64>(), 0_u8..4), 0..60)) {
            let mut sizer = Sizer::new(bounds);
            let mut ceiling = bounds.start;
            for (ms, what) in took {
                let before = sizer.size();
                match what {
                    0 => {
                        prop_assert_eq!(sizer.split(), before > 1);
                        prop_assert!(sizer.size() <= before);
                        ceiling = sizer.size();
                    }
                    1 => {
                        sizer.ease();
                        prop_assert!((bounds.min.min(before)..=before).contains(&sizer.size()));
                    }
                    _ => {
                        sizer.took(before, ms);
                        prop_assert!(bounds.aim_ms.is_some() || (before..=ceiling).contains(&sizer.size()));
                        prop_assert!(bounds.aim_ms.is_none() || sizer.size() >= bounds.min);
                    }
                }
                prop_assert!((1..=bounds.max).contains(&sizer.size()));
            }
        }

        #[test]
        fn a_size_comes_near_its_aim(bounds in sizing(), micros_per_key in 1_u64..50_000) {
            let Some(aim) = bounds.aim_ms else { return Ok(()) };
            let mut sizer = Sizer::new(bounds);
            for _ in 0..80 {
                let size = sizer.size();
                sizer.took(size, size * micros_per_key / 1_000);
            }
            let right = (aim * 1_000 / micros_per_key).clamp(bounds.min, bounds.max);
            let (low, high) = (right / 2, right.saturating_mul(2) + 2);
            prop_assert!((low..=high).contains(&sizer.size()), "{} for {right}", sizer.size());
        }

        #[test]
        fn nothing_is_said_that_is_not_known(steps in proptest::collection::vec((0_u64..5_000, 0_u64..1_000_000, 0_u64..1_000_000), 0..50), all in proptest::option::of(any::<u64>())) {
            let (mut pace, mut at, mut done) = (Pace::default(), 0, 0);
            for (ms, keys, rows) in steps {
                at += ms;
                done += keys;
                pace.did(at, keys, rows);
                let left = pace.left_ms(all);
                prop_assert!(left.is_none() || all.is_some_and(|all| all >= done));
                let _ = pace.rate();
            }
        }
    }

    #[test]
    fn a_steady_pace_is_told_and_an_unsteady_one_is_not() {
        let mut pace = Pace::default();
        for n in 1..=10 {
            pace.did(n * 500, 1_000, 900);
            assert_eq!(pace.left_ms(Some(100_000)).is_some(), n >= 6, "after {n}");
        }
        assert_eq!((pace.rate(), pace.left_ms(Some(100_000))), (Some(1_800), Some(45_000)));
        assert_eq!(pace.left_ms(None), None);
        assert_eq!(pace.left_ms(Some(9_999)), None, "more keys than there should be");
        for n in 1..=3 {
            pace.did(5_000 + n * 5_000, 1_000, 900);
        }
        assert_eq!(pace.left_ms(Some(100_000)), None, "it became ten times slower");
        for n in 4..=12 {
            pace.did(5_000 + n * 5_000, 1_000, 900);
        }
        assert_eq!(pace.left_ms(Some(100_000)), Some(390_000), "and stays so: 78 batches are left");
        pace.changes();
        assert_eq!((pace.rate(), pace.left_ms(Some(100_000))), (None, None), "a new pace is not known yet");
    }

    #[test]
    fn short_batches_are_told_too() {
        let mut pace = Pace::default();
        for n in 1..=2_000 {
            pace.did(n * 20, 1_000, 900);
        }
        assert!(pace.window.len() < 100, "{}", pace.window.len());
        assert_eq!((pace.rate(), pace.left_ms(Some(2_500_000))), (Some(45_000), Some(10_000)));
    }

    #[test]
    fn other_bounds_hold_at_once() {
        let mut sizer = Sizer::new(Sizing::fixed(1_000));
        sizer.retune(Sizing::fixed(4_000));
        assert_eq!(sizer.size(), 4_000);
        sizer.took(4_000, 1);
        assert_eq!(sizer.size(), 4_000, "a fixed size stays");
        let aimed = Sizing { start: 4_000, min: 100, max: 3_000, aim_ms: Some(100) };
        sizer.retune(aimed);
        assert_eq!(sizer.size(), 3_000);
        sizer.took(3_000, 200);
        assert_eq!(sizer.size(), 1_500);
    }
}
