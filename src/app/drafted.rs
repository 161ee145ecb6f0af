//! What `init` and `import` share: where a draft's schema is, and files that are written only where none is.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::app::{Stop, code};
use crate::run::clean;
use crate::runbook::schema;

/// The name of a runbook in its folder.
pub const RUNBOOK: &str = "runbook.toml";
const SCHEMA: &str = "runbook.schema.json";

/// The `#:schema` line for a runbook in `folder`, and the schema's own file where it has to be written beside it: a folder
/// above may have one already, in `assets/`.
pub fn schema_line(folder: &Path) -> (String, Option<PathBuf>) {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    for (n, above) in whole.ancestors().enumerate().take(4) {
        if above.join("assets").join(SCHEMA).is_file() {
            let up = if n == 0 { "./".to_owned() } else { "../".repeat(n) };
            return (schema::directive(&format!("{up}assets/{SCHEMA}")), None);
        }
    }
    let beside = folder.join(SCHEMA);
    let missing = (!beside.exists()).then_some(beside);
    (schema::directive(&format!("./{SCHEMA}")), missing)
}

/// Refuses a folder that has a runbook.
pub fn free(folder: &Path) -> Result<(), Stop> {
    let file = folder.join(RUNBOOK);
    // A link that leads nowhere is there, too.
    if file.symlink_metadata().is_ok() {
        let words = format!("{} is there already, and nothing was changed; name another folder", file.display());
        return Err(Stop::new(code::USAGE, words));
    }
    Ok(())
}

/// Writes a draft, and the schema beside it where no other is found. Never over a file.
pub fn write(folder: &Path, text: &str, schema_file: Option<PathBuf>) -> Result<PathBuf, Stop> {
    let file = folder.join(RUNBOOK);
    create(&file, text)?;
    if let Some(path) = schema_file {
        create(&path, &schema::text())?;
    }
    Ok(file)
}

/// A draft's path as it can be typed behind a command.
pub fn typed(file: &Path) -> String {
    let path = clean::line(&file.to_string_lossy(), 400);
    // What begins so is taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path };
    clean::word(&path)
}

pub fn folder(path: &Path) -> Result<(), Stop> {
    std::fs::create_dir_all(path).map_err(|error| cannot("make the folder", path, &error))
}

fn create(path: &Path, text: &str) -> Result<(), Stop> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = made.map_err(|error| cannot("write", path, &error))?;
    file.write_all(text.as_bytes()).map_err(|error| cannot("write", path, &error))
}

pub fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Stop {
    Stop::new(code::FAILED, format!("cannot {what} {}: {error}", path.display()))
}
