//! Processes that a test did not start itself: engines and services that the program started, by their number.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal by its name: `TERM`, `HUP`, `KILL`, `STOP`, `CONT`. A process that is gone is no error.
pub fn signal(pid: u32, name: &str) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    let signal = match name {
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "INT" => Signal::INT,
        _ => Signal::TERM,
    };
    let _ = kill_process(pid, signal);
}

/// True while it runs; one that has ended and waits for its parent does not.
pub fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != "Z" && state != "X")
}

fn state(pid: u32) -> Option<String> {
    fields(pid)?.first().cloned()
}

/// The fields of /proc/PID/stat after the name, the state first.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Time on the processor so far, in ticks of the kernel's clock (a hundredth of a second). None: it is gone.
pub fn ticks(pid: u32) -> Option<u64> {
    let fields = fields(pid)?;
    let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some(number(11)? + number(12)?)
}

/// The processes whose command line holds this text.
fn with_words(text: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
    };
    numbers.filter(holds).collect()
}

/// Kills whatever still works in the folder of a test, and waits until it is gone: a test leaves nothing behind.
pub fn sweep(folder: &Path) {
    let words = folder.to_string_lossy().into_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left: Vec<u32> = with_words(&words).into_iter().filter(|pid| *pid != std::process::id() && runs(*pid)).collect();
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        left.iter().for_each(|pid| signal(*pid, "KILL"));
        std::thread::sleep(Duration::from_millis(10));
    }
}
