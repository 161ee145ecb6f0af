//! Asks the question that a runbook has for an outcome in doubt. A yes decides it; anything else leaves it to a person, who
//! is told the answer.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::doors::Doors;
use super::exec::{self, HttpJob, Order};
use crate::run::event::{Resolved, Statement};
use crate::run::{Attempt, Facts, Judge, Outcome, RunState, context, prepare};
use crate::runbook::expr::{self, Context};
use crate::runbook::{Runbook, Step, Verb};
use crate::target::SqlJob;

/// A question, ready to be asked of the world.
#[derive(Clone)]
pub struct Question {
    attempt: Attempt,
    step: Step,
    /// What exactly is asked; or why it cannot be.
    resolved: Result<Resolved, String>,
    context: Context,
    judge: Arc<Judge>,
    place: String,
    doors: Doors,
}

impl Question {
    /// The question of the step (or undo) that `attempt` performs, if it has one.
    pub fn of(book: &Runbook, state: &RunState, doors: &Doors, attempt: &Attempt, step: &Step) -> Option<Self> {
        let step = step.verify.as_deref()?.clone();
        Some(Self {
            attempt: attempt.clone(),
            resolved: prepare::resolve(book, state, &step, None).map_err(|error| error.to_string()),
            context: context::of(book, state),
            judge: Arc::new(context::judge(book, state, &step)),
            place: step.place(&state.opened.source.name),
            step,
            doors: doors.clone(),
        })
    }

    /// The outcome after the question: done, where what was in doubt is found to be there.
    pub async fn decide(&self, outcome: Outcome) -> Outcome {
        let Outcome::Unknown { known } = outcome else { return outcome };
        if exec::place(&self.doors.records(), &self.attempt).is_busy() {
            // What is there now may not be all of it.
            return Outcome::Unknown { known: format!("{known}; verify is asked once nothing of it runs any more") };
        }
        match self.ask().await {
            Ok(saw) => {
                let recovered = Some(format!("verify says so: {saw} (before that: {known})"));
                Outcome::Done { facts: Box::new(Facts { recovered, ..Facts::default() }), verdict: None }
            }
            Err(said) => Outcome::Unknown { known: format!("{known}; verify does not prove it: {said}") },
        }
    }

    /// Ok: the expectation, with what it saw. Err: the answer was another, or none came.
    async fn ask(&self) -> Result<String, String> {
        let outcome = match self.resolved.as_ref().map_err(Clone::clone)? {
            Resolved::Http { url, .. } => self.http(url).await?,
            Resolved::Run { argv, .. } => return self.judged(&exec::ask(argv, self.doors.cwd()).await?),
            Resolved::Sql { target, statements, .. } => self.sql(target, statements).await?,
            _ => return Err("it asks nothing".to_owned()),
        };
        match outcome {
            Outcome::Done { facts, .. } => self.judged(&facts),
            Outcome::Failed { fault, .. } | Outcome::Broke { fault } => Err(fault.summary),
            Outcome::Unknown { known } => Err(known),
        }
    }

    fn judged(&self, facts: &Facts) -> Result<String, String> {
        match (self.judge)(facts) {
            Ok(Some(verdict)) if verdict.passed => Ok(format!("{} ({})", verdict.expect, verdict.saw)),
            Ok(Some(verdict)) => Err(format!("expected {}, saw {}", verdict.expect, verdict.saw)),
            Ok(None) => Err("it expects nothing".to_owned()),
            Err(fault) => Err(fault.summary),
        }
    }

    async fn http(&self, url: &str) -> Result<Outcome, String> {
        let Verb::Http(call) = &self.step.verb else { return Err("it asks nothing".to_owned()) };
        let job = HttpJob {
            order: self.order(),
            method: "GET".to_owned(),
            url: SecretString::from(url.to_owned()),
            show_path: true,
            headers: self.doors.headers(&call.headers, &self.context)?,
            body: None,
            timeout: Some(exec::ASK),
            expect_sees_status: self.step.expect.as_ref().is_some_and(|expect| expr::mentions(expect, "status")),
        };
        let (out, _) = mpsc::channel(1);
        Ok(exec::http(&job, &out, &*self.judge, CancellationToken::new()).await)
    }

    async fn sql(&self, target: &str, statements: &[Statement]) -> Result<Outcome, String> {
        let target = tokio::time::timeout(exec::ASK, self.doors.visit(target)).await;
        let target = target.map_err(|_| "the server did not answer".to_owned())??;
        let label = format!("verify {}", self.attempt);
        let job = SqlJob { timeout: Some(exec::ASK), ..SqlJob::plain(&label, statements, true) };
        let (out, _) = mpsc::channel(1);
        Ok(target.run(&job, &out, &*self.judge, CancellationToken::new()).await)
    }

    fn order(&self) -> Order {
        Order {
            run: self.doors.run().to_owned(),
            attempt: self.attempt.clone(),
            key_n: self.attempt.n,
            environment: self.doors.environment().to_owned(),
            place: self.place.clone(),
        }
    }
}
