//! The guard: one session, held for a run's life, whose advisory key says that this database has an owner. Every session
//! that does a step's work holds a second key shared, so that a newcomer sees work whose guard is gone. Both are courtesy
//! and are only ever tried, never waited for: a waiter would deadlock CREATE INDEX CONCURRENTLY. Safety is the ledger's.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::{Instant, sleep, timeout};

use super::activity::Backend;
use super::{Postgres, line, owner};
use crate::run::clean;
use crate::run::event::{Grip, Proof};
use crate::runbook::LedgerUse;
use crate::target::claim::{Claim, Refusal};
use crate::target::problem::Problem;
use crate::target::{LedgerState, Target, label};

/// The class of both advisory keys: "gono". Such keys are a database's own, so they need no name of it.
pub(in crate::target) const CLASS: i32 = 0x676f_6e6f;
/// Held for a run's life: exclusive, or shared by runs that say that they may work side by side.
const GUARD: i32 = 1;
/// Held shared by every session that does a step's work.
pub(in crate::target) const WORK: i32 = 2;

/// How long one question to the guard's session may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries for a key.
const POLL: Duration = Duration::from_millis(100);
/// How long a stranger's key is tried for: it may just be letting go.
const STRANGER: Duration = Duration::from_secs(1);
/// How long a key of this run's own dead engine is tried for: the server notices a lost client within 5 s.
const OWN: Duration = Duration::from_secs(15);
/// Bytes of a session's name that surely are not its digest.
const NAMED: usize = 54;

/// A guard that is held.
pub(super) struct Held {
    conn: PgConnection,
    session: Backend,
    run: String,
    /// What the claim brought.
    grip: Grip,
}

/// How a claim came out.
enum Claimed {
    Own(Grip),
    /// Another target of this run has the database already.
    Sibling(Arc<Target>, Grip),
}

type Guards = Vec<(Arc<Target>, Backend)>;

/// The guards that the run's other targets hold.
async fn guards(siblings: &[Arc<Target>]) -> Guards {
    let mut guards = Vec::new();
    for sibling in siblings {
        if let Some(session) = sibling.guard_session().await {
            guards.push((Arc::clone(sibling), session));
        }
    }
    guards
}

impl Postgres {
    /// Makes this run the owner of the database. A claim that this target still holds stands; a lost one is made anew.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Grip, Refusal> {
        // A sibling that asks who holds what must not wait for us: it is asked before our own is locked.
        let siblings = guards(claim.siblings).await;
        let mut slot = self.guard.lock().await;
        if let Some(mut before) = slot.take() {
            // Our own steps may be at work under it: to let go now could lose the database to our own work key.
            if before.run == claim.run && before.look().await.is_ok() {
                let grip = before.grip.clone();
                *slot = Some(before);
                return Ok(grip);
            }
            before.close().await;
        }
        // Until it is granted anew nothing may start here. The epoch of before stays: it fences what still runs.
        self.lost.store(true, Ordering::Release);
        self.ride(Weak::new());
        let mut held = Held::open(self, claim.run).await?;
        match held.claim(self, claim, &siblings).await {
            Ok(Claimed::Own(grip)) => {
                self.epoch.store(grip.epoch.unwrap_or(0), Ordering::Release);
                self.lost.store(false, Ordering::Release);
                held.grip = grip.clone();
                *slot = Some(held);
                Ok(grip)
            }
            Ok(Claimed::Sibling(other, grip)) => {
                held.close().await;
                // It stays lost by itself: once the other target is gone, its guard is gone as well.
                self.epoch.store(other.epoch(), Ordering::Release);
                self.ride(Arc::downgrade(&other));
                Ok(Grip { epoch: Some(other.epoch()).filter(|epoch| *epoch > 0), ..grip })
            }
            Err(refusal) => {
                held.close().await;
                Err(refusal)
            }
        }
    }

    /// Looks whether the guard is still held. Fine as well where this target was never claimed.
    ///
    /// # Errors
    /// In words: how it was lost. The claim is given up then.
    pub async fn still_guarded(&self) -> Result<(), String> {
        if let Some(other) = self.rides_on() {
            return Box::pin(other.still_guarded()).await;
        }
        let mut slot = self.guard.lock().await;
        // Taken out: a look that is dropped half-way leaves a session that cannot be trusted.
        let Some(mut held) = slot.take() else {
            return if self.lost.load(Ordering::Acquire) { Err(LOST.to_owned()) } else { Ok(()) };
        };
        self.lost.store(true, Ordering::Release);
        match held.look().await {
            Ok(()) => {
                self.lost.store(false, Ordering::Release);
                *slot = Some(held);
                Ok(())
            }
            Err(why) => {
                let held_run = held.run.clone();
                held.close().await;
                Err(why + &self.taken_over(&held_run).await)
            }
        }
    }

    /// The guard's session, where this target holds one itself.
    pub async fn guard_session(&self) -> Option<Backend> {
        self.guard.lock().await.as_ref().map(|held| held.session.clone())
    }

    pub(super) fn rides_on(&self) -> Option<Arc<Target>> {
        self.rides.read().ok()?.upgrade()
    }

    fn ride(&self, other: Weak<Target>) {
        *self.rides.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    /// Who took the run's place meanwhile, as the end of a sentence; empty: nobody, or it cannot be asked.
    async fn taken_over(&self, run: &str) -> String {
        if self.epoch() == 0 {
            return String::new();
        }
        let sql = "select taken_over_by from gonogo.run where run = $1";
        let by = self.control.ask(sql, &[run]).await.ok().and_then(|rows| first(&rows));
        by.map(|by| format!(". It was taken over by {}", clean::line(&by, 160))).unwrap_or_default()
    }

    /// Lets the database go. `ended`: the run is over, and the ledger says so where there is one.
    pub async fn let_go(&self, ended: bool) {
        let Some(mut held) = self.guard.lock().await.take() else { return };
        let epoch = self.epoch.load(Ordering::Acquire);
        if ended && epoch > 0 && !crate::failpoint::hit("guard.end") {
            let run = held.run.clone();
            // Best effort: whoever comes next is asked to take the database over.
            let _ = timeout(PATIENCE, owner::end(&mut held.conn, &run, epoch)).await;
        }
        held.close().await;
    }
}

