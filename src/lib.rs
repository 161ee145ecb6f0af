//! gonogo: one person, one maintenance window, one program. The rooms of the house; `docs/architecture.md` says who may know whom.

pub mod run;
pub mod runbook;
pub mod tui;
