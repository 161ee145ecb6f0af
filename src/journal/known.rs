//! Targets that runs have worked on, remembered beside the runs: what tells two environments whose URLs were swapped apart.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::{JournalError, shown};
use super::guard;
use super::home::Home;
use crate::run::clean;

const FILE: &str = "known_targets.json";
const LOCK: &str = "known_targets.lock";
/// The file is read whole: beyond this it is none of ours.
const MAX: u64 = 1 << 20;

/// A server's database as a runbook's environment has known it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTarget {
    /// The runbook's id.
    pub runbook: String,
    pub environment: String,
    pub target: String,
    /// The server's own number; none where the role may not ask for it.
    pub system_id: Option<String>,
    pub host: String,
    pub database: String,
}

/// Why a target is not the one it should be.
#[derive(Debug, Error)]
pub enum StrangeTarget {
    #[error(
        "this database ({database} at {host}) is known as {target} of environment {known}, and the run is in {asked}: \
         were two URLs swapped? Nothing was started; correct the URL, or, if it truly moved: gonogo targets forget \
         {runbook} --env {known}"
    )]
    Swapped { database: String, host: String, target: String, known: String, asked: String, runbook: String },
    #[error(
        "{target} of {environment} was another database before: {differs}. Nothing was started; correct the URL, or, if \
         it truly moved: gonogo targets forget {runbook} --env {environment}"
    )]
    Changed { target: String, environment: String, differs: String, runbook: String },
    #[error("{0}")]
    Journal(#[from] JournalError),
}

impl KnownTarget {
    fn is_same_place(&self, other: &Self) -> bool {
        let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        self.host == other.host && self.database == other.database && !differ(&self.system_id, &other.system_id)
    }

    /// `host was db1:5432, is db2:5432`, for every field that differs.
    fn differs(&self, now: &Self) -> Vec<String> {
        let fields = [
            ("host", Some(&self.host), Some(&now.host)),
            ("database", Some(&self.database), Some(&now.database)),
            ("system id", self.system_id.as_ref(), now.system_id.as_ref()),
        ];
        let said = |text: &String| clean::line(text, 80);
        fields
            .into_iter()
            .filter_map(|(name, was, is)| Some((name, was?, is?)))
            .filter(|(_, was, is)| was != is)
            .map(|(name, was, is)| format!("{name} was {}, is {}", said(was), said(is)))
            .collect()
    }

    fn is_of(&self, other: &Self) -> bool {
        self.runbook == other.runbook && self.environment == other.environment && self.target == other.target
    }
}

/// Is `seen` what is known of it?
fn judge(known: &[KnownTarget], seen: &KnownTarget) -> Result<(), StrangeTarget> {
    let others = known.iter().filter(|one| one.runbook == seen.runbook && one.environment != seen.environment);
    if let Some(other) = others.into_iter().find(|one| one.is_same_place(seen)) {
        return Err(StrangeTarget::Swapped {
            database: clean::line(&seen.database, 80),
            host: clean::line(&seen.host, 120),
            target: clean::line(&other.target, 80),
            known: clean::line(&other.environment, 80),
            asked: seen.environment.clone(),
            runbook: seen.runbook.clone(),
        });
    }
    let before = known.iter().find(|one| one.is_of(seen));
    let differs = before.map(|before| before.differs(seen)).unwrap_or_default();
    if differs.is_empty() {
        return Ok(());
    }
    Err(StrangeTarget::Changed {
        target: seen.target.clone(),
        environment: seen.environment.clone(),
        differs: differs.join(", "),
        runbook: seen.runbook.clone(),
    })
}

impl Home {
    /// Every target that is remembered. A folder without the file knows none.
    pub fn known_targets(&self) -> Result<Vec<KnownTarget>, JournalError> {
        let path = self.known_file();
        let failed = |error| JournalError::io(format!("read the known targets {}", shown(&path)))(error);
        let text = match fs::metadata(&path) {
            Ok(meta) if meta.len() > MAX => return Err(failed(std::io::Error::other("it is larger than 1 MiB"))),
            Ok(_) => fs::read_to_string(&path).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        serde_json::from_str(&text).map_err(|error| failed(std::io::Error::other(error.to_string())))
    }

    /// Compares a target with what is known of it.
    ///
    /// # Errors
    /// [`StrangeTarget`]: it is another environment's, or another database than before.
    pub fn check_target(&self, seen: &KnownTarget) -> Result<(), StrangeTarget> {
        judge(&self.known_targets()?, seen)
    }

    /// Remembers a target, where it is the one it should be.
    ///
    /// # Errors
    /// As [`Home::check_target`]; the file cannot be written.
    pub fn note_target(&self, seen: KnownTarget) -> Result<(), StrangeTarget> {
        let _lock = self.lock_known()?;
        let mut known = self.known_targets()?;
        judge(&known, &seen)?;
        if known.contains(&seen) {
            return Ok(());
        }
        known.retain(|one| !one.is_of(&seen));
        known.push(seen);
        Ok(self.write_known(&known)?)
    }

    /// Forgets the targets of a runbook, of one environment or of all; those that were forgotten.
    pub fn forget_targets(&self, runbook: &str, environment: Option<&str>) -> Result<Vec<KnownTarget>, JournalError> {
        let _lock = self.lock_known()?;
        let asked = |one: &KnownTarget| {
            one.runbook == runbook && environment.is_none_or(|environment| one.environment == environment)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = self.known_targets()?.into_iter().partition(asked);
        if !gone.is_empty() {
            self.write_known(&kept)?;
        }
        Ok(gone)
    }

    fn known_file(&self) -> PathBuf {
        self.path().join(FILE)
    }

    /// Held for the moment of a change: two engines may remember at once.
    fn lock_known(&self) -> Result<File, JournalError> {
        guard::home(self.path())?;
        let path = self.path().join(LOCK);
        let file = guard::open_file(&path, false)?;
        let failed = JournalError::io(format!("lock {}", shown(&path)));
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(file)
    }

    /// Whole or not at all.
    fn write_known(&self, known: &[KnownTarget]) -> Result<(), JournalError> {
        let path = self.known_file();
        let failed = |error| JournalError::io(format!("write the known targets {}", shown(&path)))(error);
        let text = serde_json::to_string_pretty(known).map_err(|error| failed(std::io::Error::other(error)))?;
        let fresh = self.path().join(format!("{FILE}.new"));
        let mut file = guard::open_file(&fresh, false)?;
        file.set_len(0).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        if crate::failpoint::hit("known.rename") {
            return Err(failed(std::io::Error::other("failpoint known.rename")));
        }
        fs::rename(&fresh, &path).map_err(failed)?;
        guard::sync_dir(self.path())
    }
}
