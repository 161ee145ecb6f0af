//! Text of several lines: notes, and SQL changed before it runs.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Style;
use tui_textarea::{TextArea, WrapMode};

use super::field::is_plain;
use super::form::sender;
use crate::run::{Command, CommandVerb, clean, limits};
use crate::runbook::StepId;
use crate::tui::message::Out;
use crate::tui::model::Model;
use crate::tui::theme::{Ink, Look};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Note(Option<StepId>),
    Sql(StepId),
}

#[derive(Clone, Debug)]
pub struct Editor {
    pub kind: Kind,
    pub area: TextArea<'static>,
    pub warn: Option<String>,
    before: String,
    seen: u64,
    changed: u64,
    leaving: bool,
}

pub enum Answer {
    Stay,
    Back,
    Go(Out),
    /// Give the text to the external editor; the dialog stays.
    External(Out),
}

impl Editor {
    /// Fails where the text holds characters that would not be seen while it is edited.
    pub fn new(model: &Model, kind: Kind, text: &str) -> Result<Self, String> {
        if !is_visible(text) {
            return Err("it holds invisible characters: edit it in the runbook, not here".to_owned());
        }
        let before = text.replace("\r\n", "\n");
        Ok(Self {
            area: area(model.look, &kind, &before),
            warn: None,
            before,
            seen: model.drawn,
            changed: changed(model, &kind),
            kind,
            leaving: false,
        })
    }

    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    fn is_changed(&self) -> bool {
        self.text().trim_end() != self.before.trim_end()
    }

    pub fn key(&mut self, model: &Model, key: KeyEvent) -> Answer {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        self.warn = None;
        match key.code {
            KeyCode::Esc if !self.is_changed() || self.leaving => return Answer::Back,
            KeyCode::Esc => {
                self.leaving = true;
                self.warn = Some("not saved: esc again throws it away, ctrl-s keeps it".to_owned());
                return Answer::Stay;
            }
            KeyCode::F(2) => return self.save(model),
            KeyCode::Char('s') if ctrl => return self.save(model),
            KeyCode::Char('o') if ctrl => return Answer::External(Out::Edit(self.text())),
            KeyCode::Char(c) if !ctrl && !is_plain(c) => {}
            _ => {
                self.area.input(key);
            }
        }
        self.leaving = false;
        Answer::Stay
    }

    pub fn paste(&mut self, text: &str) {
        self.area.insert_str(clean::block(text));
    }

    /// Takes back what the external editor made of it.
    pub fn replace(&mut self, model: &Model, text: &str) {
        if is_visible(text) {
            self.area = area(model.look, &self.kind, text);
        } else {
            self.warn = Some("the edited text holds invisible characters; it was not taken over".to_owned());
        }
    }

    fn save(&mut self, model: &Model) -> Answer {
        let text = self.text().trim_end().to_owned();
        let limit = match self.kind {
            Kind::Note(_) => limits::WORDS,
            Kind::Sql(_) => limits::RUNBOOK_BYTES as usize,
        };
        if text.trim().is_empty() {
            self.warn = Some("it is empty: esc leaves without saving".to_owned());
            return Answer::Stay;
        }
        if text.len() > limit {
            self.warn = Some(format!("too long: {} bytes of at most {limit}", text.len()));
            return Answer::Stay;
        }
        if changed(model, &self.kind) != self.changed {
            self.warn = Some("the step changed meanwhile: esc, look, and edit it again".to_owned());
            return Answer::Stay;
        }
        let verb = match &self.kind {
            Kind::Note(step) => CommandVerb::Note { text, step: step.clone() },
            Kind::Sql(_) if !self.is_changed() => return Answer::Back,
            Kind::Sql(step) => CommandVerb::EditSql { step: step.clone(), sql: self.text() },
        };
        Answer::Go(Out::Send(Command { by: sender(model), seen: self.seen, verb }))
    }
}

/// The last change of the step whose SQL is edited; notes do not grow stale.
fn changed(model: &Model, kind: &Kind) -> u64 {
    match kind {
        Kind::Note(_) => 0,
        Kind::Sql(step) => model.state.step(step).map_or(0, |run| run.changed),
    }
}

fn area(look: Look, kind: &Kind, text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_cursor_line_style(Style::default());
    area.set_tab_length(4);
    match kind {
        Kind::Note(_) => area.set_wrap_mode(WrapMode::Word),
        Kind::Sql(_) => area.set_line_number_style(look.style(Ink::Dim)),
    }
    area
}

/// True where every character of the text shows as itself.
fn is_visible(text: &str) -> bool {
    let plain = text.replace("\r\n", "\n").replace('\t', "    ");
    clean::block(text) == plain
}
