//! Numbers over time, from Prometheus, SQL, HTTP, a log file or a command. Silence is data: no number comes with its reason.

mod doors;
mod follow;
mod http;
mod log;
mod number;
mod prometheus;
mod run;
mod watch;

use std::time::Duration;

use tokio::time::{Instant, timeout};

pub use doors::{AskTarget, Doors};
pub use watch::{Reading, watch};

use crate::run::{NoData, words};
use crate::runbook::{Probe, ProbeSource};

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Finite; or why there is none.
    pub value: Result<f64, NoData>,
    /// Milliseconds the measurement took.
    pub took_ms: u64,
}

/// Measures one probe, one sample at a time, whatever happens within the probe's timeout.
#[derive(Debug)]
pub struct Sampler {
    source: Source,
    /// Asked with every sample, and how much it must say at least.
    traffic: Option<(Source, f64)>,
    timeout: Duration,
}

#[derive(Debug)]
enum Source {
    Prometheus(Box<prometheus::Prometheus>),
    Sql(Sql),
    Http(Box<http::Http>),
    Log(log::Log),
    Run(run::Run),
    /// It cannot be measured at all.
    Broken(NoData),
}

#[derive(Debug)]
struct Sql {
    doors: Doors,
    target: String,
    sql: String,
}

impl Sql {
    async fn measure(&self) -> Result<f64, NoData> {
        let answer = self.doors.targets.value(&self.target, &self.sql).await;
        number::parse(&answer.map_err(NoData::new)?)
    }
}

impl Sampler {
    /// `spec` with its templates already rendered. A log file is followed from its end as it is now.
    pub fn new(spec: &Probe, doors: Doors) -> Self {
        let traffic = spec.traffic.as_ref();
        let traffic =
            traffic.map(|traffic| (Source::new(&traffic.source, spec.every, doors.clone()), traffic.at_least));
        Self { source: Source::new(&spec.source, spec.every, doors), traffic, timeout: spec.timeout }
    }

    /// Measures now. Ends within the probe's timeout; a command that runs longer is killed with its process group.
    /// May be dropped at any point.
    pub async fn take(&mut self) -> Sample {
        let started = Instant::now();
        let value = match timeout(self.timeout, self.measure()).await {
            Ok(value) => value.and_then(number::finite),
            Err(_) => Err(NoData::new(format!("no answer in {}", number::words(self.timeout)))),
        };
        Sample { value, took_ms: number::millis(started.elapsed()) }
    }

    async fn measure(&mut self) -> Result<f64, NoData> {
        let value = self.source.measure().await?;
        if let Some((source, at_least)) = &mut self.traffic {
            let traffic = source.measure().await.and_then(number::finite);
            enough(traffic.map_err(|none| NoData::new(format!("traffic: {}", none.reason)))?, *at_least)?;
        }
        Ok(value)
    }

    /// What the sampler does between two samples: a log file is read along, everything else rests.
    /// Never ends; made to be dropped when the next sample is due.
    pub async fn rest(&mut self) {
        match &mut self.source {
            Source::Log(log) => log.read_along().await,
            _ => std::future::pending().await,
        }
    }
}

/// A share of three requests says nothing.
fn enough(traffic: f64, at_least: f64) -> Result<(), NoData> {
    if traffic >= at_least {
        return Ok(());
    }
    Err(NoData::new(format!(
        "too little traffic: {}, at least {} wanted",
        words::number(traffic),
        words::number(at_least)
    )))
}

impl Source {
    fn new(spec: &ProbeSource, every: Duration, doors: Doors) -> Self {
        match spec {
            ProbeSource::Prometheus { url, query } => {
                Self::Prometheus(Box::new(prometheus::Prometheus::new(url, query, every, doors)))
            }
            ProbeSource::Sql { target, sql } => Self::Sql(Sql { doors, target: target.clone(), sql: sql.clone() }),
            ProbeSource::Http { url, headers, take } => {
                Self::Http(Box::new(http::Http::new(url, headers, take, doors)))
            }
            ProbeSource::Log { path, take, window } => match log::Log::new(&doors.cwd.join(path), take, *window) {
                Ok(log) => Self::Log(log),
                Err(none) => Self::Broken(none),
            },
            ProbeSource::Run { argv } => Self::Run(run::Run::new(argv, doors)),
        }
    }

    async fn measure(&mut self) -> Result<f64, NoData> {
        match self {
            Self::Prometheus(prometheus) => prometheus.measure().await,
            Self::Sql(sql) => sql.measure().await,
            Self::Http(http) => http.measure().await,
            Self::Log(log) => log.measure().await,
            Self::Run(run) => run.measure().await,
            Self::Broken(none) => Err(none.clone()),
        }
    }
}
