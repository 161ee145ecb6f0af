//! The engine's lock on a run: a kernel lock that dies with its process, and a few words about who holds it.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::{JournalError, shown};
use super::guard;
use super::home::RunDir;

/// Somebody who only asks who holds the lock has it for a moment: a writer asks again before it believes.
const TRIES: u32 = 6;
const BETWEEN: Duration = Duration::from_millis(15);
/// The words in a lock file are short; more is not ours.
const WORDS_MAX: u64 = 1024;

/// Who holds a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Absent for the instant between taking the lock and writing the words.
    pub pid: Option<u32>,
    pub host: String,
    /// When the lock file was written.
    pub since: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
struct Words {
    pid: u32,
    host: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.pid else {
            return f.write_str("an engine that is just starting");
        };
        write!(f, "pid {pid} on {}", crate::run::clean::line(&self.host, 80))?;
        match self.since {
            Some(since) => write!(f, " since {}", since.format("%F %T UTC")),
            None => Ok(()),
        }
    }
}

/// Held as long as it lives; the kernel lets go when the process dies.
#[derive(Debug)]
pub(super) struct EngineLock {
    _file: File,
}

impl EngineLock {
    pub(super) async fn take(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.lock_file();
        let mut file = guard::open_file(&path, false)?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => {
                    sign(&mut file).map_err(JournalError::io(format!("write {}", shown(&path))))?;
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(BETWEEN).await,
                Err(TryLockError::Error(error)) => {
                    return Err(JournalError::io(format!("lock {}", shown(&path)))(error));
                }
            }
        }
        Err(JournalError::Held { run: run.id(), holder: read_words(&mut file) })
    }
}

/// Who writes to this run just now; none: nobody, or it is a journal file alone. Waits for nobody.
pub fn holder(run: &RunDir) -> Result<Option<Holder>, JournalError> {
    let path = run.lock_file();
    if !run.is_folder() {
        return Ok(None);
    }
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::io(format!("open {}", shown(&path)))(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_words(&mut file))),
        Err(TryLockError::Error(error)) => Err(JournalError::io(format!("ask for the lock {}", shown(&path)))(error)),
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let words =
        Words { pid: std::process::id(), host: rustix::system::uname().nodename().to_string_lossy().into_owned() };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(&words)?.as_bytes())
}

fn read_words(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(WORDS_MAX).read_to_string(&mut text));
    let words = read.ok().and_then(|_| serde_json::from_str::<Words>(&text).ok());
    let since = file.metadata().and_then(|meta| meta.modified()).ok().map(DateTime::from);
    match words {
        Some(Words { pid, host }) => Holder { pid: Some(pid), host, since },
        None => Holder { pid: None, host: String::new(), since: None },
    }
}
