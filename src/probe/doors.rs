//! What the probes need of the house and must not import: secrets, targets, the folder they start from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use crate::run::NoData;
use crate::runbook::Secret;

/// Asks a database for one value.
pub trait AskTarget: Send + Sync {
    /// First cell of the first row of `sql` on `target`, as text.
    /// The future is dropped at the probe's timeout, so the asking side must bound the statement by itself as well.
    ///
    /// # Errors
    /// A short reason for a person, such as `no row`, `NULL` or `connection refused`.
    fn value<'a>(&'a self, target: &'a str, sql: &'a str) -> BoxFuture<'a, Result<String, String>>;
}

/// Resolves a secret, or says shortly why it cannot. May block for a bounded time.
pub type Resolve = dyn Fn(&Secret) -> Result<SecretString, String> + Send + Sync;

/// The doors handed in by the engine.
#[derive(Clone)]
pub struct Doors {
    pub secrets: Arc<Resolve>,
    pub targets: Arc<dyn AskTarget>,
    /// Where relative paths and commands start from.
    pub cwd: PathBuf,
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// A secret that is resolved when it is first used, and again after it was refused.
#[derive(Clone, Debug)]
pub(super) struct Known {
    name: Secret,
    value: Option<SecretString>,
}

impl Known {
    pub(super) fn new(name: &Secret) -> Self {
        Self { name: name.clone(), value: None }
    }

    pub(super) async fn get(&mut self, doors: &Doors) -> Result<SecretString, NoData> {
        if let Some(value) = &self.value {
            return Ok(value.clone());
        }
        let (resolve, name) = (Arc::clone(&doors.secrets), self.name.clone());
        // `cmd:` secrets run a program.
        let value = tokio::task::spawn_blocking(move || resolve(&name))
            .await
            .map_err(|_| NoData::new("the secret could not be resolved"))?
            .map_err(NoData::new)?;
        Ok(self.value.insert(value).clone())
    }

    /// The other side refused it: it may have been replaced meanwhile.
    pub(super) fn forget(&mut self) {
        self.value = None;
    }
}
