//! Faults made for real, again and again: kill -9, terminated sessions, immediate restarts, failovers, cut connections,
//! failing system calls. What is counted lies outside of gonogo's own proofs.
//!
//! By itself this is the quick set. `GONOGO_LONG=1` runs the published numbers (`scripts/reliability`), `GONOGO_SEED=n`
//! repeats one, and `GONOGO_FIGURES=FILE` gathers what was counted, a JSON object per line.

// To the lints, helpers of tests are not tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
#![cfg(test)]

mod attempt;
mod chance;
mod disk;
mod figures;
mod kills;
mod queue;
mod race;
mod sessions;

#[path = "../journeys/headless/story.rs"]
#[allow(dead_code, reason = "shared with the journeys, which use all of it")]
mod story;

mod wire;
mod world;

use support::headless::Desk;

/// A desk for the program under test.
fn desk() -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_gonogo"))
}

/// How often something is done: `quick` times in every run of the tests, `long` times for the published numbers.
fn times(quick: u32, long: u32) -> u32 {
    if std::env::var_os("GONOGO_LONG").is_some() { long } else { quick }
}
