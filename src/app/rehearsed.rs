//! The last rehearsal of a runbook that the journal folder knows, and what changed in it since.

use std::collections::BTreeMap;

use crate::app::open::Order;
use crate::app::{Stop, code};
use crate::journal::{Home, Reader, RunInfo, Status};
use crate::run::event::{Mode, Opened, Rehearsed};
use crate::run::rehearsed::{StepTimes, Stopwatch};
use crate::run::{Direction, Event, clean, words};
use crate::runbook::{self, Runbook, Step, Undo, Var};

/// Rehearsals that are looked at; older ones prove little.
const LOOKED_AT: usize = 20;
/// Characters of a value that are told.
const VALUE: usize = 60;

/// One of exactly this runbook with the same values of its variables, else one of this runbook with others, else the newest
/// of an earlier text of it, with the times of the steps that are still the same. None: none, or none that can be read.
pub async fn last(home: &Home, book: &Runbook) -> Option<Rehearsed> {
    let (run, found) = nearest(home, book).await?;
    let times = times(&run, book, &found.changed_steps).await.unwrap_or_default();
    Some(Rehearsed { times, ..found })
}

async fn nearest(home: &Home, book: &Runbook) -> Option<(RunInfo, Rehearsed)> {
    let (mut otherwise, mut newest) = (None, None);
    for run in rehearsals(home, book).await {
        let Some(found) = look(&run, book).await else { continue };
        if found.same_digest && found.other_values.is_empty() {
            return Some((run, found));
        }
        if found.same_digest { &mut otherwise } else { &mut newest }.get_or_insert((run, found));
    }
    otherwise.or(newest)
}

/// The reason for which a live run goes without the rehearsal that its environment wants; none: it has it, or wants none.
///
/// # Errors
/// It wants one, has none of this very runbook, and nobody said why it may go without.
pub fn needed(
    order: &Order<'_>,
    book: &Runbook,
    environment: &str,
    last: Option<&Rehearsed>,
) -> Result<Option<String>, Stop> {
    let wants = order.mode == Mode::Live && book.environment(environment).is_some_and(|env| env.rehearsal);
    if !wants || last.is_some_and(|last| last.same_digest) {
        return Ok(None);
    }
    let reason = order.unrehearsed.map(str::trim).filter(|reason| !reason.is_empty());
    if let Some(reason) = reason {
        return Ok(Some(reason.to_owned()));
    }
    let what = match last {
        Some(last) => format!("it was rehearsed on {}, and has changed since", words::date(last.at, book.window.zone)),
        None => "none is known in this journal folder".to_owned(),
    };
    let words = format!(
        "environment {environment} wants a rehearsal of this very runbook that came to its good end: {what}. Nothing was \
         started; rehearse it in another environment (gonogo rehearse), or say --unrehearsed REASON, which is journaled"
    );
    Err(Stop::new(code::REFUSED, words))
}

/// Rehearsals that came to their good end, the newest first.
async fn rehearsals(home: &Home, book: &Runbook) -> Vec<RunInfo> {
    let named = super::open::run_name(book);
    let mut runs = home.runs().await.unwrap_or_default();
    let good = |run: &RunInfo| {
        let facts = run.facts.as_ref().ok();
        facts.is_some_and(|facts| facts.mode == Mode::Rehearsal && facts.status == Status::Done)
    };
    runs.retain(|run| run.id.starts_with(&named) && good(run));
    runs.truncate(LOOKED_AT);
    runs
}

async fn look(run: &RunInfo, book: &Runbook) -> Option<Rehearsed> {
    let opened = opened(run).await?;
    let before = runbook::from_source(opened.source.clone(), &opened.set).ok().filter(|before| before.id == book.id)?;
    Some(Rehearsed {
        run: run.id.clone(),
        at: run.facts.as_ref().ok()?.last.wall,
        environment: opened.environment,
        same_digest: opened.source.digest == book.source.digest,
        changed_steps: changed(&before, book),
        other_values: other_values(&before, book),
        times: StepTimes::default(),
    })
}

/// How long the steps took that say the same today. People's answers are left out: they take the time that people take.
async fn times(run: &RunInfo, book: &Runbook, changed: &[String]) -> Option<StepTimes> {
    let mut reader = Reader::open(&run.dir).await.ok()?;
    let mut watch = Stopwatch::default();
    reader.of_kinds(&Stopwatch::KINDS).await.ok()?.iter().for_each(|entry| watch.saw(entry));
    let mut times = watch.times();
    times.retain(|id, direction| {
        let step = book.step(id).filter(|_| !changed.contains(&id.0));
        step.is_some_and(|step| !done_by(step, direction).verb.is_human())
    });
    Some(times)
}

/// What does the step, or takes it back.
fn done_by(step: &Step, direction: Direction) -> &Step {
    match &step.undo {
        Undo::By(undo) if direction == Direction::Undo => undo,
        _ => step,
    }
}

/// Variables of both whose values are not the same.
fn other_values(before: &Runbook, now: &Runbook) -> Vec<String> {
    let was = |name: &str| before.vars.iter().find(|(other, _)| other == name).map(|(_, var)| var);
    let both = now.vars.iter().filter_map(|(name, is)| Some((name, was(name)?, is)));
    both.filter(|(_, was, is)| was != is)
        .map(|(name, was, is)| format!("{name} was {}, is {}", said(was), said(is)))
        .collect()
}

fn said(var: &Var) -> String {
    clean::line(&words::var(var), VALUE)
}

async fn opened(run: &RunInfo) -> Option<Box<Opened>> {
    let first = Reader::open(&run.dir).await.ok()?.entries_after(0, 1).await.ok()?.into_iter().next()?;
    match first.event {
        Event::RunOpened(opened) => Some(opened),
        _ => None,
    }
}

/// Steps that are new, gone, or say something else; in the order of the runbook, those that are gone last.
fn changed(before: &Runbook, now: &Runbook) -> Vec<String> {
    let (old, new) = (steps(before), steps(now));
    let says = |side: &BTreeMap<&str, &Step>, id: &str| side.get(id).map(|step| says(step));
    let order = order(now).chain(order(before).filter(|id| !new.contains_key(id)));
    order.filter(|id| says(&old, id) != says(&new, id)).map(str::to_owned).collect()
}

fn order(book: &Runbook) -> impl Iterator<Item = &str> {
    book.steps().chain(book.rollbacks.iter().flat_map(|plan| &plan.steps)).map(|step| step.id.0.as_str())
}

fn steps(book: &Runbook) -> BTreeMap<&str, &Step> {
    let all = book.steps().chain(book.rollbacks.iter().flat_map(|plan| &plan.steps));
    all.map(|step| (step.id.0.as_str(), step)).collect()
}

/// All that a step is, without the lines on which it says so.
fn says(step: &Step) -> String {
    let text = format!("{step:?}");
    let mut parts = text.split("line: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| said + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}
