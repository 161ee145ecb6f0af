//! The local socket between a screen and its engine: commands go up with the name of who is really there, a bell and lossy
//! progress come down. Facts do not travel here: the bell says how far the journal may be read.

mod address;
mod client;
mod door;
mod error;
mod lines;
mod peer;
mod server;
#[cfg(test)]
mod tests;
mod words;

pub use client::Client;
pub use error::LinkError;
pub use peer::{PeerInfo, name, own_name};
pub use server::{Act, Server};
pub use words::Down;
