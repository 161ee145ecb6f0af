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
    let text = String::from_utf8(bytes).map_err(|_| {
        let words = format!("{} is not UTF-8; convert it: iconv -f latin1 -t utf-8", args.guide.display());
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
