//! Probes against real sockets, processes and files: a number, or no data with its reason.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gonogo::child::proc;
use gonogo::probe::{Sampler, watch};
use gonogo::runbook::{HttpTake, LogTake, Probe, ProbeSource, Secret};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::doors::{doors, probe};
use crate::server::{Reply, Request, Server};
use crate::wait;

/// The value, or the reason why there is none.
async fn said(spec: &Probe) -> String {
    said_in(spec, Path::new("/")).await
}

async fn said_in(spec: &Probe, cwd: &Path) -> String {
    show(Sampler::new(spec, doors(cwd)).take().await)
}

fn show(sample: gonogo::probe::Sample) -> String {
    sample.value.map_or_else(|none| none.reason, |number| number.to_string())
}

fn plain(text: impl Into<String>) -> Secret {
    Secret::Plain(text.into())
}

fn prometheus(url: String) -> Probe {
    probe(ProbeSource::Prometheus { url: plain(url), query: "a + b".to_owned() })
}

/// A vector of one, `age` seconds old.
fn vector(age: i64, value: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{},"{value}"]}}]}}}}"#,
        now - age
    )
}

fn mode(request: &Request) -> Reply {
    let ok = |body: String| Reply::text(200, body);
    let series = r#"{"status":"success","data":{"resultType":"vector","result":[{},{}]}}"#;
    match request.path().split('/').nth(1).unwrap_or_default() {
        "up" => ok(vector(0, "1")),
        "zero" => ok(vector(0, "0")),
        "500" => Reply::text(500, "<html>broken"),
        "slow" => Reply::After(Duration::from_millis(150), 200, vector(0, "7")),
        "hang" => Reply::Hang,
        "half" => Reply::Half,
        "hangup" => Reply::HangUp,
        "empty" => ok(series.replace("{},{}", "")),
        "nan" => ok(vector(0, "NaN")),
        "inf" => ok(vector(0, "+Inf")),
        "two" => ok(series.to_owned()),
        "html" => ok("<!doctype html><title>Sign in</title>".to_owned()),
        "stale" => ok(vector(300, "1")),
        "clock" => ok(vector(-3600, "1")),
        "garbage" => ok("{\"status\":".to_owned()),
        "huge" => Reply::Now(200, "", vec![b' '; 3 * 1024 * 1024]),
        "moved" => Reply::Now(302, "location: /up/api/v1/query\r\n", Vec::new()),
        "refused" => Reply::text(400, r#"{"status":"error","errorType":"bad_data","error":"parse error: a"}"#),
        _ => Reply::text(404, ""),
    }
}

#[tokio::test]
async fn prometheus_in_every_mode() {
    let server = Server::start(mode).await;
    let cases = [
        ("up", "1"),
        ("zero", "0"),
        ("500", "HTTP 500"),
        ("slow", "7"),
        ("empty", "empty result"),
        ("nan", "NaN"),
        ("inf", "+Inf"),
        ("two", "2 series, one wanted"),
        ("html", "a web page, not JSON"),
        ("stale", "stale: 5 min old"),
        ("clock", "wrong clock: its time is 60 min ahead of ours"),
        ("garbage", "not the JSON of a Prometheus answer"),
        ("huge", "HTTP 200, and an answer over 1 MiB"),
        ("moved", "HTTP 302: redirects are not followed"),
        ("refused", "HTTP 400: parse error: a"),
        ("nowhere", "HTTP 404"),
    ];
    for (mode, wanted) in cases {
        let mut got = said(&prometheus(server.url(&format!("/{mode}/")))).await;
        // A busy machine may let seconds pass; the minutes are what counts.
        got = got.replace("59 min", "60 min");
        assert_eq!(got, wanted, "mode {mode}");
    }
    assert!(said(&prometheus(server.url("/hangup"))).await.starts_with("broken answer"));
    let asked = server.requests();
    assert!(asked.iter().all(|request| request.path().ends_with("/api/v1/query?query=a+%2B+b")), "{asked:?}");
    assert_eq!(
        asked.iter().filter(|request| request.path().starts_with("/up/")).count(),
        1,
        "no redirect was followed"
    );
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let server = Server::start(mode).await;
    for mode in ["hang", "half"] {
        let mut spec = prometheus(server.url(&format!("/{mode}")));
        spec.timeout = Duration::from_millis(300);
        assert_eq!(said(&spec).await, "no answer in 300 ms");
    }
}

#[tokio::test]
async fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
    assert_eq!(said(&prometheus(format!("http://127.0.0.1:{port}"))).await, "connection refused");
    let mut spec = prometheus(String::new());
    assert_eq!(said(&spec).await, "not a URL (relative URL without a base)");
    spec.source = ProbeSource::Prometheus { url: Secret::Env("PROM".to_owned()), query: "up".to_owned() };
    assert_eq!(said(&spec).await, "env:PROM is not set");
}

