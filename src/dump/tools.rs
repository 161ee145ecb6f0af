//! The programs of PostgreSQL: found in PATH, else where packages put them, and none that is older than its server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Failure, process};
use crate::target::desk::Server;

/// Where distributions keep several versions side by side: `<version>/bin` below.
const KEPT: &[&str] = &["/usr/lib/postgresql", "/usr/local/pgsql", "/opt/postgresql"];

/// A folder with `pg_dump`, `pg_restore` and `psql`, and their major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    pub folder: PathBuf,
    pub major: u32,
}

impl Tools {
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The programs to use: those in PATH if they will do, else the newest that are there.
pub async fn find(env: &BTreeMap<String, String>, server: &Server) -> Result<Tools, Failure> {
    fitting(env.get("PATH").map_or("", String::as_str), server.major()).await
}

/// The same, for a server of that major version.
pub async fn fitting(path: &str, server: u32) -> Result<Tools, Failure> {
    let mut found = Vec::new();
    for folder in folders(path) {
        if let Some(major) = version(&folder).await {
            found.push(Tools { folder, major });
        }
    }
    choose(found, server)
}

/// The folders that have all three programs: those of PATH in its order, then the others.
fn folders(path: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::env::split_paths(path).collect();
    for kept in KEPT {
        let below = fs::read_dir(kept).into_iter().flatten().flatten();
        all.extend(below.map(|entry| entry.path().join("bin")));
    }
    let whole = |folder: &PathBuf| ["pg_dump", "pg_restore", "psql"].iter().all(|name| folder.join(name).is_file());
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in all.into_iter().filter(|folder| folder.is_absolute()).filter(whole) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

async fn version(folder: &Path) -> Option<u32> {
    let said = process::output(&folder.join("pg_dump"), &["--version".to_owned()]).await.ok()?;
    major(&said)
}

/// `pg_dump (PostgreSQL) 15.4 (Debian …)`
fn major(said: &str) -> Option<u32> {
    let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn choose(found: Vec<Tools>, server: u32) -> Result<Tools, Failure> {
    let hint = format!("install the client programs of PostgreSQL {server} or newer (postgresql-client-{server})");
    if let Some(first) = found.iter().find(|tools| tools.major == server) {
        return Ok(first.clone());
    }
    let newest = found.iter().max_by_key(|tools| tools.major);
    match newest {
        Some(tools) if tools.major > server => Ok(tools.clone()),
        Some(tools) => Err(Failure::said(
            format!(
                "pg_dump is of version {} ({}), the server of {server}: an older program would write an archive that \
                 cannot be trusted",
                tools.major,
                tools.folder.display()
            ),
            &hint,
        )),
        None => Err(Failure::said("pg_dump, pg_restore and psql were not found in one folder", &hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(major: u32, folder: &str) -> Tools {
        Tools { folder: folder.into(), major }
    }

    #[test]
    fn versions_are_read_off_what_the_program_says() {
        assert_eq!(major("pg_dump (PostgreSQL) 15.4 (Debian 15.4-1)\n"), Some(15));
        assert_eq!(major("pg_dump (PostgreSQL) 17beta1\n"), Some(17));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn an_older_program_is_never_taken() {
        let old = choose(vec![tools(12, "/a")], 15).expect_err("too old").to_string();
        assert!(old.contains("version 12") && old.contains("the server of 15"), "{old}");
        assert!(choose(Vec::new(), 15).is_err());
        let of = |all: Vec<Tools>| choose(all, 15).expect("found").folder;
        assert_eq!(of(vec![tools(12, "/a"), tools(15, "/b")]), Path::new("/b"));
        assert_eq!(of(vec![tools(17, "/a"), tools(15, "/b")]), Path::new("/b"), "the server's own version is best");
        assert_eq!(of(vec![tools(16, "/a"), tools(17, "/b"), tools(14, "/c")]), Path::new("/b"));
    }
}
