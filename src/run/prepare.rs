//! Making a step ready: its templates resolved into exactly what will be sent, before anything is sent.

use super::dump::{BackupOrder, RestoreOrder};
use super::event::{Attempt, Direct, Direction, Event, Resolved, Statement};
use super::facts::{Facts, Fault, Outcome};
use super::state::RunState;
use super::{BatchOrder, batch, context, fault, inventory, migrations};
use crate::runbook::expr::{self, Context, ExprError, Place};
use crate::runbook::{Asks, HttpCall, Notify, Runbook, Script, Step, TargetSpec, Undo, Verb, sql};

/// The events that start an attempt: `StepStarted`, or start and end at once where it cannot be made ready.
pub fn start(book: &Runbook, state: &RunState, step: &Step, direction: Direction, by: &str) -> Vec<Event> {
    let acting = match (direction, &step.undo) {
        (Direction::Undo, Undo::By(undo)) => undo,
        _ => step,
    };
    let edited = state.steps.get(&step.id).and_then(|run| run.edited.as_deref());
    let edited = edited.filter(|_| direction == Direction::Forward);
    let attempt = next_attempt(state, step, direction);
    let resolved = match resolve(book, state, acting, edited) {
        Ok(Resolved::Sql { target, mut statements, transaction, direct, asks }) => {
            let dialect = dialect(book, state, &target);
            statements.extend(migrations::unrecorded(state, step, direction, dialect));
            Ok(Resolved::Sql { target, statements, transaction, direct, asks })
        }
        Ok(Resolved::Batch { target, order }) => batch::continued(state, step, &attempt, *order)
            .map(|order| Resolved::Batch { target, order: Box::new(order) }),
        other => other,
    };
    match resolved {
        Ok(resolved) => {
            let resolved = cleaned(state, acting, &attempt, resolved);
            vec![Event::StepStarted { attempt, resolved, by: by.to_owned() }]
        }
        Err(error) => unready(state, step, direction, by, error.to_string()),
    }
}

/// A retry clears away first what the attempt before it left: statements of their own, shown and run like any other.
fn cleaned(state: &RunState, acting: &Step, attempt: &Attempt, resolved: Resolved) -> Resolved {
    let before = state.steps.get(&attempt.step).filter(|run| {
        let last = run.attempt.as_ref();
        last.is_some_and(|last| last.direction == attempt.direction && last.n + 1 == attempt.n)
    });
    let residue = before.map_or(&[][..], |run| run.residue());
    match resolved {
        Resolved::Sql { target, statements, transaction: false, direct, asks } if !residue.is_empty() => {
            let line = |sql: &str| direct.cleanup.iter().find(|one| one.sql == sql).map_or(acting.line, |one| one.line);
            let cleaning = residue.iter().map(|sql| Statement { sql: sql.clone(), line: line(sql) });
            let statements = cleaning.chain(statements).collect();
            let direct = Direct { cleaning: count(residue.len()), ..direct };
            Resolved::Sql { target, statements, transaction: false, direct, asks }
        }
        other => other,
    }
}

pub(super) fn count(statements: usize) -> u32 {
    u32::try_from(statements).unwrap_or(u32::MAX)
}

/// An attempt that ends before anything was sent.
pub fn unready(state: &RunState, step: &Step, direction: Direction, by: &str, error: String) -> Vec<Event> {
    let attempt = next_attempt(state, step, direction);
    let fault = Fault {
        place: step.place(&state.opened.source.name),
        safe: "nothing was sent".to_owned(),
        ..Fault::new(error)
    };
    vec![
        Event::StepStarted { attempt: attempt.clone(), resolved: Resolved::Unready, by: by.to_owned() },
        Event::StepEnded { attempt, outcome: Outcome::Broke { fault: Box::new(fault) } },
    ]
}

fn next_attempt(state: &RunState, step: &Step, direction: Direction) -> Attempt {
    let tries = state.steps.get(&step.id).map_or(0, |run| match direction {
        Direction::Forward => run.tries,
        Direction::Undo => run.undo_tries,
    });
    Attempt { step: step.id.clone(), direction, n: tries + 1 }
}

