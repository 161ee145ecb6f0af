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

use crate::run::NoData;
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
        let source = match &spec.source {
            ProbeSource::Prometheus { url, query } => {
                Source::Prometheus(Box::new(prometheus::Prometheus::new(url, query, spec.every, doors)))
            }
            ProbeSource::Sql { target, sql } => Source::Sql(Sql { doors, target: target.clone(), sql: sql.clone() }),
            ProbeSource::Http { url, headers, take } => {
                Source::Http(Box::new(http::Http::new(url, headers, take, doors)))
            }
            ProbeSource::Log { path, take, window } => match log::Log::new(&doors.cwd.join(path), take, *window) {
                Ok(log) => Source::Log(log),
                Err(none) => Source::Broken(none),
            },
            ProbeSource::Run { argv } => Source::Run(run::Run::new(argv, doors)),
        };
        Self { source, timeout: spec.timeout }
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
        match &mut self.source {
            Source::Prometheus(prometheus) => prometheus.measure().await,
            Source::Sql(sql) => sql.measure().await,
            Source::Http(http) => http.measure().await,
            Source::Log(log) => log.measure().await,
            Source::Run(run) => run.measure().await,
            Source::Broken(none) => Err(none.clone()),
        }
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
