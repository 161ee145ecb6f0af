//! The desk that rules work at: the runbook, every step wherever it stands, every piece of SQL, and what was found.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use super::finding::{Finding, Subject};
use super::rule::Rule;
use super::sql::Sql;
use crate::runbook::{Phase, Place, Places, Problem, Runbook, Seg, Step, Undo, lines};

/// Findings kept of one runbook: beyond it nobody reads on.
const MOST: usize = 2_000;

/// A place: a value of the runbook or a file that it names, and of its text the part that is meant.
#[derive(Clone, Debug)]
pub struct Spot {
    pub path: Vec<Seg>,
    /// By its path as written.
    pub file: Option<String>,
    /// Bytes of the text; none: all of it.
    pub part: Option<Range<usize>>,
}

impl Spot {
    pub fn part(&self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self.clone() }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Forward,
    Undo,
    Verify,
    /// Of the n-th rollback plan.
    Plan(usize),
}

/// A step with its place.
pub struct Act<'b> {
    pub step: &'b Step,
    pub part: Part,
    pub path: Vec<Seg>,
    /// None: of a rollback plan.
    pub phase: Option<&'b Phase>,
}

impl Act<'_> {
    pub fn subject(&self) -> Subject {
        let phase = self.phase.map(|phase| phase.id.clone());
        Subject { step: Some(self.step.id.0.clone()), phase, ..Subject::default() }
    }

    pub fn spot(&self, key: &'static str) -> Spot {
        Spot { path: with(&self.path, key), file: None, part: None }
    }

    /// Where its verb stands.
    pub fn verb(&self) -> Spot {
        self.spot(self.step.verb.word())
    }
}

pub struct Desk<'b> {
    pub book: &'b Runbook,
    pub acts: Vec<Act<'b>>,
    pub sql: Vec<Sql>,
    /// Ids in every `steps['its-id']` of the runbook.
    pub looked_back: BTreeSet<&'b str>,
    places: Places<'b>,
    found: RefCell<Vec<Finding>>,
    /// Where the lines of each text start that a finding points into.
    starts: RefCell<BTreeMap<Option<String>, Rc<Vec<usize>>>>,
}

impl<'b> Desk<'b> {
    pub fn new(book: &'b Runbook) -> Self {
        let acts = acts(book);
        let places = Places::new(&book.source);
        let sql = super::sql::gather(book, &acts, &places);
        let included = book.source.files.iter().filter(|(file, _)| places.includes(file)).map(|(_, text)| text);
        let looked_back = included.chain([&book.source.text]).flat_map(|text| looked_back(text)).collect();
        Self { book, sql, acts, looked_back, places, found: RefCell::default(), starts: RefCell::default() }
    }

