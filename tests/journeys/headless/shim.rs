//! Commands outlive their engine: they go on under their shim, and whoever takes the run up finds the exact end, and every
//! word of the output once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gonogo::child::shim::Place;
use gonogo::run::event::HoldCause;
use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Entry, Event, Outcome};
use support::headless::{Desk, Ran, Running, until};
use support::process;

use super::story::{entries, fault, outcome, started};
use super::{bare, desk, desk_with_database};

/// Says `one`, waits for the gate (or for the end of its folder, so that no test leaves it behind), says `two`.
const GATED: &str = "echo one; while [ -d {desk} ] && [ ! -e {desk}/gate ]; do sleep 0.05; done; echo two";

fn at(desk: &Desk, text: &str) -> String {
    text.replace("{desk}", desk.path("").to_str().unwrap().trim_end_matches('/'))
}

/// A run of one step, killed when the step has said `one`.
fn killed_after_one(desk: &Desk, step: &str) -> PathBuf {
    desk.write("runbook.toml", &bare(&at(desk, &format!("[[phase.step]]\nid = \"work\"\n{step}\n"))));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("one\\n\"");
    running.kill();
    desk.run_dir()
}

fn resume(desk: &Desk) -> Ran {
    desk.run(&["resume", "last", "--headless", "--yes"])
}

/// What the journal holds of one stream of a step.
fn said(entries: &[Entry], wanted: &str) -> String {
    let text = |entry: &Entry| match &entry.event {
        Event::Output { chunk: Chunk::Text { stream, text }, .. } if stream == wanted => Some(text.clone()),
        _ => None,
    };
    entries.iter().filter_map(text).collect()
}

/// The folder of the only attempt there is.
fn place(folder: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder.join("attempts")).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "one attempt wanted: {found:?}");
    found.remove(0)
}

/// The numbers of shim and command, once they are written down.
fn numbers(folder: &Path) -> (u32, u32) {
    let text = fs::read_to_string(place(folder).join("started")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |who: &str| u32::try_from(value[who]["pid"].as_u64().unwrap()).unwrap();
    (number("shim"), number("child"))
}

fn recovered(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { facts, .. } | Outcome::Failed { facts: Some(facts), .. } => {
            facts.recovered.clone().unwrap_or_default()
        }
        other => panic!("no facts: {other:?}"),
    }
}

