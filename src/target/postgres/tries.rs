//! Tries of one attempt: what certainly left nothing behind because of locks (not got in time, a deadlock, a
//! serialization failure, others that waited behind us) is tried again after a pause.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::locks::{Holder, ahead_words};
use crate::failpoint;
use crate::run::facts::Effect;
use crate::run::{Chunk, Fault, Outcome};
use crate::target::SqlJob;
use crate::target::watch::{Cause, Watch};

/// The shortest and the longest pause between two tries.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// What a notice of a try is marked with.
const SEVERITY: &str = "LOCK";

/// Why a try came to nothing although the script may be fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    LockTimeout,
    Deadlock,
    Serialization,
    BlockedOthers,
}

impl Obstacle {
    /// None where the outcome is for good: also where the same would happen again, or something may be left behind.
    fn of(outcome: &Outcome, watch: &Watch) -> Option<Self> {
        let fault = match outcome {
            Outcome::Failed { fault, verdict: None, .. } | Outcome::Broke { fault } => fault,
            _ => return None,
        };
        if fault.effect != Effect::None {
            return None;
        }
        match fault.sqlstate.as_deref() {
            Some("55P03") => Some(Self::LockTimeout),
            Some("40P01") => Some(Self::Deadlock),
            Some("40001") => Some(Self::Serialization),
            code => {
                let cause = watch.cause().filter(|cause| matches!(cause, Cause::BlockedOthers { .. }))?;
                (code == Some("57014") || fault.summary == cause.words()).then_some(Self::BlockedOthers)
            }
        }
    }
}

/// Pauses that double from try to try, spread out so that two runs do not meet again and again.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    seed: u64,
    next: Duration,
}

impl Backoff {
    pub fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(SEVERITY))
    }

    /// The same seed brings the same pauses.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, next: SHORTEST }
    }

    /// The next pause: between its base and half as much again, 30 s at most.
    fn pause(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(LONGEST);
        let spread = base.mul_f64(0.5 * self.random());
        (base + spread).min(LONGEST)
    }

    /// 0 up to 1, by the generator known as splitmix64.
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Counts the tries of one attempt, and says what comes after each.
pub(super) struct Tries<'a> {
    job: &'a SqlJob<'a>,
    out: &'a Sender<Chunk>,
    most: u32,
    n: u32,
    backoff: Backoff,
}

impl<'a> Tries<'a> {
    /// `most`: tries in all, the first included.
    pub fn new(job: &'a SqlJob<'a>, out: &'a Sender<Chunk>, most: u32, backoff: Backoff) -> Self {
        Self { job, out, most: most.max(1), n: 1, backoff }
    }

    /// What follows a try that ended with `outcome`, with `ahead` in its way: `Continue` after the pause, or the
    /// attempt's outcome.
    pub async fn after(&mut self, outcome: Outcome, ahead: &[Holder], watch: &Watch) -> ControlFlow<Outcome> {
        let Some(obstacle) = Obstacle::of(&outcome, watch) else { return ControlFlow::Break(outcome) };
        if let Some(cause) = watch.asked_by_now() {
            return ControlFlow::Break(with_fault(outcome, |fault| self.ended(fault, &cause)));
        }
        if self.n >= self.most {
            let tries = if self.most == 1 { "the only try" } else { "the last try" };
            let why = format!("this was {tries} of {} (lock_tries)", self.most);
            return ControlFlow::Break(with_fault(outcome, |fault| last(fault, obstacle, ahead, &why)));
        }
        let pause = self.backoff.pause();
        if watch.time_left().is_some_and(|left| left <= pause) {
            let why = "the step's time is too short for another try";
            return ControlFlow::Break(with_fault(outcome, |fault| last(fault, obstacle, ahead, why)));
        }
        self.tell(&outcome, obstacle, ahead, pause).await;
        if failpoint::hit("tries.pause") {
            return ControlFlow::Break(outcome);
        }
        tokio::select! {
            biased;
            cause = watch.asked() => {
                return ControlFlow::Break(with_fault(outcome, |fault| self.ended(fault, &cause)));
            }
            () = tokio::time::sleep(pause) => {}
        }
        self.n += 1;
        if let Some(counter) = self.job.counter {
            // Rows of the try that came to nothing are none of the attempt's.
            counter.store(0, Ordering::Relaxed);
        }
        ControlFlow::Continue(())
    }

