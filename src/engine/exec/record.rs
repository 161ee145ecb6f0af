//! What outlives a killed engine: a small durable file that says which process an attempt started, and how it ended.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::child::proc;
use crate::run::Attempt;
use crate::run::event::Direction;

/// The content of the file. Without a pid: it was about to be started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Content {
    boot: String,
    pid: Option<u32>,
    /// Clock ticks since boot.
    started: Option<u64>,
    /// As a shell counts it.
    exit: Option<i32>,
}

/// A process that an attempt started and whose engine did not see its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub pid: u32,
    /// True where it, or something it started in its session, still runs.
    pub running: bool,
    /// Since it was started, by the wall clock.
    pub age: Duration,
    /// Its exit status, where the engine still saw it.
    pub exit: Option<i32>,
}

/// The record of `attempt` in `dir`: `<step>.<forward|undo>.<n>.pid`.
pub fn record_path(dir: &Path, attempt: &Attempt) -> PathBuf {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }
    };
    let step: String = attempt.step.0.chars().map(plain).collect();
    let direction = match attempt.direction {
        Direction::Forward => "forward",
        Direction::Undo => "undo",
    };
    dir.join(format!("{step}.{direction}.{}.pid", attempt.n))
}

/// What an attempt left behind. `None`: there is no such record, or nothing was started.
pub fn leftover(record: &Path) -> Option<Leftover> {
    let content: Content = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let born = fs::metadata(record).and_then(|meta| meta.modified()).ok();
    let age = born.and_then(|born| SystemTime::now().duration_since(born).ok());
    Some(Leftover {
        pid: content.pid?,
        running: is_running(&content),
        age: age.unwrap_or_default(),
        exit: content.exit,
    })
}

fn is_running(content: &Content) -> bool {
    let Some(pid) = content.pid.filter(|_| content.boot == proc::boot_id()) else {
        return false;
    };
    match proc::stat(pid) {
        Some(stat) => content.started == Some(stat.started),
        // As long as its session has a member, the number is not given to another.
        None => !proc::of_session(pid).is_empty(),
    }
}

/// The record of an attempt that is being carried out.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    content: Content,
}

impl Record {
    /// Writes down that something is about to be started; durable when this returns.
    pub fn open(dir: &Path, attempt: &Attempt) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let record =
            Self { path: record_path(dir, attempt), content: Content { boot: proc::boot_id(), ..Content::default() } };
        record.write()?;
        File::open(dir)?.sync_all()?;
        Ok(record)
    }

    pub fn started(&mut self, pid: u32) -> io::Result<()> {
        self.content.pid = Some(pid);
        self.content.started = proc::stat(pid).map(|stat| stat.started);
        self.write()
    }

    /// The file's time stays that of the start.
    pub fn ended(&mut self, exit: Option<i32>) -> io::Result<()> {
        let born = fs::metadata(&self.path).and_then(|meta| meta.modified());
        self.content.exit = exit;
        self.write()?;
        File::options().write(true).open(&self.path)?.set_modified(born?)
    }

    /// Nothing was started after all.
    pub fn withdraw(self) {
        // A record without a pid says the same.
        let _ = fs::remove_file(self.path);
    }

    fn write(&self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec(&self.content)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt { step: "../a b".into(), direction: Direction::Undo, n: 2 }
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(record_path(Path::new("/r"), &attempt()), Path::new("/r/___a_b.undo.2.pid"));
    }

    #[test]
    fn strangers_with_the_same_number_are_not_ours() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = record_path(dir.path(), &attempt());
        assert_eq!(leftover(&path), None);
        let mut record = Record::open(dir.path(), &attempt()).expect("written");
        assert_eq!(leftover(&path), None, "about to be started");
        record.started(std::process::id()).expect("written");
        assert!(leftover(&path).is_some_and(|left| left.running && left.pid == std::process::id()));
        record.content.started = record.content.started.map(|ticks| ticks + 1);
        record.ended(Some(3)).expect("written");
        assert!(leftover(&path).is_some_and(|left| !left.running && left.exit == Some(3)));
        record.content.started = proc::stat(std::process::id()).map(|stat| stat.started);
        record.content.boot = "another boot".to_owned();
        record.write().expect("written");
        assert!(leftover(&path).is_some_and(|left| !left.running));
        fs::write(&path, "{").expect("written");
        assert_eq!(leftover(&path), None);
    }
}
