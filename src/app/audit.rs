//! `gonogo audit`: proves the chain of a journal, against an anchor where one is known.

use crate::app::open::usage;
use crate::app::{Done, Stop, code, say};
use crate::cli::AuditArgs;
use crate::journal::{Anchor, Home, JournalError, Reader};

pub async fn audit(args: &AuditArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find(&args.run).await.map_err(usage)?;
    let anchor = args.anchor.as_deref().map(str::parse::<Anchor>).transpose().map_err(usage)?;
    let mut reader = Reader::open(&dir).await.map_err(usage)?;
    let proven = match &anchor {
        Some(anchor) => reader.verify_against(anchor).await,
        None => reader.verify().await,
    };
    match proven {
        Ok(end) => {
            say(&good(&dir.id(), end, anchor, args.json));
            Ok(code::DONE)
        }
        Err(error) => {
            let prefix = if args.valid_prefix { Some(reader.prefix_end().await) } else { None };
            bad(&dir.id(), &error, prefix, args.json)
        }
    }
}

fn good(run: &str, end: Anchor, against: Option<Anchor>, json: bool) -> String {
    if json {
        let found = serde_json::json!({
            "run": run,
            "ok": true,
            "entries": end.count,
            "head": end.hex(),
            "anchor": end.to_string(),
            "against": against.map(|anchor| anchor.to_string()),
        });
        return found.to_string();
    }
    let against = match against {
        Some(anchor) => format!(", and it is the one the anchor of entry {} was taken of", anchor.count),
        None => String::new(),
    };
    format!("{run}: {} entries, the chain holds{against}, head {}\nanchor {end}", end.count, end.hex())
}

fn bad(run: &str, error: &JournalError, prefix: Option<Anchor>, json: bool) -> Done {
    if json {
        let seq = match error {
            JournalError::Bad(bad) => Some(bad.seq),
            _ => None,
        };
        let prefix = prefix.map(|prefix| prefix.to_string());
        let found =
            serde_json::json!({ "run": run, "ok": false, "seq": seq, "why": error.to_string(), "valid": prefix });
        say(&found.to_string());
        return Ok(code::FAILED);
    }
    let prefix = prefix.map_or(String::new(), |prefix| format!("\nthe entries before it: anchor {prefix}"));
    Err(Stop::new(code::FAILED, format!("{run}: {error}{prefix}")))
}
