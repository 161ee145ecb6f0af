//! Closes an attempt in doubt where no engine holds the run: taken up, settled and let go in one append, and nothing is done.

use std::path::PathBuf;

use super::{EngineError, exec, takeup};
use crate::journal::Writer;
use crate::run::command::{Command, CommandVerb};
use crate::run::decide::{Input, decide};
use crate::run::event::{Claim, Direction, HoldCause};
use crate::run::plan::held;
use crate::run::{Attempt, Entry, Event, Moment, RunState};
use crate::runbook::Runbook;

/// What a person says of an attempt.
pub struct Settling {
    pub attempt: Attempt,
    pub claim: Claim,
    pub reason: String,
    pub by: String,
    pub host: String,
    /// The run's folder.
    pub run_dir: PathBuf,
}

/// Settles by the same rules as an engine. `state`: the fold of what `writer`'s journal holds. `Ok(Err(why))`: refused,
/// nothing was written.
///
/// # Errors
/// The journal cannot be written; then nothing was settled.
pub async fn settle(
    book: &Runbook,
    mut state: RunState,
    writer: &mut Writer,
    said: Settling,
) -> Result<Result<(), String>, EngineError> {
    let Settling { attempt, claim, reason, by, host, run_dir } = said;
    let place = exec::place(&run_dir.join("attempts"), &attempt);
    if place.is_busy() {
        let why = format!("{attempt} is not over: {}; gonogo resume takes it up", exec::lost::process(&place));
        return Ok(Err(why));
    }
    let clock = takeup::clock(&state);
    let now = clock.now();
    let started = Event::EngineStarted {
        pid: std::process::id(),
        host,
        boot: crate::child::proc::boot_id(),
        zero_ms: clock.zero(),
        by: by.clone(),
    };
    let lasting = match attempt.direction {
        Direction::Forward => HoldCause::Step { step: attempt.step.clone() },
        Direction::Undo => HoldCause::Undo { attempt: attempt.clone() },
    };
    let command = |verb| Input::Command(Command { by: by.clone(), seen: u64::MAX, verb });
    let inputs = [
        Some(Input::Fact(started)),
        Some(command(CommandVerb::Settle { attempt: attempt.clone(), claim, reason })),
        // As an engine would: what was not done is for a person to try again.
        (claim == Claim::NotDone).then(|| Input::Fact(held(lasting))),
        Some(command(CommandVerb::Quit { reason: "settled".to_owned() })),
    ];
    let mut events: Vec<(Moment, Event)> = Vec::new();
    for input in inputs.into_iter().flatten() {
        if matches!(input, Input::Fact(Event::Held { .. })) && state.hold.is_some() {
            continue;
        }
        for event in decide(book, &state, input, now) {
            if let Event::Refused { why, .. } = event {
                return Ok(Err(why));
            }
            state.apply(&Entry { seq: state.seq + 1, at: now, event: event.clone() });
            events.push((now, event));
        }
    }
    writer.append(events).await?;
    place.clear();
    Ok(Ok(()))
}
