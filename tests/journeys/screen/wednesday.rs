//! The maintenance window of week 1 by a person at the screen, on a real PostgreSQL: to its end, and taken back.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use gonogo::run::Event;
use gonogo::run::event::End;
use gonogo::runbook::{Runbook, Step};
use serde_json::Value;
use support::headless::Desk;
use support::postgres::Cluster;
use support::pty::Terminal;

use super::{Operator, Scene};

/// Tables, foreign keys, policies.
const SHAPE: &str = "
select (select count(*) from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE')
    || '/' || (select count(*) from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace)
    || '/' || (select count(*) from pg_policies where schemaname = 'public')";

/// The one criterion that a busy machine may miss: it bounds the time of both migrations.
const HASTE: &str = "011 and 012 together under 500 ms";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/week1-wednesday")
}

/// The first number that a file of the runbook answers.
fn number(cluster: &Cluster, db: &str, file: &str) -> String {
    let mut psql = cluster.psql_command(db);
    let output = psql.arg("-f").arg(folder().join("sql").join(file)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(['|', '\n']).next().unwrap_or_default().to_owned()
}

/// Tables, conflicts, unused tables, foreign keys, policies.
fn counts(cluster: &Cluster, db: &str) -> String {
    let shape = cluster.psql(db, SHAPE);
    let (tables, rest) = shape.split_once('/').unwrap();
    format!("{tables}/{}/{}/{rest}", number(cluster, db, "conflicts.sql"), number(cluster, db, "verify_05.sql"))
}

/// The database before the window, the window's screen, and what it walks through.
struct Window {
    cluster: &'static Cluster,
    db: String,
    scene: Scene,
    screen: Terminal,
    book: Runbook,
}

impl Window {
    fn open() -> Option<Self> {
        let cluster = support::postgres::shared()?;
        let db = cluster.create_db();
        let mut psql = cluster.psql_command(&db);
        psql.arg("-q").arg("-f").arg(folder().join("fixture.sql")).stdout(Stdio::null());
        assert!(psql.status().unwrap().success());
        let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("STAGING_DATABASE_URL", cluster.url(&db));
        let scene = Scene::at(desk);
        let screen = scene.open(&["run", folder().to_str().unwrap(), "--env", "staging", "--set", "monitor=3s"]);
        let book = gonogo::runbook::load(&folder(), &Default::default()).unwrap();
        Some(Self { cluster, db, scene, screen, book })
    }

    fn counts(&self) -> String {
        counts(self.cluster, &self.db)
    }

    /// The steps of a phase that ask a person.
    fn asked(&self, phase: &str) -> Vec<Step> {
        let steps = self.book.phases.iter().filter(|one| one.id == phase).flat_map(|phase| phase.steps.iter());
        let here = |step: &&Step| step.only.is_empty() || step.only.iter().any(|env| env == "staging");
        steps.filter(here).filter(|step| step.verb.is_human()).cloned().collect()
    }

    /// Answers everything that a phase asks.
    fn answer(&mut self, phase: &str) {
        for step in self.asked(phase) {
            self.scene.until(
                &format!("{} asks", step.id),
                |event| matches!(event, Event::StepStarted { attempt, .. } if attempt.step == step.id),
            );
            match step.verb {
                gonogo::runbook::Verb::Poll(_) => self.screen.go(&self.scene, &self.book, &step),
                _ => self.screen.tick(&self.scene, &step, &format!("seen and fine: {}", step.id)),
            }
        }
    }
}

#[test]
fn by_keys_to_its_end() {
    let Some(mut window) = Window::open() else { return };
    assert_eq!(window.counts(), "52/3/9/38/16");
    window.screen.shows("Enter starts: Connect to the right database, on the primary");
    window.screen.shows("STAGING LIVE");
    window.screen.shows("primary");
    window.screen.auto();
    let phases: Vec<String> = window.book.phases.iter().map(|phase| phase.id.clone()).collect();
    for phase in &phases {
        window.answer(phase);
    }
    let over = window.scene.until("the end", |event| matches!(event, Event::RunEnded { .. } | Event::Held { .. }));
    let report = report(&window.scene);
    let missed = missed(&report);
    if matches!(over.event, Event::RunEnded { .. }) {
        assert_eq!(window.screen.leave(), 0);
        assert_eq!(window.scene.ended(), Some(End::Done));
        assert!(missed.is_empty(), "{missed:?}");
    } else {
        assert_eq!(missed, [HASTE], "the machine is slow, and nothing else is wrong");
        window.screen.shows("H accepts it");
        window.screen.keys("H");
        window.screen.answer("Let the run go on?", "");
        assert_eq!(window.screen.leave(), 1);
    }
    assert_eq!(window.counts(), "43/0/0/42/18");
    the_report_tells_it_all(&window, &report);
}

fn report(scene: &Scene) -> Value {
    let ran = scene.desk.run(&["report", "--format", "json"]).exits(0);
    serde_json::from_str(&ran.out).unwrap()
}

fn missed(report: &Value) -> Vec<String> {
    let criteria = report["criteria"].as_array().unwrap().iter();
    criteria.filter(|one| one["met"] != true).map(|one| one["title"].as_str().unwrap().to_owned()).collect()
}

fn the_report_tells_it_all(window: &Window, report: &Value) {
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), window.book.steps().count());
    for (told, step) in steps.iter().zip(window.book.steps()) {
        assert_eq!(told["id"], step.id.0.as_str());
        let planned = step.expected_time.map(|time| u64::try_from(time.as_millis()).unwrap());
        assert_eq!(told["planned_ms"].as_u64(), planned, "{}", step.id);
        match told["status"].as_str().unwrap() {
            "done" => {
                assert!(told["took_ms"].is_u64() && told["started"].is_string() && told["ended"].is_string(), "{told}");
                assert!(told["by"].as_str().is_some_and(|by| !by.is_empty()), "{told}");
                let results = told["results"].as_array().is_some_and(|results| !results.is_empty());
                assert!(results || told["verdict"].is_object(), "{told}");
                assert!(step.expect.is_none() || told["verdict"].is_object(), "{told}");
            }
            "skipped" => assert!(told["claim"]["reason"].is_string(), "{told}"),
            other => assert_eq!(other, "not in this environment", "{told}"),
        }
    }
    let criteria = report["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), window.book.criteria.len());
    assert!(criteria.iter().all(|one| one["judged"] == true && one["detail"].is_string()));
    let phases = report["phases"].as_array().unwrap();
    assert!(phases.iter().all(|phase| phase["planned_ms"].is_u64() && phase["took_ms"].is_u64()), "{phases:?}");
    let answers = report["answers"].as_array().unwrap().iter();
    assert!(answers.clone().any(|answer| answer.to_string().contains("seen and fine: observations")));
    assert_eq!(report["votes"].as_array().unwrap().len(), 6);
}

