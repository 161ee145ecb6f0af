//! The screen under test: drawn from real entries, driven by real keys.

mod book;
mod keys;
mod screens;
mod script;
