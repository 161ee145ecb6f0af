//! The engine's end of the link. Whatever a screen does or omits, the engine never waits for it: it rings, and goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::NAME;
use super::door::Door;
use super::error::LinkError;
use super::lines::{self, Lines};
use super::peer::{self, PeerInfo};
use super::words::{Down, Up, VERSION};
use crate::run::{Command, Progress, clean};

/// Screens at one engine.
const SCREENS: usize = 32;
/// Commands that wait for the engine; a screen that sends more waits too.
const INBOX: usize = 64;
/// Progress that waits for a screen; older is dropped.
const PROGRESS: usize = 64;

/// How long a screen may keep a connection waiting.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub hello: Duration,
    pub write: Duration,
    /// For the last bell at the end.
    pub goodbye: Duration,
    /// Between two looks whether the socket is still there.
    pub look: Duration,
}

pub(super) const PATIENCE: Patience = Patience {
    hello: Duration::from_secs(5),
    write: Duration::from_secs(10),
    goodbye: Duration::from_secs(2),
    look: Duration::from_secs(2),
};

/// What a screen did.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Attached,
    /// `by` is already that of the peer.
    Command(Command),
    Left,
}

/// Listens as long as it lives. Let it go before the engine's lock on the run.
pub struct Server {
    socket: PathBuf,
    bell: Option<watch::Sender<u64>>,
    progress: broadcast::Sender<Progress>,
    screens: TaskTracker,
    stop: CancellationToken,
    patience: Patience,
}

/// What every connection needs.
#[derive(Clone)]
struct Desk {
    run: String,
    inbox: mpsc::Sender<(PeerInfo, Act)>,
    bell: watch::Receiver<u64>,
    progress: broadcast::WeakSender<Progress>,
    stop: CancellationToken,
    patience: Patience,
}

impl Server {
    /// Listens in the folder of run `run`, whose lock the caller holds: a socket left by a killed engine is replaced. What screens
    /// do comes out of the receiver, in order per screen: [`Act::Attached`], commands, [`Act::Left`]. Needs a tokio runtime.
    /// Errors: another engine answers there, or the socket cannot be made.
    pub async fn bind(folder: &Path, run: &str) -> Result<(Self, mpsc::Receiver<(PeerInfo, Act)>), LinkError> {
        Self::bind_with(folder, run, PATIENCE).await
    }

    pub(super) async fn bind_with(
        folder: &Path,
        run: &str,
        patience: Patience,
    ) -> Result<(Self, mpsc::Receiver<(PeerInfo, Act)>), LinkError> {
        let door = Door::open(folder, run).await?;
        let (inbox, acts) = mpsc::channel(INBOX);
        let (bell, rung) = watch::channel(0);
        let (progress, _) = broadcast::channel(PROGRESS);
        let desk = Desk {
            run: run.to_owned(),
            inbox,
            bell: rung,
            progress: progress.downgrade(),
            stop: CancellationToken::new(),
            patience,
        };
        let server = Self {
            socket: folder.join(NAME),
            bell: Some(bell),
            progress,
            screens: TaskTracker::new(),
            stop: desk.stop.clone(),
            patience,
        };
        tokio::spawn(accept(door, desk, server.screens.clone()));
        Ok((server, acts))
    }

    /// Entries up to `seq` are committed. Never waits; a slow screen hears only the last.
    pub fn bell(&self, seq: u64) {
        if let Some(bell) = &self.bell {
            bell.send_replace(seq);
        }
    }

    /// Never waits; a slow screen misses some.
    pub fn progress(&self, progress: Progress) {
        // An error says that nobody looks.
        let _ = self.progress.send(progress);
    }

