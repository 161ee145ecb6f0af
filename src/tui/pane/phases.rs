//! The list of phases and steps: what is done, what runs, what comes, planned against actual.

use ratatui::text::{Line, Span};

use super::{Rest, Sheet};
use crate::run::describe::duration;
use crate::run::event::End;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Direction, clean};
use crate::runbook::{Phase, PhaseKind, Step, StepId};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::{self, Ink};
use crate::tui::view::{self, paced, time};

/// From so many columns on every phase is open, and times have their words.
const WIDE: usize = 40;
/// Columns of a step's line beside its name and its time: indent, glyph, gap, margin.
const STEP_EDGE: usize = 7;

/// One line of the list, and the step it stands for.
pub struct Row {
    pub line: Line<'static>,
    pub step: Option<StepId>,
}

pub fn sheet(model: &Model, width: u16) -> Sheet {
    let rows = rows(model, usize::from(width));
    let shown = view::shown(model);
    let at = rows.iter().position(|row| row.step.is_some() && row.step == shown);
    let lines = rows.into_iter().map(|row| row.line).collect();
    Sheet::new(lines, at.map_or(Rest::Top, Rest::At))
}

/// Every line of the list. Steps stand under the phase the run is in and under the one that is looked at.
pub fn rows(model: &Model, width: usize) -> Vec<Row> {
    let shown = view::shown(model);
    let current = view::current(model);
    let here = view::phase(model).map(|phase| phase.id.as_str());
    let plans = model.runbook.rollbacks.iter().flat_map(|plan| &plan.steps);
    let names: Vec<String> = model.runbook.steps().chain(plans).map(name).collect();
    let mut rows = Vec::new();
    for phase in &model.runbook.phases {
        let has = |id: &Option<StepId>| id.as_ref().is_some_and(|id| phase.steps.iter().any(|step| step.id == *id));
        let open = here == Some(phase.id.as_str()) || has(&shown) || has(&current) || width >= WIDE;
        rows.push(Row { line: phase_line(model, phase, here == Some(phase.id.as_str()), width), step: None });
        for step in phase.steps.iter().filter(|step| open && view::belongs(model, step)) {
            rows.push(step_row(model, step, &names, shown.as_ref(), width));
        }
    }
    rollback_rows(model, &names, shown.as_ref(), width, &mut rows);
    rows
}

fn name(step: &Step) -> String {
    clean::line(view::title(step), 80)
}

fn rollback_rows(model: &Model, names: &[String], shown: Option<&StepId>, width: usize, rows: &mut Vec<Row>) {
    let Some(rollback) = &model.state.rollback else {
        return;
    };
    let back = rollback.steps.iter().filter(|id| view::is_back(model, id)).count();
    let time = format!("{back} / {}", rollback.steps.len());
    let (glyph, ink) = if rollback.ended.is_some() { ("↩", Ink::Dim) } else { ("⤺", Ink::Bad) };
    rows.push(Row { line: joined(model, (glyph, ink), ("rollback", &[]), (time, Ink::Text), width, 0), step: None });
    let in_plan = |id: &&StepId| model.runbook.steps().all(|step| step.id != **id);
    let steps = rollback.steps.iter().filter(in_plan).filter_map(|id| model.runbook.step(id));
    rows.extend(steps.map(|step| step_row(model, step, names, shown, width)));
}

fn phase_line(model: &Model, phase: &Phase, here: bool, width: usize) -> Line<'static> {
    let run = model.state.phases.get(&phase.id);
    let took = run.and_then(|run| time::phase_took(model, run));
    let left = run.is_some_and(|run| run.left.is_some());
    let (glyph, ink) = match (took, left) {
        (Some(_), true) => ("✔", Ink::Good),
        (Some(_), false) if here && model.state.ended.is_none() => ("▶", Ink::Active),
        (Some(_), false) => match model.state.ended.as_ref().map(|(end, _, _)| *end) {
            Some(End::RolledBack) => ("↩", Ink::Dim),
            Some(End::Failed) => ("✖", Ink::Bad),
            Some(End::Done) => ("✔", Ink::Good),
            None => ("○", Ink::Text),
        },
        (None, _) => ("○", Ink::Text),
    };
    // A monitor phase takes all of its time by intent.
    let late = phase.kind != PhaseKind::Monitor
        && took.zip(phase.lasts).is_some_and(|(took, lasts)| u128::from(took) > lasts.as_millis());
    let plan = phase.lasts.map(text::planned);
    let time = match (took, plan) {
        (Some(took), Some(plan)) => format!("{} / {plan}", duration(took)),
        (Some(took), None) => duration(took),
        (None, Some(plan)) => plan,
        (None, None) => String::new(),
    };
    let name = clean::line(if phase.title.is_empty() { &phase.id } else { &phase.title }, 80);
    let time_ink = if late { Ink::Warn } else { Ink::Dim };
    let time = if late { format!("{time} LATE") } else { time };
    joined(model, (glyph, ink), (&name, &[]), (time, time_ink), width, 0)
}

