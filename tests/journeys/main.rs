//! Whole windows with the real program: what it prints, what it exits with, what is in the databases afterwards.

// To the lints, helpers of tests are not tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod headless;
mod screen;
