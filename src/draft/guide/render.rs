//! The draft as text, with the lines each step stands on, and at its end everything that is not in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::account::{Account, Fate};
use super::book::{Book, Note, Part, Step, Verb};
use super::{hints, measured};
use crate::draft::write::{block, comment, literal, quote};

/// Where a step stands in the text: in a plan or a phase, which part, which step, and its lines (1-based).
pub struct Place {
    pub plan: bool,
    pub part: usize,
    pub step: usize,
    pub lines: Range<usize>,
}

pub struct Rendered {
    pub text: String,
    pub places: Vec<Place>,
    /// Steps that cannot be written as they are.
    pub unwritable: Vec<(bool, usize, usize)>,
    /// Bytes whose lines were counted, and how many lines end in them.
    counted: (usize, usize),
}

impl Rendered {
    /// The line (1-based) that is written next.
    fn line(&mut self) -> usize {
        let (bytes, lines) = self.counted;
        let more = self.text.get(bytes..).unwrap_or_default().matches('\n').count();
        self.counted = (self.text.len(), lines + more);
        lines + more + 1
    }

    /// The step that stands on a line.
    pub fn step_at(&self, line: usize) -> Option<&Place> {
        let next = self.places.partition_point(|place| place.lines.start <= line);
        next.checked_sub(1).and_then(|n| self.places.get(n)).filter(|place| place.lines.contains(&line))
    }
}

/// The runbook without its last comments. `guide`: the name of the guide; `id`: of the runbook.
pub fn runbook(book: &Book, guide: &str, id: &str, schema: &str) -> Rendered {
    let mut out = Rendered { text: String::new(), places: Vec::new(), unwritable: Vec::new(), counted: (0, 0) };
    head(&mut out.text, book, guide, id, schema);
    let mut planned = None;
    let mut watched = false;
    let start = book.phases.iter().filter(|phase| phase.alive().next().is_some()).find_map(|phase| phase.starts);
    for (n, phase) in book.phases.iter().enumerate().filter(|(_, phase)| phase.alive().next().is_some()) {
        if let Some(line) = phase.moved {
            let _ = writeln!(
                out.text,
                "# The guide decides this behind the work (line {line}); here it is decided before it."
            );
        }
        if watched && phase.kind == "migrate" {
            out.text.push_str(
                "# Work behind a phase that watches: does the guide tell the same work twice? Then keep it once.\n",
            );
        }
        watched |= phase.kind == "monitor";
        out.text.push_str("[[phase]]\n");
        named(&mut out.text, phase);
        let _ = writeln!(out.text, "kind  = {}", quote(phase.kind));
        let at = phase.starts.zip(start).and_then(|(own, first)| own.checked_sub(first));
        if let Some(minutes) = at.filter(|at| planned.is_none_or(|before| *at >= before)) {
            planned = Some(minutes);
            let _ = writeln!(out.text, "at    = \"+{minutes}m\"");
        }
        if let Some(minutes) = phase.lasts {
            let _ = writeln!(out.text, "lasts = \"{minutes}m\"");
        }
        out.text.push('\n');
        steps(&mut out, book, phase, false, n);
    }
    out.text.push_str(&measured::comments(&book.measured));
    if let Some(note) = &book.reasons {
        aside(
            &mut out.text,
            "When to go back, by the guide; what measures it becomes a `[[probe]]` with a `[[trigger]]`:",
            note,
        );
    }
    for (n, plan) in book.plans.iter().enumerate().filter(|(_, plan)| plan.alive().next().is_some()) {
        out.text.push_str("[[rollback]]\n");
        named(&mut out.text, plan);
        out.text.push('\n');
        steps(&mut out, book, plan, true, n);
    }
    for one in book.known_criteria() {
        if !one.lines.is_empty() {
            let _ = writeln!(out.text, "# guide: {}", ranges(&one.lines));
        }
        let (id, when) = (quote(&one.id), quote(&one.when));
        let _ = writeln!(out.text, "[[criterion]]\nid    = {id}\ntitle = {}\nwhen  = {when}\n", label(&one.title));
    }
    for one in &book.followups {
        let items: Vec<String> = one.items.iter().map(|item| label(item)).collect();
        let _ = writeln!(
            out.text,
            "[[followup]]\nid    = {}\ntitle = {}\ndue   = \"+{}h\"{}",
            quote(&one.id),
            label(&one.title),
            one.hours.unwrap_or(24),
            if one.hours.is_some() { "" } else { "                         # the guide does not say when" }
        );
        let _ = writeln!(out.text, "checklist = [\n  {},\n]\n", items.join(",\n  "));
    }
    out
}

