//! The Prometheus probe against a real Prometheus server: it scrapes us, we query it, it goes away.
#![cfg(test)]

#[path = "support/doors.rs"]
mod doors;

use std::fs;
use std::net::TcpListener as Port;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doors::{doors, probe};
use gonogo::probe::Sampler;
use gonogo::runbook::{ProbeSource, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PROGRAM: &str = "prometheus";

/// A server of our own, killed at the end of the test.
struct Server {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Scrapes `metrics` (`host:port`) every second. None: the program is not installed.
    fn start(metrics: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs: [{{ job_name: app, static_configs: [{{ targets: ['{metrics}'] }}] }}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("written");
        let port = Port::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new(PROGRAM)
            .arg(format!("--config.file={}", at("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", at("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).expect("a log"))
            .spawn()
            .ok()?;
        let url = format!("http://127.0.0.1:{port}");
        Some(Self { child, url, folder })
    }

    fn sampler(&self, query: &str) -> Sampler {
        let url = Secret::Plain(self.url.clone());
        let query = query.to_owned();
        Sampler::new(&probe(ProbeSource::Prometheus { url, query }), doors(Path::new("/")))
    }

    async fn ask(&self, query: &str) -> String {
        let sample = self.sampler(query).take().await;
        sample.value.map_or_else(|none| none.reason, |number| number.to_string())
    }

    /// Asks until the answer is as wanted; fails the test after a minute.
    async fn ask_until(&self, query: &str, wanted: &str) {
        let mut last = String::new();
        let asking = async {
            loop {
                last = self.ask(query).await;
                if last == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), asking).await.is_err() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("{query}: wanted {wanted}, last {last}\n{log}");
        }
    }
}

/// Serves two series for as long as the runtime lives.
async fn metrics() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            // A scraper that leaves early comes again.
            let _ = stream.read(&mut asked).await;
            let body = "queue_depth{queue=\"a\"} 3\nqueue_depth{queue=\"b\"} 4\nratio NaN\n";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server() {
    let Some(mut server) = Server::start(&metrics().await) else {
        println!("SKIPPED: the program `{PROGRAM}` is absent (Debian package: prometheus)");
        return;
    };
    server.ask_until("vector(1)", "1").await;
    server.ask_until("up", "1").await;
    server.ask_until("sum(queue_depth)", "7").await;
    server.ask_until("queue_depth", "2 series, one wanted").await;
    server.ask_until("ratio", "NaN").await;
    assert_eq!(server.ask("scalar(vector(2.5))").await, "2.5");
    assert_eq!(server.ask("1 / 0").await, "+Inf");
    assert_eq!(server.ask("no_such_metric").await, "empty result");
    assert_eq!(server.ask("up[1m]").await, "a matrix, one number wanted");
    let refused = server.ask("sum(").await;
    assert!(refused.starts_with("HTTP 400: invalid parameter \"query\""), "{refused}");
    let time: f64 = server.ask("time()").await.parse().expect("a number");
    assert!(time > 1_700_000_000.0);

    let mut sampler = server.sampler("vector(1)");
    assert_eq!(sampler.take().await.value, Ok(1.0));
    server.child.kill().expect("killed");
    server.child.wait().expect("reaped");
    let none = sampler.take().await.value.expect_err("nobody there");
    assert!(["connection refused", "connection broken off"].contains(&none.reason.as_str()), "{none:?}");
    assert_eq!(server.ask("vector(1)").await, "connection refused");
}
