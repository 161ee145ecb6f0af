//! The program without a screen, as a pipe or a cron job starts it: in a folder of its own, with an environment of its own.
//!
//! Nothing outlives its test: what was started is killed when its handle is dropped.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test is given up. Never a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A folder, a journal and an environment of one test's own.
pub struct Desk {
    program: PathBuf,
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Desk {
    /// `program`: the path of the binary under test.
    pub fn new(program: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gg-").tempdir_in("/tmp").unwrap();
        Self { program: PathBuf::from(program), dir, env: Vec::new() }
    }

    /// With this variable in the environment of everything that is started.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the folders it lies in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal")
    }

    /// The folder of the only run there is.
    pub fn run_dir(&self) -> PathBuf {
        let mut found: Vec<PathBuf> = fs::read_dir(self.journal()).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.is_dir());
        assert_eq!(found.len(), 1, "one run wanted: {found:?}");
        found.remove(0)
    }

    /// The program with these arguments: nothing of this process's environment but the path of programs.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var("PATH").unwrap()).env("HOME", self.dir.path()).env("USER", "tester");
        command.env("TMPDIR", self.dir.path()).env("LANG", "C.UTF-8").env("GONOGO_JOURNAL", self.journal());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it and leaves it running.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::spawn(self.command(args))
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }
}

/// How a process ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Fails the test, with all that was said, where the exit code is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n── stdout\n{}\n── stderr\n{}", self.out, self.err);
        self
    }

    /// Fails the test, with all that was said, where this text was not.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.out.contains(text) || self.err.contains(text);
        assert!(said, "never said {text:?}\n── stdout\n{}\n── stderr\n{}", self.out, self.err);
        self
    }
}

/// Lines as they come, and whether more may.
type Lines = Arc<(Mutex<(Vec<String>, bool)>, Condvar)>;

/// A process under way.
pub struct Running {
    child: Child,
    lines: Lines,
    out: Option<JoinHandle<()>>,
    err: Option<JoinHandle<String>>,
}

impl Running {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Lines::default();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let heard = Arc::clone(&lines);
        let out = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                heard.0.lock().unwrap().0.push(line.unwrap());
                heard.1.notify_all();
            }
            heard.0.lock().unwrap().1 = true;
            heard.1.notify_all();
        });
        let err = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, out: Some(out), err: Some(err) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the first line of standard output that is as wanted, of those said before too.
    #[track_caller]
    pub fn line(&self, name: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (lock, bell) = &*self.lines;
        let mut lines = lock.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(|line| wanted(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                let said = lines.0.join("\n");
                drop(lines);
                panic!("never came: {name}\n── stdout\n{said}");
            }
            lines = bell.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits for a line that holds this text.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        self.line(text, |line| line.contains(text))
    }

    /// kill -9, and waits until it is gone. What it said until then is in the answer.
    pub fn kill(mut self) -> Ran {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.rest(status)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.rest(status);
            }
            if Instant::now() > deadline {
                let said = self.lines.0.lock().unwrap().0.join("\n");
                panic!("it does not end\n── stdout\n{said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn rest(&mut self, status: ExitStatus) -> Ran {
        // What it started may hold its output open for longer than itself: only its own words count after a kill.
        let whole = status.code().is_some();
        if whole && let Some(out) = self.out.take() {
            out.join().unwrap();
        }
        let err = self.err.take().filter(|err| whole || err.is_finished());
        let err = err.map(|err| err.join().unwrap()).unwrap_or_default();
        let lines = self.lines.0.lock().unwrap();
        let out = lines.0.iter().map(|line| format!("{line}\n")).collect();
        Ran { code: status.code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test came to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `what` is true.
#[track_caller]
pub fn until(name: &str, mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "never came: {name}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Copies a folder with all that lies in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}
