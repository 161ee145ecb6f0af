//! What this terminal can do.

use std::io::IsTerminal;

use crate::app::{Stop, code};
use crate::cli::{self, Theme};
use crate::tui::{Look, Palette};

/// A run without a terminal needs to say how its questions are answered.
pub fn need(headless: bool) -> Result<(), Stop> {
    if headless || (std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Ok(());
    }
    let words = "there is no terminal here; run, resume and demo can do without: --headless, and --yes or --answers \
                 FILE.toml to say what may be answered";
    Err(Stop::new(code::USAGE, words))
}

/// Colours for lines on standard output: only on a terminal, and never under NO_COLOR.
pub fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && !no_color()
}

pub fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && !no_color()
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Columns of standard output; 0 where it is no terminal.
pub fn width_of_stdout() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| usize::from(size.ws_col)).unwrap_or(0)
}

/// How the screen is to look here: the flags first, then NO_COLOR and the locale.
pub fn look(args: &cli::Look) -> Look {
    let palette = match args.theme {
        Some(Theme::Dark) => Palette::Dark,
        Some(Theme::Light) => Palette::Light,
        Some(Theme::Mono) => Palette::Mono,
        None if no_color() => Palette::Mono,
        None => Palette::Dark,
    };
    Look { palette, ascii: args.ascii || !speaks_utf8(), still: args.still || std::env::var_os("NO_MOTION").is_some() }
}

/// The locale's word; a system that names none is taken for a modern one.
fn speaks_utf8() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    let Some(locale) = named else { return true };
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
