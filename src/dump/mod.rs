//! The worker of a backup or restore: a process of its own under a shim, so that it outlives the engine, can be ended as a
//! group, and leaves a record of how far it came. It takes its order from standard input.

mod archive;
mod backup;
mod process;
mod restore;
mod script;
mod tools;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::run::Fault;
use crate::run::dump::{RECORD, Record, Work, WorkOrder};
use crate::run::facts::Effect;
use crate::target::desk::DeskError;

pub use archive::manifest;

/// What is safe where a restore failed.
const NOTHING_COMMITTED: &str = "nothing was committed: the database is as it was";

/// Why a worker could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("its order cannot be read: {0}")]
    Order(#[from] serde_json::Error),
    #[error("{0}: {1}")]
    Folder(String, io::Error),
}

/// Why the work came to no good end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// In words, with what to do next.
    #[error("{summary}")]
    Said { summary: String, detail: Option<String>, hint: Option<String> },
    #[error("{0}")]
    Desk(#[from] DeskError),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    /// What is recorded last stands: a COMMIT was sent, and nobody knows its answer yet.
    #[error("{0}")]
    Open(String),
}

impl Failure {
    fn said(summary: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self::Said { summary: summary.into(), detail: None, hint }
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    fn fault(self, safe: &str) -> Fault {
        let fault = Fault { safe: safe.to_owned(), effect: Effect::None, ..Fault::new(self.to_string()) };
        match self {
            Self::Said { detail, hint, .. } => Fault { detail, hint, ..fault },
            Self::Desk(error) => Fault { sqlstate: error.code, ..fault },
            Self::Io { .. } | Self::Open(_) => fault,
        }
    }
}

/// The programs that a backup or restore of a server of that major version would use: their folder and major version.
///
/// # Errors
/// There are none that will do.
pub async fn programs(path: &str, server: u32) -> Result<(PathBuf, u32), Fault> {
    let tools = tools::fitting(path, server).await.map_err(|failure| failure.fault(""))?;
    Ok((tools.folder, tools.major))
}

/// What a worker has at hand.
struct Desk<'a> {
    order: &'a WorkOrder,
    /// The environment of this process: the target, as commands get it.
    env: &'a BTreeMap<String, String>,
}

impl Desk<'_> {
    /// A private file of the attempt.
    fn private(&self, name: &str) -> PathBuf {
        Path::new(&self.order.folder).join(name)
    }

    fn record(&self, record: &Record) -> Result<(), Failure> {
        write(&self.private(RECORD), record).map_err(Failure::io("the record of the attempt cannot be written"))
    }
}

/// Does what `text` orders, in the working folder of this process. True: it is done and recorded.
///
/// # Errors
/// The order makes no sense; nothing was started.
pub async fn work(text: &str, env: &BTreeMap<String, String>) -> Result<bool, WorkerError> {
    let order: WorkOrder = serde_json::from_str(text)?;
    if !Path::new(&order.folder).is_dir() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        return Err(WorkerError::Folder(order.folder, missing));
    }
    // What is made here holds a whole database: nobody else may read it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let desk = Desk { order: &order, env };
    let result = tokio::select! {
        result = act(&desk) => result,
        () = asked_to_end() => Err(Failure::said("cancelled", "")),
    };
    let safe = match &order.work {
        Work::Backup(backup) => {
            if result.is_err() {
                backup::clear(&desk, backup).await;
            }
            "the database was only read; the unfinished archive is removed"
        }
        Work::Restore(_) => NOTHING_COMMITTED,
    };
    let Err(failure) = result else { return Ok(true) };
    say_error(&failure.to_string());
    if !matches!(failure, Failure::Open(_)) && !is_recorded(&desk) {
        let fault = Box::new(failure.fault(safe));
        // Without a record the engine says what it knows: the exit status, and that nothing was finished.
        let _ = desk.record(&Record::Failed { fault });
    }
    Ok(false)
}

async fn act(desk: &Desk<'_>) -> Result<(), Failure> {
    match &desk.order.work {
        Work::Backup(order) => backup::run(desk, order).await,
        Work::Restore(order) => restore::run(desk, order).await,
    }
}

/// A restore whose COMMIT may be on its way: only the server can say what became of it. Or one whose end is recorded.
fn is_recorded(desk: &Desk<'_>) -> bool {
    let restores = matches!(desk.order.work, Work::Restore(_));
    let record = fs::read(desk.private(RECORD)).ok();
    let record: Option<Record> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    restores && matches!(record, Some(Record::Finishing { .. } | Record::Failed { .. }))
}

/// The shim ends us by TERM; a terminal or a person may use others.
async fn asked_to_end() {
    let listen = |kind| signal(kind).ok();
    let (mut term, mut int) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::select! {
        () = heard(&mut term) => {}
        () = heard(&mut int) => {}
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whole or not at all, and durable when this returns.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_folder(path)
}

/// Makes a new name in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A line for whoever watches the step.
fn say(line: &str) {
    // Nobody has to listen.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn say_error(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
