//! What reaches outside: probes and executors against real sockets, processes and files.
#![cfg(test)]

mod broken_metrics;
mod command;
#[path = "../support/doors.rs"]
mod doors;
mod http;
mod job;
mod notify;
mod probe;
#[path = "../support/http.rs"]
mod server;
mod shim;
#[path = "../support/wait.rs"]
mod wait;
