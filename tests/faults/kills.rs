//! kill -9 of the engine at any moment of a run with every verb, forward and back: nothing lost, nothing doubled, and what
//! was open is decided, or asked where nobody can know.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use gonogo::journal::{Reader, RunDir};
use gonogo::run::command::CommandVerb;
use gonogo::run::event::{Claim, HoldCause};
use gonogo::run::{Attempt, Direction, Entry, Event, Outcome, RunState};
use gonogo::runbook::StepId;
use support::headless::{Ran, Running};

use super::chance::Chance;
use super::figures::Figures;
use super::story::{Voice, entries};
use super::times;
use super::world::{MARKED, World};

/// Milliseconds within which a whole run, or its taking up, comes to its end here: later moments are after its end.
const SPAN: u64 = 700;
/// Runs at the same time, each in a world of its own.
const WORKERS: u32 = 4;
/// Kills of one run at most.
const KILLS: u32 = 6;

#[test]
fn killed_at_any_moment() {
    let mut chance = Chance::new("killed_at_any_moment");
    let figures = Figures::new("kill -9 of the engine at random moments");
    let wanted = u64::from(times(8, 1_000));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (mut chance, figures) = (chance.split(), &figures);
            scope.spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                runtime.block_on(async {
                    while figures.get("kills") < wanted {
                        let back = chance.once_in(2);
                        let Some(world) = World::new(back).await else { return };
                        one_run(&world, back, &mut chance, figures, None).await;
                    }
                });
            });
        }
    });
    figures.publish();
    assert_eq!((figures.get("lost"), figures.get("doubled")), (0, 0), "{figures:?}");
}

/// Every named place of the program, at its first, second and third pass.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_failpoint() {
    let mut chance = Chance::new("killed_at_every_failpoint");
    let figures = Figures::new("kill -9 at named places of the program");
    let names = gonogo::failpoint::NAMES;
    let quick = names.len().min(4);
    let start = chance.below(names.len() as u64) as usize;
    let some = usize::try_from(times(quick as u32, names.len() as u32)).unwrap();
    for name in names.iter().cycle().skip(start).take(some) {
        for pass in 1..=times(1, 3) {
            for back in [false, true] {
                let Some(world) = World::new(back).await else { return };
                let before = figures.get("kills");
                let aim = |mut command: Command| {
                    command.env("GONOGO_FAILPOINT", format!("{name}:kill:{pass}"));
                    command
                };
                one_run(&world, back, &mut chance, &figures, Some(&aim)).await;
                let hit = if figures.get("kills") > before { "engine killed" } else { "no engine killed" };
                figures.count(format!("{name} {hit}"));
            }
        }
    }
    figures.publish();
    assert_eq!((figures.get("lost"), figures.get("doubled")), (0, 0), "{figures:?}");
}

/// What befalls the first engine of a run.
pub type Aim<'a> = &'a (dyn Fn(Command) -> Command + Sync);

/// One run to its end. `aim`: what befalls its first engine, and no other; none: engines are killed at random moments.
pub async fn one_run(world: &World, back: bool, chance: &mut Chance, figures: &Figures, aim: Option<Aim<'_>>) {
    let end = if back { 5 } else { 0 };
    let mut kills = 0;
    for start in 0.. {
        assert!(start < 60, "the run does not come to its end: {:#?}", entries(&world.desk.run_dir()).await);
        let fresh = !world.desk.journal().exists();
        let order: &[&str] = if fresh { &["run", "runbook.toml"] } else { &["resume", "last"] };
        let mut command = world.desk.command(&[order, &["--headless", "--yes"]].concat());
        if let Some(aim) = aim.filter(|_| start == 0) {
            command = aim(command);
        }
        let mut running = Running::spawn(command);
        let spared = kills >= KILLS || chance.once_in(4);
        let killed = if aim.is_some() || spared { None } else { at_random(&mut running, chance) };
        let ran = if killed.is_some() { running.kill() } else { running.end() };
        if !is_opened(world).await {
            // Killed before there was a run: whoever started it starts it again.
            let _ = std::fs::remove_dir_all(world.desk.journal());
            continue;
        }
        match ran.code {
            None => {
                kills += 1;
                figures.count("kills");
                taken_by_surprise(world, figures).await;
            }
            // The journal could not be written: it said so, and stopped.
            Some(code) if code != end && code != 4 && start == 0 && aim.is_some() => {
                figures.count(format!("stopped by itself, exit {code}"));
            }
            Some(4) => ask(world, figures, &ran).await,
            // Killed after the last entry.
            Some(2) if ran.err.contains("has ended") => break,
            Some(code) => {
                assert_eq!(code, end, "{ran:?}");
                break;
            }
        }
    }
    verdict(world, back, figures).await;
    figures.count("runs");
}

/// Whether the journal holds a run by now.
async fn is_opened(world: &World) -> bool {
    let runs = world.desk.journal().read_dir().into_iter().flatten();
    let Some(run) = runs.filter_map(Result::ok).find(|run| run.path().is_dir()) else { return false };
    let Ok(dir) = RunDir::at(&run.path()) else { return false };
    match Reader::open(&dir).await {
        Ok(mut reader) => reader.head().await.is_ok_and(|head| head.count > 0),
        Err(_) => false,
    }
}

