//! One file's turn: its statements and its row in one transaction; or by themselves, between two marks.

use tokio::time::Instant;

use super::relay::{self, Relay};
use super::{Walk, words};
use crate::failpoint;
use crate::run::event::Statement;
use crate::run::facts::Effect;
use crate::run::fault::said;
use crate::run::migrations::{FileState, FileTurn, OrderedFile, part, previous};
use crate::run::{Chunk, Facts, Fault, Outcome};
use crate::runbook::migrations::{Part, Way};

/// Chunks that wait for the relay.
const CHUNKS: usize = 16;

/// Which file, and the how-manyth it is.
pub(super) struct Turn {
    /// Its place in the order.
    pub index: usize,
    pub n: usize,
    pub of: usize,
}

pub(super) enum Ended {
    Done {
        ms: u64,
    },
    /// How the attempt ends with it.
    Not(Outcome),
}

/// What is sent for a file.
struct Texts {
    own: Vec<Statement>,
    /// What is asked behind them; nothing of it stays.
    verify: Vec<Statement>,
    /// With them in their transaction.
    record: Vec<String>,
    /// Outside of a transaction: before, after, and where nothing came of it.
    begin: Vec<String>,
    finish: Vec<String>,
    unbegin: Vec<String>,
}

impl Walk<'_> {
    pub(super) async fn file(&mut self, turn: &Turn) -> Ended {
        let started = Instant::now();
        let (order, migrations) = (self.job.order, self.job.migrations);
        let files = order.files.get(turn.index).zip(migrations.files.get(turn.index));
        let Some((file, part)) = files.and_then(|(file, text)| Some((file, part(text, order.way)?))) else {
            return Ended::Not(words::broke(Fault::new("the file is not in the run's own copy of the runbook")));
        };
        let asking = migrations.files.get(turn.index).and_then(|text| text.verify.as_ref());
        let asking = asking.filter(|_| order.way == Way::Up);
        let texts = match self.texts(turn.index, file, part, asking) {
            Ok(texts) => texts,
            Err(why) => return Ended::Not(words::broke(Fault { place: part.path.clone(), ..Fault::new(why) })),
        };
        self.say(turn, file, part, FileState::Begun, 0).await;
        let outcome = match part.transaction {
            true => self.together(&texts).await,
            false => self.alone(&texts).await,
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(facts) => {
                self.facts.notices.extend(facts.notices);
                self.say(turn, file, part, FileState::Done, ms).await;
                failpoint::hit("target.migrate.file");
                Ended::Done { ms }
            }
            Err(outcome) => {
                self.say(turn, file, part, FileState::Failed, ms).await;
                // Without a mark the table looks as if it had never begun, and the next attempt would do all of it again.
                let unmarked = !part.transaction && texts.begin.is_empty() && !is_harmless(&outcome);
                let outcome = placed(outcome, part, asking, &texts);
                Ended::Not(if unmarked { in_doubt(outcome, order.table()) } else { outcome })
            }
        }
    }

    fn texts(&self, index: usize, file: &OrderedFile, part: &Part, asking: Option<&Part>) -> Result<Texts, String> {
        let of = |part: &Part| {
            let pieces = part.statements(self.target.dialect()).map_err(|problem| problem.to_string())?;
            let statements = pieces.into_iter().map(|piece| Statement { sql: piece.sql, line: piece.line });
            Ok::<Vec<_>, String>(statements.collect())
        };
        let (own, verify) = (of(part)?, asking.map(of).transpose()?.unwrap_or_default());
        let (book, before) = (self.book, previous(self.job.order, index));
        Ok(match self.job.order.way {
            Way::Up => Texts {
                own,
                verify,
                record: book.record(file),
                begin: book.begin(file),
                finish: book.finish(file),
                unbegin: book.unbegin(file, before),
            },
            Way::Down => Texts {
                own,
                verify,
                record: book.forget(file, before),
                begin: book.begin_back(file),
                finish: book.forget(file, before),
                unbegin: book.finish(file),
            },
        })
    }

    async fn say(&self, turn: &Turn, file: &OrderedFile, part: &Part, state: FileState, ms: u64) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let name = part.path.strip_prefix(&self.job.order.folder).unwrap_or(&part.path).trim_start_matches('/');
        let turn = FileTurn {
            n: count(turn.n),
            of: count(turn.of),
            version: file.version.clone(),
            name: name.to_owned(),
            state,
            transaction: part.transaction,
            ms,
        };
        // Nobody has to listen.
        let _ = self.out.send(Chunk::File(turn)).await;
    }

    /// All in one transaction, the row in the tool's table last.
    async fn together(&self, texts: &Texts) -> Result<Facts, Outcome> {
        let record = texts.record.iter().map(|sql| Statement { sql: sql.clone(), line: 1 });
        let all: Vec<Statement> = texts.own.iter().cloned().chain(texts.asked()).chain(record).collect();
        self.sent(&all, texts.own.len(), true).await
    }

    /// Behind a file outside of a transaction.
    async fn verified(&self, texts: &Texts) -> Result<(), Outcome> {
        let asked: Vec<Statement> = texts.asked().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let placed = |fault: Fault| Fault {
            statement: fault.statement.and_then(|n| n.checked_add(u32::try_from(texts.own.len()).ok()?)),
            safe: "all of it is done, not verified: the tool's table does not say so".to_owned(),
            hint: Some("take them back by hand, or mend what its verify script asks for, then retry".to_owned()),
            effect: Effect::Possible,
            ..fault
        };
        match self.sent(&asked, 0, true).await {
            Ok(_) => Ok(()),
            Err(Outcome::Failed { fault, .. } | Outcome::Broke { fault }) => Err(words::failed(placed(*fault), None)),
            Err(other) => Err(other),
        }
    }

    /// Each statement by itself. Until the last is done the tool calls the database dirty, where it knows such a thing; where
    /// it does not, the journal knows that the file was begun.
    async fn alone(&self, texts: &Texts) -> Result<Facts, Outcome> {
        self.send("its mark in the bookkeeping", texts.begin.clone()).await?;
        failpoint::hit("target.migrate.marked");
        match self.between_marks(texts).await {
            Err(outcome) if is_harmless(&outcome) && !texts.begin.is_empty() => {
                match self.send("its mark in the bookkeeping", texts.unbegin.clone()).await {
                    Ok(()) => Err(outcome),
                    Err(left) => Err(still_marked(outcome, &left)),
                }
            }
            ended => ended,
        }
    }

    async fn between_marks(&self, texts: &Texts) -> Result<Facts, Outcome> {
        let facts = match texts.own.is_empty() {
            true => Facts::default(),
            false => self.sent(&texts.own, texts.own.len(), false).await?,
        };
        failpoint::hit("target.migrate.alone");
        self.verified(texts).await?;
        self.send("its row in the bookkeeping", texts.finish.clone()).await.map_err(unrecorded)?;
        Ok(facts)
    }

    async fn sent(&self, statements: &[Statement], own: usize, transaction: bool) -> Result<Facts, Outcome> {
        let (inner, chunks) = tokio::sync::mpsc::channel(CHUNKS);
        let job = self.sql(statements, transaction);
        let work = async {
            let outcome = self.target.run(&job, &inner, &|_| Ok(None), self.stop.clone()).await;
            drop(inner);
            outcome
        };
        let (outcome, ()) = tokio::join!(work, relay::pass(Relay::new(self.out, own), chunks));
        match outcome {
            Outcome::Done { facts, .. } => Ok(*facts),
            other => Err(other),
        }
    }
}