    async fn tell(&self, outcome: &Outcome, obstacle: Obstacle, ahead: &[Holder], pause: Duration) {
        let (Outcome::Failed { fault, .. } | Outcome::Broke { fault }) = outcome else { return };
        let at = fault.statement.filter(|_| self.job.statements.len() > 1);
        let at = at.map(|at| format!(" in statement {at}")).unwrap_or_default();
        let why = format!("try {} of {}: {}{at}", self.n, self.most, words(fault));
        let next = format!("{}; next try in {:.1} s", fault.safe, pause.as_secs_f64());
        // One line each: a log is narrow, and who was in the way must not be cut off.
        for text in [Some(why), waited(obstacle, ahead), Some(next)].into_iter().flatten() {
            // Nobody has to listen.
            let _ = self.out.send(Chunk::Notice { severity: SEVERITY.to_owned(), text }).await;
        }
    }

    /// The fault of an attempt that was ended between two tries.
    fn ended(&self, fault: Fault, cause: &Cause) -> Fault {
        let detail = format!("it was between try {} and the next of {}; before: {}", self.n, self.most, words(&fault));
        Fault {
            summary: cause.words(),
            detail: Some(detail),
            sqlstate: None,
            hint: None,
            statement: None,
            position: None,
            ..fault
        }
    }
}

/// The fault of the last try: with who was in the way, and what to do.
fn last(fault: Fault, obstacle: Obstacle, ahead: &[Holder], why: &str) -> Fault {
    let parts = [fault.detail.clone(), waited(obstacle, ahead)];
    let detail: Vec<_> = parts.into_iter().flatten().collect();
    let detail = (!detail.is_empty()).then(|| detail.join("\n"));
    Fault { detail, hint: Some(format!("{why}. {}", advice(obstacle, ahead))), ..fault }
}

/// What the operator may do: the text names the command, and sends nothing.
fn advice(obstacle: Obstacle, ahead: &[Holder]) -> String {
    match (obstacle, ahead.first()) {
        (Obstacle::LockTimeout, Some(holder)) if holder.pid == 0 => "Find the prepared transaction in \
            pg_prepared_xacts, end it with COMMIT PREPARED or ROLLBACK PREPARED, then retry"
            .to_owned(),
        (Obstacle::LockTimeout, Some(holder)) if holder.idles() => format!(
            "Wait until pid {pid} ends its transaction, or end its session with select pg_terminate_backend({pid}) \
             (it is idle: a cancel would not reach it); then retry",
            pid = holder.pid
        ),
        (Obstacle::LockTimeout, Some(holder)) => format!(
            "Wait until pid {pid} is done, or cancel what it does with select pg_cancel_backend({pid}); then retry",
            pid = holder.pid
        ),
        (Obstacle::LockTimeout, None) => {
            "Look in pg_locks and pg_stat_activity for who holds the lock, then retry".to_owned()
        }
        (Obstacle::Deadlock | Obstacle::Serialization, _) => {
            "Other sessions work on the same rows: retry when they are done".to_owned()
        }
        (Obstacle::BlockedOthers, _) => "Retry at a quieter time, let the script hold its locks for less long, or \
            allow more with max_blocked of the target"
            .to_owned(),
    }
}

/// `it waited for pid 812 (app, psql, 41 s) update orders …`
fn waited(obstacle: Obstacle, ahead: &[Holder]) -> Option<String> {
    match ahead_words(ahead) {
        Some(who) => Some(format!("it waited for {who}")),
        None if obstacle == Obstacle::LockTimeout => Some("who held the lock was not seen".to_owned()),
        None => None,
    }
}

fn words(fault: &Fault) -> String {
    // "57014" would say no more than the cause does.
    match fault.sqlstate.as_deref() {
        Some(code) if code != "57014" => format!("{} ({code})", fault.summary),
        _ => fault.summary.clone(),
    }
}

fn with_fault(mut outcome: Outcome, change: impl FnOnce(Fault) -> Fault) -> Outcome {
    if let Outcome::Failed { fault, .. } | Outcome::Broke { fault } = &mut outcome {
        **fault = change(std::mem::take(&mut **fault));
    }
    outcome
}

#[cfg(test)]
mod tests;
