//! Tells people, beside the run: a webhook or a command, each at most once, bounded in time. What became of it is a fact of
//! the run like any other, and nothing waits for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use super::doors::Doors;
use crate::child::{self, Sign, Tail};
use crate::net;
use crate::run::decide::Input;
use crate::run::{Entry, Event, RunState, tell};
use crate::runbook::{Channel, ChannelTo, Runbook, Tell};

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages under way at once: a run that fails again and again must not flood anybody.
const MOST: usize = 16;
/// Bytes kept of what a command says of its failure.
const KEPT: usize = 4_096;

/// Messages that are under way.
#[derive(Default)]
pub struct Teller {
    under_way: usize,
}

impl Teller {
    /// True where nothing is under way.
    pub fn is_silent(&self) -> bool {
        self.under_way == 0
    }

    /// Tells whoever is to be told of a committed entry.
    pub fn tell(&mut self, book: &Runbook, state: &RunState, doors: &Doors, entry: &Entry) {
        if matches!(entry.event, Event::Told { .. }) {
            self.under_way = self.under_way.saturating_sub(1);
        }
        let Some(moment) = tell::moment(entry) else { return };
        for channel in tell::whom(book, &state.opened, moment) {
            let letter = Letter {
                text: tell::words(book, &state.opened, entry),
                tell: moment,
                of: entry.seq,
                channel: channel.clone(),
                doors: doors.clone(),
            };
            let free = self.under_way < MOST;
            self.under_way += 1;
            tokio::spawn(letter.send(free));
        }
    }
}

struct Letter {
    channel: Channel,
    tell: Tell,
    /// The entry it is about.
    of: u64,
    text: String,
    doors: Doors,
}

impl Letter {
    async fn send(self, free: bool) {
        let sent = match free {
            false => Err("too many messages are under way".to_owned()),
            true => match tokio::time::timeout(PATIENCE, self.carry()).await {
                Ok(sent) => sent,
                Err(_) => Err(format!("no answer in {}", humantime::format_duration(PATIENCE))),
            },
        };
        let (channel, tell, of) = (self.channel.id, self.tell, self.of);
        let told = Event::Told { channel, tell, of, error: sent.err() };
        // The engine is gone where nobody listens.
        let _ = self.doors.reports().send(Input::Fact(told)).await;
    }

    async fn carry(&self) -> Result<(), String> {
        match &self.channel.to {
            ChannelTo::Slack(url) => {
                post(self.doors.address(url).await?, json!({ "text": self.text }).to_string()).await
            }
            ChannelTo::Webhook(url) => {
                let body = body(&self.doors, self.tell.word(), &self.text);
                post(self.doors.address(url).await?, body).await
            }
            ChannelTo::Command(argv) => {
                let argv = self.doors.arguments(argv)?;
                command(argv, &self.text, &self.doors).await
            }
        }
    }
}

/// The whole letter: what was told, when, and of which run.
pub fn body(doors: &Doors, event: &str, text: &str) -> String {
    json!({
        "run": doors.run(),
        "runbook": doors.book().id,
        "environment": doors.environment(),
        "event": event,
        "text": text,
        "at": Utc::now().to_rfc3339(),
    })
    .to_string()
}

async fn post(url: SecretString, body: String) -> Result<(), String> {
    let url = net::address(url.expose_secret())?;
    let client = net::client(&url, false, net::CONNECT)?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|error| net::reason(&error))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("HTTP {}", status.as_u16())),
    }
}

/// Dropped before its end, it kills the command.
async fn command(argv: Vec<String>, text: &str, doors: &Doors) -> Result<(), String> {
    let letter = Paper::write(&doors.records(), text).map_err(|error| format!("the text cannot be kept: {error}"))?;
    let spec = child::Spec {
        argv,
        cwd: doors.cwd().clone(),
        stdin: Some(letter.0.clone()),
        drain: child::DRAIN,
        ..child::Spec::default()
    };
    let mut running = child::spawn(&spec).map_err(|error| error.to_string())?;
    let (mut status, mut said) = (None, Tail::new(KEPT));
    loop {
        match running.next().await.map_err(|error| error.to_string())? {
            Sign::Exited(exit) => status = Some(exit),
            Sign::Closed { .. } => break,
            Sign::Err(piece) => said.push(&piece),
            Sign::Out(_) => {}
        }
    }
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("the command {}: {}", child::ending(status).1, said.text().trim())),
        None => Err("the command is lost".to_owned()),
    }
}

/// A private file with the text, for as long as it is needed.
struct Paper(PathBuf);

impl Paper {
    fn write(folder: &Path, text: &str) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("letter-{}", Uuid::now_v7()));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for Paper {
    fn drop(&mut self) {
        // Whatever lies in the run's private folder is swept when the run is taken up.
        let _ = std::fs::remove_file(&self.0);
    }
}
