//! The file that a command promised: there or not, how big, and its SHA-256.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::run::facts::FileFact;

const BLOCK: usize = 1024 * 1024;

/// Why a promise was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    #[error("it did not produce {0}")]
    NotThere(String),
    #[error("{0} is a folder, a file was promised")]
    Folder(String),
    #[error("{0} is not a regular file")]
    Special(String),
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("cancelled while reading {0}")]
    Cancelled(String),
}

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

/// The file as it is now; none: not there.
pub fn look(path: &Path) -> Option<Look> {
    let meta = fs::metadata(path).ok()?;
    Some(Look { inode: (meta.dev(), meta.ino()), size: meta.size(), changed: (meta.mtime(), meta.mtime_nsec()) })
}

/// Reads the whole file, `name` as the runbook says it, below `cwd`. Off the async threads; ends soon after `stop`.
pub async fn measure(cwd: &Path, name: &str, stop: &CancellationToken) -> Result<FileFact, Missing> {
    let (path, name, stop) = (cwd.join(name), name.to_owned(), stop.clone());
    let spelled = name.clone();
    let reading = tokio::task::spawn_blocking(move || digest(path, name, &stop)).await;
    reading.unwrap_or_else(|_| {
        Err(Missing::Unreadable { path: spelled, error: io::Error::other("reading it was broken off") })
    })
}

fn digest(path: PathBuf, name: String, stop: &CancellationToken) -> Result<FileFact, Missing> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Missing::NotThere(name.clone()),
        _ => Missing::Unreadable { path: name.clone(), error },
    };
    // Asked before opening: to open a named pipe would wait for its writer.
    let meta = fs::metadata(&path).map_err(unreadable)?;
    if meta.is_dir() {
        return Err(Missing::Folder(name));
    }
    if !meta.is_file() {
        return Err(Missing::Special(name));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    let (mut hash, mut size, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        if stop.is_cancelled() {
            return Err(Missing::Cancelled(name));
        }
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&block[..n]);
                size += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FileFact { path: name, size, sha256 })
}
