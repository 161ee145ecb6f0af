//! Bad input of every kind: words that name it, an exit code that fits, and nothing started.

use std::net::TcpListener;

use gonogo::runbook::RUNBOOK_BYTES;
use support::headless::Desk;
use support::postgres::Cluster;

use super::story::{journal, started};
use super::{bare, book, desk};

const ACT: &str = "[[phase.step]]\nid = \"act\"\nsql = \"create table acted ()\"\n";

/// The run is held before its first step; `words` say why.
fn held_before_anything(desk: &Desk, words: &[&str]) {
    desk.write("runbook.toml", &book(ACT));
    let mut ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    for words in words {
        ran = ran.says(words);
    }
    assert!(started(&journal(&desk.run_dir())).is_empty());
    assert!(!ran.out.contains("verysecret") && !ran.err.contains("verysecret"));
}

#[test]
fn a_variable_that_is_not_set() {
    held_before_anything(&desk(), &["DB", "not set"]);
}

#[test]
fn an_address_that_is_none() {
    held_before_anything(&desk().with("DB", "verysecret"), &["target main"]);
    held_before_anything(
        &desk().with("DB", "postgres://u:verysecret@127.0.0.1/x?target_session_attrs=any"),
        &["target_session_attrs"],
    );
}

#[test]
fn a_port_where_nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://u:verysecret@127.0.0.1:{port}/x");
    held_before_anything(&desk().with("DB", url), &[&port.to_string(), "refused"]);
}

/// A cluster that asks one of its roles for a password.
fn suspicious() -> Option<Cluster> {
    // The first cluster of a process keeps what the others are copied from.
    support::postgres::shared()?;
    let cluster = Cluster::start(&[])?;
    cluster
        .psql("postgres", "set password_encryption = 'scram-sha-256'; create role guarded login password 'verysecret'");
    let rules = cluster.folder().join("data/pg_hba.conf");
    let old = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all guarded 127.0.0.1/32 scram-sha-256\n{old}")).unwrap();
    cluster.psql("postgres", "select pg_reload_conf()");
    Some(cluster)
}

#[test]
fn a_password_that_is_wrong_and_then_right() {
    let Some(cluster) = suspicious() else { return };
    let url = |password: &str| format!("postgres://guarded:{password}@127.0.0.1:{}/postgres", cluster.port());
    let first = desk().with("DB", url("another"));
    held_before_anything(&first, &["28P01", "check user and password"]);
    // The same run, once the environment is right.
    let second = first.with("DB", url("verysecret"));
    cluster.psql("postgres", "grant create on schema public to guarded");
    second.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    assert_eq!(cluster.psql("postgres", "select to_regclass('acted') is not null"), "t");
}

#[test]
fn environments_and_variables_that_do_not_exist() {
    let desk = desk();
    let text = bare("[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\n")
        .replace("[environments", "[vars]\nsize = 3\n[environments");
    desk.write("runbook.toml", &text);
    let run = |rest: &[&str]| desk.run(&[&["run", "runbook.toml", "--headless", "--yes"], rest].concat());
    run(&["--env", "prod"]).exits(2).says("has no environment \"prod\"").says("test");
    run(&["--set", "sise=4"]).exits(3).says("sise").says("size");
    run(&["--set", "size=many"]).exits(3).says("size");
    run(&["--set", "size"]).exits(2).says("NAME=VALUE");
    run(&["--set", "size=4"]).exits(0);
    assert_eq!(std::fs::read_dir(desk.journal()).unwrap().count(), 1, "only the good one was opened");
}

#[test]
fn files_that_are_no_runbooks() {
    let desk = desk();
    let run = |name: &str| desk.run(&["run", name, "--headless", "--yes"]);
    run("missing.toml").exits(3).says("missing.toml");
    desk.write("empty.toml", "");
    run("empty.toml").exits(3);
    std::fs::write(desk.path("garbage.toml"), (0..=255u8).cycle().take(100_000).collect::<Vec<u8>>()).unwrap();
    run("garbage.toml").exits(3).says("garbage.toml");
    std::fs::write(desk.path("huge.toml"), vec![b'#'; RUNBOOK_BYTES as usize + 1]).unwrap();
    run("huge.toml").exits(3).says("huge.toml");
    desk.write("deep.toml", &format!("a = {}", "[".repeat(100_000)));
    run("deep.toml").exits(3);
    run("/dev/zero").exits(3);
    assert!(!desk.journal().exists());
}