impl Texts {
    /// What is asked between two marks of a transaction: whatever it does is gone behind the second.
    fn asked(&self) -> impl Iterator<Item = Statement> {
        let mark = |sql: &str| (!self.verify.is_empty()).then(|| Statement { sql: sql.to_owned(), line: 1 });
        let before = mark("savepoint gonogo_verify");
        let after = mark("rollback to savepoint gonogo_verify");
        before.into_iter().chain(self.verify.iter().cloned()).chain(after)
    }

    /// The statement (1-based) of those that were sent, where it is one of a file's, and whether it is one that asks.
    fn find(&self, n: u32) -> Option<(&Statement, bool)> {
        let at = (n as usize).checked_sub(1)?;
        let asking = || self.verify.get(at.checked_sub(self.own.len() + 1)?).map(|statement| (statement, true));
        self.own.get(at).map(|statement| (statement, false)).or_else(asking)
    }
}

/// Nothing of a file outside of a transaction is there.
fn is_harmless(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault.effect == Effect::None,
        _ => false,
    }
}

/// What only the journal knows to be begun: nobody but a person tells how much of it is there.
fn in_doubt(outcome: Outcome, table: &str) -> Outcome {
    let (Outcome::Failed { fault, .. } | Outcome::Broke { fault }) = outcome else { return outcome };
    let Fault { summary, sqlstate, detail, safe, hint, place, .. } = *fault;
    let words = [Some(summary), detail].into_iter().flatten().filter(|words| !words.is_empty());
    let words = words.collect::<Vec<_>>().join("; ");
    let known = match safe.is_empty() {
        true => format!("and {table} does not say that it is done"),
        false => safe,
    };
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let then = format!(
        "it was begun outside of a transaction, {known}: look what of it is there, complete it or clear it away, and tell the tool{hint}"
    );
    // With its code: what it quotes may have to be left out.
    let why = match sqlstate {
        Some(code) => said(&code, &words, &then),
        None => format!("{words}: {then}"),
    };
    Outcome::Unknown { known: format!("{place}: {why}") }
}

