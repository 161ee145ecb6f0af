//! Tells people: a JSON object with `text` posted to a webhook, or a command that gets the text on its standard input.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::command::{CommandJob, command};
use super::http::{HttpJob, http};
use super::{Order, failed};
use crate::failpoint;
use crate::run::facts::Effect;
use crate::run::{Chunk, Fault, Judge, Outcome};

/// How long a notification may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One attempt at telling.
#[derive(Clone, Debug)]
pub enum To {
    Webhook {
        order: Order,
        url: SecretString,
        timeout: Option<Duration>,
    },
    /// The same, but for what is sent: `body`, JSON.
    Letter {
        order: Order,
        url: SecretString,
        timeout: Option<Duration>,
        body: String,
    },
    /// Its `stdin` is replaced by the text.
    Command(Box<CommandJob>),
}

#[derive(Clone, Debug)]
pub struct NotifyJob {
    pub to: To,
    /// Rendered.
    pub text: String,
}

/// Carries out `job`: Done or Failed, Broke where nothing could be sent. A webhook without an answer counts as failed: to tell twice does no harm.
pub async fn notify(job: &NotifyJob, out: &mpsc::Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
    match &job.to {
        To::Webhook { order, url, timeout } => {
            let request = request(order, url, *timeout, json!({ "text": job.text }).to_string());
            sent(order, settled(order, http(&request, out, judge, stop).await))
        }
        To::Letter { order, url, timeout, body } => {
            let request = request(order, url, *timeout, body.clone());
            sent(order, settled(order, http(&request, out, judge, stop).await))
        }
        To::Command(told) => {
            let mut told = told.as_ref().clone();
            told.stdin = Some(job.text.clone());
            told.timeout = told.timeout.or(Some(PATIENCE));
            sent(&told.order, command(&told, out, judge, stop).await)
        }
    }
}

fn request(order: &Order, url: &SecretString, timeout: Option<Duration>, body: String) -> HttpJob {
    HttpJob {
        order: order.clone(),
        method: "POST".to_owned(),
        url: url.clone(),
        show_path: false,
        headers: vec![("content-type".to_owned(), SecretString::from("application/json"))],
        body: Some(body),
        timeout: timeout.or(Some(PATIENCE)),
        expect_sees_status: false,
    }
}

/// Passes the place where it was sent, and nobody knows yet.
fn sent(order: &Order, outcome: Outcome) -> Outcome {
    match failpoint::hit("exec.notify.sent") {
        true => failed(order.fault("a failure was ordered after it was sent"), None, None),
        false => outcome,
    }
}

fn settled(order: &Order, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { known } => {
            let fault = Fault {
                safe: "to send it again does no harm".to_owned(),
                effect: Effect::Possible,
                ..order.fault(known)
            };
            failed(fault, None, None)
        }
        other => other,
    }
}
