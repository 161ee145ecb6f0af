//! A command that only asks: run to its end without a shim and without a record, its facts brought home.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::millis;
use crate::child::{self, Sign, Tail};
use crate::run::Facts;
use crate::run::limits::FACT_BYTES;

/// How long the answer to a question may take.
pub const ASK: Duration = Duration::from_secs(30);

/// Runs `argv` in `cwd`.
///
/// # Errors
/// In words: it could not be started, or gave no answer in [`ASK`]; then it is killed with its process group.
pub async fn ask(argv: &[String], cwd: &Path) -> Result<Facts, String> {
    let spec = child::Spec { argv: argv.to_vec(), cwd: cwd.to_owned(), drain: child::DRAIN, ..child::Spec::default() };
    let running = child::spawn(&spec).map_err(|error| error.to_string())?;
    tokio::time::timeout(ASK, hear(running))
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {}", humantime::format_duration(ASK))))
}

async fn hear(mut running: child::Running) -> Result<Facts, String> {
    let started = Instant::now();
    let (mut out, mut err) = (Tail::new(FACT_BYTES), Tail::new(FACT_BYTES));
    let mut exit = None;
    loop {
        match running.next().await.map_err(|error| error.to_string())? {
            Sign::Out(piece) => out.push(&piece),
            Sign::Err(piece) => err.push(&piece),
            Sign::Exited(status) => exit = Some(child::ending(status).0),
            Sign::Closed { .. } => break,
        }
    }
    let trimmed = |tail: Tail| tail.text().trim_end_matches(['\n', '\r']).to_owned();
    let (stdout, stderr) = (Some(trimmed(out)), Some(trimmed(err)));
    Ok(Facts { exit, stdout, stderr, ms: millis(started.elapsed()), ..Facts::default() })
}
