//! What the server says of our sessions: what they wait for, what an earlier engine left behind, what became of a
//! transaction. All over the control connection.

use std::time::Duration;

use chrono::DateTime;
use tokio::time::{Instant, sleep};

use super::Postgres;
use super::locks::{Holder, ahead_words};
use crate::run::event::Fingerprint;
use crate::target::Look;
use crate::target::problem::Problem;

/// How often the server is asked again for what it does not know yet.
const POLL: Duration = Duration::from_millis(200);

/// One of our sessions, for certain: a pid is used again, and a script may change its `application_name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Backend {
    pub pid: i32,
    /// The server's time of its start, as text.
    pub born: String,
}

/// Whether a session is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Gone,
    Still,
    /// The server cannot be asked; why.
    Unreachable(String),
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    Aborted,
    /// Not decided yet, or not to be known; why.
    Open(String),
}

impl Postgres {
    /// What the attempt's session waits for (a lock and who holds it, or a standby), and who waits behind it. None:
    /// nobody waits.
    pub async fn waiting(&self, attempt: &str) -> Option<String> {
        let ahead = self.ahead(attempt).await;
        match (ahead, self.board.behind(&self.label(attempt))) {
            (ahead, None) => ahead,
            (Some(ahead), Some(behind)) => Some(format!("{ahead}; {}", behind.words())),
            (None, Some(behind)) => Some(format!("nobody; {}", behind.words())),
        }
    }

    async fn ahead(&self, attempt: &str) -> Option<String> {
        let sql = "select a.wait_event, p.pid::text, b.usename::text, b.application_name, b.state, \
                     floor(extract(epoch from clock_timestamp() - b.xact_start))::text, b.query \
                   from pg_stat_activity a \
                   left join lateral unnest(pg_blocking_pids(a.pid)) p(pid) on a.wait_event_type = 'Lock' \
                   left join pg_stat_activity b on b.pid = p.pid \
                   where a.application_name = $1 and a.backend_type = 'client backend' \
                     and (a.wait_event_type = 'Lock' or a.wait_event = 'SyncRep') \
                   order by b.xact_start nulls last, p.pid";
        let rows = self.control.ask(sql, &[&self.label(attempt)]).await.ok()?;
        let event = rows.first()?.first().cloned().flatten().unwrap_or_default();
        if event == "SyncRep" {
            return Some("commit: a synchronous standby has not confirmed yet".to_owned());
        }
        let mut holders: Vec<_> = rows.iter().filter_map(|row| Holder::of(row.get(1..)?)).collect();
        // Each appears once more for every parallel worker that it blocks; of one transaction, so side by side.
        holders.dedup_by_key(|holder| holder.pid);
        Some(format!("lock: {}", ahead_words(&holders).unwrap_or(event)))
    }

