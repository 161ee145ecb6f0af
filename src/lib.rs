//! gonogo: one person, one maintenance window, one program. The rooms of the house; `docs/architecture.md` says who may know whom.

pub mod app;
pub mod child;
pub mod cli;
pub mod draft;
pub mod dump;
pub mod engine;
pub mod failpoint;
pub mod feed;
pub mod journal;
pub mod link;
pub mod lint;
pub mod net;
pub mod print;
pub mod probe;
pub mod report;
pub mod run;
pub mod runbook;
pub mod target;
pub mod tui;
