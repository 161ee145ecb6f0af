//! `gonogo import`: a Markdown guide as the draft of a runbook, with an account of every line.

use std::path::Path;

use crate::app::{Done, Stop, code, drafted, say};
use crate::cli::ImportArgs;
use crate::draft::guide::{Account, Guide, import as draft};
use crate::run::clean;
use crate::run::words::plural;
use crate::runbook::RUNBOOK_BYTES;

pub fn import(args: &ImportArgs) -> Done {
    let bytes = read(&args.guide)?;
    let text = readable(bytes).map_err(|why| {
        let words = format!("{} {why}; nothing was written", clean::line(&args.guide.to_string_lossy(), 400));
        Stop::new(code::USAGE, words)
    })?;
    let name = args.guide.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = args.output.clone().unwrap_or_else(|| args.guide.with_extension(""));
    if folder == args.guide {
        return Err(Stop::new(code::USAGE, "where to? name a folder: gonogo import GUIDE -o FOLDER"));
    }
    drafted::free(&folder)?;
    drafted::folder(&folder)?;
    let (schema, schema_file) = drafted::schema_line(&folder);
    let read = |path: &str| beside(&folder, path);
    let imported = draft(&Guide { text: &text, name: &name, schema: &schema, read: &read }).map_err(|problems| {
        Stop::new(code::INTERNAL, format!("the draft is refused, nothing was written:\n{problems}"))
    })?;
    let file = drafted::write(&folder, &imported.toml, schema_file)?;
    if args.json {
        let mut account = imported.account.to_json();
        account["draft"] = file.to_string_lossy().into();
        say(&serde_json::to_string_pretty(&account).map_err(Stop::internal)?);
    } else {
        summary(&imported.account, &name, &file);
    }
    Ok(code::DONE)
}

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    let about = std::fs::metadata(path).map_err(|error| drafted::cannot("read", path, &error))?;
    if !about.is_file() || about.len() > RUNBOOK_BYTES {
        let words = format!("{} is no file, or larger than {} MiB", path.display(), RUNBOOK_BYTES >> 20);
        return Err(Stop::new(code::USAGE, words));
    }
    std::fs::read(path).map_err(|error| drafted::cannot("read", path, &error))
}

/// The text of a guide. Err: why it is none, and what to do where that is known.
fn readable(bytes: Vec<u8>) -> Result<String, String> {
    const CONVERT: &str = "convert it: iconv -t utf-8 -f";
    let nuls = bytes.iter().filter(|byte| **byte == 0).count();
    let marked = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    // Latin letters in UTF-16 are every other byte a NUL, always on the same side.
    let even = bytes.iter().step_by(2).filter(|byte| **byte == 0).count();
    let one_side = (even == 0 || even == nuls) && nuls * 3 > bytes.len();
    if marked || one_side {
        let order = if marked {
            ""
        } else if even == 0 {
            "le"
        } else {
            "be"
        };
        return Err(format!("is UTF-16, and guides are UTF-8; {CONVERT} utf-16{order}"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        return Err(format!("is no text: line {line} holds a NUL byte"));
    }
    let is_binary = bytes.iter().any(|byte| matches!(byte, 1..=8 | 14..=26 | 28..=31));
    let text = String::from_utf8(bytes).map_err(|_| match is_binary {
        true => "is no text".to_owned(),
        false => format!("is not UTF-8; where it is Latin-1, {CONVERT} latin1"),
    })?;
    if !text.contains(char::is_alphanumeric) {
        return Err("has no words: there is nothing to make a draft of".to_owned());
    }
    Ok(text)
}

/// The text of a file inside the draft's folder.
fn beside(folder: &Path, path: &str) -> Option<String> {
    let whole = folder.join(path).canonicalize().ok()?;
    let inside = whole.starts_with(folder.canonicalize().ok()?) && Path::new(path).is_relative() && whole.is_file();
    inside.then(|| std::fs::read_to_string(whole).ok())?
}

fn summary(account: &Account, guide: &str, file: &Path) {
    let n = |count: usize, word: &str| plural(count as u64, word);
    let shown = clean::line(&file.to_string_lossy(), 400);
    say(&format!("{shown}: a draft of {}", clean::line(guide, 200)));
    let steps: usize = account.steps.values().sum();
    let verbs: Vec<String> = account.steps.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
    say(&format!("  {} in {}: {}", n(steps, "step"), n(account.phases + account.plans, "part"), verbs.join(", ")));
    say(&format!(
        "  {}, {}, {}, {}, {}, {}, {}",
        n(account.phases, "phase"),
        n(account.plans, "rollback plan"),
        if account.criteria == 1 { "1 criterion".to_owned() } else { format!("{} criteria", account.criteria) },
        n(account.troubles, "known trouble"),
        n(account.followups, "follow-up"),
        n(account.roles, "role"),
        n(account.expectations, "expectation"),
    ));
    if let Some((encoding, places)) = account.repaired {
        say(&format!("  the guide had been read as {encoding}: {} put right", n(places, "place")));
    }
    if !account.ticks.is_empty() {
        say(&format!("  {} dropped: nothing is done in advance", n(account.ticks.len(), "tick")));
    }
    for (line, what) in &account.secrets {
        say(&format!("  line {line}: {what}; not copied"));
    }
    let words = account.used() + account.left();
    say(&format!(
        "  of {} with words {} are used; {} not in the draft, and listed at its end",
        n(words, "line"),
        account.used(),
        account.left()
    ));
    let typed = drafted::typed(file);
    say(&format!("next: read {typed}, then gonogo check {typed}"));
}