    /// Sessions under the attempt's name: of this engine, or left on the server by an earlier one.
    /// `session`: a process and its start, which is one of them by whatever name it goes now.
    pub async fn look_for(&self, attempt: &str, session: Option<&(i32, String)>) -> Result<Vec<Look>, Problem> {
        let sql = "select pid::text, coalesce(state, ''), \
                     floor(extract(epoch from coalesce(query_start, backend_start)) * 1000)::text, coalesce(query, '') \
                   from pg_stat_activity \
                   where backend_type = 'client backend' \
                     and (application_name = $1 \
                       or (pid::text = $2 and backend_start = nullif($3, '')::timestamptz)) order by backend_start";
        let (pid, born) = session.map_or_else(Default::default, |(pid, born)| (pid.to_string(), born.clone()));
        let rows = self.control.ask(sql, &[&self.label(attempt), &pid, &born]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let mut row = row.into_iter().map(Option::unwrap_or_default);
                Some(Look {
                    pid: row.next()?.parse().ok()?,
                    state: row.next()?,
                    since: row.next()?.parse().ok().and_then(DateTime::from_timestamp_millis),
                    query: row.next()?,
                })
            })
            .collect())
    }

    /// Asks the server to cancel what an attempt's leftover session does. True: it was there to be asked.
    pub async fn cancel_leftover(&self, attempt: &str, pid: i32) -> Result<bool, Problem> {
        let sql = "select pg_cancel_backend(pid)::text from pg_stat_activity \
                   where pid = $1::text::int and application_name = $2";
        self.signal(sql, pid, &self.label(attempt)).await
    }

    /// Ends an attempt's leftover session. True: it was there to be ended.
    pub async fn terminate_leftover(&self, attempt: &str, pid: i32) -> Result<bool, Problem> {
        let sql = "select pg_terminate_backend(pid)::text from pg_stat_activity \
                   where pid = $1::text::int and application_name = $2";
        self.signal(sql, pid, &self.label(attempt)).await
    }

    /// Asks the server to cancel what one of our sessions does.
    pub(super) async fn cancel(&self, session: &Backend) -> Result<bool, Problem> {
        let sql = "select pg_cancel_backend(pid)::text from pg_stat_activity \
                   where pid = $1::text::int and backend_start = $2::text::timestamptz";
        self.signal(sql, session.pid, &session.born).await
    }

    /// Ends one of our sessions.
    pub(super) async fn terminate(&self, session: &Backend) -> Result<bool, Problem> {
        let sql = "select pg_terminate_backend(pid)::text from pg_stat_activity \
                   where pid = $1::text::int and backend_start = $2::text::timestamptz";
        self.signal(sql, session.pid, &session.born).await
    }

    async fn signal(&self, sql: &'static str, pid: i32, which: &str) -> Result<bool, Problem> {
        let rows = self.control.ask(sql, &[&pid.to_string(), which]).await?;
        Ok(rows.iter().any(|row| row.first().cloned().flatten().as_deref() == Some("true")))
    }

    /// Waits until the session has left the server, `patience` at most. `end`: it is told to, since its transaction
    /// cannot be kept anyway and its locks are in the way.
    pub(super) async fn until_gone(&self, session: &Backend, end: bool, patience: Duration) -> Presence {
        let started = Instant::now();
        let mut told = !end;
        loop {
            let presence = self.presence(session).await;
            if presence == Presence::Gone || started.elapsed() >= patience {
                return presence;
            }
            if !told && presence == Presence::Still {
                told = self.terminate(session).await.unwrap_or(false);
            }
            sleep(POLL).await;
        }
    }

    async fn presence(&self, session: &Backend) -> Presence {
        let sql = "select 1::text from pg_stat_activity \
                   where pid = $1::text::int and backend_start = $2::text::timestamptz";
        match self.control.ask(sql, &[&session.pid.to_string(), &session.born]).await {
            Ok(rows) if rows.is_empty() => Presence::Gone,
            Ok(_) => Presence::Still,
            Err(problem) => Presence::Unreachable(problem.words()),
        }
    }

    /// What became of transaction `xid`, asked until it is decided or `patience` is over.
    /// `server`: the one it ran on, where that is not the one this target was opened on.
    pub(super) async fn fate(&self, xid: &str, server: Option<&Fingerprint>, patience: Duration) -> Fate {
        let server = server.unwrap_or(&self.opened);
        let started = Instant::now();
        loop {
            let fate = self.fate_now(xid, server).await;
            match fate {
                Fate::Open(_) if started.elapsed() < patience => sleep(POLL).await,
                fate => return fate,
            }
        }
    }

    async fn fate_now(&self, xid: &str, server: &Fingerprint) -> Fate {
        let status = match self.control.ask("select pg_xact_status($1::text::xid8)", &[xid]).await {
            Ok(rows) => rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()),
            Err(problem) => return Fate::Open(format!("the server cannot be asked: {}", problem.words())),
        };
        if let Some(other) = self.other_server(server).await {
            return Fate::Open(other);
        }
        match status.as_deref() {
            Some("committed") => Fate::Committed,
            Some("aborted") => Fate::Aborted,
            Some(status) => Fate::Open(format!("the server says that transaction {xid} is {status}")),
            None => Fate::Open(format!("the server no longer knows transaction {xid}")),
        }
    }

    /// Why an answer may come from another server than the one that the transaction ran on: after a failover its
    /// transaction numbers mean something else.
    async fn other_server(&self, server: &Fingerprint) -> Option<String> {
        let (system_id, timeline) = self.identity().await;
        let timeline = timeline.and_then(|timeline| timeline.parse().ok());
        let differs = system_id != server.system_id || timeline != server.timeline;
        differs.then(|| "another server answers now (system identifier or timeline differ): a failover?".to_owned())
    }
}
