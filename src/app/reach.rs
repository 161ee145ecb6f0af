//! Calling the engine of a run: one that lives and is not heard is told apart from one that is gone.

use std::time::Duration;

use crate::app::who;
use crate::journal::{RunDir, holder};
use crate::link::{Client, LinkError};

/// An engine that is just starting, or whose socket was taken away, is heard within this.
const PATIENCE: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(100);

/// A connection to the engine of the run. `watch`: it will send no commands.
///
/// # Errors
/// [`LinkError::NoEngine`] at once where no process holds the run, [`LinkError::Unheard`] where one does that cannot be called.
pub async fn engine(dir: &RunDir, watch: bool) -> Result<Client, LinkError> {
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        let error = match Client::connect(dir.path(), &who(), watch).await {
            Err(error @ LinkError::NoEngine { .. }) => error,
            called => return called,
        };
        let Ok(Some(holder)) = holder(dir) else { return Err(error) };
        if tokio::time::Instant::now() > patience {
            return Err(LinkError::Unheard { run: dir.id(), holder: holder.to_string() });
        }
        tokio::time::sleep(LOOK).await;
    }
}
