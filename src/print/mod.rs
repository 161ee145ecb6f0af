//! The headless face: entries as lines for a pipe, a log or a plain terminal. Makes text, writes nothing itself.

mod findings;
mod json;
mod output;
mod plan;
mod summary;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use unicode_width::UnicodeWidthStr;

use crate::run::describe::{self, Line, Tone};
use crate::run::rehearsed::{much_quicker, much_slower};
use crate::run::state::StepRun;
use crate::run::{Attempt, Entry, Event, Outcome, RunState, words};
use crate::runbook::Runbook;

pub use findings::{Finding, Level, findings, findings_json};
use output::Pending;
pub use plan::plan;

pub use json::{JSON_BYTES, json};
pub use summary::{quoted, summary};

/// A number that moves quietly is said again after so many milliseconds of the run.
const SAMPLE_EVERY_MS: u64 = 60_000;
/// Columns where the width of the terminal is not known.
const WIDTH: usize = 120;
/// The narrowest and widest column for subjects.
const SUBJECT: (usize, usize) = (8, 24);

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Face {
    /// One JSON object per entry instead of text.
    pub json: bool,
    /// ANSI colours; only for a terminal, and never under `NO_COLOR`.
    pub colour: bool,
    /// Columns that tables may take; 0: not known.
    pub width: usize,
}

/// Turns the entries of one run, in order, into lines.
pub struct Printer {
    runbook: Arc<Runbook>,
    face: Face,
    state: RunState,
    subject: usize,
    pending: BTreeMap<Attempt, Pending>,
    said: BTreeMap<String, Said>,
    /// The day that was last named.
    day: Option<NaiveDate>,
}

/// What was last said of a probe.
struct Said {
    ms: u64,
    /// Why there was no data; none: there was.
    missing: Option<String>,
}

impl Printer {
    pub fn new(runbook: Arc<Runbook>, face: Face) -> Self {
        let steps = runbook.steps().map(|step| step.id.0.as_str());
        let names = steps.chain(runbook.triggers.iter().map(|trigger| trigger.id.as_str()));
        let longest = names.map(UnicodeWidthStr::width).max().unwrap_or(0);
        Self {
            subject: longest.clamp(SUBJECT.0, SUBJECT.1),
            runbook,
            face,
            state: RunState::default(),
            pending: BTreeMap::new(),
            said: BTreeMap::new(),
            day: None,
        }
    }

    /// The lines of the next entry, each ended by a line feed; empty where there is nothing to say.
    /// In JSON mode always exactly one line.
    pub fn entry(&mut self, entry: &Entry) -> String {
        self.state.apply(entry);
        if self.face.json {
            return json(entry) + "\n";
        }
        let said = self.said_of(entry);
        match said.is_empty() {
            true => said,
            false => self.new_day(entry) + &said,
        }
    }

    fn said_of(&mut self, entry: &Entry) -> String {
        match &entry.event {
            Event::Output { attempt, chunk } => {
                let width = self.room();
                let lines = self.pending.entry(attempt.clone()).or_default().push(chunk, width);
                self.indented(&attempt.step.0, &lines)
            }
            Event::StepEnded { attempt, outcome } => {
                let rest = self.pending.remove(attempt).map(|pending| pending.finish(self.room()));
                let rest = self.indented(&attempt.step.0, &rest.unwrap_or_default());
                let more = self.indented(&attempt.step.0, &explained(outcome));
                rest + &self.sentence(entry) + &more
            }
            Event::SampleTaken { .. } => self.sample(entry),
            _ => self.sentence(entry),
        }
    }

    /// Clocks name no day: a line of its own does, at the start and after midnight.
    fn new_day(&mut self, entry: &Entry) -> String {
        let zone = self.runbook.window.zone;
        let day = words::day(entry.at.wall, zone);
        if self.day.replace(day) == Some(day) {
            return String::new();
        }
        let zone = zone.map_or("UTC", |zone| zone.name());
        let text = format!("{}, {zone}", day.format("%A %Y-%m-%d"));
        self.paint("\x1b[2m", &text) + "\n"
    }

    /// What became of the run, and what to type next.
    pub fn summary(&self, journal: Option<&str>) -> String {
        summary(&self.state, &self.runbook, journal)
    }

    /// Where the run stands by now, in a line. The day is named again behind it.
    pub fn standing(&mut self) -> String {
        self.day = None;
        summary::standing(&self.state, &self.runbook)
    }

    pub fn state(&self) -> &RunState {
        &self.state
    }

