//! What stands above the panes and takes the keys: questions, text, help, palette, search.

pub mod body;
pub mod draw;
pub mod editor;
pub mod field;
pub mod form;
pub mod palette;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use editor::Editor;
use field::Field;
use form::Form;
use palette::Palette;

use super::model::Model;

pub enum Dialog {
    Help { top: usize },
    Palette(Box<Palette>),
    Form(Box<Form>),
    Editor(Box<Editor>),
    Search(Box<Field>),
}

impl Dialog {
    /// True while it waits for the hand to come to rest: the screen should tick soon.
    pub fn guarded(&self, model: &Model) -> bool {
        matches!(self, Self::Form(form) if form.is_guarded(model))
    }
}

/// What a key did to a line that is being typed.
pub enum Typed {
    More,
    Back,
    Done,
}

/// A key for a lone line: enter ends it, esc leaves it.
pub fn line_key(field: &mut Field, key: KeyEvent) -> Typed {
    match key.code {
        KeyCode::Esc => Typed::Back,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Typed::Back,
        KeyCode::Enter => Typed::Done,
        _ => {
            field.key(key);
            Typed::More
        }
    }
}

/// A key for the help: it scrolls, or goes away.
pub fn help_key(top: usize, key: &KeyEvent) -> Option<Dialog> {
    let top = match key.code {
        KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => top.saturating_add(1),
        KeyCode::PageUp => top.saturating_sub(10),
        KeyCode::PageDown | KeyCode::Char(' ') => top.saturating_add(10),
        KeyCode::Home => 0,
        _ => return None,
    };
    Some(Dialog::Help { top })
}
