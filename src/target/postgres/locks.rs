//! Locks: who stands in our way, and who waits behind us. A second session looks while a script of ours works; where
//! others wait behind it for longer than the target allows, or too many of them, the script is ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Postgres;
use super::activity::Backend;
use crate::run::clean;
use crate::target::label;
use crate::target::watch::{Cause, Watch};

/// How often we look.
const LOOK: Duration = Duration::from_millis(250);
/// The same where limits are shorter than that.
const LOOK_OFTEN: Duration = Duration::from_millis(20);
/// Looks that find us free before whoever blocked us last is forgotten.
const FORGOTTEN: u32 = 4;
/// Characters of a session's query that are shown.
const QUERY_SHOWN: usize = 60;

/// Locks of a server that nobody waits for cost one pass over its lock table; `pg_blocking_pids`, which stops the lock
/// manager for a moment, is asked only for sessions that wait, the longest first and 500 at most. Views of sessions
/// hide from a plain role what the sessions of others wait for, so waiting is read from the locks. `waitstart` exists
/// since PostgreSQL 14, hence the detour over JSON; before, a wait is as old as its statement.
const LOOK_SQL: &str = "with recursive \
  stuck as materialized ( \
    select l.pid, min((to_jsonb(l) ->> 'waitstart')::timestamptz) as since \
    from pg_locks l where not l.granted and l.pid is not null group by l.pid), \
  waiting as materialized ( \
    select s.pid, pg_blocking_pids(s.pid) as ahead \
    from (select pid from stuck order by pid <> $1::text::int, since nulls last limit 500) s), \
  behind(pid) as ( \
    select pid from waiting where $1::text::int = any (ahead) \
    union select w.pid from waiting w join behind b on b.pid = any (w.ahead)), \
  late as ( \
    select a.pid, a.usename, a.application_name, a.state, a.query, a.xact_start, \
      extract(epoch from clock_timestamp() - coalesce(s.since, \
        case when current_setting('server_version_num')::int < 140000 then a.query_start end, \
        clock_timestamp())) as waited \
    from behind join pg_stat_activity a using (pid) join stuck s using (pid) \
    where a.pid <> $1::text::int and not starts_with(a.application_name, $2) \
      and coalesce(a.backend_type, '') not in ('parallel worker', 'autovacuum worker')) \
  (select 'ahead', p.pid::text, b.usename::text, b.application_name, b.state, \
    floor(extract(epoch from clock_timestamp() - b.xact_start))::text, b.query, null, null \
  from (select distinct unnest(ahead) as pid from waiting where pid = $1::text::int) p \
  left join pg_stat_activity b on b.pid = p.pid order by b.xact_start nulls last, p.pid) \
  union all \
  (select 'behind', pid::text, usename::text, application_name, state, \
    floor(extract(epoch from clock_timestamp() - xact_start))::text, query, \
    (count(*) over ())::text, floor(greatest(waited, 0) * 1000)::text \
  from late order by waited desc limit 1)";

/// A session that stands in somebody's way, or waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    /// 0: a prepared transaction, which has no session.
    pub pid: i32,
    pub user: String,
    pub application: String,
    pub state: String,
    /// Seconds since its transaction began.
    pub age: Option<String>,
    pub query: String,
}

impl Holder {
    /// From seven cells: pid, user, application, state, age of its transaction in seconds, query.
    pub fn of(cells: &[Option<String>]) -> Option<Self> {
        let text = |i: usize| cells.get(i).cloned().flatten().unwrap_or_default();
        Some(Self {
            pid: text(0).parse().ok()?,
            user: text(1),
            application: text(2),
            state: text(3),
            age: cells.get(4).cloned().flatten(),
            query: text(5),
        })
    }

    /// `pid 812 (app, psql, 41 s) idle in transaction: update orders …`
    pub fn words(&self) -> String {
        if self.pid == 0 {
            return "a prepared transaction".to_owned();
        }
        let named = [&self.user, &self.application].into_iter().filter(|text| !text.is_empty());
        let mut about: Vec<String> = named.map(|text| clean::line(text, QUERY_SHOWN)).collect();
        about.extend(self.age.as_ref().map(|age| format!("{age} s")));
        let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        let state = match self.state.as_str() {
            "" | "active" => String::new(),
            state => format!(" {state}:"),
        };
        let words: Vec<_> = self.query.split_whitespace().collect();
        let query = clean::line(&words.join(" "), QUERY_SHOWN);
        format!("pid {}{about}{state} {query}", self.pid).trim_end().to_owned()
    }

    /// True where it does nothing, and a cancel would not reach it.
    pub fn idles(&self) -> bool {
        self.state.starts_with("idle")
    }
}

/// The sessions that wait for us, directly or behind others that do. Our own run's are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    pub count: u64,
    pub longest: Duration,
    /// Who waits longest.
    pub first: Holder,
}

impl Behind {
    /// `3 sessions wait behind it, the first for 1.2 s`
    pub fn words(&self) -> String {
        let who = if self.count == 1 { "1 session waits".to_owned() } else { format!("{} sessions wait", self.count) };
        format!("{who} behind it, the first for {:.1} s", self.longest.as_secs_f64())
    }
}

/// Who waits behind each attempt that runs, by the name of its session: for whoever tells its progress.
#[derive(Default)]
pub(super) struct Board(Mutex<BTreeMap<String, Behind>>);

