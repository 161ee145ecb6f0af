//! The loop that joins terminal, model and messages: draws only what changed, at most thirty times a second, and sleeps
//! until something happens.

use std::io;
use std::time::Duration;

use crossterm::event::Event;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::input::{Input, Reader};
use super::message::{Message, Out};
use super::model::Model;
use super::terminal::{Screen, hung_up};
use super::{draw, update};
use crate::run::Moment;

/// Between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// Messages taken before keys get their turn again.
const BURST: usize = 256;
/// How long the reader of the terminal may take to let go of it.
const LET_GO: Duration = Duration::from_millis(500);
/// Terminals refuse longer clipboard texts, some by closing the connection.
const CLIPBOARD_BYTES: usize = 74_000;

/// Tells the time of the run: what the room itself never reads.
pub type Clock = Box<dyn Fn() -> Moment + Send>;

pub struct Init {
    pub model: Model,
    pub clock: Clock,
    /// Whether the mouse is taken; the terminal's own selection is off then.
    pub mouse: bool,
}

/// Why the screen ended. The terminal is given back in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The operator left; [`Out::Quit`] was sent before.
    Left,
    /// The terminal went away.
    HangUp,
    /// A signal asked for it.
    Signal(i32),
    /// Nobody sends messages any more.
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error("standard input and output are no terminal; --headless runs without one")]
    NoTerminal,
    #[error("the terminal could not be set up: {0}")]
    SetUp(#[source] io::Error),
    #[error("the terminal could not be drawn on: {0}")]
    Draw(#[source] io::Error),
}

/// Runs the screen until it ends. Messages come in by `inbox`, wishes leave by `outbox`.
///
/// # Errors
/// Where there is no terminal, or it cannot be set up or drawn on. A terminal that goes away is no error.
pub async fn run(
    init: Init,
    inbox: mpsc::Receiver<Message>,
    outbox: mpsc::Sender<Out>,
) -> Result<ExitReason, TuiError> {
    use std::io::IsTerminal;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let signals = Signals::new().map_err(TuiError::SetUp)?;
    let screen = Screen::take(init.mouse).map_err(TuiError::SetUp)?;
    let reader = Reader::start().map_err(TuiError::SetUp)?;
    let now = Instant::now();
    let mut session = Session {
        model: init.model,
        clock: init.clock,
        screen,
        reader,
        signals,
        inbox,
        outbox,
        dirty: true,
        lent: false,
        next_frame: now,
        next_tick: now,
    };
    session.resize();
    session.go().await
}

struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    resize: Signal,
    go_on: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            resize: signal(SignalKind::window_change())?,
            go_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Happened {
        tokio::select! {
            _ = self.hang_up.recv() => Happened::Gone,
            _ = self.terminate.recv() => Happened::Ended(SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => Happened::Ended(SignalKind::interrupt().as_raw_value()),
            _ = self.resize.recv() => Happened::Resized,
            _ = self.go_on.recv() => Happened::Continued,
        }
    }
}

/// What woke the loop.
enum Happened {
    Gone,
    Ended(i32),
    Resized,
    Continued,
    Input(Event),
    Resting,
    Message(Message),
    Closed,
    Time,
}

struct Session {
    model: Model,
    clock: Clock,
    screen: Screen,
    reader: Reader,
    signals: Signals,
    inbox: mpsc::Receiver<Message>,
    outbox: mpsc::Sender<Out>,
    dirty: bool,
    /// True while an external editor has the terminal.
    lent: bool,
    next_frame: Instant,
    next_tick: Instant,
}

impl Session {
    async fn go(&mut self) -> Result<ExitReason, TuiError> {
        loop {
            if let Some(reason) = self.frame()? {
                return Ok(reason);
            }
            let ended = match self.wait().await {
                Happened::Gone => Some(ExitReason::HangUp),
                Happened::Ended(signal) => Some(ExitReason::Signal(signal)),
                Happened::Closed => Some(ExitReason::Closed),
                Happened::Resized => {
                    self.resize();
                    None
                }
                Happened::Continued => {
                    if !self.lent {
                        self.take_back();
                    }
                    None
                }
                Happened::Resting => None,
                Happened::Input(event) => self.input(event).await,
                Happened::Message(message) => self.messages(message).await,
                Happened::Time => self.time(),
            };
            if let Some(reason) = ended {
                return Ok(reason);
            }
        }
    }

    /// Draws where something changed and it is time.
    fn frame(&mut self) -> Result<Option<ExitReason>, TuiError> {
        if !self.dirty || self.lent || Instant::now() < self.next_frame {
            return Ok(None);
        }
        let model = &self.model;
        match self.screen.draw(|frame| draw(model, frame)) {
            Ok(()) => {
                self.model.mark_drawn();
                if self.model.take_bell() {
                    self.screen.ring();
                }
                self.dirty = false;
                self.next_frame = Instant::now() + FRAME;
                Ok(None)
            }
            Err(_) if hung_up() => Ok(Some(ExitReason::HangUp)),
            Err(error) => Err(TuiError::Draw(error)),
        }
    }

    async fn wait(&mut self) -> Happened {
        let until = if self.dirty && !self.lent { self.next_frame.min(self.next_tick) } else { self.next_tick };
        tokio::select! {
            biased;
            happened = self.signals.next() => happened,
            input = self.reader.events.recv() => match input {
                Some(Input::Event(event)) => Happened::Input(event),
                Some(Input::Resting) => Happened::Resting,
                Some(Input::Gone) | None => Happened::Gone,
            },
            message = self.inbox.recv() => message.map_or(Happened::Closed, Happened::Message),
            () = sleep_until(until) => Happened::Time,
        }
    }

    /// A deadline passed: the clock moves on. Also the second net under a terminal that is gone.
    fn time(&mut self) -> Option<ExitReason> {
        if Instant::now() >= self.next_tick {
            self.tick();
            self.dirty = true;
            return (!self.lent && hung_up()).then_some(ExitReason::HangUp);
        }
        None
    }

    fn tick(&mut self) {
        let now = (self.clock)();
        update(&mut self.model, Message::Tick(now));
        self.next_tick = Instant::now() + Duration::from_millis(self.model.quiet_ms().clamp(50, 1_000));
    }

    fn resize(&mut self) {
        if let Ok((columns, rows)) = self.screen.size() {
            update(&mut self.model, Message::Resize(columns, rows));
        }
        self.dirty = true;
    }

    async fn input(&mut self, event: Event) -> Option<ExitReason> {
        if self.lent {
            return None;
        }
        let message = match event {
            Event::Key(key) => Message::Key(key),
            Event::Mouse(mouse) => Message::Mouse(mouse),
            Event::Paste(text) => Message::Paste(text),
            Event::Resize(columns, rows) => Message::Resize(columns, rows),
            Event::FocusGained | Event::FocusLost => return None,
        };
        // The guards of the keys are counted in time: it must be now.
        self.tick();
        self.message(message).await
    }

    async fn messages(&mut self, first: Message) -> Option<ExitReason> {
        let mut next = Some(first);
        for _ in 0..BURST {
            let Some(message) = next else {
                break;
            };
            let ended = self.message(message).await;
            if ended.is_some() {
                return ended;
            }
            next = self.inbox.try_recv().ok();
        }
        match next {
            Some(message) => self.message(message).await,
            None => None,
        }
    }

    async fn message(&mut self, message: Message) -> Option<ExitReason> {
        if matches!(message, Message::Edited(_)) && self.lent {
            self.take_back();
        }
        self.dirty = true;
        let out = update(&mut self.model, message)?;
        self.wish(out).await
    }

    async fn wish(&mut self, out: Out) -> Option<ExitReason> {
        match out {
            Out::Copy(text) => {
                self.copy(&text);
                None
            }
            Out::Quit(_) => {
                // Leaving must not hang on somebody who does not listen.
                let _ = timeout(LET_GO, self.outbox.send(out)).await;
                Some(ExitReason::Left)
            }
            Out::Edit(text) => {
                self.lend().await;
                self.send(Out::Edit(text));
                None
            }
            out => {
                self.send(out);
                None
            }
        }
    }

    fn send(&mut self, out: Out) {
        if self.outbox.try_send(out).is_err() {
            self.tell_bad("it could not be passed on: the program is busy. Nothing was sent; try again");
            if self.lent {
                self.take_back();
            }
        }
    }

    fn tell_bad(&mut self, text: &str) {
        let text = text.to_owned();
        update(&mut self.model, Message::Told { good: false, text });
        self.dirty = true;
    }

    fn copy(&mut self, text: &str) {
        if text.len() > CLIPBOARD_BYTES {
            self.tell_bad(&format!("too long to copy: {} bytes; S saves it as a file", text.len()));
        } else if self.screen.copy(text).is_err() {
            self.tell_bad("the terminal did not take it");
        }
    }

    /// Leaves the terminal to somebody else.
    async fn lend(&mut self) {
        self.reader.rest();
        let resting = async {
            while let Some(input) = self.reader.events.recv().await {
                if !matches!(input, Input::Event(_)) {
                    break;
                }
            }
        };
        let _ = timeout(LET_GO, resting).await;
        self.screen.leave();
        self.lent = true;
    }

    fn take_back(&mut self) {
        // A failure shows with the next frame, which is drawn on the same terminal.
        let _ = self.screen.enter();
        self.reader.go_on();
        self.lent = false;
        self.resize();
    }
}
