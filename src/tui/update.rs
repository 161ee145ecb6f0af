//! How the model changes: one message in, at most one wish out.

use crossterm::event::{KeyEvent, KeyEventKind, KeyModifiers, MouseEvent};

use super::act;
use super::dialog::{self, Dialog, editor, form, palette};
use super::find;
use super::keymap::{Action, resolve};
use super::message::{Link, Message, Out};
use super::model::{Mode, Model, Search};
use super::mouse;
use super::offer::Offer;
use super::theme::Ink;
use super::view::{self, next};
use crate::run::Moment;

/// After this long without an answer of the engine, a command that was sent no longer blocks the keys.
const PATIENCE_MS: u64 = 5_000;

/// How long an answer to a key stands where nothing else is pressed.
const TOAST_MS: u64 = 8_000;

/// Takes one message in. What it answers is to be done by the caller.
pub fn update(model: &mut Model, message: Message) -> Option<Out> {
    let before = turning_point(model);
    let out = take(model, message);
    if turning_point(model) != before {
        model.turned_ms = model.now.ms;
        // What was said of the state before is no longer true.
        model.toast = model.toast.take().filter(|toast| toast.ink == Ink::Bad || toast.ms == model.now.ms);
    }
    if let Some(Out::Send(command)) = &out {
        model.sent = Some((act::sent_words(model, &command.verb), model.state.seq));
        model.sent_ms = model.now.ms;
    }
    out
}

/// What Enter would do: when it changes, a falling hand must not do the new thing.
fn turning_point(model: &Model) -> next::Enter {
    next::enter(model)
}

fn take(model: &mut Model, message: Message) -> Option<Out> {
    match message {
        Message::Entries(entries) => {
            let current = view::current(model);
            model.take_entries(&entries);
            if view::current(model) != current {
                model.item = None;
                if model.selected == view::current(model) {
                    model.selected = None;
                }
            }
        }
        Message::Reset { state, recent } => model.reset(*state, &recent),
        Message::Progress(progress) => {
            if model.state.open.contains(&progress.attempt) {
                model.progress.insert(progress.attempt.clone(), progress);
            }
        }
        Message::Key(key) => return key_event(model, key),
        Message::Mouse(mouse) => return mouse_event(model, mouse),
        Message::Paste(text) => paste(model, &text),
        Message::Resize(columns, rows) => model.size = (columns, rows),
        Message::Tick(now) => tick(model, now),
        Message::Engine(link) => engine(model, link),
        Message::Replay(status) => {
            if let Mode::Replay { status: at, .. } = &mut model.mode {
                *at = status;
            }
        }
        Message::Edited(result) => edited(model, result),
        Message::Told { good, text } => {
            let text = crate::run::clean::line(&text, 400);
            model.tell(if good { Ink::Good } else { Ink::Bad }, text);
            if !good {
                model.sent = None;
            }
        }
    }
    None
}

fn tick(model: &mut Model, now: Moment) {
    model.now = now;
    if model.toast.as_ref().is_some_and(|toast| now.ms.saturating_sub(toast.ms) > TOAST_MS) {
        model.toast = None;
    }
    if model.sent.is_some() && now.ms.saturating_sub(model.sent_ms) > PATIENCE_MS {
        model.sent = None;
        model.tell(Ink::Warn, "the engine has not answered yet; the command may still be carried out");
    }
}

fn engine(model: &mut Model, link: Link) {
    if link != model.link {
        model.link_since = model.now;
        model.sent = None;
    }
    model.link = link;
}

fn edited(model: &mut Model, result: Result<String, String>) {
    let Some(Dialog::Editor(mut editor)) = model.dialog.take() else {
        return;
    };
    match result {
        Ok(text) => editor.replace(model, text.trim_end_matches('\n')),
        Err(why) => editor.warn = Some(crate::run::clean::line(&why, 200)),
    }
    model.dialog = Some(Dialog::Editor(editor));
}

fn paste(model: &mut Model, text: &str) {
    match &mut model.dialog {
        Some(Dialog::Form(form)) => form.paste(text),
        Some(Dialog::Editor(editor)) => editor.paste(text),
        Some(Dialog::Palette(palette)) => {
            palette.field.paste(text);
        }
        Some(Dialog::Search(field)) => {
            field.paste(text);
        }
        // Pasted text is never taken for keys.
        Some(Dialog::Help { .. }) | None => model.tell(Ink::Warn, "pasted text is not taken for keys"),
    }
}

fn mouse_event(model: &mut Model, event: MouseEvent) -> Option<Out> {
    if let Some(Dialog::Help { top }) = &mut model.dialog {
        *top = mouse::wheel(&event).map_or(*top, |by| top.saturating_add_signed(by));
        return None;
    }
    if model.dialog.is_some() {
        return None;
    }
    mouse::mouse(model, &event)
}

fn key_event(model: &mut Model, key: KeyEvent) -> Option<Out> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let stops = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == crossterm::event::KeyCode::Char('x');
    if stops && model.state.countdown().is_some() {
        return act::act(model, Action::StopCountdown, &key);
    }
    model.toast = None;
    match model.dialog.take() {
        Some(dialog) => in_dialog(model, dialog, key),
        None => on_panes(model, key),
    }
}

fn on_panes(model: &mut Model, key: KeyEvent) -> Option<Out> {
    match resolve(model, &key)? {
        (action, Offer::Yes(_)) => act::act(model, action, &key),
        (_, Offer::No(why)) => {
            model.tell(Ink::Warn, why);
            None
        }
        (_, Offer::Absent) => None,
    }
}

fn in_dialog(model: &mut Model, dialog: Dialog, key: KeyEvent) -> Option<Out> {
    match dialog {
        Dialog::Help { top } => {
            model.dialog = dialog::help_key(top, &key);
            None
        }
        Dialog::Search(mut field) => {
            match dialog::line_key(&mut field, key) {
                dialog::Typed::More => model.dialog = Some(Dialog::Search(field)),
                dialog::Typed::Back => {}
                dialog::Typed::Done => {
                    let pattern = field.text();
                    model.search = (!pattern.is_empty()).then_some(Search { pattern });
                    find::jump(model, true, true);
                }
            }
            None
        }
        Dialog::Palette(mut open) => match open.key(model, key) {
            palette::Answer::Stay => {
                model.dialog = Some(Dialog::Palette(open));
                None
            }
            palette::Answer::Back => None,
            palette::Answer::Run(palette::Target::Act(action)) => act::act(model, action, &key),
            palette::Answer::Run(palette::Target::Show(step)) => {
                act::select(model, step);
                None
            }
        },
        Dialog::Form(mut open) => match open.key(model, key) {
            form::Answer::Stay => {
                model.dialog = Some(Dialog::Form(open));
                None
            }
            form::Answer::Back => None,
            form::Answer::Leave => Some(Out::Quit(None)),
            form::Answer::Go(out) => {
                model.last_enter_ms = Some(model.now.ms);
                Some(out)
            }
        },
        Dialog::Editor(mut open) => match open.key(model, key) {
            editor::Answer::Stay => {
                model.dialog = Some(Dialog::Editor(open));
                None
            }
            editor::Answer::Back => None,
            editor::Answer::Go(out) => Some(out),
            editor::Answer::External(out) => {
                model.dialog = Some(Dialog::Editor(open));
                Some(out)
            }
        },
    }
}
