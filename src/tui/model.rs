//! What the screen knows: the run folded so far, and where the operator's eyes and hands are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::dialog::Dialog;
use super::message::{Link, Mark, ReplayStatus};
use super::pane::Kept;
use super::text;
use super::theme::{Ink, Look};
use crate::run::event::{Fingerprint, HoldCause, Resolved};
use crate::run::{Attempt, Entry, Event, Moment, Outcome, Progress, RunState, describe, limits, plan};
use crate::runbook::{Runbook, StepId};

/// Milliseconds in which an Enter is taken for the repeat of the one before, or for a hand that is still falling.
pub const ENTER_GUARD_MS: u64 = 500;

/// What kind of session this is.
#[derive(Clone, Debug)]
pub enum Mode {
    /// `me`: `user@host`, the name commands go by. Without `writes` the screen only watches.
    Live {
        me: String,
        writes: bool,
    },
    Replay {
        marks: Vec<Mark>,
        status: ReplayStatus,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pane {
    Phases,
    Step,
    Result,
    Signals,
    Log,
}

impl Pane {
    pub const ALL: [Self; 5] = [Self::Phases, Self::Step, Self::Result, Self::Signals, Self::Log];
}

/// One line of the log pane.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub at: Moment,
    pub text: String,
    pub ink: Ink,
}

/// A sentence for the operator that goes away with the next key, or after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub ink: Ink,
    /// When it was said, on the run clock.
    pub ms: u64,
}

/// A search that is on: `n` and `N` go through its matches.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub pattern: String,
}

/// The screen, whole. Made by [`Model::new`], changed only by `update`, read only by `draw`.
pub struct Model {
    pub(super) runbook: Arc<Runbook>,
    pub(super) state: RunState,
    pub(super) mode: Mode,
    pub(super) look: Look,
    pub(super) now: Moment,
    pub(super) size: (u16, u16),
    pub(super) link: Link,
    pub(super) link_since: Moment,
    pub(super) log: VecDeque<LogLine>,
    /// Log lines that there ever were: kept ones and those that were let go.
    pub(super) logged: u64,
    pub(super) kept: Kept,
    pub(super) progress: BTreeMap<Attempt, Progress>,
    /// None: the selection follows the current step.
    pub(super) selected: Option<StepId>,
    /// None: the focus follows the work.
    pub(super) focus: Option<Pane>,
    pub(super) zoom: bool,
    /// First line shown, per pane; absent: the pane follows by itself.
    pub(super) scroll: BTreeMap<Pane, usize>,
    /// First column of results shown.
    pub(super) column: usize,
    /// The chosen line of a checklist, or role of a poll; none: the first that is open.
    pub(super) item: Option<usize>,
    pub(super) dialog: Option<Dialog>,
    pub(super) search: Option<Search>,
    /// The line that was found last: more than one match may fit the last page.
    pub(super) found: Option<(Pane, usize)>,
    pub(super) toast: Option<Toast>,
    /// A command on its way: what, and the last entry known when it was sent.
    pub(super) sent: Option<(String, u64)>,
    pub(super) sent_ms: u64,
    /// The alarm the operator has put aside: the entry that raised it.
    pub(super) alarm_seen: u64,
    /// The entry of the last trigger that fired, and when the screen learnt it.
    pub(super) alarm: Option<(u64, String)>,
    /// The last entry that was drawn: what a command says it saw.
    pub(super) drawn: u64,
    pub(super) bell: bool,
    pub(super) last_enter_ms: Option<u64>,
    /// When what Enter would do last changed.
    pub(super) turned_ms: u64,
}

impl Model {
    pub fn new(runbook: Arc<Runbook>, mode: Mode, look: Look) -> Self {
        Self {
            runbook,
            state: RunState::default(),
            mode,
            look,
            now: Moment::default(),
            size: (0, 0),
            link: Link::Up,
            link_since: Moment::default(),
            log: VecDeque::new(),
            logged: 0,
            kept: Kept::default(),
            progress: BTreeMap::new(),
            selected: None,
            focus: None,
            zoom: false,
            scroll: BTreeMap::new(),
            column: 0,
            item: None,
            dialog: None,
            search: None,
            found: None,
            toast: None,
            sent: None,
            sent_ms: 0,
            alarm_seen: 0,
            alarm: None,
            drawn: 0,
            bell: false,
            last_enter_ms: None,
            turned_ms: 0,
        }
    }

    /// Says that everything known now is on the screen. Commands carry it as what their sender saw.
    pub fn mark_drawn(&mut self) {
        self.drawn = self.state.seq;
    }

    /// True once after something that wants a person: what fired, failed, was held, or asks.
    pub fn take_bell(&mut self) -> bool {
        std::mem::take(&mut self.bell) && !self.is_replay()
    }

    /// How long nothing will move by itself, in milliseconds: when to send the next tick.
    pub fn quiet_ms(&self) -> u64 {
        let to_second = 1000 - self.now.wall.timestamp_subsec_millis().min(999) as u64;
        let moves = !self.look.still && (!self.state.open.is_empty() || self.sent.is_some());
        match &self.dialog {
            Some(dialog) if dialog.guarded(self) => 100,
            _ if moves => to_second.min(250),
            _ => to_second,
        }
    }