fn head(out: &mut String, book: &Book, guide: &str, id: &str, schema: &str) {
    let title = book.title.as_deref().unwrap_or(id);
    let _ = write!(
        out,
        "{schema}
# A DRAFT, made of {guide} by `gonogo import`. Nobody has read it yet.
# What it runs is what the guide says, mistakes included. At its end stands what is not in it, line by line.
format = 1
id     = {}
title  = {}

",
        quote(id),
        label(title),
        guide = comment(guide),
    );
    if !book.roles.is_empty() {
        out.push_str("[roles]\n");
        for (id, words, _) in &book.roles {
            let _ = writeln!(out, "{id} = {}", label(words));
        }
        out.push('\n');
    }
    out.push_str(
        r#"[environments.staging]
targets.main = "env:STAGING_DATABASE_URL"

# Once this draft was rehearsed:
# [environments.production]
# protected    = true
# targets.main = "env:PROD_DATABASE_URL"

[[phase]]
id   = "draft"
kind = "prepare"

[[phase.step]]
id        = "read-the-draft"
title     = "The draft was read"
checklist = [
  { ask = "Who compared every step with the guide?", answer = "required" },
  { ask = "What of the lines at the end of the file has to be done all the same?", answer = "required" },
]

"#,
    );
}

fn named(out: &mut String, part: &Part) {
    let _ = writeln!(out, "id    = {}\ntitle = {}", quote(&part.id), label(&part.title));
}

