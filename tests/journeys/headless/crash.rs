//! kill -9 of the engine while a database or a server is at work, forward and back (commands go on: see shim): the run stands in doubt and asks, and
//! nothing is done twice.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gonogo::run::command::CommandVerb;
use gonogo::run::event::{Claim, HoldCause};
use gonogo::run::{Attempt, Entry, Event, Outcome};
use support::headless::{Desk, until};
use support::postgres::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::story::{Voice, entries, started};
use super::{book, desk_with_database};

/// A server that hears every request and answers only once it is told to.
#[derive(Clone, Default)]
struct Slow {
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<bool>>,
}

impl Slow {
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let slow = slow.clone();
                tokio::spawn(async move {
                    let mut bytes = [0; 4096];
                    let n = stream.read(&mut bytes).await.unwrap_or(0);
                    let method = String::from_utf8_lossy(&bytes[..n]).split(' ').next().unwrap_or_default().to_owned();
                    slow.heard.lock().unwrap().push(method);
                    if *slow.answers.lock().unwrap() {
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                            .await;
                    } else {
                        // Until the client is gone.
                        let _ = stream.read(&mut bytes).await;
                    }
                });
            }
        });
        address
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

/// A world in which a step gets stuck, leaves marks of what it did, and can be let through.
struct World {
    desk: Desk,
    cluster: &'static Cluster,
    db: String,
    slow: Slow,
    server: SocketAddr,
}

/// Where a step leaves its marks.
#[derive(Clone, Copy)]
enum Marks {
    Table,
    Server,
}

/// One verb, stuck.
struct Case {
    /// The body of a step or of an undo: `{desk}` and `{server}` are replaced.
    verb: &'static str,
    marks: Marks,
    /// Marks that its work has left by the time of the kill, for good.
    kept: usize,
    /// What the question must say.
    known: &'static [&'static str],
}

const STUCK_SQL: &str =
    "insert into marks values (1); select pg_sleep(case when exists (select from gate) then 0 else 600 end)";

fn cases() -> Vec<(&'static str, Case)> {
    let sql = |verb, kept, known| Case { verb, marks: Marks::Table, kept, known };
    vec![
        ("sql", sql("sql = \"{sql}\"", 0, &[])),
        ("file", sql("file = \"stuck.sql\"", 0, &[])),
        (
            "direct",
            sql(
                "sql = \"{sql}\", transaction = \"none\"",
                1,
                &["outside a transaction", "statement 2 of 2 was the last known to be sent", "still has a session"],
            ),
        ),
        (
            "post",
            Case {
                verb: "http = { url = \"http://{server}/x\", method = \"POST\" }",
                marks: Marks::Server,
                kept: 1,
                known: &["the POST request may or may not have been sent and obeyed"],
            },
        ),
        (
            "webhook",
            Case {
                verb: "notify = { webhook = \"http://{server}/x\", text = \"it begins\" }",
                marks: Marks::Server,
                kept: 1,
                known: &["the message may or may not have been sent"],
            },
        ),
    ]
}

impl World {
    async fn new() -> Option<Self> {
        let (desk, cluster, db) = desk_with_database()?;
        cluster.psql(&db, "create table marks (n int); create table gate (n int)");
        desk.write(
            "stuck.sql",
            &format!("-- Two statements, one transaction.\n{}\n;\n", STUCK_SQL.replace("; ", ";\n")),
        );
        let slow = Slow::default();
        let server = slow.serve().await;
        Some(Self { desk, cluster, db, slow, server })
    }

    fn filled(&self, verb: &str) -> String {
        let verb = verb.replace("{sql}", STUCK_SQL);
        verb.replace("{desk}", self.desk.path("").to_str().unwrap().trim_end_matches('/'))
            .replace("{server}", &self.server.to_string())
    }

    fn marks(&self, marks: Marks) -> usize {
        match marks {
            Marks::Table => self.cluster.psql(&self.db, "select count(*) from marks").parse().unwrap(),
            Marks::Server => self.slow.count(),
        }
    }

