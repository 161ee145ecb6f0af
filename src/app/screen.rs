//! The screen joined to a running engine: the journal's entries go in, commands go out.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::app::open::usage;
use crate::app::{Done, Stop, code, editor, past, say, terminal, who};
use crate::cli::{Look, OneRun};
use crate::engine::clock::RunClock;
use crate::journal::{Home, Reader, RunDir};
use crate::link::{Client, Down, LinkError};
use crate::run::event::End;
use crate::run::{Command, RunState};
use crate::tui::{self, ExitReason, Init, Link, Message, Mode, Model, Out};

/// Entries read from the journal at once.
const PAGE: u32 = 1_000;
/// Messages that wait for the screen.
const QUEUE: usize = 256;

pub async fn attach(args: &OneRun, writes: bool) -> Done {
    terminal::need(false)?;
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find(&args.run).await.map_err(usage)?;
    attach_to(&dir, &args.look, writes).await
}

/// The screen of a run whose engine is running already.
pub async fn attach_to(dir: &RunDir, look: &Look, writes: bool) -> Done {
    let client = Client::connect(dir.path(), &who(), !writes).await.map_err(|error| unreachable(dir, error))?;
    show(dir, look, client, writes).await
}

/// Shows the run until the operator leaves; the run does not depend on it.
pub async fn live(dir: &RunDir, look: &Look, client: Client) -> Done {
    show(dir, look, client, true).await
}

async fn show(dir: &RunDir, look: &Look, client: Client, writes: bool) -> Done {
    let (book, state) = past::fold(dir).await?;
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
    let feeding = tokio::spawn(feed(reader, client, messages.clone()));
    let obeying = tokio::spawn(obey(wishes, commands, messages));
    let left = tui::run(init, inbox, outbox).await.map_err(Stop::internal)?;
    // Ends once the last command is on its way.
    let _ = obeying.await;
    feeding.abort();
    farewell(dir, left).await
}

fn unreachable(dir: &RunDir, error: LinkError) -> Stop {
    match error {
        LinkError::NoEngine { .. } => Stop::new(
            code::USAGE,
            format!("no engine holds run {0}: gonogo resume {0} takes it up, gonogo replay {0} shows it", dir.id()),
        ),
        other => Stop::internal(other),
    }
}

/// Passes on what the engine rings for, until the engine is gone; then what it wrote last.
async fn feed(mut reader: Reader, mut client: Client, messages: mpsc::Sender<Message>) {
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
    if read(&mut reader, &mut seq, &messages).await {
        let why = "the engine has ended".to_owned();
        // The screen may be gone as well.
        let _ = messages.send(Message::Engine(Link::Stopped(why))).await;
    }
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

/// Does what the screen wishes, until it is gone.
async fn obey(mut wishes: mpsc::Receiver<Out>, commands: mpsc::Sender<Command>, messages: mpsc::Sender<Message>) {
    while let Some(wish) = wishes.recv().await {
        let answer = match wish {
            Out::Send(command) | Out::Quit(Some(command)) => send(&commands, command).await,
            other => editor::obey(other).await,
        };
        if let Some(answer) = answer {
            // The screen may be gone.
            let _ = messages.send(answer).await;
        }
    }
}

async fn send(commands: &mpsc::Sender<Command>, command: Command) -> Option<Message> {
    let sent = commands.send(command).await;
    sent.err().map(|_| Message::Told { good: false, text: "the engine is gone: nothing was sent".to_owned() })
}

/// The last words on the ordinary terminal, and the exit code by how the run stands.
async fn farewell(dir: &RunDir, left: ExitReason) -> Done {
    let (_, state) = past::fold(dir).await?;
    if left != ExitReason::HangUp {
        say(&words(&dir.id(), &state));
    }
    Ok(match &state.ended {
        Some((End::Done, ..)) => code::DONE,
        Some((End::Failed, ..)) => code::FAILED,
        Some((End::RolledBack, ..)) => code::ROLLED_BACK,
        None if state.engine.as_ref().is_some_and(|engine| engine.running) => code::DONE,
        None => code::HELD,
    })
}

fn words(id: &str, state: &RunState) -> String {
    match &state.ended {
        Some((end, reason, _)) => {
            format!("run {id} is over, {}: {reason}\ngonogo report {id}", crate::run::words::end(*end))
        }
        None if state.engine.as_ref().is_some_and(|engine| engine.running) => {
            format!("run {id} goes on without this screen\ngonogo attach {id}")
        }
        None => format!("run {id} is held\ngonogo resume {id}"),
    }
}
