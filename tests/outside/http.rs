//! One request at most: what was not sent broke, what got no answer is unknown where it writes.

use std::time::Duration;

use gonogo::engine::exec::{HttpJob, http, wait};
use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Direction, Outcome};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{expects, facts, fault, nothing, order, text};
use crate::server::{Reply, Request, Server};

fn job(method: &str, url: String) -> HttpJob {
    HttpJob {
        order: order(),
        method: method.to_owned(),
        url: SecretString::from(url),
        show_path: true,
        headers: Vec::new(),
        body: None,
        timeout: Some(Duration::from_secs(60)),
        expect_sees_status: false,
    }
}

async fn send(job: &HttpJob) -> (Outcome, Vec<Chunk>) {
    let (out, mut chunks) = mpsc::channel(8);
    let outcome = http(job, &out, &nothing, CancellationToken::new()).await;
    drop(out);
    let mut shown = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        shown.push(chunk);
    }
    (outcome, shown)
}

fn answer(request: &Request) -> Reply {
    match request.path().split('?').next().unwrap_or_default() {
        "/ok" => Reply::text(200, r#"{"ready": true}"#),
        "/text" => Reply::text(202, "on its way\0"),
        "/busy" => Reply::text(503, "try later"),
        "/moved" => Reply::Now(307, "location: /ok\r\n", Vec::new()),
        "/huge" => Reply::Now(200, "", vec![b'x'; 300_000]),
        "/hang" => Reply::Hang,
        "/half" => Reply::Half,
        _ => Reply::HangUp,
    }
}

#[tokio::test]
async fn two_hundreds_are_done() {
    let server = Server::start(answer).await;
    let mut post = job("post", server.url("/ok"));
    post.body = Some(r#"{"a":1}"#.to_owned());
    post.headers = vec![("authorization".to_owned(), SecretString::from("Bearer t0p\n"))];
    let (outcome, shown) = send(&post).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(facts(&outcome).status, Some(200));
    assert_eq!(facts(&outcome).body, Some(json!({"ready": true})));
    assert_eq!(text(&shown, "body"), "{\n  \"ready\": true\n}");
    post.order.attempt.direction = Direction::Undo;
    send(&post).await;
    let (outcome, _) = send(&job("GET", server.url("/text"))).await;
    assert_eq!(facts(&outcome).body, Some(json!("on its way\u{fffd}")));
    let asked = server.requests();
    assert_eq!((asked[0].method(), asked[0].body.as_str()), ("POST", r#"{"a":1}"#));
    assert_eq!(asked[0].header("authorization"), Some("Bearer t0p"));
    assert_eq!(asked[0].header("idempotency-key"), Some("run-1/backup/1"));
    assert_eq!(asked[1].header("idempotency-key"), Some("run-1/backup/undo/1"));
    assert_eq!(asked[2].header("idempotency-key"), None, "reading needs no key");
}

#[tokio::test]
async fn other_answers_fail() {
    let server = Server::start(answer).await;
    let (outcome, _) = send(&job("DELETE", server.url("/busy"))).await;
    assert!(matches!(outcome, Outcome::Failed { .. }));
    let found = fault(&outcome);
    assert_eq!(found.summary, format!("DELETE {}: HTTP 503", server.url("/busy")));
    assert_eq!((found.detail.as_deref(), found.effect), (Some("try later"), Effect::Possible));
    let (outcome, _) = send(&job("GET", server.url("/moved?key=t0p"))).await;
    let moved = format!("GET {}: HTTP 307 (redirects are not followed)", server.url("/moved"));
    assert_eq!((fault(&outcome).summary.as_str(), fault(&outcome).effect), (moved.as_str(), Effect::None));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_judge_decides_where_something_is_expected() {
    let server = Server::start(answer).await;
    let (out, _chunks) = mpsc::channel(8);
    let mut get = job("GET", server.url("/busy"));
    let busy = expects(|facts| facts.status == Some(503));
    let outcome = http(&get, &out, &busy, CancellationToken::new()).await;
    assert!(matches!(outcome, Outcome::Failed { verdict: Some(_), .. }), "an expect that never looks at the status");
    get.expect_sees_status = true;
    let outcome = http(&get, &out, &busy, CancellationToken::new()).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let never = expects(|_| false);
    let outcome = http(&job("GET", server.url("/ok")), &out, &never, CancellationToken::new()).await;
    assert_eq!(fault(&outcome).summary, "expected this, saw that");
}

#[tokio::test]
async fn long_bodies_are_cut() {
    let server = Server::start(answer).await;
    let (outcome, shown) = send(&job("GET", server.url("/huge"))).await;
    assert!(matches!(outcome, Outcome::Done { .. }));
    assert_eq!(text(&shown, "body").len(), gonogo::run::limits::FACT_BYTES);
}

#[tokio::test]
async fn no_connection_means_nothing_was_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}/x");
    let (outcome, _) = send(&job("POST", url.clone())).await;
    assert!(matches!(outcome, Outcome::Broke { .. }), "{outcome:?}");
    assert_eq!(fault(&outcome).summary, format!("POST {url}: connection refused"));
    assert_eq!(fault(&outcome).safe, "nothing was sent");
    for (method, url) in [("P OST", url.as_str()), ("POST", "ftp://x/"), ("POST", "")] {
        let (outcome, _) = send(&job(method, url.to_owned())).await;
        assert!(matches!(outcome, Outcome::Broke { .. }), "{outcome:?}");
    }
    let mut bad = job("POST", url);
    bad.headers = vec![("x-token".to_owned(), SecretString::from("a\nsecret"))];
    let (outcome, _) = send(&bad).await;
    assert_eq!(fault(&outcome).summary, "the value of header `x-token` holds a forbidden character");
}

#[tokio::test]
async fn no_answer_is_unknown_where_it_writes() {
    let server = Server::start(answer).await;
    for path in ["/hang", "/half", "/gone"] {
        let mut post = job("POST", server.url(path));
        let mut get = job("GET", server.url(path));
        if path != "/gone" {
            (post.timeout, get.timeout) = (Some(Duration::from_millis(500)), Some(Duration::from_millis(500)));
        }
        let (outcome, _) = send(&post).await;
        assert!(
            matches!(&outcome, Outcome::Unknown { known } if known.contains("may have been carried out")),
            "{outcome:?}"
        );
        let (outcome, _) = send(&get).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
        assert_eq!(fault(&outcome).effect, Effect::None);
    }
    assert_eq!(server.requests().len(), 6, "nothing was sent twice");
}

#[tokio::test]
async fn cancel_while_it_waits() {
    let server = Server::start(answer).await;
    let (out, _chunks) = mpsc::channel(8);
    let post = job("POST", server.url("/hang"));
    let stop = CancellationToken::new();
    let cancel = async {
        crate::wait::until("the request to arrive", || !server.requests().is_empty()).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(http(&post, &out, &nothing, stop.clone()), cancel);
    assert!(matches!(&outcome, Outcome::Unknown { known } if known.contains("cancelled")), "{outcome:?}");
    let outcome = http(&post, &out, &nothing, stop).await;
    assert_eq!(fault(&outcome).safe, "nothing was started");
}

#[tokio::test]
async fn waiting_lasts_or_is_cancelled() {
    let outcome = wait(&order(), Duration::from_millis(60), &nothing, CancellationToken::new()).await;
    assert!(matches!(outcome, Outcome::Done { .. }) && facts(&outcome).ms >= 60, "{outcome:?}");
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = wait(&order(), Duration::from_secs(600), &nothing, stop).await;
    assert_eq!(fault(&outcome).summary, "cancelled");
}
