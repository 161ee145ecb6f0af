//! How things look: inks by meaning, glyphs by state. Colour never speaks alone, and never goes beyond the sixteen of every terminal.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::run::state::StepStatus;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    #[default]
    Dark,
    Light,
    /// No colour at all: weight, underline and reverse only (`NO_COLOR`).
    Mono,
}

/// How this terminal is to be treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub palette: Palette,
    /// Plain ASCII only: terminals whose locale is not UTF-8.
    pub ascii: bool,
    /// No spinner.
    pub still: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Text,
    Dim,
    Strong,
    Title,
    Good,
    Active,
    Warn,
    Bad,
    Key,
    Border,
    Focus,
    Selected,
    /// Reverse red: production, a fired trigger.
    Alarm,
    /// Reverse, calm: rehearsal, replay.
    Badge,
    Match,
    /// The bars of a chart: there, but quiet.
    Bar,
}

impl Look {
    pub fn style(self, ink: Ink) -> Style {
        match self.palette {
            Palette::Dark => dark(ink),
            Palette::Light => light(ink),
            Palette::Mono => mono(ink),
        }
    }

    /// The sign of a state.
    pub fn glyph(self, status: &StepStatus) -> &'static str {
        match status {
            StepStatus::Pending => "○",
            StepStatus::Running => "▶",
            StepStatus::Done => "✔",
            StepStatus::Failed => "✖",
            StepStatus::Broke => "‼",
            StepStatus::InDoubt => "?",
            StepStatus::Skipped | StepStatus::Left => "↷",
            StepStatus::Undoing => "⤺",
            StepStatus::Undone => "↩",
            StepStatus::UndoFailed | StepStatus::UndoSkipped => "✗",
        }
    }
}

/// The word of a state.
pub fn word(status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "to do",
        StepStatus::Running => "running",
        StepStatus::Done => "done",
        StepStatus::Failed => "failed",
        StepStatus::Broke => "broke",
        StepStatus::InDoubt => "in doubt",
        StepStatus::Skipped => "skipped",
        StepStatus::Left => "left",
        StepStatus::Undoing => "undoing",
        StepStatus::Undone => "undone",
        StepStatus::UndoFailed => "undo failed",
        StepStatus::UndoSkipped => "undo skipped",
    }
}

/// The ink of a state.
pub fn ink(status: &StepStatus) -> Ink {
    match status {
        StepStatus::Pending => Ink::Text,
        StepStatus::Running | StepStatus::Undoing => Ink::Active,
        StepStatus::Done => Ink::Good,
        StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed | StepStatus::UndoSkipped => Ink::Bad,
        StepStatus::InDoubt => Ink::Warn,
        StepStatus::Skipped | StepStatus::Left | StepStatus::Undone => Ink::Dim,
    }
}

fn dark(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text => style,
        Ink::Dim => style.fg(Color::Gray),
        Ink::Strong | Ink::Title => style.fg(Color::White).add_modifier(Modifier::BOLD),
        Ink::Good => style.fg(Color::Green),
        Ink::Active => style.fg(Color::LightCyan),
        Ink::Warn => style.fg(Color::LightYellow),
        Ink::Bad => style.fg(Color::LightRed).add_modifier(Modifier::BOLD),
        Ink::Key => style.fg(Color::LightCyan).add_modifier(Modifier::BOLD),
        Ink::Border => style.fg(Color::DarkGray),
        Ink::Focus => style.fg(Color::LightCyan),
        Ink::Selected => style.add_modifier(Modifier::REVERSED),
        Ink::Alarm => style.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        Ink::Badge => style.fg(Color::Black).bg(Color::Cyan),
        Ink::Match => style.fg(Color::Black).bg(Color::Yellow),
        Ink::Bar => style.fg(Color::DarkGray),
    }
}

fn light(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text => style,
        Ink::Dim => style.fg(Color::DarkGray),
        Ink::Strong | Ink::Title => style.fg(Color::Black).add_modifier(Modifier::BOLD),
        Ink::Good => style.fg(Color::Green),
        Ink::Active => style.fg(Color::Blue),
        Ink::Warn => style.fg(Color::Magenta).add_modifier(Modifier::BOLD),
        Ink::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Ink::Key => style.fg(Color::Blue).add_modifier(Modifier::BOLD),
        Ink::Border => style.fg(Color::Gray),
        Ink::Focus => style.fg(Color::Blue),
        Ink::Selected => style.add_modifier(Modifier::REVERSED),
        Ink::Alarm => style.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        Ink::Badge => style.fg(Color::White).bg(Color::Blue),
        Ink::Match => style.fg(Color::Black).bg(Color::Yellow),
        Ink::Bar => style.fg(Color::Gray),
    }
}

fn mono(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text | Ink::Dim | Ink::Good | Ink::Border | Ink::Bar => style,
        Ink::Strong | Ink::Title | Ink::Active | Ink::Warn | Ink::Key | Ink::Focus => {
            style.add_modifier(Modifier::BOLD)
        }
        Ink::Bad => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Ink::Selected | Ink::Badge => style.add_modifier(Modifier::REVERSED),
        Ink::Alarm => style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
        Ink::Match => style.add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
    }
}

/// Rewrites a finished frame in plain ASCII: one place, so that no pane has to think of it.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let plain = cell.symbol().chars().next().map_or('?', plain);
            cell.set_char(plain);
        }
    }
}

/// The ASCII stand-in of a character; `?` for those that have none.
fn plain(c: char) -> char {
    match c {
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '╔' | '╗' | '╚' | '╝' | '┏' | '┓' | '┗' | '┛' => {
            '+'
        }
        '─' | '═' | '━' | '┄' | '–' | '—' | '╌' => '-',
        '│' | '║' | '┃' => '|',
        '○' => 'o',
        '▶' | '›' | '▸' | '→' => '>',
        '◀' | '←' | '↩' => '<',
        '✔' => '+',
        '✖' | '✗' | '×' => 'X',
        '‼' => '!',
        '↷' => '~',
        '⤺' => '<',
        '●' | '█' | '■' | '☑' => '#',
        '☐' => 'o',
        '·' | '…' | '⏎' => '.',
        '≥' | '≤' => '=',
        '▲' | '↑' => '^',
        '▼' | '↓' => 'v',
        '✎' => '*',
        '⏸' => '=',
        '⚠' => '!',
        '▁' | '▂' => '_',
        '▃' | '▄' => '.',
        '▅' | '▆' => ':',
        '▇' => '#',
        'ä' | 'à' | 'á' | 'â' => 'a',
        'é' | 'è' | 'ê' => 'e',
        'ö' | 'ó' | 'ò' | 'ô' => 'o',
        'ü' | 'ú' | 'ù' | 'û' => 'u',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_has_no_colour() {
        let look = Look { palette: Palette::Mono, ..Look::default() };
        for ink in [
            Ink::Text,
            Ink::Dim,
            Ink::Strong,
            Ink::Title,
            Ink::Good,
            Ink::Active,
            Ink::Warn,
            Ink::Bad,
            Ink::Key,
            Ink::Border,
            Ink::Focus,
            Ink::Selected,
            Ink::Alarm,
            Ink::Badge,
            Ink::Match,
            Ink::Bar,
        ] {
            assert_eq!((look.style(ink).fg, look.style(ink).bg), (None, None), "{ink:?}");
        }
    }
}
