//! The folder of one attempt at a command: who runs it, how it ended, and a lock that dies with its shim. Whoever holds
//! the lock decides: a shim that gets it begins, a resolver that gets it before any beginning fences the attempt off.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::SystemTime;

use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::child::{SpawnError, proc};

const LOCK: &str = "lock";
const STARTED: &str = "started";
const ENDED: &str = "ended";
/// Beginnings of names that hold raw output, input or a password: of no use to anybody once the end is in the journal.
const RAW: &[&str] = &["out", "err", "order", "in", "log", "pgpass-"];
/// Our records are short; what is longer is not ours.
const RECORD_MAX: u64 = 64 * 1024;

/// A process that cannot be taken for another: its number, and when it began in ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proc {
    pub pid: u32,
    pub ticks: u64,
}

impl Proc {
    /// The process of that number as it is now.
    pub fn of(pid: u32) -> Self {
        Self { pid, ticks: proc::stat(pid).map_or(0, |stat| stat.started) }
    }

    /// Its session or it itself still has a living member. Meant for the boot it was started in.
    fn lives(&self) -> bool {
        match proc::stat(self.pid) {
            Some(stat) => stat.started == self.ticks,
            // As long as its session has a member, the number is not given to another.
            None => !proc::of_session(self.pid).is_empty(),
        }
    }
}

/// Written durably before anything is started, and once more with the command's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub boot: String,
    pub shim: Proc,
    /// None: it was about to be started.
    pub child: Option<Proc>,
}

impl Started {
    pub fn same_boot(&self) -> bool {
        !self.boot.is_empty() && self.boot == proc::boot_id()
    }

    /// The command, or something of its session, still runs.
    pub fn lives(&self) -> bool {
        self.same_boot() && self.child.is_some_and(|child| child.lives())
    }

