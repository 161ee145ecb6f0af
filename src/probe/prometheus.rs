//! One number from a Prometheus instant query. Everything that is not exactly one finite, fresh number is no data.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Client;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::doors::Known;
use super::{Doors, number};
use crate::net;
use crate::run::NoData;
use crate::runbook::Secret;

/// Bytes of an answer; one number needs a few hundred.
const ANSWER: usize = 1024 * 1024;
/// How far an answer's time may always be from our clock: clocks differ, and a query takes its time.
const SKEW: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Prometheus {
    url: Known,
    query: String,
    /// The oldest answer, and the farthest ahead, that is still taken for now.
    bound: Duration,
    doors: Doors,
    ready: Option<(Client, Url)>,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

impl Prometheus {
    pub fn new(url: &Secret, query: &str, every: Duration, doors: Doors) -> Self {
        Self { url: Known::new(url), query: query.to_owned(), bound: (every * 2).max(SKEW), doors, ready: None }
    }

    pub async fn measure(&mut self) -> Result<f64, NoData> {
        let (client, url) = self.ready().await?;
        let mut response = client.get(url).send().await.map_err(|error| NoData::new(net::reason(&error)))?;
        let status = response.status();
        if matches!(status.as_u16(), 401 | 403) {
            self.url.forget();
            self.ready = None;
        }
        let body = net::body(&mut response, ANSWER).await.map_err(|error| NoData::new(net::reason(&error)))?;
        if body.cut {
            return Err(NoData::new(format!("HTTP {}, and an answer over 1 MiB", status.as_u16())));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        read(status.as_u16(), &body.bytes, now, self.bound)
    }

    async fn ready(&mut self) -> Result<(Client, Url), NoData> {
        if let Some((client, url)) = &self.ready {
            return Ok((client.clone(), url.clone()));
        }
        let text = self.url.get(&self.doors).await?;
        let mut url = net::address(text.expose_secret()).map_err(NoData::new)?;
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.query_pairs_mut().append_pair("query", &self.query);
        let client = net::client(&url, true, net::CONNECT).map_err(NoData::new)?;
        Ok(self.ready.insert((client, url)).clone())
    }
}

/// The number in an answer; `now`: since 1970.
fn read(status: u16, body: &[u8], now: Duration, bound: Duration) -> Result<f64, NoData> {
    if (300..400).contains(&status) {
        return Err(NoData::new(format!("HTTP {status}: redirects are not followed")));
    }
    let answer = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer,
        Err(_) if status != 200 => return Err(NoData::new(format!("HTTP {status}"))),
        Err(_) if body.trim_ascii_start().starts_with(b"<") => return Err(NoData::new("a web page, not JSON")),
        Err(_) => return Err(NoData::new("not the JSON of a Prometheus answer")),
    };
    if answer.status != "success" {
        let said = number::quoted(&answer.error);
        return Err(NoData::new(format!("HTTP {status}: {said}")));
    }
    if status != 200 {
        return Err(NoData::new(format!("HTTP {status}")));
    }
    let data = answer.data.ok_or_else(|| NoData::new("an answer without data"))?;
    let (at, text) = single(data)?;
    check_age(at, now, bound)?;
    number::parse(&text)
}

/// Time and text of the only value.
fn single(data: Data) -> Result<(f64, String), NoData> {
    let point = match (data.kind.as_str(), data.result) {
        ("scalar", point) => point,
        ("vector", Value::Array(series)) => match series.len() {
            0 => return Err(NoData::new("empty result")),
            1 => series
                .into_iter()
                .next()
                .and_then(|mut one| one.get_mut("value").map(Value::take))
                .ok_or_else(|| NoData::new("a histogram, one number wanted"))?,
            n => return Err(NoData::new(format!("{n} series, one wanted"))),
        },
        (kind, _) => return Err(NoData::new(format!("a {}, one number wanted", number::quoted(kind)))),
    };
    match (point.get(0).and_then(Value::as_f64), point.get(1).and_then(Value::as_str)) {
        (Some(at), Some(text)) => Ok((at, text.to_owned())),
        _ => Err(NoData::new("not the JSON of a Prometheus answer")),
    }
}

fn check_age(at: f64, now: Duration, bound: Duration) -> Result<(), NoData> {
    let age = now.as_secs_f64() - at;
    if age > bound.as_secs_f64() {
        Err(NoData::new(format!("stale: {} old", seconds(age))))
    } else if -age > bound.as_secs_f64() {
        Err(NoData::new(format!("wrong clock: its time is {} ahead of ours", seconds(-age))))
    } else {
        Ok(())
    }
}

fn seconds(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.round()).unwrap_or(Duration::MAX).as_secs();
    if whole < 120 { format!("{whole} s") } else { format!("{} min", whole / 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn said(status: u16, body: &str) -> String {
        match read(status, body.as_bytes(), NOW, SKEW) {
            Ok(number) => number.to_string(),
            Err(none) => none.reason,
        }
    }

    fn vector(at: u64, value: &str) -> String {
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{at}.25,"{value}"]}}]}}}}"#
        )
    }

    #[test]
    fn only_one_fresh_finite_number_counts() {
        let now = NOW.as_secs();
        let cases = [
            (vector(now, "1"), "1"),
            (vector(now - 29, "0"), "0"),
            (vector(now, "NaN"), "NaN"),
            (vector(now, "-Inf"), "-Inf"),
            (vector(now - 31, "1"), "stale: 31 s old"),
            (vector(now - 600, "1"), "stale: 10 min old"),
            (vector(now + 3600, "1"), "wrong clock: its time is 60 min ahead of ours"),
        ];
        for (body, wanted) in cases {
            assert_eq!(said(200, &body), wanted, "{body}");
        }
        let scalar = format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[{now},"2.5"]}}}}"#);
        assert_eq!(said(200, &scalar), "2.5");
    }

    #[test]
    fn other_shapes_say_what_they_are() {
        let shape = |kind: &str, result: &str| {
            said(200, &format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#))
        };
        assert_eq!(shape("vector", "[]"), "empty result");
        assert_eq!(shape("vector", "[{},{},{}]"), "3 series, one wanted");
        assert_eq!(shape("vector", r#"[{"histogram":[1,{}]}]"#), "a histogram, one number wanted");
        assert_eq!(shape("matrix", "[]"), "a matrix, one number wanted");
        assert_eq!(shape("string", r#"[1,"x"]"#), "a string, one number wanted");
        assert_eq!(shape("scalar", r#"["x"]"#), "not the JSON of a Prometheus answer");
        assert_eq!(said(200, r#"{"status":"success"}"#), "an answer without data");
        assert_eq!(said(200, " <html>"), "a web page, not JSON");
        assert_eq!(said(200, "{"), "not the JSON of a Prometheus answer");
        assert_eq!(said(302, ""), "HTTP 302: redirects are not followed");
        assert_eq!(said(500, "<html>"), "HTTP 500");
        let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected \u001b"}"#;
        assert_eq!(said(400, refused), "HTTP 400: parse error: unexpected \\x1b");
    }
}
