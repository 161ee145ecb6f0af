//! What came of the step: how far it is, how it ended, what it printed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Rest, Sheet, fault};
use crate::run::describe::{self, duration};
use crate::run::facts::{Facts, Outcome, Verdict};
use crate::run::output;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{Batches, clean, words as said};
use crate::runbook::Step;
use crate::tui::message::Link;
use crate::tui::model::{Model, Pane};
use crate::tui::theme::{self, Ink};
use crate::tui::view::{self, paced, time};
use crate::tui::{table, text};

/// True where the step on the screen has something to show but itself.
pub fn has_any(model: &Model) -> bool {
    view::shown_step(model).and_then(|(_, run)| run).is_some_and(|run| {
        let quiet = run.status == StepStatus::Running && view::human(model).is_some();
        run.status != StepStatus::Pending && !quiet
    })
}

/// Rows that all of it would take.
pub fn height(model: &Model, width: u16) -> u16 {
    let area = Rect::new(0, 0, width, 0);
    let rows = pinned(model, width).len() + super::sheet(model, Pane::Result, area).lines.len();
    rows.min(usize::from(u16::MAX)) as u16
}

pub fn paint(model: &Model, frame: &mut Frame, area: Rect) {
    let pinned = pinned(model, area.width);
    let rows = (pinned.len() as u16).min(area.height);
    frame.render_widget(Paragraph::new(pinned), Rect { height: rows, ..area });
    let rest = Rect { y: area.y + rows, height: area.height - rows, ..area };
    super::paint(model, frame, Pane::Result, rest);
}

/// The lines that stay in sight while the rest scrolls: state, wait, judgement.
pub fn pinned(model: &Model, width: u16) -> Vec<Line<'static>> {
    let Some((step, Some(run))) = view::shown_step(model) else {
        return Vec::new();
    };
    let width = usize::from(width);
    let look = model.look;
    let mut out = Vec::new();
    let mut say = |ink: Ink, words: &str| {
        let lines = text::wrap(words, width.saturating_sub(2)).into_iter();
        out.extend(lines.map(|line| Line::styled(format!(" {line}"), look.style(ink))));
    };
    match run.status {
        StepStatus::Pending => {}
        StepStatus::Running | StepStatus::Undoing => {
            match batches(model, run) {
                Some(batches) => super::batches::lines(model, &batches, spinner(model), (step, run), width, &mut say),
                None => say(Ink::Active, &at_work(model, step, run)),
            }
            if let Some(unknown) = time::unknown_since(model) {
                let clock = time::short_clock(model, unknown.wall);
                say(Ink::Warn, &format!("nothing is known of it since {clock}"));
            } else if let Some(waiting) = waiting(model, run) {
                say(Ink::Warn, &format!("waiting for {waiting}"));
            }
        }
        StepStatus::Skipped => say(Ink::Dim, &claimed(run, "↷ skipped")),
        StepStatus::Left => say(Ink::Dim, &left(model, run)),
        StepStatus::UndoSkipped => say(Ink::Bad, &claimed(run, "✗ its undo was skipped")),
        // How a failure happened is the sheet's first part: it is long, and scrolls.
        StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed if run.claim.is_none() => {}
        _ => say(theme::ink(&run.status), &over(model, step, run)),
    }
    if let Some(slow) = slow(model, step, run) {
        say(Ink::Warn, &slow);
    }
    if let Some(verdict) = verdict(run) {
        let ink = if verdict.passed { Ink::Good } else { Ink::Bad };
        say(ink, &verdict_words(verdict));
    }
    out
}

/// That it takes, or took, much longer than in the rehearsal.
fn slow(model: &Model, step: &Step, run: &StepRun) -> Option<String> {
    paced::slow_words(model, step, run)
}

