//! The loop around one probe: a sample every so often, a late one never followed by a burst.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Doors, Sample, Sampler};
use crate::runbook::Probe;

/// The shortest time between two samples, whatever the runbook says.
const SHORTEST: Duration = Duration::from_millis(100);

/// A sample and the id of the probe it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub probe: String,
    pub sample: Sample,
}

/// Samples `spec` every [`Probe::every`], the first time at once, until `stop` is cancelled or nobody listens at `out`.
/// To be run as a task of its own, one for each probe.
pub async fn watch(spec: Probe, doors: Doors, out: mpsc::Sender<Reading>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sample_for_ever(spec, doors, out) => {}
    }
}

async fn sample_for_ever(spec: Probe, doors: Doors, out: mpsc::Sender<Reading>) {
    let mut sampler = Sampler::new(&spec, doors);
    let mut tick = interval(spec.every.max(SHORTEST));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = sampler.rest() => {}
        }
        let reading = Reading { probe: spec.id.clone(), sample: sampler.take().await };
        if out.send(reading).await.is_err() {
            return;
        }
    }
}
