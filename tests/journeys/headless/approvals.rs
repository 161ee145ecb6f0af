//! Environments that want several people's word, or a rehearsal: what is refused, what counts, what the journal keeps of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use gonogo::run::Event;
use gonogo::run::event::Opened;
use support::headless::Desk;

use super::desk;
use super::story::journal;

const HEAD: &str = "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[vars]\nsize = 5\n[environments.staging]\n[environments.production]\n";
const REST: &str = "[[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n[[phase.step]]\nid = \"one\"\nrun = [\"true\"]\nundo = \"none needed\"\n";
const RUN: [&str; 6] = ["run", "book", "--env", "production", "--headless", "--yes"];

/// A desk with a shared folder of approvals, and a runbook whose production says `keys`.
fn scene(keys: &str) -> Desk {
    let desk = desk();
    let folder = desk.path("approvals");
    fs::create_dir(&folder).unwrap();
    desk.write("book/runbook.toml", &format!("{HEAD}{keys}{REST}"));
    desk.with("GONOGO_APPROVALS", folder.display().to_string())
}

fn approve(desk: &Desk, more: &[&str]) {
    let args = [&["approve", "book", "--env", "production", "--yes"], more].concat();
    desk.run(&args).exits(0).says("approved by");
}

fn papers(desk: &Desk) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(desk.path("approvals")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// What the live runs so far say of values that their rehearsal had otherwise; nothing for those with the same ones.
fn otherwise(desk: &Desk) -> Vec<String> {
    let folders = fs::read_dir(desk.journal()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let opened = folders.filter_map(|run| match journal(&run).into_iter().next()?.event {
        Event::RunOpened(opened) => Some(opened),
        _ => None,
    });
    opened.filter_map(|opened| opened.rehearsed).flat_map(|last| last.other_values).collect()
}

fn opened(desk: &Desk) -> Opened {
    let entries = journal(&desk.run_dir());
    match &entries[0].event {
        Event::RunOpened(opened) => (**opened).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_people_approve_this_very_runbook() {
    let desk = scene("approvals = 2\n");
    desk.run(&["check", "book", "--env", "production"]).exits(0).says("warn").says("wants 2 people");
    desk.run(&RUN).exits(6).says("wants 2 people to approve this very runbook").says("and 0 have: nobody");
    approve(&desk, &[]);
    // One person twice is one person.
    approve(&desk, &["--note", "looked twice"]);
    desk.run(&RUN).exits(6).says("and 1 have: ");
    assert!(!desk.journal().exists(), "nothing was opened");
    let paper = papers(&desk).remove(0);
    if chown(&paper, Some(65_534), None).is_err() {
        // Only root can play two people.
        return;
    }
    desk.run(&["plan", "book", "--env", "production"]).exits(0);
    desk.run(&RUN).exits(0).says("approved by");
    let approvals = opened(&desk).approvals;
    assert_eq!(approvals.len(), 2);
    assert!(approvals.iter().any(|one| one.note == "looked twice") && approvals[0].by != approvals[1].by);
    desk.run(&["report"]).exits(0);
    // An environment that wants nobody has nothing to approve.
    desk.run(&["approve", "book", "--env", "staging", "--yes"]).exits(2).says("wants nobody's approval");
}

#[test]
fn what_does_not_count_is_told() {
    let desk = scene("approvals = 2\n");
    approve(&desk, &[]);
    let paper = papers(&desk).remove(0);
    let text = fs::read_to_string(&paper).unwrap();
    let year = text.find("\"at\": \"20").unwrap() + 7;
    let refused = |why: &str| desk.run(&RUN).exits(6).says("and 0 have: nobody").says(why);
    fs::write(&paper, format!("{}2001{}", &text[..year], &text[year + 4..])).unwrap();
    refused("it is older than a day");
    fs::write(&paper, format!("{}2999{}", &text[..year], &text[year + 4..])).unwrap();
    refused("it is from the future");
    fs::write(&paper, &text).unwrap();
    fs::set_permissions(&paper, fs::Permissions::from_mode(0o666)).unwrap();
    refused("others than its owner may write to it");
    fs::set_permissions(&paper, fs::Permissions::from_mode(0o644)).unwrap();
    fs::hard_link(&paper, desk.path("approvals/copy.approval")).unwrap();
    refused("it is not a plain file of one name");
    fs::remove_file(desk.path("approvals/copy.approval")).unwrap();
    desk.run(&[&RUN[..], &["--set", "size=6"]].concat()).exits(6).says("it is of other variables");
    desk.write("book/runbook.toml", &format!("{HEAD}approvals = 2\n{}", REST.replace("true", "false")));
    refused("it is of another text of the runbook");
    fs::write(&paper, "{}").unwrap();
    refused("it is not an approval");
    fs::remove_file(&paper).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", desk.path("approvals/link.approval")).unwrap();
    refused("link.approval does not count");
    fs::remove_dir_all(desk.path("approvals")).unwrap();
    desk.run(&RUN).exits(2).says("the folder of approvals");
}

#[test]
fn a_rehearsal_is_wanted_or_a_reason() {
    let desk = scene("rehearsal = \"required\"\n");
    desk.run(&RUN).exits(6).says("wants a rehearsal of this very runbook").says("none is known in this journal folder");
    assert!(
        !desk.journal().exists() || fs::read_dir(desk.journal()).unwrap().flatten().all(|entry| !entry.path().is_dir())
    );
    desk.run(&[&RUN[..], &["--unrehearsed", " "]].concat()).exits(6);
    desk.run(&[&RUN[..], &["--unrehearsed", "the fix cannot wait"]].concat()).exits(0).says("without its rehearsal");
    assert_eq!(opened(&desk).unrehearsed.as_deref(), Some("the fix cannot wait"));
    desk.run(&["report"]).exits(0).says("not rehearsed").says("the fix cannot wait");
}

#[test]
fn what_was_rehearsed_may_run() {
    let desk = scene("rehearsal = \"required\"\n");
    desk.run(&["rehearse", "book", "--env", "staging", "--headless", "--yes"]).exits(0);
    desk.run(&RUN).exits(0);
    assert!(otherwise(&desk).is_empty());
    // Another value is told, and a rehearsal with the same one is preferred.
    let other = [&RUN[..], &["--set", "size=6"]].concat();
    desk.run(&other).exits(0).says("rehearsed with other values (size was 5, is 6)");
    desk.run(&["report"]).exits(0).says("rehearsed with other values").says("size was 5, is 6");
    let check = ["check", "book", "--env", "production", "--set", "size=6"];
    desk.run(&check).exits(0).says("size was 5, is 6");
    desk.run(&["rehearse", "book", "--env", "staging", "--headless", "--yes", "--set", "size=6"]).exits(0);
    desk.run(&check).exits(0).says("rehearsed as it is");
    desk.run(&other).exits(0);
    desk.run(&RUN).exits(0);
    assert_eq!(otherwise(&desk), ["size was 5, is 6"], "the two last runs had a rehearsal with their values each");
    desk.write("book/runbook.toml", &format!("{HEAD}rehearsal = \"required\"\n{REST}# changed\n"));
    desk.run(&RUN).exits(6).says("and has changed since");
}
