//! `gonogo check`: every problem of every file, at once.

use crate::app::{Done, Stop, code, say, say_bytes};
use crate::cli::CheckArgs;
use crate::run::words::plural;
use crate::runbook;

pub fn check(args: &CheckArgs) -> Done {
    let mut bad = false;
    let mut found = Vec::new();
    for file in &args.files {
        match runbook::load(file, &Default::default()) {
            Ok(book) if args.json => {
                found.push(
                    serde_json::json!({ "file": file, "ok": true, "problems": [], "digest": book.source.digest }),
                );
            }
            Ok(book) => say(&format!(
                "{}: ok · {} in {} · digest {}",
                file.display(),
                plural(book.steps().count() as u64, "step"),
                plural(book.phases.len() as u64, "phase"),
                &book.source.digest[..12.min(book.source.digest.len())]
            )),
            Err(problems) => {
                bad = true;
                if args.json {
                    found.push(serde_json::json!({ "file": file, "ok": false, "problems": problems.to_json() }));
                } else {
                    say_bytes(problems.render(super::terminal::colour_on_stdout()).as_bytes());
                }
            }
        }
    }
    if args.json {
        say(&serde_json::to_string_pretty(&found).map_err(Stop::internal)?);
    }
    Ok(if bad { code::BAD_RUNBOOK } else { code::DONE })
}
