//! One line of typed text with a rule. Dangerous names must be typed: a field that wants one takes no paste.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_textarea::TextArea;

use crate::run::{clean, limits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Typed to look for something: nothing is asked of it.
    Free,
    Optional,
    Required,
    /// Exactly this text, typed.
    Exactly(String),
}

#[derive(Clone, Debug)]
pub struct Field {
    pub label: String,
    pub rule: Rule,
    pub area: TextArea<'static>,
}

impl Field {
    pub fn new(label: impl Into<String>, rule: Rule) -> Self {
        Self::with_text(label, rule, "")
    }

    pub fn with_text(label: impl Into<String>, rule: Rule, text: &str) -> Self {
        let mut area = TextArea::new(vec![clean::line(text, limits::WORDS)]);
        area.move_cursor(tui_textarea::CursorMove::End);
        area.set_cursor_line_style(Default::default());
        Self { label: label.into(), rule, area }
    }

    pub fn text(&self) -> String {
        self.area.lines().first().map_or(String::new(), |line| line.trim().to_owned())
    }

    /// What is still wrong with the text.
    pub fn flaw(&self) -> Option<String> {
        match &self.rule {
            Rule::Free | Rule::Optional => None,
            Rule::Required if self.text().is_empty() => Some(format!("{}: some words are needed", self.label)),
            Rule::Required => None,
            Rule::Exactly(want) if self.text() == *want => None,
            Rule::Exactly(_) if self.text().is_empty() => Some(format!("{}: type it to go on", self.label)),
            Rule::Exactly(_) => Some(format!("{}: that is not the name", self.label)),
        }
    }

    pub fn key(&mut self, key: KeyEvent) {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter | KeyCode::Tab | KeyCode::BackTab => {}
            // Line breaks, and the textarea's own clipboard.
            KeyCode::Char('m' | 'j' | 'y' | 'v') if ctrl => {}
            KeyCode::Char(c) if !ctrl && !is_plain(c) => {}
            KeyCode::Char(_) if !ctrl && self.text().chars().count() >= limits::WORDS => {}
            _ => {
                self.area.input(key);
            }
        }
    }

    /// Takes pasted text as one line. False where this field wants typing.
    pub fn paste(&mut self, text: &str) -> bool {
        if matches!(self.rule, Rule::Exactly(_)) {
            return false;
        }
        let room = limits::WORDS.saturating_sub(self.text().chars().count());
        let flat: String = clean::line(text.trim_end(), room).replace('⏎', " ");
        self.area.insert_str(flat);
        true
    }
}

/// True for a character that shows as itself.
pub fn is_plain(c: char) -> bool {
    let one = c.to_string();
    clean::line(&one, 1) == one
}
