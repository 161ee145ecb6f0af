//! A network between us and the server that fails at the worst moment: when COMMIT is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// `commit`, as the simple protocol sends it.
const COMMIT: &[u8] = b"Q\x00\x00\x00\x0bcommit\x00";
/// The same length, and the server answers with the tag that the driver does not look at.
const ABORT: &[u8] = b"Q\x00\x00\x00\x0babort \x00";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// COMMIT never reaches the server; the connection is cut.
    Before,
    /// The server gets COMMIT, its answer is lost; the connection is cut.
    After,
    /// COMMIT arrives as something else.
    Turned,
    /// Once the marked statement was sent, nothing comes back any more, and nobody hangs up.
    Frozen(&'static str),
}

/// Listens on a free port and passes everything on to `port`; returns its own port.
pub async fn start(port: u16, fails: Fails) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(pass(client, server, fails));
        }
    });
    own
}

async fn pass(client: TcpStream, server: TcpStream, fails: Fails) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mute = Arc::new(AtomicBool::new(false));
    // Where one direction ends, both are closed.
    tokio::select! {
        () = up(from_client, to_server, fails, Arc::clone(&mute)) => {}
        () = down(from_server, to_client, fails, mute) => {}
    }
}

/// Client to server. A message of ours is small and is flushed at once, so it arrives in one piece.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fails: Fails, mute: Arc<AtomicBool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..n];
        let commits = bytes == COMMIT;
        match fails {
            Fails::Before if commits => return,
            Fails::Turned if commits => bytes.copy_from_slice(ABORT),
            Fails::After if commits => mute.store(true, Ordering::SeqCst),
            Fails::Frozen(mark) if contains(bytes, mark) => mute.store(true, Ordering::SeqCst),
            _ => {}
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fails: Fails, mute: Arc<AtomicBool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(n) = from.read(&mut buffer).await {
        if mute.load(Ordering::SeqCst) {
            if fails == Fails::After {
                return;
            }
            // Frozen: not even the end of the connection is told.
            std::future::pending::<()>().await;
        }
        if n == 0 || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}
