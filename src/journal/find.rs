//! Which run a person means: `last`, its name, the start of its name, or a path.

use std::path::Path;

use super::error::JournalError;
use super::home::{Home, RunDir};
use super::list::{RunFacts, RunInfo};

/// Which run is meant where a name fits several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One that can be taken up.
    Unended,
    /// One whose engine lives.
    Alive,
}

impl Wanted {
    fn fits(self, facts: &RunFacts) -> bool {
        match self {
            Self::Unended => !facts.status.is_over(),
            Self::Alive => facts.holder.is_some(),
        }
    }
}

impl Home {
    /// As [`Self::find`]; where the beginning of a name fits several runs, the only one of them that is `wanted`.
    pub async fn find_wanted(&self, name: &str, wanted: Wanted) -> Result<RunDir, JournalError> {
        match self.find(name).await {
            Err(JournalError::Ambiguous { name, candidates }) => {
                let runs: Vec<RunInfo> =
                    self.runs().await?.into_iter().filter(|run| candidates.contains(&run.id)).collect();
                one_of(&runs, wanted).ok_or_else(|| ambiguous(name, &runs))
            }
            found => found,
        }
    }

    /// The only run whose engine lives; where there is none, the newest.
    pub async fn find_alive(&self) -> Result<RunDir, JournalError> {
        let mut runs = self.runs().await?;
        runs.retain(|run| run.facts.as_ref().is_ok_and(|facts| Wanted::Alive.fits(facts)));
        match runs.as_slice() {
            [] => self.find("last").await,
            [only] => Ok(only.dir.clone()),
            several => Err(JournalError::SeveralAlive { runs: several.iter().map(told).collect() }),
        }
    }

    /// Errors: [`JournalError::Unknown`] and [`JournalError::Ambiguous`] name the candidates.
    pub async fn find(&self, name: &str) -> Result<RunDir, JournalError> {
        if name.contains('/') {
            return RunDir::at(Path::new(name));
        }
        let folders = self.folders()?;
        if let Some(exact) = folders.iter().find(|folder| folder.id() == name) {
            return Ok(exact.clone());
        }
        if name == "last" {
            return self.last().await;
        }
        let starts = |folder: &&RunDir| !name.is_empty() && folder.id().starts_with(name);
        let candidates: Vec<&RunDir> = folders.iter().filter(starts).collect();
        match candidates.as_slice() {
            [only] => Ok((*only).clone()),
            // A copied journal in the working folder needs no `./` before it.
            [] if Path::new(name).is_file() => RunDir::at(Path::new(name)),
            [] => Err(self.unknown(name).await?),
            several => Err(JournalError::Ambiguous {
                name: name.to_owned(),
                candidates: several.iter().map(|run| run.id()).collect(),
            }),
        }
    }

    async fn last(&self) -> Result<RunDir, JournalError> {
        let runs = self.runs().await?;
        let touched = |run: &RunInfo| std::fs::metadata(run.dir.path()).and_then(|found| found.modified()).ok();
        let newest = runs.iter().find(|run| run.facts.is_ok());
        // One that cannot be read must not silently make an older one the last.
        let unreadable = runs.iter().filter(|run| run.facts.is_err()).max_by_key(|run| touched(run));
        match (newest, unreadable) {
            (Some(run), Some(bad)) if touched(bad) <= touched(run) => Ok(run.dir.clone()),
            (Some(run), None) => Ok(run.dir.clone()),
            (_, Some(bad)) => {
                let cause = bad.facts.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
                let why = format!(
                    "it is the newest run, and its journal cannot be read{cause}; nothing was touched. Where it is just \
                     being opened, try again; else name another run by its id (gonogo runs)"
                );
                Err(JournalError::refused(bad.dir.path(), why))
            }
            (None, None) => Err(self.unknown("last").await?),
        }
    }

    async fn unknown(&self, name: &str) -> Result<JournalError, JournalError> {
        Ok(JournalError::Unknown {
            name: name.to_owned(),
            home: self.path().to_owned(),
            known: self.runs().await?.into_iter().map(|run| run.id).collect(),
        })
    }
}

fn one_of(runs: &[RunInfo], wanted: Wanted) -> Option<RunDir> {
    let fits = |run: &&RunInfo| run.facts.as_ref().is_ok_and(|facts| wanted.fits(facts));
    let mut fitting = runs.iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none()).map(|run| run.dir.clone())
}

fn ambiguous(name: String, runs: &[RunInfo]) -> JournalError {
    JournalError::Ambiguous { name, candidates: runs.iter().map(told).collect() }
}

/// A run with what it is.
fn told(run: &RunInfo) -> String {
    format!("{} ({})", run.id, run.facts.as_ref().map_or("unreadable", RunFacts::standing))
}
