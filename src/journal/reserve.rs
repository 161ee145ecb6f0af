//! Room kept back on the disk: when it fills up, the end of the running step can still be written down.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::error::{JournalError, shown};
use super::guard;

/// Bytes kept back; one transaction's entries fit many times.
const BYTES: u64 = 1024 * 1024;

/// Takes the room, where it is not taken already.
pub(super) fn take(path: &Path) -> Result<(), JournalError> {
    let mut file = guard::open_file(path, false)?;
    let fill = |file: &mut File| -> io::Result<()> {
        if file.metadata()?.len() == BYTES {
            return Ok(());
        }
        allocate(file, BYTES)?;
        file.sync_all()
    };
    fill(&mut file).map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            // Half a reserve is none; what remains of it would pass for a whole one.
            let _ = fs::remove_file(path);
            JournalError::Full { db: path.with_file_name("journal.db") }
        }
        _ => JournalError::io(format!("keep room back in {}", shown(path)))(error),
    })
}

/// Gives the room back; false where there was none.
pub(super) fn release(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

#[cfg(target_os = "linux")]
pub(super) fn allocate(file: &mut File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(&*file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => zeros(file, bytes),
        other => other.map_err(Into::into),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allocate(file: &mut File, bytes: u64) -> io::Result<()> {
    zeros(file, bytes)
}

/// For file systems that cannot promise room.
fn zeros(file: &mut File, bytes: u64) -> io::Result<()> {
    let block = [0; 64 * 1024];
    file.set_len(0)?;
    for _ in 0..bytes / block.len() as u64 {
        file.write_all(&block)?;
    }
    Ok(())
}
