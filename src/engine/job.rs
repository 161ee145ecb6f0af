//! One attempt's work, by its verb: from what was resolved to the executor that does it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::dump::{self, Known, Over};
use super::exec::{self, Act, CommandJob, HttpJob, NotifyJob, Order, To};
use super::tell;
use super::verify::Question;
use crate::child;
use crate::run::event::Resolved;
use crate::run::inventory::Item;
use crate::run::{Attempt, BatchOrder, Batches, Chunk, Fault, Judge, MigrationOrder, Outcome, Tuning};
use crate::runbook::expr::{self, Context, Place};
use crate::runbook::{Notify, Step, Verb};
use crate::target::{BatchJob, LedgerEntry, MigrateJob, SqlJob, Target, Witness};

/// How often, and how far apart, a session of an earlier attempt is looked for before this one is refused.
const LOOKS: u32 = 15;
/// Of so many earlier attempts.
const SESSIONS: usize = 3;
const BETWEEN: Duration = Duration::from_millis(200);

/// Everything an attempt needs, detached from the engine.
pub struct Job {
    pub attempt: Attempt,
    /// Its row in a target's ledger.
    pub entry: LedgerEntry,
    /// Told when the journal holds that its COMMIT is about to be sent.
    pub witnessed: Arc<tokio::sync::Notify>,
    pub resolved: Resolved,
    pub step: Step,
    pub context: Context,
    pub judge: Arc<Judge>,
    /// `file:line` of the step.
    pub place: String,
    pub doors: Doors,
    /// Rows received so far, kept or not.
    pub rows: Arc<AtomicU64>,
    /// How far its batches are.
    pub board: Arc<Mutex<Option<Batches>>>,
    /// Why none of its batches may begin now; none: it walks in no batches.
    pub throttle: Option<watch::Receiver<Option<String>>>,
    /// The pace that people want of its batches.
    pub tuning: Option<watch::Receiver<Tuning>>,
    /// The values of the key of its batches are for nobody to see.
    pub key_masked: bool,
    /// An earlier engine started it: a command is taken up where it is.
    pub attached: bool,
    /// The attempt whose idempotency key it uses.
    pub key_n: u32,
    /// The attempts of the step before it, in both directions.
    pub earlier: Vec<Attempt>,
    /// Asked where its outcome is in doubt.
    pub question: Option<Question>,
    /// The snapshot that its own is compared with.
    pub before: Option<Arc<Vec<Item>>>,
    /// How long ago it was started: only for a wait that is taken up again.
    pub elapsed: Duration,
}

/// Does the attempt. Whatever happens, it ends with an outcome.
pub async fn run(job: Job, out: mpsc::Sender<Chunk>, stop: CancellationToken) -> Outcome {
    let outcome = match job.at_work().await {
        Some(fault) => Outcome::Broke { fault: Box::new(fault) },
        None => act(&job, out, stop).await,
    };
    match &job.question {
        Some(question) => question.decide(outcome).await,
        None => outcome,
    }
}

async fn act(job: &Job, out: mpsc::Sender<Chunk>, stop: CancellationToken) -> Outcome {
    let result = match &job.resolved {
        Resolved::Sql { target, statements, transaction, direct, asks } => {
            let before = job.before.as_ref().map(|items| items.as_slice());
            let sql = SqlJob { direct, asks, before, ..SqlJob::plain("", statements, *transaction) };
            job.sql(target, sql, &out, stop).await
        }
        Resolved::Batch { target, order } => job.batch(target, order, &out, stop).await,
        Resolved::Migrations { target, order } => job.migrate(target, order, &out, stop).await,
        Resolved::Run { argv, connect } => job.command(Act::Argv(argv.clone()), connect.as_deref(), &out, stop).await,
        Resolved::Shell { script, connect } => {
            job.command(Act::Shell(script.clone()), connect.as_deref(), &out, stop).await
        }
        Resolved::Backup { .. } | Resolved::Restore { .. } => job.dump(&out, stop).await,
        Resolved::Http { method, url, body } => job.http(method, url, body.clone(), &out, stop).await,
        Resolved::Wait { ms } => {
            let left = Duration::from_millis(*ms).saturating_sub(job.elapsed);
            Ok(exec::wait(&job.order(), left, &*job.judge, stop).await)
        }
        Resolved::Notify { argv, text, .. } => job.notify(argv, text, &out, stop).await,
        Resolved::Human | Resolved::Unready => Err("only a person can do this".to_owned()),
    };
    result.unwrap_or_else(|why| Outcome::Broke {
        fault: Box::new(Fault { place: job.place.clone(), safe: "nothing was started".to_owned(), ..Fault::new(why) }),
    })
}

