//! The socket itself: where screens call. Whoever tidies up may take its name away under a living engine; it is made anew.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::address::{Address, NAME};
use super::error::LinkError;

/// A socket that listens under its name, as long as nobody takes the name away.
pub(super) struct Door {
    folder: PathBuf,
    run: String,
    listener: UnixListener,
    own: Option<(u64, u64)>,
}

impl Door {
    /// Listens in the folder of run `run`. Errors: another engine answers there, or the socket cannot be made.
    pub async fn open(folder: &Path, run: &str) -> Result<Self, LinkError> {
        clear(folder, run).await?;
        let listener = listen(folder).map_err(LinkError::io(format!("make the socket of run {run}")))?;
        Ok(Self { folder: folder.to_owned(), run: run.to_owned(), listener, own: identity(folder) })
    }

    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Makes the socket anew where its name is gone, or is a dead one's; whoever is connected notices nothing. Where that cannot be done it is
    /// tried again at the next look.
    pub async fn mend(&mut self) {
        if self.own.is_some() && identity(&self.folder) == self.own {
            return;
        }
        if let Ok(anew) = Self::open(&self.folder, &self.run).await {
            *self = anew;
        }
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(folder.join(NAME)).ok().map(|found| (found.dev(), found.ino()))
}

/// Makes room for the socket: what a dead engine left is removed, a living one is not disturbed.
async fn clear(folder: &Path, run: &str) -> Result<(), LinkError> {
    let failed = |error| LinkError::io(format!("replace the old socket of run {run}"))(error);
    let path = folder.join(NAME);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.file_type().is_socket() => {}
        Ok(_) => {
            let why = format!("{NAME} in its folder is not a socket: move it away");
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, why)));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let address = Address::of(folder).map_err(failed)?;
    if UnixStream::connect(address.path()).await.is_ok() {
        return Err(LinkError::Busy { run: run.to_owned() });
    }
    fs::remove_file(&path).map_err(failed)
}

fn listen(folder: &Path) -> io::Result<UnixListener> {
    let address = Address::of(folder)?;
    let listener = UnixListener::bind(address.path())?;
    // The folder is 0700: until this is done nobody else reaches the socket either.
    fs::set_permissions(address.path(), Permissions::from_mode(0o600))?;
    Ok(listener)
}