    /// The steps of the phases in the order they run, without what hangs on them.
    pub fn forward(&self) -> impl Iterator<Item = &Act<'b>> {
        self.acts.iter().filter(|act| act.part == Part::Forward)
    }

    /// The value of a table under `key`.
    pub fn spot(&self, path: &[Seg], key: &'static str) -> Spot {
        Spot { path: with(path, key), file: None, part: None }
    }

    /// Every text of the runbook as written, templates still in it.
    pub fn texts_of_book(&self) -> Vec<(Vec<Seg>, String)> {
        self.places.texts()
    }

    /// Every file that steps name, by its path as written, with its text.
    pub fn files_of_book(&self) -> impl Iterator<Item = (&String, &String)> {
        self.book.source.files.iter().filter(|(file, _)| !self.places.includes(file))
    }

    /// What a place belongs to.
    pub fn subject(&self, path: &[Seg]) -> Subject {
        let [first, Seg::Nth(n), rest @ ..] = path else { return Subject::default() };
        let is =
            |seg: &Seg, key: &str| matches!(seg, Seg::Key(name) if *name == key) || *seg == Seg::Name(key.to_owned());
        let mut subject = Subject::default();
        let step = match rest {
            [second, Seg::Nth(m), ..] if is(second, "step") => Some(*m),
            _ => None,
        };
        let steps = if is(first, "phase") {
            let phase = self.book.phases.get(*n);
            subject.phase = phase.map(|phase| phase.id.clone());
            phase.map(|phase| &phase.steps)
        } else if is(first, "rollback") {
            self.book.rollbacks.get(*n).map(|plan| &plan.steps)
        } else {
            None
        };
        subject.step = steps.zip(step).and_then(|(steps, m)| steps.get(m)).map(|step| step.id.0.clone());
        subject.probe = self.book.probes.get(*n).filter(|_| is(first, "probe")).map(|probe| probe.id.clone());
        subject.trigger = self.book.triggers.get(*n).filter(|_| is(first, "trigger")).map(|one| one.id.clone());
        subject
    }

    /// Notes a finding about a step.
    pub fn step(&self, rule: &'static Rule, act: &Act<'_>, spot: &Spot, message: impl Into<String>) {
        self.note(rule, &act.subject(), spot, message);
    }

    pub fn note(&self, rule: &'static Rule, subject: &Subject, spot: &Spot, message: impl Into<String>) {
        if self.found.borrow().len() < MOST {
            let finding = self.finding(rule, subject, spot, message.into());
            self.found.borrow_mut().extend(finding);
        }
    }

    pub fn finding(&self, rule: &'static Rule, subject: &Subject, spot: &Spot, message: String) -> Option<Finding> {
        let Place { file, span } = self.place(spot);
        let source = &self.book.source;
        let (name, text) = match &file {
            Some(path) => (self.file_name(path), source.files.get(path)?),
            None => (source.name.clone(), &source.text),
        };
        let starts = self.starts.borrow_mut().entry(file.clone()).or_insert_with(|| Rc::new(lines(text))).clone();
        let problem = Problem::new(&name, text, &starts, span, message, rule.recipe.to_owned());
        let subject = Subject { file, ..subject.clone() };
        Some(Finding { rule, problem, subject, waived: None })
    }

    /// Where the value is not written out, the nearest table around it is meant.
    fn place(&self, spot: &Spot) -> Place {
        if spot.file.is_some() {
            return Place { file: spot.file.clone(), span: spot.part.clone().unwrap_or(0..usize::MAX) };
        }
        let part = spot.part.clone().and_then(|part| self.places.within(&spot.path, part));
        let around = (0..spot.path.len()).rev().find_map(|n| self.places.at(&spot.path[..=n]));
        part.or(around).unwrap_or(Place { file: None, span: 0..0 })
    }

    /// A file's name as people would type it: beside the runbook.
    fn file_name(&self, path: &str) -> String {
        match self.book.source.name.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{path}"),
            None => path.to_owned(),
        }
    }

    /// The texts that findings point into, by the names that they use.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let source = &self.book.source;
        let files = source.files.iter().map(|(path, text)| (self.file_name(path), text.clone()));
        files.chain([(source.name.clone(), source.text.clone())]).collect()
    }

    pub fn take(&self) -> Vec<Finding> {
        self.found.take()
    }
}

/// Every id in `steps['…']`.
fn looked_back(text: &str) -> impl Iterator<Item = &str> {
    text.split("steps['").skip(1).filter_map(|behind| behind.split_once("']")).map(|(id, _)| id)
}

fn with(path: &[Seg], key: &'static str) -> Vec<Seg> {
    let mut path = path.to_vec();
    path.push(Seg::Key(key));
    path
}

/// Every step of a runbook, each followed by its undo and its `verify`; those of the phases first.
fn acts(book: &Runbook) -> Vec<Act<'_>> {
    let mut all = Vec::new();
    for (n, phase) in book.phases.iter().enumerate() {
        for (m, step) in phase.steps.iter().enumerate() {
            let path = vec![Seg::Key("phase"), Seg::Nth(n), Seg::Key("step"), Seg::Nth(m)];
            add(&mut all, step, Part::Forward, path, Some(phase));
        }
    }
    for (n, plan) in book.rollbacks.iter().enumerate() {
        for (m, step) in plan.steps.iter().enumerate() {
            let path = vec![Seg::Key("rollback"), Seg::Nth(n), Seg::Key("step"), Seg::Nth(m)];
            add(&mut all, step, Part::Plan(n), path, None);
        }
    }
    all
}

fn add<'b>(all: &mut Vec<Act<'b>>, step: &'b Step, part: Part, path: Vec<Seg>, phase: Option<&'b Phase>) {
    let (undo, verify) = (with(&path, "undo"), with(&path, "verify"));
    all.push(Act { step, part, path, phase });
    if let Undo::By(undoing) = &step.undo {
        all.push(Act { step: undoing, part: Part::Undo, path: undo, phase });
    }
    if let Some(asking) = &step.verify {
        all.push(Act { step: asking, part: Part::Verify, path: verify, phase });
    }
}