/// Waits for a random moment; none where the run was faster.
fn at_random(running: &mut Running, chance: &mut Chance) -> Option<()> {
    let until = std::time::Instant::now() + Duration::from_millis(chance.below(SPAN));
    while std::time::Instant::now() < until {
        if !running.runs() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    running.runs().then_some(())
}

/// Counts what was open when the engine was killed.
async fn taken_by_surprise(world: &World, figures: &Figures) {
    for attempt in open(&told(world).await) {
        figures.count(format!("open: {}", verb(&attempt)));
    }
}

/// The journal, once it can be read.
async fn told(world: &World) -> Vec<Entry> {
    entries(&world.desk.run_dir()).await
}

/// The attempts that were started and not ended.
fn open(entries: &[Entry]) -> BTreeSet<Attempt> {
    let mut open = BTreeSet::new();
    for entry in entries {
        match &entry.event {
            Event::StepStarted { attempt, .. } => {
                open.insert(attempt.clone());
            }
            Event::StepEnded { attempt, outcome } if !matches!(outcome, Outcome::Unknown { .. }) => {
                open.remove(attempt);
            }
            Event::Settled { attempt, .. } => {
                open.remove(attempt);
            }
            _ => {}
        }
    }
    open
}

fn verb(attempt: &Attempt) -> String {
    match attempt.direction {
        Direction::Forward => attempt.step.0.clone(),
        Direction::Undo => format!("undo {}", attempt.step),
    }
}

/// Answers what the run asks, truthfully: looks at the marks, settles, tries again what did not happen.
async fn ask(world: &World, figures: &Figures, ran: &Ran) {
    world.settle_down();
    let folder = world.desk.run_dir();
    if matches!(hold(world).await, Some(HoldCause::JournalFull {})) {
        // There is room again: the next engine goes on.
        figures.count("held: the journal was full");
        return;
    }
    let doubts: Vec<Attempt> =
        open(&told(world).await).into_iter().filter(|attempt| attempt.step.0 != "ready").collect();
    assert!(!doubts.is_empty() || failed(world).await.is_some(), "held for no reason:\n{}\n{}", ran.out, ran.err);
    let mut engine = world.desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    for attempt in doubts {
        // The look of taking up may have decided it meanwhile.
        if open(&told(world).await).contains(&attempt) {
            figures.count(format!("asked: {}", verb(&attempt)));
            settle(world, &mut voice, &attempt).await;
        }
    }
    while let Some(step) = failed(world).await {
        let from = voice.count().await;
        voice.say(CommandVerb::Retry { step }).await;
        let answered = |event: &Event| matches!(event, Event::StepStarted { .. } | Event::Refused { .. });
        voice.until_after(from, "tried again", answered).await;
    }
    let _ = Command::new("kill").args(["-TERM", &engine.pid().to_string()]).status();
    if engine.runs() {
        engine.end();
    }
}

async fn settle(world: &World, voice: &mut Voice, attempt: &Attempt) {
    let claim = if world.happened(attempt) { Claim::Done } else { Claim::NotDone };
    while open(&told(world).await).contains(attempt) {
        let from = voice.count().await;
        let reason = "looked at the marks".to_owned();
        voice.say(CommandVerb::Settle { attempt: attempt.clone(), claim, reason }).await;
        let answered =
            |event: &Event| matches!(event, Event::Settled { .. } | Event::StepEnded { .. } | Event::Refused { .. });
        voice.until_after(from, "an answer to the claim", answered).await;
    }
}

async fn hold(world: &World) -> Option<HoldCause> {
    Some(RunState::fold(&told(world).await).hold?.cause)
}

/// The step that the run is held for because it, or its undo, failed.
async fn failed(world: &World) -> Option<StepId> {
    match hold(world).await? {
        HoldCause::Step { step } => Some(step),
        HoldCause::Undo { attempt } => Some(attempt.step),
        // Not held for it yet: the engine is about to.
        _ => None,
    }
}

/// At the end: every effect once, and every attempt closed.
async fn verdict(world: &World, back: bool, figures: &Figures) {
    let told = told(world).await;
    let left: Vec<Attempt> = open(&told).into_iter().collect();
    assert!(left.is_empty(), "still open: {left:?}");
    for entry in &told {
        if let Event::StepEnded { attempt, outcome } = &entry.event {
            match outcome {
                Outcome::Done { facts, .. } if facts.recovered.is_some() => {
                    figures.count(format!("decided done: {}", verb(attempt)));
                }
                Outcome::Failed { fault, .. } if fault.interrupted => {
                    figures.count(format!("decided not done: {}", verb(attempt)));
                }
                _ => {}
            }
        }
    }
    for step in MARKED {
        count(world, figures, step, Direction::Forward, &told);
        if back && *step != "say" {
            count(world, figures, step, Direction::Undo, &told);
        }
    }
    let there = world.marks("index", Direction::Forward);
    if there != usize::from(!back) {
        figures.count("lost");
        println!("the index is there {there} times\n{told:#?}");
    }
}

fn count(world: &World, figures: &Figures, step: &str, direction: Direction, told: &[Entry]) {
    match world.marks(step, direction) {
        1 => figures.count("once"),
        n => {
            figures.count(if n == 0 { "lost" } else { "doubled" });
            println!("{direction:?} {step}: {n} times\n{told:#?}");
        }
    }
}
