//! Tests that need a process of their own start this very test program again: one "test" per part a child can play. Without its
//! variable in the environment such a test does nothing.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::super::{Home, JournalError, Reader, RunDir, Writer};
use super::{append, note, opened, read_all};

const VARIABLE: &str = "GONOGO_TEST_PLACE";
/// What a child says first: it could start, all that follows is no longer the system's fault.
const HERE: &str = "here";

/// This program again, as `part` of this file, working on `place`.
pub(super) fn child(part: &str, place: &Path) -> Command {
    wrapped(&[], part, place)
}

/// The same behind `before`, a command that ends by running what follows it.
pub(super) fn wrapped(before: &[&str], part: &str, place: &Path) -> Command {
    let own = env::current_exe().unwrap();
    let name = format!("journal::tests::children::{part}");
    let rest = [OsStr::new(&name), OsStr::new("--exact"), OsStr::new("--nocapture"), OsStr::new("--test-threads=1")];
    let mut argv: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
    argv.push(own.as_os_str());
    argv.extend(rest);
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).env(VARIABLE, place);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As a user who is not root; who is not root already stays.
pub(super) fn unprivileged(mut command: Command) -> Command {
    const NOBODY: u32 = 65534;
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// What a child says, line by line; the harness's own lines left out.
pub(super) struct Says(Lines<BufReader<ChildStdout>>);

impl Says {
    pub(super) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()).lines())
    }
}

impl Iterator for Says {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let line = self.0.next()?.ok()?;
            // The harness writes `test name ... ` without a line end before the first of ours.
            if let Some((_, said)) = line.split_once("say ") {
                return Some(said.to_owned());
            }
        }
    }
}

/// Runs a child to its end: what it said; none where this system does not let it run (said on standard error).
pub(super) fn run(mut command: Command, needs: &str) -> Option<Vec<String>> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("SKIPPED: {needs}: {error}");
            return None;
        }
    };
    drop(child.stdin.take());
    let mut said: Vec<String> = Says::of(&mut child).collect();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    let ended = child.wait().unwrap();
    if said.first().map(String::as_str) != Some(HERE) {
        eprintln!("SKIPPED: {needs}: {ended}: {complaint}");
        return None;
    }
    assert!(ended.success(), "{said:?} {complaint}");
    Some(said.split_off(1))
}

fn place() -> Option<PathBuf> {
    env::var_os(VARIABLE).map(PathBuf::from)
}

fn say(words: &str) {
    println!("say {words}");
}

/// Appends for ever, saying each entry that was answered.
#[tokio::test]
async fn appends() {
    let Some(place) = place() else { return };
    let mut writer = Writer::open(&RunDir::at(&place).unwrap()).await.unwrap();
    loop {
        let entry = append(&mut writer, note("again")).await.unwrap();
        say(&entry.seq.to_string());
    }
}

/// Takes the run up, says how that went, keeps it until its input ends.
#[tokio::test]
async fn takes_up() {
    let Some(place) = place() else { return };
    let taken = Writer::open(&RunDir::at(&place).unwrap()).await;
    match &taken {
        Ok(_) => say("won"),
        Err(error @ JournalError::Held { .. }) => say(&format!("lost: {error}")),
        Err(error) => say(&format!("failed: {error}")),
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Makes a run with everything in it.
#[tokio::test]
async fn creates() {
    let Some(place) = place() else { return };
    let mut writer = Writer::create(&Home::new(Some(&place)).unwrap(), "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    writer.dir().open_log().unwrap();
    say("made");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Proves a journal and reads it, from where nothing may be written.
#[tokio::test]
async fn reads() {
    let Some(place) = place() else { return };
    say(HERE);
    let run = RunDir::at(&place).unwrap();
    let end = Reader::open(&run).await.unwrap().verify().await.unwrap();
    assert_eq!(read_all(&run).await.len() as u64, end.count);
    say(&end.to_string());
}

/// Writes up to the largest file it may write: it is told in time to stop, has room for an end, and is not killed.
#[tokio::test]
async fn reaches_its_limit() {
    let Some(place) = place() else { return };
    say(HERE);
    let mut writer = Writer::create(&Home::new(Some(&place)).unwrap(), "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    let big = "x".repeat(64 * 1024);
    while !writer.is_full() {
        append(&mut writer, note(&big)).await.unwrap();
    }
    let warned = writer.head().count;
    append(&mut writer, note("the end of what ran")).await.unwrap();
    let full = loop {
        match append(&mut writer, note(&big)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(full.is_full(), "{full:?}");
    let answered = writer.head();
    assert!(answered.count > warned + 4, "room for an end");
    let run = writer.dir().clone();
    drop(writer);
    assert_eq!(Reader::open(&run).await.unwrap().verify().await.unwrap(), answered);
    say(&full.to_string());
}

/// Fills the disk: the reserve saves the first entry that did not fit, then nothing is taken any more.
#[tokio::test]
async fn fills() {
    let Some(place) = place() else { return };
    say(HERE);
    let mut writer = Writer::create(&Home::new(Some(&place)).unwrap(), "r").await.unwrap();
    append(&mut writer, opened("r")).await.unwrap();
    let big = "x".repeat(64 * 1024);
    while !writer.is_full() {
        append(&mut writer, note(&big)).await.unwrap();
    }
    let rescued = writer.head().count;
    let full = loop {
        match append(&mut writer, note(&big)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(full.is_full(), "{full:?}");
    assert!(!writer.dir().path().join("reserve").exists());
    assert!(matches!(append(&mut writer, note("x")).await, Err(JournalError::Poisoned)));
    let answered = writer.head();
    let run = writer.dir().clone();
    drop(writer);
    assert!(answered.count > rescued && rescued > 4);
    assert_eq!(Reader::open(&run).await.unwrap().verify().await.unwrap(), answered);
    let again = Writer::open(&run).await.err().unwrap();
    assert!(again.is_full(), "{again}");
    std::fs::remove_file(place.join("ballast")).unwrap();
    append(&mut Writer::open(&run).await.unwrap(), note("room again")).await.unwrap();
    say(&full.to_string());
}