type Ended = Result<Outcome, String>;

/// The journal as an attempt's witness: the chunk takes the road of all output, and the engine tells when it is stored.
struct Journal {
    out: mpsc::Sender<Chunk>,
    witnessed: Arc<tokio::sync::Notify>,
}

impl Witness for Journal {
    fn witness(&self, chunk: Chunk) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let gone = || "the journal is closed".to_owned();
            self.out.send(chunk).await.map_err(|_| gone())?;
            // An engine that cannot write any more ends, and this task with it.
            self.witnessed.notified().await;
            Ok(())
        })
    }
}

impl Job {
    fn order(&self) -> Order {
        Order {
            run: self.doors.run().to_owned(),
            attempt: self.attempt.clone(),
            key_n: self.key_n,
            environment: self.doors.environment().to_owned(),
            place: self.place.clone(),
        }
    }

    /// Why it may not begin: an earlier attempt that a person took for over still works.
    async fn at_work(&self) -> Option<Fault> {
        if self.attached {
            return None;
        }
        let records = self.doors.records();
        let busy = self.earlier.iter().find(|attempt| exec::place(&records, attempt).is_busy());
        let what = match (busy, &self.resolved) {
            (Some(attempt), _) => {
                format!("{attempt} still runs: {}", exec::lost::process(&exec::place(&records, attempt)))
            }
            (None, Resolved::Sql { target, .. } | Resolved::Migrations { target, .. }) => {
                self.session_at_work(target).await?
            }
            (None, _) => return None,
        };
        Some(Fault {
            place: self.place.clone(),
            safe: "nothing was started".to_owned(),
            hint: Some("wait for its end, or end it, then retry".to_owned()),
            ..Fault::new(what)
        })
    }

    /// A session of an earlier attempt that is still on the server, a moment after it should be gone.
    async fn session_at_work(&self, target: &str) -> Option<String> {
        let target = self.doors.target(target)?;
        let mut found = None;
        for attempt in self.earlier.iter().rev().take(SESSIONS) {
            for look in 0..LOOKS {
                // What cannot be asked is refused by the work itself.
                let sessions = target.look(&self.doors.label(attempt)).await.unwrap_or_default();
                found = sessions.first().map(|session| format!("{attempt} still runs: session {}", session.pid));
                if found.is_none() || look + 1 == LOOKS {
                    break;
                }
                tokio::time::sleep(BETWEEN).await;
            }
            if found.is_some() {
                break;
            }
        }
        found
    }

    fn expects(&self, name: &str) -> bool {
        self.step.expect.as_ref().is_some_and(|expect| expr::mentions(expect, name))
    }

    async fn sql(&self, target: &str, sql: SqlJob<'_>, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let target = self.target(target)?;
        let label = self.doors.label(&self.attempt);
        let witness = Journal { out: out.clone(), witnessed: Arc::clone(&self.witnessed) };
        let redactor = self.doors.redactor().clone();
        let hide = move |text: &str| redactor.text(text);
        let job = SqlJob {
            hide: Some(&hide),
            timeout: self.step.timeout,
            counter: Some(&self.rows),
            entry: Some(&self.entry),
            witness: Some(&witness),
            label: &label,
            ..sql
        };
        Ok(target.run(&job, out, &*self.judge, stop).await)
    }

    /// Work in batches may be taken up before its target is reached again.
    async fn batch(&self, name: &str, order: &BatchOrder, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let target = tokio::select! {
            target = self.doors.reached(name) => target,
            () = stop.cancelled() => None,
        };
        let target = target.ok_or_else(|| format!("target {name} is not connected"))?;
        let label = self.doors.label(&self.attempt);
        let job = BatchJob {
            label: &label,
            entry: &self.entry,
            order,
            timeout: self.step.timeout,
            throttle: self.throttle.as_ref(),
            tuning: self.tuning.as_ref(),
            key_masked: self.key_masked,
            board: &self.board,
        };
        Ok(target.batch(&job, out, &*self.judge, stop).await)
    }

