//! The screen under test: drawn from real entries, driven by real keys.

mod book;
mod chaos;
mod keys;
mod looks;
mod screens;
mod script;
