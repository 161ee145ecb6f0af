//! Eight processes take the same run up at once: exactly one owns it.

use support::headless::Running;

use super::figures::Figures;
use super::{desk, times};

const BOOK: &str = "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[environments.test]\n\
                    [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\
                    [[phase.step]]\nid = \"who\"\nchecklist = [{ ask = \"Who?\", answer = \"required\" }]\n";

#[test]
fn eight_at_once() {
    let figures = Figures::new("8 processes take one run up at once");
    let desk = desk();
    desk.write("runbook.toml", BOOK);
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    let folder = desk.run_dir();
    let folder = folder.to_str().unwrap();
    for _ in 0..times(2, 200) {
        let mut engines: Vec<Running> = (0..8).map(|_| desk.start(&["engine", folder])).collect();
        let refused = || engines.iter_mut().filter_map(|engine| (!engine.runs()).then_some(())).count();
        support::headless::until("seven are refused", {
            let mut refused = refused;
            move || refused() >= 7
        });
        let owners: Vec<Running> =
            engines.into_iter().filter_map(|mut engine| engine.runs().then_some(engine)).collect();
        figures.count("rounds");
        figures.count(format!("{} owners", owners.len()));
        assert_eq!(owners.len(), 1);
        for owner in owners {
            let _ = std::process::Command::new("kill").args(["-TERM", &owner.pid().to_string()]).status();
            // Before it listens to signals, a signal simply ends it.
            let code = owner.end().code;
            assert!(matches!(code, None | Some(4)), "{code:?}");
        }
    }
    desk.run(&["audit"]).exits(0);
    figures.publish();
}
