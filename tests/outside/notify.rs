//! Telling people, by a webhook or a command.

use std::fs;
use std::time::Duration;

use gonogo::engine::exec::{NotifyJob, To, notify};
use gonogo::run::Outcome;
use gonogo::run::facts::Effect;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{again, argv, fault, job, nothing, order};
use crate::server::{Reply, Server};

async fn tell(to: To, text: &str) -> Outcome {
    let (out, _chunks) = mpsc::channel(64);
    let text = text.to_owned();
    notify(&NotifyJob { to, text }, &out, &nothing, CancellationToken::new()).await
}

fn webhook(url: String) -> To {
    To::Webhook { order: order(), url: SecretString::from(url), timeout: Some(Duration::from_secs(60)) }
}

#[tokio::test]
async fn a_webhook_gets_json() {
    let server = Server::start(|request| match request.path() {
        "/t0p" => Reply::text(200, "ok"),
        "/gone" => Reply::HangUp,
        _ => Reply::text(404, "no_team"),
    })
    .await;
    let outcome = tell(webhook(server.url("/t0p")), "Migration \"done\"\n").await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let asked = &server.requests()[0];
    assert_eq!((asked.method(), asked.header("content-type")), ("POST", Some("application/json")));
    assert_eq!(asked.body, r#"{"text":"Migration \"done\"\n"}"#);

    let outcome = tell(webhook(server.url("/secret-path")), "x").await;
    assert_eq!(fault(&outcome).summary, format!("POST {}: HTTP 404", server.url("/…")));
    let outcome = tell(webhook(server.url("/gone")), "x").await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert_eq!(fault(&outcome).effect, Effect::Possible);
}

#[tokio::test]
async fn a_command_gets_the_text_on_its_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = |words: &[&str]| To::Command(Box::new(again(&job(argv(words), folder.path()))));
    let long = "tell everybody\n".repeat(20_000);
    let outcome = tell(to(&["sh", "-c", "cat > told"]), &long).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert!(fs::read_to_string(folder.path().join("told")).is_ok_and(|told| told == long));
    let outcome = tell(to(&["true"]), &long).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "one that does not read is no failure: {outcome:?}");
    let outcome = tell(to(&["false"]), "x").await;
    assert!(matches!(outcome, Outcome::Failed { .. }));
}
