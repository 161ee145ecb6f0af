//! What several test binaries share.

pub mod headless;
pub mod http;
pub mod pooler;
pub mod postgres;
pub mod process;
pub mod pty;
pub mod sitter;
mod standby;
pub mod traffic;