#[test]
fn taken_back_at_the_end_of_the_migration() {
    let Some(mut window) = Window::open() else { return };
    window.screen.shows("Enter starts: Connect to the right database, on the primary");
    window.screen.auto();
    window.answer("prepare");
    window.screen.shows("Everybody at their station");
    window.screen.keys("a");
    window.screen.hides("auto-advance on");
    window.answer("migrate");
    let machine: Vec<String> = window.book.phases[1].steps.iter().skip(1).map(|step| step.id.0.clone()).collect();
    for step in &machine {
        window.screen.start(&window.scene, step);
        window.scene.until(
            &format!("{step} done"),
            |event| matches!(event, Event::StepEnded { attempt, .. } if attempt.step.0 == *step),
        );
    }
    assert_eq!(machine.last().map(String::as_str), Some("m012-archived"));
    assert_eq!(window.counts(), "43/0/0/42/18");
    window.screen.shows("Enter starts: 1.1 agent_recommendations has its 3 columns");
    window.screen.keys("R");
    window.screen.shows("ROLL BACK on STAGING");
    window.screen.shows("undo");
    window.screen.answer("ROLL BACK on STAGING", "the team is called away");
    window.screen.shows("ROLLED BACK");
    assert_eq!(window.screen.leave(), 5);
    assert_eq!(window.counts(), "52/3/9/38/16");
    let report = report(&window.scene);
    assert_eq!(report["rollbacks"][0]["reason"], "the team is called away");
    assert_eq!(window.scene.ended(), Some(End::RolledBack));
}
