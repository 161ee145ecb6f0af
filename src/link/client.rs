//! A screen's end of the link.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::error::LinkError;
use super::lines::{self, Lines};
use super::peer;
use super::server::PATIENCE;
use super::words::{Down, Up, VERSION};
use crate::run::Command;

/// What waits between the tasks of the link and the screen.
const QUEUE: usize = 256;

/// A connection to a living engine. Its parts may be taken apart.
pub struct Client {
    /// Commands to the engine. Closed: the engine is gone. When it and its clones are dropped, what was sent still goes out, then
    /// the connection ends: a screen that only watches keeps it too.
    pub commands: mpsc::Sender<Command>,
    /// Bells, progress and refusals. Its end: the engine is gone, the journal says how it was left.
    pub inbox: mpsc::Receiver<Down>,
    /// Of the engine.
    pub pid: u32,
    pub version: String,
}

impl Client {
    /// Calls the engine of the run in `folder`. `by`: who the screen says it is; `watch`: it will send no commands.
    /// Errors: [`LinkError::NoEngine`] at once where nobody listens.
    pub async fn connect(folder: &Path, by: &str, watch: bool) -> Result<Self, LinkError> {
        let run = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let stream = call(folder, &run).await?;
        check_owner(folder, &run, &stream)?;
        let (read, mut write) = stream.into_split();
        let mut down = Lines::new(read);
        let hello = Up::Hello { version: VERSION, by: by.to_owned(), watch };
        // A refusal may come before the hello is through: it says more than the error of writing.
        let _ = lines::write(&mut write, &hello, PATIENCE.write).await;
        let (pid, version) = welcome(&mut down, &run).await?;
        let (commands, sent) = mpsc::channel(QUEUE);
        let (heard, inbox) = mpsc::channel(QUEUE);
        let gone = CancellationToken::new();
        tokio::spawn(listen(down, heard, gone.clone().drop_guard()));
        tokio::spawn(speak(write, sent, gone));
        Ok(Self { commands, inbox, pid, version })
    }
}

async fn call(folder: &Path, run: &str) -> Result<UnixStream, LinkError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => LinkError::NoEngine { run: run.to_owned() },
        _ => LinkError::io(format!("reach the engine of run {run}"))(error),
    };
    let address = Address::of(folder).map_err(failed)?;
    UnixStream::connect(address.path()).await.map_err(failed)
}

/// Commands go to the owner of the run, not to whoever managed to put a socket there.
fn check_owner(folder: &Path, run: &str, stream: &UnixStream) -> Result<(), LinkError> {
    let failed = |error| LinkError::io(format!("ask who answers for run {run}"))(error);
    let uid = peer::credentials(stream).map_err(failed)?.uid;
    let owner = std::fs::metadata(folder).map_err(failed)?.uid();
    if peer::may_speak(uid, owner) {
        return Ok(());
    }
    let run = run.to_owned();
    Err(LinkError::Stranger { run, uid, owner })
}

async fn welcome(down: &mut Lines<OwnedReadHalf>, run: &str) -> Result<(u32, String), LinkError> {
    let run = run.to_owned();
    let Ok(line) = tokio::time::timeout(PATIENCE.hello, next(down)).await else {
        return Err(LinkError::Silent { run });
    };
    match line {
        Some(Down::Welcome { pid, version, .. }) => Ok((pid, version)),
        Some(Down::Refused { why }) => Err(LinkError::Refused { run, why }),
        Some(_) => Err(LinkError::Refused { run, why: "it did not say welcome".to_owned() }),
        // It ended between the call and the answer.
        None => Err(LinkError::NoEngine { run }),
    }
}

/// The next words; none at the end, or where they are not understood, which the hello made sure of.
async fn next(down: &mut Lines<OwnedReadHalf>) -> Option<Down> {
    let line = down.next().await.ok()??;
    serde_json::from_slice(&line).ok()
}

/// `_gone`: dropped with this task, it ends the other. Goes on where nobody listens any more, so that commands still go out.
async fn listen(mut down: Lines<OwnedReadHalf>, heard: mpsc::Sender<Down>, _gone: DropGuard) {
    while let Some(words) = next(&mut down).await {
        if matches!(words, Down::Progress(_)) {
            let _ = heard.try_send(words);
        } else {
            let _ = heard.send(words).await;
        }
    }
}

/// Sends what is in the queue; its end tells the engine that the screen left.
async fn speak(mut write: OwnedWriteHalf, mut sent: mpsc::Receiver<Command>, gone: CancellationToken) {
    loop {
        let command = tokio::select! {
            command = sent.recv() => command,
            () = gone.cancelled() => return,
        };
        let Some(command) = command else { return };
        if lines::write(&mut write, &Up::Command(command), PATIENCE.write).await.is_err() {
            return;
        }
    }
}