#[test]
fn answers_that_are_none() {
    let desk = desk();
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\n"));
    let run = |name: &str| desk.run(&["run", "runbook.toml", "--headless", "--answers", name]);
    run("missing.toml").exits(2).says("missing.toml");
    for (n, text) in
        ["not toml at all", "[answer]\nact = {}\n", "answers = 3\n", "[answers]\nact = { a = 1 }\n"].iter().enumerate()
    {
        let name = format!("answers-{n}.toml");
        desk.write(&name, text);
        run(&name).exits(2).says(&name);
    }
    std::fs::write(desk.path("bytes.toml"), [0xff, 0xfe, 0]).unwrap();
    run("bytes.toml").exits(2).says("bytes.toml");
    run("/dev/zero").exits(2).says("/dev/zero");
    assert!(!desk.journal().exists(), "answers are read before a run is opened");
}

/// A plan says what would be sent and asks nobody: no server, no variable, no journal.
#[test]
fn a_plan_touches_nothing() {
    let desk = desk();
    let book = "format = 1\nid = \"plan\"\ntitle = \"A plan\"\n[vars]\nlimit = 7\n[environments.test]\n\
                targets.main = \"env:NOWHERE_AT_ALL\"\n[environments.production]\nprotected = true\n\
                targets.main = \"env:NOWHERE_EITHER\"\n[[phase]]\nid = \"migrate\"\nlasts = \"5m\"\n\
                [[phase.step]]\nid = \"count\"\nsql = \"select count(*) from t where n < {{ limit }}\"\nexpect = \"value > 0\"\n\
                [[phase.step]]\nid = \"fill\"\nsql = \"update t set n = {{ steps['count'].value }}\"\nmax_rows = 50000\n\
                undo = { sql = \"update t set n = {{ limit }}\" }\n\
                [[phase.step]]\nid = \"only-there\"\nonly = [\"production\"]\nrun = [\"touch\", \"made\"]\nundo = \"irreversible\"\n\
                [[phase.step]]\nid = \"walk\"\nbatch = { table = \"t\", key = \"id\", set = \"n = 1\", pause = \"200ms\", \
                size = { start = 500, aim = \"2s\" } }\nthrottle = \"lag > 3\"\nundo = \"irreversible\"\ntimeout = \"20m\"\nretries = 2\n\
                [[phase.step]]\nid = \"make\"\nrun = [\"make\"]\nenv = [\"MAKE_TOKEN\"]\nundo = \"irreversible\"\n\
                [[phase.step]]\nid = \"ask\"\nchecklist = [\"Is it \\u001b[31mred?\"]\n\
                [[trigger]]\nid = \"slow\"\nwhen = \"lag > 5\"\nlasting = \"10s\"\nthen = \"hold\"\n\
                [[probe]]\nid = \"lag\"\nevery = \"1s\"\nsql = \"select 1\"\n";
    desk.write("runbook.toml", book);
    let ran = desk.run(&["plan", "runbook.toml", "--env", "test", "--set", "limit=9"]).exits(0);
    insta::assert_snapshot!("a_plan", ran.out);
    desk.run(&["plan", "runbook.toml"]).exits(2).says("--env");
    desk.run(&["plan", "missing.toml", "--env", "test"]).exits(3).says("missing.toml");
    assert!(!desk.journal().exists() && !desk.path("made").exists());
}

/// What remains to be done is listed with its time; a rehearsal, and a run that did not end, leave nothing.
#[test]
fn what_follows_a_run_is_listed() {
    let desk = desk();
    let follow = |id: &str, due: &str| {
        format!("[[followup]]\nid = \"{id}\"\ntitle = \"See to {id}\"\ndue = \"{due}\"\nchecklist = [\"It is done\"]\n")
    };
    let act = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\nundo = \"none needed\"\n";
    desk.write("runbook.toml", &bare(&format!("{act}{}{}", follow("later", "7d"), follow("at-once", "0s"))));
    desk.run(&["followups"]).exits(0).says("nothing remains");
    desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
    desk.run(&["followups"]).exits(0).says("nothing remains");
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    let all = desk.run(&["followups"]).exits(0);
    let lines: Vec<&str> = all.out.lines().filter(|line| line.contains("See to")).collect();
    assert!(lines[0].starts_with("DUE") && lines[0].contains("at-once"), "{}", all.out);
    assert!(lines[1].starts_with("   ") && lines[1].contains("later · journey-"), "{}", all.out);
    assert!(all.out.contains("[ ] It is done"));
    let due = desk.run(&["followups", "--due"]).exits(0);
    assert!(due.out.contains("at-once") && !due.out.contains("later"), "{}", due.out);
    let list: serde_json::Value = serde_json::from_str(&desk.run(&["followups", "--json"]).exits(0).out).unwrap();
    assert_eq!((list[0]["due"].as_bool(), list[1]["due"].as_bool()), (Some(true), Some(false)));
}

