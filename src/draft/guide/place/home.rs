//! Where a step belongs: the phase or the way back that its headings name.

use super::super::book::{Part, Step, Verb};
use super::super::times;
use super::super::words::Topic;
use super::{Heading, Placer, named};
use crate::draft::write::slug;

impl Placer<'_> {
    /// Adds a step where the headings say, with the paragraphs that waited for it.
    pub(super) fn add(&mut self, title: String, verb: Verb, mut lines: Vec<usize>, help: Vec<String>) {
        let plan = self.topic() == Topic::Rollback;
        let (part, path) = if plan { self.plan() } else { self.phase() };
        let mut all_help: Vec<String> = Vec::new();
        let texts: Vec<&str> = path.iter().map(|(text, _)| text.as_str()).collect();
        if !texts.is_empty() && texts != [title.as_str()] {
            all_help.push(texts.join(" › "));
        }
        lines.extend(path.iter().map(|(_, line)| *line));
        for (text, at) in std::mem::take(&mut self.said) {
            all_help.push(text);
            lines.extend(at);
        }
        all_help.extend(help);
        let title = named::title(&title);
        let id = self.ids.unused(&slug(&times::without_length(&title)), "step");
        let (trouble, others) = (Vec::new(), Vec::new());
        let step = Step {
            id,
            title,
            help: all_help,
            verb,
            expect: None,
            asks: false,
            outside: false,
            trouble,
            others,
            lines,
            dead: None,
        };
        let parts = if plan { &mut self.book.plans } else { &mut self.book.phases };
        if let Some(home) = parts.get_mut(part) {
            // The questions of a poll are asked before it.
            let polled = home.steps.last().is_some_and(|step| matches!(step.verb, Verb::Poll(_)));
            let at =
                if polled && matches!(step.verb, Verb::Checklist(_)) { home.steps.len() - 1 } else { home.steps.len() };
            home.steps.insert(at, step);
            self.last = Some((plan, part, at));
            if let Some(options) = self.options.as_mut().filter(|options| !options.aside && options.first.is_none()) {
                options.first = self.last;
            }
        }
    }

    /// The way back that the headings name, and the headings below it.
    fn plan(&mut self) -> (usize, Vec<(String, usize)>) {
        let of: Vec<&Heading> = self.stack.iter().filter(|heading| heading.topic == Some(Topic::Rollback)).collect();
        let title = of.iter().map(|heading| heading.text.as_str()).collect::<Vec<_>>().join(" › ");
        let lines: Vec<usize> = of.iter().map(|heading| heading.line).collect();
        let name = of.last().map(|heading| slug(&heading.text)).unwrap_or_default();
        if let Some(at) = self.parts.get(&(true, lines.clone())) {
            return (*at, Vec::new());
        }
        self.parts.insert((true, lines.clone()), self.book.plans.len());
        let id = self.part_ids.unused(&name, "rollback");
        self.book.plans.push(Part { id, title, lines, ..Part::default() });
        (self.book.plans.len() - 1, Vec::new())
    }

    /// The phase that the headings name, and the headings below it.
    fn phase(&mut self) -> (usize, Vec<(String, usize)>) {
        let at = self.stack.iter().rposition(|heading| heading.opens);
        let below = self.stack.iter().skip(at.map_or(0, |at| at + 1)).filter(|heading| heading.topic.is_some());
        let path: Vec<(String, usize)> = below.map(|heading| (heading.text.clone(), heading.line)).collect();
        let heading = at.and_then(|at| self.stack.get(at));
        let lines: Vec<usize> = heading.map(|heading| heading.line).into_iter().collect();
        if let Some(at) = self.parts.get(&(false, lines.clone())) {
            return (*at, path);
        }
        self.parts.insert((false, lines.clone()), self.book.phases.len());
        let title = heading.map_or("Before the first heading", |heading| heading.text.as_str()).to_owned();
        let lasts = times::lasts(&title);
        let clock = times::clock(&title);
        let kind = match heading.and_then(|heading| heading.topic) {
            Some(Topic::Prepare | Topic::GoNoGo) | None => "prepare",
            Some(Topic::Verify | Topic::Criteria) => "verify",
            Some(Topic::Monitor) => "monitor",
            // A list to tick off among advice changes nothing.
            Some(Topic::Explains) => {
                if self.book.phases.iter().any(|part| part.kind == "migrate") {
                    "verify"
                } else {
                    "prepare"
                }
            }
            _ => "migrate",
        };
        let (starts, end) = clock.map_or((None, None), |(start, end)| (Some(start), end));
        let lasts =
            lasts.or(starts.zip(end).and_then(|(start, end)| end.checked_sub(start)).filter(|minutes| *minutes > 0));
        // A phase that watches needs its length; the guide does not say it.
        let kind = if kind == "monitor" && lasts.is_none() { "verify" } else { kind };
        let id = self.part_ids.unused(&slug(&times::without_length(&title)), "phase");
        let topic = heading.and_then(|heading| heading.topic);
        let (criteria, decides) = (topic == Some(Topic::Criteria), topic == Some(Topic::GoNoGo));
        self.book.phases.push(Part { id, title, kind, starts, lasts, lines, criteria, decides, ..Part::default() });
        (self.book.phases.len() - 1, path)
    }
}
