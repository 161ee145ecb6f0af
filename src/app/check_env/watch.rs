//! Probes measured once, and the secrets that steps will send: whether they are there, never what they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Look;
use crate::engine::secrets;
use crate::print::Level;
use crate::run::words;
use crate::runbook::{Probe, ProbeSource, Secret, TriggerAction};

impl Look {
    pub async fn watched(&mut self) {
        self.secrets().await;
        self.handed();
        let book = Arc::clone(&self.book);
        for probe in &book.probes {
            self.probe(probe).await;
        }
    }

    async fn probe(&mut self, probe: &Probe) {
        let about = format!("probe {}", probe.id);
        if runs(&probe.source) || probe.traffic.as_ref().is_some_and(|traffic| runs(&traffic.source)) {
            // What a command does, nobody knows: a look starts none. Its program is looked for with the other tools.
            return self.ok(about, "a command measures it, which is not started now");
        }
        let value = self.doors.measure(probe).await;
        match value {
            Ok(value) => {
                let unit = if probe.unit.is_empty() { String::new() } else { format!(" {}", probe.unit) };
                self.ok(about, format!("{}{unit}", words::number(value)));
            }
            // A log is read from its end as it is now: it has to be there, and what comes is counted later.
            Err(_) if self.log_is_there(probe) => {
                self.ok(about, "its log is there; it is followed from its end");
            }
            Err(silence) => {
                let level = if self.decides(&probe.id) { Level::Error } else { Level::Warn };
                let hint = match level {
                    Level::Error => "a trigger that holds or rolls back looks at it: without data nothing is proven",
                    _ => "without data it is only shown as such",
                };
                self.note(level, about, format!("no data: {}", silence.reason)).hint = Some(hint.to_owned());
            }
        }
    }

    fn log_is_there(&self, probe: &Probe) -> bool {
        let source = self.doors.rendered_probe(probe).map(|probe| probe.source);
        matches!(source, Ok(ProbeSource::Log { path, .. }) if self.cwd.join(&path).is_file())
    }

    /// True where a trigger that does more than warn looks at the probe.
    fn decides(&self, probe: &str) -> bool {
        let acting = self.book.triggers.iter().filter(|trigger| trigger.then != TriggerAction::Warn);
        acting.into_iter().any(|trigger| words_of(&trigger.when.source).contains(probe))
    }

    /// Variables that steps hand to their commands.
    fn handed(&mut self) {
        let book = Arc::clone(&self.book);
        for name in book.handed(self.doors.environment()) {
            match secrets::handed(name) {
                Ok(_) => self.ok(format!("env {name}"), "it is there"),
                Err(why) => self.error(format!("env {name}"), why, "steps hand it to their commands"),
            }
        }
    }

    /// Each secret once, by its name.
    async fn secrets(&mut self) {
        let mut seen = BTreeSet::new();
        let book = Arc::clone(&self.book);
        for secret in book.secrets().filter(|secret| !matches!(secret, Secret::Plain(_))) {
            if !seen.insert(secret.to_string()) {
                continue;
            }
            let (doors, secret) = (self.doors.clone(), secret.clone());
            let name = format!("secret {secret}");
            let answer = tokio::task::spawn_blocking(move || doors.secret(&secret).map(|_| ())).await;
            match answer {
                Ok(Ok(())) => self.ok(name, "it is there"),
                Ok(Err(why)) => self.error(name, why, "steps send it when they run"),
                Err(error) => self.error(name, error.to_string(), "steps send it when they run"),
            }
        }
    }
}

fn runs(source: &ProbeSource) -> bool {
    matches!(source, ProbeSource::Run { .. })
}

/// The names in an expression.
fn words_of(source: &str) -> BTreeSet<&str> {
    source.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect()
}
