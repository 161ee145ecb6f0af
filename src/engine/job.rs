//! One attempt's work, by its verb: from what was resolved to the executor that does it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::exec::{self, Act, CommandJob, HttpJob, NotifyJob, Order, To};
use crate::child;
use crate::run::event::Resolved;
use crate::run::{Attempt, Chunk, Fault, Judge, Outcome};
use crate::runbook::expr::{self, Context, Place};
use crate::runbook::{Notify, Secret, Step, Verb};
use crate::target::{LedgerEntry, SqlJob, Witness};

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
    /// How long ago it was started: only for a wait that is taken up again.
    pub elapsed: Duration,
}

/// Does the attempt. Whatever happens, it ends with an outcome.
pub async fn run(job: Job, out: mpsc::Sender<Chunk>, stop: CancellationToken) -> Outcome {
    let result = match &job.resolved {
        Resolved::Sql { target, statements, transaction, direct } => {
            let sql = SqlJob { direct, ..SqlJob::plain("", statements, *transaction) };
            job.sql(target, sql, &out, stop).await
        }
        Resolved::Run { argv, connect } => job.command(Act::Argv(argv.clone()), connect.as_deref(), &out, stop).await,
        Resolved::Shell { script, connect } => {
            job.command(Act::Shell(script.clone()), connect.as_deref(), &out, stop).await
        }
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
            environment: self.doors.environment().to_owned(),
            place: self.place.clone(),
        }
    }

    fn expects(&self, name: &str) -> bool {
        self.step.expect.as_ref().is_some_and(|expect| expr::mentions(expect, name))
    }

    async fn sql(&self, target: &str, sql: SqlJob<'_>, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let target = self.doors.target(target).ok_or_else(|| format!("target {target} is not connected"))?;
        let label = self.doors.label(&self.attempt);
        let witness = Journal { out: out.clone(), witnessed: Arc::clone(&self.witnessed) };
        let job = SqlJob {
            timeout: self.step.timeout,
            counter: Some(&self.rows),
            entry: Some(&self.entry),
            witness: Some(&witness),
            label: &label,
            ..sql
        };
        Ok(target.run(&job, out, &*self.judge, stop).await)
    }

    async fn command(
        &self,
        act: Act,
        connect: Option<&str>,
        out: &mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Ended {
        let env = self.connect(connect)?;
        let password_file = env.iter().find(|(name, _)| name == "PGPASSFILE").map(|(_, path)| path.clone());
        let job = self.command_job(act, env)?;
        let outcome = exec::command(&job, out, &*self.judge, stop).await;
        if let Some(path) = password_file {
            // Private and of no use to anybody once the command is over; the run's folder is 0700 all the same.
            let _ = std::fs::remove_file(Path::new(&path));
        }
        Ok(outcome)
    }

    fn command_job(&self, act: Act, env: Vec<(String, String)>) -> Result<CommandJob, String> {
        let produces = self.step.produces.as_ref().map(|path| expr::render(path, Place::Argv, &self.context));
        Ok(CommandJob {
            order: self.order(),
            act,
            cwd: self.doors.cwd().clone(),
            env,
            stdin: None,
            timeout: self.step.timeout,
            grace: exec::GRACE,
            drain: child::DRAIN,
            produces: produces.transpose().map_err(|error| error.to_string())?,
            expect_sees_exit: self.expects("exit"),
            record_dir: self.doors.records(),
        })
    }

    /// The target as environment of a command.
    fn connect(&self, name: Option<&str>) -> Result<Vec<(String, String)>, String> {
        let Some(name) = name else { return Ok(Vec::new()) };
        let target = self.doors.target(name).ok_or_else(|| format!("target {name} is not connected"))?;
        target.connect_env(&self.doors.records()).map_err(|error| error.to_string())
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
            Verb::Http(call) => self.headers(&call.headers)?,
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

    fn headers(&self, named: &[(String, Secret)]) -> Result<Vec<(String, SecretString)>, String> {
        named
            .iter()
            .map(|(name, secret)| {
                let secret = expr::render_secret(secret, &self.context).map_err(|error| error.to_string())?;
                Ok((name.clone(), self.doors.secret(&secret)?))
            })
            .collect()
    }

    async fn notify(&self, argv: &[String], text: &str, out: &mpsc::Sender<Chunk>, stop: CancellationToken) -> Ended {
        let to = match &self.step.verb {
            Verb::Notify(Notify::Webhook { url, .. }) => {
                let url = expr::render_secret(url, &self.context).map_err(|error| error.to_string())?;
                To::Webhook { order: self.order(), url: self.doors.secret(&url)?, timeout: self.step.timeout }
            }
            _ => To::Command(Box::new(self.command_job(Act::Argv(argv.to_vec()), Vec::new())?)),
        };
        Ok(exec::notify(&NotifyJob { to, text: text.to_owned() }, out, &*self.judge, stop).await)
    }
}
