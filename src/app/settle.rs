//! `gonogo settle`: a person's word on an attempt in doubt, to the engine that holds the run, or into its journal.

use std::time::Duration;

use crate::app::open::{named, usage};
use crate::app::{Done, Stop, code, host, past, reach, say, who};
use crate::cli::{Said, SettleArgs};
use crate::engine::settle::{Settling, settle as close};
use crate::journal::{Home, Reader, RunDir, Wanted, Writer};
use crate::link::{Client, LinkError};
use crate::print::quoted;
use crate::run::command::{Command, CommandVerb};
use crate::run::event::{Claim, Direction};
use crate::run::state::StepStatus;
use crate::run::{Attempt, Event, RunState, clean};
use crate::runbook::StepId;

/// How long an engine may take to answer, and how often we look.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
const PAGE: u32 = 1_000;

pub async fn settle(args: SettleArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find_wanted(&args.run, Wanted::Unended).await.map_err(usage)?;
    let (_, state) = past::fold(&dir).await?;
    let attempt = in_doubt(&state, &args)?;
    let claim = match args.said {
        Said::Done => Claim::Done,
        Said::NotDone => Claim::NotDone,
    };
    let next = match reach::engine(&dir, false).await {
        Ok(client) => {
            tell(&dir, client, &state, &attempt, claim, &args.reason).await?;
            "attach"
        }
        Err(LinkError::NoEngine { .. }) => {
            write(&dir, attempt.clone(), claim, &args.reason).await?;
            "resume"
        }
        Err(error @ LinkError::Unheard { .. }) => return Err(Stop::new(code::REFUSED, error)),
        Err(other) => return Err(Stop::internal(other)),
    };
    let word = if claim == Claim::Done { "done" } else { "not done" };
    say(&format!("{} is settled as {word}; nothing was started by that", clean::line(&attempt.to_string(), 200)));
    let place = named(&args.place).map(|path| format!(" --journal {}", quoted(&path))).unwrap_or_default();
    say(&format!("gonogo {next} {}{place}", dir.id()));
    Ok(code::DONE)
}

/// The attempt of that step that is in doubt.
fn in_doubt(state: &RunState, args: &SettleArgs) -> Result<Attempt, Stop> {
    let id = StepId(args.step.clone());
    let shown = clean::line(&args.step, 100);
    let run = state.steps.get(&id).filter(|run| run.status == StepStatus::InDoubt);
    let attempt = run.and_then(|run| run.attempt.clone()).ok_or_else(|| {
        let doubted = state.steps.iter().find(|(_, run)| run.status == StepStatus::InDoubt).map(|(id, _)| id);
        let other = match doubted {
            Some(other) => format!("; {other} is"),
            None if state.open.is_empty() => "; nothing is".to_owned(),
            None => "; what was under way is looked at by gonogo resume first".to_owned(),
        };
        Stop::new(code::REFUSED, format!("step {shown} is not in doubt{other}"))
    })?;
    match (attempt.direction, args.by_undo) {
        (Direction::Undo, false) => {
            let words = format!("it is the undo of {shown} that is in doubt; say so with --by-undo");
            Err(Stop::new(code::REFUSED, words))
        }
        (Direction::Forward, true) => {
            Err(Stop::new(code::REFUSED, format!("it is {shown} itself that is in doubt, not its undo")))
        }
        _ => Ok(attempt),
    }
}

/// Says it to the engine, and waits for what the journal makes of it.
async fn tell(
    dir: &RunDir,
    client: Client,
    state: &RunState,
    attempt: &Attempt,
    claim: Claim,
    reason: &str,
) -> Result<(), Stop> {
    let verb = CommandVerb::Settle { attempt: attempt.clone(), claim, reason: reason.to_owned() };
    let command = Command { by: who(), seen: state.seq, verb };
    let gone = || Stop::new(code::INTERNAL, "the engine is gone; nothing was settled: try again");
    client.commands.send(command).await.map_err(|_| gone())?;
    let answer = tokio::time::timeout(PATIENCE, answer(dir, state.seq, attempt));
    answer.await.map_err(|_| Stop::new(code::INTERNAL, "the engine does not answer; look with gonogo watch"))?
}

async fn answer(dir: &RunDir, mut seq: u64, attempt: &Attempt) -> Result<(), Stop> {
    let mut reader = Reader::open(dir).await.map_err(Stop::internal)?;
    let me = who();
    loop {
        for entry in reader.entries_after(seq, PAGE).await.map_err(Stop::internal)? {
            seq = entry.seq;
            match entry.event {
                Event::Settled { attempt: settled, .. } if settled == *attempt => return Ok(()),
                Event::Refused { by, what, why } if by == me && what.starts_with("settle") => {
                    return Err(Stop::new(code::REFUSED, clean::line(&why, 500)));
                }
                _ => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// No engine holds the run: its lock is taken for as long as it takes to write this down.
async fn write(dir: &RunDir, attempt: Attempt, claim: Claim, reason: &str) -> Result<(), Stop> {
    let mut writer = Writer::open(dir).await.map_err(|error| Stop::new(code::REFUSED, error))?;
    let (book, state) = past::fold(dir).await?;
    let said =
        Settling { attempt, claim, reason: reason.to_owned(), by: who(), host: host(), run_dir: dir.path().to_owned() };
    let settled = close(&book, state, &mut writer, said).await.map_err(Stop::internal)?;
    let closed = writer.close().await.map_err(Stop::internal);
    settled.map_err(|why| Stop::new(code::REFUSED, clean::line(&why, 500)))?;
    closed.map(|_| ())
}