/// What the step will do, with every value in its place.
pub fn resolve(book: &Runbook, state: &RunState, step: &Step, edited: Option<&str>) -> Result<Resolved, ExprError> {
    let context = &context::of(book, state);
    let text = |template: &str, place| expr::render(template, place, context);
    let all = |list: &[String]| list.iter().map(|part| text(part, Place::Argv)).collect::<Result<Vec<_>, _>>();
    Ok(match &step.verb {
        Verb::Checklist(_) | Verb::Poll(_) => Resolved::Human,
        Verb::Sql(script) => resolve_sql(book, state, step, script, edited, context)?,
        Verb::Batch(batch) => {
            let target = step.target.clone().unwrap_or_default();
            let order = BatchOrder::new(batch, dialect(book, state, &target), context)?;
            Resolved::Batch { target, order: Box::new(order) }
        }
        Verb::Migrations(files) => {
            let target = step.target.clone().unwrap_or_default();
            Resolved::Migrations { target, order: Box::new(migrations::order(state, step, files)) }
        }
        Verb::Backup(backup) => {
            let target = step.target.clone().unwrap_or_default();
            let order = BackupOrder::new(backup, spec(book, state, &target), state.leg, context)?;
            Resolved::Backup { target, order: Box::new(order) }
        }
        Verb::Restore(restore) => {
            let target = step.target.clone().unwrap_or_default();
            let order = RestoreOrder::new(restore, spec(book, state, &target), state, context)?;
            Resolved::Restore { target, order: Box::new(order) }
        }
        Verb::Run(argv) => Resolved::Run { argv: all(argv)?, connect: step.target.clone() },
        Verb::Shell(script) => Resolved::Shell { script: text(script, Place::Shell)?, connect: step.target.clone() },
        Verb::Http(call) => resolve_http(call, context)?,
        Verb::Wait(time) => Resolved::Wait { ms: super::plan::millis(*time) },
        Verb::Notify(Notify::Webhook { url, text: words, .. }) => {
            Resolved::Notify { to: url.to_string(), argv: Vec::new(), text: text(words, Place::Text)? }
        }
        Verb::Notify(Notify::Command { argv, text: words }) => {
            Resolved::Notify { to: "command".to_owned(), argv: all(argv)?, text: text(words, Place::Text)? }
        }
    })
}

fn resolve_http(call: &HttpCall, context: &Context) -> Result<Resolved, ExprError> {
    let body = call.body.as_ref().map(|body| expr::render(body, Place::Json, context)).transpose()?;
    Ok(Resolved::Http { method: call.method.clone(), url: expr::render(&call.url, Place::Url, context)?, body })
}

/// How the target is to be treated in this run's environment.
fn spec<'b>(book: &'b Runbook, state: &RunState, target: &str) -> Option<&'b TargetSpec> {
    let environment = book.environment(&state.opened.environment)?;
    environment.targets.iter().find(|(name, _)| name == target).map(|(_, spec)| spec)
}

/// Whose SQL the target speaks in this run's environment.
pub(super) fn dialect(book: &Runbook, state: &RunState, target: &str) -> sql::Dialect {
    let environment = book.environment(&state.opened.environment);
    environment.map_or(sql::Dialect::Postgres, |environment| environment.dialect(target))
}

fn resolve_sql(
    book: &Runbook,
    state: &RunState,
    step: &Step,
    script: &Script,
    edited: Option<&str>,
    context: &Context,
) -> Result<Resolved, ExprError> {
    let target = step.target.clone().unwrap_or_default();
    let dialect = dialect(book, state, &target);
    let text = match edited {
        Some(edited) => edited.to_owned(),
        None => expr::render(&script.text, Place::Sql(dialect), context)?,
    };
    let statements = asked(statements(&text, script.line, dialect)?, script, dialect)?;
    // What the runbook says of its own SQL says nothing of SQL that was changed since.
    let direct = match edited {
        None => resolve_direct(script, dialect, context)?,
        Some(_) => Direct::default(),
    };
    Ok(Resolved::Sql { target, statements, transaction: script.transaction, direct, asks: script.asks.clone() })
}

