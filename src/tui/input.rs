//! Keys, mouse and paste, read on a thread of its own. It never asks crossterm before it knows that there is something
//! to read and somebody who writes: crossterm 0.29 spins for ever once the terminal is gone.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// Events that may wait for the screen.
const WAITING: usize = 256;
/// How long crossterm is given for bytes that are there already: with no time at all it does not look.
const PARSE: Duration = Duration::from_millis(50);

pub enum Input {
    Event(Event),
    /// The thread rests: somebody else may read the terminal.
    Resting,
    /// Nobody is at the other end any more.
    Gone,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    rest: Mutex<bool>,
    wake_up: Condvar,
}

pub struct Reader {
    pub events: mpsc::Receiver<Input>,
    shared: Arc<Shared>,
    bell: UnixStream,
}

impl Reader {
    pub fn start() -> io::Result<Self> {
        let (send, events) = mpsc::channel(WAITING);
        let (bell, ear) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("terminal-input".to_owned()).spawn(move || read(&of_thread, ear, &send))?;
        Ok(Self { events, shared, bell })
    }

    /// Asks the thread to leave the terminal alone; [`Input::Resting`] says when it does.
    pub fn rest(&mut self) {
        self.set_rest(true);
        self.ring();
    }

    pub fn go_on(&mut self) {
        self.set_rest(false);
        self.shared.wake_up.notify_all();
    }

    fn set_rest(&self, rest: bool) {
        *self.shared.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }

    fn ring(&mut self) {
        // A full pipe has been rung already.
        let _ = self.bell.write(&[1]);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.events.close();
        self.go_on();
        self.ring();
    }
}

fn read(shared: &Shared, mut ear: UnixStream, send: &mpsc::Sender<Input>) {
    while !shared.stop.load(Ordering::SeqCst) {
        if !wait_while_resting(shared, send) {
            return;
        }
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&ear, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
        let (terminal, bell) = (fds[0].revents(), fds[1].revents());
        if terminal.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            break;
        }
        if !bell.is_empty() {
            let mut heard = [0; 64];
            let _ = ear.read(&mut heard);
            continue;
        }
        if terminal.contains(PollFlags::IN) && !take(send) {
            break;
        }
    }
    let _ = send.blocking_send(Input::Gone);
}

/// Passes on everything that has arrived. False once nobody listens, or the terminal fails.
fn take(send: &mpsc::Sender<Input>) -> bool {
    loop {
        match event::poll(PARSE) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        let Ok(event) = event::read() else {
            return false;
        };
        if send.blocking_send(Input::Event(event)).is_err() {
            return false;
        }
    }
}

/// Sleeps while somebody else has the terminal. False once nobody listens.
fn wait_while_resting(shared: &Shared, send: &mpsc::Sender<Input>) -> bool {
    let mut rest = shared.rest.lock().unwrap_or_else(PoisonError::into_inner);
    if !*rest {
        return true;
    }
    drop(rest);
    if send.blocking_send(Input::Resting).is_err() {
        return false;
    }
    rest = shared.rest.lock().unwrap_or_else(PoisonError::into_inner);
    while *rest && !shared.stop.load(Ordering::SeqCst) {
        rest = shared.wake_up.wait(rest).unwrap_or_else(PoisonError::into_inner);
    }
    true
}
