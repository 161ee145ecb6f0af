//! The screen under test: drawn from real entries, driven by real keys.

mod book;
mod script;
mod screens;
