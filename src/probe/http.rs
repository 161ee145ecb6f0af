//! A number from an HTTP endpoint: its status, its latency, or a value in its JSON.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::doors::Known;
use super::{Doors, number};
use crate::net;
use crate::run::NoData;
use crate::runbook::{HttpTake, Secret};

/// Bytes of a body that are read.
const BODY: usize = 1024 * 1024;

#[derive(Debug)]
pub struct Http {
    url: Known,
    headers: Vec<(String, Known)>,
    take: HttpTake,
    doors: Doors,
    ready: Option<(Client, Url, HeaderMap)>,
}

impl Http {
    pub fn new(url: &Secret, headers: &[(String, Secret)], take: &HttpTake, doors: Doors) -> Self {
        Self {
            url: Known::new(url),
            headers: headers.iter().map(|(name, value)| (name.clone(), Known::new(value))).collect(),
            take: take.clone(),
            doors,
            ready: None,
        }
    }

    pub async fn measure(&mut self) -> Result<f64, NoData> {
        let (client, url, headers) = self.ready().await?;
        let none = |error: reqwest::Error| NoData::new(net::reason(&error));
        let started = Instant::now();
        let mut response = client.get(url).headers(headers).send().await.map_err(none)?;
        let status = response.status();
        if matches!(status.as_u16(), 401 | 403) {
            self.forget();
        }
        if self.take == HttpTake::Status {
            return Ok(f64::from(status.as_u16()));
        }
        let body = net::body(&mut response, BODY).await.map_err(none)?;
        let took = started.elapsed();
        // How fast an error page comes says nothing about the page that was wanted.
        check(status)?;
        if body.cut {
            return Err(NoData::new("a body over 1 MiB"));
        }
        match &self.take {
            HttpTake::Json(pointer) => pick(&body.bytes, pointer),
            HttpTake::Status | HttpTake::Latency => Ok(took.as_secs_f64() * 1000.0),
        }
    }

    async fn ready(&mut self) -> Result<(Client, Url, HeaderMap), NoData> {
        if let Some(ready) = &self.ready {
            return Ok(ready.clone());
        }
        let text = self.url.get(&self.doors).await?;
        let url = net::address(text.expose_secret()).map_err(NoData::new)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &mut self.headers {
            let value = value.get(&self.doors).await?;
            let (name, value) = header(name, &value)?;
            headers.append(name, value);
        }
        let client = net::client(&url, true, net::CONNECT).map_err(NoData::new)?;
        Ok(self.ready.insert((client, url, headers)).clone())
    }

    fn forget(&mut self) {
        self.ready = None;
        self.url.forget();
        self.headers.iter_mut().for_each(|(_, value)| value.forget());
    }
}

fn header(name: &str, value: &SecretString) -> Result<(HeaderName, HeaderValue), NoData> {
    let known = HeaderName::try_from(name);
    let known = known.map_err(|_| NoData::new(format!("not a header name: {}", number::quoted(name))))?;
    let value = HeaderValue::try_from(value.expose_secret().trim());
    let mut value =
        value.map_err(|_| NoData::new(format!("the value of header {known} holds a forbidden character")))?;
    value.set_sensitive(true);
    Ok((known, value))
}

fn check(status: StatusCode) -> Result<(), NoData> {
    match status.as_u16() {
        200..=299 => Ok(()),
        code @ 300..=399 => Err(NoData::new(format!("HTTP {code}: redirects are not followed"))),
        code => Err(NoData::new(format!("HTTP {code}"))),
    }
}

fn pick(body: &[u8], pointer: &str) -> Result<f64, NoData> {
    let json: Value = serde_json::from_slice(body).map_err(|_| NoData::new("the body is not JSON"))?;
    match json.pointer(pointer) {
        Some(Value::Number(found)) => found.as_f64().ok_or_else(|| NoData::new(format!("not a number: {found}"))),
        Some(Value::String(text)) => number::parse(text),
        Some(other) => Err(NoData::new(format!("{pointer} is {}, not a number", kind(other)))),
        None => Err(NoData::new(format!("the body has no {pointer}"))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Array(_) => "an array",
        _ => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_json() {
        let said = |body: &str, pointer| match pick(body.as_bytes(), pointer) {
            Ok(number) => number.to_string(),
            Err(none) => none.reason,
        };
        assert_eq!(said(r#"{"queue":{"depth":7}}"#, "/queue/depth"), "7");
        assert_eq!(said("[1.5]", "/0"), "1.5");
        assert_eq!(said(r#"{"n":"12"}"#, "/n"), "12");
        assert_eq!(said(r#"{"n":true}"#, "/n"), "/n is a boolean, not a number");
        assert_eq!(said(r#"{"n":null}"#, "/n"), "/n is null, not a number");
        assert_eq!(said("{}", "/n"), "the body has no /n");
        assert_eq!(said("<html>", "/n"), "the body is not JSON");
    }
}
