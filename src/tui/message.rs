//! What reaches the screen and what leaves it: the two enums between the room and whoever joins it to the engine.

use crossterm::event::{KeyEvent, MouseEvent};

use crate::run::{Command, Entry, Event, Moment, Progress, RunState};

/// Something the screen should know.
#[derive(Clone, Debug)]
pub enum Message {
    /// Committed entries, in order. Those already known (by `seq`) are passed over.
    Entries(Vec<Entry>),
    /// The state after a jump of the replay, with the entries before it that the log shows.
    Reset {
        state: Box<RunState>,
        recent: Vec<Entry>,
    },
    Progress(Progress),
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// Columns and rows.
    Resize(u16, u16),
    /// What time it is; in a replay, what time it was.
    Tick(Moment),
    Engine(Link),
    Replay(ReplayStatus),
    /// What came back from the external editor.
    Edited(Result<String, String>),
    /// An answer to `Copy`, `Save` or a failed `Send`: good or bad, in one sentence.
    Told {
        good: bool,
        text: String,
    },
}

/// The way to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Up,
    /// It may run on, but this screen cannot speak to it; why.
    Lost(String),
    /// Nobody drives the run; why.
    Stopped(String),
}

/// Something the screen wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    Send(Command),
    /// Leave the screen. With a command: send it first (it lets go of the run).
    Quit(Option<Command>),
    Replay(ReplayControl),
    /// Text for the clipboard of the operator's terminal.
    Copy(String),
    /// Text for a file that must not exist yet.
    Save {
        path: String,
        text: String,
    },
    /// Text for the external editor; [`Message::Edited`] answers. The terminal is free until then.
    Edit(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayControl {
    Toggle,
    /// Times real time: 1 to 1000.
    Speed(f64),
    /// Entries onward (or back).
    StepEvents(i64),
    /// Run clock, milliseconds.
    SeekMs(u64),
    /// 0 the start, 1 the end.
    SeekFraction(f64),
    NextFailure,
    NextTrigger,
    NextNote,
}

/// Where a replay stands. Positions on the run clock, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayStatus {
    /// True where the next entry is that of another engine, though none has said that it stops: what was done since the last
    /// entry nobody knows.
    pub engine_died: bool,
    pub position: u64,
    pub total: u64,
    pub playing: bool,
    pub speed: f64,
}

/// Something worth jumping to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Run clock.
    pub ms: u64,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    Failure,
    Trigger,
    Note,
}

/// The marks of a whole run, for the timeline of its replay.
pub fn marks<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Mark> {
    entries
        .into_iter()
        .filter_map(|entry| {
            let kind = match &entry.event {
                Event::StepEnded { outcome, .. } if outcome.is_trouble() => MarkKind::Failure,
                Event::TriggerFired { .. } => MarkKind::Trigger,
                Event::NoteAdded { .. } => MarkKind::Note,
                _ => return None,
            };
            Some(Mark { ms: entry.at.ms, kind })
        })
        .collect()
}