const NO_LEDGER: &str = "there is no ledger in this database";
const LOST: &str = "the session that guards this database was lost";

impl Held {
    async fn open(target: &Postgres, run: &str) -> Result<Self, Refusal> {
        let name = label::compose(&target.base, "guard");
        let connected = line::connect(&target.address, &name).await;
        let mut conn = connected.map_err(|problem| failed("the guard's session could not be opened", &problem))?;
        let setup = sqlx::query(
            "select set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false), \
               set_config('synchronous_commit', \
                 case current_setting('synchronous_commit') when 'off' then 'on' \
                 else current_setting('synchronous_commit') end, false), \
               pid, backend_start::text, set_config('tcp_keepalives_idle', '10', false), \
               set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false) \
             from pg_stat_activity where pid = pg_backend_pid()",
        )
        .persistent(false)
        .bind(PATIENCE.as_millis().to_string());
        let row = answer(setup.fetch_one(&mut conn)).await;
        let row = row.map_err(|problem| failed("the guard's session could not be set up", &problem))?;
        let session = row.try_get(3).and_then(|pid| Ok(Backend { pid, born: row.try_get(4)? }));
        let session = session.map_err(|error| failed("the guard's session", &Problem::of_postgres(error)))?;
        Ok(Self { conn, session, run: run.to_owned(), grip: Grip::default() })
    }

    async fn claim(&mut self, target: &Postgres, claim: &Claim<'_>, siblings: &Guards) -> Result<Claimed, Refusal> {
        let control = target.control.ask("select pg_backend_pid()::text", &[]).await;
        let control = control.map_err(|problem| failed("the server was not asked", &problem))?;
        if first(&control).as_deref() == Some(self.session.pid.to_string().as_str()) {
            return Err(Refusal::Pooled { pid: self.session.pid });
        }
        let read_only = self.read_only().await?;
        if let (Some(why), true) = (&read_only, claim.writes) {
            return Err(Refusal::ReadOnly { why: why.clone() });
        }
        if read_only.is_some() {
            // Keys on a standby keep nobody away.
            let proof = Proof::Weaker { why: "the server takes no writes".to_owned() };
            return Ok(Claimed::Own(Grip { proof, read_only: true, ..Grip::default() }));
        }
        let holders = self.holders(GUARD).await?;
        let ours = siblings.iter().find(|(_, guard)| holders.iter().any(|holder| holder.session == *guard));
        if let Some((sibling, _)) = ours {
            let proof = if sibling.epoch() > 0 { Proof::Ledger } else { Proof::Weaker { why: NO_LEDGER.to_owned() } };
            return Ok(Claimed::Sibling(Arc::clone(sibling), Grip { proof, guarded: true, ..Grip::default() }));
        }
        self.lock(target).await?;
        self.look().await.map_err(Refusal::Failed)?;
        if crate::failpoint::hit("guard.locked") {
            return Err(Refusal::Failed("failpoint guard.locked".to_owned()));
        }
        let (proof, epoch) = self.enrol(target, claim).await?;
        Ok(Claimed::Own(Grip { proof, epoch, guarded: true, ..Grip::default() }))
    }

