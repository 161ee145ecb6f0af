//! Server notices. The driver hands them out only as tracing events, so a step's work runs under a subscriber of its
//! own that hears these events and nothing else: no log filter of the program can lose one, and each finds its step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::cell;
use crate::run::limits;

const TARGET: &str = "sqlx::postgres::notice";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub severity: &'static str,
    pub text: String,
}

/// Where the notices of one attempt arrive; beyond the limit they are only counted.
pub(super) struct Ear {
    pub notices: UnboundedReceiver<Notice>,
    heard: Arc<AtomicU64>,
}

impl Ear {
    /// A subscriber to run the attempt's work under, and where it can be heard.
    pub fn new() -> (Dispatch, Self) {
        let (tx, notices) = unbounded_channel();
        let heard = Arc::new(AtomicU64::new(0));
        let listener = Listener { tx, heard: Arc::clone(&heard) };
        (Dispatch::new(listener), Self { notices, heard })
    }

    /// How many notices there were, kept or not.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

struct Listener {
    tx: UnboundedSender<Notice>,
    heard: Arc<AtomicU64>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() != TARGET
            || self.heard.fetch_add(1, Ordering::Relaxed) >= limits::NOTICES_KEPT as u64
        {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        // The attempt may be over; then nobody is left to hear.
        let _ = self.tx.send(Notice {
            severity: severity(*event.metadata().level()),
            text: cell::cut(text.0.as_bytes(), limits::CELL_BYTES),
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The driver gives INFO and LOG the same level; INFO is what `RAISE INFO` and VACUUM VERBOSE send.
fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "NOTICE",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "INFO",
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
