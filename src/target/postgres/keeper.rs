//! The session beside the work on migration files: it holds the lock of the files' own tool, and reads its table.

use std::time::Duration;

use futures_util::StreamExt;
use sqlx::Either;
use tokio::time::{Instant, sleep, timeout};

use super::session::Session;
use super::{Postgres, line};
use crate::run::MigrationOrder;
use crate::run::clean;
use crate::run::migrations::Book;
use crate::runbook::batch::{parts, quoted};
use crate::runbook::sql::Dialect;
use crate::target::problem::Problem;
use crate::target::raw;
use crate::target::watch::Watch;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a lock is waited for where the target sets no limit.
const LONGEST: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

const WHERE: &str = "select current_database()::text, coalesce((select n.nspname::text from pg_class c \
    join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)), current_schema()::text)";
const LOCK: &str = "select pg_try_advisory_lock($1::text::bigint)::text";
/// Who has a lock (`$2` is true), or waits for it.
const OTHERS: &str = "select l.pid::text, a.application_name, coalesce(a.state, '?') from pg_locks l \
    left join pg_stat_activity a on a.pid = l.pid \
    where l.locktype = 'advisory' and l.granted = $2::text::boolean and l.objsubid = 1 and l.pid <> pg_backend_pid() \
    and (l.classid::bigint << 32 | l.objid::bigint) = $1::text::bigint \
    and l.database = (select oid from pg_database where datname = current_database()) order by l.pid";

pub(in crate::target) struct Keeper {
    session: Session,
    patience: Duration,
}

impl Keeper {
    pub async fn open(target: &Postgres, label: &str) -> Result<Self, Problem> {
        if let Err(why) = target.still_guarded().await {
            let hint = Some("continue the held run: the database is then claimed anew".to_owned());
            return Err(Problem { hint, ..Problem::own(why) });
        }
        let session = Session::open(target, label).await?;
        let patience = target.lock_timeout.saturating_mul(target.lock_tries);
        let patience = if patience.is_zero() { LONGEST } else { patience.min(LONGEST) };
        Ok(Self { session, patience })
    }

    /// By the protocol that brings values as text.
    pub async fn rows(&mut self, sql: &str) -> Result<line::Rows, Problem> {
        let conn = &mut self.session.conn;
        let work = async {
            let mut rows = Vec::new();
            let mut stream = raw::send::<sqlx::Postgres, _>(conn, sql);
            while let Some(item) = stream.next().await {
                if let Either::Right(row) = item.map_err(Problem::of_postgres)? {
                    rows.push(line::texts(&row));
                }
            }
            Ok(rows)
        };
        match timeout(PATIENCE, work).await {
            Ok(rows) => rows,
            Err(_) => Err(Problem::lost("no answer within 30 s")),
        }
    }

    /// Database, and the schema in which the tool's table is, or will be made.
    async fn place(&mut self, order: &MigrationOrder) -> Result<(String, Option<String>), Problem> {
        let table = quoted(order.table()).unwrap_or_default();
        let mut names = self.session.rows(WHERE, &[&table]).await?.into_iter().next().unwrap_or_default().into_iter();
        let (database, schema) = (names.next().flatten().unwrap_or_default(), names.next().flatten());
        match parts(order.table()).as_deref() {
            Some([named, _]) => Ok((database, Some(named.clone()))),
            _ => Ok((database, schema)),
        }
    }

    pub async fn schema(&mut self, order: &MigrationOrder) -> Result<Option<String>, Problem> {
        Ok(self.place(order).await?.1)
    }

    /// Takes every lock by which the tool keeps others away. They end with the session.
    pub async fn lock(&mut self, order: &MigrationOrder, watch: &Watch) -> Result<(), Problem> {
        for key in self.keys(order).await? {
            self.take(&key, order, watch).await?;
        }
        Ok(())
    }

    async fn keys(&mut self, order: &MigrationOrder) -> Result<Vec<String>, Problem> {
        let (database, schema) = self.place(order).await?;
        let keys = Book::new(order, Dialect::Postgres).locks(&database, &schema.unwrap_or_default());
        Ok(keys.iter().map(i64::to_string).collect())
    }

    async fn take(&mut self, key: &str, order: &MigrationOrder, watch: &Watch) -> Result<(), Problem> {
        let started = Instant::now();
        loop {
            let taken = self.session.rows(LOCK, &[key]).await?;
            if taken.first().and_then(|row| row.first()).cloned().flatten().as_deref() == Some("true") {
                return Ok(());
            }
            if let Some(cause) = watch.cause() {
                return Err(Problem::own(cause.words()));
            }
            if started.elapsed() >= self.patience {
                return Err(self.taken(key, order).await);
            }
            sleep(AGAIN).await;
        }
    }

    async fn taken(&mut self, key: &str, order: &MigrationOrder) -> Problem {
        let holders = self.others(key, true).await.unwrap_or_default();
        let who = if holders.is_empty() { "somebody".to_owned() } else { holders.join(", ") };
        Problem {
            hint: Some(
                "wait until it is done, then retry: two migrators at a time would do everything twice".to_owned(),
            ),
            ..Problem::own(format!("another migrator is at work: {who} holds the lock of {}", order.tool.word()))
        }
    }

    /// Sessions that hold a lock, or wait for it, in words.
    async fn others(&mut self, key: &str, granted: bool) -> Result<Vec<String>, Problem> {
        let granted = if granted { "true" } else { "false" };
        let rows = self.session.rows(OTHERS, &[key, granted]).await?;
        let words = |row: &Vec<Option<String>>| {
            let cell = |n: usize| clean::line(row.get(n).and_then(Option::as_deref).unwrap_or("?"), 60);
            format!("pid {} ({}, {})", cell(0), cell(1), cell(2))
        };
        Ok(rows.iter().map(words).collect())
    }

    /// Refuses where somebody waits for a lock that is ours: as long as they wait they keep a snapshot, and what is made
    /// concurrently waits for the end of that, as they wait for us.
    pub async fn alone(&mut self, order: &MigrationOrder) -> Result<(), Problem> {
        for key in self.keys(order).await? {
            let waiting = self.others(&key, false).await?;
            if !waiting.is_empty() {
                let verb = if waiting.len() == 1 { "waits" } else { "wait" };
                let (who, tool) = (waiting.join(", "), order.tool.word());
                return Err(Problem {
                    hint: Some("it is another migrator: stop it, then retry".to_owned()),
                    ..Problem::own(format!(
                        "{who} {verb} for the lock of {tool}, and what is made concurrently would wait for that session in turn"
                    ))
                });
            }
        }
        Ok(())
    }

    pub async fn close(self) {
        self.session.close().await;
    }
}
