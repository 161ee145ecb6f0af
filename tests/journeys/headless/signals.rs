//! Numbers that watch over a run: a real Prometheus that goes away, a query whose value gets worse.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use gonogo::run::event::HoldCause;
use gonogo::run::{Entry, Event};
use support::headless::Desk;

use super::story::{journal, parsed, started};
use super::{bare, book, desk, desk_with_database};

/// A server of our own, killed when dropped.
struct Prometheus(Child, String);

impl Prometheus {
    /// None: the program is not installed.
    fn start(desk: &Desk) -> Option<Self> {
        let config = desk.write("prometheus.yml", "global: { scrape_interval: 1s }\n");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", desk.path("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self(child, format!("http://127.0.0.1:{port}")))
    }

    fn stop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}

const WATCHED: &str = r#"
[[phase.step]]
id = "act"
run = ["true"]
undo = { run = ["true"] }

[[phase]]
id = "monitor"
lasts = "1h"

[[probe]]
id = "errors"
every = "300ms"
timeout = "5s"
prometheus = { url = "env:PROMETHEUS", query = "vector(1)" }

[[trigger]]
id = "errors-high"
when = "errors > 5"
during = ["monitor"]
then = "rollback"
missing = "hold"
missing_for = "2s"
"#;

fn any(entries: &[Entry], wanted: impl Fn(&Event) -> bool) -> bool {
    entries.iter().any(|entry| wanted(&entry.event))
}

#[test]
fn a_prometheus_that_goes_away_is_no_data() {
    let desk = desk();
    let Some(mut prometheus) = Prometheus::start(&desk) else {
        println!("SKIPPED: the program `prometheus` is absent (Debian package: prometheus)");
        return;
    };
    let desk = desk.with("PROMETHEUS", &prometheus.1);
    desk.write("runbook.toml", &bare(WATCHED));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--yes"]);
    running.line("a number", |line| line.contains("errors ") && line.trim_end().ends_with(" 1"));
    running.says("phase monitor begins");
    prometheus.stop();
    let ran = running.end().exits(4).says("has no data: connection").says("held");
    let told = journal(&desk.run_dir());
    let silent =
        |event: &Event| matches!(event, Event::SampleTaken { value: Err(no), .. } if no.reason.contains("connection"));
    assert!(any(&told, silent));
    assert!(
        any(&told, |event| matches!(event, Event::TriggerBlind { reason, .. } if reason.contains("connection"))),
        "{}",
        ran.out
    );
    assert!(any(&told, |event| matches!(event, Event::Held { cause: HoldCause::Missing { .. }, .. })));
    assert!(!any(&told, |event| matches!(event, Event::TriggerFired { .. } | Event::RollbackStarted { .. })));
    let last = told.iter().rev().find(|entry| matches!(&entry.event, Event::SampleTaken { value: Ok(_), .. })).unwrap();
    let blind = told.iter().find(|entry| matches!(entry.event, Event::TriggerBlind { .. })).unwrap();
    assert!(blind.at.ms - last.at.ms >= 2_000, "patience of missing_for");
    // Still nobody there: taken up without a person it stays held.
    desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
}

const GAUGE: &str = r#"
[[phase.step]]
id = "act"
sql = "create table acted ()"
undo = { sql = "drop table acted" }

[[phase]]
id = "monitor"
lasts = "1h"

[[probe]]
id = "gauge"
every = "200ms"
timeout = "5s"
sql = "select value from gauge"

[[trigger]]
id = "gauge-high"
when = "gauge > 5"
lasting = "1s"
during = ["monitor"]
then = "rollback"
grace = "500ms"
"#;

#[test]
fn a_query_that_gets_worse_rolls_back() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table gauge (value int); insert into gauge values (1)");
    desk.write("runbook.toml", &book(GAUGE));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.line("the watch", |line| line.contains("phase_entered") && line.contains("monitor"));
    assert_eq!(cluster.psql(&db, "select to_regclass('acted') is not null"), "t");
    cluster.psql(&db, "update gauge set value = 10");
    running.says("rollback_ended");
    // It ends once the number is fine again, and says so.
    cluster.psql(&db, "update gauge set value = 2");
    let ran = running.end().exits(5).says("gauge-high is fine again");
    let told = parsed(&ran.out);
    let fired =
        |event: &Event| matches!(event, Event::TriggerFired { values, .. } if values == &[("gauge".to_owned(), 10.0)]);
    assert!(any(&told, fired));
    assert_eq!(started(&told), ["act", "undo of act"]);
    assert_eq!(cluster.psql(&db, "select to_regclass('acted') is null"), "t");
}

/// One spike is not enough.
#[test]
fn a_spike_only_is_said() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table gauge (value int); insert into gauge values (1)");
    let calm = GAUGE.replace("lasting = \"1s\"", "lasting = \"10m\"").replace("lasts = \"1h\"", "lasts = \"8s\"");
    desk.write("runbook.toml", &book(&calm));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.line("the watch", |line| line.contains("phase_entered") && line.contains("monitor"));
    cluster.psql(&db, "update gauge set value = 10");
    running.says("trigger_breached");
    cluster.psql(&db, "update gauge set value = 1");
    running.says("trigger_cleared");
    let told = parsed(&running.end().exits(0).out);
    assert!(!any(&told, |event| matches!(event, Event::TriggerFired { .. })));
}