fn known(entries: &[Entry]) -> String {
    match outcome(entries, "work") {
        Outcome::Unknown { known } => known,
        other => panic!("known: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_and_is_taken_up() {
    for verb in [
        "run = [\"sh\", \"-c\", \"{}\"]",
        "shell = \"{}\"",
        "notify = { command = [\"sh\", \"-c\", \"{}\"], text = \"x\" }",
    ] {
        let desk = desk();
        let folder = killed_after_one(&desk, &verb.replace("{}", GATED));
        let (shim, child) = numbers(&folder);
        assert!(process::runs(shim) && process::runs(child), "{verb}");
        let resumed = desk.start(&["resume", "last", "--headless", "--json", "--yes"]);
        resumed.says("engine_started");
        desk.write("gate", "");
        resumed.end().exits(0);
        let entries = entries(&folder).await;
        assert_eq!(started(&entries), ["work"], "{verb}");
        assert_eq!(said(&entries, "out"), "one\ntwo\n", "{verb}");
        assert_eq!(recovered(&outcome(&entries, "work")), "it went on under its shim, and was taken up again");
        assert!(!place(&folder).join("out").exists(), "what it said is in the journal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_nobody_saw_is_exact() {
    let desk = desk();
    let folder = killed_after_one(&desk, &format!("shell = \"{GATED}; echo why >&2; exit 7\""));
    let shim = numbers(&folder).0;
    desk.write("gate", "");
    until("the shim to end", || !process::runs(shim));
    resume(&desk).exits(4);
    let entries = entries(&folder).await;
    let outcome = outcome(&entries, "work");
    assert_eq!(recovered(&outcome), "its shim kept its end");
    let fault = fault(&entries, "work");
    assert_eq!((fault.exit, fault.detail.as_deref()), (Some(7), Some("why")));
    assert_eq!((said(&entries, "out").as_str(), said(&entries, "err").as_str()), ("one\ntwo\n", "why\n"));
    assert_eq!(started(&entries), ["work"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_taken_up_as_well() {
    let desk = desk();
    let undo = at(&desk, &format!("undo = {{ shell = \"{GATED}\" }}"));
    desk.write(
        "runbook.toml",
        &bare(&format!(
            "[[phase.step]]\nid = \"work\"\nrun = [\"true\"]\n{undo}\n\
             [[phase.step]]\nid = \"fails\"\nrun = [\"false\"]\non_fail = \"rollback\"\nundo = \"none needed\"\n"
        )),
    );
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("\"one\\n\"");
    running.kill();
    desk.write("gate", "");
    resume(&desk).exits(5);
    let entries = entries(&desk.run_dir()).await;
    assert_eq!(started(&entries), ["work", "fails", "undo of work"]);
    assert_eq!(said(&entries, "out"), "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_of_output_comes_once() {
    let desk = desk();
    let flood = "seq 1 4000; ";
    let folder = killed_after_one(&desk, &format!("shell = \"{flood}{GATED}; seq 5000 9000\""));
    desk.write("gate", "");
    resume(&desk).exits(0);
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("{n}\n")).collect::<String>();
    let wanted = lines(1, 4000) + "one\ntwo\n" + &lines(5000, 9000);
    assert_eq!(said(&entries(&folder).await, "out"), wanted);
}

/// A run whose shim was killed while its command goes on; the command's number.
fn without_shim() -> (Desk, u32) {
    let desk = desk();
    desk.write("runbook.toml", &bare(&at(&desk, &format!("[[phase.step]]\nid = \"work\"\nshell = \"{GATED}\"\n"))));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("\"one\\n\"");
    let (shim, child) = numbers(&desk.run_dir());
    process::signal(shim, "KILL");
    running.end().exits(4);
    (desk, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_is_killed_leaves_a_question_and_no_second_try() {
    let (desk, child) = without_shim();
    let folder = desk.run_dir();
    let words = known(&entries(&folder).await);
    for part in
        ["its shim is gone without a word", &format!("its process {child} "), "still runs", "it said last: “one”"]
    {
        assert!(words.contains(part), "{part:?} is not in {words:?}");
    }
    // Resume finds the same, and settling is refused as long as it works.
    resume(&desk).exits(4).says("work not-done --reason 'how you know'");
    desk.run(&["settle", "last", "work", "not-done", "--reason", "x"]).exits(6).says("still runs");
    process::signal(child, "KILL");
    until("the command and its children to be gone", || !Place::at(&place(&folder)).is_busy());
    desk.run(&["settle", "last", "other", "done", "--reason", "x"]).exits(6).says("is not in doubt; work is");
    desk.run(&["settle", "last", "work", "done", "--reason", "x", "--by-undo"]).exits(6);
    desk.run(&["settle", "last", "work", "done", "--reason", " "]).exits(6).says("say how you know");
    desk.run(&["settle", "last", "work", "done", "--reason", "looked"]).exits(0).says("gonogo resume");
    assert!(!place(&folder).join("out").exists());
    resume(&desk).exits(0);
    let entries = entries(&folder).await;
    assert_eq!(started(&entries), ["work"]);
    assert!(entries.iter().any(|entry| matches!(&entry.event, Event::Settled { reason, .. } if reason == "looked")));
    desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_too_early_by_a_screen_the_retry_is_refused() {
    use gonogo::run::command::CommandVerb;
    use gonogo::run::event::Claim;

    let (desk, child) = without_shim();
    let folder = desk.run_dir();
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = super::story::Voice::at(&folder).await;
    let (attempt, reason) = (super::story::first("work"), "no".to_owned());
    voice.say(CommandVerb::Settle { attempt, claim: Claim::NotDone, reason }).await;
    voice.until("settled", |event| matches!(event, Event::Settled { .. })).await;
    voice.say(CommandVerb::Retry { step: "work".into() }).await;
    let refused = |event: &Event| match event {
        Event::StepEnded { outcome: Outcome::Broke { fault }, .. } => {
            assert!(fault.summary.contains("work still runs"), "{fault:?}");
            assert_eq!((fault.effect, fault.safe.as_str()), (Effect::None, "nothing was started"));
            true
        }
        _ => false,
    };
    voice.until("refused", refused).await;
    process::signal(child, "KILL");
    until("the command and its children to be gone", || !Place::at(&place(&folder)).is_busy());
    desk.write("gate", "");
    voice.say(CommandVerb::Retry { step: "work".into() }).await;
    engine.end().exits(0);
    let entries = entries(&folder).await;
    assert_eq!(started(&entries), ["work", "work (attempt 2)", "work (attempt 3)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_where_it_may_die() {
    // What is in the journal after a resume without a person, and how often the command ran.
    let cases: &[(&str, i32, &str, usize)] = &[
        ("exec.command.before:kill", 4, "it was never started", 0),
        ("shim.before:kill", 4, "its shim ended before it started anything", 0),
        ("shim.before:error", 4, "its shim started nothing: a failure was ordered", 0),
        ("shim.started:kill", 4, "its shim is gone without a word of the end", 1),
        ("shim.ended:kill", 4, "its shim is gone without a word of the end", 1),
        ("exec.command.started:kill", 0, "", 1),
        ("exec.command.ended:kill", 0, "", 1),
        ("exec.command.ended:error", 0, "", 1),
    ];
    for (point, code, words, ran) in cases {
        let desk = desk().with("GONOGO_FAILPOINT", *point);
        let step = at(&desk, "[[phase.step]]\nid = \"work\"\nshell = \"echo mark >> {desk}/marks\"\n");
        desk.write("runbook.toml", &bare(&step));
        let first = desk.run(&["run", "runbook.toml", "--headless", "--yes"]);
        let folder = desk.run_dir();
        assert!(matches!(first.code, None | Some(4)), "{point}: {first:?}");
        // Whatever its engine left behind comes to its end first.
        let attempts = folder.join("attempts");
        let busy = || !point.starts_with("exec.command.before") && Place::all(&attempts).iter().any(Place::is_busy);
        until("the shim to end", || !busy());
        let mut resume = desk.command(&["resume", "last", "--headless", "--yes"]);
        resume.env_remove("GONOGO_FAILPOINT");
        let resumed = Running::spawn(resume).end();
        assert_eq!(resumed.code, Some(*code), "{point}: {resumed:?}");
        let marks = fs::read_to_string(desk.path("marks")).unwrap_or_default().lines().count();
        let entries = entries(&folder).await;
        assert_eq!(marks, *ran, "{point}");
        let said = match outcome(&entries, "work") {
            Outcome::Unknown { known } => known,
            Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault.summary.clone(),
            Outcome::Done { .. } => String::new(),
        };
        assert!(said.contains(words) && (*code != 0 || said.is_empty()), "{point}: {said}");
        assert_eq!(started(&entries), ["work"], "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runbooks_own_question_decides() {
    let desk = desk();
    let step = |verify: &str| {
        at(&desk, &format!("[[phase.step]]\nid = \"work\"\nshell = \"touch {{desk}}/made\"\nverify = {verify}\n"))
    };
    let lose = |verify: &str| {
        let _ = fs::remove_dir_all(desk.journal());
        desk.write("runbook.toml", &bare(&step(verify)));
        let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
        command.env("GONOGO_FAILPOINT", "shim.ended:kill");
        Running::spawn(command).end()
    };
    lose(&at(&desk, "{ run = [\"ls\", \"{desk}/made\"], expect = \"exit == 0\" }")).exits(0);
    let journal = entries(&desk.run_dir()).await;
    let words = recovered(&outcome(&journal, "work"));
    assert!(words.starts_with("verify says so: exit == 0 (exit = 0)") && words.contains("its shim is gone"), "{words}");

    lose("{ run = [\"false\"], expect = \"exit == 0\" }").exits(4);
    let words = known(&entries(&desk.run_dir()).await);
    assert!(words.ends_with("verify does not prove it: expected exit == 0, saw exit = 1"), "{words}");

    lose("{ http = \"http://127.0.0.1:1/\", expect = \"status == 200\" }").exits(4);
    let words = known(&entries(&desk.run_dir()).await);
    assert!(words.contains("verify does not prove it: GET http://127.0.0.1:1/"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_the_database() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table made (n int)");
    desk.write(
        "runbook.toml",
        &super::book(
            "[[phase.step]]\nid = \"work\"\nconnect = \"main\"\nshell = \"psql -qc 'insert into made values (1)'\"\n\
             verify = { sql = \"select count(*) from made\", expect = \"value == 1\" }\n",
        ),
    );
    let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
    command.env("PATH", format!("/usr/lib/postgresql/15/bin:{}", std::env::var("PATH").unwrap()));
    command.env("GONOGO_FAILPOINT", "exec.command.started:kill");
    Running::spawn(command).end();
    let folder = desk.run_dir();
    until("the shim to end", || place(&folder).join("ended").exists());
    assert!(
        fs::read_dir(place(&folder)).unwrap().all(|one| !one
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("pgpass"))
    );
    fs::remove_file(place(&folder).join("ended")).unwrap();
    resume(&desk).exits(0);
    let words = recovered(&outcome(&entries(&folder).await, "work"));
    assert!(words.starts_with("verify says so: value == 1 (value = 1)"), "{words}");
    assert_eq!(cluster.psql(&db, "select count(*) from made"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_only_reads_is_asked_again() {
    let (server, heard) = listening().await;
    for (point, times) in [("exec.http.before:kill", 1), ("exec.http.sent:kill", 2), ("exec.http.answered:kill", 2)] {
        heard.lock().unwrap().clear();
        let desk = desk();
        desk.write("runbook.toml", &bare(&format!("[[phase.step]]\nid = \"work\"\nhttp = \"http://{server}/x\"\n")));
        let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
        command.env("GONOGO_FAILPOINT", point);
        assert_eq!(Running::spawn(command).end().code, None, "{point}");
        resume(&desk).exits(0);
        assert_eq!(heard.lock().unwrap().len(), times, "{point}");
        assert_eq!(started(&entries(&desk.run_dir()).await), ["work"], "{point}");
    }
}

/// The idempotency keys of the requests that a server has heard.
type Keys = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

async fn listening() -> (std::net::SocketAddr, Keys) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server, keys) = (listener.local_addr().unwrap(), Keys::default());
    let heard = keys.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let n = stream.read(&mut bytes).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..n]).to_lowercase();
            let key = text.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default();
            heard.lock().unwrap().push(key.to_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
        }
    });
    (server, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_doubt_keeps_its_key_when_it_is_tried_again() {
    use gonogo::run::command::CommandVerb;

    let (server, keys) = listening().await;
    let desk = desk();
    let step = format!("[[phase.step]]\nid = \"work\"\nhttp = {{ url = \"http://{server}/x\", method = \"POST\" }}\n");
    desk.write("runbook.toml", &bare(&step));
    let mut command = desk.command(&["run", "runbook.toml", "--headless", "--yes"]);
    command.env("GONOGO_FAILPOINT", "exec.http.sent:kill");
    assert_eq!(Running::spawn(command).end().code, None);
    let folder = desk.run_dir();
    resume(&desk).exits(4);
    assert!(known(&entries(&folder).await).contains("the POST request may or may not have been sent"));
    desk.run(&["settle", "last", "work", "not-done", "--reason", "its log has no such request"]).exits(0);
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = super::story::Voice::at(&folder).await;
    voice.until("held for the retry", |event| matches!(event, Event::Held { cause: HoldCause::Step { .. }, .. })).await;
    voice.say(CommandVerb::Retry { step: "work".into() }).await;
    engine.end().exits(0);
    let keys = keys.lock().unwrap().clone();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].ends_with("/work/1"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_hears_what_is_settled_beside_it() {
    let desk = desk();
    let after = "[[phase.step]]\nid = \"after\"\nrun = [\"true\"]\n";
    let step = format!("[[phase.step]]\nid = \"work\"\nshell = \"{GATED}\"\n{after}");
    desk.write("runbook.toml", &bare(&at(&desk, &step)));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("one\\n\"");
    let folder = desk.run_dir();
    process::signal(numbers(&folder).0, "KILL");
    running.end().exits(4);
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    super::story::Voice::at(&folder).await;
    // While it works an engine obeys: it is a person who says so, and the retry is what is refused.
    desk.run(&["settle", "last", "work", "done", "--reason", "seen"]).exits(0).says("work is settled as done");
    engine.end().exits(0);
    desk.write("gate", "");
    assert_eq!(started(&entries(&folder).await), ["work", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stays_in_any_file() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let canary = "c4nary-of-this-test";
    cluster.psql(&db, &format!("create role teller_{db} login superuser password '{canary}'"));
    let url = cluster.url(&db);
    let rest = url.split_once("://").unwrap().1;
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let desk = desk.with("DB", format!("postgres://teller_{db}:{canary}@{rest}"));
    let gated = at(&desk, "cat $PGPASSFILE; ") + &at(&desk, GATED);
    let step = format!("[[phase.step]]\nid = \"work\"\nconnect = \"main\"\nshell = \"{gated}; cat $PGPASSFILE\"\n");
    desk.write("runbook.toml", &super::book(&step));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.line("its first words", |line| line.contains("one\\n"));
    running.kill();
    let folder = desk.run_dir();
    assert!(private(&desk.journal()));
    desk.write("gate", "");
    let shim = numbers(&folder).0;
    until("the shim to end", || !process::runs(shim));
    resume(&desk).exits(0).says("‹secret:env:DB›");
    let holding = files(desk.path("").as_path()).into_iter().find(|file| {
        let bytes = fs::read(file).unwrap_or_default();
        bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
    });
    assert_eq!(holding, None);
    let entries = entries(&folder).await;
    assert_eq!(said(&entries, "out").matches("one\ntwo\n").count(), 1, "{}", said(&entries, "out"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Nobody else may read or enter anything below it.
fn private(folder: &Path) -> bool {
    files(folder).iter().all(|file| {
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o077;
        mode(file) == 0 && mode(file.parent().unwrap()) == 0
    })
}

#[test]
fn every_file_is_private_whatever_the_umask() {
    let desk = desk();
    let step = "[[phase.step]]\nid = \"work\"\nnotify = { command = [\"sh\", \"-c\", \"cat; echo one; head -c 9000000 /dev/zero; {}\"], text = \"x\" }\n";
    desk.write("runbook.toml", &bare(&at(&desk, &step.replace("{}", GATED))));
    let program = desk.command(&[]).get_program().to_owned();
    let mut command = desk.command(&[]);
    let _ = command.args(["x"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" run runbook.toml --headless --json --yes"]).arg(program);
    shell
        .current_dir(desk.path(""))
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    let running = Running::spawn(shell);
    running.says("one\\n");
    let folder = desk.run_dir();
    until("the tail", || place(&folder).join("out.tail").exists());
    let names: Vec<String> =
        files(&place(&folder)).iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in ["lock", "started", "out", "err", "order", "in", "log"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    assert!(private(&desk.journal()), "{:?}", files(&desk.journal()));
    desk.write("gate", "");
    running.end().exits(0);
    assert!(private(&desk.journal()));
}
