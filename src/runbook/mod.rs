//! The language of runbooks: its model, its parser, its checks, its templates and expressions. Knows nothing else of ours.

pub mod model;

pub use model::*;
