//! Every exit code, by the way an operator meets it.

use gonogo::run::Event;
use gonogo::run::command::CommandVerb;
use gonogo::run::event::HoldCause;
use serde_json::Value;

use super::story::{Voice, entries, parsed, started};
use super::{bare, book, desk, desk_with_database};

const HEADLESS: [&str; 3] = ["--headless", "--json", "--yes"];

fn with<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    first.iter().chain(rest).copied().collect()
}

const QUESTION: &str = r#"
[[phase.step]]
id = "ready"
checklist = ["Everybody is there", { ask = "Who is on standby?", answer = "required" }]

[[phase.step]]
id = "go"
poll = ["dba", "backend"]

[[phase.step]]
id = "act"
run = ["sh", "-c", "echo once >> counted"]
"#;

fn question() -> String {
    bare(QUESTION).replace("[environments", "[roles]\ndba = \"D\"\nbackend = \"B\"\n[environments")
}

#[test]
fn a_missing_answer_holds_and_an_answered_resume_goes_on() {
    let desk = desk();
    desk.write("runbook.toml", &question());
    let held = desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    assert_eq!(started(&parsed(&held.out)), ["ready"]);
    assert!(held.out.contains("Who is on standby?"), "{}", held.out);
    desk.run(&with(&["resume", "last"], &HEADLESS)).exits(4);
    desk.write("answers.toml", "[answers]\nready = { \"Who is on standby?\" = \"nobody\" }\n");
    let done = desk.run(&with(&["resume", "last", "--answers", "answers.toml"], &HEADLESS)).exits(0);
    assert_eq!(started(&parsed(&done.out)), ["ready", "go", "act"], "all entries, from the first");
    assert_eq!(std::fs::read_to_string(desk.path("counted")).unwrap(), "once\n");
    desk.run(&with(&["resume", "last"], &HEADLESS)).exits(2).says("there is nothing to resume");
}

/// What was told is not told again; `--log` tells it.
#[test]
fn a_resume_tells_what_is_new() {
    let desk = desk();
    desk.write("runbook.toml", &question());
    let held = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    assert!(held.out.contains("Who is on standby?"), "{}", held.out);
    desk.write("answers.toml", "[answers]\nready = { \"Who is on standby?\" = \"nobody\" }\n");
    let opened = |out: &str| out.lines().filter(|line| line.contains("opened")).count();
    let all = desk.run(&["resume", "last", "--headless", "--yes", "--log"]).exits(4);
    assert_eq!(opened(&all.out), opened(&held.out), "{}", all.out);
    let rest = ["resume", "last", "--headless", "--yes", "--answers", "answers.toml"];
    let rest = desk.run(&rest).exits(0);
    let lines: Vec<&str> = rest.out.lines().collect();
    assert!(lines[0].contains(" goes on after ") && lines[0].contains("held: "), "{}", rest.out);
    assert!(lines[0].contains("Who is on standby?"), "{}", rest.out);
    assert_eq!(opened(&rest.out), 0, "{}", rest.out);
    assert!(opened(&held.out) > 0 && rest.out.contains("nobody"), "{}\n{}", held.out, rest.out);
}

/// A run whose target never answered was never begun, and the list says so.
#[test]
fn a_run_that_reached_nothing_was_not_begun() {
    let desk = desk();
    let book = bare("[[phase.step]]\nid = \"ask\"\nsql = \"select 1\"\nexpect = \"value == 1\"\n");
    let book = book.replace("[environments.test]", "[environments.test]\ntargets.main = \"sqlite:nowhere/app.db\"");
    desk.write("runbook.toml", &book);
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.run(&["runs"]).exits(0).says("not begun");
    std::fs::create_dir(desk.path("nowhere")).unwrap();
    std::fs::write(desk.path("nowhere/app.db"), "").unwrap();
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    desk.run(&["runs"]).exits(0).says("not begun").says("done");
}

