//! Questions: every command that asks before it acts is one form of choices and fields, sent by one Enter.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::field::{Field, Rule};
use crate::run::event::{Attempt, Claim};
use crate::run::{Command, CommandVerb, Tuning};
use crate::runbook::StepId;
use crate::tui::message::Out;
use crate::tui::model::{ENTER_GUARD_MS, Mode, Model};
use crate::tui::view;

/// What a form is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Consent,
    Retry(StepId),
    Fix(StepId),
    Skip(StepId),
    Cancel(Attempt),
    Leftover(Attempt),
    Settle(Attempt),
    Vote {
        step: StepId,
        role: String,
        go: bool,
    },
    Answer {
        step: StepId,
        item: usize,
    },
    /// Of this attempt, from this pace.
    Retune(Attempt, Tuning),
    SignOff(String),
    Release,
    /// Of this target.
    TakeOver(String),
    AutoOn,
    Rollback,
    Abandon,
    Quit,
    /// The text to save.
    Save(String),
}

#[derive(Clone, Debug)]
pub struct Form {
    pub kind: Kind,
    pub choices: Vec<String>,
    pub chosen: usize,
    pub fields: Vec<Field>,
    /// The field that keys go to.
    pub at: usize,
    /// First line of the body shown.
    pub top: usize,
    pub error: Option<String>,
    pub opened_ms: u64,
    /// The entry that was on the screen when it opened.
    seen: u64,
    /// What it is about, as it was when it opened.
    subject: String,
}

/// What a key did to a form.
pub enum Answer {
    Stay,
    Back,
    Go(Out),
    /// Nothing to send: leave, the run goes on.
    Leave,
}

impl Form {
    pub fn new(model: &Model, kind: Kind, choices: Vec<String>, fields: Vec<Field>) -> Self {
        Self {
            subject: subject(model, &kind),
            kind,
            choices,
            chosen: 0,
            fields,
            at: 0,
            top: 0,
            error: None,
            opened_ms: model.now.ms,
            seen: model.drawn,
        }
    }

    /// True where a wrong answer harms: nothing of it may be pasted.
    pub fn is_dangerous(&self) -> bool {
        matches!(self.kind, Kind::Rollback | Kind::Abandon | Kind::Consent | Kind::TakeOver(_))
    }

    /// True while Enter is not taken yet.
    pub fn is_guarded(&self, model: &Model) -> bool {
        !model.is_replay() && model.now.ms.saturating_sub(self.opened_ms) < ENTER_GUARD_MS
    }

    /// True where what it is about changed since it opened: it can no longer be sent.
    pub fn is_stale(&self, model: &Model) -> bool {
        self.subject != subject(model, &self.kind)
    }

    pub fn key(&mut self, model: &Model, key: KeyEvent) -> Answer {
        self.error = None;
        let many = self.choices.len();
        match key.code {
            KeyCode::Esc => return Answer::Back,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Answer::Back,
            KeyCode::Enter => return self.enter(model),
            KeyCode::Up if many > 0 => self.chosen = self.chosen.checked_sub(1).unwrap_or(many - 1),
            KeyCode::Down if many > 0 => self.chosen = (self.chosen + 1) % many,
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top += 1,
            KeyCode::PageUp => self.top = self.top.saturating_sub(5),
            KeyCode::PageDown => self.top += 5,
            KeyCode::Tab if !self.fields.is_empty() => self.at = (self.at + 1) % self.fields.len(),
            KeyCode::BackTab if !self.fields.is_empty() => {
                self.at = self.at.checked_sub(1).unwrap_or(self.fields.len() - 1);
            }
            KeyCode::Char('j') if self.fields.is_empty() && many > 0 => self.chosen = (self.chosen + 1) % many,
            KeyCode::Char('k') if self.fields.is_empty() && many > 0 => {
                self.chosen = self.chosen.checked_sub(1).unwrap_or(many - 1);
            }
            _ => {
                if let Some(field) = self.fields.get_mut(self.at) {
                    field.key(key);
                }
            }
        }
        Answer::Stay
    }

    pub fn paste(&mut self, text: &str) {
        let dangerous = self.is_dangerous();
        let Some(field) = self.fields.get_mut(self.at) else {
            return;
        };
        if dangerous || !field.paste(text) {
            self.error = Some("paste is refused here: type it".to_owned());
        }
    }

    fn enter(&mut self, model: &Model) -> Answer {
        if self.is_guarded(model) {
            self.error = Some("too quick: read it, then press enter again".to_owned());
            return Answer::Stay;
        }
        if self.is_stale(model) {
            self.error = Some("it changed meanwhile: esc, look, and ask again".to_owned());
            return Answer::Stay;
        }
        // Enter walks through the fields first; only at the last one it sends.
        for (n, field) in self.fields.iter().enumerate() {
            if let Some(flaw) = field.flaw() {
                if self.at == n || n < self.at || !field.text().is_empty() {
                    self.error = Some(flaw);
                }
                self.at = n;
                return Answer::Stay;
            }
        }
        if let Kind::Retune(_, from) = &self.kind
            && let Err(flaw) = from.typed(&self.text(0), &self.text(1))
        {
            self.error = Some(flaw);
            return Answer::Stay;
        }
        self.submit(model)
    }

