//! The one table of keys. The dispatcher, the footer, the help and the palette all read it, so none of them can lie.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Mode, Model};
use super::offer::{Offer, offer};
use super::view;
use super::view::next::{self, Enter};

/// Everything a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Enter,
    Tick,
    Go,
    NoGo,
    Retry,
    Fix,
    Skip,
    Cancel,
    Settle,
    SignOff,
    TakeOver,
    StopCountdown,
    Rollback,
    Hold,
    Auto,
    EditSql,
    Bigger,
    Smaller,
    Retune,
    Note,
    Abandon,
    PlayPause,
    StepBack,
    StepOn,
    Slower,
    Faster,
    NextFailure,
    NextTrigger,
    ToNote,
    SeekTenth,
    SeekStart,
    SeekEnd,
    Dismiss,
    Follow,
    Search,
    NextMatch,
    PrevMatch,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Top,
    Bottom,
    NextPane,
    PrevPane,
    Zoom,
    Copy,
    Save,
    Palette,
    Help,
    Quit,
}

/// A key with or without ctrl (or shift, where the terminal tells it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub code: KeyCode,
    pub with: KeyModifiers,
}

const fn key(code: KeyCode) -> Key {
    Key { code, with: KeyModifiers::NONE }
}

const fn ch(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), with: KeyModifiers::CONTROL }
}

const fn shift(code: KeyCode) -> Key {
    Key { code, with: KeyModifiers::SHIFT }
}

/// One row: what, by which keys, under which words in footer and help.
pub struct Binding {
    pub action: Action,
    pub keys: &'static [Key],
    /// One or two words for the footer.
    pub name: &'static str,
}

const fn bind(action: Action, keys: &'static [Key], name: &'static str) -> Binding {
    Binding { action, keys, name }
}

/// In order of precedence and of importance: of two rows with the same key, the first that is on offer has it.
pub static BINDINGS: &[Binding] = &[
    bind(Action::StopCountdown, &[ch('x'), ctrl('x')], "STOP the rollback"),
    bind(Action::PlayPause, &[ch(' ')], "play/pause"),
    bind(Action::StepBack, &[key(KeyCode::Left)], "event back"),
    bind(Action::StepOn, &[key(KeyCode::Right)], "event on"),
    bind(Action::Slower, &[ch('['), shift(KeyCode::Left)], "slower"),
    bind(Action::Faster, &[ch(']'), shift(KeyCode::Right)], "faster"),
    bind(Action::NextFailure, &[ch('f')], "next failure"),
    bind(Action::NextTrigger, &[ch('t')], "next trigger"),
    bind(Action::ToNote, &[ch('m')], "next note"),
    bind(
        Action::SeekTenth,
        &[ch('0'), ch('1'), ch('2'), ch('3'), ch('4'), ch('5'), ch('6'), ch('7'), ch('8'), ch('9')],
        "jump to tenth",
    ),
    bind(Action::SeekStart, &[ch('g'), key(KeyCode::Home)], "start"),
    bind(Action::SeekEnd, &[ch('G'), key(KeyCode::End)], "end"),
    bind(Action::NextMatch, &[ch('n')], "next match"),
    bind(Action::PrevMatch, &[ch('N')], "match before"),
    bind(Action::Enter, &[key(KeyCode::Enter)], "start/confirm"),
    bind(Action::Tick, &[ch(' ')], "tick"),
    bind(Action::Go, &[ch('g')], "go"),
    bind(Action::NoGo, &[ch('n')], "no-go"),
    bind(Action::Settle, &[ch('d')], "settle doubt"),
    bind(Action::Retry, &[ch('r')], "retry"),
    bind(Action::Fix, &[ch('F')], "fix, then retry"),
    bind(Action::Cancel, &[ch('c')], "cancel"),
    bind(Action::SignOff, &[ch('o')], "sign off"),
    bind(Action::TakeOver, &[ch('T')], "take over"),
    bind(Action::Dismiss, &[key(KeyCode::Esc)], "put aside"),
    bind(Action::Skip, &[ch('s')], "skip"),
    bind(Action::Note, &[ch('n'), ch('i')], "note"),
    bind(Action::EditSql, &[ch('e')], "edit SQL"),
    bind(Action::Bigger, &[ch('+')], "bigger batches"),
    bind(Action::Smaller, &[ch('-')], "smaller"),
    bind(Action::Retune, &[ch('b')], "pace"),
    bind(Action::Hold, &[ch('H')], "hold"),
    bind(Action::Rollback, &[ch('R')], "ROLL BACK"),
    bind(Action::Auto, &[ch('a')], "auto"),
    bind(Action::Follow, &[ch('.')], "to current"),
    bind(Action::Search, &[ch('/')], "find"),
    bind(Action::Zoom, &[ch('z')], "zoom"),
    bind(Action::NextPane, &[key(KeyCode::Tab)], "next pane"),
    bind(Action::PrevPane, &[key(KeyCode::BackTab)], "pane before"),
    bind(Action::Up, &[key(KeyCode::Up), ch('k')], "up"),
    bind(Action::Down, &[key(KeyCode::Down), ch('j')], "down"),
    bind(Action::Left, &[key(KeyCode::Left), ch('h')], "left"),
    bind(Action::Right, &[key(KeyCode::Right), ch('l')], "right"),
    bind(Action::PageUp, &[key(KeyCode::PageUp), ctrl('b')], "page up"),
    bind(Action::PageDown, &[key(KeyCode::PageDown), ctrl('f')], "page down"),
    bind(Action::Top, &[key(KeyCode::Home), ch('g')], "top"),
    bind(Action::Bottom, &[key(KeyCode::End), ch('G')], "bottom"),
    bind(Action::Copy, &[ch('y')], "copy"),
    bind(Action::Save, &[ch('S')], "save"),
    bind(Action::Abandon, &[], "give up the run"),
    bind(Action::Palette, &[ch(':'), ctrl('p')], "command"),
    bind(Action::Help, &[ch('?'), key(KeyCode::F(1))], "help"),
    bind(Action::Quit, &[ch('q'), ctrl('c')], "quit"),
];

