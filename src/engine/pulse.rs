//! The engine's pulse: it looks at its clock several times a second, so a longer while between two looks is time in which
//! everything stood still: the machine slept, or somebody stopped the process. Nobody watched then.

/// Longer than any turn of a healthy engine takes, milliseconds.
const STILL: u64 = 5_000;

#[derive(Debug)]
pub struct Pulse {
    last_ms: u64,
}

impl Pulse {
    /// `now_ms`: on a clock that counts suspend.
    pub fn start(now_ms: u64) -> Self {
        Self { last_ms: now_ms }
    }

    /// The milliseconds in which everything stood still, where it did since the last beat.
    pub fn beat(&mut self, now_ms: u64) -> Option<u64> {
        let gap = now_ms.saturating_sub(self.last_ms);
        self.last_ms = now_ms;
        (gap > STILL).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_while_is_a_gap_and_only_once() {
        let mut pulse = Pulse::start(1_000);
        assert_eq!(pulse.beat(1_200), None);
        assert_eq!(pulse.beat(6_200), None);
        assert_eq!(pulse.beat(606_200), Some(600_000));
        assert_eq!(pulse.beat(606_400), None);
        assert_eq!(pulse.beat(606_300), None, "a clock that steps back is no gap");
    }
}
