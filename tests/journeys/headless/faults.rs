//! A journal that was damaged, that cannot be written, or whose disk is full: said in words, and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::headless::{Desk, Ran, Running};

use super::story::{journal, started};
use super::{bare, desk};

const HELD: &str = "[[phase.step]]\nid = \"hello\"\nrun = [\"echo\", \"a-word-to-be-damaged\"]\n\
                    [[phase.step]]\nid = \"who\"\nchecklist = [{ ask = \"Who?\", answer = \"required\" }]\n";

/// The last place of a text in a file.
fn find(path: &Path, text: &str) -> Option<usize> {
    let bytes = fs::read(path).ok()?;
    bytes.windows(text.len()).rposition(|window| window == text.as_bytes())
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_named_and_refused() {
    let desk = desk();
    desk.write("runbook.toml", &bare(HELD));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["audit"]).exits(0);
    let told = journal(&desk.run_dir());
    let says =
        |entry: &&gonogo::run::Entry| serde_json::to_string(&entry.event).unwrap().contains("a-word-to-be-damaged\\n");
    let seq = told.iter().find(says).expect("its output").seq;
    let db = desk.run_dir().join("journal.db");
    let at = find(&db, "a-word-to-be-damaged\\n").expect("in the file, not only in its log");
    flip(&db, at);
    let words = format!("entry {seq} of the journal is bad");
    desk.run(&["audit"]).exits(1).says(&words).says(&format!("Entries 1 to {} are good", seq - 1));
    desk.run(&["audit", "--json"]).exits(1).says(&format!("\"seq\":{seq}"));
    let refused = desk.run(&["resume", "last", "--headless", "--yes"]).says(&words);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    desk.run(&["report"]).exits(6).says(&words).says("--valid-prefix`, and `replay`, read what is good");
    let good = format!("Only entries 1 to {} prove themselves", seq - 1);
    desk.run(&["report", "--valid-prefix"]).exits(0).says(&good).says("# A journey");
    desk.run(&["audit", "--valid-prefix"]).exits(1).says(&format!("the entries before it: anchor {}:", seq - 1));
    flip(&db, at);
    desk.run(&["audit"]).exits(0);
}

/// What a headless run said last, and its report, prove its journal later.
#[test]
fn an_anchor_shows_a_tail_that_was_cut() {
    let desk = desk();
    desk.write("runbook.toml", &bare(HELD));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    let anchor = ran.out.lines().last().and_then(|line| line.trim().strip_prefix("anchor")).expect("said last").trim();
    desk.run(&["report"]).exits(0).says(anchor);
    desk.run(&["audit", "--anchor", anchor]).exits(0).says("the chain holds, and it is the one the anchor of entry");
    desk.run(&["audit", "--anchor", anchor, "--json"]).exits(0).says(&format!("\"against\":\"{anchor}\""));
    desk.run(&["audit", "--anchor", "12"]).exits(2).says("is not an anchor");
    // Another end of the same length, and one that the journal has not reached.
    let (count, head) = anchor.split_once(':').unwrap();
    let zeros = "0".repeat(64);
    desk.run(&["audit", "--anchor", &format!("{count}:{zeros}")]).exits(1).says("was rewritten here or before");
    let more = count.parse::<u64>().unwrap() + 3;
    let longer = desk.run(&["audit", "--anchor", &format!("{more}:{head}")]).exits(1);
    longer.says(&format!("the journal ends at entry {count}, the anchor knows {more}"));
}

/// What an engine has left is one file: whoever copies it has all of it.
#[test]
fn a_copied_journal_is_whole() {
    let desk = desk();
    desk.write("runbook.toml", &bare(HELD));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    let whole = journal(&desk.run_dir());
    fs::copy(desk.run_dir().join("journal.db"), desk.path("copy.db")).unwrap();
    let copy = desk.path("copy.db");
    desk.run(&["audit", copy.to_str().unwrap()]).exits(0).says(&format!("{} entries", whole.len()));
    desk.run(&["report", copy.to_str().unwrap()]).exits(0).says("| `hello` | hello (run) | done |");
}

