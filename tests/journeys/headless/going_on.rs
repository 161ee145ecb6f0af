//! kill -9 where nothing can have happened unseen: a wait, a checklist, a poll simply go on; and eight engines for one run.

use std::path::Path;
use std::time::{Duration, Instant};

use gonogo::run::command::CommandVerb;
use gonogo::run::event::HoldCause;
use gonogo::run::{Entry, Event};

use super::story::{Voice, entries, journal, started};
use super::{bare, desk};

fn ms(entries: &[Entry], wanted: impl Fn(&Event) -> bool) -> u64 {
    entries.iter().rev().find(|entry| wanted(&entry.event)).unwrap().at.ms
}

/// The time that passes without an engine counts.
#[test]
fn a_wait_goes_on() {
    let desk = desk();
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"pause\"\nwait = \"4s\"\n"));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("step_started");
    let begun = Instant::now();
    running.kill();
    while begun.elapsed() < Duration::from_secs(4) {
        std::thread::sleep(Duration::from_millis(50));
    }
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    let told = journal(&desk.run_dir());
    assert_eq!(started(&told), ["pause"]);
    let taken_up = ms(&told, |event| matches!(event, Event::EngineStarted { .. }));
    let ended = ms(&told, |event| matches!(event, Event::StepEnded { .. }));
    assert!(ended - taken_up < 4_000, "it began anew: {} ms", ended - taken_up);
    let start = ms(&told, |event| matches!(event, Event::StepStarted { .. }));
    assert!(ended - start >= 4_000);
}

const PEOPLE: &str = r#"
[[phase.step]]
id = "ready"
checklist = ["One", { ask = "Two?", answer = "required" }]

[[phase.step]]
id = "go"
poll = ["dba", "backend"]
"#;

/// Starts an engine, says something that is answered by an entry as wanted, and kills it.
async fn say_and_die(
    desk: &support::headless::Desk,
    folder: &Path,
    verb: CommandVerb,
    wanted: impl Fn(&Event) -> bool,
) {
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(folder).await;
    if entries(folder)
        .await
        .iter()
        .rev()
        .any(|entry| matches!(entry.event, Event::Held { cause: HoldCause::Unanswered { .. }, .. }))
    {
        let before = voice.count().await;
        voice.say(CommandVerb::Release).await;
        voice
            .until_after(before, "released", |event| matches!(event, Event::Released { .. } | Event::Refused { .. }))
            .await;
    }
    voice.say(verb).await;
    voice.until("said", wanted).await;
    engine.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_answered_stays_answered() {
    let desk = desk();
    desk.write(
        "runbook.toml",
        &bare(PEOPLE).replace("[environments", "[roles]\ndba = \"D\"\nbackend = \"B\"\n[environments"),
    );
    desk.run(&["run", "runbook.toml", "--headless"]).exits(4);
    let folder = desk.run_dir();
    let tick = |item, answer: Option<&str>| CommandVerb::Tick {
        step: "ready".into(),
        item,
        answer: answer.map(str::to_owned),
    };
    say_and_die(&desk, &folder, tick(0, None), |event| matches!(event, Event::Ticked { item: 0, .. })).await;
    say_and_die(&desk, &folder, tick(1, Some("yes")), |event| matches!(event, Event::Ticked { item: 1, .. })).await;
    let vote = CommandVerb::Vote { step: "go".into(), role: "dba".to_owned(), go: true, reason: String::new() };
    say_and_die(&desk, &folder, vote, |event| matches!(event, Event::Voted { .. })).await;
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(0);
    let told = entries(&folder).await;
    assert_eq!(started(&told), ["ready", "go"]);
    let count = |wanted: fn(&Event) -> bool| told.iter().filter(|entry| wanted(&entry.event)).count();
    assert_eq!(count(|event| matches!(event, Event::Ticked { .. })), 2);
    assert_eq!(count(|event| matches!(event, Event::Voted { .. })), 2);
    assert_eq!(count(|event| matches!(event, Event::Voted { by, .. } if by.contains("(headless)"))), 1);
}

/// Eight at once take up one held run: one gets it, seven are told who has it.
#[test]
fn one_run_has_one_engine() {
    let desk = desk();
    let gate = "while [ -d {desk} ] && [ ! -e {desk}/gate ]; do sleep 0.05; done; echo once >> {desk}/marks";
    let gate = gate.replace("{desk}", desk.path("").to_str().unwrap().trim_end_matches('/'));
    let steps = format!(
        "[[phase.step]]\nid = \"who\"\nchecklist = [{{ ask = \"Who?\", answer = \"required\" }}]\n\
         [[phase.step]]\nid = \"act\"\nshell = \"{gate}\"\n"
    );
    desk.write("runbook.toml", &bare(&steps));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    desk.write("answers.toml", "[answers]\nwho = { \"Who?\" = \"I\" }\n");
    let args = ["resume", "last", "--headless", "--yes", "--answers", "answers.toml"];
    let mut running: Vec<_> = (0..8).map(|_| desk.start(&args)).collect();
    // Whoever has it stays at the gate until the others have gone.
    support::headless::until("seven of eight have gone", || {
        running.iter_mut().map(|one| usize::from(one.runs())).sum::<usize>() <= 1
    });
    desk.write("gate", "");
    let ended: Vec<_> = running.into_iter().map(support::headless::Running::end).collect();
    let codes: Vec<_> = ended.iter().map(|ran| ran.code.unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{ended:#?}");
    assert_eq!(codes.iter().filter(|code| **code == 6).count(), 7, "{ended:#?}");
    for loser in ended.into_iter().filter(|ran| ran.code == Some(6)) {
        loser.says("is being run by");
    }
    assert_eq!(std::fs::read_to_string(desk.path("marks")).unwrap(), "once\n");
    let engines =
        journal(&desk.run_dir()).iter().filter(|entry| matches!(entry.event, Event::EngineStarted { .. })).count();
    assert_eq!(engines, 2);
    desk.run(&["audit"]).exits(0);
}
