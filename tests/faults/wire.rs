//! A network that breaks at every single message of an attempt's session, in either direction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::attempt::{Journal, compare, database, open, run, verdict};
use super::chance::Chance;
use super::figures::Figures;
use super::times;

/// Where a session breaks.
#[derive(Clone)]
struct Cut {
    /// The message before which it breaks, counted in both directions; the startup message is the first.
    at: u32,
    passed: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

impl Cut {
    fn before(at: u32) -> Self {
        Self { at, passed: Arc::default(), broken: Arc::default() }
    }

    /// True where this message, and all after it, is lost.
    fn strikes(&self) -> bool {
        if self.passed.fetch_add(1, Ordering::SeqCst) + 1 >= self.at {
            self.broken.store(true, Ordering::SeqCst);
        }
        self.broken.load(Ordering::SeqCst)
    }
}

/// Passes everything on to `port`; sessions under the attempt's name break as `cut` says. Its own port.
async fn proxy(port: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, port, cut.clone()));
        }
    });
    own
}

async fn pass(mut client: TcpStream, port: u16, cut: Cut) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let startup = untyped(&mut client).await?;
    let watched = startup.windows(4).any(|part| part == b"m011");
    if watched && cut.strikes() {
        return None;
    }
    server.write_all(&startup).await.ok()?;
    if !watched {
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()?;
        return Some(());
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Where one direction ends, both are closed.
    tokio::select! {
        () = forward(from_client, to_server, cut.clone()) => {}
        () = forward(from_server, to_client, cut) => {}
    }
    Some(())
}

/// The startup message: a length and no type.
async fn untyped(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.ok()?;
    let mut message = length.to_vec();
    message.resize(u32::from_be_bytes(length) as usize, 0);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: Cut) {
    while let Some(message) = typed(&mut from).await {
        if cut.strikes() || to.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn typed(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = head.to_vec();
    message.resize(1 + length, 0);
    from.read_exact(&mut message[5..]).await.ok()?;
    Some(message)
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_every_message() {
    let Some(cluster) = support::postgres::shared() else { return };
    let mut chance = Chance::new("cut_at_every_message");
    let every = times(9, 1);
    let figures = Figures::new("connection cut before every message of an SQL step");
    for ledger in [true, false] {
        let db = database(cluster, ledger).await;
        let resolver = open(cluster.url(&db)).await;
        // The quick set takes some of them, other ones each time.
        let (first, stride) = (1 + u32::try_from(chance.below(u64::from(every))).unwrap(), every as usize);
        for at in (first..).step_by(stride) {
            let cut = Cut::before(at);
            let port = proxy(cluster.port(), cut.clone()).await;
            let target = open(format!("postgres://postgres@127.0.0.1:{port}/{db}?sslmode=disable")).await;
            let journal = Journal::default();
            let outcome = run(&target, at, 0.0, &journal).await;
            if !cut.broken.load(Ordering::SeqCst) {
                break;
            }
            figures.count(if ledger { "cuts with a ledger" } else { "cuts with the weaker proof" });
            let said = verdict(&resolver, at, &journal, &outcome, &figures).await;
            // A session that was cut off may still be about to be noticed by its server.
            let idle = "select count(*) from pg_stat_activity where application_name = 'gonogo r1 m011'";
            cluster.until(&db, idle, "0");
            let truth = cluster.psql(&db, &format!("select count(*) from t where n = {at}")) == "1";
            compare(truth, said, at, &outcome, &figures);
        }
    }
    figures.publish();
    assert_eq!((figures.get("wrong"), figures.get("left unknown")), (0, 0), "{figures:?}");
}
