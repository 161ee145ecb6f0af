//! How a PostgreSQL server fares while a batch works on it: how late its standbys are, who waits for locks, how old its
//! transactions are. Asked on a session of its own, opened when it is first needed.

use tokio::time::Instant;

use crate::run::words::millis;
use crate::runbook::Health;
use crate::target::batch::vitals::{LagTrack, Signal, Standby, Vital, Vitals};
use crate::target::label;
use crate::target::postgres::Postgres;
use crate::target::postgres::line::{Line, Rows};
use crate::target::postgres::locks::Holder;
use crate::target::problem::Problem;

/// A row without a standby tells the log's end. Who may not see a standby's positions gets them as NULL; so does everybody
/// of a base backup, which replays nothing.
const LAG: &str = "select w.log_end::text, r.pid::text, coalesce(nullif(r.application_name, ''), 'pid ' || r.pid), r.state, \
      pg_wal_lsn_diff(r.replay_lsn, '0/0')::text, floor(extract(epoch from r.replay_lag) * 1000)::bigint::text, \
      r.reply_time::text \
    from (select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as log_end) w left join pg_stat_replication r on true";
/// Locks are seen by every role, and so is which database a session is in.
const LOCKS: &str = "select count(distinct l.pid)::text from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where not l.granted and a.datname = current_database() and not starts_with(coalesce(a.application_name, ''), $1)";
/// The oldest transaction of others, prepared ones too, and how many sessions this role may not look into.
const OLDEST: &str = "with others as ( \
      select * from pg_stat_activity \
      where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null \
        and coalesce(backend_type, 'client backend') = 'client backend' \
        and not starts_with(coalesce(application_name, ''), $1)) \
    select o.pid::text, o.who, o.app, o.state, null::text, o.query, \
      floor(extract(epoch from clock_timestamp() - o.since) * 1000)::bigint::text, \
      (select count(*) from others where backend_type is null)::text \
    from (select 1) one left join lateral ( \
      (select pid, usename::text as who, application_name as app, state, query, xact_start as since \
       from others where xact_start is not null) \
      union all \
      (select 0, owner::text, null, null, gid, prepared from pg_prepared_xacts where database = current_database()) \
      order by since limit 1) o on true";

const GRANT: &str = "this role may not see it: grant it pg_read_all_stats (or pg_monitor)";

pub(super) struct Pulse {
    line: Line,
    family: String,
    started: Instant,
    track: LagTrack,
}

impl Pulse {
    pub fn new(target: &Postgres) -> Self {
        Self {
            line: Line::new(target.address.clone(), label::compose(&target.base, "health"), true),
            family: label::family(&target.base),
            started: Instant::now(),
            track: LagTrack::default(),
        }
    }

    /// Everything that is wanted. What cannot be asked is among the unread.
    pub async fn feel(&mut self, wanted: Health) -> Vitals {
        let mut vitals = Vitals::default();
        if wanted.lag_ms.is_some() {
            let rows = self.line.ask(LAG, &[]).await;
            let now = millis(self.started.elapsed());
            note(&mut vitals, Signal::Lag, rows, |vitals, rows| lag(vitals, &rows, &mut self.track, now));
        }
        if wanted.lock_waiters.is_some() {
            let rows = self.line.ask(LOCKS, &[&self.family]).await;
            note(&mut vitals, Signal::LockWaiters, rows, |vitals, rows| lock_waiters(vitals, &rows));
        }
        if wanted.oldest_transaction_ms.is_some() {
            let rows = self.line.ask(OLDEST, &[&self.family]).await;
            note(&mut vitals, Signal::OldestTransaction, rows, |vitals, rows| oldest(vitals, &rows));
        }
        vitals
    }
}

fn note(vitals: &mut Vitals, signal: Signal, answer: Result<Rows, Problem>, read: impl FnOnce(&mut Vitals, Rows)) {
    match answer {
        Ok(rows) => read(vitals, rows),
        Err(problem) => {
            vitals.unread.push((signal, problem.words()));
            vitals.silent.push(signal);
        }
    }
}

fn cell(row: &[Option<String>], at: usize) -> Option<&str> {
    row.get(at).and_then(|cell| cell.as_deref())
}

fn number<T: std::str::FromStr>(row: &[Option<String>], at: usize) -> Option<T> {
    cell(row, at)?.parse().ok()
}

fn lag(vitals: &mut Vitals, rows: &Rows, track: &mut LagTrack, now_ms: u64) {
    let Some(end) = rows.first().and_then(|row| number::<u128>(row, 0)) else { return };
    let mut standbys = Vec::new();
    let mut hidden = false;
    for row in rows {
        let Some(pid) = number::<i32>(row, 1) else { continue };
        hidden |= cell(row, 3).is_none();
        let Some(replayed) = number::<u128>(row, 4) else { continue };
        standbys.push(Standby {
            name: format!("standby {}", crate::run::clean::line(cell(row, 2).unwrap_or_default(), 60)),
            pid,
            replayed,
            reported_ms: number(row, 5),
            answered: cell(row, 6).unwrap_or_default().to_owned(),
        });
    }
    if let Some((value, whom)) = track.look(now_ms, end, &standbys) {
        vitals.known.push(Vital { signal: Signal::Lag, value, whom });
    }
    if hidden {
        vitals.unread.push((Signal::Lag, GRANT.to_owned()));
    }
}

fn lock_waiters(vitals: &mut Vitals, rows: &Rows) {
    if let Some(value) = rows.first().and_then(|row| number(row, 0)) {
        vitals.known.push(Vital { signal: Signal::LockWaiters, value, whom: String::new() });
    }
}

fn oldest(vitals: &mut Vitals, rows: &Rows) {
    let Some(row) = rows.first() else { return };
    if let (Some(value), Some(holder)) = (number(row, 6), Holder::of(row)) {
        vitals.known.push(Vital { signal: Signal::OldestTransaction, value, whom: holder.words() });
    }
    if let Some(hidden) = number::<u64>(row, 7).filter(|hidden| *hidden > 0) {
        let who = if hidden == 1 { "1 session".to_owned() } else { format!("{hidden} sessions") };
        vitals.unread.push((Signal::OldestTransaction, format!("of {who} {GRANT}")));
    }
}