#[tokio::test]
async fn a_sampler_recovers_with_its_source() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::text(503, ""),
        1 => Reply::HangUp,
        _ => Reply::text(200, vector(0, "3")),
    })
    .await;
    let mut sampler = Sampler::new(&prometheus(server.url("")), doors(Path::new("/")));
    assert_eq!(show(sampler.take().await), "HTTP 503");
    assert!(sampler.take().await.value.is_err());
    assert_eq!(show(sampler.take().await), "3");
}

#[tokio::test]
async fn http_status_latency_and_json() {
    let server = Server::start(|request| match request.path() {
        "/json" if request.header("x-token") == Some("t0p") => Reply::text(200, r#"{"queue":{"depth":"41"}}"#),
        "/json" => Reply::text(401, ""),
        "/503" => Reply::text(503, "busy"),
        "/huge" => Reply::Now(200, "", vec![b'x'; 2 * 1024 * 1024]),
        _ => Reply::text(200, "fine"),
    })
    .await;
    let http = |path: &str, take: HttpTake| {
        probe(ProbeSource::Http {
            url: plain(server.url(path)),
            headers: vec![("x-token".to_owned(), plain("t0p"))],
            take,
        })
    };
    assert_eq!(said(&http("/", HttpTake::Status)).await, "200");
    assert_eq!(said(&http("/503", HttpTake::Status)).await, "503");
    assert_eq!(said(&http("/huge", HttpTake::Status)).await, "200");
    assert_eq!(said(&http("/json", HttpTake::Json("/queue/depth".to_owned()))).await, "41");
    assert_eq!(said(&http("/json", HttpTake::Json("/queue".to_owned()))).await, "/queue is an object, not a number");
    assert_eq!(said(&http("/", HttpTake::Json("/x".to_owned()))).await, "the body is not JSON");
    assert_eq!(said(&http("/503", HttpTake::Latency)).await, "HTTP 503");
    assert_eq!(said(&http("/huge", HttpTake::Latency)).await, "a body over 1 MiB");
    let latency = said(&http("/", HttpTake::Latency)).await;
    assert!(latency.parse::<f64>().is_ok_and(|ms| ms > 0.0), "{latency}");
}

#[tokio::test]
async fn sql_text_becomes_a_number() {
    let sql = |text: &str| probe(ProbeSource::Sql { target: "main".to_owned(), sql: text.to_owned() });
    assert_eq!(said(&sql(" 12.50 ")).await, "12.5");
    assert_eq!(said(&sql("t")).await, "not a number: t");
    assert_eq!(said(&sql("Infinity")).await, "+Inf");
    assert_eq!(said(&sql("refuse")).await, "main: connection refused");
    let mut hang = sql("hang");
    hang.timeout = Duration::from_millis(200);
    assert_eq!(said(&hang).await, "no answer in 200 ms");
}

fn run(argv: &[&str]) -> Probe {
    probe(ProbeSource::Run { argv: argv.iter().map(|&arg| arg.to_owned()).collect() })
}

#[tokio::test]
async fn commands_say_numbers_on_their_last_line() {
    assert_eq!(said(&run(&["printf", "warming up\\n 4.5 \\n\\n"])).await, "4.5");
    assert_eq!(
        said(&run(&["sh", "-c", "echo 1; echo no such host >&2; exit 3"])).await,
        "the command exited with 3: no such host"
    );
    assert_eq!(said(&run(&["sh", "-c", "kill -9 $$"])).await, "the command was killed by signal 9 (SIGKILL)");
    assert_eq!(said(&run(&["true"])).await, "empty answer");
    assert_eq!(said(&run(&["echo", "many"])).await, "not a number: many");
    assert_eq!(said(&run(&["gonogo-no-such-program"])).await, "`gonogo-no-such-program` was not found");
    assert_eq!(said(&run(&["sh", "-c", "yes 12345678 | head -c 9000000"])).await, "12345678");
    assert_eq!(said(&run(&["sh", "-c", "env | grep -c ^RUST_; true"])).await, "0");
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spec = run(&["sh", "-c", "sleep 1000 & echo $! > pid.new; mv pid.new pid; wait"]);
    let mut sampler = Sampler::new(&spec, doors(folder.path()));
    let pid = folder.path().join("pid");
    tokio::select! {
        sample = sampler.take() => panic!("it ended: {sample:?}"),
        () = wait::until("the command to be at work", || pid.exists()) => {}
    }
    let pid: u32 = fs::read_to_string(pid).expect("a pid").trim().parse().expect("a number");
    wait::until("its child to be gone", || proc::stat(pid).is_none()).await;
    spec.timeout = Duration::from_millis(100);
    assert_eq!(said_in(&spec, folder.path()).await, "no answer in 100 ms");
}

#[tokio::test]
async fn a_log_is_followed_through_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    let append = |text: &str| {
        let mut file = fs::File::options().append(true).create(true).open(&path).expect("opened");
        file.write_all(text.as_bytes()).expect("appended");
    };
    let spec = probe(ProbeSource::Log {
        path: "app.log".to_owned(),
        take: LogTake::Share { matching: "ERROR".to_owned(), of: None, at_least: 1 },
        window: Duration::from_secs(3600),
    });
    let mut sampler = Sampler::new(&spec, doors(folder.path()));
    assert_eq!(show(sampler.take().await), "no such file");
    append("ERROR one\nfine\nfi");
    assert_eq!(show(sampler.take().await), "50");
    append("ne\n(fine\n");
    assert_eq!(show(sampler.take().await), "25");
    fs::rename(&path, folder.path().join("app.log.1")).expect("rotated");
    assert_eq!(show(sampler.take().await), "25");
    append("ERROR two\n");
    assert_eq!(show(sampler.take().await), "40");
    fs::write(&path, "ERROR\n").expect("truncated");
    assert_eq!(show(sampler.take().await), "50");
    let mut silent = Sampler::new(&spec, doors(folder.path()));
    assert_eq!(show(silent.take().await), "no lines in the last 60 min");
}

