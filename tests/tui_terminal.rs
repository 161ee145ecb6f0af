//! The screen in a real pseudo-terminal: it takes the terminal over, gives it back on every way out, and ends when the
//! terminal goes away. The program under test is this very test binary, started again with `CHILD` set.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test: helpers outside #[test] functions fail it the same way"
)]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, TimeZone, Utc};
use gonogo::run::event::Opened;
use gonogo::run::{Entry, Event, Moment};
use gonogo::runbook::{Phase, PhaseKind, Runbook, Script, Step, Undo, Verb};
use gonogo::tui::{ExitReason, Init, Look, Message, Mode, Model, Out};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Which part the child plays.
const CHILD: &str = "GONOGO_TEST_SCREEN";
/// Far beyond what any machine needs; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(240);

fn book() -> Runbook {
    let select = "select 42".to_owned();
    let script = Script { text: select, transaction: true, line: 1, ..Script::default() };
    let step = Step {
        title: "011: fix schema conflicts".to_owned(),
        undo: Undo::NotNeeded,
        ..Step::new("m011", Verb::Sql(script))
    };
    Runbook {
        id: "demo".to_owned(),
        title: "A small window".to_owned(),
        phases: vec![Phase {
            id: "migrate".to_owned(),
            title: String::new(),
            kind: PhaseKind::Migrate,
            at: None,
            lasts: None,
            coverage: 0.9,
            advance: Default::default(),
            steps: vec![step],
            line: 1,
        }],
        ..Runbook::default()
    }
}

fn moment(ms: i64) -> Moment {
    let start = Utc.with_ymd_and_hms(2024, 1, 31, 3, 0, 0).single().unwrap();
    Moment { wall: start + TimeDelta::milliseconds(ms), ms: ms.unsigned_abs() }
}

/// Not a test of its own: what runs in the pseudo-terminal.
#[test]
fn child() {
    let Ok(part) = std::env::var(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reason = runtime.block_on(play(part));
    std::process::exit(match reason {
        ExitReason::Left => 40,
        ExitReason::HangUp => 41,
        ExitReason::Signal(15) => 42,
        ExitReason::Signal(_) => 43,
        ExitReason::Closed => 44,
    });
}

async fn play(part: String) -> ExitReason {
    let (send, inbox) = tokio::sync::mpsc::channel(64);
    let (outbox, mut wishes) = tokio::sync::mpsc::channel(64);
    let mode = Mode::Live { me: "dba@host".to_owned(), writes: true };
    let opened = Opened { run: "r1".to_owned(), environment: "staging".to_owned(), ..Opened::default() };
    let entry = Entry { seq: 1, at: moment(0), event: Event::RunOpened(Box::new(opened)) };
    send.send(Message::Entries(vec![entry])).await.unwrap();
    let started = Instant::now();
    let clock = Box::new(move || {
        let ms = i64::try_from(started.elapsed().as_millis()).unwrap();
        assert!(part != "panic" || ms < 500, "the clock broke");
        moment(ms)
    });
    let init = Init { model: Model::new(Arc::new(book()), mode, Look::default()), clock, mouse: true };
    let editor = tokio::spawn(async move {
        while let Some(out) = wishes.recv().await {
            if let Out::Edit(text) = out {
                println!("EDITOR HAS THE TERMINAL");
                send.send(Message::Edited(Ok(format!("{text} + 1")))).await.unwrap();
            }
        }
        drop(send);
    });
    let reason = gonogo::tui::run(init, inbox, outbox).await.unwrap();
    editor.abort();
    reason
}

struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    closing: Arc<AtomicBool>,
}

impl Terminal {
    fn open(part: &str) -> Self {
        Self::run(part, &[])
    }

