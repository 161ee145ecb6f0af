//! Screens and an engine on a real socket: good ones, bad ones, slow ones, dead ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::Receiver;

use super::address::{Address, NAME};
use super::lines::LINE_MAX;
use super::peer::{may_speak, own_uid, user_in};
use super::server::{PATIENCE, Patience};
use super::{Act, Client, Down, LinkError, PeerInfo, Server};
use crate::run::{Attempt, Command, CommandVerb, Direction, Progress};

const HELLO: &str = r#"{"up":"hello","version":1,"by":"me","watch":false}"#;

struct Engine {
    server: Server,
    acts: Receiver<(PeerInfo, Act)>,
    folder: PathBuf,
    _temp: TempDir,
}

async fn engine_with(patience: Patience) -> Engine {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("r");
    fs::create_dir(&folder).unwrap();
    let (server, acts) = Server::bind_with(&folder, "r", patience).await.unwrap();
    Engine { server, acts, folder, _temp: temp }
}

async fn engine() -> Engine {
    engine_with(PATIENCE).await
}

impl Engine {
    async fn act(&mut self) -> (PeerInfo, Act) {
        self.acts.recv().await.unwrap()
    }

    /// A connection that speaks for itself.
    async fn raw(&self) -> UnixStream {
        let address = Address::of(&self.folder).unwrap();
        UnixStream::connect(address.path()).await.unwrap()
    }
}

fn command(text: &str) -> Command {
    Command { by: "root@elsewhere".to_owned(), seen: 7, verb: CommandVerb::Note { text: text.to_owned(), step: None } }
}

fn progress(waiting: String) -> Progress {
    Progress {
        attempt: Attempt { step: "s".into(), direction: Direction::Forward, n: 1 },
        statement: 1,
        of: 2,
        rows: 3,
        bytes: 4,
        elapsed_ms: 5,
        batches: None,
        waiting: Some(waiting),
    }
}

