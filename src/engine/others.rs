//! The run that has a database instead of ours, where it is in the same journal folder: then its end can be told, not only
//! its name.

use crate::journal::Home;
use crate::run::event::OtherRun;
use crate::target::{Refusal, session_names};

/// Those of `runs`, as a ledger names them, that are in this folder and have not ended.
pub async fn named(home: &Home, runs: &[String]) -> Vec<OtherRun> {
    // A folder that cannot be read only says less.
    let known = home.runs().await.unwrap_or_default();
    let here = known.iter().filter(|info| runs.contains(&info.id));
    let unended =
        here.filter_map(|info| info.facts.as_ref().ok().filter(|facts| !facts.status.is_over()).map(|f| (info, f)));
    unended.map(|(info, facts)| OtherRun { run: info.id.clone(), lives: facts.holder.is_some() }).collect()
}

/// The refusal of a database that somebody works on, with what to type where that is a run of this folder. `who`: their
/// session, by its name.
pub async fn at_work(home: &Home, own: &str, who: String) -> String {
    let known = home.runs().await.unwrap_or_default();
    let living = known.iter().filter(|info| info.facts.as_ref().is_ok_and(|facts| facts.holder.is_some()));
    let other = living.map(|info| &info.id).filter(|run| *run != own).find(|run| who.contains(&session_names(run)));
    let who = match other {
        // First of all, since a long sentence is cut at its end.
        Some(run) => format!("a run of this journal folder (gonogo attach {run}), {who}"),
        None => who,
    };
    Refusal::Held { who }.to_string()
}
