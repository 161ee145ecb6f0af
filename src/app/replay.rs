//! `gonogo replay`: the same screen, fed by the journal at the pace of then.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::app::open::usage;
use crate::app::{Done, Stop, code, editor, past, terminal};
use crate::cli::ReplayArgs;
use crate::feed::{MarkKind, Replay};
use crate::journal::Home;
use crate::run::{Entry, Moment, RunState};
use crate::tui::{self, Init, Message, Mode, Model, Out, ReplayControl, ReplayStatus};

/// How often the playhead moves on the screen.
const FRAME: Duration = Duration::from_millis(50);
/// Messages that wait for the screen.
const QUEUE: usize = 256;
/// Entries before a jump that the log shows.
const RECENT: usize = 200;

pub async fn replay(args: &ReplayArgs) -> Done {
    terminal::need(false)?;
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find(&args.run).await.map_err(usage)?;
    let past = if args.valid_prefix { past::read_prefix(&dir).await? } else { past::read(&dir).await? };
    let marks = tui::marks(&past.entries);
    let mut player = Player::new(past.entries, args.speed);
    let mode = Mode::Replay { marks, status: player.status() };
    let head = player.shown.clone();
    let init = Init {
        model: Model::new(Arc::new(past.book), mode, terminal::look(&args.look)),
        clock: Box::new(move || head.lock().map(|at| *at).unwrap_or_default()),
        mouse: !args.look.no_mouse,
    };
    let (messages, inbox) = mpsc::channel(QUEUE);
    let (outbox, wishes) = mpsc::channel(QUEUE);
    let playing = tokio::spawn(async move { player.play(wishes, messages).await });
    tui::run(init, inbox, outbox).await.map_err(Stop::internal)?;
    playing.abort();
    Ok(code::DONE)
}

/// The tape and its buttons.
struct Player {
    tape: Replay,
    entries: Vec<Entry>,
    began: Instant,
    /// The moment under the playhead, for the screen's clock.
    shown: Arc<Mutex<Moment>>,
}

impl Player {
    fn new(entries: Vec<Entry>, speed: f64) -> Self {
        let mut tape = Replay::new(entries.clone());
        tape.set_speed(speed);
        tape.play(0);
        let shown = Arc::new(Mutex::new(tape.moment()));
        Self { tape, entries, began: Instant::now(), shown }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn status(&self) -> ReplayStatus {
        let status = self.tape.status();
        ReplayStatus {
            engine_died: self.tape.is_before_takeover(),
            position: self.tape.moment().ms,
            total: self.entries.last().map_or(0, |entry| entry.at.ms),
            playing: status.playing,
            speed: status.speed,
        }
    }

    async fn play(&mut self, mut wishes: mpsc::Receiver<Out>, messages: mpsc::Sender<Message>) {
        let mut frame = tokio::time::interval(FRAME);
        frame.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut told = self.status();
        loop {
            let answer = tokio::select! {
                wish = wishes.recv() => match wish {
                    None => return,
                    Some(Out::Replay(control)) => self.press(control),
                    Some(other) => editor::obey(other).await,
                },
                _ = frame.tick() => self.advance(),
            };
            if let Ok(mut shown) = self.shown.lock() {
                *shown = self.tape.moment();
            }
            // A tape that stands still has nothing to say: the screen draws nothing then.
            let status = self.status();
            let moved = (status != told).then_some(Message::Replay(status));
            told = status;
            let clock = moved.as_ref().map(|_| Message::Tick(self.tape.moment()));
            for message in answer.into_iter().chain(moved).chain(clock) {
                if messages.send(message).await.is_err() {
                    return;
                }
            }
        }
    }

    fn advance(&mut self) -> Option<Message> {
        let now = self.now_ms();
        let due = self.tape.advance(now);
        (!due.is_empty()).then(|| Message::Entries(due.to_vec()))
    }

    fn press(&mut self, control: ReplayControl) -> Option<Message> {
        let now = self.now_ms();
        let state = match control {
            ReplayControl::Toggle => {
                let at_end = self.tape.status().position == self.entries.len();
                self.tape.toggle(now);
                at_end.then(|| self.tape.state())
            }
            ReplayControl::Speed(speed) => {
                self.tape.set_speed(speed);
                None
            }
            ReplayControl::StepEvents(by) => Some(self.tape.step(isize::try_from(by).unwrap_or(0))),
            ReplayControl::SeekMs(ms) => Some(self.tape.seek(ms)),
            ReplayControl::SeekFraction(part) => Some(self.tape.seek_fraction(part)),
            ReplayControl::NextFailure => self.tape.next_mark(MarkKind::Failure),
            ReplayControl::NextTrigger => self.tape.next_mark(MarkKind::Trigger),
            ReplayControl::NextNote => self.tape.next_mark(MarkKind::Note),
        };
        state.map(|state| self.reset(state))
    }

    fn reset(&self, state: RunState) -> Message {
        let position = self.tape.status().position;
        let recent = self.entries[position.saturating_sub(RECENT)..position].to_vec();
        Message::Reset { state: Box::new(state), recent }
    }
}
