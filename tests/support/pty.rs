//! A terminal for the program: a pseudo-terminal with the program in it, its screen as text, and a keyboard.
//!
//! Nothing here waits for time to pass, only for something to show. The program is killed when its terminal is dropped.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::termios::{LocalModes, tcgetattr};

use crate::headless::PATIENCE;
use crate::process;

/// How long nothing must be written until what stands there is taken for a whole picture.
const STILL: Duration = Duration::from_millis(60);
/// Between two looks at the screen.
const LOOK: Duration = Duration::from_millis(10);
/// How long nothing must be written until an album takes a picture: less than the time between two frames.
const SHUTTER: Duration = Duration::from_millis(12);
/// Pictures kept.
const ALBUM: usize = 20_000;

/// The screen's text, row by row, each without the blanks at its end.
pub type Picture = Vec<String>;

/// What the reading thread and the test share.
struct Shared {
    screen: Mutex<vt100::Parser>,
    bytes: Mutex<Vec<u8>>,
    written: Mutex<Instant>,
    closing: AtomicBool,
}

pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    /// The program's side, held open: what was written last can be read after the program has ended.
    slave: Option<File>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<Shared>,
    reading: Option<JoinHandle<()>>,
    code: Option<u32>,
}

impl Terminal {
    /// Starts the command in a terminal of this size. Its environment is the command's, and `TERM`.
    pub fn open(command: &Command, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let name = pair.master.tty_name().expect("the terminal's name");
        let child = pair.slave.spawn_command(words(command)).unwrap();
        let slave = open_slave(&name);
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let shared = Arc::new(Shared {
            screen: Mutex::new(vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0)),
            bytes: Mutex::default(),
            written: Mutex::new(Instant::now()),
            closing: AtomicBool::new(false),
        });
        let heard = Arc::clone(&shared);
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if heard.closing.load(Ordering::SeqCst) {
                    return;
                }
                heard.screen.lock().unwrap().process(&buffer[..n]);
                heard.bytes.lock().unwrap().extend_from_slice(&buffer[..n]);
                *heard.written.lock().unwrap() = Instant::now();
            }
        });
        Self {
            master: Some(pair.master),
            keys: Some(keys),
            slave: Some(slave),
            child,
            shared,
            reading: Some(reading),
            code: None,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("the program's number")
    }

    /// What stands on the screen.
    pub fn picture(&self) -> Picture {
        let parser = self.shared.screen.lock().unwrap();
        let columns = parser.screen().size().1.get();
        let rows = parser.screen().rows(0, columns);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    pub fn text(&self) -> String {
        self.picture().join("\n")
    }

    /// Everything the program has written so far.
    pub fn written(&self) -> Vec<u8> {
        self.shared.bytes.lock().unwrap().clone()
    }

    /// Waits until `holds`; fails the test with the screen's text where it never does.
    #[track_caller]
    pub fn until(&mut self, name: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let ended = self.child.try_wait().ok().flatten();
            assert!(Instant::now() < deadline, "never {name}:\n{}", self.text());
            if ended.is_some() && !holds(self) {
                // What it wrote last may still be on its way.
                std::thread::sleep(STILL);
                assert!(holds(self), "it ended ({ended:?}) and never {name}:\n{}", self.text());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until this text stands on the screen.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        self.until(&format!("showed {text:?}"), |terminal| terminal.text().contains(text));
    }

    /// Waits until this text stands nowhere on the screen.
    #[track_caller]
    pub fn hides(&mut self, text: &str) {
        self.until(&format!("hid {text:?}"), |terminal| !terminal.text().contains(text));
    }

    /// True where this text stands on the screen now.
    pub fn has(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Waits until nothing was written for a moment, and returns what stands there then.
    pub fn picture_at_rest(&self) -> Picture {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.written.lock().unwrap().elapsed() < STILL && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        self.picture()
    }

    /// Types these bytes as they are: `\r` is Enter, `\x1b` is Esc.
    #[track_caller]
    pub fn keys(&mut self, bytes: &str) {
        let keys = self.keys.as_mut().expect("an open terminal");
        keys.write_all(bytes.as_bytes()).unwrap();
        keys.flush().unwrap();
    }

    /// Pastes a text as terminals do.
    pub fn paste(&mut self, text: &str) {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"));
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let (high, wide) = (at_least_one(rows), at_least_one(columns));
        self.shared.screen.lock().unwrap().set_size(high, wide);
        self.master.as_ref().expect("an open terminal").resize(size(columns, rows)).unwrap();
    }

    pub fn signal(&self, name: &str) {
        process::signal(self.pid(), name);
    }

    /// The terminal goes away, as when a connection is lost.
    pub fn close(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the reading thread, so that it lets go of its copy too.
        if let Some(mut slave) = self.slave.take() {
            let _ = slave.write_all(b"\n");
        }
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
        self.keys = None;
        self.master = None;
    }

    /// True while the program runs.
    pub fn runs(&mut self) -> bool {
        self.code.is_none() && self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the program's end; what it wrote last stands on the screen then. Its exit code; a signal: 128 and more.
    #[track_caller]
    pub fn ends(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it never ended:\n{}", self.text());
            std::thread::sleep(LOOK);
        };
        if self.master.is_some() {
            self.picture_at_rest();
        }
        self.code = Some(status.exit_code());
        status.exit_code()
    }

    /// True where the terminal is as it was before the program: own screen, cursor, echo, no mouse, no paste brackets.
    pub fn is_given_back(&self) -> bool {
        let parser = self.shared.screen.lock().unwrap();
        let screen = parser.screen();
        let cooked = self.slave.as_ref().and_then(|slave| tcgetattr(slave).ok()).is_some_and(|modes| {
            modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
        });
        cooked
            && !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }

    pub fn in_alternate_screen(&self) -> bool {
        self.shared.screen.lock().unwrap().screen().alternate_screen()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.code.is_none() {
            process::signal(self.pid(), "KILL");
            let _ = self.child.wait();
        }
        self.close();
    }
}

/// Every whole picture that a terminal shows while this looks on, in order.
pub struct Album {
    pictures: Arc<Mutex<VecDeque<Picture>>>,
    stop: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Album {
    pub fn of(terminal: &Terminal) -> Self {
        let pictures: Arc<Mutex<VecDeque<Picture>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, kept, ended) = (Arc::clone(&terminal.shared), Arc::clone(&pictures), Arc::clone(&stop));
        let looking = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                std::thread::sleep(SHUTTER / 4);
                if shared.written.lock().unwrap().elapsed() < SHUTTER {
                    continue;
                }
                let parser = shared.screen.lock().unwrap();
                let columns = parser.screen().size().1.get();
                let now: Picture = parser.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
                drop(parser);
                let mut kept = kept.lock().unwrap();
                if kept.back() != Some(&now) && kept.len() < ALBUM {
                    kept.push_back(now);
                }
            }
        });
        Self { pictures, stop, looking: Some(looking) }
    }

    pub fn pictures(&self) -> Vec<Picture> {
        self.pictures.lock().unwrap().iter().cloned().collect()
    }
}

impl Drop for Album {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(looking) = self.looking.take() {
            let _ = looking.join();
        }
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn at_least_one(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}

/// The same command in the words of the pseudo-terminal's library.
fn words(command: &Command) -> CommandBuilder {
    let mut argv = vec![command.get_program().to_owned()];
    argv.extend(command.get_args().map(ToOwned::to_owned));
    let mut words = CommandBuilder::from_argv(argv);
    words.env_clear();
    words.env("TERM", "xterm-256color");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        words.cwd(folder);
    }
    words
}

/// Opened without becoming the terminal of this process.
fn open_slave(name: &PathBuf) -> File {
    use std::os::unix::fs::OpenOptionsExt;
    let no_tty = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
    OpenOptions::new().read(true).write(true).custom_flags(no_tty).open(name).unwrap()
}