    /// The end in good order: every screen hears the last bell, then that the engine is gone. Waits for no screen longer than 2 s.
    pub async fn close(mut self) {
        self.bell = None;
        self.screens.close();
        let _ = tokio::time::timeout(self.patience.goodbye, self.screens.wait()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        // Left behind it does no harm: the next engine replaces it.
        let _ = fs::remove_file(&self.socket);
    }
}

async fn accept(mut door: Door, desk: Desk, screens: TaskTracker) {
    let seats = Arc::new(Semaphore::new(SCREENS));
    let mut bell = desk.bell.clone();
    let mut id = 0;
    let mut look = tokio::time::interval(desk.patience.look);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => Some(accepted),
            _ = look.tick() => None,
            () = desk.stop.cancelled() => return,
            () = closed(&mut bell) => return,
        };
        let Some(accepted) = accepted else {
            door.mend().await;
            continue;
        };
        let Ok(stream) = accepted else {
            // Out of descriptors, most likely: some screen will leave.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        id += 1;
        let seat = Arc::clone(&seats).try_acquire_owned();
        let desk = desk.clone();
        screens.spawn(async move {
            let stop = desk.stop.clone();
            let served = async {
                match seat {
                    Ok(_seat) => screen(stream, desk, id).await,
                    Err(_) => turn_away(stream, &desk, &format!("{SCREENS} screens look on already")).await,
                }
            };
            tokio::select! {
                () = served => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Ends when the engine says goodbye.
async fn closed(bell: &mut watch::Receiver<u64>) {
    while bell.changed().await.is_ok() {}
}

async fn turn_away(mut stream: UnixStream, desk: &Desk, why: &str) {
    let refused = Down::Refused { why: why.to_owned() };
    let _ = lines::write(&mut stream, &refused, desk.patience.write).await;
}

async fn screen(stream: UnixStream, desk: Desk, id: u64) {
    let credentials = match peer::credentials(&stream) {
        Ok(credentials) if peer::may_speak(credentials.uid, peer::own_uid()) => credentials,
        Ok(credentials) => {
            let why = format!("user id {} may not speak to this engine", credentials.uid);
            return turn_away(stream, &desk, &why).await;
        }
        Err(_) => return turn_away(stream, &desk, "the system does not say who you are").await,
    };
    let (read, write) = stream.into_split();
    let mut seat = Seat {
        up: Lines::new(read),
        down: write,
        peer: PeerInfo {
            id,
            uid: credentials.uid,
            pid: credentials.pid,
            by: peer::name(credentials.uid),
            says: String::new(),
            writes: false,
        },
        desk,
    };
    let ended = match seat.greet().await {
        Ok(()) => seat.attached().await,
        Err(why) => why,
    };
    seat.leave(ended).await;
}

/// Why a connection ends: words for the screen; none where it is gone or needs none.
type Ended = Option<String>;

/// One connection.
struct Seat {
    up: Lines<OwnedReadHalf>,
    down: OwnedWriteHalf,
    peer: PeerInfo,
    desk: Desk,
}

impl Seat {
    async fn greet(&mut self) -> Result<(), Ended> {
        let hello = tokio::time::timeout(self.desk.patience.hello, self.up.next()).await;
        let line = match hello {
            Ok(line) => understood(line)?,
            Err(_) => return Err(Some("no hello came".to_owned())),
        };
        let Up::Hello { version, by, watch } = line else {
            return Err(Some("the first line must be a hello".to_owned()));
        };
        if version != VERSION {
            let own = env!("CARGO_PKG_VERSION");
            return Err(Some(format!(
                "the engine is gonogo {own} and speaks version {VERSION} of the link, this screen version {version}: use the same gonogo"
            )));
        }
        self.peer.says = clean::line(&by, 100);
        self.peer.writes = !watch;
        let welcome = Down::Welcome {
            run: self.desk.run.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.say(&welcome).await
    }

    async fn attached(&mut self) -> Ended {
        if self.tell(Act::Attached).await.is_err() {
            return None;
        }
        let ended = self.converse().await.err().flatten();
        let _ = self.tell(Act::Left).await;
        ended
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        let mut progress = self.desk.progress.upgrade().ok_or(None)?.subscribe();
        let mut bell = self.desk.bell.clone();
        bell.mark_changed();
        loop {
            tokio::select! {
                // In this order: a flood of commands or progress does not drown the bell.
                biased;
                rung = bell.changed() => {
                    rung.map_err(|_| None)?;
                    let seq = *bell.borrow_and_update();
                    self.say(&Down::Bell { seq }).await?;
                }
                line = self.up.next() => {
                    let line = understood(line)?;
                    self.obey(line).await?;
                }
                moved = progress.recv() => match moved {
                    Ok(progress) => self.say(&Down::Progress(progress)).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    async fn obey(&mut self, line: Up) -> Result<(), Ended> {
        let Up::Command(mut command) = line else {
            return Err(Some("hello was said already".to_owned()));
        };
        if !self.peer.writes {
            let why = "this screen only watches: attach without --watch to take part".to_owned();
            return self.say(&Down::Refused { why }).await;
        }
        command.by.clone_from(&self.peer.by);
        self.tell(Act::Command(command)).await
    }

    async fn tell(&self, act: Act) -> Result<(), Ended> {
        self.desk.inbox.send((self.peer.clone(), act)).await.map_err(|_| None)
    }

    async fn say(&mut self, words: &Down) -> Result<(), Ended> {
        let written = lines::write(&mut self.down, words, self.desk.patience.write).await;
        // Who takes no bytes takes no reason either.
        written.map_err(|_| None)
    }

    async fn leave(mut self, ended: Ended) {
        if let Some(why) = ended {
            let _ = self.say(&Down::Refused { why }).await;
        }
    }
}

fn understood(line: io::Result<Option<Vec<u8>>>) -> Result<Up, Ended> {
    let line = match line {
        Ok(Some(line)) => line,
        Ok(None) => return Err(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(Some(error.to_string())),
        Err(_) => return Err(None),
    };
    serde_json::from_slice(&line).map_err(|error| {
        let why = clean::line(&error.to_string(), 200);
        Some(format!("a line is not understood: {why}"))
    })
}
