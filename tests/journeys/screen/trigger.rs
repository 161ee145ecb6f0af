//! Triggers that begin to judge later, and whose they are: on the screen, in what people are told, in the replay.

use gonogo::run::Event;
use gonogo::run::event::HoldCause;
use support::headless::Desk;
use support::pty::Terminal;

use super::Scene;

fn scene() -> Scene {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    let text = "format = 1\nid = \"window\"\ntitle = \"A window\"\n[roles]\nbackend = \"Backend lead\"\n\
                [environments.test]\n[channels]\nteam = { command = [\"sh\", \"-c\", \"cat >> told\"], tells = [\"held\"] }\n\
                [[probe]]\nid = \"errors\"\nevery = \"200ms\"\nrun = [\"echo\", \"7\"]\n\
                [[trigger]]\nid = \"soon\"\nwhen = \"errors > 2\"\nafter = \"2s\"\nduring = \"monitor\"\nowner = \"backend\"\nthen = \"hold\"\n\
                missing = \"warn\"\n\
                [[trigger]]\nid = \"late\"\nwhen = \"errors > 1\"\nafter = \"1h\"\nthen = \"rollback\"\nmissing = \"warn\"\n\
                [[phase]]\nid = \"prepare\"\nadvance = \"auto\"\n[[phase.step]]\nid = \"begin\"\nwait = \"1ms\"\n\
                [[phase]]\nid = \"monitor\"\nlasts = \"2h\"\n";
    desk.write("book/runbook.toml", text);
    Scene::at(desk)
}

/// True where the line of the trigger says from when it judges, or the line below: with a date, close to midnight, it is long.
fn says_from(screen: &Terminal, trigger: &str) -> bool {
    let text = screen.text();
    let parts: Vec<&str> = text.lines().filter_map(|line| line.rsplit('│').nth(1)).collect();
    let own = parts.iter().position(|part| part.contains(&format!("○ {trigger} ")));
    own.is_some_and(|own| parts.iter().skip(own).take(2).any(|part| part.contains(" from ")))
}

#[test]
fn it_judges_from_then_on_and_names_its_owner() {
    let scene = scene();
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("owner: Backend lead");
    screen.until("when late begins to judge", |screen| says_from(screen, "late"));
    screen.shows("HELD: trigger soon fired, owner: Backend lead");
    // What is not judged yet has not even been breached, whatever was measured.
    let entries = scene.entries();
    let at =
        |wanted: &dyn Fn(&Event) -> bool| entries.iter().find(|entry| wanted(&entry.event)).map(|entry| entry.at.ms);
    let entered = at(&|event| matches!(event, Event::PhaseEntered { phase } if phase == "monitor")).unwrap();
    let breached = at(&|event| matches!(event, Event::TriggerBreached { trigger } if trigger == "soon")).unwrap();
    assert!(breached >= entered + 2_000, "breached {breached}, entered {entered}");
    assert_eq!(at(&|event| matches!(event, Event::TriggerBreached { trigger } if trigger == "late")), None);
    let held =
        |event: &Event| matches!(event, Event::Held { cause: HoldCause::Trigger { trigger }, .. } if trigger == "soon");
    scene.until("the hold", held);
    scene.until("the letter", |event| matches!(event, Event::Told { error: None, .. }));
    let told = std::fs::read_to_string(scene.desk.path("told")).unwrap();
    assert!(told.contains("held: trigger soon fired · owner: Backend lead"), "{told}");
    screen.signal("TERM");
    screen.ends();
    let mut replay = scene.open(&["replay", "last"]);
    replay.keys("G");
    replay.shows("HELD: trigger soon fired, owner: Backend lead");
    replay.until("when late begins to judge", |screen| says_from(screen, "late"));
    // The two seconds of the other are over before a slow machine looks: in a replay that stands still they are not.
    let phase = |event: &Event| matches!(event, Event::PhaseEntered { phase } if phase == "monitor");
    let steps = entries.iter().position(|entry| phase(&entry.event)).unwrap();
    replay.keys("0");
    replay.keys(&"\x1b[C".repeat(steps));
    replay.until("when soon begins to judge", |screen| says_from(screen, "soon"));
    let report = scene.desk.run(&["report"]).exits(0);
    assert!(report.out.contains("owner: Backend lead"), "{}", report.out);
}
