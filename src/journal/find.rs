//! Which run a person means: `last`, its name, the start of its name, or a path.

use std::path::Path;

use super::error::JournalError;
use super::home::{Home, RunDir};

impl Home {
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
        let newest = self.runs().await?.into_iter().next();
        match newest {
            Some(run) if run.facts.is_ok() => Ok(run.dir),
            _ => Err(self.unknown("last").await?),
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