    pub(super) fn is_replay(&self) -> bool {
        matches!(self.mode, Mode::Replay { .. })
    }

    /// True for a screen whose keys can change the run: no replay, and not one that only watches.
    pub(super) fn drives(&self) -> bool {
        matches!(self.mode, Mode::Live { writes: true, .. })
    }

    pub(super) fn tell(&mut self, ink: Ink, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), ink, ms: self.now.ms });
    }

    /// Takes committed entries over, in order; those already known are passed over.
    pub(super) fn take_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            if entry.seq <= self.state.seq {
                continue;
            }
            self.state.apply(entry);
            self.note(entry);
            self.push_log(entry);
        }
    }

    /// The state after a jump of the replay.
    pub(super) fn reset(&mut self, state: RunState, recent: &[Entry]) {
        self.state = state;
        self.log.clear();
        self.progress.clear();
        self.scroll.clear();
        self.alarm = None;
        for entry in recent {
            self.note(entry);
            self.push_log(entry);
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.bell |= calls(&entry.event);
        match &entry.event {
            Event::StepEnded { attempt, .. } => {
                self.progress.remove(attempt);
            }
            Event::TriggerFired { trigger, .. } => self.alarm = Some((entry.seq, trigger.clone())),
            Event::Refused { why, by, .. } if self.is_me(by) => {
                self.tell(Ink::Bad, format!("refused: {}", crate::run::clean::line(why, 200)));
            }
            _ => {}
        }
        if self.sent.as_ref().is_some_and(|(_, seen)| answers(&entry.event) && entry.seq > *seen) {
            self.sent = None;
        }
    }

    fn is_me(&self, by: &str) -> bool {
        matches!(&self.mode, Mode::Live { me, .. } if me == by) || self.state.screens.len() <= 1
    }

    fn push_log(&mut self, entry: &Entry) {
        let Some(line) = describe::line(entry, &self.runbook) else {
            return;
        };
        self.logged += 1;
        self.log.push_back(LogLine { at: entry.at, text: line, ink: log_ink(&entry.event) });
        if self.log.len() > limits::LOG_SHOWN {
            self.log.pop_front();
            if let Some(top) = self.scroll.get_mut(&Pane::Log) {
                *top = top.saturating_sub(1);
            }
        }
    }

    /// What is typed to confirm a protected environment; its own name where no target was seen.
    pub fn consent_name(&self) -> String {
        plan::confirmation_word(&self.runbook, &self.state).unwrap_or_else(|| self.state.opened.environment.clone())
    }

    /// The database that the confirmation names: of the environment's first target.
    pub fn consent_print(&self) -> Option<&Fingerprint> {
        let (name, _) = self.runbook.environment(&self.state.opened.environment)?.targets.first()?;
        self.state.targets.get(name)?.fingerprint.as_ref()
    }

    pub(super) fn is_protected(&self) -> bool {
        self.runbook.environment(&self.state.opened.environment).is_some_and(|env| env.protected)
    }

    /// `(1 step)` style counts for messages.
    pub(super) fn copied(&mut self, lines: usize) {
        self.tell(Ink::Good, format!("copied {}", text::plural(lines, "line")));
    }
}

/// True for events that a command brings about: samples and output do not answer anybody.
fn answers(event: &Event) -> bool {
    !matches!(
        event,
        Event::SampleTaken { .. }
            | Event::LossMeasured { .. }
            | Event::Output { .. }
            | Event::ScreenAttached { .. }
            | Event::ScreenLost { .. }
    )
}

/// True for events that somebody who looked away should hear of.
fn calls(event: &Event) -> bool {
    match event {
        Event::StepEnded { outcome, .. } => outcome.is_trouble(),
        Event::Held { cause, .. } => !matches!(cause, HoldCause::Operator { .. }),
        Event::StepStarted { resolved, .. } => *resolved == Resolved::Human,
        Event::TriggerFired { .. }
        | Event::TriggerBlind { .. }
        | Event::TargetLost { .. }
        | Event::TargetOwned { .. }
        | Event::RunEnded { .. } => true,
        _ => false,
    }
}

fn log_ink(event: &Event) -> Ink {
    match event {
        Event::StepEnded { outcome, .. } => match outcome {
            Outcome::Done { .. } => Ink::Good,
            Outcome::Unknown { .. } => Ink::Warn,
            left if left.is_left() => Ink::Text,
            _ => Ink::Bad,
        },
        Event::TriggerFired { .. }
        | Event::TargetLost { .. }
        | Event::TargetOwned { .. }
        | Event::RollbackStarted { .. } => Ink::Bad,
        Event::TakenOver { .. } => Ink::Warn,
        Event::Refused { .. } | Event::TriggerBreached { .. } | Event::TriggerBlind { .. } => Ink::Warn,
        Event::Held { cause, .. } if !matches!(cause, HoldCause::Operator { .. }) => Ink::Warn,
        Event::Held { .. } | Event::NoteAdded { .. } | Event::PhaseEntered { .. } => Ink::Strong,
        _ => Ink::Text,
    }
}
