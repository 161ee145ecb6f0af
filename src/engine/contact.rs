//! Contact with a target: who it is, whether it is the one it should be, and that it is this run's own from here on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::future::BoxFuture;

use super::doors::Doors;
use super::{diverged, others};
use crate::journal::{Home, KnownTarget, Reader, RunDir};
use crate::run::Event;
use crate::run::decide::Input;
use crate::run::event::{Fingerprint, Grip, OtherRun, Proof};
use crate::runbook::{Runbook, Undo};
use crate::target::{Claim, LedgerState, Memory, Refusal, Target};

/// Between two looks whether the target is still this run's own.
const LOOK: Duration = Duration::from_secs(5);

/// Why a target cannot be worked on.
pub enum Unreached {
    /// Another run has it: a person may take it over.
    Owned { owner: String, others: Vec<OtherRun>, fingerprint: Box<Fingerprint> },
    /// In words.
    Lost(String),
}

impl From<String> for Unreached {
    fn from(why: String) -> Self {
        Self::Lost(why)
    }
}

/// Reaches for a target and reports what became of it. `take_over`: a person has typed that it is taken.
pub async fn report(doors: Doors, name: String, take_over: bool) {
    let events = match reach(&doors, &name, take_over).await {
        Ok(events) => events,
        Err(Unreached::Owned { owner, others, fingerprint }) => {
            vec![Event::TargetOwned { target: name, owner, fingerprint: *fingerprint, others }]
        }
        Err(Unreached::Lost(error)) => vec![Event::TargetLost { target: name, error: doors.redactor().text(&error) }],
    };
    for event in events {
        // The engine is gone where nobody listens.
        let _ = doors.reports().send(Input::Fact(event)).await;
    }
}

async fn reach(doors: &Doors, name: &str, take_over: bool) -> Result<Vec<Event>, Unreached> {
    let (target, fingerprint) = meet(doors, name).await?;
    if let Some(before) = &doors.known(name) {
        same(before, &fingerprint)?;
        diverged::check(&target, before, &fingerprint, &doors.proofs(name)).await?;
    }
    let ledger = target.ledger_state().await.map_err(|error| error.to_string())?;
    marked(&ledger, doors.environment())?;
    let home = home_of(doors.run_dir())?;
    let known = known_as(doors, name, &fingerprint);
    if let Some(known) = &known {
        home.check_target(known).map_err(|error| error.to_string())?;
    }
    let claiming = doors.claiming().await;
    let mut grip = claim(doors, name, &target, take_over, &fingerprint).await?;
    if let Some(known) = known {
        home.note_target(known).map_err(|error| error.to_string())?;
    }
    doors.found(name, &target);
    drop(claiming);
    grip.skew_ms = skew(&target).await;
    tokio::spawn(watch(doors.clone(), name.to_owned(), target));
    let mut events = Vec::new();
    if ledger == LedgerState::Absent && grip.proof == Proof::Ledger {
        events.push(Event::LedgerCreated { target: name.to_owned() });
    }
    events.push(Event::TargetSeen { target: name.to_owned(), fingerprint, grip });
    Ok(events)
}

/// One that was reached before and lost its guard is claimed anew, on the connections it has; another server than then
/// wants others.
async fn meet(doors: &Doors, name: &str) -> Result<(Arc<Target>, Fingerprint), String> {
    if let Some(target) = doors.target(name)
        && let Ok(now) = target.fingerprint().await
        && doors.known(name).is_none_or(|before| before.timeline == now.timeline)
    {
        return Ok((target, now));
    }
    let target = Arc::new(doors.connect(name).await?);
    let fingerprint = target.fingerprint().await.map_err(|error| error.to_string())?;
    Ok((target, fingerprint))
}

