//! Reading a runbook from disk: the only file of the room that does. What it names must lie in its own folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::parse::{self, Given};
use super::{Problems, Runbook, Source, Var, folder, migrations};

/// Bytes of a runbook, and of each file it names.
pub const RUNBOOK_BYTES: u64 = 4 * 1024 * 1024;
/// The runbook of a folder.
const FILE: &str = "runbook.toml";

/// Reads and checks a runbook. `path`: the file, or its folder. `set`: what `--set NAME=VALUE` said.
/// Err: everything that is wrong with it.
pub fn load(path: &Path, set: &BTreeMap<String, String>) -> Result<Runbook, Problems> {
    let mut source = open(path)?;
    let given = set.iter().map(|(name, words)| (name.clone(), Given::Words(words.clone()))).collect();
    let folder = PathBuf::from(&source.folder);
    let (mut runbook, files) = parse::document(
        &source,
        parse::Disk {
            file: &|name| named_file(&folder, name),
            pinned: &|name| pinned_file(&folder, name),
            list: &|name| folder::list(&folder, name),
        },
        &given,
    )?;
    source.files = files;
    source.digest = digest(&source);
    runbook.source = source;
    Ok(runbook)
}

/// Checks a runbook that was read before, as its journal holds it: no disk is touched. `set`: typed, as journaled.
/// Err: everything that is wrong with it, first of all a text that is not the one its digest was taken of.
pub fn from_source(source: Source, set: &BTreeMap<String, Var>) -> Result<Runbook, Problems> {
    let digest = digest(&source);
    if !source.digest.is_empty() && source.digest != digest {
        let message = "this text is not the one that was journaled: its digest differs";
        return Err(Problems::of_file(&source.name, message, "the journal was changed; verify it"));
    }
    let given = set.iter().map(|(name, var)| (name.clone(), Given::Typed(var.clone()))).collect();
    let read = |name: &str| {
        let hint = "the journal does not hold it; start a new run from the folder";
        source.files.get(name).cloned().ok_or_else(|| (format!("there is no file `{name}`"), hint.to_owned()))
    };
    let list = |folder: &str| {
        let start = format!("{folder}/");
        let names = source.files.keys().filter_map(|path| path.strip_prefix(&start));
        Ok(names.filter(|name| migrations::accepts(name)).map(str::to_owned).collect())
    };
    let (mut runbook, files) =
        parse::document(&source, parse::Disk { file: &read, pinned: &read, list: &list }, &given)?;
    runbook.source = Source { files, digest, ..source };
    Ok(runbook)
}

/// What `--set` said, typed by the runbook's variables: what a run journals. Names it has not are left out:
/// [`load`] refused them.
pub fn typed_set(runbook: &Runbook, set: &BTreeMap<String, String>) -> BTreeMap<String, Var> {
    let typed = runbook.vars.iter().filter_map(|(name, var)| {
        let words = set.get(name)?;
        Some((name.clone(), parse::typed(var, words)?))
    });
    typed.collect()
}

/// SHA-256 (hex) over the text and all files, each with its name and length.
fn digest(source: &Source) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    add(&source.text);
    for (name, text) in &source.files {
        add(name);
        add(text);
    }
    migrations::hex(&hash.finalize())
}

fn open(path: &Path) -> Result<Source, Problems> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let name = file.to_string_lossy().into_owned();
    let problem = |message: String, hint: String| Problems::of_file(&name, message, hint);
    let whole = file
        .canonicalize()
        .map_err(|error| problem(format!("cannot read the runbook: {}", words(&error)), missing_hint(path)))?;
    let text = read(&whole).map_err(|(message, hint)| problem(format!("cannot read the runbook: {message}"), hint))?;
    let folder = whole.parent().unwrap_or(Path::new("/"));
    let folder = folder.to_str().ok_or_else(|| {
        let hint = "rename the folder so that its path is UTF-8";
        problem("the path of the runbook's folder is not UTF-8".into(), hint.into())
    })?;
    Ok(Source { folder: folder.to_owned(), name: name.clone(), text, ..Source::default() })
}

fn missing_hint(path: &Path) -> String {
    if path.is_dir() {
        format!("a runbook's folder holds a {FILE}")
    } else {
        format!("name a folder with a {FILE}, or the file itself")
    }
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        kind => kind.to_string(),
    }
}

/// The text of a file in `folder`. Err: message and hint.
fn named_file(folder: &Path, name: &str) -> Result<String, (String, String)> {
    let inside = "files lie beside the runbook or below it: \"sql/011.sql\"";
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || name.contains('\0') {
        return Err((format!("`{name}` leads out of the runbook's folder"), inside.into()));
    }
    let whole = folder.join(path).canonicalize().map_err(|error| {
        let message = format!("cannot read `{name}`: {}", words(&error));
        (message, "paths start from the runbook's folder".to_owned())
    })?;
    // The path was resolved: a symbolic link that leaves the folder shows itself here.
    if !whole.starts_with(folder) {
        let message = format!("`{name}` is a link that leads out of the runbook's folder");
        return Err((message, inside.into()));
    }
    read(&whole).map_err(|(message, hint)| (format!("cannot read `{name}`: {message}"), hint))
}

/// The text of a file that is pinned by its digest: it may lie elsewhere, for it cannot be another. Err: message and hint.
fn pinned_file(folder: &Path, name: &str) -> Result<String, (String, String)> {
    let path = Path::new(name);
    if path.is_absolute() || name.contains('\0') {
        let hint = "write its path from the runbook's folder: \"../shared/prepare.toml\"";
        return Err((format!("`{name}` is not a path from the runbook's folder"), hint.into()));
    }
    read(&folder.join(path)).map_err(|(message, hint)| (format!("cannot read `{name}`: {message}"), hint))
}

/// A regular file of bounded size as text.
fn read(path: &Path) -> Result<String, (String, String)> {
    let failed = |error: std::io::Error| (words(&error), "check the file and who may read it".to_owned());
    // Asked before opening: opening a pipe would wait for somebody to write into it.
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(("it is not a file".into(), "name a regular file".into()));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(RUNBOOK_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > RUNBOOK_BYTES {
        let hint = "split it, or let a `run` step load what is large";
        return Err((format!("it is larger than {} MiB", RUNBOOK_BYTES >> 20), hint.into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("it is not UTF-8 (line {line})"), "convert it: iconv -f latin1 -t utf-8".into())
    })
}
