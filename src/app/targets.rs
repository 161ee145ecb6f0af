//! `gonogo targets`: the databases that runbooks are known to work on, and how to forget one that truly moved.

use crate::app::open::usage;
use crate::app::{Done, Stop, code, say};
use crate::cli::{TargetsArgs, TargetsCmd};
use crate::journal::{Home, KnownTarget};
use crate::run::words::{name, phrase};

pub fn targets(args: &TargetsArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    match &args.act {
        TargetsCmd::List => {
            for known in home.known_targets().map_err(usage)? {
                say(&words(&known));
            }
        }
        TargetsCmd::Forget { runbook, env } => {
            let gone = home.forget_targets(runbook, env.as_deref()).map_err(usage)?;
            if gone.is_empty() {
                let words =
                    format!("nothing is known of a runbook {}; gonogo targets list shows what is", name(runbook));
                return Err(Stop::new(code::USAGE, words));
            }
            for known in gone {
                say(&format!("forgotten: {}", words(&known)));
            }
        }
    }
    Ok(code::DONE)
}

/// `week1, production: main is app at db1:5432, system 7301…4711`
fn words(known: &KnownTarget) -> String {
    let system = known.system_id.as_deref().map(|id| format!(", system {}", name(id))).unwrap_or_default();
    format!(
        "{}, {}: {} is {} at {}{system}",
        name(&known.runbook),
        name(&known.environment),
        name(&known.target),
        name(&known.database),
        phrase(&known.host)
    )
}