    fn text(&self, n: usize) -> String {
        self.fields.get(n).map_or(String::new(), Field::text)
    }

    fn submit(&self, model: &Model) -> Answer {
        let verb = match &self.kind {
            Kind::Save(text) => {
                return Answer::Go(Out::Save { path: self.text(0), text: text.clone() });
            }
            Kind::Quit => return self.quit(model),
            Kind::Consent => CommandVerb::Confirm { text: self.text(0) },
            Kind::Retry(step) => CommandVerb::Retry { step: step.clone() },
            Kind::Fix(step) => CommandVerb::Fix { step: step.clone() },
            Kind::Skip(step) => CommandVerb::Skip { step: step.clone(), reason: self.text(0) },
            Kind::Cancel(attempt) => CommandVerb::Cancel { attempt: attempt.clone() },
            Kind::Leftover(attempt) => {
                CommandVerb::CancelLeftover { attempt: attempt.clone(), terminate: self.chosen == 1 }
            }
            Kind::Settle(attempt) => CommandVerb::Settle {
                attempt: attempt.clone(),
                claim: if self.chosen == 0 { Claim::NotDone } else { Claim::Done },
                reason: self.text(0),
            },
            Kind::Vote { step, role, go } => {
                CommandVerb::Vote { step: step.clone(), role: role.clone(), go: *go, reason: self.text(0) }
            }
            Kind::Answer { step, item } => {
                CommandVerb::Tick { step: step.clone(), item: *item, answer: Some(self.text(0)) }
            }
            Kind::Retune(attempt, from) => match from.typed(&self.text(0), &self.text(1)) {
                Ok(to) => CommandVerb::Retune { attempt: attempt.clone(), from: *from, to },
                Err(_) => return Answer::Stay,
            },
            Kind::SignOff(phase) => CommandVerb::SignOff { phase: phase.clone(), reason: self.text(0) },
            Kind::Release => CommandVerb::Release,
            Kind::TakeOver(target) => CommandVerb::TakeOver { target: target.clone(), text: self.text(0) },
            Kind::AutoOn => CommandVerb::SetAdvance { auto: true },
            Kind::Rollback => CommandVerb::Rollback { plan: self.plan(model), reason: self.text(0) },
            Kind::Abandon => CommandVerb::Abandon { reason: self.text(0) },
        };
        Answer::Go(Out::Send(self.command(model, verb)))
    }

    /// The named plan that is chosen; none: the undo of every done step.
    pub fn plan(&self, model: &Model) -> Option<String> {
        let n = self.chosen.checked_sub(1)?;
        model.runbook.rollbacks.get(n).map(|plan| plan.id.clone())
    }

    fn quit(&self, model: &Model) -> Answer {
        match self.chosen {
            0 => Answer::Leave,
            1 if !view::machine_at_work(model) => {
                let reason = String::new();
                Answer::Go(Out::Quit(Some(self.command(model, CommandVerb::Quit { reason }))))
            }
            _ => Answer::Back,
        }
    }

    fn command(&self, model: &Model, verb: CommandVerb) -> Command {
        Command { by: sender(model), seen: self.seen, verb }
    }
}

/// The name that commands of this screen go by.
pub fn sender(model: &Model) -> String {
    match &model.mode {
        Mode::Live { me, .. } => me.clone(),
        Mode::Replay { .. } => String::new(),
    }
}

/// What a form is about, as text that differs once it changed enough to ask again.
fn subject(model: &Model, kind: &Kind) -> String {
    let state = &model.state;
    let step = |id: &StepId| state.step(id).map_or(0, |run| run.changed).to_string();
    match kind {
        Kind::Retry(id) | Kind::Fix(id) | Kind::Skip(id) => step(id),
        Kind::Cancel(attempt) | Kind::Leftover(attempt) | Kind::Settle(attempt) | Kind::Retune(attempt, _) => {
            step(&attempt.step)
        }
        Kind::Vote { step, role, .. } => {
            format!("{:?}", state.step(step).map(|run| (&run.status, run.votes.get(role))))
        }
        Kind::Answer { step, item } => format!("{:?}", state.step(step).map(|run| (&run.status, run.ticks.get(item)))),
        Kind::SignOff(_) => format!("{:?}", state.phase),
        Kind::Rollback => format!("{:?} {} {:?}", state.completed, state.rolling_back(), state.open),
        Kind::Release | Kind::TakeOver(_) => format!("{:?}", state.hold),
        Kind::Abandon => format!("{:?}", state.ended),
        Kind::Consent | Kind::AutoOn | Kind::Quit | Kind::Save(_) => String::new(),
    }
}

/// The field in which a protected environment's database is typed.
pub fn name_field(model: &Model) -> Field {
    Field::new("database name", Rule::Exactly(model.consent_name()))
}
