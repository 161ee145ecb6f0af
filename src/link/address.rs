//! Where the socket of a run is, also where its path is longer than the kernel takes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const NAME: &str = "engine.sock";
/// Bytes of a socket's path that every system takes.
const PATH_MAX: usize = 100;

/// The path to hand to `bind` and `connect`. Use it at once and keep it until they are done.
pub(super) struct Address {
    path: PathBuf,
    /// Keeps the short way to a folder open.
    _folder: Option<File>,
}

impl Address {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        if path.as_os_str().len() <= PATH_MAX {
            return Ok(Self { path, _folder: None });
        }
        short_way(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Through a descriptor of the folder the path is short, however deep the folder lies.
#[cfg(target_os = "linux")]
fn short_way(folder: &Path) -> io::Result<Address> {
    use std::os::fd::AsRawFd;
    let folder = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(NAME);
    Ok(Address { path, _folder: Some(folder) })
}

#[cfg(not(target_os = "linux"))]
fn short_way(folder: &Path) -> io::Result<Address> {
    let len = folder.as_os_str().len();
    let why = format!("the path of its folder has {len} bytes, too many for a socket: use a shorter --journal");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
