//! Child processes the careful way: own session, allow-listed environment, output in pieces, never left behind. A leaf: knows no room.

pub mod proc;
pub mod shim;
mod tail;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, sleep_until};

pub use tail::Tail;

/// How long the output of an ended child is still read, where something it started holds it open.
pub const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of one piece of output.
const PIECE: usize = 16 * 1024;
/// What a child inherits of our environment; `LC_*` as well. `TERM` is always `dumb`.
const INHERITED: &[&str] = &["PATH", "HOME", "USER", "LANG", "TZ", "SHELL", "TMPDIR"];

/// What is to be started.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Program and arguments; the program is looked up in `PATH`.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    /// Added to the inherited allow-list.
    pub env: Vec<(String, String)>,
    /// The file that becomes its standard input; none: it is empty.
    pub stdin: Option<PathBuf>,
    /// See [`DRAIN`].
    pub drain: Duration,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("there is no command: the list is empty")]
    Empty,
    #[error("the folder {0} is not there")]
    NoFolder(String),
    #[error("`{program}` was not found")]
    NotFound { program: String, path: String },
    #[error("there is no file {0}")]
    NoFile(String),
    #[error("the interpreter that the first line of `{0}` names was not found")]
    NoInterpreter(String),
    #[error("the file for its standard input, {0}, cannot be read: {1}")]
    Input(String, io::Error),
    #[error("`{0}` may not be executed (permission denied)")]
    Denied(String),
    #[error("`{program}` could not be started: {error}")]
    Other { program: String, error: io::Error },
}

impl SpawnError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Empty => "name a program in the runbook".to_owned(),
            Self::NoFolder(_) => "start gonogo in a folder that exists".to_owned(),
            Self::NotFound { path, .. } if path.is_empty() => {
                "PATH is not set; set it, or name the program by its full path".to_owned()
            }
            Self::NotFound { path, .. } => {
                format!("PATH is {path}; install the program, or name it by its full path")
            }
            Self::NoFile(_) => {
                "relative names start from the folder gonogo was started in; correct the name or go there".to_owned()
            }
            Self::NoInterpreter(_) => "install the interpreter, or correct the script's `#!` line".to_owned(),
            Self::Denied(_) => "make it executable (chmod +x), or run it by its interpreter".to_owned(),
            Self::Input(..) | Self::Other { .. } => {
                "see whether the machine is out of processes or memory, then retry".to_owned()
            }
        }
    }
}

/// What a running child does next.
#[derive(Debug)]
pub enum Sign {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// It ended; output may still follow.
    Exited(ExitStatus),
    /// No more output. `held`: something it started still holds it open, and was not waited for any longer.
    Closed {
        held: bool,
    },
}

/// A child in a session of its own. Dropped while it runs, its whole process group is killed.
#[derive(Debug)]
pub struct Running {
    child: Box<dyn ChildWrapper>,
    pid: u32,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    pipes: Vec<u64>,
    status: Option<ExitStatus>,
    drain: Duration,
    close_by: Option<Instant>,
}

