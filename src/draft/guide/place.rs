//! Where each block of a guide belongs: the phase or way back its headings name, and the step it becomes part of.

use std::collections::{BTreeMap, BTreeSet};

use super::blocks::{Block, Kind};
use super::book::{Book, Followup, Part, Step, Verb};
use super::fence::{self, Unit, Work};
use super::words::{self, Topic};
use crate::draft::fit::fit;
use crate::draft::query;
use crate::draft::write::{Ids, slug};
use crate::runbook::sql::{self, Dialect};

const EXPLAINS: &str = "it explains, and no step follows it";

struct Heading {
    level: u8,
    text: String,
    line: usize,
    topic: Option<Topic>,
    /// It begins a phase.
    opens: bool,
}

pub struct Placer<'a> {
    pub book: Book,
    lines: &'a [&'a str],
    /// The text of a file beside the draft.
    read: &'a dyn Fn(&str) -> Option<String>,
    /// Headings of this level and above begin phases.
    level: u8,
    stack: Vec<Heading>,
    items: Vec<(String, Vec<usize>)>,
    /// Paragraphs that wait for a step.
    said: Vec<(String, Vec<usize>)>,
    /// Where the last step of this section went: a plan or a phase, and which step.
    last: Option<(bool, usize, usize)>,
    /// The block before said what comes out.
    expecting: bool,
    ids: Ids,
    part_ids: Ids,
    /// Plans (true) and phases by the lines of their headings.
    parts: BTreeMap<(bool, Vec<usize>), usize>,
    /// Items of the last follow-up.
    followed: BTreeSet<String>,
}