    fn sentence(&self, entry: &Entry) -> String {
        let Some(mut line) = describe::parts(entry, &self.runbook) else {
            return String::new();
        };
        if let Event::TriggerBreached { trigger } | Event::TriggerCleared { trigger } = &entry.event {
            line.text.push_str(&self.measured(trigger));
        }
        if let Event::StepEnded { attempt, .. } = &entry.event
            && let Some(ms) = self.state.step(&attempt.step).and_then(StepRun::done_ms)
        {
            self.compare(attempt, ms, &mut line);
        }
        self.line(entry, &line)
    }

    /// Says the time of the rehearsal where the step took much longer, or was so quick that it may have found less to do.
    fn compare(&self, attempt: &Attempt, ms: u64, line: &mut Line) {
        let Some(rehearsed) = self.state.rehearsed_ms(&attempt.step, attempt.direction) else {
            return;
        };
        let word = match (much_slower(ms, rehearsed), much_quicker(ms, rehearsed)) {
            (true, _) => "slower",
            (_, true) => "quicker",
            _ => return,
        };
        line.text.push_str(&format!(", much {word} than rehearsed ({})", words::duration(rehearsed)));
        line.tone = Tone::Warn;
    }

    /// ` (error_rate 3.2 %)`: what the probes of a trigger said last.
    fn measured(&self, trigger: &str) -> String {
        let when = self.runbook.trigger(trigger).map_or("", |trigger| &trigger.when.source);
        let last = |id: &str| Some((id.to_owned(), self.state.probes.get(id)?.last_valid?.1));
        let probes = describe::probes_in(when, &self.runbook);
        let values: Vec<_> = probes.into_iter().filter_map(last).collect();
        match values.is_empty() {
            true => String::new(),
            false => format!(" ({})", describe::values(&values, &self.runbook)),
        }
    }

    /// The first sample, every change between data and none, and a reminder now and then.
    fn sample(&mut self, entry: &Entry) -> String {
        let Event::SampleTaken { probe, value, .. } = &entry.event else {
            return String::new();
        };
        let missing = value.as_ref().err().map(|no| no.reason.clone());
        if let Some(said) = self.said.get(probe)
            && said.missing == missing
            && entry.at.ms.saturating_sub(said.ms) < SAMPLE_EVERY_MS
        {
            return String::new();
        }
        let ms = entry.at.ms;
        self.said.insert(probe.clone(), Said { ms, missing });
        match describe::sample(entry, &self.runbook) {
            Some(line) => self.line(entry, &line),
            None => String::new(),
        }
    }

    fn line(&self, entry: &Entry, line: &Line) -> String {
        let clock = describe::clock(entry.at, self.runbook.window.zone);
        let subject = line.subject.as_deref().unwrap_or("run");
        let subject = format!("{subject}{}", " ".repeat(self.subject.saturating_sub(subject.width())));
        format!("{}  {subject}  {}\n", self.paint("\x1b[2m", &clock), self.toned(line.tone, &line.text))
    }

    /// Lines of output under their step.
    fn indented(&self, step: &str, lines: &[String]) -> String {
        let subject = words::name(step);
        let pad = " ".repeat(self.subject.saturating_sub(subject.width()));
        let one = |line: &String| format!("          {}{pad}  {line}\n", self.paint("\x1b[2m", &subject));
        lines.iter().map(one).collect()
    }

    /// Columns left for output after clock and subject.
    fn room(&self) -> usize {
        let width = if self.face.width == 0 { WIDTH } else { self.face.width };
        width.saturating_sub(self.subject + 14).max(20)
    }

    fn toned(&self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Good => self.paint("\x1b[32m", text),
            Tone::Warn => self.paint("\x1b[33m", text),
            Tone::Bad => self.paint("\x1b[1;31m", text),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.face.colour {
            true => format!("{colour}{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// What the sentence of a failure leaves out: detail, hint, and what the runbook knows of it.
fn explained(outcome: &Outcome) -> Vec<String> {
    let (Outcome::Failed { fault, .. } | Outcome::Broke { fault }) = outcome else {
        return Vec::new();
    };
    let (cause, fix) = fault.trouble.as_ref().map(|(cause, fix)| (cause, fix)).unzip();
    let parts = [("detail", fault.detail.as_ref()), ("hint", fault.hint.as_ref()), ("cause", cause), ("fix", fix)];
    let said = parts.into_iter().filter_map(|(label, text)| Some((label, text?)));
    said.map(|(label, text)| format!("{label}: {}", words::phrase(text))).collect()
}