impl Board {
    pub fn behind(&self, label: &str) -> Option<Behind> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(label).cloned()
    }

    fn note(&self, label: &str, behind: Option<Behind>) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match behind {
            Some(behind) => board.insert(label.to_owned(), behind),
            None => board.remove(label),
        };
    }
}

/// One look of the second session.
#[derive(Debug, Default)]
struct Sight {
    ahead: Vec<Holder>,
    behind: Option<Behind>,
}

/// Looks after one try of a script.
pub(super) struct Sentry<'a> {
    pub target: &'a Postgres,
    /// Of the attempt.
    pub label: &'a str,
    pub watch: &'a Watch,
    /// The session of the script, once it is open.
    pub session: &'a OnceLock<Backend>,
    /// Whether its COMMIT was sent: then nothing of ours may disturb it.
    pub committing: &'a (dyn Fn() -> bool + Sync),
}

impl Sentry<'_> {
    /// Does the work under the sentry's eyes; also returns who blocked it last, as far as was seen.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> (T, Vec<Holder>) {
        // The sentry ends its question before it goes: a question dropped half-way would take the control connection
        // with it, and the server may have no slot for a new one.
        let over = CancellationToken::new();
        let work = async {
            let result = work.await;
            over.cancel();
            result
        };
        let (result, ahead) = tokio::join!(work, self.look_until(&over));
        self.target.board.note(&self.target.label(self.label), None);
        (result, ahead)
    }

    async fn look_until(&self, over: &CancellationToken) -> Vec<Holder> {
        let shortest = self.target.lock_timeout.min(self.target.max_blocked.lasting);
        let mut ticks = interval((shortest / 4).clamp(LOOK_OFTEN, LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ahead, mut free) = (Vec::new(), 0);
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => return ahead,
                _ = ticks.tick() => {}
            }
            let Some(session) = self.session.get() else { continue };
            let Some(sight) = self.look(session).await else { continue };
            free = if sight.ahead.is_empty() { free + 1 } else { 0 };
            if free == 0 || free >= FORGOTTEN {
                ahead = sight.ahead;
            }
            self.judge(sight.behind);
        }
    }

    fn judge(&self, behind: Option<Behind>) {
        self.target.board.note(&self.target.label(self.label), behind.clone());
        let Some(behind) = behind else { return };
        let most = self.target.max_blocked;
        let too_many = behind.count > u64::from(most.sessions) || behind.longest > most.lasting;
        if too_many && !(self.committing)() {
            let Behind { count, longest, first } = behind;
            self.watch.end(Cause::BlockedOthers { count, longest, whom: first.words() });
        }
    }

    /// None: the server did not answer, and nothing is known.
    async fn look(&self, session: &Backend) -> Option<Sight> {
        let family = label::family(&self.target.base);
        let rows = self.target.control.ask(LOOK_SQL, &[&session.pid.to_string(), &family]).await.ok()?;
        let mut sight = Sight::default();
        for row in rows {
            let Some(holder) = row.get(1..).and_then(Holder::of) else { continue };
            let number = |i: usize| row.get(i).cloned().flatten().and_then(|text| text.parse().ok());
            match (row.first().cloned().flatten().as_deref(), number(7), number(8)) {
                (Some("behind"), Some(count), Some(ms)) => {
                    sight.behind = Some(Behind { count, longest: Duration::from_millis(ms), first: holder });
                }
                _ => sight.ahead.push(holder),
            }
        }
        Some(sight)
    }
}

/// `pid 812 (app, psql, 41 s) update orders … and 2 more`; none where nobody was seen.
pub(super) fn ahead_words(ahead: &[Holder]) -> Option<String> {
    let first = ahead.first()?.words();
    Some(match ahead.len() - 1 {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(state: &str) -> Holder {
        let cells = ["812", "app", "psql", state, "41", "update orders\n  set x = 1"];
        Holder::of(&cells.map(|cell| Some(cell.to_owned()))).unwrap()
    }

    #[test]
    fn a_session_in_words() {
        assert_eq!(holder("active").words(), "pid 812 (app, psql, 41 s) update orders set x = 1");
        assert_eq!(
            holder("idle in transaction").words(),
            "pid 812 (app, psql, 41 s) idle in transaction: update orders set x = 1"
        );
        assert!(holder("idle in transaction").idles() && !holder("active").idles());
        assert_eq!(Holder { pid: 7, ..Holder::default() }.words(), "pid 7");
        assert_eq!(Holder::default().words(), "a prepared transaction");
        let foreign = Holder { pid: 7, application: "a\u{1b}[2J".to_owned(), ..Holder::default() };
        assert!(!foreign.words().contains('\u{1b}'));
        assert_eq!(Holder::of(&[None]), None);
    }

    #[test]
    fn several_in_words() {
        assert_eq!(ahead_words(&[]), None);
        let all = vec![holder("active"), Holder::default()];
        assert_eq!(ahead_words(&all).unwrap(), "pid 812 (app, psql, 41 s) update orders set x = 1 and 1 more");
        let behind = Behind { count: 3, longest: Duration::from_millis(1_249), first: holder("active") };
        assert_eq!(behind.words(), "3 sessions wait behind it, the first for 1.2 s");
        assert_eq!(Behind { count: 1, ..behind }.words(), "1 session waits behind it, the first for 1.2 s");
    }
}
