//! The journal's disk: its system calls fail, or kill the engine, one after the other (strace injects them).

use std::process::Command;

use super::chance::Chance;
use super::figures::Figures;
use super::kills::one_run;
use super::times;
use super::world::World;

/// What SQLite writes its file with.
const CALLS: &[&str] = &["pwrite64", "fdatasync", "fsync", "ftruncate"];
const FATES: &[&str] = &["signal=SIGKILL", "error=ENOSPC", "error=EIO"];
/// The calls of one kind that a whole run makes in its busiest thread, about.
const MOST: u64 = 260;

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_journal_fails() {
    if !may_inject() {
        println!("SKIPPED: strace is not there, or may not trace");
        return;
    }
    let mut chance = Chance::new("every_call_of_the_journal_fails");
    let figures = Figures::new("the journal's system calls: killed, ENOSPC, EIO");
    for call in CALLS {
        for fate in FATES {
            for _ in 0..times(1, 25) {
                let nth = 1 + chance.below(if *call == "pwrite64" { MOST } else { MOST / 8 });
                let Some(world) = World::new(chance.once_in(2)).await else { return };
                let inject = format!("inject={call}:{fate}:when={nth}");
                let aim = |command: Command| traced(&command, call, &inject);
                let before = figures.get("runs");
                one_run(&world, world.back, &mut chance, &figures, Some(&aim)).await;
                assert_eq!(figures.get("runs"), before + 1);
                figures.count(format!("{call} {fate}"));
            }
        }
    }
    figures.publish();
    assert_eq!((figures.get("lost"), figures.get("doubled")), (0, 0), "{figures:?}");
}

fn may_inject() -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// The same command under strace.
fn traced(command: &Command, call: &str, inject: &str) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", inject]);
    traced.arg(command.get_program()).args(command.get_args());
    traced.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    traced
}