    /// Opens a terminal with the child in it, started through the words of `by`.
    fn run(part: &str, by: &[&str]) -> Self {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let itself = std::env::current_exe().unwrap();
        let words = by.iter().map(std::ffi::OsStr::new).chain([itself.as_os_str()]);
        let mut command = CommandBuilder::from_argv(words.map(Into::into).collect());
        command.args(["child", "--exact", "--nocapture"]);
        command.env("RUST_BACKTRACE", "0");
        command.env(CHILD, part);
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            std::num::NonZeroU16::new(30).unwrap(),
            std::num::NonZeroU16::new(100).unwrap(),
            0,
        )));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let (of_screen, of_bytes, of_closing) = (Arc::clone(&screen), Arc::clone(&bytes), Arc::clone(&closing));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if of_closing.load(Ordering::SeqCst) {
                    break;
                }
                of_screen.lock().unwrap().process(&buffer[..n]);
                of_bytes.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { master: Some(pair.master), keys: Some(keys), child, screen, bytes, closing }
    }

    /// Closes the master side. The clock on the screen wakes the reading thread, which then lets go of its copy too.
    fn close(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        self.keys = None;
        self.master = None;
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn shows(&self, text: &str) {
        self.until(&format!("showed {text:?}"), |terminal| terminal.text().contains(text));
    }

    fn key(&mut self, bytes: &[u8]) {
        let keys = self.keys.as_mut().unwrap();
        keys.write_all(bytes).unwrap();
        keys.flush().unwrap();
    }

    fn has_written(&self, bytes: &[u8]) -> bool {
        self.bytes.lock().unwrap().windows(bytes.len()).any(|part| part == bytes)
    }

    fn ends(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it never ended:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        let status = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// The terminal is as it was: own screen, cursor, no mouse, no paste brackets.
    fn is_given_back(&self) {
        self.until("was given back", |terminal| {
            let parser = terminal.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
    }
}

impl Terminal {
    fn resize(&self, cols: u16, rows: u16) {
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(std::num::NonZeroU16::new(rows).unwrap(), std::num::NonZeroU16::new(cols).unwrap());
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.master.as_ref().unwrap().resize(size).unwrap();
    }
}

#[test]
fn it_draws_resizes_and_leaves() {
    let mut terminal = Terminal::open("plain");
    terminal.shows("Enter starts: 011: fix schema conflicts");
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    terminal.resize(38, 8);
    terminal.shows("too small");
    terminal.resize(100, 30);
    terminal.shows("Phases");
    terminal.key(b"q");
    terminal.shows("leave the run going");
    terminal.shows("enter goes");
    terminal.key(b"\r");
    assert_eq!(terminal.ends(), 40);
    terminal.is_given_back();
}

#[test]
fn it_ends_when_the_terminal_goes_away() {
    let mut terminal = Terminal::open("plain");
    terminal.shows("Enter starts");
    terminal.close();
    assert_eq!(terminal.ends(), 41);
}

/// In a session without a controlling terminal the kernel sends no hang-up signal: the screen must see it by itself.
#[test]
fn it_ends_when_the_terminal_goes_away_without_a_signal() {
    let Ok(true) = std::process::Command::new("setsid").arg("--version").output().map(|out| out.status.success())
    else {
        eprintln!("skipped: there is no setsid here");
        return;
    };
    let mut terminal = Terminal::run("plain", &["sh", "-c", "trap '' HUP; setsid --wait \"$0\" \"$@\""]);
    terminal.shows("Enter starts");
    terminal.close();
    assert_eq!(terminal.ends(), 41);
}

#[test]
fn it_ends_well_by_a_signal() {
    let mut terminal = Terminal::open("plain");
    terminal.shows("Enter starts");
    terminal.signal("TERM");
    assert_eq!(terminal.ends(), 42);
    terminal.is_given_back();
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let mut terminal = Terminal::open("panic");
    terminal.shows("the clock broke");
    terminal.ends();
    terminal.is_given_back();
}

#[test]
fn it_copies_through_the_terminal() {
    let mut terminal = Terminal::open("plain");
    terminal.shows("Enter starts");
    terminal.key(b"\ty");
    terminal.shows("copied");
    terminal.until("wrote OSC 52", |terminal| terminal.has_written(b"\x1b]52;c;"));
    terminal.signal("TERM");
    terminal.ends();
}

#[test]
fn an_external_editor_gets_the_terminal_and_gives_it_back() {
    let mut terminal = Terminal::open("plain");
    terminal.shows("Enter starts");
    terminal.key(b"e");
    terminal.shows("SQL of m011");
    terminal.key(b"\x0f");
    terminal.until("lent the terminal", |terminal| terminal.has_written(b"EDITOR HAS THE TERMINAL"));
    terminal.shows("select 42 + 1");
    // Keys reach the screen again.
    terminal.key(b"\x1b");
    terminal.shows("not saved");
    terminal.signal("TERM");
    assert_eq!(terminal.ends(), 42);
    terminal.is_given_back();
}
