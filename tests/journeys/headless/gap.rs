//! An engine that is stopped and goes on: the time in between was not watched, and what counted down is for a person to decide.

use std::time::Duration;

use gonogo::run::Event;
use support::process::signal;

use super::desk;
use super::story::journal;

const BOOK: &str = r#"
format = 1
id = "journey"
title = "A journey"
[environments.test]
targets.main = { url = "sqlite:app.db" }
[[probe]]
id = "errors"
every = "200ms"
timeout = "30s"
run = ["echo", "9"]
[[trigger]]
id = "high"
during = ["monitor"]
when = "errors > 5"
then = "rollback"
grace = "10m"
[[phase]]
id = "migrate"
[[phase.step]]
id = "act"
run = ["true"]
undo = { run = ["true"] }
[[phase]]
id = "monitor"
lasts = "1h"
"#;

#[test]
fn a_countdown_that_nobody_watched_is_stopped() {
    let desk = desk();
    desk.write("runbook.toml", BOOK);
    desk.write("app.db", "");
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    running.says("rolls back in");
    signal(running.pid(), "STOP");
    // Longer than an engine's pulse; what is slower than that only makes the gap longer.
    std::thread::sleep(Duration::from_millis(5_500));
    signal(running.pid(), "CONT");
    running.end().exits(4).says("everything stood still for").says("countdown stopped by gonogo");
    let told = journal(&desk.run_dir());
    let gap = told.iter().position(|entry| matches!(entry.event, Event::Gap { .. })).expect("a gap");
    assert!(matches!(told[gap].event, Event::Gap { ms } if ms >= 5_000));
    assert!(!told.iter().any(|entry| matches!(entry.event, Event::RollbackStarted { .. })));
    assert!(matches!(told[gap + 1].event, Event::CountdownStopped { .. }), "{:?}", told[gap + 1]);
}
