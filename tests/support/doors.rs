//! The doors of probes for tests: plain secrets, a target that answers by the SQL text.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use gonogo::probe::{AskTarget, Doors};
use gonogo::runbook::{Probe, ProbeSource, Secret};
use secrecy::SecretString;

struct Answers;

impl AskTarget for Answers {
    fn value<'a>(&'a self, target: &'a str, sql: &'a str) -> BoxFuture<'a, Result<String, String>> {
        async move {
            match sql {
                "hang" => std::future::pending().await,
                "refuse" => Err(format!("{target}: connection refused")),
                other => Ok(other.to_owned()),
            }
        }
        .boxed()
    }
}

pub fn doors(cwd: &Path) -> Doors {
    Doors {
        secrets: Arc::new(|secret| match secret {
            Secret::Plain(text) => Ok(SecretString::from(text.clone())),
            other => Err(format!("{other} is not set")),
        }),
        targets: Arc::new(Answers),
        cwd: cwd.to_owned(),
    }
}

/// With a timeout so long that only a defect ends in it.
pub fn probe(source: ProbeSource) -> Probe {
    Probe {
        id: "p".to_owned(),
        title: "P".to_owned(),
        unit: String::new(),
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(60),
        source,
        traffic: None,
        line: 1,
    }
}
