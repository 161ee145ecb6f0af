//! Takes the pictures of the README from the real program: runs the demo in a pseudo-terminal, types its keys, and
//! writes what stands on the screen as SVG into assets/. Run it by `scripts/pictures`.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const COLUMNS: u16 = 120;
const ROWS: u16 = 36;
const PATIENCE: Duration = Duration::from_secs(60);
/// Pixels of one cell, and where the first baseline lies.
const CELL: (f32, f32) = (8.43, 16.3);
const BASELINE: f32 = 13.0;

fn main() -> Result<()> {
    let program = std::env::args().nth(1).ok_or("usage: pictures PROGRAM")?;
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let journal = std::env::temp_dir().join(format!("gonogo-pictures-{}", std::process::id()));
    fs::create_dir_all(&assets)?;
    live(&program, &journal, &assets)?;
    replay(&program, &journal, &assets)?;
    fs::remove_dir_all(&journal)?;
    Ok(())
}

/// The demo with its fault: a step's result, the trigger that fires, the end.
fn live(program: &str, journal: &Path, assets: &Path) -> Result<()> {
    let mut screen = Screen::start(program, &["demo", "--set", "fault=true"], journal)?;
    screen.until("Enter starts")?;
    screen.keys("a")?;
    screen.until("Let steps start by themselves")?;
    screen.confirm()?;
    screen.until("taking orders")?;
    screen.rest(Duration::from_secs(6));
    screen.save(&assets.join("checklist.svg"))?;
    screen.keys(" ")?;
    screen.until("1 of 2")?;
    screen.keys(" ")?;
    screen.until("g go")?;
    screen.keys("g")?;
    screen.until("go?")?;
    screen.confirm()?;
    screen.until("TRIGGER FIRED")?;
    screen.rest(Duration::from_secs(2));
    screen.save(&assets.join("trigger.svg"))?;
    screen.until("fine again")?;
    screen.rest(Duration::from_secs(1));
    screen.save(&assets.join("rolled-back.svg"))?;
    screen.keys("q")?;
    screen.leave()
}

/// The same run again, stopped at the trigger.
fn replay(program: &str, journal: &Path, assets: &Path) -> Result<()> {
    let mut screen = Screen::start(program, &["replay", "last"], journal)?;
    screen.until("REPLAY")?;
    screen.keys("t")?;
    screen.until("errors-high")?;
    screen.rest(Duration::from_secs(1));
    screen.save(&assets.join("replay.svg"))?;
    screen.keys("q")?;
    screen.leave()
}

/// The program on an emulated terminal.
struct Screen {
    child: Box<dyn Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
}

impl Screen {
    fn start(program: &str, args: &[&str], journal: &Path) -> Result<Self> {
        let pair =
            native_pty_system().openpty(PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(std::env::temp_dir());
        command.env("GONOGO_JOURNAL", journal);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("USER", "dba");
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader()?;
        let input = pair.master.take_writer()?;
        let (bytes, output) = channel();
        std::thread::spawn(move || {
            let _master = pair.master;
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if bytes.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size =
            (std::num::NonZero::new(ROWS).ok_or("no rows")?, std::num::NonZero::new(COLUMNS).ok_or("no columns")?);
        Ok(Self { child, input, output, terminal: vt100::Parser::new(size.0, size.1, 0) })
    }

    fn pump(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(bytes) = self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.terminal.process(&bytes);
        }
    }

    fn rest(&mut self, time: Duration) {
        self.pump(time);
    }

    fn until(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.terminal.screen().contents().contains(text) {
            if Instant::now() > end {
                return Err(format!("{text:?} did not appear:\n{}", self.terminal.screen().contents()).into());
            }
            self.pump(Duration::from_millis(50));
        }
        Ok(())
    }

    fn keys(&mut self, keys: &str) -> Result<()> {
        self.input.write_all(keys.as_bytes())?;
        self.input.flush()?;
        self.pump(Duration::from_millis(300));
        Ok(())
    }

    /// Enter in a dialog, after the moment in which it is taken for a hand that is still falling.
    fn confirm(&mut self) -> Result<()> {
        self.rest(Duration::from_millis(700));
        self.keys("\r")
    }

    fn leave(mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                self.child.kill()?;
            }
            self.pump(Duration::from_millis(200));
            // A question about leaving is answered by its default.
            if self.child.try_wait()?.is_none() {
                self.keys("\r")?;
            }
        }
        Ok(())
    }

    fn save(&self, path: &PathBuf) -> Result<()> {
        fs::write(path, svg(self.terminal.screen()))?;
        Ok(())
    }
}

/// The screen as an SVG: one text element per run of cells that look alike.
fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (f32::from(COLUMNS) * CELL.0, f32::from(ROWS) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"'DejaVu Sans Mono','Menlo','Consolas',monospace\" font-size=\"14\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#101216\"/>\n"
    );
    for row in 0..ROWS {
        let mut column = 0;
        while column < COLUMNS {
            let style = style(screen, row, column);
            let start = column;
            let mut text = String::new();
            while column < COLUMNS && self::style(screen, row, column) == style {
                let cell = screen.cell(row, column);
                let held = cell.map(vt100::Cell::contents).unwrap_or_default();
                if !cell.is_some_and(vt100::Cell::is_wide_continuation) {
                    text.push_str(if held.is_empty() { " " } else { held });
                }
                column += 1;
            }
            piece(&mut out, row, start, column - start, &text, &style);
        }
    }
    out.push_str("</svg>\n");
    out
}

#[derive(PartialEq)]
struct Style {
    ink: String,
    paper: Option<String>,
    bold: bool,
    underline: bool,
}

fn style(screen: &vt100::Screen, row: u16, column: u16) -> Style {
    let Some(cell) = screen.cell(row, column) else {
        return Style { ink: colour(vt100::Color::Default), paper: None, bold: false, underline: false };
    };
    let paper = (cell.bgcolor() != vt100::Color::Default).then(|| colour(cell.bgcolor()));
    let ink = if cell.dim() { "#7d828c".to_owned() } else { colour(cell.fgcolor()) };
    let (ink, paper) =
        if cell.inverse() { (paper.unwrap_or_else(|| "#101216".to_owned()), Some(ink)) } else { (ink, paper) };
    Style { ink, paper, bold: cell.bold(), underline: cell.underline() }
}

fn colour(colour: vt100::Color) -> String {
    const NAMED: [&str; 16] = [
        "#1d1f21", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0", "#6b7280", "#ff7b86",
        "#b5e890", "#ffd68a", "#82c4ff", "#dd9df0", "#7fdbe6", "#ffffff",
    ];
    match colour {
        vt100::Color::Default => "#d7dae0".to_owned(),
        vt100::Color::Idx(n) => NAMED.get(usize::from(n)).copied().unwrap_or("#d7dae0").to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn piece(out: &mut String, row: u16, column: u16, cells: u16, text: &str, style: &Style) {
    let (x, y) = (f32::from(column) * CELL.0, f32::from(row) * CELL.1);
    let width = f32::from(cells) * CELL.0;
    if let Some(paper) = &style.paper {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{paper}\"/>",
            CELL.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let bold = if style.bold { " font-weight=\"bold\"" } else { "" };
    let line = if style.underline { " text-decoration=\"underline\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" fill=\"{}\"{bold}{line}>{escaped}</text>",
        y + BASELINE,
        style.ink
    );
}