    /// Waits until the step is in the middle of its work, for certain.
    fn until_stuck(&self, marks: Marks) {
        match marks {
            Marks::Table => {
                let busy = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                            and state = 'active' and wait_event = 'PgSleep'";
                self.cluster.until(&self.db, busy, "t");
            }
            Marks::Server => until("the first mark", || self.marks(marks) == 1),
        }
    }

    /// From here on the same work goes through, and what the dead engine left behind is over.
    fn open_gate(&self) {
        let end = "insert into gate values (1); select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and wait_event = 'PgSleep'";
        self.cluster.psql(&self.db, end);
        *self.slow.answers.lock().unwrap() = true;
    }

    /// Starts the run and kills it when `attempt` is at work; what was in the journal then.
    async fn kill(&self, case: &Case, attempt: &str) -> Vec<Entry> {
        let running = self.desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
        let folder = {
            running.says("engine_started");
            self.desk.run_dir()
        };
        self.until_stuck(case.marks);
        // What it does is in the journal before the kill.
        let direction = if attempt.starts_with("undo") { "\"undo\"" } else { "\"forward\"" };
        running.line("its start", |line| line.contains("step_started") && line.contains(direction));
        if matches!(case.marks, Marks::Table) {
            running.line("its second statement", |line| line.contains(direction) && line.contains("\"n\":2,\"of\":2"));
        }
        running.kill();
        let before = entries(&folder).await;
        assert_eq!(started(&before).last().unwrap(), attempt);
        before
    }

    /// Kills it, and takes it up again without a person: it must ask.
    async fn kill_at_work(&self, case: &Case, attempt: &str) -> Attempt {
        let before = self.kill(case, attempt).await;
        let folder = self.desk.run_dir();
        let resumed = self.desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
        let after = entries(&folder).await;
        let ended = after.iter().find_map(|entry| match &entry.event {
            Event::StepEnded { attempt, outcome: Outcome::Unknown { known } } => Some((attempt.clone(), known.clone())),
            _ => None,
        });
        let (doubted, known) = ended.unwrap_or_else(|| panic!("nothing is in doubt\n{}", resumed.out));
        assert_eq!(doubted.to_string(), attempt);
        for words in case.known {
            assert!(known.contains(words), "{words:?} is not in {known:?}");
        }
        assert!(resumed.out.contains("is in doubt; look whether it happened"), "{}", resumed.out);
        assert!(after.iter().any(|entry| matches!(&entry.event, Event::Held { cause: HoldCause::InDoubt { .. }, .. })));
        assert_eq!(started(&after), started(&before), "nothing was started by taking up");
        // A second time: the same question, asked once.
        self.desk.run(&["resume", "last", "--headless", "--yes"]).exits(4);
        assert_eq!(started(&entries(&folder).await), started(&before));
        doubted
    }

    /// Settles what is in doubt through an engine of its own, and says what else is wanted; the engine's exit code.
    async fn settle(&self, folder: &Path, attempt: Attempt, claim: Claim, then: Option<CommandVerb>, code: i32) {
        let engine = self.desk.start(&["engine", folder.to_str().unwrap()]);
        let mut voice = Voice::at(folder).await;
        let begun = voice.until_after(0, "the engine", |_| true).await.seq;
        let reason = "looked at it".to_owned();
        voice.say(CommandVerb::Settle { attempt: attempt.clone(), claim, reason }).await;
        voice.until_after(begun, "settled", |event| matches!(event, Event::Settled { .. })).await;
        if let Some(verb) = then {
            let held = |event: &Event| {
                matches!(event, Event::Held { cause: HoldCause::Step { .. } | HoldCause::Undo { .. }, .. })
            };
            voice.until("held for what comes next", held).await;
            voice.say(verb).await;
        }
        engine.end().exits(code);
    }
}

fn forward(body: &str) -> String {
    let body = body.replace("\", transaction", "\"\ntransaction");
    book(&format!(
        "[[phase.step]]\nid = \"stuck\"\n{body}\n\n\
         [[phase.step]]\nid = \"after\"\nsql = \"create table after ()\"\n"
    ))
}

/// A forward way that fails after `stuck`, whose undo is what gets stuck.
fn backward(body: &str) -> String {
    book(&format!(
        "[[phase.step]]\nid = \"stuck\"\nsql = \"create table before ()\"\nundo = {{ {body} }}\n\n\
         [[phase.step]]\nid = \"fails\"\nsql = \"select 1 / 0\"\non_fail = \"rollback\"\n"
    ))
}

