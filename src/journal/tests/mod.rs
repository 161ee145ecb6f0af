//! The journal on real files: what a test needs to make one.

mod chain;
mod children;
mod crash;
mod files;
mod list;
mod rewritten;
mod there;
mod write;

use std::path::Path;

use chrono::{TimeDelta, TimeZone, Utc};
use tempfile::TempDir;

use super::{Home, JournalError, Reader, RunDir, Writer};
use crate::run::event::{End, Mode, Opened, Resolved};
use crate::run::{Attempt, Chunk, Direction, Entry, Event, Facts, Moment, NoData, Outcome};
use crate::runbook::Source;

/// A journal folder that goes with the test.
struct Place {
    _temp: TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let home = Home::new(Some(&temp.path().join("runs"))).unwrap();
        Self { _temp: temp, home }
    }

    fn run(&self, id: &str) -> RunDir {
        RunDir::at(&self.home.path().join(id)).unwrap()
    }

    /// A run named `id` with these events, one transaction each, closed.
    async fn written(&self, id: &str, events: Vec<Event>) -> RunDir {
        let mut writer = Writer::create(&self.home, id).await.unwrap();
        for event in events {
            append(&mut writer, event).await.unwrap();
        }
        writer.close().await.unwrap();
        self.run(id)
    }
}

/// The moment of an entry: fixed, so that no test depends on a clock.
fn moment(second: u64) -> Moment {
    let start = Utc.with_ymd_and_hms(2024, 1, 31, 3, 40, 0).unwrap();
    Moment { wall: start + TimeDelta::seconds(i64::try_from(second).unwrap()), ms: second * 1000 }
}

async fn append(writer: &mut Writer, event: Event) -> Result<Entry, JournalError> {
    let at = moment(writer.head().count);
    Ok(writer.append(vec![(at, event)]).await?.remove(0))
}

async fn read_all(run: &RunDir) -> Vec<Entry> {
    Reader::open(run).await.unwrap().all().await.unwrap()
}

fn opened(run: &str) -> Event {
    Event::RunOpened(Box::new(Opened {
        format: crate::run::event::FORMAT,
        run: run.to_owned(),
        mode: Mode::Live,
        source: Source {
            name: "runbooks/cleanup.toml".to_owned(),
            text: "format = 1\ntitle = \"Database cleanup\"\n".to_owned(),
            ..Source::default()
        },
        environment: "staging".to_owned(),
        by: "dba@host".to_owned(),
        version: "0.1.0".to_owned(),
        ..Opened::default()
    }))
}

fn note(text: &str) -> Event {
    Event::NoteAdded { by: "dba@host".to_owned(), text: text.to_owned(), step: None }
}

fn engine() -> Event {
    Event::EngineStarted {
        pid: 41,
        host: "host".to_owned(),
        boot: "b".to_owned(),
        zero_ms: 0,
        by: "dba@host".to_owned(),
    }
}

fn attempt(step: &str) -> Attempt {
    Attempt { step: step.into(), direction: Direction::Forward, n: 1 }
}

fn started(step: &str, resolved: Resolved) -> Event {
    Event::StepStarted { attempt: attempt(step), resolved, by: "dba@host".to_owned() }
}

fn done(step: &str) -> Event {
    let facts = Facts { value: Some(0.1.into()), rows: Some(1), ms: 12, ..Facts::default() };
    Event::StepEnded { attempt: attempt(step), outcome: Outcome::Done { facts: Box::new(facts), verdict: None } }
}

fn sample(value: Result<f64, NoData>) -> Event {
    Event::SampleTaken { probe: "errors".to_owned(), value, took_ms: 3 }
}

fn ended(end: End) -> Event {
    Event::RunEnded { end, reason: "all steps are done".to_owned() }
}

/// One of most things that a run says, with text that is hard to keep.
fn story(run: &str) -> Vec<Event> {
    let text =
        Chunk::Text { stream: "out".to_owned(), text: "ünïcode \u{202e} \u{0} \x1b[31m \"quoted\" \\ \n".to_owned() };
    vec![
        opened(run),
        engine(),
        started("count", Resolved::Wait { ms: 5 }),
        Event::Output { attempt: attempt("count"), chunk: text },
        done("count"),
        sample(Ok(0.1 + 0.2)),
        sample(Err(NoData::new("refused"))),
        note("looks fine"),
        ended(End::Done),
    ]
}

/// Changes a journal behind its back.
async fn tamper(db: &Path, sql: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(db).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}
