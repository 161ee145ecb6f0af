//! The list of runs, read without a walk through their entries.

use std::cmp::Reverse;
use std::fs;
use std::io::ErrorKind;

use futures_util::{StreamExt, stream};

use super::error::{JournalError, shown};
use super::home::{Home, RunDir};
use super::lock::{Holder, holder};
use super::read::Reader;
use super::summary::{Status, Summary};
use crate::run::Moment;
use crate::run::event::Mode;

/// Journals opened at the same time.
const AT_ONCE: usize = 8;

/// One folder of the journal folder.
#[derive(Debug)]
pub struct RunInfo {
    pub id: String,
    pub dir: RunDir,
    /// An error where the journal cannot be read: it is listed all the same.
    pub facts: Result<RunFacts, JournalError>,
}

/// What a list shows of a run. For the eye: only the entries are proof.
#[derive(Clone, Debug)]
pub struct RunFacts {
    pub title: String,
    pub environment: String,
    pub mode: Mode,
    /// Who opened it.
    pub by: String,
    pub opened: Moment,
    /// When its last entry was written.
    pub last: Moment,
    pub status: Status,
    pub entries: u64,
    /// The engine that works on it now; not asked for a run that is over.
    pub holder: Option<Holder>,
}

impl RunFacts {
    /// What it is in a few words: of one that is held, whether its engine is there to be asked.
    pub fn standing(&self) -> &'static str {
        match (self.status, &self.holder) {
            (Status::Held, None) => "held, engine gone",
            (Status::InDoubt, None) => "in doubt, no engine",
            (status, _) => status.word(),
        }
    }

    /// The verb that goes on with it.
    pub fn next(&self) -> &'static str {
        match &self.holder {
            _ if self.status.is_over() => "report",
            Some(_) => "attach",
            None => "resume",
        }
    }
}

impl Home {
    /// Every run, the newest first; those that cannot be read last. A folder that does not exist yet holds none.
    pub async fn runs(&self) -> Result<Vec<RunInfo>, JournalError> {
        let folders = self.folders()?;
        let mut runs: Vec<RunInfo> = stream::iter(folders).map(info).buffer_unordered(AT_ONCE).collect().await;
        runs.sort_by_cached_key(|run| {
            let opened = run.facts.as_ref().ok().map(|facts| facts.opened.wall);
            (Reverse(opened), Reverse(run.id.clone()))
        });
        Ok(runs)
    }

    /// The run folders by name.
    pub(super) fn folders(&self) -> Result<Vec<RunDir>, JournalError> {
        let failed = |error| JournalError::io(format!("read the journal folder {}", shown(self.path())))(error);
        let listing = match fs::read_dir(self.path()) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut folders = Vec::new();
        for item in listing {
            let item = item.map_err(failed)?;
            let hidden = item.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && item.file_type().map_err(failed)?.is_dir() {
                folders.push(RunDir::folder(item.path()));
            }
        }
        folders.sort_by_key(RunDir::id);
        Ok(folders)
    }
}

async fn info(dir: RunDir) -> RunInfo {
    let facts = facts(&dir).await;
    RunInfo { id: dir.id(), dir, facts }
}

async fn facts(dir: &RunDir) -> Result<RunFacts, JournalError> {
    let row = Reader::open(dir).await?.run_row().await?;
    let not_ours = |why: String| JournalError::NotAJournal { db: dir.db().to_owned(), why };
    let text = row.summary.ok_or_else(|| not_ours("its run was never opened: no entry was written".to_owned()))?;
    let summary: Summary =
        serde_json::from_str(&text).map_err(|error| not_ours(format!("its summary cannot be read: {error}")))?;
    let holder = match summary.ended {
        Some(_) => None,
        None => holder(dir)?,
    };
    Ok(RunFacts {
        status: summary.status(holder.is_some()),
        title: summary.title,
        environment: summary.environment,
        mode: summary.mode,
        by: summary.by,
        opened: summary.opened,
        last: summary.last,
        entries: row.end.count,
        holder,
    })
}
