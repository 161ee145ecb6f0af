//! Models of what must hold whatever happens in which order: every interleaving of a runner, its zombie, a resolver and an
//! operator is walked through, and so are those of variants that are known to be wrong, each of which has to be caught.
//!
//! `cargo test --test model -- --nocapture` prints how many states there are, and the shortest way into each mistake.

#![cfg(test)]

mod attempt;
mod batch;
mod epoch;
mod explore;
