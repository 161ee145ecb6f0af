//! Channels: who is told of a run's moments by itself, in which words, and what becomes of those who do not listen.

use std::fs;

use gonogo::run::{Entry, Event};
use gonogo::runbook::Tell;
use serde_json::Value;
use support::http::{Reply, Server};

use super::desk;
use super::story::{entries, outcome, parsed};

const HEAD: &str = "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[environments.test]\n[environments.other]\n";
const PHASE: &str = "[[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n";
const RUN: [&str; 7] = ["run", "runbook.toml", "--env", "test", "--headless", "--json", "--yes"];

/// What was told, by whom, and whether it arrived: `team held ok`.
fn told(entries: &[Entry]) -> Vec<String> {
    let one = |entry: &Entry| match &entry.event {
        Event::Told { channel, tell, error, .. } => {
            Some(format!("{channel} {} {}", tell.word(), error.as_deref().unwrap_or("ok")))
        }
        _ => None,
    };
    let mut told: Vec<String> = entries.iter().filter_map(one).collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_are_told_once_and_outside_of_the_run() {
    let server = Server::start(|request| match request.path() {
        "/secret-gone" => Reply::text(404, "no such hook"),
        _ => Reply::text(200, "ok"),
    })
    .await;
    let channels = "[channels]\nteam = { slack = \"env:CHAT\", tells = [\"started\", \"held\", \"failed\", \"ended\"] }\n\
         ops = { webhook = \"env:OPS\", tells = [\"held\"] }\npager = { command = [\"sh\", \"-c\", \"cat >> paged\"], tells = [\"held\"] }\n\
         gone = { webhook = \"env:GONE\", tells = [\"held\"] }\nelsewhere = { slack = \"env:CHAT\", tells = [\"held\"], only = [\"other\"] }\n";
    let step = "[[phase.step]]\nid = \"fails\"\nrun = [\"false\"]\n";
    let desk = desk()
        .with("CHAT", server.url("/chat"))
        .with("OPS", server.url("/ops"))
        .with("GONE", server.url("/secret-gone"));
    desk.write("runbook.toml", &format!("{HEAD}{channels}{PHASE}{step}"));
    let ran = desk.run(&RUN).exits(4);
    let entries = parsed(&ran.out);
    assert_eq!(
        told(&entries),
        ["gone held HTTP 404", "ops held ok", "pager held ok", "team failed ok", "team held ok", "team started ok"]
    );
    let requests = server.requests();
    let at = |path: &str| -> Vec<Value> {
        let to = requests.iter().filter(|request| request.path() == path);
        to.map(|request| serde_json::from_str(&request.body).unwrap()).collect()
    };
    let mut chat: Vec<String> = at("/chat").iter().map(|body| body["text"].as_str().unwrap().to_owned()).collect();
    chat.sort();
    let run = match &entries[0].event {
        Event::RunOpened(opened) => opened.run.clone(),
        other => panic!("{other:?}"),
    };
    let begins = format!("A journey · test · run {run}: ");
    assert!(chat.iter().all(|text| text.starts_with(&begins)) && chat.len() == 3, "{chat:#?}");
    let ops = &at("/ops")[0];
    assert_eq!(
        (&ops["run"], &ops["runbook"], &ops["environment"], &ops["event"]),
        (&Value::from(run), &Value::from("journey"), &Value::from("test"), &Value::from("held"))
    );
    assert!(ops["at"].as_str().unwrap().contains('T') && ops["text"].as_str().unwrap().contains("fails"));
    assert!(fs::read_to_string(desk.path("paged")).unwrap().contains("fails"));
    assert!(!ran.out.contains("secret-gone"), "the address of a channel is a secret");
    let letters = fs::read_dir(desk.run_dir().join("attempts")).unwrap().flatten();
    assert!(letters.into_iter().all(|file| !file.file_name().to_string_lossy().starts_with("letter")));
    desk.run(&["report"]).exits(0).says("not told").says("HTTP 404");
    // What was told is not told again by the engine that takes the run up.
    let before = server.requests().len();
    let again = desk.run(&["resume", "last", "--headless", "--json"]).exits(4);
    assert_eq!(server.requests().len(), before, "{}", again.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_one_that_does_not_answer() {
    let server = Server::start(|_| Reply::Hang).await;
    let channels = "[channels]\nteam = { slack = \"env:CHAT\", tells = [\"started\", \"ended\"] }\n";
    let step = "[[phase.step]]\nid = \"one\"\nrun = [\"true\"]\n";
    let desk = desk().with("CHAT", server.url("/chat"));
    desk.write("runbook.toml", &format!("{HEAD}{channels}{PHASE}{step}"));
    let ran = desk.run(&RUN).exits(0);
    let entries = parsed(&ran.out);
    let place = |wanted: &dyn Fn(&Event) -> bool| entries.iter().position(|entry| wanted(&entry.event)).unwrap();
    let done = place(&|event| matches!(event, Event::RunEnded { .. }));
    let first = place(&|event| matches!(event, Event::Told { tell: Tell::Started, .. }));
    assert!(done < first, "the run ended while its start was still being told");
    assert_eq!(told(&entries), ["team ended no answer in 10s", "team started no answer in 10s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_tells_a_channel() {
    let server = Server::start(|_| Reply::text(200, "ok")).await;
    let channels = "[channels]\nteam = { slack = \"env:CHAT\" }\nops = { webhook = \"env:OPS\" }\n\
                    pager = { command = [\"sh\", \"-c\", \"cat > paged\"] }\n";
    let step = |id: &str, channel: &str| {
        format!(
            "[[phase.step]]\nid = \"{id}\"\nnotify = {{ channel = \"{channel}\", text = \"{{{{ run.environment }}}} begins\" }}\n"
        )
    };
    let desk = desk().with("CHAT", server.url("/chat")).with("OPS", server.url("/ops"));
    let steps = [step("one", "team"), step("two", "ops"), step("three", "pager")].concat();
    desk.write("runbook.toml", &format!("{HEAD}{channels}{PHASE}{steps}"));
    desk.run(&RUN).exits(0);
    let requests = server.requests();
    assert_eq!(requests[0].body, r#"{"text":"test begins"}"#);
    let whole: Value = serde_json::from_str(&requests[1].body).unwrap();
    assert_eq!((&whole["event"], &whole["text"]), (&Value::from("notify"), &Value::from("test begins")));
    assert_eq!(requests.len(), 2);
    assert_eq!(fs::read_to_string(desk.path("paged")).unwrap(), "test begins");
    let entries = entries(&desk.run_dir()).await;
    assert!(matches!(outcome(&entries, "three"), gonogo::run::Outcome::Done { .. }));
}
