//! What a file's statements say while they run, without what our own bookkeeping says.

use tokio::sync::mpsc::{Receiver, Sender};

use crate::run::Chunk;

/// Passes on the chunks of the first `own` statements.
pub(super) struct Relay<'a> {
    out: &'a Sender<Chunk>,
    own: u32,
    /// Statements whose result has columns.
    shown: u32,
}

impl<'a> Relay<'a> {
    pub fn new(out: &'a Sender<Chunk>, own: usize) -> Self {
        Self { out, own: u32::try_from(own).unwrap_or(u32::MAX), shown: 0 }
    }

    fn passes(&mut self, chunk: Chunk) -> Option<Chunk> {
        let own = self.own;
        match chunk {
            Chunk::Statement { n, .. } => (n <= own).then_some(Chunk::Statement { n, of: own }),
            Chunk::Columns { n, .. } => {
                self.shown = n;
                (n <= own).then_some(chunk)
            }
            Chunk::Rows { n, .. } => (n <= own).then_some(chunk),
            // A line for each statement would hide the files.
            Chunk::StatementEnd { n, .. } => (n <= own && n == self.shown).then_some(chunk),
            other => Some(other),
        }
    }
}

/// Until the work has dropped its end.
pub(super) async fn pass(mut relay: Relay<'_>, mut chunks: Receiver<Chunk>) {
    while let Some(chunk) = chunks.recv().await {
        if let Some(chunk) = relay.passes(chunk) {
            // Nobody has to listen: the work goes on all the same.
            let _ = relay.out.send(chunk).await;
        }
    }
}
