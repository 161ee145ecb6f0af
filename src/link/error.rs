//! What can go wrong between a screen and its engine, in words.

use std::io;

use crate::run::clean;

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody listens: it ended, was killed, or never was.
    #[error("no engine works on run {run}: `gonogo resume {run}` goes on with it")]
    NoEngine { run: String },
    /// A process holds the run, and nobody listens at its socket.
    #[error(
        "engine {holder} lives and holds run {run}, but its socket is gone: it makes it anew within seconds, so try again. Where it does not, \
         the process is stopped (see its state), or its folder cannot be written; nothing was sent"
    )]
    Unheard { run: String, holder: String },
    #[error("the engine of run {run} refused this screen: {}", clean::line(.why, 300))]
    Refused { run: String, why: String },
    #[error(
        "the engine of run {run} took the call but does not answer; it may be stopped or overloaded. Nothing was sent: try again, or \
         look at its engine.log"
    )]
    Silent { run: String },
    #[error(
        "an engine of user id {uid} answers for run {run}, whose folder belongs to user id {owner}: nothing was sent to it"
    )]
    Stranger { run: String, uid: u32, owner: u32 },
    #[error("run {run} has an engine already, which answers on its socket: `gonogo watch {run}` looks on")]
    Busy { run: String },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
}

impl LinkError {
    /// `what` completes "cannot …".
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
