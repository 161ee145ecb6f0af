//! Watches over a command that runs under its shim: shows what it says as it comes, stops it, and waits for its end.

use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::command::CommandJob;
use super::show::{Show, Stream};
use crate::child::Tail;
use crate::child::shim::{Ended, Follower, Place, Standing, Started, Which, until};
use crate::failpoint;
use crate::run::Chunk;
use crate::run::limits::FACT_BYTES;

/// How often the files of the shim are looked at, and how much is read at one look.
const LOOK: Duration = Duration::from_millis(25);
const PIECES: usize = 64;
/// What a shim may need, beyond what it was told to wait, to write down an end.
const SLOW: Duration = Duration::from_secs(10);
/// Bytes of the words of a shim that ended too early.
const WORDS: usize = 500;

/// How it came to its end.
pub enum End {
    Ended(Box<Ended>),
    /// Its shim is gone without a word.
    Lost(Started),
    /// It was killed and does not die.
    Immortal,
    /// Nothing was started; what the shim said.
    Never(String),
    Unreadable(io::Error),
}

/// What was seen of it.
pub struct Seen {
    pub end: End,
    pub cancelled: bool,
    /// Its time was over, and its shim did nothing about it.
    pub overdue: bool,
    pub out: Tail,
    pub err: Tail,
}

pub struct Watch<'a> {
    place: &'a Place,
    /// Where this engine started it.
    shim: Option<Child>,
    show: &'a mut Show,
    follower: Follower,
    started: Option<Started>,
    grace: Duration,
    drain: Duration,
    /// When its time is over for certain: a shim that could have ended it has not.
    deadline: Option<Instant>,
    overdue: bool,
    cancelled: bool,
    /// Signals sent so far, and when patience is over once more.
    signals: u8,
    patience: Option<Instant>,
    out: Tail,
    err: Tail,
}

impl<'a> Watch<'a> {
    pub fn new(job: &CommandJob, place: &'a Place, shim: Option<Child>, show: &'a mut Show) -> Self {
        Self {
            place,
            shim,
            show,
            follower: Follower::new(place),
            started: None,
            grace: job.grace,
            drain: job.drain,
            deadline: job.timeout.and_then(|timeout| Instant::now().checked_add(timeout + SLOW)),
            overdue: false,
            cancelled: false,
            signals: 0,
            patience: None,
            out: Tail::new(FACT_BYTES),
            err: Tail::new(FACT_BYTES),
        }
    }