/// Nothing of the file is there, and the tool calls the database dirty all the same.
fn still_marked(outcome: Outcome, left: &Outcome) -> Outcome {
    let words = match left {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => fault.summary.as_str(),
        Outcome::Unknown { known } => known,
        Outcome::Done { .. } => "",
    };
    let change = |fault: Box<Fault>| {
        let words = format!("the mark in the tool's table may be left: {words}");
        let detail = Some([fault.detail.clone(), Some(words)].into_iter().flatten().collect::<Vec<_>>().join("; "));
        Box::new(Fault { detail, ..*fault })
    };
    match outcome {
        Outcome::Failed { fault, facts, verdict } => Outcome::Failed { fault: change(fault), facts, verdict },
        Outcome::Broke { fault } => Outcome::Broke { fault: change(fault) },
        other => other,
    }
}

/// All its statements are done, and the tool does not know it.
fn unrecorded(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { fault, .. } | Outcome::Broke { fault } => {
            let safe = "all statements of the file are done, but the tool's table does not say so".to_owned();
            let hint = Some("write the row by the tool's own means, then retry".to_owned());
            words::failed(Fault { safe, hint, effect: Effect::Possible, ..*fault }, None)
        }
        other => other,
    }
}

/// The fault at its place in the file, and not as one of a script of the runbook's own.
fn placed(outcome: Outcome, part: &Part, asking: Option<&Part>, texts: &Texts) -> Outcome {
    let change = |fault: Fault| {
        let statement = fault.statement.and_then(|n| texts.find(n));
        let part = asking.filter(|_| statement.is_some_and(|(_, asks)| asks)).unwrap_or(part);
        let line = statement.map(|(statement, _)| {
            let before = fault.position.unwrap_or(1).saturating_sub(1) as usize;
            let breaks = statement.sql.chars().take(before).filter(|c| *c == '\n').count();
            statement.line.saturating_add(u32::try_from(breaks).unwrap_or(0))
        });
        let summary = match statement {
            Some((_, true)) => format!("its verify script: {}", fault.summary),
            _ => fault.summary.clone(),
        };
        let place = line.map_or_else(|| part.path.clone(), |line| format!("{}:{line}", part.path));
        let left = fault.residue.join("; ");
        let hint = match (fault.hint.clone(), left.is_empty()) {
            (hint, true) => hint,
            (hint, false) => Some(
                [hint, Some(format!("to clear away what is left: {left}"))]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        };
        Fault { summary, place, hint, statement: None, position: None, residue: Vec::new(), ..fault }
    };
    match outcome {
        Outcome::Failed { fault, facts, verdict } => {
            Outcome::Failed { fault: Box::new(change(*fault)), facts, verdict }
        }
        Outcome::Broke { fault } => Outcome::Broke { fault: Box::new(change(*fault)) },
        Outcome::Unknown { known } => Outcome::Unknown { known: format!("{}: {known}", part.path) },
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file did wrong is what counts; that its mark could not be taken away is told beside it.
    #[test]
    fn a_mark_that_stays_does_not_hide_why() {
        let fault = Fault { detail: Some("line 3".to_owned()), ..Fault::new("no such table") };
        let outcome = words::failed(fault, None);
        let ended = still_marked(outcome, &Outcome::Unknown { known: "the connection was lost".to_owned() });
        let Outcome::Failed { fault, .. } = ended else { panic!("{ended:?}") };
        assert_eq!(fault.summary, "no such table");
        let detail = "line 3; the mark in the tool's table may be left: the connection was lost";
        assert_eq!(fault.detail.as_deref(), Some(detail));
    }
}