#[test]
fn a_no_go_of_the_answers_holds() {
    let desk = desk();
    desk.write("runbook.toml", &question());
    let answers =
        "[answers]\nready = { \"Who is on standby?\" = \"nobody\" }\n[polls]\ngo = { backend = \"no-go: too busy\" }\n";
    desk.write("answers.toml", answers);
    let held = desk.run(&with(&["run", "runbook.toml", "--answers", "answers.toml"], &HEADLESS)).exits(4);
    assert!(held.out.contains("too busy") && !desk.path("counted").exists(), "{}", held.out);
    // What nobody took back holds again; `--yes` alone takes nothing back.
    desk.run(&with(&["resume", "last"], &HEADLESS)).exits(4);
    desk.run(&with(&["resume", "last", "--answers", "answers.toml"], &HEADLESS)).exits(4);
    desk.write("answers.toml", &answers.replace("no-go: too busy", "go"));
    let done = desk.run(&with(&["resume", "last", "--answers", "answers.toml"], &HEADLESS)).exits(0);
    let votes = parsed(&done.out).into_iter().filter_map(|entry| match entry.event {
        Event::Voted { role, go, .. } => Some((role, go)),
        _ => None,
    });
    let said = [("dba", true), ("backend", false), ("backend", true)].map(|(role, go)| (role.to_owned(), go));
    assert_eq!(votes.collect::<Vec<_>>(), said);
}

#[test]
fn lines_for_people_and_lines_for_programs() {
    let desk = desk();
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"hello\"\nrun = [\"echo\", \"hello there\"]\n"));
    let plain = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(plain.out.contains("hello there") && plain.out.contains("The run is done"), "{}", plain.out);
    assert_eq!(plain.err, "");
    let json = desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(0);
    let entries = parsed(&json.out);
    assert_eq!(json.err, "");
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());
    assert!(matches!(entries.last().unwrap().event, Event::RunEnded { .. }));
}

#[test]
fn the_list_of_runs() {
    let desk = desk();
    desk.run(&["runs"]).exits(0).says("no runs in");
    assert_eq!(desk.run(&["runs", "--json"]).exits(0).out, "[]\n");
    desk.write("runbook.toml", &question());
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"hello\"\nrun = [\"true\"]\n"));
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(0);
    let runs: Value = serde_json::from_str(&desk.run(&["runs", "--json"]).exits(0).out).unwrap();
    let mut statuses: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["done", "held"]);
    let plain = desk.run(&["runs"]).exits(0).out;
    // Each with what to type; nothing is wider than a terminal of 100 columns.
    assert_eq!(plain.lines().count(), 4, "{plain}");
    assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain}");
    for run in runs.as_array().unwrap() {
        let next = run["next"].as_str().unwrap();
        let verb = if run["status"] == "held" { "gonogo resume " } else { "gonogo report " };
        assert!(next.starts_with(verb) && plain.contains(&format!("{next}\n")), "{next}\n{plain}");
    }
    assert!(plain.contains("held, engine gone"), "{plain}");
}

#[test]
fn the_demo_with_its_fault_rolls_back() {
    let desk = desk();
    let ran = desk.run(&["demo", "--set", "fault=true", "--headless", "--json", "--yes"]).exits(5);
    let entries = parsed(&ran.out);
    assert!(
        entries
            .iter()
            .any(|entry| matches!(&entry.event, Event::TriggerFired { trigger, .. } if trigger == "errors-high"))
    );
    let undone: Vec<String> = started(&entries).into_iter().filter(|step| step.starts_with("undo of")).collect();
    assert_eq!(undone, ["undo of rename-amount", "undo of index-currency", "undo of add-currency"]);
}

#[test]
fn a_protected_environment_wants_its_name() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let text = book("[[phase.step]]\nid = \"act\"\nsql = \"create table t ()\"\nundo = { sql = \"drop table t\" }\n");
    desk.write("runbook.toml", &text.replace("[environments.test]", "[environments.test]\nprotected = true"));
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4).says("--confirm");
    let refused = desk.run(&with(&["run", "runbook.toml", "--confirm", "another"], &HEADLESS)).exits(6);
    assert!(started(&parsed(&refused.out)).is_empty());
    assert_eq!(cluster.psql(&db, "select count(*) from pg_tables where schemaname = 'public'"), "0");
    desk.run(&with(&["resume", "last", "--confirm", &db], &HEADLESS))
        .exits(6)
        .says("the last four digits of its system");
    let digits = cluster.psql(&db, "select right(system_identifier::text, 4) from pg_control_system()");
    desk.run(&with(&["resume", "last", "--confirm", &format!("{db} {digits}")], &HEADLESS)).exits(0);
    assert_eq!(cluster.psql(&db, "select count(*) from pg_tables where schemaname = 'public'"), "1");
}

