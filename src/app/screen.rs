//! The screen joined to a running engine: the journal's entries go in, commands go out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::app::open::usage;
use crate::app::{Done, Stop, code, editor, past, reach, say, terminal, who};
use crate::cli::{LiveRun, Look};
use crate::engine::clock::RunClock;
use crate::journal::{Home, Reader, RunDir, Wanted, holder};
use crate::link::{Client, Down, LinkError};
use crate::run::event::End;
use crate::run::{Command, RunState};
use crate::runbook::Runbook;
use crate::tui::{self, ExitReason, Init, Link, Message, Mode, Model, Out};

/// Entries read from the journal at once.
const PAGE: u32 = 1_000;
/// Between two looks at a journal that is about to be written, and how long an engine may take for its last words.
const LOOK: Duration = Duration::from_millis(20);
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Between two looks at a run whose engine is not heard.
const UNHEARD: Duration = Duration::from_millis(500);
/// The number of SIGHUP, on every system.
const HANG_UP: u8 = 1;
/// Messages that wait for the screen.
const QUEUE: usize = 256;

pub async fn attach(args: &LiveRun, writes: bool) -> Done {
    terminal::need(false)?;
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = match &args.run {
        Some(name) => home.find_wanted(name, Wanted::Alive).await,
        None => home.find_alive().await,
    };
    let dir = dir.map_err(usage)?;
    attach_to(&dir, &args.look, writes).await
}

/// The screen of a run whose engine is running already.
pub async fn attach_to(dir: &RunDir, look: &Look, writes: bool) -> Done {
    match reach::engine(dir, !writes).await {
        Ok(client) => show(dir, look, client, writes).await,
        Err(error) => Err(unreachable(dir, error).await),
    }
}

/// Shows the run until the operator leaves; the run does not depend on it.
pub async fn live(dir: &RunDir, look: &Look, client: Client) -> Done {
    show(dir, look, client, true).await
}

/// The last words of a run whose engine was gone before there was a screen.
pub async fn over(dir: &RunDir) -> Done {
    farewell(dir, ExitReason::Left).await
}

async fn show(dir: &RunDir, look: &Look, client: Client, writes: bool) -> Done {
    let (book, state) = begun(dir, &client).await?;
    let reader = Reader::open(dir).await.map_err(Stop::internal)?;
    let (messages, inbox) = mpsc::channel(QUEUE);
    let (outbox, wishes) = mpsc::channel(QUEUE);
    let clock = RunClock::since(state.engine.as_ref().map_or(0, |engine| engine.zero_ms));
    let mode = Mode::Live { me: who(), writes };
    let init = Init {
        model: Model::new(Arc::new(book), mode, terminal::look(look)),
        clock: Box::new(move || clock.now()),
        mouse: !look.no_mouse,
    };
    let commands = client.commands.clone();
    let feeding = tokio::spawn(feed(dir.clone(), reader, client, messages.clone()));
    let obeying = tokio::spawn(obey(wishes, commands, messages));
    let left = tui::run(init, inbox, outbox).await.map_err(Stop::internal)?;
    // Ends once the last command is on its way.
    let lets_go = obeying.await.unwrap_or(false);
    feeding.abort();
    if lets_go {
        let_go(dir).await?;
    }
    farewell(dir, left).await
}