    async fn migrate(
        &self,
        name: &str,
        order: &MigrationOrder,
        out: &mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Ended {
        let Verb::Migrations(migrations) = &self.step.verb else {
            return Err("the runbook does not hold its files".to_owned());
        };
        let target = self.target(name)?;
        let label = self.doors.label(&self.attempt);
        let witness = Journal { out: out.clone(), witnessed: Arc::clone(&self.witnessed) };
        let job = MigrateJob {
            label: &label,
            run: self.doors.run(),
            order,
            migrations,
            timeout: self.step.timeout,
            counter: &self.rows,
            witness: &witness,
        };
        Ok(target.migrate(&job, out, &*self.judge, stop).await)
    }

    async fn command(
        &self,
        act: Act,
        connect: Option<&str>,
        out: &mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Ended {
        if let Some(target) = connect.and_then(|name| self.doors.target(name)) {
            target.still_guarded().await?;
        }
        let mut job = self.command_job(act)?;
        job.connect = match connect {
            // What was started has its environment already.
            Some(name) if !self.attached => Some(self.target(name)?),
            _ => None,
        };
        Ok(self.carry_out(&job, out, stop).await)
    }

    /// A worker of our own does it; what counts is its record.
    async fn dump(&self, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let Some((name, work)) = dump::work(&self.resolved) else { return Err("it is no backup".to_owned()) };
        let program = self.doors.program()?.display().to_string();
        let mut job = self.command_job(Act::Argv(vec![program, "worker".to_owned()]))?;
        let place = exec::place(&self.doors.records(), &self.attempt);
        let outcome = match self.attached {
            true => exec::attach(&job, out, &|_| Ok(None), stop).await,
            false => {
                let target = self.target(name)?;
                target.still_guarded().await?;
                job.connect = Some(target);
                job.stdin = Some(dump::order(&self.doors, &job.order, &place, work.clone())?);
                exec::command(&job, out, &|_| Ok(None), stop).await
            }
        };
        let Some(known) = Known::of(&outcome) else { return Ok(outcome) };
        let over = Over {
            doors: &self.doors,
            order: &job.order,
            place: &place,
            target: name,
            work: &work,
            server: self.doors.known(name),
            judge: &*self.judge,
        };
        Ok(over.outcome(known).await)
    }

    async fn carry_out(&self, job: &CommandJob, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Outcome {
        match self.attached {
            true => exec::attach(job, out, &*self.judge, stop).await,
            false => exec::command(job, out, &*self.judge, stop).await,
        }
    }

    fn command_job(&self, act: Act) -> Result<CommandJob, String> {
        command_job(&self.step, &self.context, &self.doors, self.order(), act)
    }

    fn target(&self, name: &str) -> Result<Arc<Target>, String> {
        self.doors.target(name).ok_or_else(|| format!("target {name} is not connected"))
    }

    async fn http(
        &self,
        method: &str,
        url: &str,
        body: Option<String>,
        out: &mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Ended {
        let headers = match &self.step.verb {
            Verb::Http(call) => self.doors.headers(&call.headers, &self.context)?,
            _ => Vec::new(),
        };
        let job = HttpJob {
            order: self.order(),
            method: method.to_owned(),
            url: SecretString::from(url.to_owned()),
            show_path: true,
            headers,
            body,
            timeout: self.step.timeout,
            expect_sees_status: self.expects("status"),
        };
        Ok(exec::http(&job, out, &*self.judge, stop).await)
    }

    async fn notify(&self, argv: &[String], text: &str, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let act = Act::Argv(argv.to_vec());
        let to = match &self.step.verb {
            Verb::Notify(Notify::Webhook { url, whole, .. }) => {
                let url = expr::render_secret(url, &self.context).map_err(|error| error.to_string())?;
                let (order, url, timeout) = (self.order(), self.doors.secret(&url)?, self.step.timeout);
                match whole {
                    true => To::Letter { order, url, timeout, body: tell::body(&self.doors, "notify", text) },
                    false => To::Webhook { order, url, timeout },
                }
            }
            _ if self.attached => return Ok(self.carry_out(&self.command_job(act)?, out, stop).await),
            _ => To::Command(Box::new(self.command_job(act)?)),
        };
        Ok(exec::notify(&NotifyJob { to, text: text.to_owned() }, out, &*self.judge, stop).await)
    }
}

/// The command of a step, or of its undo, without its target and its input.
pub fn command_job(
    step: &Step,
    context: &Context,
    doors: &Doors,
    order: Order,
    act: Act,
) -> Result<CommandJob, String> {
    let produces = step.produces.as_ref().map(|path| expr::render(path, Place::Argv, context));
    for secret in step.handed_secrets() {
        // It is known as one before the command can print it; where it is not set, the command does not start.
        let _ = doors.secret(secret);
    }
    Ok(CommandJob {
        order,
        act,
        cwd: doors.cwd().clone(),
        env: Vec::new(),
        handed: step.handed().map(str::to_owned).collect(),
        connect: None,
        stdin: None,
        timeout: step.timeout,
        grace: exec::GRACE,
        drain: child::DRAIN,
        produces: produces.transpose().map_err(|error| error.to_string())?,
        expect_sees_exit: step.expect.as_ref().is_some_and(|expect| expr::mentions(expect, "exit")),
        record_dir: doors.records(),
        program: doors.program()?,
    })
}
