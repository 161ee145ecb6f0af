//! The screen under test: drawn from real entries, driven by real keys.

pub(super) mod book;
mod chaos;
mod ends;
mod keys;
mod looks;
mod screens;
mod script;