    /// Gets the guard's key, then the work key for an instant: no session of anybody works any more.
    async fn lock(&mut self, target: &Postgres) -> Result<(), Refusal> {
        if target.concurrent {
            let shared = "select pg_try_advisory_lock_shared($1, $2)";
            return self.try_for(target, shared, GUARD, |who| Refusal::Held { who }).await;
        }
        let exclusive = "select pg_try_advisory_lock($1, $2)";
        self.try_for(target, exclusive, GUARD, |who| Refusal::Held { who }).await?;
        let instant = "select case when pg_try_advisory_lock($1, $2) then pg_advisory_unlock($1, $2) else false end";
        self.try_for(target, instant, WORK, |who| Refusal::Working { who }).await
    }

    async fn try_for(
        &mut self,
        target: &Postgres,
        sql: &'static str,
        key: i32,
        refuse: impl Fn(String) -> Refusal,
    ) -> Result<(), Refusal> {
        let own = &target.base[..target.base.floor_char_boundary(NAMED)];
        let started = Instant::now();
        loop {
            if self.one::<bool>(sql, key).await? {
                return Ok(());
            }
            let holders = self.holders(key).await?;
            let strangers = holders.iter().any(|holder| !holder.application.starts_with(own));
            let patience = if strangers { STRANGER } else { OWN };
            if started.elapsed() >= patience {
                let who = holders.iter().map(Holder::words).collect::<Vec<_>>().join("; ");
                return Err(refuse(if who.is_empty() { "a session that has just left".to_owned() } else { who }));
            }
            sleep(POLL).await;
        }
    }

    /// The run's row in the ledger, where there is one that can be used.
    async fn enrol(&mut self, target: &Postgres, claim: &Claim<'_>) -> Result<(Proof, Option<u64>), Refusal> {
        let weaker = |why: &str| Ok((Proof::Weaker { why: why.to_owned() }, None));
        if target.ledger == LedgerUse::Never {
            // Nothing is written into it; whose database it is, it says all the same, where this role may read that.
            if matches!(target.ledger_state().await, Ok(LedgerState::Ready { .. })) {
                owner::nobody_else(&mut self.conn, claim, target.concurrent).await?;
            }
            return weaker("the runbook wants no ledger here");
        }
        let unread = |problem: Problem| failed("the ledger could not be asked", &problem);
        let mut state = target.ledger_state().await.map_err(unread)?;
        if state == LedgerState::Absent && target.ledger == LedgerUse::Create {
            target.create_ledger(claim.environment).await.map_err(unread)?;
            state = target.ledger_state().await.map_err(unread)?;
        }
        match state {
            LedgerState::Absent => weaker(NO_LEDGER),
            LedgerState::Unusable { why } => weaker(&why),
            LedgerState::Ready { .. } => {
                let epoch = owner::take(&mut self.conn, claim, target.concurrent).await?;
                Ok((Proof::Ledger, Some(epoch)))
            }
        }
    }

    /// Why nothing can be written here; none: it can.
    async fn read_only(&mut self) -> Result<Option<String>, Refusal> {
        let sql = "select pg_is_in_recovery(), current_setting('default_transaction_read_only')";
        let row = answer(sqlx::query(sql).persistent(false).fetch_one(&mut self.conn)).await;
        let row = row.map_err(|problem| failed("the server did not say whether it can be written to", &problem))?;
        Ok(match (row.try_get(0), row.try_get::<String, _>(1)) {
            (Ok(true), _) => Some("the server is a standby (in recovery)".to_owned()),
            (_, Ok(default)) if default == "on" => {
                Some("transactions there are read-only (default_transaction_read_only)".to_owned())
            }
            _ => None,
        })
    }

