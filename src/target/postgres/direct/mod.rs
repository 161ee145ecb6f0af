//! Statements outside of a transaction on PostgreSQL: what the catalogue shows of their effect. Every question is asked on a
//! fresh session that can only read.

mod definition;
mod recognise;
mod sights;
mod walk;

use std::time::Duration;

use self::recognise::{Known, recognise};
use super::Postgres;
use super::line::Line;
use crate::run::clean;
use crate::run::event::{Direct, Statement};
use crate::run::facts::{Fault, Probed};
use crate::target::SqlJob;
use crate::target::direct::{self, Ready, Ruling, Sight};
use crate::target::label;
use crate::target::problem::Problem;
use crate::target::words::NOTHING_SENT;

/// How long a step's own probe may take.
const ASK: Duration = Duration::from_secs(10);
/// Characters of a statement that are shown.
const SHOWN: usize = 60;

/// What was there before a statement ran; `None` before it has.
#[derive(Clone, Copy)]
enum Stage<'a> {
    Before,
    After(Option<&'a str>),
}

/// A statement's effect, and what it is to be compared with later.
struct Seen {
    sight: Sight,
    mark: Option<String>,
}

impl Seen {
    fn of(sight: Sight) -> Self {
        Self { sight, mark: None }
    }
}

/// The step's own statements: without those that clear away what an earlier attempt left.
pub(super) fn own<'a>(job: &SqlJob<'a>) -> &'a [Statement] {
    job.statements.get(job.direct.cleaning as usize..).unwrap_or_default()
}

/// True for a statement that leaves nothing behind, and must run for those after it.
pub(super) fn is_passing(sql: &str) -> bool {
    recognise(sql) == Some(Known::Passing)
}

impl Postgres {
    /// Whether it can be told afterwards what became of statements.
    pub fn can_tell(&self, statements: &[Statement], direct: &Direct) -> bool {
        direct.question.is_some() || statements.iter().all(|statement| recognise(&statement.sql).is_some())
    }

    /// What became of statements whose end nobody saw. `before`: what was noted of each before the first was sent.
    pub async fn rule(
        &self,
        statements: &[Statement],
        direct: &Direct,
        before: &[Option<String>],
    ) -> Result<Ruling, Problem> {
        let line = self.reader();
        let mut sights = Vec::new();
        for (n, statement) in statements.iter().enumerate() {
            let mark = before.get(n).and_then(Option::as_deref);
            sights.push(look(&line, &statement.sql, Stage::After(mark)).await?.sight);
        }
        let answer = match ask(&line, direct).await {
            Ok(answer) => answer,
            Err(why) => return Ok(Ruling::Open(format!("the step's probe cannot be asked: {why}"))),
        };
        Ok(direct::rule(&sights, direct, answer))
    }

    /// Looks before the statements of a job are sent: whether they may be, and what to compare with afterwards.
    pub(super) async fn look_first(&self, job: &SqlJob<'_>) -> Result<(Ready, Probed), Refused> {
        let line = self.reader();
        let (mut sights, mut before) = (Vec::new(), Vec::new());
        for statement in own(job) {
            let seen = look(&line, &statement.sql, Stage::Before).await.map_err(Refused::unasked)?;
            sights.push(seen.sight);
            before.push(seen.mark);
        }
        let answer = ask(&line, job.direct).await.map_err(|why| Refused::Broke(Box::new(direct::unasked(&why))))?;
        let again = job.entry.is_some_and(|entry| entry.key.attempt.n > 1);
        let ready = direct::may_go(&sights, job.direct, answer, again).map_err(Refused::Failed)?;
        Ok((ready, Probed { session: None, before }))
    }

    /// A session of its own for questions, that no probe of the runbook waits for.
    fn reader(&self) -> Line {
        Line::new(self.address.clone(), label::compose(&self.base, "decides"), true)
    }
}

/// Why the statements of a job are not sent.
pub(super) enum Refused {
    /// The database is not as they need it.
    Failed(Box<Fault>),
    /// It could not be looked at.
    Broke(Box<Fault>),
}

impl Refused {
    fn unasked(problem: Problem) -> Self {
        let fault = problem.fault(None, crate::run::facts::Effect::None, NOTHING_SENT);
        let summary = format!("it could not be looked whether it is there already: {}", fault.summary);
        Self::Broke(Box::new(Fault { summary, ..fault }))
    }
}

/// The step's own probe; none: it has none.
async fn ask(line: &Line, direct: &Direct) -> Result<Option<bool>, String> {
    let Some(question) = &direct.question else { return Ok(None) };
    let answer = line.first_cell(question, ASK).await.map_err(|problem| problem.words())?;
    direct::truth(&answer).map(Some)
}

async fn look(line: &Line, sql: &str, stage: Stage<'_>) -> Result<Seen, Problem> {
    match recognise(sql) {
        None => Ok(Seen::of(Sight::Untraced(clean::line(sql, SHOWN)))),
        Some(Known::Passing) => Ok(Seen::of(Sight::Passing)),
        Some(Known::Repeatable) => {
            Ok(Seen::of(Sight::Absent("it may or may not have run; to run it again does no harm".to_owned())))
        }
        Some(Known::CreateIndex { table, index, definition }) => {
            sights::create_index(line, &table, &index, &definition, stage).await
        }
        Some(Known::DropIndex { index, if_exists }) => sights::drop_index(line, &index, if_exists, stage).await,
        Some(Known::Reindex { what, name }) => sights::reindex(line, what, &name, stage).await,
        Some(Known::Vacuum { tables, full }) => sights::vacuum(line, &tables, full, stage).await,
        Some(Known::AddValue { kind, value, if_not_exists }) => {
            sights::add_value(line, &kind, &value, if_not_exists).await
        }
    }
}
