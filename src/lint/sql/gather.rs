//! Every piece of SQL that a runbook holds, with its place and how it is run.

use super::nesting::Nesting;
use super::words::Words;
use crate::lint::desk::{Act, Part, Spot};
use crate::lint::finding::Subject;
use crate::runbook::migrations::Part as FilePart;
use crate::runbook::sql::{self, Dialect};
use crate::runbook::{Asks, Migrations, Places, Probe, ProbeSource, Runbook, Script, Seg, Step, Verb, Way};

/// What a piece of SQL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What a step does.
    Script,
    /// A query that is run for its plan.
    Explained,
    /// A number that is measured again and again.
    Measure,
    /// What decides whether an effect is there.
    Decides,
    /// What clears away the rest of a failed attempt.
    Cleanup,
    /// What says that a batch is complete.
    Complete,
    /// A part of a batch's statements.
    Fragment,
}

/// A piece of SQL.
pub struct Sql {
    /// Its text, every template tag blanked out byte for byte.
    pub text: String,
    pub statements: Vec<Words>,
    pub nesting: Nesting,
    pub role: Role,
    pub dialect: Dialect,
    pub transaction: bool,
    pub spot: Spot,
    pub subject: Subject,
    /// The step it belongs to, by its number at the desk.
    pub act: Option<usize>,
    pub part: Part,
}

impl Sql {
    /// True for a step's script that ends with a question: rows that somebody should look at.
    pub fn asks(&self) -> bool {
        let Some(last) = self.statements.last().filter(|_| self.role == Role::Script) else { return false };
        let only = sql::only_reads(&self.text);
        let at = last.whole();
        let reads = only || (self.transaction && self.text.get(at).is_some_and(sql::only_reads));
        // Of a script that changes something, a last line without a table is a banner.
        reads && !last.acts() && (only || last.has(&["from"]))
    }

    /// The statement around a byte.
    pub fn statement_at(&self, at: usize) -> Option<&Words> {
        let next = self.statements.partition_point(|words| words.whole().start <= at);
        next.checked_sub(1).and_then(|n| self.statements.get(n)).filter(|words| words.whole().contains(&at))
    }

    /// True for a script that goes forward in a phase.
    pub fn is_forward(&self) -> bool {
        self.role == Role::Script && self.part == Part::Forward
    }
}