/// Waits until an engine that was asked to let go has ended: only then the journal says how the run stands. It may refuse.
async fn let_go(dir: &RunDir) -> Result<(), Stop> {
    let patience = tokio::time::Instant::now() + LAST_WORDS;
    while holder(dir).map_err(Stop::internal)?.is_some() && tokio::time::Instant::now() < patience {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The run as it is once the engine that was called has journaled its start: from there on its clock is known.
async fn begun(dir: &RunDir, client: &Client) -> Result<(Runbook, RunState), Stop> {
    loop {
        let (book, state) = past::fold(dir).await?;
        if state.engine.as_ref().is_some_and(|engine| engine.pid == client.pid) || client.commands.is_closed() {
            return Ok((book, state));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn unreachable(dir: &RunDir, error: LinkError) -> Stop {
    let ended = past::fold(dir).await.is_ok_and(|(_, state)| state.ended.is_some());
    match error {
        LinkError::NoEngine { .. } if ended => Stop::new(
            code::USAGE,
            format!("run {0} is over: gonogo replay {0} shows it, gonogo report {0} tells it", dir.id()),
        ),
        LinkError::NoEngine { .. } => Stop::new(
            code::USAGE,
            format!("no engine holds run {0}: gonogo resume {0} takes it up, gonogo replay {0} shows it", dir.id()),
        ),
        LinkError::Unheard { .. } => Stop::new(code::REFUSED, error),
        other => Stop::internal(other),
    }
}

/// Passes on what the engine rings for, until the way to it is gone; then what is written until the engine itself is.
async fn feed(dir: RunDir, mut reader: Reader, mut client: Client, messages: mpsc::Sender<Message>) {
    let mut seq = 0;
    while let Some(down) = client.inbox.recv().await {
        let sent = match down {
            Down::Bell { .. } => read(&mut reader, &mut seq, &messages).await,
            Down::Progress(progress) => messages.send(Message::Progress(progress)).await.is_ok(),
            Down::Refused { why } => messages.send(Message::Told { good: false, text: why }).await.is_ok(),
            Down::Welcome { .. } => true,
        };
        if !sent {
            return;
        }
    }
    if unheard(&dir, client.pid, &mut reader, &mut seq, &messages).await && read(&mut reader, &mut seq, &messages).await
    {
        let why = "it has ended".to_owned();
        // The screen may be gone as well.
        let _ = messages.send(Message::Engine(Link::Stopped(why))).await;
    }
}

/// Waits until nobody holds the run. An engine that ends lets go soon after its socket; one that does not lives on unheard,
/// and what it writes is still read, as is what another engine writes that holds the run instead. `pid`: whom the screen
/// was connected to. True while the screen listens.
async fn unheard(dir: &RunDir, pid: u32, reader: &mut Reader, seq: &mut u64, messages: &mpsc::Sender<Message>) -> bool {
    let patience = tokio::time::Instant::now() + LAST_WORDS;
    let mut said = None;
    while let Ok(Some(holder)) = holder(dir) {
        let other = holder.pid.filter(|held| *held != pid);
        let late = tokio::time::Instant::now() > patience;
        let why = match other {
            Some(_) => Some(format!("another engine holds the run, {holder}: gonogo attach {}", dir.id())),
            None => late.then(|| format!("the connection to it broke, and it still holds the run (pid {pid})")),
        };
        if let Some(why) = why.filter(|why| said.as_ref() != Some(why)) {
            if messages.send(Message::Engine(Link::Lost(why.clone()))).await.is_err() {
                return false;
            }
            said = Some(why);
        }
        tokio::time::sleep(if said.is_some() { UNHEARD } else { LOOK }).await;
        if said.is_some() && !read(reader, seq, messages).await {
            return false;
        }
    }
    true
}

/// True while the screen listens.
async fn read(reader: &mut Reader, seq: &mut u64, messages: &mpsc::Sender<Message>) -> bool {
    loop {
        match reader.entries_after(*seq, PAGE).await {
            Ok(entries) => {
                let Some(last) = entries.last() else { return true };
                *seq = last.seq;
                if messages.send(Message::Entries(entries)).await.is_err() {
                    return false;
                }
            }
            Err(error) => {
                let told = Message::Told { good: false, text: error.to_string() };
                return messages.send(told).await.is_ok();
            }
        }
    }
}

/// Does what the screen wishes, until it is gone. True where its last wish was that the engine lets go of the run.
async fn obey(
    mut wishes: mpsc::Receiver<Out>,
    commands: mpsc::Sender<Command>,
    messages: mpsc::Sender<Message>,
) -> bool {
    let mut lets_go = false;
    while let Some(wish) = wishes.recv().await {
        let answer = match wish {
            Out::Send(command) => send(&commands, command).await,
            Out::Quit(Some(command)) => {
                lets_go = true;
                send(&commands, command).await
            }
            other => editor::obey(other).await,
        };
        if let Some(answer) = answer {
            // The screen may be gone.
            let _ = messages.send(answer).await;
        }
    }
    lets_go
}

async fn send(commands: &mpsc::Sender<Command>, command: Command) -> Option<Message> {
    let sent = commands.send(command).await;
    sent.err().map(|_| Message::Told { good: false, text: "the engine is gone: nothing was sent".to_owned() })
}

/// The last words on the ordinary terminal, and the exit code: by the signal that ended the screen, else by how the run stands.
async fn farewell(dir: &RunDir, left: ExitReason) -> Done {
    let (_, state) = past::fold(dir).await?;
    let alive = holder(dir).map_err(Stop::internal)?.is_some();
    if left != ExitReason::HangUp {
        say(&words(&dir.id(), &state, alive));
    }
    let signal = match left {
        ExitReason::Signal(signal) => u8::try_from(signal).ok(),
        ExitReason::HangUp => Some(HANG_UP),
        ExitReason::Left | ExitReason::Closed => None,
    };
    Ok(match (signal, &state.ended) {
        (Some(signal), _) => code::SIGNAL + signal,
        (None, Some((End::Done, ..))) => code::DONE,
        (None, Some((End::Failed, ..))) => code::FAILED,
        (None, Some((End::RolledBack, ..))) => code::ROLLED_BACK,
        (None, None) if alive => code::DONE,
        (None, None) => code::HELD,
    })
}

fn words(id: &str, state: &RunState, alive: bool) -> String {
    match &state.ended {
        Some((end, reason, _)) => {
            format!("run {id} is over, {}: {reason}\ngonogo report {id}", crate::run::words::end(*end))
        }
        None if alive => format!("run {id} goes on without this screen\ngonogo attach {id}"),
        None if state.hold.is_some() => format!("run {id} is held\ngonogo resume {id}"),
        None => format!("run {id} was interrupted: its engine is gone\ngonogo resume {id}"),
    }
}
