//! Listing a folder of migration files: inside the runbook's folder, bounded, in the same order everywhere.

use std::fs;
use std::path::{Component, Path};

use super::migrations::{MOST_FILES, accepts};

/// How deep folders are looked into.
const DEEP: usize = 4;

/// The files below `name` that migrations may be made of, by their names from there on.
/// Err: message and hint.
pub(super) fn list(root: &Path, name: &str) -> Result<Vec<String>, (String, String)> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() || name.contains('\0') {
        let hint = "folders lie beside the runbook or below it: \"migrations\"";
        return Err((format!("`{name}` leads out of the runbook's folder"), hint.into()));
    }
    let cannot = |error: &std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
            std::io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
            kind => kind.to_string(),
        };
        (format!("cannot read `{name}`: {why}"), "paths start from the runbook's folder".to_owned())
    };
    let whole = root.join(path).canonicalize().map_err(|error| cannot(&error))?;
    if !whole.starts_with(root) {
        return Err((format!("`{name}` is a link that leads out of the runbook's folder"), "copy the folder".into()));
    }
    let mut found = Vec::new();
    walk(&whole, "", DEEP, &mut found).map_err(|error| match error {
        Stopped::Failed(error) => cannot(&error),
        Stopped::Odd(why) => (format!("cannot read `{name}`: {why}"), "rename it, or copy what it links to".into()),
    })?;
    found.sort();
    Ok(found)
}

enum Stopped {
    Failed(std::io::Error),
    Odd(String),
}

fn walk(folder: &Path, before: &str, deep: usize, found: &mut Vec<String>) -> Result<(), Stopped> {
    for entry in fs::read_dir(folder).map_err(Stopped::Failed)? {
        let entry = entry.map_err(Stopped::Failed)?;
        let kind = entry.file_type().map_err(Stopped::Failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Stopped::Odd(format!("the name {} is not UTF-8", name.display())));
        };
        let path = if before.is_empty() { name.to_owned() } else { format!("{before}/{name}") };
        if kind.is_symlink() && entry.path().is_dir() {
            return Err(Stopped::Odd(format!("{path} is a link to a folder")));
        }
        if kind.is_dir() {
            // Hidden folders belong to editors and version control.
            if deep > 1 && !name.starts_with('.') {
                walk(&entry.path(), &path, deep - 1, found)?;
            }
        } else if accepts(&path) {
            found.push(path);
        }
        if found.len() > MOST_FILES {
            return Ok(());
        }
    }
    Ok(())
}