pub fn place(blocks: Vec<Block>, lines: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Book {
    let count = |level| blocks.iter().filter(|block| block.kind == Kind::Heading(level)).count();
    let level = (1..=6).find(|level| count(*level) > usize::from(*level == 1)).unwrap_or(2);
    let mut placer = Placer {
        book: Book::default(),
        lines,
        read,
        level,
        stack: Vec::new(),
        items: Vec::new(),
        said: Vec::new(),
        last: None,
        expecting: false,
        ids: Ids::of(&["read-the-draft"]),
        part_ids: Ids::of(&["draft"]),
        parts: BTreeMap::new(),
        followed: BTreeSet::new(),
    };
    for block in blocks {
        placer.block(block);
    }
    placer.end_section();
    if placer.book.roles.is_empty() {
        for step in
            placer.book.phases.iter_mut().flat_map(|part| &mut part.steps).filter(|step| step.verb == Verb::Poll)
        {
            step.dead = Some("a poll, and the guide names no roles".to_owned());
        }
    }
    placer.book
}

impl Placer<'_> {
    fn topic(&self) -> Topic {
        self.stack.last().and_then(|heading| heading.topic).unwrap_or(Topic::Background)
    }

    fn asks_nothing(&self) -> bool {
        matches!(self.topic(), Topic::Trouble | Topic::Background | Topic::Roles)
    }

    fn leave(&mut self, lines: &[usize], why: &str) {
        self.book.left.extend(lines.iter().map(|line| (*line, why.to_owned())));
    }

    fn block(&mut self, block: Block) {
        let expecting = std::mem::take(&mut self.expecting);
        match block.kind {
            Kind::Heading(level) => self.heading(level, block),
            Kind::Paragraph => self.paragraph(block),
            Kind::Item(tick) => self.item(tick, block),
            Kind::Row => self.item(None, block),
            Kind::Code(language) => {
                self.flush_items(None);
                self.code(&language, block.lines, expecting);
            }
        }
    }

    fn heading(&mut self, level: u8, block: Block) {
        self.end_section();
        while self.stack.last().is_some_and(|above| above.level >= level) {
            self.stack.pop();
        }
        let line = block.lines.first().copied().unwrap_or(1);
        let is_title = level == 1 && self.book.title.is_none();
        if is_title {
            self.book.title = Some(block.text.clone()).filter(|text| !text.is_empty());
            self.book.named.extend(&block.lines);
        }
        let above = self.stack.last().and_then(|heading| heading.topic);
        let topic = (!is_title).then(|| words::topic(&block.text, above));
        let clock = block.text.starts_with(|c: char| c.is_ascii_digit()) && words::clock(&block.text).is_some();
        let opens = !is_title && (level <= self.level || clock);
        self.stack.push(Heading { level, text: block.text, line, topic, opens });
        if topic == Some(Topic::GoNoGo) && above != Some(Topic::GoNoGo) {
            self.poll();
        }
    }

    /// The poll comes before its questions are known; they are asked first.
    fn poll(&mut self) {
        let title = "Go / no-go".to_owned();
        self.add(title, Verb::Poll, Vec::new(), Vec::new());
    }

    fn paragraph(&mut self, block: Block) {
        self.flush_items(None);
        if words::expects(&block.text) && self.last.is_some() {
            self.expecting = true;
            self.expected(block.text, &block.lines);
        } else if self.asks_nothing() {
            self.leave(&block.lines, EXPLAINS);
        } else {
            self.said.push((block.text, block.lines));
        }
    }

    /// What should come out of the last step.
    fn expected(&mut self, text: String, lines: &[usize]) {
        let Some(step) = self.last_step() else { return };
        if step.expect.is_none() && reads_once(&step.verb) {
            step.expect = words::expectation(&text);
        }
        step.help.push(text);
        step.lines.extend(lines);
    }

    fn last_step(&mut self) -> Option<&mut Step> {
        let (plan, part, step) = self.last?;
        let parts = if plan { &mut self.book.plans } else { &mut self.book.phases };
        parts.get_mut(part)?.steps.get_mut(step)
    }

    fn item(&mut self, tick: Option<bool>, block: Block) {
        let (text, ticked) = words::unticked(&block.text);
        if ticked || tick == Some(true) {
            self.book.ticks.extend(&block.lines);
        }
        if text.is_empty() {
            return self.leave(&block.lines, "an empty item");
        }
        match self.topic() {
            Topic::Followup(hours) => self.followup(hours, None, text, block.lines),
            Topic::Roles => self.role(&text, &block.lines),
            Topic::Trouble => {
                self.leave(&block.lines, "a known trouble: it belongs to the step it happens in (`trouble`)")
            }
            Topic::Background if tick.is_none() => self.leave(&block.lines, EXPLAINS),
            _ => match words::after(&text).filter(|_| text.to_lowercase().contains("after ")) {
                Some(hours) => self.followup(hours, Some(text.clone()), text, block.lines),
                None => self.items.push((text, block.lines)),
            },
        }
    }

    fn role(&mut self, text: &str, lines: &[usize]) {
        let name = text.split([':', '(']).next().unwrap_or_default().trim().to_owned();
        let id = slug(&name);
        let everybody = matches!(id.as_str(), "all" | "everybody" | "everyone" | "team");
        let known = self.book.roles.iter().any(|(known, _, _)| *known == id);
        if !known && !everybody && !id.is_empty() && name.len() <= 60 && text.contains(':') {
            self.book.roles.push((id, name, lines.first().copied().unwrap_or(1)));
        }
        self.leave(lines, "a duty of a role: say it in the steps the role does");
    }

    fn followup(&mut self, hours: u32, title: Option<String>, item: String, lines: Vec<usize>) {
        let heading = self.stack.last().map(|heading| (heading.text.clone(), heading.line));
        let alone = title.is_some();
        let title = title.or(heading.clone().map(|(text, _)| text)).unwrap_or_else(|| item.clone());
        let lines = lines.into_iter().chain(heading.filter(|_| !alone).map(|(_, line)| line));
        if let Some(last) =
            self.book.followups.last_mut().filter(|last| !alone && last.title == title && last.hours == hours)
        {
            last.lines.extend(lines);
            if self.followed.insert(item.clone()) {
                last.items.push(item);
            }
            return;
        }
        let id = self.part_ids.unused(&slug(&title), "followup");
        self.followed = BTreeSet::from([item.clone()]);
        self.book.followups.push(Followup { id, title, hours, items: vec![item], lines: lines.collect() });
    }

    /// Makes a checklist of the items that were gathered.
    fn flush_items(&mut self, title: Option<(String, usize)>) {
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            if let Some((text, line)) = title {
                self.items.push((text, vec![line]));
                self.flush_items(None);
            }
            return;
        }
        let mut asked: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        let mut lines = Vec::new();
        for (text, at) in items {
            lines.extend(at);
            if known.insert(text.clone()) {
                asked.push(text);
            }
        }
        let words = title.map(|(text, line)| {
            lines.push(line);
            text
        });
        let title = words.unwrap_or_else(|| self.name());
        self.add(title, Verb::Checklist(asked), lines, Vec::new());
    }

    fn end_section(&mut self) {
        self.flush_items(None);
        let said = std::mem::take(&mut self.said);
        for (text, lines) in said {
            match self.last_step() {
                Some(step) => {
                    step.help.push(text);
                    step.lines.extend(lines);
                }
                None => self.leave(&lines, EXPLAINS),
            }
        }
        self.last = None;
    }

    /// What the section is called.
    fn name(&self) -> String {
        let name = self.stack.last().map(|heading| heading.text.clone()).filter(|text| !text.trim().is_empty());
        name.unwrap_or_else(|| "Checklist".to_owned())
    }

    fn code(&mut self, language: &str, numbers: Vec<usize>, expecting: bool) {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return };
        let all: Vec<(usize, &str)> = (*first..=*last).filter_map(|n| Some((n, *self.lines.get(n - 1)?))).collect();
        if self.topic() == Topic::Trouble {
            return self.leave(&numbers, "a known trouble: it belongs to the step it happens in (`trouble`)");
        }
        if expecting && !matches!(language, "sql" | "bash" | "sh" | "shell") {
            let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
            return self.expected(text.join("\n"), &numbers);
        }
        match (language, fence::looks_like(&all)) {
            ("sql" | "postgresql" | "pgsql" | "postgres" | "psql", _) | ("", "sql") => {
                self.units(fence::sql_units(&all))
            }
            ("bash" | "sh" | "shell" | "zsh" | "console", _) | ("", "shell") => self.units(fence::shell_units(&all)),
            ("" | "text" | "txt" | "plain", _) if !self.asks_nothing() => self.tree(&all),
            ("" | "text" | "txt" | "plain", _) => self.leave(&numbers, EXPLAINS),
            (other, _) => self.leave(&numbers, &format!("a fence of `{other}`: neither SQL nor a shell")),
        }
    }

    /// A plain fence: lines with the signs of a tree, or ticks, are items; lines without begin a group.
    fn tree(&mut self, all: &[(usize, &str)]) {
        const SIGNS: [char; 12] = ['│', '├', '└', '─', '|', '+', '-', '*', '•', '`', ' ', '\t'];
        let is_item =
            |line: &str| line.trim_start().starts_with(SIGNS) || words::unticked(line).0.len() < line.trim().len();
        if !all.iter().any(|(_, line)| is_item(line)) {
            let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
            let lines = all.iter().filter(|(_, line)| !line.trim().is_empty()).map(|(n, _)| *n).collect();
            let name = self.name();
            return self.add(name.clone(), Verb::Checklist(vec![name]), lines, vec![text.join("\n")]);
        }
        let mut group: Option<(String, usize)> = None;
        for (n, line) in all.iter().filter(|(_, line)| line.contains(char::is_alphanumeric)) {
            let (text, ticked) = words::unticked(line.trim_matches(SIGNS));
            if ticked {
                self.book.ticks.push(*n);
            }
            if is_item(line) && !text.ends_with(':') {
                self.items.push((text, vec![*n]));
            } else {
                let before = group.replace((text, *n));
                self.flush_items(before);
            }
        }
        self.flush_items(group);
    }

    fn units(&mut self, units: Vec<Unit>) {
        let mut warns = false;
        for mut unit in units {
            // A warning holds for what follows it, up to the next words; behind one stands how to do it.
            let warning = unit.lead.iter().rposition(|line| words::is_warning(line));
            let advice = unit.lead.iter().rposition(|line| words::is_advice(line)).filter(|at| warning < Some(*at));
            warns = if unit.lead.is_empty() { warns } else { warning.is_some() && advice.is_none() };
            if let (Some(_), Some(at)) = (warning, advice) {
                unit.lead[..=at].rotate_right(1);
            }
            match warns {
                true => self.leave(&unit.lines, "an example of what not to do"),
                false => self.unit(unit),
            }
        }
    }

    fn unit(&mut self, unit: Unit) {
        let mut help: Vec<String> =
            unit.lead.iter().skip(1).chain(&unit.said).filter(|words| !words.is_empty()).cloned().collect();
        // A tick before a statement would stand as an answer in the step's title.
        let said = unit.lead.first().map(|words| words::unticked(words).0);
        let title = said.filter(|words| words.contains(char::is_alphanumeric)).unwrap_or_else(|| self.name());
        let (mut outside, mut asks) = (false, false);
        let verb = match unit.work {
            Work::Left(why) => return self.leave(&unit.lines, &why),
            Work::Note => {
                help.insert(0, title.clone());
                let name = self.name();
                return self.add(name.clone(), Verb::Checklist(vec![name]), unit.lines, help);
            }
            Work::Prose(items) => Verb::Checklist(items.into_iter().map(|(text, _)| text).collect()),
            Work::Shell(text) => Verb::Shell(text),
            Work::File(path) => match (self.read)(&path).map(|text| fit(&text).map(|fit| (fit, query::asks(&text)))) {
                Some(Ok((fit, asked))) => {
                    (outside, asks) = (fit.alone, asked);
                    match fit.without {
                        Some(text) => {
                            help.push(format!("{path} without its BEGIN and COMMIT: gonogo begins and commits"));
                            Verb::Sql(text)
                        }
                        None => Verb::File(path),
                    }
                }
                Some(Err(why)) => return self.leave(&unit.lines, &format!("{path}: {}", why.message)),
                None => Verb::Psql(path),
            },
            Work::Sql(text) => match fit(&text) {
                Ok(fit) => {
                    (outside, asks) = (fit.alone, query::asks(&text));
                    Verb::Sql(fit.without.unwrap_or(text))
                }
                Err(why) => return self.leave(&unit.lines, &why.message),
            },
        };
        let expect = unit.expected.iter().find_map(|words| words::expectation(words)).filter(|_| reads_once(&verb));
        help.extend(unit.expected);
        self.add(title, verb, unit.lines, help);
        if let Some(step) = self.last_step() {
            step.expect = expect;
            (step.asks, step.outside) = (asks, outside);
        }
    }

    /// Adds a step where the headings say, with the paragraphs that waited for it.
    fn add(&mut self, title: String, verb: Verb, mut lines: Vec<usize>, help: Vec<String>) {
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
        let id = self.ids.unused(&slug(&title), "step");
        let step =
            Step { id, title, help: all_help, verb, expect: None, asks: false, outside: false, lines, dead: None };
        let parts = if plan { &mut self.book.plans } else { &mut self.book.phases };
        if let Some(home) = parts.get_mut(part) {
            // The questions of a poll are asked before it.
            let polled = home.steps.last().is_some_and(|step| step.verb == Verb::Poll);
            let at =
                if polled && matches!(step.verb, Verb::Checklist(_)) { home.steps.len() - 1 } else { home.steps.len() };
            home.steps.insert(at, step);
            self.last = Some((plan, part, at));
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
        self.book.plans.push(Part { id, title, kind: "", starts: None, lasts: None, steps: Vec::new(), lines });
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
        let lasts = words::lasts(&title);
        let clock = words::clock(&title);
        let kind = match heading.and_then(|heading| heading.topic) {
            Some(Topic::Prepare | Topic::GoNoGo) | None => "prepare",
            Some(Topic::Verify | Topic::Criteria) => "verify",
            Some(Topic::Monitor) => "monitor",
            _ => "migrate",
        };
        let (starts, end) = clock.map_or((None, None), |(start, end)| (Some(start), end));
        let lasts =
            lasts.or(starts.zip(end).and_then(|(start, end)| end.checked_sub(start)).filter(|minutes| *minutes > 0));
        // A phase that watches needs its length; the guide does not say it.
        let kind = if kind == "monitor" && lasts.is_none() { "verify" } else { kind };
        let id = self.part_ids.unused(&slug(&title), "phase");
        self.book.phases.push(Part { id, title, kind, starts, lasts, steps: Vec::new(), lines });
        (self.book.phases.len() - 1, path)
    }
}

/// One query, whose answer an expectation can be about.
fn reads_once(verb: &Verb) -> bool {
    let Verb::Sql(text) = verb else { return false };
    sql::split(text, Dialect::Postgres).is_ok_and(|pieces| pieces.len() == 1) && sql::only_reads(text)
}
