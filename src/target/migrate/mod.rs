//! Another tool's migration files, applied or taken back one by one: each in one transaction with its row in that tool's
//! table, under that tool's own lock. The same for every kind of database; what is SQL of a tool is in `run::migrations`.

mod file;
mod relay;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::file::{Ended, Turn};
use super::problem::Problem;
use super::watch::Watch;
use super::words::{self, NOTHING_SENT};
use super::{Kind, SqlJob, Target, TargetError, Witness, postgres, sqlite};
use crate::failpoint;
use crate::run::event::Statement;
use crate::run::facts::Effect;
use crate::run::migrations::{Book, Index, Plan, Refused, Row, State, due, part};
use crate::run::{Chunk, Facts, Fault, Judge, MigrationOrder, Outcome, words as run_words};
use crate::runbook::migrations::{Migrations, Way};
use crate::runbook::sql::Dialect;

/// Migration files to apply for one attempt.
#[derive(Clone, Copy)]
pub struct MigrateJob<'a> {
    /// The attempt in words; with the target's base it names the sessions on the server.
    pub label: &'a str,
    /// The run, whose claim on the database each transaction looks after.
    pub run: &'a str,
    pub order: &'a MigrationOrder,
    /// The texts, file by file as in the order.
    pub migrations: &'a Migrations,
    /// Time for all of them.
    pub timeout: Option<Duration>,
    pub counter: &'a AtomicU64,
    pub witness: &'a dyn Witness,
}

/// A session beside those that do the work: holds the tool's lock, reads its table.
pub(super) enum Keeper {
    Postgres(Box<postgres::Keeper>),
    Sqlite(Box<sqlite::Keeper>),
}

impl Keeper {
    async fn open(target: &Target, label: &str) -> Result<Self, Problem> {
        Ok(match &target.kind {
            Kind::Postgres(target) => Self::Postgres(Box::new(postgres::Keeper::open(target, label).await?)),
            Kind::Sqlite(target) => Self::Sqlite(Box::new(sqlite::Keeper::open(target).await?)),
        })
    }

    /// All rows of a question of ours, every cell as text.
    async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Problem> {
        match self {
            Self::Postgres(keeper) => keeper.rows(sql).await,
            Self::Sqlite(keeper) => keeper.rows(sql).await,
        }
    }