/// A text for people; where it cannot be kept from being a template, what makes it one is parted.
fn label(text: &str) -> String {
    let words = literal(text).unwrap_or_else(|| text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #"));
    if words.trim().is_empty() { quote("-") } else { block(&words) }
}

fn steps(out: &mut Rendered, book: &Book, part: &Part, plan: bool, n: usize) {
    for (at, step) in part.steps.iter().enumerate().filter(|(_, step)| step.dead.is_none()) {
        let first = out.line();
        out.text.push_str(if plan { "[[rollback.step]]\n" } else { "[[phase.step]]\n" });
        match self::step(step, book) {
            Some(text) => {
                out.text.push_str(&text);
                troubles(&mut out.text, step, plan);
            }
            None => out.unwritable.push((plan, n, at)),
        }
        let last = out.line();
        out.text.push('\n');
        for note in &step.others {
            aside(&mut out.text, &format!("Another way of doing `{}`, by the guide:", step.id), note);
        }
        out.places.push(Place { plan, part: n, step: at, lines: first..last + 1 });
    }
}

/// The known troubles of a step.
fn troubles(out: &mut String, step: &Step, plan: bool) {
    for one in &step.trouble {
        let _ = writeln!(
            out,
            "\n[[{}.step.trouble]]\n# guide: {}",
            if plan { "rollback" } else { "phase" },
            ranges(&one.lines)
        );
        match &one.matching {
            Some(words) => _ = writeln!(out, "match = {}", quote(words)),
            None => out.push_str("match = \".\"                              # any error: which words has this one?\n"),
        }
        let _ = writeln!(out, "cause = {}\nfix   = {}", label(&one.cause), label(&one.fix));
    }
}

/// Lines of the guide as a comment.
fn aside(out: &mut String, title: &str, note: &Note) {
    let _ = writeln!(out, "# {title}");
    let lines: BTreeMap<usize, &str> = note.lines.iter().map(|(n, line)| (*n, line.as_str())).collect();
    for line in lines.values() {
        let _ = writeln!(out, "#   {}", comment(line));
    }
    out.push('\n');
}

/// The keys of a step. None: its code looks like a template and cannot be kept from being one.
fn step(step: &Step, book: &Book) -> Option<String> {
    let mut out = String::new();
    let numbers = ranges(&step.lines);
    let _ = writeln!(out, "# guide: {numbers}\nid    = {}\ntitle = {}", quote(&step.id), label(&step.title));
    for name in hints::borrowed(step, book) {
        let _ = writeln!(
            out,
            "# ${name} is set by another step: steps share no variables of the shell. A variable of `[vars]` can name it in both."
        );
    }
    match &step.verb {
        Verb::Checklist(items) => {
            let items: Vec<String> = items.iter().map(|item| label(item)).collect();
            for file in hints::scripts(step) {
                let _ = writeln!(
                    out,
                    "# Once it lies beside this draft, in place of the checklist: file = {}",
                    quote(&file)
                );
            }
            let _ = writeln!(out, "checklist = [\n  {},\n]", items.join(",\n  "));
        }
        Verb::Poll(asked) => {
            let all = || book.roles.iter().map(|(id, _, _)| quote(id)).collect();
            let roles: Vec<String> = if asked.is_empty() { all() } else { asked.iter().map(|id| quote(id)).collect() };
            let _ = writeln!(out, "poll  = [{}]", roles.join(", "));
        }
        Verb::Sql(text) => {
            let _ = writeln!(out, "sql   = {}", block(&literal(text)?));
        }
        Verb::File(path) => {
            let _ = writeln!(out, "file  = {}", quote(path));
        }
        Verb::Psql(path) => {
            let path = quote(&literal(path)?);
            let _ = writeln!(out, "# The file was not beside the guide. Once it is: file = {path}");
            let _ = writeln!(
                out,
                "run   = [\"psql\", \"-X\", \"-v\", \"ON_ERROR_STOP=1\", \"-f\", {path}]\nconnect = \"main\""
            );
        }
        Verb::Shell(text) => {
            let _ = writeln!(out, "shell = {}", block(&literal(text)?));
            let names: Vec<String> = hints::handed(step, book).iter().map(|name| quote(name)).collect();
            if !names.is_empty() {
                let _ = writeln!(out, "env   = [{}]", names.join(", "));
            }
        }
    }
    if step.outside {
        out.push_str("transaction = \"none\"\n");
    }
    if let Some(expect) = &step.expect {
        let _ = writeln!(out, "expect = {}", quote(expect));
    } else if step.asks {
        out.push_str("expect = \"none\"                         # what must come back? value == N, rows == N\n");
    }
    if !step.help.is_empty() {
        let _ = writeln!(out, "help  = {}", label(&step.help.join("\n\n")));
    }
    Some(out)
}

/// `3-5, 8`
pub fn ranges(lines: &[usize]) -> String {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines.dedup();
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => parts.push((line, line)),
        }
    }
    let words =
        parts.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    words.collect::<Vec<_>>().join(", ")
}

/// The last comments: everything that is not in the draft.
pub fn remains(account: &Account, guide: &str) -> String {
    let mut out = String::new();
    let guide = comment(guide);
    let mut list = |title: String, lines: Vec<(usize, String)>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "# {title}");
        for (number, words) in lines {
            let _ = writeln!(out, "#  {number:>5}: {}", comment(&words));
        }
        out.push_str("#\n");
    };
    let secrets = account.secrets.iter().map(|(line, what)| (*line, what.clone())).collect();
    list(format!("Secrets that stand in {guide}; they were not copied, and should not stand there:"), secrets);
    let ticks = account.ticks.iter().filter_map(|n| Some((*n, account.lines.get(n - 1)?.text.clone()))).collect();
    list(format!("Ticked in advance in {guide}; the ticks were dropped:"), ticks);
    let mut left: Vec<(String, Vec<(usize, String)>)> = Vec::new();
    for (n, line) in account.lines.iter().enumerate() {
        let Fate::Left(why) = &line.fate else { continue };
        let one = (n + 1, line.text.clone());
        match left.last_mut().filter(|(before, _)| before == why) {
            Some((_, lines)) => lines.push(one),
            None => left.push((why.clone(), vec![one])),
        }
    }
    for (why, lines) in left {
        list(format!("Not in the draft ({}):", comment(&why)), lines);
    }
    out
}
