//! Chance that can be repeated: SplitMix64, from a seed that every test prints.

pub struct Chance(u64);

impl Chance {
    /// From `GONOGO_SEED`, else from the clock. Printed, so that a failure can be repeated.
    pub fn new(name: &str) -> Self {
        let seed = std::env::var("GONOGO_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
        println!("{name}: GONOGO_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Another one, that depends on this one only.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos() & u128::from(u32::MAX)).unwrap()
}
