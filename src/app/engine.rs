//! The engine's process: detached from every terminal, it holds the run, and screens come and go at its socket.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::app::{Done, Stop, code, host, past, who};
use crate::engine::{Ending, Engine, EngineError, LetGo, Setup};
use crate::journal::{JournalError, RunDir, Writer};
use crate::link::{self, Act, LinkError, PeerInfo};
use crate::run::decide::Input;
use crate::run::event::End;
use crate::run::{Event, Progress};
use crate::runbook::Runbook;

/// Everything around a running engine that the two ways of running one share.
pub struct Held {
    pub book: Arc<Runbook>,
    pub inbox: mpsc::Sender<Input>,
    pub bell: watch::Receiver<u64>,
    ending: JoinHandle<(Result<Ending, EngineError>, Writer)>,
    /// Ends when every screen has heard the last bell.
    serving: JoinHandle<()>,
    dir: RunDir,
}

impl Held {
    /// Waits for the engine's end: first the socket is closed, then the run's lock let go. The exit code.
    pub async fn end(self) -> Done {
        let (ending, writer) = self.ending.await.map_err(Stop::internal)?;
        // The screens' goodbye; the exit code does not depend on it.
        let _ = self.serving.await;
        // The journal becomes one file, for whoever copies it. What cannot be folded into it stays in its log.
        let _ = writer.close().await;
        past::file_report(&self.dir).await;
        exit_code(ending)
    }
}

/// `gonogo engine RUN_DIR`.
pub async fn engine(run_dir: &Path) -> Done {
    // Fails only where we lead a session already, which is as good.
    let _ = rustix::process::setsid();
    let dir = RunDir::at(run_dir).map_err(Stop::internal)?;
    let held = hold(&dir).await?;
    held.end().await
}

/// Takes the run's lock and holds it: engine, socket, and the wires between them.
pub async fn hold(dir: &RunDir) -> Result<Held, Stop> {
    ignore_hangup();
    ignore_file_limit();
    let writer = Writer::open(dir).await.map_err(refused)?;
    let (book, state) = past::fold(dir).await?;
    let book = Arc::new(book);
    let (bell, heard) = watch::channel(state.seq);
    let (progress, moved) = broadcast::channel(64);
    let (inbox, inputs) = mpsc::channel(256);
    let (server, acts) = link::Server::bind(dir.path(), &state.opened.run).await.map_err(refused_link)?;
    tokio::spawn(obey(acts, inbox.clone()));
    let serving = tokio::spawn(serve(server, heard.clone(), moved));
    let setup = Setup {
        book: book.clone(),
        writer,
        state,
        run_dir: dir.path().to_owned(),
        by: who(),
        host: host(),
        inbox: inputs,
        let_go: signals()?,
        bell,
        progress,
    };
    let engine = Engine::new(setup).map_err(Stop::internal)?;
    // A thread of its own: nothing that a screen or a probe does on the runtime's threads delays a turn.
    let runtime = tokio::runtime::Handle::current();
    let ending = tokio::task::spawn_blocking(move || runtime.block_on(engine.run()));
    Ok(Held { book, inbox, bell: heard, ending, serving, dir: dir.clone() })
}

/// What screens do, as inputs of the engine.
async fn obey(mut acts: mpsc::Receiver<(PeerInfo, Act)>, inbox: mpsc::Sender<Input>) {
    while let Some((peer, act)) = acts.recv().await {
        let by = peer.by.clone();
        let input = match act {
            Act::Attached => Input::Fact(Event::ScreenAttached { by, writes: peer.writes }),
            Act::Left => Input::Fact(Event::ScreenLost { by }),
            Act::Command(command) => Input::Command(command),
        };
        if inbox.send(input).await.is_err() {
            return;
        }
    }
}

/// Rings the screens: committed entries by their seq, progress as it comes; at the end the last bell, then goodbye.
async fn serve(server: link::Server, mut heard: watch::Receiver<u64>, mut moved: broadcast::Receiver<Progress>) {
    loop {
        tokio::select! {
            changed = heard.changed() => {
                server.bell(*heard.borrow_and_update());
                if changed.is_err() {
                    break;
                }
            }
            progress = moved.recv() => match progress {
                Ok(progress) => server.progress(progress),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
        }
    }
    server.close().await;
}

/// SIGTERM and SIGINT let go of the run in good order: the first when what runs has ended, the second cancels it.
fn signals() -> Result<watch::Receiver<LetGo>, Stop> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Stop::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Stop::internal)?;
    let (wish, wished) = watch::channel(LetGo::No);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let next = if *wish.borrow() == LetGo::No { LetGo::Soon } else { LetGo::Now };
            wish.send_replace(next);
        }
    });
    Ok(wished)
}

/// A lost terminal must not end the engine: SIGHUP is listened to and nothing is done.
fn ignore_hangup() {
    if let Ok(mut hangup) = signal(SignalKind::hangup()) {
        tokio::spawn(async move { while hangup.recv().await.is_some() {} });
    }
}

/// A journal at the limit for files (`ulimit -f`) is an error to be said, not a signal to die of.
fn ignore_file_limit() {
    let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    if let Ok(mut too_large) = signal(too_large) {
        tokio::spawn(async move { while too_large.recv().await.is_some() {} });
    }
}

fn refused(error: JournalError) -> Stop {
    Stop::new(code::REFUSED, error)
}

fn refused_link(error: LinkError) -> Stop {
    Stop::new(code::REFUSED, error)
}

/// The exit code of an ending.
fn exit_code(ending: Result<Ending, EngineError>) -> Done {
    match ending {
        Ok(Ending::Ended(End::Done)) => Ok(code::DONE),
        Ok(Ending::Ended(End::Failed)) => Ok(code::FAILED),
        Ok(Ending::Ended(End::RolledBack)) => Ok(code::ROLLED_BACK),
        Ok(Ending::Stopped) => Ok(code::HELD),
        Err(error) => Err(Stop::internal(error)),
    }
}

/// What the engine's log says after its first `said` bytes, for the message that it did not start.
pub fn last_words(dir: &RunDir, said: u64) -> String {
    let log = std::fs::read(dir.path().join("engine.log")).unwrap_or_default();
    let news = log.get(usize::try_from(said).unwrap_or(0)..).unwrap_or_default();
    String::from_utf8_lossy(news).trim().trim_start_matches("gonogo: ").to_owned()
}
