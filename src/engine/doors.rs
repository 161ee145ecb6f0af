//! The engine's doors to the world: targets by name, probes, secrets, the run's private folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::diverged::{self, Proofs, Proven};
use super::exec;
use super::redact::Redactor;
use super::{contact, secrets};
use crate::probe;
use crate::run::decide::Input;
use crate::run::event::Fingerprint;
use crate::run::{Attempt, Chunk, RunState, context};
use crate::runbook::expr::{self, Context, Place};
use crate::runbook::{Environment, Probe, ProbeSource, Runbook, Secret, TargetSpec};
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
    known: Arc<RwLock<BTreeMap<String, Fingerprint>>>,
    /// What each target must still know after a failover.
    proofs: Arc<RwLock<Proofs>>,
    context: Arc<Context>,
    targets: Arc<RwLock<BTreeMap<String, Arc<Target>>>>,
    /// Targets that are being reached for.
    opening: Arc<Mutex<BTreeSet<String>>>,
    claiming: Arc<tokio::sync::Mutex<()>>,
    /// Who holds the run: `user@host`.
    by: String,
    redactor: Redactor,
    reports: mpsc::Sender<Input>,
    stop: CancellationToken,
}

impl Doors {
    pub fn new(
        book: Arc<Runbook>,
        state: &RunState,
        run_dir: PathBuf,
        by: String,
        reports: mpsc::Sender<Input>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            environment: book.environment(&state.opened.environment).cloned().unwrap_or_default(),
            run: state.opened.run.clone(),
            run_dir,
            cwd: PathBuf::from(&state.opened.cwd),
            known: Arc::new(RwLock::new(fingerprints(state))),
            proofs: Arc::new(RwLock::new(diverged::proofs(state))),
            context: Arc::new(context::of(&book, state)),
            targets: Arc::default(),
            opening: Arc::default(),
            claiming: Arc::default(),
            by,
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

    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    pub fn by(&self) -> &str {
        &self.by
    }

    pub fn book(&self) -> &Runbook {
        &self.book
    }

    /// Where the engine's own tasks report.
    pub fn reports(&self) -> &mpsc::Sender<Input> {
        &self.reports
    }

    /// gonogo itself, for the shims of commands.
    pub fn program(&self) -> Result<PathBuf, String> {
        let program = std::env::current_exe().map_err(|error| format!("gonogo does not find itself: {error}"))?;
        // Replaced while it runs (an upgrade), its old text can still be started by this name.
        Ok(if program.exists() { program } else { PathBuf::from("/proc/self/exe") })
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

    /// The target as soon as it is reached; none where it is not within a while.
    pub async fn reached(&self, name: &str) -> Option<Arc<Target>> {
        let reach = async {
            loop {
                match self.target(name) {
                    Some(target) => return target,
                    None => tokio::time::sleep(LOOK).await,
                }
            }
        };
        tokio::time::timeout(REACH, reach).await.ok()
    }

    /// The label of an attempt's session on its server.
    pub fn label(&self, attempt: &Attempt) -> String {
        attempt.to_string()
    }

    /// Reaches for every target of the environment; each reports as seen or lost.
    pub fn open_targets(&self) {
        for (name, _) in &self.environment.targets {
            self.open_target(name.clone(), false);
        }
    }

    /// Reaches again for the targets that were lost, or are to be taken over.
    pub fn reopen_lost(&self, state: &RunState) {
        self.learn_state(state);
        for (name, _) in &self.environment.targets {
            let seen = state.targets.get(name);
            if !seen.is_some_and(|seen| seen.reached) {
                self.open_target(name.clone(), seen.is_some_and(|seen| seen.taking));
            }
        }
    }

    /// Reaches for it unless somebody does so already: two claims of one engine would stand in each other's way.
    fn open_target(&self, name: String, take_over: bool) {
        let free = self.opening.lock().is_ok_and(|mut opening| opening.insert(name.clone()));
        if !free {
            return;
        }
        let doors = self.clone();
        tokio::spawn(async move {
            contact::report(doors.clone(), name.clone(), take_over).await;
            if let Ok(mut opening) = doors.opening.lock() {
                opening.remove(&name);
            }
        });
    }

    /// Claims every target anew, after a time in which nobody looked: each reports as seen, owned or lost.
    pub fn recheck(&self, state: &RunState) {
        self.learn_state(state);
        self.open_targets();
    }

    /// Who the targets are and what they must hold, by the journal: what a new contact is compared with.
    fn learn_state(&self, state: &RunState) {
        if let (Ok(mut proofs), Ok(mut known)) = (self.proofs.write(), self.known.write()) {
            *proofs = diverged::proofs(state);
            *known = fingerprints(state);
        }
    }

    /// Makes a target that was reached the one that steps and probes work on.
    pub fn found(&self, name: &str, target: &Arc<Target>) {
        if let Ok(mut targets) = self.targets.write() {
            targets.insert(name.to_owned(), Arc::clone(target));
        }
    }

    /// The targets that were reached, but for `name`.
    pub fn others(&self, name: &str) -> Vec<Arc<Target>> {
        let others = |targets: &BTreeMap<String, Arc<Target>>| {
            targets.iter().filter(|(other, _)| *other != name).map(|(_, target)| Arc::clone(target)).collect()
        };
        self.targets.read().map(|targets| others(&targets)).unwrap_or_default()
    }

    /// Held while a target is claimed: two targets may be one database, and the second then sees the first's claim.
    pub async fn claiming(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.claiming).lock_owned().await
    }

    /// What each attempt on the target must have left in its ledger, by the journal.
    pub fn proofs(&self, name: &str) -> Proven {
        self.proofs.read().ok().and_then(|proofs| proofs.get(name).cloned()).unwrap_or_default()
    }

    /// Lets every target go. `ended`: the run is over for good.
    pub async fn let_go(&self, ended: bool) {
        let targets: Vec<Arc<Target>> = match self.targets.read() {
            Ok(targets) => targets.values().cloned().collect(),
            Err(_) => return,
        };
        for target in targets {
            target.let_go(ended).await;
        }
    }

    pub async fn connect(&self, name: &str) -> Result<Target, String> {
        let url = self.url(name).await?;
        self.connect_to(name, url).await
    }

    /// Where a target is. It may hold a password.
    ///
    /// # Errors
    /// In words, why nobody can tell.
    pub async fn url(&self, name: &str) -> Result<SecretString, String> {
        let spec = self.spec(name)?;
        let secret = self.rendered(&spec.url)?;
        let redactor = self.redactor.clone();
        // A secret's command may take its time; nobody else has to wait for it.
        let url = tokio::task::spawn_blocking(move || secrets::resolve(&secret, &redactor)).await;
        url.map_err(|error| error.to_string())?
    }

    /// As [`Self::connect`], to where its [`Self::url`] says that it is.
    pub async fn connect_to(&self, name: &str, url: SecretString) -> Result<Target, String> {
        let spec = self.spec(name)?;
        let label = format!("gonogo {}", self.run);
        Target::open(name, spec, url, &label).await.map_err(|error| self.redactor.text(&error.to_string()))
    }

    fn spec(&self, name: &str) -> Result<&TargetSpec, String> {
        let spec = self.environment.targets.iter().find(|(target, _)| target == name).map(|(_, spec)| spec);
        spec.ok_or_else(|| format!("environment {} has no target {name}", self.environment.name))
    }

    /// The target as it is now: the one that was reached, or a fresh contact with the same database.
    pub async fn visit(&self, name: &str) -> Result<Arc<Target>, String> {
        if let Some(target) = self.target(name) {
            return Ok(target);
        }
        let target = self.connect(name).await?;
        let now = target.fingerprint().await.map_err(|error| self.redactor.text(&error.to_string()))?;
        if let Some(before) = &self.known(name) {
            contact::same(before, &now)?;
        }
        Ok(Arc::new(target))
    }

    /// Who the target was when the journal last saw it.
    pub fn known(&self, name: &str) -> Option<Fingerprint> {
        self.known.read().ok()?.get(name).cloned()
    }

    /// As [`Self::visit`], if it still is the database that was `seen` then.
    pub async fn again(&self, name: &str, seen: Option<&Fingerprint>) -> Result<Arc<Target>, String> {
        let target = self.visit(name).await?;
        let now = target.fingerprint().await.map_err(|error| self.redactor.text(&error.to_string()))?;
        seen.map_or(Ok(()), |seen| contact::same(seen, &now))?;
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
    pub async fn leftover_sessions(&self, target: &str, attempt: &Attempt) -> Result<Vec<String>, String> {
        let target = self.visit(target).await?;
        let looks = target.look(&self.label(attempt)).await.map_err(|error| error.to_string())?;
        Ok(looks.iter().map(words).collect())
    }

    fn rendered(&self, secret: &Secret) -> Result<Secret, String> {
        expr::render_secret(secret, &self.context).map_err(|error| error.to_string())
    }

    fn text(&self, template: &str, place: Place) -> Result<String, String> {
        expr::render(template, place, &self.context).map_err(|error| error.to_string())
    }

    /// The address behind a secret of the runbook, with its templates rendered. Does not keep the caller's thread busy.
    pub async fn address(&self, secret: &Secret) -> Result<SecretString, String> {
        let (doors, secret) = (self.clone(), self.rendered(secret)?);
        tokio::task::spawn_blocking(move || doors.secret(&secret)).await.map_err(|error| error.to_string())?
    }

    /// A command's arguments, with their templates rendered.
    pub fn arguments(&self, argv: &[String]) -> Result<Vec<String>, String> {
        argv.iter().map(|part| self.text(part, Place::Argv)).collect()
    }

    /// The value behind a secret of the runbook.
    pub fn secret(&self, secret: &Secret) -> Result<SecretString, String> {
        secrets::resolve(secret, &self.redactor)
    }

    /// Learns what is secret in the addresses of the targets and in what steps send, before anything is journaled that may
    /// hold it. One that cannot be resolved now is learned when it is.
    pub async fn learn_secrets(&self) {
        let addresses = self.environment.targets.iter().map(|(_, spec)| &spec.url);
        for secret in addresses.chain(self.book().secrets()) {
            let Ok(secret) = self.rendered(secret) else { continue };
            let redactor = self.redactor.clone();
            let _ = tokio::task::spawn_blocking(move || secrets::resolve(&secret, &redactor)).await;
        }
    }

    /// The end of an attempt is in the journal: what its command said and was given is of no use to anybody.
    pub fn forget(&self, attempt: &Attempt) {
        exec::place(&self.records(), attempt).clear();
    }

    /// Headers with what is behind their secrets.
    pub fn headers(
        &self,
        named: &[(String, Secret)],
        context: &Context,
    ) -> Result<Vec<(String, SecretString)>, String> {
        let value = |secret: &Secret| {
            let secret = expr::render_secret(secret, context).map_err(|error| error.to_string())?;
            self.secret(&secret)
        };
        named.iter().map(|(name, secret)| Ok((name.clone(), value(secret)?))).collect()
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

    /// Measures a probe once, now, on the targets that were reached.
    pub async fn measure(&self, spec: &Probe) -> Result<f64, crate::run::NoData> {
        let spec = self.rendered_probe(spec).map_err(crate::run::NoData::new)?;
        let value = probe::Sampler::new(&spec, self.for_probes()).take().await.value;
        crate::run::mask::sample(&self.environment.mask, &spec, value)
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

    /// The probe with its templates in place.
    ///
    /// # Errors
    /// In words, which of them makes no sense.
    pub fn rendered_probe(&self, spec: &Probe) -> Result<Probe, String> {
        let mut probe = spec.clone();
        self.render_source(&mut probe.source)?;
        if let Some(traffic) = &mut probe.traffic {
            self.render_source(&mut traffic.source)?;
        }
        Ok(probe)
    }

    fn render_source(&self, source: &mut ProbeSource) -> Result<(), String> {
        match source {
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
        Ok(())
    }
}

/// Between two looks whether a target was reached.
const LOOK: Duration = Duration::from_millis(100);
/// How long work that is taken up waits for its target.
const REACH: Duration = Duration::from_secs(60);
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

/// Who each target was when the journal last saw it.
fn fingerprints(state: &RunState) -> BTreeMap<String, Fingerprint> {
    let seen = state.targets.iter();
    seen.filter_map(|(name, seen)| Some((name.clone(), seen.fingerprint.clone()?))).collect()
}

/// A session that is left, in words.
pub fn words(look: &Look) -> String {
    let since = look.since.map(|since| format!(" since {}", since.format("%T UTC"))).unwrap_or_default();
    format!("pid {} {}{since}: {}", look.pid, look.state, look.query)
}
