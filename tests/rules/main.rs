//! The rules of a run as scripts: inputs go in, the events that follow are read as lines. No clock, no I/O.

#![cfg(test)]

mod coverage;
mod giving_up;
mod held;
mod laws;
mod mask;
mod remedy;
mod rollback;
mod script;
mod steps;
mod triggers;
mod watch_laws;
