//! Phases from a file of their own: pinned by digest, run in their place, in the journal with the rest.

use std::fs;

use gonogo::run::Event;
use support::headless::Desk;

use super::desk;
use super::story::{entries, fault, started};

const SHARED: &str = "format = 1\n\n[[probe]]\nid = \"load\"\nevery = \"1h\"\nrun = [\"echo\", \"1\"]\n\n\
                      [[trigger]]\nid = \"busy\"\nwhen = \"load > limit\"\nthen = \"warn\"\n\n\
                      [[phase]]\nid = \"prepare\"\nadvance = \"auto\"\n\n\
                      [[phase.step]]\nid = \"shared\"\nrun = [\"sh\", \"-c\", \"test -e allowed\"]\n\n\
                      [[phase]]\nid = \"verify\"\nadvance = \"auto\"\n\n\
                      [[phase.step]]\nid = \"after\"\nrun = [\"true\"]\nonly_if = \"steps['shared'].exit == 0\"\n";

fn runbook(sha256: &str) -> String {
    format!(
        "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[vars]\nlimit = 5\n[environments.test]\n\
         [[phase]]\nid = \"first\"\nkind = \"prepare\"\nadvance = \"auto\"\n[[phase.step]]\nid = \"one\"\nrun = [\"true\"]\n\
         [[phase]]\ninclude = {{ file = \"../shared/prepare.toml\", sha256 = \"{sha256}\" }}\n\
         [[phase]]\nid = \"last\"\nkind = \"verify\"\nadvance = \"auto\"\n[[phase.step]]\nid = \"two\"\nrun = [\"true\"]\n"
    )
}

/// The digest that `check` asks to be written.
fn right_digest(desk: &Desk) -> String {
    let said = desk.run(&["check", "book"]).exits(3).err_or_out();
    let (_, after) = said.rsplit_once("sha256 = \"").expect("the right digest is said");
    after[..64].to_owned()
}

trait Said {
    fn err_or_out(self) -> String;
}

impl Said for support::headless::Ran {
    fn err_or_out(self) -> String {
        self.out + &self.err
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_included_runs_in_its_place_and_lives_in_the_journal() {
    let desk = desk();
    let shared = desk.write("shared/prepare.toml", SHARED);
    desk.write("book/runbook.toml", &runbook(&"0".repeat(64)));
    let digest = right_digest(&desk);
    desk.write("book/runbook.toml", &runbook(&digest));
    desk.run(&["check", "book"]).exits(0).says("4 steps in 4 phases");
    desk.run(&["plan", "book"]).exits(0).says("shared · run");
    desk.run(&["run", "book", "--headless", "--yes"]).exits(4);
    let dir = desk.run_dir();
    let told = entries(&dir).await;
    assert_eq!(started(&told), ["one", "shared"]);
    assert_eq!(fault(&told, "shared").place, "../shared/prepare.toml:17");
    // The run no longer needs the file.
    fs::remove_file(&shared).unwrap();
    desk.run(&["check", "book"]).exits(3).says("there is no such file");
    desk.run(&["report"]).exits(0).says("../shared/prepare.toml:17");
    desk.run(&["audit", "last"]).exits(0);
    let source = told.iter().find_map(|entry| match &entry.event {
        Event::RunOpened(opened) => Some(opened.source.clone()),
        _ => None,
    });
    let source = source.unwrap();
    assert_eq!(source.files["../shared/prepare.toml"], SHARED);
    let again = gonogo::runbook::from_source(source, &Default::default()).unwrap();
    let ids: Vec<&str> = again.steps().map(|step| step.id.0.as_str()).collect();
    assert_eq!(ids, ["one", "shared", "after", "two"]);
    assert!(again.probe("load").is_some() && again.trigger("busy").is_some());
    assert_eq!(again.step(&"two".into()).unwrap().place("r.toml"), "r.toml:20");
}

#[test]
fn a_file_that_changed_is_not_the_one_that_was_read() {
    let desk = desk();
    desk.write("shared/prepare.toml", SHARED);
    desk.write("book/runbook.toml", &runbook(&"0".repeat(64)));
    let digest = right_digest(&desk);
    desk.write("book/runbook.toml", &runbook(&digest));
    desk.run(&["check", "book"]).exits(0);
    desk.write("shared/prepare.toml", &SHARED.replace("allowed", "allowed2"));
    let ran = desk.run(&["run", "book", "--headless", "--yes"]).exits(3);
    assert!(ran.err.contains("is not the file that this digest was taken of"), "{}", ran.err);
}
