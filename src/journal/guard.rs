//! What the file system must promise before a journal lies on it: ours alone, no link in the way, a local disk.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::error::{JournalError, shown};

const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// Makes the folder of all runs, with its parents, where it is missing; refuses one that others could tamper with.
pub(super) fn home(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIR)
        .create(path)
        .map_err(JournalError::io(format!("create the journal folder {}", shown(path))))?;
    let meta = fs::metadata(path).map_err(JournalError::io(format!("look at {}", shown(path))))?;
    owned(path, &meta)?;
    if meta.mode() & 0o002 != 0 {
        let why = "anybody may write there, so anybody could swap a run: `chmod o-w` it, or use a folder of your own";
        return Err(JournalError::refused(path, why));
    }
    local(path)
}

/// Makes a run's folder, which must not exist. False: it does.
pub(super) fn create_dir(path: &Path) -> Result<bool, JournalError> {
    match DirBuilder::new().mode(PRIVATE_DIR).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(JournalError::io(format!("create the folder {}", shown(path)))(error)),
    }
}

/// Refuses a run folder that is a link, belongs to somebody else or lets others in; then the same for what lies in it.
pub(super) fn run_dir(path: &Path, files: &[&str]) -> Result<(), JournalError> {
    let meta =
        fs::symlink_metadata(path).map_err(JournalError::io(format!("look at the run folder {}", shown(path))))?;
    if !meta.is_dir() {
        return Err(JournalError::refused(path, "a run folder is a real folder, not a link or a file"));
    }
    owned(path, &meta)?;
    if meta.mode() & 0o077 != 0 {
        return Err(JournalError::refused(path, "others may enter this run folder: `chmod 700` it"));
    }
    for name in files {
        no_link(&path.join(name))?;
    }
    local(path)
}

fn no_link(path: &Path) -> Result<(), JournalError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            Err(JournalError::refused(path, "it is a symbolic link, which gonogo never follows here: remove it"))
        }
        Ok(meta) => owned(path, &meta),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(JournalError::io(format!("look at {}", shown(path)))(error)),
    }
}

/// A new file of mode 0600; an existing one, or a link, is an error.
pub(super) fn create_file(path: &Path) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(PRIVATE_FILE);
    options.open(path).map_err(JournalError::io(format!("create {}", shown(path))))
}

/// An existing or new file (0600) of ours, never through a link; writes append where `append`, else nothing is cut.
pub(super) fn open_file(path: &Path, append: bool) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.read(true).create(true).mode(PRIVATE_FILE);
    if append {
        options.append(true);
    } else {
        options.write(true).truncate(false);
    }
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
    options.custom_flags(no_follow.cast_signed());
    let file = options.open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return JournalError::refused(path, "it is a symbolic link, which gonogo never follows here: remove it");
        }
        JournalError::io(format!("open {}", shown(path)))(error)
    })?;
    let meta = file.metadata().map_err(JournalError::io(format!("look at {}", shown(path))))?;
    owned(path, &meta)?;
    Ok(file)
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_dir(path: &Path) -> Result<(), JournalError> {
    let sync = || -> io::Result<()> { File::open(path)?.sync_all() };
    sync().map_err(JournalError::io(format!("sync the folder {}", shown(path))))
}

fn owned(path: &Path, meta: &Metadata) -> Result<(), JournalError> {
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() == us {
        return Ok(());
    }
    let why = format!(
        "it belongs to user id {}, gonogo runs as {us}: run gonogo as its owner, or use a folder of your own",
        meta.uid()
    );
    Err(JournalError::refused(path, why))
}

#[cfg(target_os = "linux")]
fn local(path: &Path) -> Result<(), JournalError> {
    let stat = rustix::fs::statfs(path)
        .map_err(|error| JournalError::io(format!("ask for the file system of {}", shown(path)))(error.into()))?;
    match network_kind(stat.f_type as u64 & 0xffff_ffff) {
        Some(kind) => Err(JournalError::Network { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Only Linux names its network file systems by number.
#[cfg(not(target_os = "linux"))]
fn local(_: &Path) -> Result<(), JournalError> {
    Ok(())
}

/// The network file systems of statfs(2) whose locks another host may not see.
#[cfg(any(target_os = "linux", test))]
pub(super) fn network_kind(magic: u64) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("an SMB share"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x564c => Some("an NCP share"),
        _ => None,
    }
}
