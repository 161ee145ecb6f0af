//! Where runs live: the folder of all runs, and the folder of one.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::error::{JournalError, shown};
use super::guard;

/// Names a run may have are folder names everywhere.
const NAME_MAX: usize = 80;

const DB: &str = "journal.db";
const LOCK: &str = "engine.lock";
const LOG: &str = "engine.log";
const RESERVE: &str = "reserve";
const ATTEMPTS: &str = "attempts";
/// All that may lie in a run folder; none of it may be a link.
const FILES: [&str; 8] = [DB, "journal.db-wal", "journal.db-shm", LOCK, "engine.sock", LOG, RESERVE, ATTEMPTS];

/// The folder that holds the runs. It need not exist before the first run is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// `explicit` (`--journal`), else `$GONOGO_JOURNAL`, else `gonogo/runs` in the XDG state folder.
    pub fn new(explicit: Option<&Path>) -> Result<Self, JournalError> {
        let path = match explicit {
            Some(path) => path.to_owned(),
            None => match env::var_os("GONOGO_JOURNAL").filter(|value| !value.is_empty()) {
                Some(path) => path.into(),
                None => state_folder()?.join("gonogo").join("runs"),
            },
        };
        let path = std::path::absolute(&path).map_err(JournalError::io(format!("find the folder {}", shown(&path))))?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the private folder of a new run, with its `attempts` folder.
    pub(super) fn create_run(&self, run: &str) -> Result<RunDir, JournalError> {
        check_name(run)?;
        guard::home(&self.path)?;
        let folder = self.path.join(run);
        if !guard::create_dir(&folder)? {
            return Err(JournalError::Exists { run: run.to_owned(), home: self.path.clone() });
        }
        guard::create_dir(&folder.join(ATTEMPTS))?;
        guard::sync_dir(&self.path)?;
        Ok(RunDir::folder(folder))
    }
}

fn state_folder() -> Result<PathBuf, JournalError> {
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        let source = std::io::Error::other(error.to_string());
        JournalError::io("find a home folder for the journal: set HOME, or name a folder with --journal")(source)
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()))
}

fn check_name(run: &str) -> Result<(), JournalError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if run.is_empty() || run.len() > NAME_MAX || run.starts_with('.') || !run.chars().all(fine) {
        return Err(JournalError::RunName(run.to_owned()));
    }
    Ok(())
}

/// One run's folder; or a journal file alone, copied from somewhere, which can only be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    folder: PathBuf,
    db: PathBuf,
}

impl RunDir {
    /// The run at `path`: its folder or its `journal.db`, which must exist; any other file is taken for a copied journal.
    pub fn at(path: &Path) -> Result<Self, JournalError> {
        let path = std::path::absolute(path).map_err(JournalError::io(format!("find {}", shown(path))))?;
        let meta = std::fs::metadata(&path).map_err(JournalError::io(format!("open {}", shown(&path))))?;
        if meta.is_dir() {
            return Ok(Self::folder(path));
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { folder, db: path })
    }

    pub(super) fn folder(folder: PathBuf) -> Self {
        let db = folder.join(DB);
        Self { folder, db }
    }

    /// The folder that holds journal, lock, socket and log.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The SQLite file.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The run's name: of its folder, or of the copied file.
    pub fn id(&self) -> String {
        let named = if self.is_folder() { self.folder.file_name() } else { self.db.file_stem() };
        named.map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// False for a journal file alone.
    pub fn is_folder(&self) -> bool {
        self.db.file_name().is_some_and(|name| name == DB)
    }

    /// The folder (0700) of what commands of steps leave behind.
    pub fn attempts(&self) -> PathBuf {
        self.folder.join(ATTEMPTS)
    }

    /// The engine's own log (0600), to append to.
    pub fn open_log(&self) -> Result<File, JournalError> {
        guard::open_file(&self.folder.join(LOG), true)
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    pub(super) fn reserve_file(&self) -> PathBuf {
        self.folder.join(RESERVE)
    }

    /// Refuses to write where somebody else could, or through a link.
    pub(super) fn check_private(&self) -> Result<(), JournalError> {
        if !self.is_folder() {
            let why = "a journal file alone can only be read: writing needs the whole run folder";
            return Err(JournalError::refused(&self.db, why));
        }
        guard::run_dir(&self.folder, &FILES)
    }
}
