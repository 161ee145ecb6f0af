//! Where each block of a guide belongs: the phase or way back its headings name, and the step it becomes part of.

mod code;
mod criteria;
mod home;
mod later;
mod named;
mod objects;
mod options;
mod people;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use super::blocks::{Block, Kind};
use super::book::{Book, Note, Step, Verb};
use super::measured::measured;
use super::words::{self, Topic};
use super::{answers, hints, times};
use crate::draft::write::{Ids, slug};

const EXPLAINS: &str = "it explains, and no step follows it";

const DECIDED: &str = "a decision taken in advance: the poll asks for it";

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
    /// Follow-ups by their title and hours, and what each has already.
    followed: BTreeMap<(String, Option<u32>), usize>,
    followed_items: BTreeSet<(usize, String)>,
    /// Whom the guide introduced by name.
    people: Vec<people::Person>,
    options: Option<options::Options>,
    told: Vec<trouble::Told>,
    /// The item right above a fence: the title of what stands in it.
    lead: Option<(String, Vec<usize>)>,
    /// The list that comes tells what something does.
    telling: bool,
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
        followed: BTreeMap::new(),
        followed_items: BTreeSet::new(),
        people: Vec::new(),
        options: None,
        told: Vec::new(),
        lead: None,
        telling: false,
    };
    for block in blocks {
        placer.block(block);
    }
    placer.end_section();
    let (mut book, told) = (placer.book, placer.told);
    if book.roles.is_empty() {
        for step in
            book.phases.iter_mut().flat_map(|part| &mut part.steps).filter(|step| matches!(step.verb, Verb::Poll(_)))
        {
            step.dead = Some("a poll, and the guide names no roles".to_owned());
        }
    }
    trouble::attach(&mut book, told);
    criteria::find(&mut book, lines);
    hints::drop_asked(&mut book, lines);
    decide_first(&mut book);
    book
}

/// What decides whether the work begins stands before it, wherever the guide says it.
fn decide_first(book: &mut Book) {
    let Some(work) = book.phases.iter().position(|part| part.kind == "migrate") else { return };
    for at in work + 1..book.phases.len() {
        if book.phases.get(at).is_some_and(|part| part.decides && part.starts.is_none()) {
            let mut part = book.phases.remove(at);
            part.moved = part.lines.first().copied();
            book.phases.insert(work, part);
        }
    }
}

fn is_sql(language: &str) -> bool {
    matches!(language, "sql" | "postgresql" | "pgsql" | "postgres" | "psql")
}