/// What was taken back leaves nothing to follow: list and report say so in the same words, and the machine's list has none.
#[test]
fn a_run_that_was_taken_back_has_no_follow_ups() {
    let desk = desk();
    let book = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\nundo = \"none needed\"\n\
                [[phase.step]]\nid = \"fail\"\nrun = [\"false\"]\nundo = \"none needed\"\n\
                [[followup]]\ntitle = \"Drop the old column\"\ndue = \"7d\"\nchecklist = [\"It is gone\"]\n";
    desk.write("runbook.toml", &bare(book));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["followups"]).exits(0).says("nothing remains");
    desk.run(&["resume", "last", "--headless", "--roll-back", "it is wrong"]).exits(5);
    let all = desk.run(&["followups"]).exits(0).says("nothing remains");
    assert!(all.out.contains("Drop the old column: not applicable: rolled back"), "{}", all.out);
    assert!(!desk.run(&["followups", "--due"]).exits(0).out.contains("Drop"));
    assert_eq!(desk.run(&["followups", "--json"]).exits(0).out.trim(), "[]");
    let report = desk.run(&["report", "last"]).exits(0).out;
    assert!(report.contains("not applicable: rolled back") && !report.contains("[ ] It is gone"), "{report}");
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["resume", "last", "--headless", "--give-up", "it is wrong"]).exits(1);
    desk.run(&["followups"]).exits(0).says("Drop the old column: not applicable: failed");
}

/// A trigger without patience says none, and a plan tells that the rehearsal had other values.
#[test]
fn a_plan_says_what_the_rehearsal_had_otherwise() {
    let desk = desk();
    let book = "[vars]\nlimit = 5\n\n[[probe]]\nid = \"lag\"\nevery = \"1s\"\nrun = [\"true\"]\n\
                [[trigger]]\nid = \"slow\"\nwhen = \"lag > 5\"\nthen = \"hold\"\n\
                [[phase]]\nid = \"migrate\"\n[[phase.step]]\nid = \"act\"\nrun = [\"true\", \"{{ limit }}\"]\nundo = \"none needed\"\n";
    let text = format!("format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[environments.test]\n{book}");
    desk.write("runbook.toml", &text);
    desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
    let same = desk.run(&["plan", "runbook.toml"]).exits(0).out;
    assert!(same.contains("lag > 5 → hold") && !same.contains("other values"), "{same}");
    let other = desk.run(&["plan", "runbook.toml", "--set", "limit=9"]).exits(0).out;
    assert!(other.contains("with other values (limit was 5, is 9)"), "{other}");
}

/// A run that stands before a question for words says which file answers it; the file as shown is refused until it is filled in.
#[test]
fn the_answers_that_are_missing_are_printed_to_be_filled_in() {
    let desk = desk();
    let book = "[[phase.step]]\nid = \"ask\"\nchecklist = [\"Ready?\", { ask = \"Who \\\"read\\\" it?\", answer = \"required\" }]\n";
    desk.write("runbook.toml", &bare(book));
    let held = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4).out;
    let lines: Vec<&str> = held.lines().skip_while(|line| !line.contains("answers.toml:")).skip(1).collect();
    let end = lines.iter().position(|line| line.trim_start().starts_with("then ")).unwrap_or_else(|| panic!("{held}"));
    let shown: String = lines[..end].iter().map(|line| format!("{}\n", line.trim())).collect();
    assert!(lines[end].contains("--headless --yes --answers answers.toml"), "{held}");
    desk.write("answers.toml", &shown);
    desk.run(&["resume", "last", "--headless", "--yes", "--answers", "answers.toml"]).exits(4);
    desk.write("answers.toml", &shown.replace("= \"\"", "= \"Ines\""));
    desk.run(&["resume", "last", "--headless", "--yes", "--answers", "answers.toml"]).exits(0);
}

/// A report that would have nowhere to go is told at the start.
#[test]
fn a_report_without_a_folder_is_told_at_the_start() {
    let desk = desk();
    let step = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\nundo = \"none needed\"\n";
    let text = bare(step).replacen("format = 1\n", "format = 1\nreport = \"reports/a.md\"\n", 1);
    desk.write("runbook.toml", &text);
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0).says("has no folder to be written to");
    std::fs::create_dir(desk.path("reports")).unwrap();
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(!ran.err.contains("no folder") && desk.path("reports/a.md").exists(), "{}", ran.err);
}

/// A script that ends at a variable which nobody handed to it says what hands it on.
#[test]
fn a_script_without_its_variable_says_what_to_write() {
    let desk = desk();
    desk.write(
        "runbook.toml",
        &bare("[[phase.step]]\nid = \"act\"\nshell = 'echo \"$NOT_HANDED_ON\"'\nundo = \"none needed\"\n"),
    );
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4).says("env = [\"NOT_HANDED_ON\"]");
}