/// Settled as not done, then tried again: done exactly once more than was left.
async fn killed_forward(name: &str, case: Case) {
    let Some(world) = World::new().await else { return };
    world.desk.write("runbook.toml", &forward(&world.filled(case.verb)));
    let attempt = world.kill_at_work(&case, "stuck").await;
    assert_eq!(world.marks(case.marks), case.kept, "{name}: nothing ran twice");
    world.open_gate();
    let retry = CommandVerb::Retry { step: "stuck".into() };
    let folder = world.desk.run_dir();
    world.settle(&folder, attempt, Claim::NotDone, Some(retry), 0).await;
    assert_eq!(world.marks(case.marks), case.kept + 1, "{name}: the retry, which a person asked for, and no more");
    assert_eq!(started(&entries(&folder).await), ["stuck", "stuck (attempt 2)", "after"]);
    assert_eq!(world.cluster.psql(&world.db, "select count(*) from after"), "0");
    world.desk.run(&["audit"]).exits(0);
}

/// Settled as done: the way back goes on and never does it again.
async fn killed_backward(name: &str, case: Case) {
    let Some(world) = World::new().await else { return };
    world.desk.write("runbook.toml", &backward(&world.filled(case.verb)));
    let attempt = world.kill_at_work(&case, "undo of stuck").await;
    assert_eq!(world.marks(case.marks), case.kept, "{name}: nothing ran twice");
    world.open_gate();
    let folder = world.desk.run_dir();
    world.settle(&folder, attempt, Claim::Done, None, 5).await;
    assert_eq!(world.marks(case.marks), case.kept, "{name}: it was said to be done");
    assert_eq!(started(&entries(&folder).await), ["stuck", "fails", "undo of stuck"]);
    world.desk.run(&["audit"]).exits(0);
}

/// A transaction needs nobody: its target decides that it did not happen, and it is done anew, once.
async fn decided(name: &str, forward: bool) {
    let Some(world) = World::new().await else { return };
    let case = take(name);
    let body = world.filled(case.verb);
    let (book, attempt) = if forward { (self::forward(&body), "stuck") } else { (backward(&body), "undo of stuck") };
    // Forward with a ledger, back with the weaker proof.
    let ledger = if forward { "url = \"env:DB\", ledger = \"create\"" } else { "url = \"env:DB\"" };
    world.desk.write("runbook.toml", &book.replace("url = \"env:DB\"", ledger));
    let before = world.kill(&case, attempt).await;
    world.cluster.psql(&world.db, "insert into gate values (1)");
    world.desk.run(&["resume", "last", "--headless", "--yes"]).exits(if forward { 0 } else { 5 });
    assert_eq!(world.marks(case.marks), 1, "{name}: once");
    let after = entries(&world.desk.run_dir()).await;
    let ends: Vec<&Outcome> = after[before.len()..]
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::StepEnded { attempt, outcome } if attempt.step.0 == "stuck" => Some(outcome),
            _ => None,
        })
        .collect();
    let [Outcome::Failed { fault, .. }, Outcome::Done { .. }] = ends.as_slice() else { panic!("{ends:?}") };
    assert!(fault.interrupted && fault.safe.contains("COMMIT was never sent"), "{fault:?}");
    world.desk.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_transaction() {
    decided("sql", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_undo_of_a_transaction() {
    decided("sql", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file_of_statements() {
    decided("file", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_undo_by_a_file() {
    decided("file", false).await;
}

fn take(name: &str) -> Case {
    cases().into_iter().find(|(id, _)| *id == name).unwrap().1
}

macro_rules! killed {
    ($($name:ident $forward:ident $backward:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $forward() {
            killed_forward(stringify!($name), take(stringify!($name))).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $backward() {
            killed_backward(stringify!($name), take(stringify!($name))).await;
        }
    )*};
}

killed! {
    direct outside_a_transaction in_the_undo_outside_a_transaction
    post in_a_writing_request in_the_undo_by_a_writing_request
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_message_by_webhook() {
    killed_forward("webhook", take("webhook")).await;
}