/// ` / 38 s rehearsed`; nothing where that is not known.
pub fn beside(model: &Model, step: &Step, run: &StepRun) -> String {
    let rehearsed = paced::rehearsed_ms(model, step, run);
    rehearsed.map(|ms| format!(" / {} rehearsed", text::took(ms))).unwrap_or_default()
}

fn verdict(run: &StepRun) -> Option<&Verdict> {
    match run.outcome.as_ref()? {
        Outcome::Done { verdict, .. } | Outcome::Failed { verdict, .. } => verdict.as_ref(),
        _ => None,
    }
}

fn verdict_words(verdict: &Verdict) -> String {
    let expect = clean::line(&verdict.expect, 300);
    let saw = clean::line(&verdict.saw, 300);
    match verdict.passed {
        true => format!("✔ expected {expect}: saw {saw}"),
        false => format!("✖ expected {expect}: but saw {saw}"),
    }
}

/// `⠋ statement 3 of 7 · 1,204 rows · 0.2 s of about 0.2 s`.
fn at_work(model: &Model, step: &Step, run: &StepRun) -> String {
    let progress = run.attempt.as_ref().and_then(|attempt| model.progress.get(attempt));
    let statement = run.output.statement.max(progress.map_or(0, |progress| progress.statement));
    let of = run.output.of.max(progress.map_or(0, |progress| progress.of));
    let rows = run.output.rows.max(progress.map_or(0, |progress| progress.rows));
    let mut words = Vec::new();
    if of > 0 {
        words.push(format!("statement {statement} of {of}"));
    }
    if rows > 0 {
        words.push(text::plural(rows as usize, "row"));
    }
    if let Some(bytes) = progress.map(|progress| progress.bytes).filter(|bytes| *bytes > 0 && rows == 0) {
        words.push(text::plural(bytes as usize, "byte"));
    }
    words.push(clock(model, step, run));
    if run.cancel_asked {
        words.push("cancel asked".to_owned());
    }
    format!("{} {} · {}", spinner(model), view::word(model, &run.status), words.join(" · "))
}

/// `41 s of about 40s`, `41 s / 38 s rehearsed`.
fn clock(model: &Model, step: &Step, run: &StepRun) -> String {
    let (elapsed, beside) = (paced::elapsed(model, run), beside(model, step, run));
    let took = duration(elapsed);
    match view::expected(view::acting(step, Some(run))) {
        Some(expected) => {
            let late = u128::from(elapsed) > 2 * expected.as_millis().max(1_000);
            let word = if late { ", LONGER THAN EXPECTED" } else { "" };
            format!("{took} of about {}{beside}{word}", text::planned(expected))
        }
        None if beside.is_empty() => format!("{took}, no estimate"),
        None => took + &beside,
    }
}

/// How far a step in batches is: what moves where the engine tells it, else what is journaled.
fn batches(model: &Model, run: &StepRun) -> Option<Batches> {
    let live = run.attempt.as_ref().and_then(|attempt| model.progress.get(attempt)?.batches.as_deref());
    live.or(run.output.batches.as_deref()).cloned()
}

/// A sign of life where motion is welcome, else the plain sign of running.
fn spinner(model: &Model) -> &'static str {
    const FRAMES: [&str; 4] = ["◐", "◓", "◑", "◒"];
    const PLAIN: [&str; 4] = ["|", "/", "-", "\\"];
    let n = (model.now.ms / 250) as usize % FRAMES.len();
    let still = model.look.still || model.link != Link::Up || model.is_replay();
    match (still, model.look.ascii) {
        (true, _) => "▶",
        (false, true) => PLAIN[n],
        (false, false) => FRAMES[n],
    }
}

fn waiting(model: &Model, run: &StepRun) -> Option<String> {
    let progress = model.progress.get(run.attempt.as_ref()?)?;
    Some(clean::line(progress.waiting.as_ref()?, 400))
}

