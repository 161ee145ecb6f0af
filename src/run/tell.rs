//! What of a run is told to people by itself: which entries, in which words, to whom.

use super::describe;
use super::event::{Entry, Event, Mode, Opened};
use super::facts::Outcome;
use crate::runbook::{Channel, Runbook, Tell};

/// The second entry of a journal: the engine that began the run.
const FIRST: u64 = 2;

/// The moment that an entry is; none: it is not told.
pub fn moment(entry: &Entry) -> Option<Tell> {
    Some(match &entry.event {
        Event::EngineStarted { .. } if entry.seq == FIRST => Tell::Started,
        Event::StepEnded { outcome, .. } if outcome.is_left() => return None,
        Event::StepEnded { outcome: Outcome::Failed { .. } | Outcome::Broke { .. }, .. } => Tell::Failed,
        Event::Held { .. } => Tell::Held,
        Event::RollbackStarted { .. } => Tell::Rollback,
        Event::RunEnded { .. } => Tell::Ended,
        _ => return None,
    })
}

/// The channels that are told of such a moment in the run's environment.
pub fn whom<'a>(book: &'a Runbook, opened: &'a Opened, tell: Tell) -> impl Iterator<Item = &'a Channel> {
    let here = |channel: &&Channel| channel.only.is_empty() || channel.only.contains(&opened.environment);
    book.channels.iter().filter(here).filter(move |channel| channel.tells.contains(&tell))
}

/// `Week 1, live run week1-… in production: held: step m011 failed`
pub fn words(book: &Runbook, opened: &Opened, entry: &Entry) -> String {
    let mode = match opened.mode {
        Mode::Live => "",
        Mode::Rehearsal => "rehearsal ",
    };
    let said = describe::line(entry, book).unwrap_or_default();
    let (title, run) = (super::words::phrase(&book.title), super::words::name(&opened.run));
    format!("{title} · {} · {mode}run {run}: {said}", super::words::name(&opened.environment))
}
