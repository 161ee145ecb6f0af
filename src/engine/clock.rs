//! The engine's clocks: the wall for people, and a run clock that counts suspend and never steps back.

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::run::Moment;

/// Milliseconds since boot, suspend included.
fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Gives moments of one run.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    /// What `boot_ms` was when the run clock stood at `at_ms`.
    base_boot_ms: u64,
    at_ms: u64,
}

impl RunClock {
    /// A clock that starts now at zero.
    pub fn start() -> Self {
        Self { base_boot_ms: boot_ms(), at_ms: 0 }
    }

    /// The clock whose zero was at `zero_ms` of this boot: that of a running engine, for a screen beside it.
    pub fn since(zero_ms: u64) -> Self {
        Self { base_boot_ms: zero_ms, at_ms: 0 }
    }

    /// The clock of a run that is taken up again: `last` is its newest entry, `same_boot` the zero of its last engine's
    /// clock where that ran in this boot. Over a reboot the wall clock has to tell how long the gap was.
    pub fn resume(last: Moment, same_boot: Option<u64>) -> Self {
        let now = boot_ms();
        let gap = match same_boot {
            Some(base) => return Self { base_boot_ms: base, at_ms: 0 }.not_before(last.ms),
            None => wall_gap_ms(last.wall, Utc::now()),
        };
        Self { base_boot_ms: now, at_ms: last.ms + gap }
    }

    fn not_before(self, ms: u64) -> Self {
        if self.now().ms >= ms { self } else { Self { base_boot_ms: boot_ms(), at_ms: ms } }
    }

    /// What `boot_ms` was at the run clock's zero: journaled with the boot id, so that a later engine can go on.
    pub fn zero(&self) -> u64 {
        self.base_boot_ms.saturating_sub(self.at_ms)
    }

    pub fn now(&self) -> Moment {
        Moment { wall: Utc::now(), ms: self.at_ms + boot_ms().saturating_sub(self.base_boot_ms) }
    }
}

fn wall_gap_ms(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    u64::try_from((to - from).num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// The last entry of a run, written when the wall clock was `hours` wrong.
    fn last(hours: i64) -> Moment {
        Moment { wall: Utc::now() + TimeDelta::hours(hours), ms: 60_000 }
    }

    #[test]
    fn a_stepped_wall_clock_moves_no_duration() {
        let zero = boot_ms().saturating_sub(90_000);
        for hours in [-1, 0, 1, 1_000] {
            let clock = RunClock::resume(last(hours), Some(zero));
            let now = clock.now().ms;
            assert!((90_000..100_000).contains(&now), "{hours} h: {now}");
            assert_eq!(clock.zero(), zero);
        }
    }

    #[test]
    fn the_run_clock_never_steps_back() {
        // Another clock's zero lies in the future: the journal's last entry counts.
        assert!(RunClock::resume(last(0), Some(boot_ms() + 1_000_000)).now().ms >= 60_000);
        // Over a reboot the wall clock tells the gap; one that was set back tells none.
        assert!((60_000..70_000).contains(&RunClock::resume(last(1), None).now().ms));
        let hour = 60_000 + 3_600_000;
        assert!((hour..hour + 10_000).contains(&RunClock::resume(last(-1), None).now().ms));
    }
}