fn claimed(run: &StepRun, word: &str) -> String {
    match &run.claim {
        Some((by, reason)) => format!("{word} by {}: {}", clean::line(by, 60), clean::line(reason, 600)),
        None => word.to_owned(),
    }
}

/// `✔ done in 0.2 s · 3 rows`, or how a person settled it.
/// Why nobody answers it any more.
fn left(model: &Model, run: &StepRun) -> String {
    let why = match &run.outcome {
        Some(Outcome::Broke { fault }) => clean::line(&fault.summary, 200),
        _ => theme::word(&run.status).to_owned(),
    };
    format!("{} {why}", model.look.glyph(&run.status))
}

fn over(model: &Model, step: &Step, run: &StepRun) -> String {
    let word = format!("{} {}", model.look.glyph(&run.status), theme::word(&run.status));
    if run.claim.is_some() {
        return claimed(run, &format!("{word}, as settled"));
    }
    match &run.outcome {
        Some(Outcome::Done { facts, .. }) => {
            let mut words = vec![format!("{word} in {}{}", text::took(facts.ms), beside(model, step, run))];
            let attempt = run.attempt.as_ref().filter(|_| facts.affected == Some(0));
            let writes = attempt.is_some_and(|attempt| describe::writes_rows(&model.runbook, attempt));
            words.extend(facts_words(facts, writes));
            words.join(" · ")
        }
        Some(Outcome::Unknown { known }) => {
            format!("{word}: it may have happened. {}", clean::line(known, 1_000))
        }
        _ => word,
    }
}

fn facts_words(facts: &Facts, writes: bool) -> Vec<String> {
    let mut words = Vec::new();
    let rows = || facts.rows.map(|rows| text::plural(rows as usize, "row"));
    words.extend(said::copied(facts).or_else(rows));
    words.extend(said::written(facts, writes));
    if let Some(batches) = facts.batches {
        words.push(if batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") });
    }
    if let Some(exit) = facts.exit {
        words.push(format!("exit {exit}"));
    }
    if let Some(status) = facts.status {
        words.push(format!("status {status}"));
    }
    if let Some(file) = &facts.file {
        let path = clean::line(&file.path, 200);
        words.push(format!("{path}, {}", text::plural(file.size as usize, "byte")));
    }
    words
}

/// What the sheet is made of: the step, its last change, its output, the place to show it in.
pub fn mark(model: &Model, width: u16) -> u64 {
    let run = view::shown_step(model).and_then(|(step, run)| Some((step, run?)));
    let of = run.map(|(step, run)| {
        let output = &run.output;
        let tail = match output.lines.back() {
            Some(output::Line::Text { text, .. }) => text.len(),
            _ => 0,
        };
        (&step.id, run.changed, output.lines.len(), output.dropped, tail)
    });
    super::mark((of, width, model.column))
}

/// The failure, then the output. The tail is followed unless something failed: then the failure is read first.
pub fn sheet(model: &Model, width: u16) -> Sheet {
    let Some((_, Some(run))) = view::shown_step(model) else {
        return Sheet::default();
    };
    let width = usize::from(width);
    let mut lines = Vec::new();
    let mut rest = Rest::Tail;
    let word = theme::word(&run.status);
    match &run.outcome {
        Some(Outcome::Failed { fault, .. } | Outcome::Broke { fault }) if run.claim.is_none() => {
            lines.extend(fault::lines(model, word, fault, run.resolved.as_ref(), width));
            rest = Rest::Top;
        }
        _ => {}
    }
    if rest == Rest::Top && !run.output.lines.is_empty() {
        lines.push(Line::default());
    }
    let printed = table::lines(&run.output, width.saturating_sub(1), model.column, model.look);
    lines.extend(printed.into_iter().map(|mut line| {
        let bare = line.spans.first().is_none_or(|span| !span.content.starts_with([' ', '─']));
        if bare {
            line.spans.insert(0, Span::raw(" "));
        }
        line
    }));
    Sheet::new(lines, rest)
}