    /// The schema in which the tool's table is, or will be made; none: there is no such thing.
    async fn schema(&mut self, order: &MigrationOrder) -> Result<Option<String>, Problem> {
        match self {
            Self::Postgres(keeper) => keeper.schema(order).await,
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// Takes the tool's lock. An error: who has it.
    async fn lock(&mut self, order: &MigrationOrder, watch: &Watch) -> Result<(), Problem> {
        match self {
            Self::Postgres(keeper) => keeper.lock(order, watch).await,
            // A file is locked by whoever writes to it.
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Before a file outside of a transaction: nobody waits for the lock that this session holds. An error: who does.
    async fn alone(&mut self, order: &MigrationOrder) -> Result<(), Problem> {
        match self {
            Self::Postgres(keeper) => keeper.alone(order).await,
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// What the tool's table says; none: there is no such table.
    async fn recorded(&mut self, book: &Book<'_>) -> Result<Option<Vec<Row>>, Problem> {
        let there = self.rows(&book.exists()).await?;
        if there.first().and_then(|row| row.first()).cloned().flatten().as_deref() != Some("true") {
            return Ok(None);
        }
        self.rows(&book.read()).await.map(|rows| Some(rows.into_iter().filter_map(row).collect()))
    }

    async fn close(self) {
        match self {
            Self::Postgres(keeper) => keeper.close().await,
            Self::Sqlite(keeper) => keeper.close().await,
        }
    }
}

fn row(cells: Vec<Option<String>>) -> Option<Row> {
    let mut cells = cells.into_iter();
    let (version, checksum, state) = (cells.next()??, cells.next()?, cells.next()??);
    let name = cells.next().flatten();
    let state = match state.as_str() {
        "done" => State::Done,
        "started" => State::Started,
        "baseline" => State::Baseline,
        _ => State::Gone,
    };
    Some(Row { version, checksum, state, name })
}

impl Target {
    fn dialect(&self) -> Dialect {
        if self.is_sqlite() { Dialect::Sqlite } else { Dialect::Postgres }
    }

    /// What the tool's table says of the files; empty where there is no such table.
    ///
    /// # Errors
    /// The database cannot be asked, or the table is not the tool's.
    pub async fn migrated(&self, order: &MigrationOrder) -> Result<Vec<Row>, TargetError> {
        let book = Book::new(order, self.dialect());
        let asked = async {
            let mut keeper = Keeper::open(self, "migrations").await?;
            let rows = keeper.recorded(&book).await;
            keeper.close().await;
            rows
        };
        self.asked(&format!("the table {}", order.table()), asked.await.map(Option::unwrap_or_default))
    }

    /// Applies what is pending, or takes back what the step applied, file by file. `stop` ends it at the end of a file, or
    /// cancels the file on the server. What is committed stays; `judge` is asked at the end.
    pub async fn migrate(
        &self,
        job: &MigrateJob<'_>,
        out: &Sender<Chunk>,
        judge: &Judge,
        stop: CancellationToken,
    ) -> Outcome {
        if self.is_sqlite() && !job.order.tool.knows_sqlite() {
            let what = format!("files of {} are applied to PostgreSQL only", job.order.tool.word());
            return words::broke(Fault { safe: NOTHING_SENT.to_owned(), ..Fault::new(what) });
        }
        let watch = Watch::new(stop.clone(), job.timeout);
        let mut keeper = match Keeper::open(self, job.label).await {
            Ok(keeper) => keeper,
            Err(problem) => return words::broke(problem.fault(None, Effect::None, NOTHING_SENT)),
        };
        let book = Book::new(job.order, self.dialect());
        let schema = match keeper.schema(job.order).await {
            Ok(schema) => schema,
            Err(problem) => {
                keeper.close().await;
                return words::broke(problem.fault(None, Effect::None, NOTHING_SENT));
            }
        };
        let book = match &schema {
            Some(schema) => book.within(schema),
            None => book,
        };
        let walk = Walk {
            target: self,
            job,
            out,
            stop,
            watch: &watch,
            started: Instant::now(),
            book: &book,
            schema,
            rows: None,
            facts: Facts::default(),
            ms: BTreeMap::new(),
        };
        let outcome = walk.go(&mut keeper, judge).await;
        keeper.close().await;
        outcome
    }
}

/// One attempt under way.
struct Walk<'a> {
    target: &'a Target,
    job: &'a MigrateJob<'a>,
    out: &'a Sender<Chunk>,
    stop: CancellationToken,
    watch: &'a Watch,
    started: Instant,
    book: &'a Book<'a>,
    /// Where its table is.
    schema: Option<String>,
    /// What the tool's table says; none: nobody knows yet.
    rows: Option<Vec<Row>>,
    /// Notices of all files.
    facts: Facts,
    /// What the files of this attempt took.
    ms: BTreeMap<String, u64>,
}

impl Walk<'_> {
    async fn go(mut self, keeper: &mut Keeper, judge: &Judge) -> Outcome {
        if let Err(problem) = keeper.lock(self.job.order, self.watch).await {
            return self.failed(problem.fault(None, Effect::None, ""), &[]);
        }
        let found = match keeper.recorded(self.book).await {
            Ok(found) => found,
            Err(problem) => return self.failed(self.unreadable(&problem), &[]),
        };
        let absent = found.is_none();
        self.rows = Some(found.unwrap_or_default());
        let Plan { turns, notes } = match due(self.job.order, self.rows.as_deref().unwrap_or_default()) {
            Ok(plan) => plan,
            Err(Refused { what, hint }) => {
                return self.failed(Fault { hint: Some(hint), ..Fault::new(what) }, &[]);
            }
        };
        for note in notes {
            self.notice("WARNING", note).await;
        }
        failpoint::hit("target.migrate.before");
        if let Err(why) = self.told(&turns).await {
            return self.failed(Fault::new(format!("the journal did not take what is pending: {why}")), &[]);
        }
        if absent && !turns.is_empty() {
            let made = self.send("the bookkeeping", self.book.create()).await;
            if let Err(outcome) = made {
                return self.ended_by(outcome, &[], &[]);
            }
        }
        let of = turns.len();
        for (at, n) in turns.iter().enumerate() {
            if let Some(cause) = self.watch.cause() {
                return self.failed(Fault::new(cause.words()), &turns[..at]);
            }
            if let Err(fault) = self.undisturbed(keeper, *n).await {
                return self.failed(fault, &turns[..at]);
            }
            let turn = Turn { index: *n, n: at + 1, of };
            match self.file(&turn).await {
                Ended::Done { ms } => {
                    if let Some(file) = self.job.order.files.get(*n) {
                        self.ms.insert(file.version.clone(), ms);
                    }
                }
                Ended::Not(outcome) => return self.ended_by(outcome, &turns[..at], &turns[at..]),
            }
        }
        self.judged(judge, &turns)
    }

    /// The lock is still ours: another migrator may be at work from the moment on in which it is lost. And nobody is in the
    /// way of a file that runs by itself.
    async fn undisturbed(&self, keeper: &mut Keeper, n: usize) -> Result<(), Fault> {
        let order = self.job.order;
        let fault = |problem: Problem| problem.fault(None, Effect::None, "");
        keeper.rows("select 1").await.map_err(fault)?;
        let part = self.job.migrations.files.get(n).and_then(|file| part(file, order.way));
        let Some(part) = part.filter(|part| !part.transaction) else { return Ok(()) };
        let place = |fault: Fault| Fault { place: part.path.clone(), ..fault };
        keeper.alone(order).await.map_err(|problem| place(fault(problem)))
    }

    async fn told(&self, turns: &[usize]) -> Result<(), String> {
        let files = turns.iter().filter_map(|n| self.job.order.files.get(*n));
        let versions = files.map(|file| file.version.clone()).collect();
        self.job.witness.witness(Chunk::Migrating { versions, schema: self.schema.clone() }).await
    }

    async fn notice(&mut self, severity: &str, text: String) {
        self.facts.notices.push(text.clone());
        // Nobody has to listen.
        let _ = self.out.send(Chunk::Notice { severity: severity.to_owned(), text }).await;
    }

    /// A table that is not the tool's says so by what it has not.
    fn unreadable(&self, problem: &Problem) -> Fault {
        let order = self.job.order;
        let fault = problem.fault(None, Effect::None, "");
        if problem.lost {
            return fault;
        }
        let summary = format!("{} is not a table of {}: {}", order.table(), order.tool.word(), problem.summary());
        Fault { summary, hint: Some("say which tool it is, or name its table".to_owned()), ..fault }
    }

    /// Statements of our own, in one transaction.
    async fn send(&self, what: &str, texts: Vec<String>) -> Result<(), Outcome> {
        if texts.is_empty() {
            return Ok(());
        }
        let statements: Vec<Statement> = texts.into_iter().map(|sql| Statement { sql, line: 1 }).collect();
        let job = self.sql(&statements, true);
        let (quiet, _) = tokio::sync::mpsc::channel(1);
        match self.target.run(&job, &quiet, &|_| Ok(None), self.stop.clone()).await {
            Outcome::Done { .. } => Ok(()),
            Outcome::Failed { mut fault, facts, verdict } => {
                fault.summary = format!("{what}: {}", fault.summary);
                fault.statement = None;
                Err(Outcome::Failed { fault, facts, verdict })
            }
            other => Err(other),
        }
    }

    fn sql<'s>(&'s self, statements: &'s [Statement], transaction: bool) -> SqlJob<'s> {
        let left = self.job.timeout.map(|limit| limit.saturating_sub(self.started.elapsed()));
        SqlJob {
            timeout: left,
            counter: Some(self.job.counter),
            fence: Some(self.job.run),
            witness: (!transaction).then_some(self.job.witness),
            ..SqlJob::plain(self.job.label, statements, transaction)
        }
    }

    /// What the step has applied over all its attempts, or this attempt has taken back: `now` is done by this one.
    fn brought(&self, now: &[usize]) -> Facts {
        let order = self.job.order;
        let rows = self.rows.as_deref().unwrap_or_default();
        let mut all = if order.way == Way::Up { order.applied(rows) } else { Vec::new() };
        all.extend(now.iter().filter(|n| !all.contains(n)).copied().collect::<Vec<_>>());
        let facts = order.facts(&all, &self.ms);
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Facts { notices: self.facts.notices.clone(), ms, ..facts }
    }

    fn judged(self, judge: &Judge, turns: &[usize]) -> Outcome {
        let facts = self.brought(turns);
        let safe = self.safe(&facts, &[]);
        let effect = if facts.rows == Some(0) { Effect::None } else { Effect::Possible };
        match judge(&facts) {
            Err(fault) => words::unjudged(fault, effect, &safe),
            Ok(Some(verdict)) if !verdict.passed => words::refused(verdict, facts, effect, &safe),
            Ok(verdict) => words::done(facts, verdict),
        }
    }

    /// What is safe now, in words. `left`: the files whose turn did not come to its end.
    fn safe(&self, facts: &Facts, left: &[usize]) -> String {
        let order = self.job.order;
        let done = run_words::plural(facts.rows.unwrap_or(0), "file");
        let (did, stay) = match order.way {
            Way::Up => ("applied", "stays applied and recorded"),
            Way::Down => ("taken back", "stays taken back"),
        };
        let names: Vec<&str> =
            left.iter().filter_map(|n| order.files.get(*n)).map(|file| file.script.as_str()).collect();
        match (facts.rows, names.as_slice()) {
            (Some(0), _) => format!("nothing was {did}: every file is as it was before"),
            (_, []) => format!("{done} {did}: what is done {stay}"),
            (_, names) => {
                format!("{done} {did}: what is done {stay}; not {did}: {}. A retry goes on there", names.join(", "))
            }
        }
    }

    /// The end of an attempt that something stopped between two files, or before the first.
    fn failed(&self, fault: Fault, done: &[usize]) -> Outcome {
        if self.rows.is_none() {
            let safe = "no file was touched: nothing was applied, or taken back, by this attempt".to_owned();
            return words::failed(Fault { safe, ..fault }, None);
        }
        let facts = self.brought(done);
        let effect = if facts.rows == Some(0) { fault.effect } else { Effect::Possible };
        let safe = self.safe(&facts, &[]);
        words::failed(Fault { effect, safe, ..fault }, Some(facts))
    }

    /// The end of an attempt that something stopped in a file, or in our own statements.
    fn ended_by(&self, outcome: Outcome, done: &[usize], left: &[usize]) -> Outcome {
        let facts = self.brought(done);
        match outcome {
            Outcome::Failed { fault, .. } | Outcome::Broke { fault } => {
                let alone = fault.effect == Effect::Possible;
                let safe = self.safe(&facts, left);
                let safe = if alone { format!("{}; {safe}", fault.safe) } else { safe };
                let effect = if facts.rows == Some(0) { fault.effect } else { Effect::Possible };
                words::failed(Fault { effect, safe, ..*fault }, Some(facts))
            }
            Outcome::Unknown { known } => Outcome::Unknown { known: format!("{known}; {}", self.safe(&facts, &[])) },
            done => done,
        }
    }
}

/// What became of files of which no session works any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of those whose turn came: recorded now, by their place in the order.
    pub recorded: Vec<usize>,
    /// The others of them.
    pub open: Vec<usize>,
    /// A file that was begun outside of a transaction and is not recorded as done: so says the journal, or the table itself.
    pub broken: Option<usize>,
}

/// Sorts files by what the tool's table says. `versions`: whose turn came. `begun`: outside of a transaction.
pub fn standing(order: &MigrationOrder, rows: &[Row], versions: &[String], begun: &[String]) -> Standing {
    let (mut done, mut open, mut broken) = (Vec::new(), Vec::new(), None);
    let index = Index::new(order.tool, rows);
    for (n, file) in order.files.iter().enumerate().filter(|(_, file)| versions.contains(&file.version)) {
        let state = index.state(file);
        let is_there = state == State::Done;
        let is_over = is_there == (order.way == Way::Up);
        if is_there {
            done.push(n);
        } else {
            open.push(n);
        }
        if state == State::Started || (!is_over && begun.contains(&file.version)) {
            broken = Some(n);
        }
    }
    Standing { recorded: done, open, broken }
}