impl Placer<'_> {
    fn topic(&self) -> Topic {
        self.stack.last().and_then(|heading| heading.topic).unwrap_or(Topic::Background)
    }

    fn asks_nothing(&self) -> bool {
        matches!(self.topic(), Topic::Background | Topic::Explains | Topic::Roles)
    }

    fn leave(&mut self, lines: &[usize], why: &str) {
        self.book.left.extend(lines.iter().map(|line| (*line, why.to_owned())));
    }

    fn block(&mut self, block: Block) {
        let expecting = std::mem::take(&mut self.expecting);
        let telling = std::mem::take(&mut self.telling);
        if !matches!(block.kind, Kind::Heading(_)) && self.set_apart(&block) {
            return;
        }
        if telling && block.kind == Kind::Item(None) {
            self.telling = true;
            return self.tell(block);
        }
        match block.kind {
            Kind::Heading(level) => self.heading(level, block),
            Kind::Paragraph => self.paragraph(block),
            Kind::Item(tick) => self.item(tick, block),
            Kind::Row => self.item(None, block),
            Kind::Code(language) => {
                // An item that says what comes out names the query below it, too.
                let says = |text: &str| is_sql(&language) && answers::parted(text).1.is_some();
                self.lead = self.items.pop_if(|(text, _)| text.ends_with(':') || says(text));
                self.flush_items(None);
                self.code(&language, block.lines, expecting);
            }
        }
    }

    /// What is no work of this window: troubles, examples, other ways, reasons to go back. False: it is.
    fn set_apart(&mut self, block: &Block) -> bool {
        if let (Kind::Paragraph, Some(first)) = (&block.kind, options::option(&block.text)) {
            self.flush_items(None);
            self.choose(first, 7);
        }
        match self.topic() {
            Topic::Trouble => self.trouble(block.clone()),
            Topic::Example => self.leave(&block.lines, "an example: what of it is to be done here?"),
            Topic::Reasons => {
                self.measure(block, true);
                let lines = block.lines.iter().filter_map(|n| Some((*n, (*self.lines.get(n - 1)?).to_owned())));
                self.book.reasons.get_or_insert_with(|| Note { lines: Vec::new() }).lines.extend(lines);
                self.leave(&block.lines, "a reason to go back: what measures it? (`[[probe]]` and `[[trigger]]`)");
            }
            _ if self.is_aside() => self.keep_aside(&block.lines),
            _ => return false,
        }
        true
    }

    /// What a step does, or why: it is said beside the step.
    fn tell(&mut self, block: Block) {
        match self.last_step() {
            Some(step) => {
                step.help.push(block.text);
                step.lines.extend(block.lines);
            }
            None => self.leave(&block.lines, EXPLAINS),
        }
    }

    fn heading(&mut self, level: u8, block: Block) {
        self.end_section();
        match options::option(&block.text) {
            // Ways back are plans, each with its name.
            Some(first) if words::topic(&block.text, self.above(level)) != Topic::Rollback => self.choose(first, level),
            _ if self.options.as_ref().is_some_and(|options| level <= options.level) => self.options = None,
            _ => {}
        }
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
        let clock = block.text.starts_with(|c: char| c.is_ascii_digit()) && times::clock(&block.text).is_some();
        let opens = !is_title && (level <= self.level || clock);
        match topic {
            Some(Topic::Trouble) => self.trouble_heading(&block.text, line),
            _ if self.is_aside() => self.keep_aside(&block.lines),
            _ => {}
        }
        self.stack.push(Heading { level, text: block.text, line, topic, opens });
        if topic == Some(Topic::GoNoGo) && above != Some(Topic::GoNoGo) {
            // The poll comes before its questions are known; they are asked first.
            let text = self.name();
            if !self.poll_of(&text, &[line]) {
                self.add("Go / no-go".to_owned(), Verb::Poll(Vec::new()), vec![line], Vec::new());
            }
        }
    }

    /// The topic of what a heading of this level stands below.
    fn above(&self, level: u8) -> Option<Topic> {
        self.stack.iter().rev().find(|heading| heading.level < level).and_then(|heading| heading.topic)
    }

    fn paragraph(&mut self, block: Block) {
        self.flush_items(None);
        self.introduce(&block.lines);
        self.measure(&block, false);
        if words::expects(&block.text) && self.last.is_some() {
            self.expecting = true;
            self.expected(block.text, &block.lines);
        } else if words::tells(&block.text) {
            self.telling = true;
            self.tell(block);
        } else if self.asks_nothing() {
            self.leave(&block.lines, EXPLAINS);
        } else if let (Topic::Followup(hours), Some(_)) = (self.topic(), times::due(&block.text)) {
            self.later(hours, block.text, block.lines);
        } else if !self.poll_of(&block.text, &block.lines) {
            self.said.push((block.text, block.lines));
        }
    }

    /// Keeps a trigger in words for a comment.
    fn measure(&mut self, block: &Block, is_reason: bool) {
        let line = block.lines.first().copied().unwrap_or(1);
        self.book.measured.extend(measured(&block.text, line, is_reason));
    }

    /// What should come out of the last step.
    fn expected(&mut self, text: String, lines: &[usize]) {
        let Some(step) = self.last_step() else { return };
        if step.expect.is_none() && code::reads_once(&step.verb) {
            step.expect = words::expectation(&text).or_else(|| answers::shown(&text));
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
        self.measure(&block, false);
        match self.topic() {
            Topic::Followup(hours) => self.later(hours, text, block.lines),
            Topic::Roles => self.role(&text, &block.lines),
            Topic::Background if tick.is_none() => self.leave(&block.lines, EXPLAINS),
            topic => match times::after(&text).filter(|_| text.to_lowercase().contains("after ")) {
                Some(hours) => self.followup(Some(hours), Some(text.clone()), text, block.lines),
                None if topic == Topic::Explains && tick.is_none() => self.leave(&block.lines, EXPLAINS),
                None if topic == Topic::GoNoGo && words::decided(&text) => self.leave(&block.lines, DECIDED),
                None if self.poll_of(&text, &block.lines) => {}
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

    /// Makes a checklist of the items that were gathered.
    fn flush_items(&mut self, title: Option<(String, usize)>) {
        if self.people_listed() {
            return;
        }
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
}
