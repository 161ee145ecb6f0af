//! What several test binaries share.

pub mod headless;
pub mod postgres;