/// Starts `spec`. Must be called inside a tokio runtime.
pub fn spawn(spec: &Spec) -> Result<Running, SpawnError> {
    let (program, args) = spec.argv.split_first().ok_or(SpawnError::Empty)?;
    if program.is_empty() {
        return Err(SpawnError::Empty);
    }
    if !spec.cwd.is_dir() {
        return Err(SpawnError::NoFolder(spec.cwd.display().to_string()));
    }
    let stdin = match &spec.stdin {
        Some(path) => {
            File::open(path).map(Stdio::from).map_err(|error| SpawnError::Input(path.display().to_string(), error))?
        }
        None => Stdio::null(),
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(&spec.cwd)
        .env_clear()
        .envs(inherited())
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut wrap = CommandWrap::from(command);
    wrap.wrap(ProcessSession);
    let mut child = wrap.spawn().map_err(|error| explain(spec, program, error))?;
    let pid = child.id().unwrap_or_default();
    let (out, err) = (child.stdout().take(), child.stderr().take());
    let pipes = [out.as_ref().and_then(proc::inode), err.as_ref().and_then(proc::inode)];
    Ok(Running {
        child,
        pid,
        out,
        err,
        pipes: pipes.into_iter().flatten().collect(),
        status: None,
        drain: spec.drain,
        close_by: None,
    })
}

/// What every child inherits of our environment.
pub fn inherited() -> Vec<(OsString, OsString)> {
    let kept = |name: &OsString| name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"));
    let mut env: Vec<_> = std::env::vars_os().filter(|(name, _)| kept(name)).collect();
    env.push(("TERM".into(), "dumb".into()));
    env
}

fn explain(spec: &Spec, program: &str, error: io::Error) -> SpawnError {
    let program = program.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') && spec.cwd.join(&program).exists() => {
            SpawnError::NoInterpreter(program)
        }
        io::ErrorKind::NotFound if program.contains('/') => {
            SpawnError::NoFile(spec.cwd.join(program).display().to_string())
        }
        io::ErrorKind::NotFound => not_found(program),
        // A folder of PATH that we may not enter gives this error for every program that is nowhere.
        io::ErrorKind::PermissionDenied if !program.contains('/') && !is_in_path(&program) => not_found(program),
        io::ErrorKind::PermissionDenied => SpawnError::Denied(program),
        _ => SpawnError::Other { program, error },
    }
}

fn not_found(program: String) -> SpawnError {
    let path = std::env::var("PATH").unwrap_or_default();
    SpawnError::NotFound { program, path }
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

impl Running {
    /// Its process id, which is also the id of its session and group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What happens next. May be dropped and called again without a loss; after [`Sign::Closed`] it says so again.
    ///
    /// # Errors
    /// The system refuses to tell how the child ended.
    pub async fn next(&mut self) -> io::Result<Sign> {
        loop {
            if self.status.is_some() && self.out.is_none() && self.err.is_none() {
                return Ok(Sign::Closed { held: false });
            }
            let ended = self.status.is_some();
            let close_by = self.close_by.unwrap_or_else(Instant::now);
            tokio::select! {
                piece = read(&mut self.out), if self.out.is_some() => match piece {
                    Some(piece) => return Ok(Sign::Out(piece)),
                    None => self.out = None,
                },
                piece = read(&mut self.err), if self.err.is_some() => match piece {
                    Some(piece) => return Ok(Sign::Err(piece)),
                    None => self.err = None,
                },
                // The native child: the wrapper would wait for everything in the group that became ours.
                status = self.child.inner_mut().wait(), if !ended => {
                    let status = status?;
                    self.status = Some(status);
                    self.close_by = Some(Instant::now() + self.drain);
                    return Ok(Sign::Exited(status));
                }
                () = sleep_until(close_by), if ended => return Ok(Sign::Closed { held: true }),
            }
        }
    }

    /// Sends `signal` to the child and everything in its process group.
    pub fn signal(&self, signal: Signal) {
        // Once it is reaped its number may be given to a stranger, unless its session lives on.
        if self.status.is_some() && proc::of_session(self.pid).is_empty() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw) {
            // It may have ended this very moment: nothing to be done then.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// What it started and left behind: everything in its session, and whoever still holds its output open.
    pub fn leftovers(&self) -> Vec<proc::Stat> {
        let mut left = proc::of_session(self.pid);
        left.extend(proc::holders(&self.pipes));
        left.retain(|stat| stat.pid != self.pid || self.status.is_none());
        left.sort_by_key(|stat| stat.pid);
        left.dedup_by_key(|stat| stat.pid);
        left
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.signal(Signal::KILL);
        }
    }
}

/// The next piece; none at the end of the stream, or where it cannot be read.
async fn read<R: AsyncRead + Unpin>(stream: &mut Option<R>) -> Option<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    let n = stream.as_mut()?.read(&mut piece).await.unwrap_or(0);
    piece.truncate(n);
    (n > 0).then_some(piece)
}

/// An exit status as a shell counts it (128 + n for a signal), and in words: `exited with 3`.
pub fn ending(status: ExitStatus) -> (i32, String) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (code, format!("exited with {code}")),
        (None, Some(signal)) => (128 + signal, format!("was killed by signal {signal}{}", name(signal))),
        (None, None) => (-1, "ended in a way the system does not name".to_owned()),
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}
