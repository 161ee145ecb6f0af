//! The engine's doors to the world: targets by name, probes, secrets, the run's private folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::redact::Redactor;
use super::secrets;
use crate::probe;
use crate::run::decide::Input;
use crate::run::event::Fingerprint;
use crate::run::{Attempt, Chunk, Event, RunState, context};
use crate::runbook::expr::{self, Context, Place};
use crate::runbook::{Environment, Probe, ProbeSource, Runbook, Secret};
use crate::target::{Look, Target};

/// Cheap to clone: every task of the engine has its own.
#[derive(Clone)]
pub struct Doors {
    book: Arc<Runbook>,
    environment: Environment,
    run: String,
    run_dir: PathBuf,
    cwd: PathBuf,
    /// What the journal already knows of each target: a later contact must be the same one.
    known: Arc<BTreeMap<String, Fingerprint>>,
    context: Arc<Context>,
    targets: Arc<RwLock<BTreeMap<String, Arc<Target>>>>,
    redactor: Redactor,
    reports: mpsc::Sender<Input>,
    stop: CancellationToken,
}

impl Doors {
    pub fn new(
        book: Arc<Runbook>,
        state: &RunState,
        run_dir: PathBuf,
        reports: mpsc::Sender<Input>,
        stop: CancellationToken,
    ) -> Self {
        let known = state.targets.iter().filter_map(|(name, seen)| Some((name.clone(), seen.fingerprint.clone()?)));
        Self {
            environment: book.environment(&state.opened.environment).cloned().unwrap_or_default(),
            run: state.opened.run.clone(),
            run_dir,
            cwd: PathBuf::from(&state.opened.cwd),
            known: Arc::new(known.collect()),
            context: Arc::new(context::of(&book, state)),
            targets: Arc::default(),
            redactor: Redactor::default(),
            book,
            reports,
            stop,
        }
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Where private files and the records of commands lie.
    pub fn records(&self) -> PathBuf {
        self.run_dir.join("attempts")
    }

    pub fn cwd(&self) -> &PathBuf {
        &self.cwd
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn environment(&self) -> &str {
        &self.environment.name
    }

    /// The target, once it was reached.
    pub fn target(&self, name: &str) -> Option<Arc<Target>> {
        self.targets.read().ok()?.get(name).cloned()
    }

    /// The label of an attempt's session on its server.
    pub fn label(&self, attempt: &Attempt) -> String {
        attempt.to_string()
    }

    /// Reaches for every target of the environment; each reports as seen or lost.
    pub fn open_targets(&self) {
        for (name, _) in &self.environment.targets {
            self.open_target(name.clone());
        }
    }

    /// Reaches again for the targets that were lost.
    pub fn reopen_lost(&self, state: &RunState) {
        for (name, _) in &self.environment.targets {
            if !state.targets.get(name).is_some_and(|seen| seen.reached) {
                self.open_target(name.clone());
            }
        }
    }

    fn open_target(&self, name: String) {
        let doors = self.clone();
        tokio::spawn(async move {
            let fact = match doors.reach(&name).await {
                Ok(fingerprint) => Event::TargetSeen { target: name, fingerprint },
                Err(error) => Event::TargetLost { target: name, error },
            };
            // The engine is gone where nobody listens.
            let _ = doors.reports.send(Input::Fact(fact)).await;
        });
    }

    async fn reach(&self, name: &str) -> Result<Fingerprint, String> {
        let target = self.connect(name).await?;
        let fingerprint = target.fingerprint().await.map_err(|error| self.redactor.text(&error.to_string()))?;
        if let Some(before) = self.known.get(name) {
            same(before, &fingerprint)?;
        }
        if let Ok(mut targets) = self.targets.write() {
            targets.insert(name.to_owned(), Arc::new(target));
        }
        Ok(fingerprint)
    }

    async fn connect(&self, name: &str) -> Result<Target, String> {
        let spec = self.environment.targets.iter().find(|(target, _)| target == name).map(|(_, spec)| spec);
        let spec = spec.ok_or_else(|| format!("environment {} has no target {name}", self.environment.name))?;
        let secret = self.rendered(&spec.url)?;
        let redactor = self.redactor.clone();
        // A secret's command may take its time; nobody else has to wait for it.
        let url = tokio::task::spawn_blocking(move || secrets::resolve(&secret, &redactor)).await;
        let url = url.map_err(|error| error.to_string())??;
        let label = format!("gonogo {}", self.run);
        Target::open(name, spec, url, &label).await.map_err(|error| self.redactor.text(&error.to_string()))
    }

    /// The target that an attempt in doubt ran on, if it still is the database that was `seen` then.
    pub async fn again(&self, name: &str, seen: Option<&Fingerprint>) -> Result<Arc<Target>, String> {
        let target = match self.target(name) {
            Some(target) => target,
            None => Arc::new(self.connect(name).await?),
        };
        let now = target.fingerprint().await.map_err(|error| self.redactor.text(&error.to_string()))?;
        seen.map_or(Ok(()), |seen| same(seen, &now))?;
        Ok(target)
    }

    /// Ends what the server still does for an attempt, and reports what it said.
    pub async fn end_leftover(self, attempt: Attempt, target: String, terminate: bool) {
        let text = match self.tell_leftover(&attempt, &target, terminate).await {
            Ok(told) if told.is_empty() => "the server has no session of it that could be ended".to_owned(),
            Ok(told) => {
                format!("the server was told to {}: {}", if terminate { "end" } else { "stop" }, told.join("; "))
            }
            Err(why) => format!("what is left of it could not be ended: {why}"),
        };
        let chunk = Chunk::Notice { severity: "NOTICE".to_owned(), text };
        // The engine is gone where nobody listens.
        let _ = self.reports.send(Input::Chunk { attempt, chunk }).await;
    }

    async fn tell_leftover(&self, attempt: &Attempt, target: &str, terminate: bool) -> Result<Vec<String>, String> {
        let target = self.again(target, None).await?;
        let label = self.label(attempt);
        let mut told = Vec::new();
        for look in target.look(&label).await.map_err(|error| error.to_string())? {
            let answer = match terminate {
                true => target.terminate_leftover(&label, look.pid).await,
                false => target.cancel_leftover(&label, look.pid).await,
            };
            if answer.map_err(|error| error.to_string())? {
                told.push(words(&look));
            }
        }
        Ok(told)
    }

    /// What the server still does for an attempt of an engine that died.
    pub async fn leftover_sessions(self, target: String, label: String) -> Result<Vec<String>, String> {
        let target = self.connect(&target).await?;
        let looks = target.look(&label).await.map_err(|error| error.to_string())?;
        Ok(looks.iter().map(words).collect())
    }

    fn rendered(&self, secret: &Secret) -> Result<Secret, String> {
        expr::render_secret(secret, &self.context).map_err(|error| error.to_string())
    }

    fn text(&self, template: &str, place: Place) -> Result<String, String> {
        expr::render(template, place, &self.context).map_err(|error| error.to_string())
    }

    /// The value behind a secret of the runbook.
    pub fn secret(&self, secret: &Secret) -> Result<secrecy::SecretString, String> {
        secrets::resolve(secret, &self.redactor)
    }

    /// Starts every probe; they sample until the engine stops.
    pub fn start_probes(&self) {
        for spec in &self.book.probes {
            let spec = match self.rendered_probe(spec) {
                Ok(spec) => spec,
                Err(error) => {
                    let silence = crate::run::NoData::new(error);
                    let input = Input::Sample { probe: spec.id.clone(), value: Err(silence), took_ms: 0 };
                    let _ = self.reports.try_send(input);
                    continue;
                }
            };
            let (samples, mut taken) = mpsc::channel(16);
            tokio::spawn(self.clone().sample(spec, samples));
            let reports = self.reports.clone();
            tokio::spawn(async move {
                while let Some(probe::Reading { probe, sample }) = taken.recv().await {
                    let probe::Sample { value, took_ms } = sample;
                    if reports.send(Input::Sample { probe, value, took_ms }).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    /// Samples until the engine stops. A probe on a target begins once that was reached: before, there is nothing to ask.
    async fn sample(self, spec: Probe, samples: mpsc::Sender<probe::Reading>) {
        if let ProbeSource::Sql { target, .. } = &spec.source {
            while self.target(target).is_none() && !self.stop.is_cancelled() {
                tokio::time::sleep(LOOK).await;
            }
        }
        probe::watch(spec, self.for_probes(), samples, self.stop.clone()).await;
    }

    fn for_probes(&self) -> probe::Doors {
        let doors = self.clone();
        probe::Doors {
            secrets: Arc::new(move |secret| doors.secret(secret)),
            targets: Arc::new(self.clone()),
            cwd: self.cwd.clone(),
        }
    }

    fn rendered_probe(&self, spec: &Probe) -> Result<Probe, String> {
        let mut probe = spec.clone();
        match &mut probe.source {
            ProbeSource::Prometheus { url, query } => {
                *url = self.rendered(url)?;
                *query = self.text(query, Place::Text)?;
            }
            ProbeSource::Sql { target, sql } => {
                let dialect = self.environment.dialect(target);
                *sql = self.text(sql, Place::Sql(dialect))?;
            }
            ProbeSource::Http { url, .. } => *url = self.rendered(url)?,
            ProbeSource::Log { path, .. } => {
                *path = self.cwd.join(self.text(path, Place::Text)?).to_string_lossy().into_owned();
            }
            ProbeSource::Run { argv } => {
                for part in argv {
                    *part = self.text(part, Place::Argv)?;
                }
            }
        }
        Ok(probe)
    }
}

/// Between two looks whether a target was reached.
const LOOK: Duration = Duration::from_millis(100);
/// How long a question of a probe may keep its server busy; the probe's own timeout is usually shorter.
const ASK: Duration = Duration::from_secs(10);

impl probe::AskTarget for Doors {
    fn value<'a>(&'a self, target: &'a str, sql: &'a str) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let target = self.target(target).ok_or_else(|| format!("target {target} is not reached"))?;
            target.ask(sql, ASK).await
        })
    }
}

/// A session that is left, in words.
pub fn words(look: &Look) -> String {
    let since = look.since.map(|since| format!(" since {}", since.format("%T UTC"))).unwrap_or_default();
    format!("pid {} {}{since}: {}", look.pid, look.state, look.query)
}

/// A target that is not the one seen before must not be worked on.
fn same(before: &Fingerprint, now: &Fingerprint) -> Result<(), String> {
    let fields = [
        ("host", Some(before.host.clone()), Some(now.host.clone())),
        ("database", Some(before.database.clone()), Some(now.database.clone())),
        ("role", Some(before.role.clone()), Some(now.role.clone())),
        ("system id", before.system_id.clone(), now.system_id.clone()),
    ];
    let changed: Vec<String> = fields
        .iter()
        .filter(|(_, before, now)| before != now)
        .map(|(name, before, now)| {
            format!("{name} was {}, is {}", before.as_deref().unwrap_or("?"), now.as_deref().unwrap_or("?"))
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!("this is another database than before: {}", changed.join(", ")))
}
