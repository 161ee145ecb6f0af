//! Sends one HTTP request, at most once: a writing method that got no answer is unknown, not failed.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::show::floor;
use super::{CANCELLED, Order, broke, done, failed, millis};
use crate::failpoint;
use crate::net;
use crate::run::facts::Effect;
use crate::run::limits::{CELL_BYTES, FACT_BYTES};
use crate::run::{Chunk, Facts, Fault, Judge, Outcome};

/// How long an answer may take where the step names no timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// One attempt at a request.
#[derive(Clone, Debug)]
pub struct HttpJob {
    pub order: Order,
    pub method: String,
    /// Rendered. Never shown whole: only its host, and its path where the runbook wrote it.
    pub url: SecretString,
    /// Whether the path may be shown: false where the whole address is a secret.
    pub show_path: bool,
    /// Resolved; never shown.
    pub headers: Vec<(String, SecretString)>,
    pub body: Option<String>,
    pub timeout: Option<Duration>,
    /// Whether the step's `expect` looks at `status`; one that does not also wants 2xx.
    pub expect_sees_status: bool,
}

/// Carries out `job`. The body of the answer goes to `out` as [`Chunk::Text`] (`body`), cut at `limits::FACT_BYTES`.
///
/// Done: 2xx, or the judge says so. Failed: another status (redirects are not followed), the judge's no; for a reading
/// method also no answer. Broke: no connection, so nothing was sent; or not judgeable. Unknown: a writing method was
/// sent, and its answer did not come, or not whole.
pub async fn http(job: &HttpJob, out: &mpsc::Sender<Chunk>, judge: &Judge, stop: CancellationToken) -> Outcome {
    if stop.is_cancelled() {
        return failed(job.order.not_begun(CANCELLED), None, None);
    }
    let (call, request) = match Call::prepare(job) {
        Ok(ready) => ready,
        Err(fault) => return broke(*fault),
    };
    if failpoint::hit("exec.http.before") {
        return broke(job.order.not_begun("a failure was ordered before it was sent"));
    }
    let started = Instant::now();
    let timeout = patience(job);
    let answer = tokio::select! {
        answer = tokio::time::timeout(timeout, exchange(request)) => match answer {
            Ok(Ok(facts)) if !failpoint::hit("exec.http.answered") => Ok(facts),
            Ok(Ok(_)) => Err(call.silent("a failure was ordered after the answer")),
            Ok(Err(Gone::Ordered)) => Err(call.silent("a failure was ordered after it was sent")),
            Ok(Err(Gone::Unanswered(error))) => Err(call.unanswered(&error)),
            Err(_) => Err(call.silent(&format!("no answer in {}", humantime::format_duration(timeout)))),
        },
        () = stop.cancelled() => Err(call.silent(CANCELLED)),
    };
    let mut facts = match answer {
        Ok(facts) => facts,
        Err(outcome) => return outcome,
    };
    facts.ms = millis(started.elapsed());
    show(&facts, out).await;
    call.judged(facts, judge)
}

/// True for a method that changes nothing, and may be sent again.
pub fn only_reads(method: &str) -> bool {
    Method::from_bytes(method.to_ascii_uppercase().as_bytes()).is_ok_and(|method| method.is_safe())
}

fn patience(job: &HttpJob) -> Duration {
    job.timeout.unwrap_or(PATIENCE)
}

/// A request as it is spoken of.
struct Call<'a> {
    job: &'a HttpJob,
    /// `POST https://host/path`.
    shown: String,
    writes: bool,
}

impl<'a> Call<'a> {
    fn prepare(job: &'a HttpJob) -> Result<(Self, RequestBuilder), Box<Fault>> {
        let refuse = |what: String| Box::new(job.order.not_begun(what));
        let method = Method::from_bytes(job.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| refuse(format!("`{}` is not an HTTP method", job.method)))?;
        let url =
            net::address(job.url.expose_secret()).map_err(|error| refuse(format!("the request's address: {error}")))?;
        let writes = !method.is_safe();
        // Shorter than the whole: a host that does not even connect must not leave an unknown.
        let connect = net::CONNECT.min(patience(job).mul_f32(0.8));
        let headers = headers(job, writes).map_err(refuse)?;
        let client = net::client(&url, false, connect).map_err(refuse)?;
        let shown = format!("{method} {}", shown(&url, job.show_path));
        let mut request = client.request(method, url).headers(headers);
        if let Some(body) = &job.body {
            request = request.body(body.clone());
        }
        Ok((Self { job, shown, writes }, request))
    }