/// What is sent: the script's own statements, or what brings its plan or the inventory.
fn asked(own: Vec<Statement>, script: &Script, dialect: sql::Dialect) -> Result<Vec<Statement>, ExprError> {
    // On a line of its own, so that the server's positions are those of the runbook's own text.
    let before = |words: &str| {
        let line = |one: &Statement| one.line.saturating_sub(1);
        own.iter().map(|one| Statement { sql: format!("{words}\n{}", one.sql), line: line(one) }).collect::<Vec<_>>()
    };
    // A query may call a function that writes: the server refuses it.
    let safely = |words: &str| {
        let read_only = Statement { sql: "set transaction read only".to_owned(), line: script.line };
        [read_only].into_iter().chain(before(words)).collect()
    };
    Ok(match (&script.asks, dialect) {
        (Asks::Rows, _) => own,
        (Asks::Plan { .. }, sql::Dialect::Sqlite) => before("explain query plan"),
        (Asks::Plan { analyze: true }, _) => safely("explain (analyze, buffers)"),
        (Asks::Plan { analyze: false }, _) => safely("explain"),
        (Asks::Inventory(wanted), dialect) => {
            if let Some(why) = inventory::unfit(wanted, dialect) {
                return Err(ExprError::Failed(why.to_owned()));
            }
            let texts = inventory::queries(wanted, dialect);
            texts.into_iter().map(|sql| Statement { sql, line: script.line }).collect()
        }
    })
}

fn resolve_direct(script: &Script, dialect: sql::Dialect, context: &Context) -> Result<Direct, ExprError> {
    let text = |template: &str| expr::render(template, Place::Sql(dialect), context);
    let question = script.probe.as_ref().map(|probe| text(&probe.text)).transpose()?;
    let cleanup = match &script.cleanup {
        Some(cleanup) => statements(&text(&cleanup.text)?, cleanup.line, dialect)?,
        None => Vec::new(),
    };
    Ok(Direct { question, cleanup, ..Direct::default() })
}

/// The statements of a text that starts at `line`.
pub(super) fn statements(text: &str, line: u32, dialect: sql::Dialect) -> Result<Vec<Statement>, ExprError> {
    let parts = sql::split(text, dialect).map_err(|problem| ExprError::Failed(problem.to_string()))?;
    Ok(parts.into_iter().map(|part| Statement { sql: part.sql, line: part.line + line - 1 }).collect())
}

/// The end of a checklist or poll that everybody has answered.
pub fn human_done(book: &Runbook, state: &RunState, step: &Step, attempt: &Attempt) -> Event {
    let run = state.steps.get(&attempt.step);
    let mut facts = Facts::default();
    if let Some(run) = run {
        facts.ms = run.took_ms(state.at.ms).unwrap_or(0);
        match &step.verb {
            Verb::Checklist(items) => {
                for (n, tick) in &run.ticks {
                    if let (Some(item), Some(answer)) = (items.get(*n), &tick.answer) {
                        facts.answers.insert(item.ask.clone(), answer.clone());
                    }
                }
            }
            Verb::Poll(_) => {
                for (role, vote) in &run.votes {
                    facts.answers.insert(role.clone(), if vote.go { "go" } else { "no-go" }.to_owned());
                }
            }
            _ => {}
        }
    }
    let outcome = match context::judge(book, state, step)(&facts) {
        Ok(verdict) if verdict.as_ref().is_none_or(|verdict| verdict.passed) => {
            Outcome::Done { facts: Box::new(facts), verdict }
        }
        Ok(verdict) => Outcome::Failed {
            fault: Box::new(fault::unexpected(verdict.as_ref())),
            facts: Some(Box::new(facts)),
            verdict,
        },
        Err(fault) => Outcome::Broke { fault: Box::new(fault) },
    };
    Event::StepEnded { attempt: attempt.clone(), outcome }
}