/// What a raw connection hears until it is closed.
async fn hears(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn refusal(line: &[u8]) -> String {
    let mut engine = engine().await;
    let mut stream = engine.raw().await;
    stream.write_all(HELLO.as_bytes()).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    // The engine may hang up before all is said.
    let _ = stream.write_all(line).await;
    assert_eq!(engine.act().await.1, Act::Attached);
    let heard = hears(stream).await;
    assert_eq!(engine.act().await.1, Act::Left);
    heard.lines().last().unwrap().to_owned()
}

#[tokio::test]
async fn commands_go_up_bells_and_progress_come_down() {
    let mut engine = engine().await;
    engine.server.bell(3);
    let mut client = Client::connect(&engine.folder, "alice", false).await.unwrap();
    assert_eq!((client.pid, client.version.as_str()), (std::process::id(), env!("CARGO_PKG_VERSION")));
    let (peer, act) = engine.act().await;
    assert_eq!((act, peer.says.as_str(), peer.writes), (Act::Attached, "alice", true));
    assert_eq!((peer.uid, peer.pid), (own_uid(), i32::try_from(std::process::id()).ok()));
    assert_eq!(client.inbox.recv().await, Some(Down::Bell { seq: 3 }));
    client.commands.send(command("one")).await.unwrap();
    let (from, act) = engine.act().await;
    assert_eq!(from, peer);
    let expected = Command { by: peer.by.clone(), ..command("one") };
    assert_eq!(act, Act::Command(expected));
    assert!(peer.by.contains('@') && !peer.by.starts_with("root@elsewhere"));
    engine.server.bell(4);
    assert_eq!(client.inbox.recv().await, Some(Down::Bell { seq: 4 }));
    engine.server.progress(progress("lock".to_owned()));
    assert_eq!(client.inbox.recv().await, Some(Down::Progress(progress("lock".to_owned()))));
    client.commands.send(command("last words")).await.unwrap();
    drop(client);
    assert!(matches!(engine.act().await.1, Act::Command(_)));
    assert_eq!(engine.act().await.1, Act::Left);
}

#[tokio::test]
async fn a_watcher_sees_all_and_may_do_nothing() {
    let mut engine = engine().await;
    let mut watcher = Client::connect(&engine.folder, "bob", true).await.unwrap();
    assert!(!engine.act().await.0.writes);
    assert_eq!(watcher.inbox.recv().await, Some(Down::Bell { seq: 0 }));
    for verb in [CommandVerb::Release, CommandVerb::StopCountdown, command("x").verb] {
        let refused = Command { verb, ..command("") };
        watcher.commands.send(refused).await.unwrap();
        let Some(Down::Refused { why }) = watcher.inbox.recv().await else {
            panic!("not refused");
        };
        assert!(why.starts_with("this screen only watches"), "{why}");
    }
    engine.server.bell(9);
    assert_eq!(watcher.inbox.recv().await, Some(Down::Bell { seq: 9 }));
    assert!(engine.acts.try_recv().is_err());
}

#[tokio::test]
async fn garbage_ends_the_connection_with_words() {
    let not_json = refusal(b"\x1b]52;c;x\x07 \xff\n").await;
    assert!(not_json.contains("a line is not understood"), "{not_json}");
    assert!(refusal(b"{\"up\":\"dance\"}\n").await.contains("unknown variant `dance`"));
    let twice = format!("{HELLO}\n");
    assert!(refusal(twice.as_bytes()).await.contains("hello was said already"));
    let long = vec![b'x'; LINE_MAX + 1];
    assert!(refusal(&long).await.contains("a line is longer than 262144 bytes"));
}

#[tokio::test]
async fn the_longest_command_still_passes() {
    let mut engine = engine().await;
    let client = Client::connect(&engine.folder, "me", false).await.unwrap();
    engine.act().await;
    let long = command(&"x".repeat(LINE_MAX - 200));
    client.commands.send(long.clone()).await.unwrap();
    let (_, Act::Command(heard)) = engine.act().await else {
        panic!("no command");
    };
    assert_eq!(heard.verb, long.verb);
}

#[tokio::test]
async fn a_call_without_a_fitting_hello_is_turned_away() {
    let mut engine = engine().await;
    let other = r#"{"up":"hello","version":2,"by":"me","watch":true}"#;
    for (line, words) in [(other, "speaks version 1 of the link, this screen version 2"), ("[]", "not understood")] {
        let mut stream = engine.raw().await;
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let heard = hears(stream).await;
        assert!(heard.contains(words), "{heard}");
    }
    let command = r#"{"up":"command","by":"me","seen":1,"verb":{"do":"release"}}"#;
    let mut stream = engine.raw().await;
    stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    assert!(hears(stream).await.contains("the first line must be a hello"));
    // Half a line and gone.
    let mut stream = engine.raw().await;
    stream.write_all(b"{\"up\":").await.unwrap();
    drop(stream);
    assert!(engine.acts.try_recv().is_err(), "none of them was let in");
}

#[tokio::test]
async fn who_says_nothing_is_turned_away() {
    let impatient = Patience { hello: Duration::from_millis(20), ..PATIENCE };
    let engine = engine_with(impatient).await;
    let silent = engine.raw().await;
    assert!(hears(silent).await.contains("no hello came"));
}

#[tokio::test]
async fn a_slow_screen_is_let_go_and_stalls_nobody() {
    let impatient = Patience { write: Duration::from_millis(20), ..PATIENCE };
    let mut engine = engine_with(impatient).await;
    let mut slow = engine.raw().await;
    slow.write_all(HELLO.as_bytes()).await.unwrap();
    slow.write_all(b"\n").await.unwrap();
    let slow_id = engine.act().await.0.id;
    // Nobody reads what `slow` hears: its buffers fill, and then it is gone.
    let left = loop {
        engine.server.progress(progress("x".repeat(16 * 1024)));
        tokio::task::yield_now().await;
        if let Ok(act) = engine.acts.try_recv() {
            break act;
        }
    };
    assert_eq!((left.0.id, left.1), (slow_id, Act::Left));
    let mut good = Client::connect(&engine.folder, "me", false).await.unwrap();
    assert_eq!(engine.act().await.1, Act::Attached);
    engine.server.bell(12);
    while good.inbox.recv().await != Some(Down::Bell { seq: 12 }) {}
}

#[tokio::test]
async fn a_client_that_does_not_look_loses_progress_not_bells() {
    let mut engine = engine().await;
    let mut client = Client::connect(&engine.folder, "me", false).await.unwrap();
    engine.act().await;
    for n in 1..=2000 {
        engine.server.progress(progress(n.to_string()));
        engine.server.bell(n);
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    while client.inbox.recv().await != Some(Down::Bell { seq: 2000 }) {}
}

#[tokio::test]
async fn too_many_screens_are_told_so() {
    let engine = engine().await;
    let mut sitting = Vec::new();
    for _ in 0..32 {
        sitting.push(Client::connect(&engine.folder, "me", true).await.unwrap());
    }
    let error = Client::connect(&engine.folder, "me", true).await.err().unwrap();
    insta::assert_snapshot!(error, @"the engine of run r refused this screen: 32 screens look on already");
}

#[tokio::test]
async fn an_engine_that_ends_rings_a_last_time() {
    let mut engine = engine().await;
    let mut client = Client::connect(&engine.folder, "me", false).await.unwrap();
    engine.act().await;
    assert_eq!(client.inbox.recv().await, Some(Down::Bell { seq: 0 }));
    engine.server.bell(41);
    engine.server.close().await;
    assert_eq!(client.inbox.recv().await, Some(Down::Bell { seq: 41 }));
    assert_eq!(client.inbox.recv().await, None);
    client.commands.closed().await;
    assert!(!engine.folder.join(NAME).exists());
    let error = Client::connect(&engine.folder, "me", false).await.err().unwrap();
    insta::assert_snapshot!(error, @"no engine works on run r: `gonogo resume r` goes on with it");
}

#[tokio::test]
async fn the_socket_of_a_killed_engine_is_replaced_a_living_one_not() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("r");
    fs::create_dir(&folder).unwrap();
    // What kill -9 leaves: a socket file that nobody listens at.
    drop(std::os::unix::net::UnixListener::bind(folder.join(NAME)).unwrap());
    assert!(matches!(Client::connect(&folder, "me", false).await, Err(LinkError::NoEngine { .. })));
    let (server, mut acts) = Server::bind(&folder, "r").await.unwrap();
    let busy = Server::bind(&folder, "r").await.err().unwrap();
    assert!(matches!(busy, LinkError::Busy { .. }), "{busy}");
    let client = Client::connect(&folder, "me", false).await.unwrap();
    while acts.recv().await.unwrap().1 != Act::Attached {}
    drop(server);
    client.commands.closed().await;
    fs::write(folder.join(NAME), "not a socket").unwrap();
    let error = Server::bind(&folder, "r").await.err().unwrap().to_string();
    assert!(error.contains("is not a socket: move it away"), "{error}");
}

#[tokio::test]
async fn a_deep_folder_has_a_socket_too() {
    let temp = TempDir::new().unwrap();
    let mut folder = temp.path().to_owned();
    for _ in 0..12 {
        folder.push("a-folder-with-a-long-name");
    }
    folder.push("r");
    fs::create_dir_all(&folder).unwrap();
    assert!(folder.as_os_str().len() > 300);
    let (server, mut acts) = Server::bind(&folder, "r").await.unwrap();
    let mode = fs::metadata(folder.join(NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut client = Client::connect(&folder, "me", false).await.unwrap();
    assert_eq!(acts.recv().await.unwrap().1, Act::Attached);
    server.bell(5);
    while client.inbox.recv().await != Some(Down::Bell { seq: 5 }) {}
    server.close().await;
    assert!(!folder.join(NAME).exists());
}

#[test]
fn only_the_owner_and_root_may_speak() {
    assert!(may_speak(1000, 1000));
    assert!(may_speak(0, 1000));
    assert!(!may_speak(1001, 1000));
    assert!(!may_speak(1000, 0));
}

#[test]
fn users_have_names() {
    let passwd = "# comment:x:5:\nroot:x:0:0:root:/root:/bin/sh\n:x:7:\nbroken\ndba:x:1000:1000::/home/dba:/bin/sh\nalias:x:1000::\n";
    assert_eq!(user_in(passwd, 0).as_deref(), Some("root"));
    assert_eq!(user_in(passwd, 1000).as_deref(), Some("dba"));
    assert_eq!(user_in(passwd, 7), None);
    assert_eq!(user_in(passwd, 5), None);
    assert!(Path::new("/etc").is_dir());
}

/// Somebody tidies up: the name of the socket is gone, or is another's dead one.
#[tokio::test]
async fn a_socket_that_was_taken_away_is_made_anew() {
    let engine = engine_with(Patience { look: Duration::from_millis(10), ..PATIENCE }).await;
    let before = Client::connect(&engine.folder, "me", true).await.unwrap();
    let dead = || drop(std::os::unix::net::UnixListener::bind(engine.folder.join(NAME)).unwrap());
    for (n, spoil) in [None, Some(&dead as &dyn Fn())].into_iter().enumerate() {
        fs::remove_file(engine.folder.join(NAME)).unwrap();
        spoil.iter().for_each(|spoil| spoil());
        while Client::connect(&engine.folder, "me", true).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mode = fs::metadata(engine.folder.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{n}");
    }
    assert!(!before.commands.is_closed(), "who was connected stays so");
}
