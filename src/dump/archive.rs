//! An archive on disk: what kind it is, how big, its SHA-256, and whether it can be read to its end.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::tools::Tools;
use super::{Failure, process};
use crate::run::facts::FileFact;
use crate::runbook::dump::DumpFormat;
use crate::runbook::migrations::hex;

const BLOCK: usize = 1024 * 1024;
/// Bytes at either end of a plain archive in which its first and last words stand.
const EDGE: u64 = 4096;
const BEGINNING: &str = "PostgreSQL database dump";
const ENDING: &str = "PostgreSQL database dump complete";
const HINT: &str = "take another backup: this one cannot be restored";

/// What kind of archive it is, by its content.
pub fn format(path: &Path) -> Result<DumpFormat, Failure> {
    let shown = path.display();
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::said(format!("there is no archive {shown}"), "correct the name"),
        _ => Failure::Io { what: format!("{shown} cannot be read"), error },
    };
    let meta = fs::metadata(path).map_err(unread)?;
    if meta.is_dir() {
        return match path.join("toc.dat").is_file() {
            true => Ok(DumpFormat::Directory),
            false => Err(Failure::said(format!("{shown} is a folder, but no archive"), "correct the name")),
        };
    }
    if !meta.is_file() {
        return Err(Failure::said(format!("{shown} is no regular file"), "correct the name"));
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(EDGE).read_to_end(&mut start)).map_err(unread)?;
    if start.starts_with(b"PGDMP") {
        return Ok(DumpFormat::Custom);
    }
    match String::from_utf8_lossy(&start).contains(BEGINNING) {
        true => Ok(DumpFormat::Plain),
        false => Err(Failure::said(format!("{shown} is no archive of PostgreSQL"), "correct the name")),
    }
}

/// Reads all of it, as a restore would. A list of contents proves nothing: a cut archive has a whole one.
pub async fn read_whole(tools: &Tools, path: &Path, format: DumpFormat) -> Result<(), Failure> {
    if format == DumpFormat::Plain {
        return complete(path);
    }
    let args = ["-f".to_owned(), "/dev/null".to_owned(), path.display().to_string()];
    process::run(&tools.program("pg_restore"), &args).await.map_err(|failure| match failure {
        Failure::Said { summary, detail, .. } => Failure::Said {
            summary: format!("{} cannot be read to its end: {summary}", path.display()),
            detail,
            hint: Some(HINT.to_owned()),
        },
        other => other,
    })
}

/// True where a plain archive makes large objects.
pub fn has_large_objects(path: &Path) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::Io { what: format!("{} cannot be read", path.display()), error };
    let mut lines = io::BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::BufRead::read_until(&mut lines, b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(false);
        }
        if line.starts_with(b"SELECT pg_catalog.lo_create(") || line.starts_with(b"SELECT pg_catalog.lo_open(") {
            return Ok(true);
        }
    }
}

fn complete(path: &Path) -> Result<(), Failure> {
    let end = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(EDGE)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    let end = end().map_err(Failure::io(format!("{} cannot be read", path.display())))?;
    match String::from_utf8_lossy(&end).contains(ENDING) {
        true => Ok(()),
        false => Err(Failure::said(format!("{} has no end: it was cut off", path.display()), HINT)),
    }
}

/// Size and SHA-256 of a file; of a folder, of its [`manifest`]. `name`: as the runbook says it.
pub async fn measure(path: PathBuf, name: String) -> Result<FileFact, Failure> {
    let what = format!("{} cannot be read", path.display());
    let reading = tokio::task::spawn_blocking(move || measured(&path, name)).await;
    let fact = reading.unwrap_or_else(|_| Err(io::Error::other("reading it was broken off")));
    fact.map_err(Failure::io(what))
}

/// Makes an archive durable, all files of a folder too: the name that it gets must not outlive its content.
pub async fn sync(path: PathBuf) -> Result<(), Failure> {
    let what = format!("{} cannot be made durable", path.display());
    let syncing = tokio::task::spawn_blocking(move || synced(&path)).await;
    syncing.unwrap_or_else(|_| Err(io::Error::other("it was broken off"))).map_err(Failure::io(what))
}

fn synced(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            File::open(entry?.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
}

fn measured(path: &Path, name: String) -> io::Result<FileFact> {
    if !path.is_dir() {
        let (size, sha256) = digest(path)?;
        return Ok(FileFact { path: name, size, sha256 });
    }
    let (size, text) = manifest(path)?;
    Ok(FileFact { path: name, size, sha256: hex(&Sha256::digest(text.as_bytes())) })
}

/// The files of an archive's folder, as `sha256sum` lists them: `<sha256>  <name>`, by name. With the bytes of all.
///
/// # Errors
/// A file cannot be read.
pub fn manifest(folder: &Path) -> io::Result<(u64, String)> {
    let mut names: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    let (mut size, mut text) = (0, String::new());
    for name in names {
        let (bytes, sha256) = digest(&folder.join(&name))?;
        size += bytes;
        text.push_str(&format!("{sha256}  {}\n", name.to_string_lossy()));
    }
    Ok((size, text))
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut size, mut block) = (File::open(path)?, Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&block[..n]);
                size += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((size, hex(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_files_of_an_archive_are_made_durable() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("toc.dat"), "PGDMP").unwrap();
        sync(temp.path().join("toc.dat")).await.unwrap();
        sync(temp.path().to_owned()).await.unwrap();
        // Each of them: one that cannot be had is told.
        std::os::unix::fs::symlink("nowhere", temp.path().join("1.dat.gz")).unwrap();
        assert!(sync(temp.path().to_owned()).await.is_err());
        assert!(sync(temp.path().join("nowhere")).await.is_err());
    }
}