    /// Still the same session of the server, with its key?
    async fn look(&mut self) -> Result<(), String> {
        let sql = "select pg_backend_pid(), exists (select from pg_locks l \
                     where l.locktype = 'advisory' and l.granted and l.pid = pg_backend_pid() \
                       and l.classid = $1::oid and l.objid = $2::oid and l.objsubid = 2 \
                       and l.database = (select oid from pg_database where datname = current_database()))";
        let query = sqlx::query(sql).persistent(false).bind(CLASS).bind(GUARD);
        let row = answer(query.fetch_one(&mut self.conn)).await.map_err(|problem| {
            format!(
                "{LOST}: {}. Another run may claim the database; what runs here is kept apart by its own key",
                problem.words()
            )
        })?;
        match (row.try_get::<i32, _>(0), row.try_get::<bool, _>(1)) {
            (Ok(pid), _) if pid != self.session.pid => Err(format!(
                "the guard's session was {} and is {pid} now: a pooler stands between. Connect to the server itself",
                self.session.pid
            )),
            (Ok(_), Ok(true)) => Ok(()),
            _ => Err("the key that guards this database is gone from its session".to_owned()),
        }
    }

    async fn holders(&mut self, key: i32) -> Result<Vec<Holder>, Refusal> {
        let sql = "select l.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), \
                     coalesce(host(a.client_addr), 'the same machine'), \
                     coalesce(to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), '?'), \
                     coalesce(a.backend_start::text, '') \
                   from pg_locks l left join pg_stat_activity a on a.pid = l.pid \
                   where l.locktype = 'advisory' and l.granted and l.pid <> pg_backend_pid() \
                     and l.classid = $1::oid and l.objid = $2::oid and l.objsubid = 2 \
                     and l.database = (select oid from pg_database where datname = current_database()) \
                   order by a.backend_start";
        let query = sqlx::query(sql).persistent(false).bind(CLASS).bind(key);
        let rows = answer(query.fetch_all(&mut self.conn)).await;
        let rows = rows.map_err(|problem| failed("the server did not say who holds the key", &problem))?;
        Ok(rows.iter().filter_map(Holder::of).collect())
    }

    async fn one<T>(&mut self, sql: &'static str, key: i32) -> Result<T, Refusal>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let query = sqlx::query(sql).persistent(false).bind(CLASS).bind(key);
        let row = answer(query.fetch_one(&mut self.conn)).await;
        let value = row.and_then(|row| row.try_get(0).map_err(Problem::of_postgres));
        value.map_err(|problem| failed("the key that guards a database could not be asked for", &problem))
    }

    async fn close(self) {
        // A server that does not take the goodbye notices the closed connection.
        let _ = timeout(PATIENCE, self.conn.close()).await;
    }
}

/// A session that holds one of our keys.
struct Holder {
    session: Backend,
    user: String,
    application: String,
    from: String,
    since: String,
}

impl Holder {
    fn of(row: &PgRow) -> Option<Self> {
        Some(Self {
            session: Backend { pid: row.try_get(0).ok()?, born: row.try_get(5).ok()? },
            user: row.try_get(1).ok()?,
            application: row.try_get(2).ok()?,
            from: row.try_get(3).ok()?,
            since: row.try_get(4).ok()?,
        })
    }

    /// `pid 812 (gonogo week1 guard, user deploy, from 10.0.0.7, since 2026-01-31 02:14:07 UTC)`
    fn words(&self) -> String {
        let (application, user) = (clean::line(&self.application, 80), clean::line(&self.user, 40));
        format!("pid {} ({application}, user {user}, from {}, since {})", self.session.pid, self.from, self.since)
    }
}

/// What a question brings within our patience.
pub(super) async fn answer<T>(question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Problem> {
    match timeout(PATIENCE, question).await {
        Err(_) => Err(Problem::lost("no answer within 5 s")),
        Ok(answer) => answer.map_err(Problem::of_postgres),
    }
}

pub(super) fn failed(what: &str, problem: &Problem) -> Refusal {
    Refusal::Failed(format!("{what}: {}. Nothing was started", problem.words()))
}

fn first(rows: &line::Rows) -> Option<String> {
    rows.first()?.first().cloned().flatten()
}