    pub async fn see_through(mut self, out: &mpsc::Sender<Chunk>, stop: &CancellationToken) -> Seen {
        let mut heard = true;
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let due = self.show.due().filter(|_| heard);
            tokio::select! {
                permit = sendable(out, due), if due.is_some() => match permit {
                    Some(permit) => if let Some(chunk) = self.show.next() { permit.send(chunk) },
                    // Nobody listens: the command goes on, its output is only kept for the facts.
                    None => heard = false,
                },
                () = stop.cancelled(), if !self.cancelled => self.cancelled = true,
                () = until(self.deadline) => {
                    self.deadline = None;
                    self.overdue = true;
                }
                () = until(self.patience) => if self.insist() { break End::Immortal },
                () = ended(&mut self.shim), if self.shim.is_some() => {
                    self.shim = None;
                    self.see_start();
                    if let Some(end) = self.end() { break end }
                }
                _ = tick.tick() => if let Some(end) = self.look(&mut tick) { break end },
            }
        };
        self.leave(end)
    }

    /// Reads what is new; the end, where it has come.
    fn look(&mut self, tick: &mut Interval) -> Option<End> {
        match self.read() {
            Ok(true) => tick.reset_immediately(),
            Ok(false) => {}
            Err(error) => return Some(End::Unreadable(error)),
        }
        self.see_start();
        if (self.cancelled || self.overdue) && self.signals == 0 {
            self.ask_to_end();
        }
        self.end()
    }

    fn see_start(&mut self) {
        if self.started.as_ref().is_none_or(|started| started.child.is_none()) {
            self.started = self.place.started().ok().flatten();
            if self.started.as_ref().is_some_and(|started| started.child.is_some()) {
                failpoint::hit("exec.command.started");
            }
        }
    }

    fn end(&self) -> Option<End> {
        if self.shim.is_some() {
            // While our own shim lives only its word counts: to ask for the lock could fence it off.
            return match self.place.ended() {
                Ok(ended) => ended.map(|ended| End::Ended(Box::new(ended))),
                Err(error) => Some(End::Unreadable(error)),
            };
        }
        match self.place.look() {
            Ok(Standing::Held) => None,
            Ok(Standing::Ended(ended)) => Some(End::Ended(ended)),
            Ok(Standing::Lost(started)) => Some(End::Lost(started)),
            Ok(Standing::NeverStarted) => Some(End::Never(said(self.place))),
            Err(error) => Some(End::Unreadable(error)),
        }
    }

    /// True where there may be more.
    fn read(&mut self) -> io::Result<bool> {
        for _ in 0..PIECES {
            let Some((which, piece)) = self.follower.piece()? else { return Ok(false) };
            self.take(which, &piece);
        }
        Ok(true)
    }

    fn take(&mut self, which: Which, piece: &[u8]) {
        match which {
            Which::Out => {
                self.out.push(piece);
                self.show.push(Stream::Out, piece);
            }
            Which::Err => {
                self.err.push(piece);
                self.show.push(Stream::Err, piece);
            }
        }
    }

    fn ask_to_end(&mut self) {
        let Some(started) = self.started.as_ref().filter(|started| started.child.is_some()) else { return };
        started.signal(Signal::TERM);
        self.signals = 1;
        self.patience = Some(Instant::now() + self.grace);
    }

    /// Patience is over: KILL; and once more, give up. True when nothing more can be done.
    fn insist(&mut self) -> bool {
        self.patience = None;
        if self.signals > 1 {
            return true;
        }
        if let Some(started) = &self.started {
            started.signal(Signal::KILL);
        }
        self.signals = 2;
        self.patience = Some(Instant::now() + self.grace + self.drain + SLOW);
        false
    }

    fn leave(mut self, mut end: End) -> Seen {
        if let Some(started) = self.started.as_ref().filter(|_| self.signals > 0) {
            // Its leader may be gone and others of its group still busy.
            started.signal(Signal::KILL);
        }
        if let Err(error) = self.read_rest() {
            // How it ended is known all the same.
            match &mut end {
                End::Ended(ended) => _ = ended.unkept.get_or_insert(error.to_string()),
                _ => self.show.notice("WARNING", format!("its output cannot be read: {error}")),
            }
        }
        self.show.finish();
        Seen { end, cancelled: self.cancelled, overdue: self.overdue, out: self.out, err: self.err }
    }

    fn read_rest(&mut self) -> io::Result<()> {
        while self.read()? {}
        for (which, stream) in [(Which::Err, Stream::Err), (Which::Out, Stream::Out)] {
            let rest = self.follower.rest(which)?;
            if rest.lost > 0 {
                self.show.skip(stream, rest.lost);
                match which {
                    Which::Out => self.out.skip(rest.lost),
                    Which::Err => self.err.skip(rest.lost),
                }
            }
            self.take(which, &rest.bytes);
        }
        Ok(())
    }
}

/// The last words of a shim that started nothing.
fn said(place: &Place) -> String {
    let said = std::fs::read(place.file("log")).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(WORDS)..]).into_owned();
    said.trim().trim_start_matches("gonogo: ").to_owned()
}

async fn ended(shim: &mut Option<Child>) {
    match shim {
        // However it ended: what it wrote down counts.
        Some(shim) => _ = shim.wait().await,
        None => std::future::pending().await,
    }
}

async fn sendable(out: &mpsc::Sender<Chunk>, due: Option<Instant>) -> Option<mpsc::Permit<'_, Chunk>> {
    until(due).await;
    out.reserve().await.ok()
}