#[tokio::test]
async fn watching_samples_again_and_again_until_stopped() {
    let mut spec = run(&["echo", "5"]);
    spec.every = Duration::from_millis(100);
    let (out, mut readings) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch(spec, doors(Path::new("/")), out, stop.clone()));
    for _ in 0..3 {
        let reading = readings.recv().await.expect("a reading");
        assert_eq!((reading.probe.as_str(), show(reading.sample).as_str()), ("p", "5"));
    }
    stop.cancel();
    task.await.expect("the task ends");
}

#[tokio::test]
async fn watching_ends_where_nobody_listens() {
    let (out, readings) = mpsc::channel(1);
    drop(readings);
    watch(run(&["echo", "5"]), doors(Path::new("/")), out, CancellationToken::new()).await;
}

#[tokio::test]
async fn a_watched_log_is_read_between_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    fs::write(&path, "").expect("written");
    let mut spec = probe(ProbeSource::Log {
        path: "app.log".to_owned(),
        take: LogTake::Share { matching: "a".to_owned(), of: None, at_least: 1 },
        window: Duration::from_secs(3600),
    });
    spec.every = Duration::from_millis(500);
    let (out, mut readings) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch(spec, doors(folder.path()), out, stop.clone()));
    let first = readings.recv().await.expect("a reading");
    assert_eq!(show(first.sample), "no lines in the last 60 min");
    fs::write(&path, "a\nb\n").expect("written");
    loop {
        let reading = readings.recv().await.expect("a reading");
        if let Ok(share) = reading.sample.value {
            assert_eq!(share, 50.0);
            break;
        }
    }
    stop.cancel();
    task.await.expect("the task ends");
}

#[tokio::test]
async fn a_share_of_too_few_lines_is_no_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    fs::write(&path, "").expect("written");
    let spec = probe(ProbeSource::Log {
        path: "app.log".to_owned(),
        take: LogTake::Share { matching: "a".to_owned(), of: None, at_least: 4 },
        window: Duration::from_secs(3600),
    });
    let mut sampler = Sampler::new(&spec, doors(folder.path()));
    fs::write(&path, "a\nb\nb\n").expect("written");
    assert_eq!(show(sampler.take().await), "only 3 lines, 4 wanted");
    let mut file = fs::File::options().append(true).open(&path).expect("opened");
    file.write_all(b"b\n").expect("appended");
    assert_eq!(show(sampler.take().await), "25");
}