    /// Sends `signal` to the command's process group, if it is still that of the command.
    pub fn signal(&self, signal: Signal) {
        let group = self.child.filter(|_| self.lives()).and_then(|child| i32::try_from(child.pid).ok());
        if let Some(group) = group.filter(|group| *group > 1).and_then(Pid::from_raw) {
            // It may have ended this very moment: nothing to be done then.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

/// How it ended; durable before the lock is let go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// As the system gave it. None: it was not started, see `unspawned`, or it is lost.
    pub status: Option<i32>,
    pub unspawned: Option<Unspawned>,
    /// Its time was over and the shim ended it.
    pub timed_out: bool,
    /// Something it started still held its output open.
    pub held: bool,
    /// What it left running.
    pub left: Vec<Left>,
    /// Milliseconds from its start to its end.
    pub ms: u64,
    /// Why not all of its output was kept, beyond the limits.
    pub unkept: Option<String>,
}

impl Ended {
    pub fn exit(&self) -> Option<ExitStatus> {
        self.status.map(std::os::unix::process::ExitStatusExt::from_raw)
    }
}

/// A [`SpawnError`] that was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unspawned {
    pub words: String,
    pub hint: String,
    /// No such program anywhere in `PATH`.
    pub not_found: bool,
}

impl From<&SpawnError> for Unspawned {
    fn from(error: &SpawnError) -> Self {
        Self { words: error.to_string(), hint: error.hint(), not_found: matches!(error, SpawnError::NotFound { .. }) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub pid: u32,
    pub name: String,
}

/// How an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was started, and nothing will be: it is fenced off.
    NeverStarted,
    /// Its shim watches over it.
    Held,
    Ended(Box<Ended>),
    /// Its shim is gone, and left no word of the end.
    Lost(Started),
}

/// The folder, there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// The attempt called `name` below `records`; any name becomes one that stays below it.
    pub fn of(records: &Path, name: &str) -> Self {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }
        };
        let name: String = name.chars().map(plain).collect();
        Self { dir: records.join(name.trim_start_matches('.')) }
    }

    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Every place below `records`.
    pub fn all(records: &Path) -> Vec<Self> {
        let found = fs::read_dir(records).into_iter().flatten().flatten();
        found.map(|entry| entry.path()).filter(|path| is_ours(path).is_ok()).map(|dir| Self { dir }).collect()
    }

    /// Makes the folder (0700) with its lock file (0600), durable. Both are new, and nothing on the way is a link.
    ///
    /// # Errors
    /// Something of that name is there already, or the folder cannot be made.
    pub fn create(&self) -> io::Result<()> {
        let records = self.dir.parent().unwrap_or(Path::new("."));
        match DirBuilder::new().mode(0o700).create(records) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_ours(records)?,
            made => made?,
        }
        DirBuilder::new().mode(0o700).create(&self.dir)?;
        self.new_file(LOCK)?.sync_all()?;
        File::open(&self.dir)?.sync_all()?;
        File::open(records)?.sync_all()
    }

    /// A new file of that name, for writing, 0600.
    pub fn new_file(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(no_follow());
        options.open(self.file(name))
    }

    /// The lock, waited for: only somebody who looks may hold it, and only for an instant.
    pub fn lock(&self) -> io::Result<File> {
        let file = self.open_lock()?;
        file.lock()?;
        Ok(file)
    }

    fn open_lock(&self) -> io::Result<File> {
        is_ours(&self.dir)?;
        OpenOptions::new().read(true).write(true).custom_flags(no_follow()).open(self.file(LOCK))
    }

    /// How it stands, asked once. An attempt that was never started is fenced off: its shim, if one is on the way,
    /// finds the fence and begins nothing.
    ///
    /// # Errors
    /// The folder or a record in it cannot be read: then nothing is known.
    pub fn look(&self) -> io::Result<Standing> {
        let lock = match self.open_lock() {
            Ok(lock) => lock,
            // The lock is there before a shim is: without it none was ever begun.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::NeverStarted),
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Standing::Held),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        if let Some(ended) = self.ended()? {
            return Ok(Standing::Ended(Box::new(ended)));
        }
        match self.started()? {
            Some(started) => Ok(Standing::Lost(started)),
            None => {
                self.fence()?;
                Ok(Standing::NeverStarted)
            }
        }
    }

    fn fence(&self) -> io::Result<()> {
        match self.new_file("fenced") {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        File::open(&self.dir)?.sync_all()
    }

    pub fn is_fenced(&self) -> bool {
        fs::symlink_metadata(self.file("fenced")).is_ok()
    }

    /// True while its shim, or its command without one, is at work. What cannot be read is not at work.
    pub fn is_busy(&self) -> bool {
        match self.look() {
            // Between its last word and letting go of the lock lies an instant.
            Ok(Standing::Held) => !matches!(self.ended(), Ok(Some(_))),
            Ok(Standing::Lost(started)) => started.lives(),
            Ok(Standing::NeverStarted | Standing::Ended(_)) | Err(_) => false,
        }
    }

    pub fn started(&self) -> io::Result<Option<Started>> {
        self.read(STARTED)
    }

    /// When it was started, by the wall clock.
    pub fn since(&self) -> Option<SystemTime> {
        fs::symlink_metadata(self.file(STARTED)).ok()?.modified().ok()
    }

    pub fn ended(&self) -> io::Result<Option<Ended>> {
        self.read(ENDED)
    }

    pub fn write_started(&self, started: &Started) -> io::Result<()> {
        self.write(STARTED, started)
    }

    pub fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        self.write(ENDED, ended)
    }

    /// Removes raw output, input and password files; the records of start and end stay.
    pub fn clear(&self) {
        if is_ours(&self.dir).is_ok() {
            self.remove(|name| RAW.iter().any(|raw| name.starts_with(raw)));
        }
    }

    /// Removes the password files that were made for its command.
    pub fn forget_passwords(&self) {
        self.remove(|name| name.starts_with("pgpass-"));
    }

    fn remove(&self, wanted: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(&wanted) {
                // What is gone already is as good; the folder is private all the same.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let mut bytes = Vec::new();
        match OpenOptions::new().read(true).custom_flags(no_follow()).open(self.file(name)) {
            Ok(file) => file.take(RECORD_MAX).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Whole or not at all, and durable when this returns.
    fn write<T: Serialize>(&self, name: &str, content: &T) -> io::Result<()> {
        let fresh = format!("{name}.new");
        let file = self.new_file(&fresh)?;
        self.fill(file, name, &fresh, &serde_json::to_vec(content)?).inspect_err(|_| {
            // It was ours, and a second try needs the name.
            let _ = fs::remove_file(self.file(&fresh));
        })
    }

    fn fill(&self, mut file: File, name: &str, fresh: &str, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(self.file(fresh), self.file(name))?;
        File::open(&self.dir)?.sync_all()
    }
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// A real folder, our own, which nobody else may enter.
fn is_ours(dir: &Path) -> io::Result<()> {
    let meta: Metadata = fs::symlink_metadata(dir)?;
    let refused = |why: &str| io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", dir.display()));
    if !meta.is_dir() {
        return Err(refused("is not a folder"));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(refused("is not private: another user owns it or may enter it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::of(&dir.path().join("attempts"), "../a b.undo.2");
        (dir, place)
    }

    fn started(pid: u32) -> Started {
        Started { boot: proc::boot_id(), shim: Proc::of(pid), child: Some(Proc::of(pid)) }
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(Place::of(Path::new("/r"), "../a b.undo.2").dir(), Path::new("/r/_a_b.undo.2"));
    }

    #[test]
    fn who_looks_first_fences_it_off() {
        let (_dir, place) = place();
        assert_eq!(place.look().expect("looked"), Standing::NeverStarted, "no folder, no shim");
        place.create().expect("made");
        assert!(place.create().is_err(), "a second attempt of that name is another's");
        assert!(!place.is_fenced());
        assert_eq!(place.look().expect("looked"), Standing::NeverStarted);
        assert!(place.is_fenced());
    }

    #[test]
    fn the_lock_and_the_records_tell_how_it_stands() {
        let (_dir, place) = place();
        place.create().expect("made");
        let lock = place.lock().expect("locked");
        assert_eq!(place.look().expect("looked"), Standing::Held);
        place.write_started(&started(std::process::id())).expect("written");
        assert_eq!(place.look().expect("looked"), Standing::Held);
        drop(lock);
        let Ok(Standing::Lost(lost)) = place.look() else { panic!("lost") };
        assert!(lost.lives() && place.is_busy());
        let mut stranger = lost.clone();
        stranger.child = lost.child.map(|child| Proc { ticks: child.ticks + 1, ..child });
        assert!(!stranger.lives(), "another process of the same number");
        assert!(!Started { boot: "another".to_owned(), ..lost }.lives(), "before a reboot");
        let ended = Ended { status: Some(0x300), ms: 7, ..Ended::default() };
        place.write_ended(&ended).expect("written");
        assert_eq!(place.look().expect("looked"), Standing::Ended(Box::new(ended)));
        assert!(!place.is_fenced() && !place.is_busy());
    }

    #[test]
    fn links_and_open_folders_are_refused() {
        let (dir, place) = place();
        let other = dir.path().join("other");
        fs::create_dir(&other).expect("made");
        std::os::unix::fs::symlink(&other, dir.path().join("attempts")).expect("linked");
        assert!(place.create().is_err(), "the folder of all attempts is a link");
        fs::remove_file(dir.path().join("attempts")).expect("removed");
        DirBuilder::new().mode(0o700).create(dir.path().join("attempts")).expect("made");
        std::os::unix::fs::symlink(&other, place.dir()).expect("linked");
        assert!(place.create().is_err(), "the attempt's own folder is a link");
        assert!(place.look().is_err(), "and nothing is believed of it");
        fs::remove_file(place.dir()).expect("removed");
        place.create().expect("made");
        std::os::unix::fs::symlink(other.join("target"), place.file("started.new")).expect("linked");
        assert!(place.write_started(&started(1)).is_err());
        assert!(fs::read_dir(&other).expect("read").next().is_none());
    }

    #[test]
    fn broken_records_are_no_answer() {
        let (_dir, place) = place();
        place.create().expect("made");
        fs::write(place.file(STARTED), "{").expect("written");
        assert!(place.look().is_err());
    }
}