/// `names`: of all steps, from which this one is to be told.
fn step_row(model: &Model, step: &Step, names: &[String], shown: Option<&StepId>, width: usize) -> Row {
    let run = model.state.step(&step.id);
    let status = run.map_or(StepStatus::Pending, |run| run.status.clone());
    let glyph = (model.look.glyph(&status), theme::ink(&status));
    let name = name(step);
    let room = width.saturating_sub(text::width(&name) + STEP_EDGE);
    let end = match run.and_then(|run| Some((run, run.done_ms().or_else(|| time::step_took(model, step))?))) {
        Some((run, ms)) if timed(&status) => step_time(model, step, run, ms, width, room),
        _ => step_word(model, step, &status),
    };
    let mut line = joined(model, glyph, (&name, names), end, width, 2);
    if shown == Some(&step.id) {
        line = line.patch_style(model.look.style(Ink::Selected));
    }
    Row { line, step: Some(step.id.clone()) }
}

/// True where time says more than the word: things go as they should.
fn timed(status: &StepStatus) -> bool {
    matches!(status, StepStatus::Done | StepStatus::Running | StepStatus::Undoing | StepStatus::Undone)
}

/// The word of a step; of one to come what it should take.
fn step_word(model: &Model, step: &Step, status: &StepStatus) -> (String, Ink) {
    if *status == StepStatus::Pending {
        let said = view::expected(step).map(text::planned);
        let rehearsed = || model.state.rehearsed_ms(&step.id, Direction::Forward).map(text::took);
        return (said.or_else(rehearsed).map(|time| format!("~{time}")).unwrap_or_default(), Ink::Dim);
    }
    (theme::word(status).to_owned(), theme::ink(status))
}

/// What the step took, with its word in a wide list, and beside the time of the rehearsal where the `room` that the whole
/// name leaves is enough for it.
fn step_time(model: &Model, step: &Step, run: &StepRun, ms: u64, width: usize, room: usize) -> (String, Ink) {
    let (word, ink) = (view::word(model, &run.status), theme::ink(&run.status));
    let running = matches!(run.status, StepStatus::Running | StepStatus::Undoing);
    let took = if running { duration(ms) } else { text::took(ms) };
    let slow = paced::is_slow(model, step, run);
    let mark = if slow { " slow" } else { "" };
    let (plain, ink) = match run.status {
        _ if width >= WIDE => (format!("{word} {took}{mark}"), ink),
        StepStatus::Done | StepStatus::Running => (format!("{took}{mark}"), Ink::Dim),
        _ => (word.to_owned(), ink),
    };
    let ink = if slow { Ink::Warn } else { ink };
    let rehearsed = paced::rehearsed_ms(model, step, run).filter(|_| plain != word);
    let both = rehearsed.map(|ms| format!("{took} / {}{mark}", text::took(ms)));
    let ways = both.into_iter().flat_map(|both| [format!("{word} {both}"), both]);
    let fits = ways.skip(usize::from(width < WIDE)).find(|way| text::width(way) <= room);
    (fits.unwrap_or(plain), ink)
}

/// Glyph and name to the left, time or word to the right, in exactly `width` columns. The name comes with those that it is to
/// be told from.
fn joined(
    model: &Model,
    (glyph, ink): (&str, Ink),
    (name, names): (&str, &[String]),
    (end, end_ink): (String, Ink),
    width: usize,
    indent: usize,
) -> Line<'static> {
    let used = 1 + indent + 2;
    let end_width = text::width(&end).min(width.saturating_sub(used + 8));
    let gap = usize::from(end_width > 0);
    let room = width.saturating_sub(used + end_width + gap + 1);
    let name = text::apart(name, names.iter().map(String::as_str), room);
    let name_ink = match ink {
        Ink::Dim => Ink::Dim,
        Ink::Active if indent == 0 => Ink::Strong,
        _ => Ink::Text,
    };
    Line::from(vec![
        Span::raw(" ".repeat(1 + indent)),
        Span::styled(format!("{glyph} "), model.look.style(ink)),
        Span::styled(text::left(&name, room), model.look.style(name_ink)),
        Span::raw(" ".repeat(gap)),
        Span::styled(text::right(&end, end_width), model.look.style(end_ink)),
        Span::raw(" "),
    ])
}