/// Runs a script in a mount namespace of its own; `$1` is the program, `$2` an empty folder for the journal. None where
/// the system does not allow it.
fn in_a_namespace(desk: &Desk, script: &str) -> Option<Ran> {
    let allowed = Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|output| output.status.success());
    if !allowed {
        println!("SKIPPED: this system allows no mount namespaces (unshare -Urm)");
        return None;
    }
    fs::create_dir_all(desk.path("disk")).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_gonogo"));
    let mut command = desk.command(&[]);
    let (path, home) = (std::env::var("PATH").unwrap(), desk.path("").to_str().unwrap().to_owned());
    command = {
        let mut unshare = Command::new("unshare");
        unshare.args(["-Urm", "sh", "-c", script, "sh"]).arg(program).arg(desk.path("disk"));
        unshare.current_dir(command.get_current_dir().unwrap()).env_clear();
        unshare.env("PATH", path).env("HOME", &home).env("TMPDIR", &home).env("USER", "tester");
        unshare
    };
    Some(Running::spawn(command).end())
}

#[test]
fn a_journal_folder_that_cannot_be_written() {
    let desk = desk();
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"act\"\nrun = [\"touch\", \"acted\"]\n"));
    let script =
        "mount -t tmpfs -o ro none \"$2\" || exit 99; \"$1\" run runbook.toml --headless --yes --journal \"$2/runs\"";
    let Some(ran) = in_a_namespace(&desk, script) else { return };
    ran.exits(2).says("cannot create the journal folder").says("Read-only file system");
    assert!(!desk.path("acted").exists());
    // A path that leads through a file.
    desk.write("file", "");
    desk.run(&["run", "runbook.toml", "--headless", "--yes", "--journal", "file/runs"])
        .exits(2)
        .says("cannot create the journal folder");
    desk.run(&["runs", "--journal", "file/runs"]).exits(2).says("file/runs");
}

/// Steps whose output fills a small disk; each says in a file that it ran.
fn wordy(steps: usize) -> String {
    let one = |n: usize| format!("[[phase.step]]\nid = \"s{n}\"\nshell = \"echo {n} >> ran; seq 1 20000\"\n");
    bare(&(0..steps).map(one).collect::<String>())
}

#[test]
fn a_full_disk_holds_and_goes_on_with_room() {
    let desk = desk();
    desk.write("runbook.toml", &wordy(60));
    let script = "mount -t tmpfs -o size=5m none \"$2\" || exit 99; J=\"--journal $2/runs\"; \
                  \"$1\" run runbook.toml --headless --yes $J > first 2>&1; echo first $?; cp ran ran-first; \
                  \"$1\" resume last --headless --yes $J > second 2>&1; echo second $?; \
                  mount -o remount,size=64m \"$2\"; \"$1\" audit $J; \
                  \"$1\" resume last --headless --yes $J > third 2>&1; echo third $?; \"$1\" audit $J; cp -r \"$2/runs\" journal";
    let Some(ran) = in_a_namespace(&desk, script) else { return };
    let said = |name: &str| fs::read_to_string(desk.path(name)).unwrap_or_default();
    let end = |name: &str| {
        said(name).lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    let all = format!("{ran:?}\n── first\n{}\n── second\n{}\n── third\n{}", end("first"), end("second"), end("third"));
    assert!(ran.out.contains("first 4"), "held, and can be taken up: {all}");
    assert!(said("first").contains("held: the journal's disk is full; make room, then resume"), "{all}");
    assert!(!ran.out.contains("second 0"), "no room yet: {all}");
    assert!(ran.out.contains("third 0"), "{all}");
    assert_eq!(ran.out.matches("the chain holds").count(), 2, "{all}");
    assert!(said("ran-first").lines().count() < 60, "{all}");
    let each: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(said("ran").lines().collect::<Vec<_>>(), each, "every step ran once: {all}");
    assert_eq!(started(&journal(&desk.run_dir())).len(), 60);
}
