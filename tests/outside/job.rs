//! Jobs for executors, judges, and what came of them in a form to compare.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gonogo::engine::exec::{Act, CommandJob, Order, command, place};
use gonogo::run::{Attempt, Chunk, Direction, Facts, Fault, Judge, Outcome, Verdict};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub fn order() -> Order {
    Order {
        run: "run-1".to_owned(),
        attempt: Attempt { step: "backup".into(), direction: Direction::Forward, n: 1 },
        key_n: 1,
        environment: "staging".to_owned(),
        place: "window.toml:12".to_owned(),
    }
}

/// Patience is short, so that tests are.
pub fn job(act: Act, cwd: &Path) -> CommandJob {
    CommandJob {
        order: order(),
        act,
        cwd: cwd.to_owned(),
        env: Vec::new(),
        handed: Vec::new(),
        connect: None,
        stdin: None,
        timeout: None,
        grace: Duration::from_millis(300),
        drain: Duration::from_millis(300),
        produces: None,
        expect_sees_exit: false,
        record_dir: cwd.join("attempts"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_gonogo")),
    }
}

pub fn argv(words: &[&str]) -> Act {
    Act::Argv(words.iter().map(|&word| word.to_owned()).collect())
}

pub fn shell(script: &str) -> Act {
    Act::Shell(script.to_owned())
}

/// Expects nothing.
pub fn nothing(_: &Facts) -> Result<Option<Verdict>, Fault> {
    Ok(None)
}

/// Expects what `holds` says.
pub fn expects(holds: impl Fn(&Facts) -> bool + Send + Sync) -> impl Fn(&Facts) -> Result<Option<Verdict>, Fault> {
    move |facts| Ok(Some(Verdict { expect: "this".to_owned(), passed: holds(facts), saw: "that".to_owned() }))
}

/// The same work as an attempt of its own: no attempt is made twice.
pub fn again(job: &CommandJob) -> CommandJob {
    static N: AtomicU32 = AtomicU32::new(2);
    let mut job = job.clone();
    job.order.attempt.n = N.fetch_add(1, Ordering::Relaxed);
    job
}

/// Carries out, a second time as another attempt, and gives the outcome and everything that was shown.
pub async fn carry_out(job: &CommandJob, judge: &Judge) -> (Outcome, Vec<Chunk>) {
    let taken = place(&job.record_dir, &job.order.attempt).dir().exists();
    let job = if taken { again(job) } else { job.clone() };
    let (out, mut chunks) = mpsc::channel(4);
    let shown = async {
        let mut shown = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            shown.push(chunk);
        }
        shown
    };
    let work = async move { command(&job, &out, judge, CancellationToken::new()).await };
    tokio::join!(work, shown)
}

/// The text of one stream.
pub fn text(chunks: &[Chunk], wanted: &str) -> String {
    let piece = |chunk: &Chunk| match chunk {
        Chunk::Text { stream, text } if stream == wanted => text.clone(),
        _ => String::new(),
    };
    chunks.iter().map(piece).collect()
}

pub fn notices(chunks: &[Chunk]) -> Vec<String> {
    let piece = |chunk: &Chunk| match chunk {
        Chunk::Notice { text, .. } => Some(text.clone()),
        _ => None,
    };
    chunks.iter().filter_map(piece).collect()
}

pub fn fault(outcome: &Outcome) -> &Fault {
    match outcome {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault,
        other => panic!("no fault: {other:?}"),
    }
}

pub fn facts(outcome: &Outcome) -> &Facts {
    match outcome {
        Outcome::Done { facts, .. } | Outcome::Failed { facts: Some(facts), .. } => facts,
        other => panic!("no facts: {other:?}"),
    }
}