impl Key {
    /// True where the event is this key. Shift is part of a character already, and ignored with it.
    pub fn is(self, event: &KeyEvent) -> bool {
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut with = event.modifiers & known;
        if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            with -= KeyModifiers::SHIFT;
        }
        self.code == event.code && self.with == with
    }

    pub fn name(self) -> String {
        let base = match self.code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => "enter".to_owned(),
            KeyCode::Esc => "esc".to_owned(),
            KeyCode::Tab => "tab".to_owned(),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            KeyCode::Home => "home".to_owned(),
            KeyCode::End => "end".to_owned(),
            KeyCode::F(n) => format!("F{n}"),
            _ => "key".to_owned(),
        };
        match self.with {
            KeyModifiers::CONTROL => format!("ctrl-{base}"),
            KeyModifiers::SHIFT => format!("shift-{base}"),
            _ => base,
        }
    }

    fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.with)
    }
}

/// What the key does here: the first row with it that is on offer; else the first that says why not.
pub fn resolve(model: &Model, event: &KeyEvent) -> Option<(Action, Offer)> {
    let rows = BINDINGS.iter().filter(|row| row.keys.iter().any(|key| key.is(event)));
    let mut denied = None;
    for row in rows {
        match offer(row.action, model) {
            Offer::Absent => {}
            Offer::No(why) => denied = denied.or(Some((row.action, Offer::No(why)))),
            yes => return Some((row.action, yes)),
        }
    }
    denied
}

/// The keys that reach the action here, those taken by an earlier row left out.
pub fn keys_of(model: &Model, row: &Binding) -> Vec<Key> {
    let reaches = |key: &&Key| resolve(model, &key.event()).is_some_and(|(action, _)| action == row.action);
    row.keys.iter().filter(reaches).copied().collect()
}

/// The name of the first key that reaches the action here.
pub fn key_name(model: &Model, row: &Binding) -> Option<String> {
    match row.action {
        Action::SeekTenth => Some("0-9".to_owned()),
        _ => keys_of(model, row).first().map(|key| key.name()),
    }
}

pub fn binding(action: Action) -> Option<&'static Binding> {
    BINDINGS.iter().find(|row| row.action == action)
}

/// What the row is called here: some keys do the opposite of what they did last.
pub fn name(model: &Model, row: &Binding) -> String {
    let state = &model.state;
    let name = match row.action {
        Action::Enter => match next::enter(model) {
            Enter::Consent => "confirm target",
            Enter::Start(_) => "start",
            Enter::Tick(..) => "tick",
            Enter::Return(_) => "to current step",
            Enter::Nothing => row.name,
        },
        Action::Cancel if view::shown_in_doubt(model) => "end leftover",
        Action::Hold if state.hold.is_some() => "continue",
        Action::Auto if state.auto => "auto off",
        Action::Auto => "auto on",
        Action::PlayPause if matches!(&model.mode, Mode::Replay { status, .. } if status.playing) => "pause",
        Action::PlayPause => "play",
        _ => row.name,
    };
    name.to_owned()
}