async fn claim(
    doors: &Doors,
    name: &str,
    target: &Target,
    take_over: bool,
    fingerprint: &Fingerprint,
) -> Result<Grip, Unreached> {
    let memory = OwnJournal { doors: doors.clone() };
    let journal = memory.head(1).await?.ok_or_else(|| "the journal is empty".to_owned())?;
    let by = format!("{} pid {}", doors.by(), std::process::id());
    let claim = Claim {
        run: doors.run(),
        journal: &journal,
        memory: &memory,
        by: &by,
        environment: doors.environment(),
        writes: writes(doors.book(), doors.environment(), name),
        siblings: &doors.others(name),
        take_over,
    };
    let refusal = match target.claim(&claim).await {
        Ok(grip) => return Ok(grip),
        Err(refusal) => refusal,
    };
    let home = home_of(doors.run_dir())?;
    Err(match refusal {
        Refusal::Owned { owner, runs } => {
            let others = others::named(&home, &runs).await;
            Unreached::Owned { owner, others, fingerprint: Box::new(fingerprint.clone()) }
        }
        Refusal::Held { who } => Unreached::Lost(others::at_work(&home, doors.run(), who).await),
        other => Unreached::Lost(other.to_string()),
    })
}

/// Looks again and again whether the target is still ours; reports once that it is not.
async fn watch(doors: Doors, name: String, target: Arc<Target>) {
    loop {
        tokio::select! {
            () = doors.stop().cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(why) = target.still_guarded().await {
            let error = doors.redactor().text(&why);
            // The engine is gone where nobody listens.
            let _ = doors.reports().send(Input::Fact(Event::TargetLost { target: name, error })).await;
            return;
        }
    }
}

/// How far the target's clock is ahead of ours; half the way there and back is taken off.
async fn skew(target: &Target) -> Option<i64> {
    let before = Utc::now().timestamp_millis();
    let theirs = target.clock_ms().await.ok().flatten()?;
    let after = Utc::now().timestamp_millis();
    Some(theirs - before.midpoint(after))
}

/// True where any step that may run in this environment may write to the target.
pub fn writes(book: &Runbook, environment: &str, target: &str) -> bool {
    let undos = book.steps().filter_map(|step| match &step.undo {
        Undo::By(undo) => Some(&**undo),
        _ => None,
    });
    let planned = book.rollbacks.iter().flat_map(|plan| &plan.steps);
    book.steps().chain(undos).chain(planned).any(|step| {
        let here = step.only.is_empty() || step.only.iter().any(|only| only == environment);
        here && step.target.as_deref() == Some(target) && step.changes()
    })
}

/// A ledger that belongs to another environment tells whose database this is.
pub fn marked(ledger: &LedgerState, environment: &str) -> Result<(), String> {
    match ledger {
        LedgerState::Ready { environment: Some(marker) } if marker != environment => Err(format!(
            "this database is marked as {marker}, and the run is in {environment}. Nothing was started; correct the \
             target's url, or the mark: update gonogo.about set environment = '{environment}'"
        )),
        _ => Ok(()),
    }
}

/// The target as it is remembered beside the runs; only servers, for files move about.
pub fn known_as(doors: &Doors, name: &str, print: &Fingerprint) -> Option<KnownTarget> {
    (print.kind == "postgresql").then(|| KnownTarget {
        runbook: doors.book().id.clone(),
        environment: doors.environment().to_owned(),
        target: name.to_owned(),
        system_id: print.system_id.clone(),
        host: print.host.clone(),
        database: print.database.clone(),
    })
}

fn home_of(run_dir: &Path) -> Result<Home, String> {
    Home::new(run_dir.parent()).map_err(|error| error.to_string())
}

/// A target that is not the one seen before must not be worked on.
pub fn same(before: &Fingerprint, now: &Fingerprint) -> Result<(), String> {
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

/// The run's own journal, read beside its writer.
struct OwnJournal {
    doors: Doors,
}

impl OwnJournal {
    async fn reader(&self) -> Result<Reader, String> {
        let dir = RunDir::at(self.doors.run_dir()).map_err(|error| error.to_string())?;
        Reader::open(&dir).await.map_err(|error| error.to_string())
    }
}

impl Memory for OwnJournal {
    fn count(&self) -> BoxFuture<'_, Result<u64, String>> {
        Box::pin(async move {
            let end = self.reader().await?.head().await.map_err(|error| error.to_string())?;
            Ok(end.count)
        })
    }

    fn head(&self, seq: u64) -> BoxFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            let anchor = self.reader().await?.anchor_at(seq).await.map_err(|error| error.to_string())?;
            Ok(anchor.map(|anchor| anchor.hex()))
        })
    }
}
