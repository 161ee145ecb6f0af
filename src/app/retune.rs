//! `gonogo retune`: another pace for a step in batches, said to the engine that runs it.

use std::time::Duration;

use crate::app::open::usage;
use crate::app::{Done, Stop, code, past, reach, say, who};
use crate::cli::RetuneArgs;
use crate::journal::{Home, Reader, RunDir, Wanted};
use crate::link::LinkError;
use crate::run::command::{Command, CommandVerb};
use crate::run::{Attempt, Event, RunState, Tuning, clean};
use crate::runbook::StepId;

/// How long an engine may take to answer, and how often we look.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
const PAGE: u32 = 1_000;

pub async fn retune(args: RetuneArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find_wanted(&args.run, Wanted::Alive).await.map_err(usage)?;
    let (_, state) = past::fold(&dir).await?;
    let (attempt, from) = running(&state, &args.step)?;
    let (batch, pause) = from.as_typed();
    let to = from.typed(args.batch.as_deref().unwrap_or(&batch), args.pause.as_deref().unwrap_or(&pause));
    let to = to.map_err(|why| Stop::new(code::USAGE, why))?;
    let client = reach::engine(&dir, false).await.map_err(|error| match error {
        LinkError::NoEngine { .. } => {
            Stop::new(code::REFUSED, format!("no engine runs {}: nothing works there", dir.id()))
        }
        LinkError::Unheard { .. } => Stop::new(code::REFUSED, error),
        other => Stop::internal(other),
    })?;
    let verb = CommandVerb::Retune { attempt: attempt.clone(), from, to };
    let command = Command { by: who(), seen: state.seq, verb };
    let gone = || Stop::new(code::INTERNAL, "the engine is gone; nothing was changed");
    client.commands.send(command).await.map_err(|_| gone())?;
    let answer = tokio::time::timeout(PATIENCE, answer(&dir, state.seq, &attempt, to)).await;
    answer.map_err(|_| Stop::new(code::INTERNAL, "the engine does not answer; look with gonogo watch"))??;
    say(&format!("{}: {}", clean::line(&attempt.to_string(), 200), from.change(&to)));
    Ok(code::DONE)
}

/// The attempt of that step that works in batches now.
fn running(state: &RunState, step: &str) -> Result<(Attempt, Tuning), Stop> {
    let run = state.steps.get(&StepId(step.to_owned())).and_then(Tuning::running);
    run.map(|(attempt, tuning)| (attempt.clone(), tuning)).ok_or_else(|| {
        let works = state.steps.iter().find(|(_, run)| Tuning::running(run).is_some()).map(|(id, _)| id);
        let other = works.map_or("; nothing does".to_owned(), |id| format!("; {id} does"));
        let words = format!("step {} does not work in batches now{other}", clean::line(step, 100));
        Stop::new(code::REFUSED, words)
    })
}

async fn answer(dir: &RunDir, mut seq: u64, wanted: &Attempt, pace: Tuning) -> Result<(), Stop> {
    let mut reader = Reader::open(dir).await.map_err(Stop::internal)?;
    let me = who();
    loop {
        for entry in reader.entries_after(seq, PAGE).await.map_err(Stop::internal)? {
            seq = entry.seq;
            if let Some(answer) = heard(&entry.event, wanted, pace, &me) {
                return answer;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The answer to `me`. What somebody else was refused meanwhile is none.
fn heard(event: &Event, wanted: &Attempt, pace: Tuning, me: &str) -> Option<Result<(), Stop>> {
    match event {
        Event::BatchRetuned { attempt, to, .. } if attempt == wanted && *to == pace => Some(Ok(())),
        Event::Refused { by, what, why } if by == me && what.starts_with("retune") => {
            Some(Err(Stop::new(code::REFUSED, clean::line(why, 500))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Direction;
    use crate::runbook::Sizing;

    #[test]
    fn what_others_are_refused_is_no_answer() {
        let attempt = Attempt { step: "fill".into(), direction: Direction::Forward, n: 1 };
        let pace = Tuning { size: Sizing::fixed(100), pause_ms: 0 };
        let refused = |by: &str| Event::Refused { by: by.into(), what: "retune".into(), why: "no".into() };
        let heard = |event: &Event| heard(event, &attempt, pace, "ann@host");
        assert!(heard(&refused("bob@host")).is_none());
        assert!(matches!(heard(&refused("ann@host")), Some(Err(stop)) if stop.words == "no"));
        let by = "bob@host".to_owned();
        let changed = Event::BatchRetuned { attempt: attempt.clone(), from: pace, to: pace, by };
        assert!(matches!(heard(&changed), Some(Ok(()))), "whoever says it, the pace is the wanted one");
    }
}
