//! A broken metrics server, whichever way it is broken and whichever way a condition is written, is no data: it fires nothing
//! and lets nothing pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::Utc;
use gonogo::probe::Sampler;
use gonogo::run::coverage;
use gonogo::run::event::{FORMAT, Opened};
use gonogo::run::triggers::{self, Reading};
use gonogo::run::{Entry, Event, Moment, RunState};
use gonogo::runbook::{self, ProbeSource, Runbook, Secret, Source, Traffic};

use crate::doors::{doors, probe};
use crate::server::{Reply, Request, Server};

/// The same bound from both sides: with NaN, or with nothing, one of them would be true.
const BOOK: &str = r#"
format = 1
id = "broken"
title = "Broken"
[environments.test]
targets.main = { url = "sqlite:x.db" }
[[probe]]
id = "p"
every = "1s"
run = ["true"]
[[trigger]]
id = "above"
when = "p > 2"
then = "hold"
[[trigger]]
id = "not-below"
when = "not (p <= 2)"
then = "hold"
[[trigger]]
id = "below"
when = "p < 2"
then = "hold"
[[phase]]
id = "look"
kind = "monitor"
lasts = "10s"
[[phase.step]]
id = "tidy"
wait = "1s"
"#;

fn book() -> Runbook {
    let source = Source { name: "broken.toml".into(), text: BOOK.into(), ..Source::default() };
    runbook::from_source(source, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn vector(age: i64, value: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{},"{value}"]}}]}}}}"#,
        now - age
    )
}

const MODES: [&str; 12] =
    ["500", "slow", "hangup", "half", "empty", "nan", "inf", "two", "html", "stale", "clock", "garbage"];

fn mode(request: &Request) -> Reply {
    let ok = |body: String| Reply::text(200, body);
    let series =
        |list: &str| ok(format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{list}]}}}}"#));
    match request.path().split('/').nth(1).unwrap_or_default() {
        "up" => ok(vector(0, "9")),
        "500" => Reply::text(500, vector(0, "9")),
        "slow" => Reply::Hang,
        "hangup" => Reply::HangUp,
        "half" => Reply::Half,
        "empty" => series(""),
        "nan" => ok(vector(0, "NaN")),
        "inf" => ok(vector(0, "+Inf")),
        "two" => series("{},{}"),
        "html" => ok("<!doctype html><title>9</title>".to_owned()),
        "stale" => ok(vector(300, "9")),
        "clock" => ok(vector(-3600, "9")),
        _ => ok("{\"status\":\"succ".to_owned()),
    }
}

/// What a real sample means for the rules.
async fn state_of(server: &Server, mode: &str) -> (RunState, Moment) {
    let url = Secret::Plain(server.url(&format!("/{mode}")));
    let mut spec = probe(ProbeSource::Prometheus { url, query: "up".to_owned() });
    if matches!(mode, "slow" | "half") {
        spec.timeout = Duration::from_millis(200);
    }
    let sample = Sampler::new(&spec, doors(Path::new("/"))).take().await;
    let opened = Opened { format: FORMAT, run: "r".into(), environment: "test".into(), ..Opened::default() };
    let events = [
        Event::RunOpened(Box::new(opened)),
        Event::PhaseEntered { phase: "look".into() },
        Event::SampleTaken { probe: "p".into(), value: sample.value, took_ms: sample.took_ms },
    ];
    let at = Moment { wall: Utc::now(), ms: 0 };
    let entries = events.into_iter().enumerate().map(|(n, event)| Entry { seq: n as u64 + 1, at, event });
    (RunState::fold(&entries.collect::<Vec<_>>()), at)
}

#[tokio::test]
async fn no_way_of_being_broken_fires_or_passes() {
    let (server, book) = (Server::start(mode).await, book());
    for mode in MODES {
        let (state, now) = state_of(&server, mode).await;
        for trigger in &book.triggers {
            let read = triggers::read(&book, &state, trigger, now);
            assert!(matches!(read, Reading::NoData(_)), "{mode}, {}: {read:?}", trigger.when.source);
        }
        assert_eq!(triggers::follow(&book, &state, now), [], "{mode}");
        let end = Moment { ms: 10_000, ..now };
        assert!(coverage::shortfall(&book, &state, &book.phases[0], end).is_some(), "{mode} passed");
    }
}

#[tokio::test]
async fn a_server_that_works_is_judged() {
    let (server, book) = (Server::start(mode).await, book());
    let (state, now) = state_of(&server, "up").await;
    let breached = |trigger| matches!(triggers::read(&book, &state, trigger, now), Reading::Breached(_));
    let found: Vec<bool> = book.triggers.iter().map(breached).collect();
    assert_eq!(found, [true, true, false]);
}

#[tokio::test]
async fn a_number_over_too_little_traffic_is_no_data() {
    let server = Server::start(|request| match request.path() {
        path if path.contains("broken") => Reply::text(500, ""),
        path if path.contains("few") => Reply::text(200, vector(0, "3")),
        path if path.contains("nan") => Reply::text(200, vector(0, "NaN")),
        path if path.contains("many") => Reply::text(200, vector(0, "10")),
        _ => Reply::text(200, vector(0, "33.3")),
    })
    .await;
    let url = || Secret::Plain(server.url(""));
    let asked = |query: &str| ProbeSource::Prometheus { url: url(), query: query.to_owned() };
    let said = async |source: ProbeSource, traffic: ProbeSource| {
        let mut spec = probe(source);
        spec.traffic = Some(Traffic { source: traffic, at_least: 10.0 });
        let sample = Sampler::new(&spec, doors(Path::new("/"))).take().await;
        sample.value.map_or_else(|none| none.reason, |number| number.to_string())
    };
    assert_eq!(said(asked("rate"), asked("many")).await, "33.3");
    assert_eq!(said(asked("rate"), asked("few")).await, "too little traffic: 3, at least 10 wanted");
    assert_eq!(said(asked("rate"), asked("nan")).await, "traffic: NaN");
    assert_eq!(said(asked("rate"), asked("broken")).await, "traffic: HTTP 500");
    assert_eq!(said(asked("broken"), asked("many")).await, "HTTP 500");
    let run = |text: &str| ProbeSource::Run { argv: vec!["echo".to_owned(), text.to_owned()] };
    let sql = |text: &str| ProbeSource::Sql { target: "main".to_owned(), sql: text.to_owned() };
    assert_eq!(said(run("1"), sql("9.5")).await, "too little traffic: 9.5, at least 10 wanted");
    assert_eq!(said(sql("1"), run("11")).await, "1");
}