pub fn gather(book: &Runbook, acts: &[Act<'_>], places: &Places<'_>) -> Vec<Sql> {
    let mut all = Vec::new();
    for n in 0..acts.len() {
        of_step(book, acts, n, places, &mut all);
    }
    for (n, probe) in book.probes.iter().enumerate() {
        of_probe(book, probe, n, &mut all);
    }
    all
}

fn of_step(book: &Runbook, acts: &[Act<'_>], n: usize, places: &Places<'_>, all: &mut Vec<Sql>) {
    let Some(act) = acts.get(n) else { return };
    let dialect = dialect(book, act.step);
    let mut add = |text: &str, spot: Spot, role, transaction| {
        let made = made(text, dialect, spot, act.subject());
        all.extend(made.map(|sql| Sql { role, transaction, act: Some(n), part: act.part, ..sql }));
    };
    match &act.step.verb {
        // What is only planned changes nothing, whatever it says.
        Verb::Sql(Script { asks: Asks::Plan { analyze: false } | Asks::Inventory(_), .. }) => {}
        Verb::Sql(script @ Script { asks: Asks::Plan { .. }, .. }) => {
            add(&script.text, explained(places, act), Role::Explained, true);
        }
        Verb::Migrations(folder) => {
            for file in files(folder, pending(acts, n)) {
                let spot = Spot { file: Some(file.path.clone()), ..act.verb() };
                add(&file.text, spot, Role::Script, file.transaction);
            }
        }
        Verb::Sql(script) => {
            add(&script.text, spot(act, script), Role::Script, script.transaction);
            for (key, role, beside) in
                [("probe", Role::Decides, &script.probe), ("cleanup", Role::Cleanup, &script.cleanup)]
            {
                if let Some(beside) = beside {
                    add(&beside.text, act.spot(key), role, false);
                }
            }
        }
        Verb::Batch(batch) => {
            let parts = [("set", &batch.set), ("where", &batch.filter)].map(|(key, text)| (key, text, Role::Fragment));
            for (key, text, role) in parts.into_iter().chain([("complete", &batch.complete, Role::Complete)]) {
                let mut path = act.spot("batch").path;
                path.push(Seg::Key(key));
                if let Some(text) = text {
                    add(text, Spot { path, file: None, part: None }, role, true);
                }
            }
        }
        _ => {}
    }
}

/// How many files the runbook says are pending; of an undo, its step does, which stands right before it.
fn pending(acts: &[Act<'_>], n: usize) -> Option<u32> {
    let is_undo = acts.get(n).is_some_and(|act| act.part == Part::Undo);
    let forward = acts.get(if is_undo { n.checked_sub(1)? } else { n })?;
    match &forward.step.verb {
        Verb::Migrations(folder) => folder.expect_pending,
        _ => None,
    }
}

/// The files that a step may send: up to the last one it asks for, and of those the last `pending`, where that is known: what
/// was applied long ago is nobody's hazard any more. What is repeated may always be sent.
fn files(folder: &Migrations, pending: Option<u32>) -> Vec<&FilePart> {
    let once: Vec<_> = folder.files.iter().filter(|one| !one.repeatable).collect();
    let named = folder.to.as_ref().and_then(|to| once.iter().position(|one| one.version == *to));
    let end = named.map_or(once.len(), |last| last + 1);
    let count = pending.map_or(end, |pending| usize::try_from(pending).unwrap_or(usize::MAX));
    let sent = once.get(end.saturating_sub(count)..end).unwrap_or_default().iter().copied();
    match folder.way {
        Way::Up => {
            let again = folder.files.iter().filter(|one| one.repeatable && folder.to.is_none());
            sent.chain(again).map(|one| &one.up).collect()
        }
        Way::Down => sent.rev().filter_map(|one| one.down.as_ref()).collect(),
    }
}

/// Where the query of an `explain` stands: it may be a text, or in a table.
fn explained(places: &Places<'_>, act: &Act<'_>) -> Spot {
    let mut spot = act.spot("explain");
    let inner = [spot.path.as_slice(), &[Seg::Key("sql")]].concat();
    if places.at(&inner).is_some() {
        spot.path = inner;
    }
    spot
}

fn spot(act: &Act<'_>, script: &Script) -> Spot {
    match &script.file {
        Some(path) => Spot { file: Some(path.clone()), ..act.spot("file") },
        None => act.spot("sql"),
    }
}

/// Whose SQL a step's is: PostgreSQL where any of its environments says so.
fn dialect(book: &Runbook, step: &Step) -> Dialect {
    of_target(book, step.target.as_deref().unwrap_or("main"), &step.only)
}

fn of_target(book: &Runbook, target: &str, only: &[String]) -> Dialect {
    let mut environments = book.environments.iter().filter(|one| only.is_empty() || only.contains(&one.name));
    let sqlite = environments.clone().next().is_some()
        && environments.all(|environment| environment.dialect(target) == Dialect::Sqlite);
    if sqlite { Dialect::Sqlite } else { Dialect::Postgres }
}

fn of_probe(book: &Runbook, probe: &Probe, n: usize, all: &mut Vec<Sql>) {
    let path = vec![Seg::Key("probe"), Seg::Nth(n)];
    let sources = [(Some(&probe.source), None), (probe.traffic.as_ref().map(|one| &one.source), Some("traffic"))];
    for (source, key) in sources {
        let Some(ProbeSource::Sql { target, sql }) = source else { continue };
        let mut path = path.clone();
        path.extend(key.map(Seg::Key));
        path.push(Seg::Key("sql"));
        let spot = Spot { path, file: None, part: None };
        let subject = Subject { probe: Some(probe.id.clone()), ..Subject::default() };
        all.extend(made(sql, of_target(book, target, &[]), spot, subject));
    }
}

fn made(text: &str, dialect: Dialect, spot: Spot, subject: Subject) -> Option<Sql> {
    let text = sql::mask(text);
    let pieces = sql::split(&text, dialect).ok()?;
    let statements: Vec<Words> = pieces.iter().map(|piece| Words::of(&piece.sql, piece.offset)).collect();
    let (nesting, part) = (Nesting::of(&statements), Part::Forward);
    let (role, transaction, act) = (Role::Measure, true, None);
    Some(Sql { text, statements, nesting, role, dialect, transaction, spot, subject, act, part })
}