#[test]
fn what_is_wrong_with_the_command_line() {
    let desk = desk();
    desk.write("runbook.toml", &question());
    desk.run(&["run", "runbook.toml"]).exits(2).says("there is no terminal here");
    desk.run(&["resume", "nosuchrun", "--headless"]).exits(2).says("there is no run `nosuchrun`");
    desk.run(&["attach"]).exits(2).says("there is no terminal here");
    desk.run(&["frobnicate"]).exits(2);
    desk.run(&["--help"]).exits(0).says("Exit codes");
    desk.run(&["--version"]).exits(0);
}

/// Criteria that are not met hold the run; a person who accepts them ends it as failed.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_criteria_end_as_failed() {
    let desk = desk();
    let unmet = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\n[[criterion]]\nid = \"never\"\nwhen = \"steps['act'].exit == 1\"\n";
    desk.write("runbook.toml", &bare(unmet));
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4).says("never");
    desk.run(&with(&["resume", "last"], &HEADLESS)).exits(4);
    let folder = desk.run_dir();
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.say(CommandVerb::Release).await;
    engine.end().exits(1);
    let told = entries(&folder).await;
    assert!(
        matches!(&told.last().unwrap().event, Event::RunEnded { reason, .. } if reason.contains("criteria not met: never"))
    );
    desk.run(&["report"]).exits(0).says("never");
}

/// A way back of which a step was skipped is none: the run failed, and the report tells the step as it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_way_back_is_failed() {
    let desk = desk();
    let steps = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\nundo = { run = [\"false\"] }\n\
                 [[phase.step]]\nid = \"next\"\nrun = [\"false\"]\nundo = \"none needed\"\non_fail = \"rollback\"\n";
    desk.write("runbook.toml", &bare(steps));
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4);
    let folder = desk.run_dir();
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.say(CommandVerb::Skip { step: "act".into(), reason: "by hand".to_owned() }).await;
    engine.end().exits(1);
    desk.run(&["report"])
        .exits(0)
        .says("the way back is incomplete: the undo of act was skipped (by hand)")
        .says("done, its undo skipped")
        .says("failed, then skipped");
    desk.run(&["runs"]).exits(0).says("failed");
}

/// What a watch's trigger still says at its end is not passed over: a person signs, and the report tells both.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_breached_is_signed_off() {
    let desk = desk();
    let watch = "[[probe]]\nid = \"depth\"\nevery = \"100ms\"\nrun = [\"echo\", \"50\"]\n\
                 [[trigger]]\nid = \"deep\"\nwhen = \"depth > 10\"\nlasting = \"200ms\"\nthen = \"hold\"\n\
                 [[phase.step]]\nid = \"act\"\nrun = [\"true\"]\n[[phase]]\nid = \"monitor\"\nlasts = \"1s\"\n";
    desk.write("runbook.toml", &bare(watch));
    desk.run(&with(&["run", "runbook.toml"], &HEADLESS)).exits(4).says("deep");
    let folder = desk.run_dir();
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.say(CommandVerb::Release).await;
    let breached = |event: &Event| matches!(event, Event::Held { cause: HoldCause::Breached { .. }, .. });
    // The trigger may have fired before the step was done.
    voice.say(CommandVerb::Start { step: "act".into() }).await;
    voice.until("the watch does not pass", breached).await;
    voice.say(CommandVerb::SignOff { phase: "monitor".to_owned(), reason: "a known queue".to_owned() }).await;
    engine.end().exits(0);
    desk.run(&["report"]).exits(0).says("still breached").says("trigger deep").says("a known queue");
}

/// A second person gives up what runs without a screen.
#[tokio::test(flavor = "multi_thread")]
async fn given_up_is_failed() {
    let desk = desk();
    let watch = "[[phase.step]]\nid = \"act\"\nrun = [\"true\"]\n[[phase]]\nid = \"monitor\"\nlasts = \"1h\"\n";
    desk.write("runbook.toml", &bare(watch));
    let running = desk.start(&with(&["run", "runbook.toml"], &HEADLESS));
    running.line("the watch", |line| line.contains("phase_entered") && line.contains("monitor"));
    let mut voice = Voice::at(&desk.run_dir()).await;
    voice.say(CommandVerb::Abandon { reason: "the office burns".to_owned() }).await;
    running.end().exits(1).says("the office burns");
}