    fn unanswered(&self, error: &reqwest::Error) -> Outcome {
        let reason = net::reason(error);
        if net::never_sent(error) {
            return broke(Fault {
                safe: "nothing was sent".to_owned(),
                hint: Some("see whether the address is right and the service is up, then retry".to_owned()),
                ..self.job.order.fault(format!("{}: {reason}", self.shown))
            });
        }
        self.silent(&reason)
    }

    /// It was sent, or may have been, and no whole answer came.
    fn silent(&self, reason: &str) -> Outcome {
        if self.writes {
            let known = format!("{}: {reason}; the request may have been carried out", self.shown);
            return Outcome::Unknown { known };
        }
        let fault = Fault {
            safe: "the request only reads".to_owned(),
            ..self.job.order.fault(format!("{}: {reason}", self.shown))
        };
        failed(fault, None, None)
    }

    fn judged(&self, facts: Facts, judge: &Judge) -> Outcome {
        let effect = if self.writes { Effect::Possible } else { Effect::None };
        let verdict = match judge(&facts) {
            Ok(verdict) => verdict,
            Err(fault) => return self.job.order.unjudged(fault, effect),
        };
        let status = facts.status.unwrap_or_default();
        let left_to_the_judge = verdict.is_some() && self.job.expect_sees_status;
        if !(200..300).contains(&status) && !left_to_the_judge {
            let fault = Fault {
                detail: excerpt(&facts),
                effect,
                ..self.job.order.fault(format!("{}: HTTP {status}{}", self.shown, meaning(status)))
            };
            return failed(fault, Some(facts), verdict);
        }
        match verdict {
            Some(verdict) if !verdict.passed => {
                let fault = Fault { effect, ..self.job.order.unexpected(&verdict) };
                failed(fault, Some(facts), Some(verdict))
            }
            verdict => done(facts, verdict),
        }
    }
}

fn meaning(status: u16) -> &'static str {
    if (300..400).contains(&status) { " (redirects are not followed)" } else { "" }
}

fn shown(url: &Url, path: bool) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = if path { url.path() } else { "/…" };
    format!("{}://{host}{port}{path}", url.scheme())
}

fn headers(job: &HttpJob, writes: bool) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &job.headers {
        let known = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not a header name"))?;
        let mut value = HeaderValue::try_from(value.expose_secret().trim())
            .map_err(|_| format!("the value of header `{name}` holds a forbidden character"))?;
        value.set_sensitive(true);
        headers.append(known, value);
    }
    if writes
        && !headers.contains_key("idempotency-key")
        && let Ok(key) = HeaderValue::try_from(job.order.key())
    {
        headers.insert("idempotency-key", key);
    }
    Ok(headers)
}

/// Why there is no answer.
enum Gone {
    Unanswered(reqwest::Error),
    /// A test wanted it so.
    Ordered,
}

impl From<reqwest::Error> for Gone {
    fn from(error: reqwest::Error) -> Self {
        Self::Unanswered(error)
    }
}

/// Sends, and reads the answer.
async fn exchange(request: RequestBuilder) -> Result<Facts, Gone> {
    let mut response = request.send().await?;
    // Certainly sent: the head of an answer came.
    if failpoint::hit("exec.http.sent") {
        return Err(Gone::Ordered);
    }
    let status = response.status().as_u16();
    let body = net::body(&mut response, FACT_BYTES).await?;
    let parsed = (!body.cut).then(|| serde_json::from_slice(&body.bytes).ok()).flatten();
    let text = || String::from_utf8_lossy(&body.bytes).replace('\0', "\u{fffd}");
    Ok(Facts { status: Some(status), body: Some(parsed.unwrap_or_else(|| Value::String(text()))), ..Facts::default() })
}

async fn show(facts: &Facts, out: &mpsc::Sender<Chunk>) {
    if let Some(text) = written(facts).filter(|text| !text.is_empty()) {
        let stream = "body".to_owned();
        // Nobody listening is no reason to fail.
        let _ = out.send(Chunk::Text { stream, text }).await;
    }
}

fn written(facts: &Facts) -> Option<String> {
    match facts.body.as_ref()? {
        Value::String(text) => Some(text.clone()),
        json => serde_json::to_string_pretty(json).ok(),
    }
}

fn excerpt(facts: &Facts) -> Option<String> {
    let mut text = written(facts).filter(|text| !text.trim().is_empty())?;
    text.truncate(floor(&text, CELL_BYTES));
    Some(text)
}
