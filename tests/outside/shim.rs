//! The shim by itself, as it is where no engine is left: its time limit, its bounds, what it names, whom it refuses.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gonogo::child::shim::{Ended, Follower, HEAD, Place, Standing, TAIL, Which};
use gonogo::engine::exec::{command, place};
use gonogo::run::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{argv, fault, job, nothing, shell};
use crate::wait;

fn made(folder: &Path) -> Place {
    let place = Place::of(&folder.join("attempts"), "a.forward.1");
    place.create().expect("made");
    place
}

fn start(place: &Place, options: &[&str], script: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command.arg("shim").arg(place.dir()).args(["--drain", "300"]).args(options);
    command.args(["--", "bash", "-c", script]).current_dir(place.dir());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("started")
}

async fn ended(place: &Place) -> Ended {
    // To ask how it stands before it began would fence it off.
    wait::until("the end", || matches!(place.ended(), Ok(Some(_)))).await;
    wait::until("the lock", || matches!(place.look(), Ok(Standing::Ended(_)))).await;
    place.ended().expect("readable").expect("ended")
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("it runs");
}

fn peak_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[tokio::test]
async fn its_time_limit_needs_no_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    let mut shim = start(&place, &["--timeout", "300", "--grace", "200"], script);
    let ended = ended(&place).await;
    assert!(ended.timed_out);
    assert_eq!(ended.exit().and_then(|exit| exit.signal()), Some(9), "it was deaf to TERM");
    assert!(!place.started().expect("readable").expect("started").lives());
    assert!(shim.wait().expect("waited").success());
}

#[tokio::test]
async fn hang_ups_and_polite_signals_do_not_end_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    let mut shim = start(&place, &[], "until [ -e go ]; do sleep 0.05; done; exit 3");
    wait::until("its start", || place.started().is_ok_and(|one| one.is_some_and(|one| one.child.is_some()))).await;
    for one in [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT] {
        signal(shim.id(), one);
    }
    assert_eq!(place.look().expect("looked"), Standing::Held);
    fs::write(place.file("go"), "").expect("written");
    assert_eq!(ended(&place).await.exit().and_then(|exit| exit.code()), Some(3));
    assert!(shim.wait().expect("waited").success());
}

#[tokio::test]
async fn a_gigabyte_costs_neither_memory_nor_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    let script = "head -c 1000000000 /dev/zero; echo last; until [ -e go ]; do sleep 0.05; done";
    let mut shim = start(&place, &[], script);
    let tail = place.file("out.tail");
    let is_last = || fs::read(&tail).is_ok_and(|bytes| bytes.ends_with(b"last\n"));
    wait::until("the last word", is_last).await;
    let peak = peak_kib(shim.id()).expect("it runs");
    fs::write(place.file("go"), "").expect("written");
    ended(&place).await;
    assert!(shim.wait().expect("waited").success());
    assert!(peak < 100 * 1024, "{peak} KiB");
    assert_eq!(fs::metadata(place.file("out")).expect("there").len(), HEAD);
    assert!(fs::metadata(&tail).expect("there").len() <= TAIL as u64 + 32);
    let mut follower = Follower::new(&place);
    let mut read = 0;
    while let Some((_, piece)) = follower.piece().expect("read") {
        read += piece.len() as u64;
    }
    let rest = follower.rest(Which::Out).expect("read");
    assert_eq!(read + rest.lost + rest.bytes.len() as u64, 1_000_000_005);
}

#[tokio::test]
async fn grandchildren_in_other_sessions_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    // One in the command's session, one in its own, neither at the command's output.
    let script = "sleep 300 >/dev/null 2>&1 & echo $! > one; \
                  setsid bash -c 'echo $$ > two; exec sleep 300' >/dev/null 2>&1 & until [ -s two ]; do sleep 0.05; done";
    start(&place, &[], script).wait().expect("waited");
    let ended = ended(&place).await;
    assert!(!ended.held);
    let mut named: Vec<u32> = ended.left.iter().map(|left| left.pid).collect();
    let number =
        |name: &str| fs::read_to_string(place.file(name)).expect("there").trim().parse::<u32>().expect("a pid");
    let mut wanted = vec![number("one"), number("two")];
    for pid in &wanted {
        signal(*pid, Signal::KILL);
    }
    named.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(named, wanted);
}

#[tokio::test]
async fn a_fence_and_an_earlier_start_are_respected() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    assert_eq!(place.look().expect("looked"), Standing::NeverStarted);
    assert!(!start(&place, &[], "touch done").wait().expect("waited").success());
    assert!(!place.file("done").exists() && !place.file("started").exists());

    let place = Place::of(&folder.path().join("attempts"), "a.forward.2");
    place.create().expect("made");
    assert!(start(&place, &[], "echo x >> done").wait().expect("waited").success());
    assert!(!start(&place, &[], "echo x >> done").wait().expect("waited").success(), "a second shim");
    assert_eq!(fs::read_to_string(place.file("done")).expect("there"), "x\n");
}

#[tokio::test]
async fn planted_links_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    let touch = job(argv(&["touch", "done"]), folder.path());
    let spot = place(&touch.record_dir, &touch.order.attempt);
    for planted in [touch.record_dir.as_path(), spot.dir()] {
        let _ = fs::create_dir_all(planted.parent().expect("a folder"));
        std::os::unix::fs::symlink(&elsewhere, planted).expect("linked");
        let (out, _chunks) = mpsc::channel(8);
        let outcome = command(&touch, &out, &nothing, CancellationToken::new()).await;
        assert!(matches!(outcome, Outcome::Broke { .. }), "{outcome:?}");
        assert_eq!(fault(&outcome).safe, "nothing was started");
        assert!(!folder.path().join("done").exists());
        assert!(fs::read_dir(&elsewhere).expect("read").next().is_none());
        fs::remove_file(planted).expect("removed");
    }
}

#[tokio::test]
async fn a_dropped_command_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let gated = job(shell("echo ready; until [ -e go ]; do sleep 0.05; done; exit 5"), folder.path());
    let (out, mut chunks) = mpsc::channel(8);
    tokio::select! {
        outcome = command(&gated, &out, &nothing, CancellationToken::new()) => panic!("it ended: {outcome:?}"),
        chunk = chunks.recv() => assert!(chunk.is_some()),
    }
    let place = place(&gated.record_dir, &gated.order.attempt);
    assert_eq!(place.look().expect("looked"), Standing::Held);
    fs::write(folder.path().join("go"), "").expect("written");
    assert_eq!(ended(&place).await.exit().and_then(|exit| exit.code()), Some(5));
}

#[tokio::test]
async fn the_command_has_a_session_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = made(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command.arg("shim").arg(place.dir()).args(["--", "bash", "-c", "until [ -e go ]; do sleep 0.05; done"]);
    let mut shim = command.current_dir(place.dir()).spawn().expect("started");
    wait::until("its start", || place.started().is_ok_and(|one| one.is_some())).await;
    let child = || place.started().ok().flatten().and_then(|one| one.child);
    wait::until("its command", || child().is_some()).await;
    let group = child().map(|child| gonogo::child::proc::stat(child.pid).map(|stat| stat.session)).expect("a session");
    assert_ne!(group, Some(shim.id()), "the command has a session of its own");
    fs::write(place.file("go"), "").expect("written");
    ended(&place).await;
    assert!(shim.wait().expect("waited").success());
}
