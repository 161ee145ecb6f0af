//! The report as a Markdown document: its head, and the tables of what was planned and what happened.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::escape::{code, inline};
use super::model::{Phase, Report, Step};
use super::{files, sections};
use crate::run::describe::criterion_word;
use crate::run::{Moment, words};

/// A document under way.
pub struct Page {
    pub text: String,
    zone: Option<Tz>,
    /// The day the run began: times of other days name theirs.
    day: NaiveDate,
}

impl Page {
    /// Time of day in the window's zone, with the day where it is not the run's first.
    pub fn time(&self, at: DateTime<Utc>) -> String {
        let clock = words::clock(Moment { wall: at, ms: 0 }, self.zone);
        match words::day(at, self.zone) {
            day if day == self.day => clock,
            day => format!("{day} {clock}"),
        }
    }

    pub fn date(&self, at: DateTime<Utc>) -> String {
        words::date(at, self.zone)
    }

    pub fn heading(&mut self, title: &str) {
        self.text.push_str(&format!("\n## {title}\n\n"));
    }

    /// A table of cells that are escaped already; nothing where there are no rows.
    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            return;
        }
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
        self.text.push_str(&line(&head));
        self.text.push_str(&format!("|{}\n", "---|".repeat(head.len())));
        rows.iter().for_each(|row| self.text.push_str(&line(row)));
    }

    pub fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

pub fn render(report: &Report) -> String {
    let zone = report.window.zone.parse().ok();
    let mut page = Page { text: String::new(), day: words::day(report.window.started, zone), zone };
    head(&mut page, report);
    phases(&mut page, report);
    step_table(&mut page, report);
    files::section(&mut page, report);
    sections::failures(&mut page, report);
    sections::rollbacks(&mut page, report);
    sections::triggers(&mut page, report);
    sections::probes(&mut page, report);
    sections::sign_off(&mut page, report);
    sections::deviations(&mut page, report);
    criteria(&mut page, report);
    followups(&mut page, report);
    waivers(&mut page, report);
    sections::notes(&mut page, report);
    anchor(&mut page, report);
    page.text
}

fn outcome(report: &Report) -> String {
    let word = match report.run.end {
        Some(end) => words::end(end),
        None if report.run.held => "held, not ended",
        None => "not ended",
    };
    match report.run.reason.is_empty() {
        true => format!("**{word}**"),
        false => format!("**{word}**: {}", inline(&report.run.reason)),
    }
}

fn head(page: &mut Page, report: &Report) {
    let run = &report.run;
    page.line(&format!("# {}\n", inline(&report.runbook.title)));
    let environment = match run.protected {
        true => format!("{} (protected)", inline(&run.environment)),
        false => inline(&run.environment),
    };
    let mut rows = vec![
        ("Outcome", outcome(report)),
        ("Run", format!("{} · {}", code(&run.id), words::mode(run.mode))),
        ("Environment", environment),
        ("Window", window(page, report)),
        ("Opened by", code(&run.opened_by)),
        ("People", list(&run.people)),
        ("Runbook", format!("{} · {}", code(&report.runbook.id), code(&report.runbook.file))),
        ("Digest", code(&report.runbook.digest)),
    ];
    if let Some(by) = &run.confirmed_by {
        rows.insert(5, ("Confirmed by", code(by)));
    }
    if let Some(last) = &run.rehearsed {
        let same = if last.same_digest { "this very text" } else { "another text of it" };
        let at = page.date(last.at);
        rows.push(("Rehearsed", format!("{at} in {} · {} · {same}", inline(&last.environment), code(&last.run))));
    }
    for target in &report.targets {
        let print = inline(&words::fingerprint(&target.fingerprint));
        let system = target.fingerprint.system_id.as_deref().map(|id| format!(" · system {}", code(id)));
        let grip: String = words::grip(&target.grip).iter().map(|word| format!(" · {}", inline(word))).collect();
        rows.push(("Target", format!("{}: {print}{}{grip}", code(&target.name), system.unwrap_or_default())));
    }
    for (name, value) in &run.set {
        rows.push(("Variable", format!("{} = {}", code(name), inline(&words::var(value)))));
    }
    rows.push(("gonogo", inline(&run.version)));
    page.table(&["", ""], rows.into_iter().map(|(label, text)| vec![label.to_owned(), text]).collect());
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

fn window(page: &Page, report: &Report) -> String {
    let window = &report.window;
    let planned = match window.planned_ms {
        Some(ms) => format!("planned {} for {}", page.date(window.planned_start), span(ms)),
        None => format!("planned {}", page.date(window.planned_start)),
    };
    let end = window.ended.map_or("not ended".to_owned(), |end| page.time(end));
    let took = words::duration(window.took_ms);
    format!("{planned}; actual {} to {end}, {took}", page.time(window.started))
}

/// A planned length.
pub fn span(ms: u64) -> String {
    words::span(std::time::Duration::from_millis(ms))
}

/// A length that may be unknown.
pub fn took(ms: Option<u64>) -> String {
    ms.map(words::duration).unwrap_or_default()
}

fn phases(page: &mut Page, report: &Report) {
    page.heading("Phases");
    let legs = report.run.legs > 1;
    let unleft = if report.rollbacks.is_empty() { "not left" } else { "left by the rollback" };
    let rows = report.phases.iter().map(|phase| phase_row(page, phase, legs, unleft)).collect();
    let head = ["Phase", "Kind", "Planned", "Time box", "Entered", "Left", "Took", "Remark"];
    page.table(&head, rows);
}

/// A name, with the leg of the rehearsal where there are several.
fn named(id: &str, leg: u32, legs: bool) -> String {
    match legs {
        true => format!("{} (leg {leg})", code(id)),
        false => code(id),
    }
}

/// `unleft`: of a phase that was entered and whose end is not in the journal.
fn phase_row(page: &Page, phase: &Phase, legs: bool, unleft: &str) -> Vec<String> {
    let time = |at: Option<DateTime<Utc>>| at.map(|at| page.time(at)).unwrap_or_default();
    let over = match (phase.took_ms, phase.planned_ms) {
        (Some(took), Some(planned)) if took > planned => Some(format!("{} over", words::duration(took - planned))),
        _ => None,
    };
    let early = phase.early.as_ref();
    let early = early.map(|early| format!("signed off early by {}: {}", code(&early.by), inline(&early.reason)));
    let missed = phase.entered.is_none().then(|| "not reached".to_owned());
    let open = (phase.entered.is_some() && phase.left.is_none()).then(|| unleft.to_owned());
    vec![
        named(&phase.id, phase.leg, legs),
        phase.kind.to_owned(),
        time(phase.planned_start),
        phase.planned_ms.map(span).unwrap_or_default(),
        time(phase.entered),
        time(phase.left),
        took(phase.took_ms),
        [missed, open, over, early].into_iter().flatten().collect::<Vec<_>>().join("; "),
    ]
}

fn step_table(page: &mut Page, report: &Report) {
    page.heading("Steps");
    let is_beside = report.steps.iter().any(|step| step.rehearsed_ms.is_some());
    let rows = report.steps.iter().map(|step| step_row(page, step, report, is_beside)).collect();
    let mut head = vec!["Step", "What", "Status", "Planned", "Started", "Took", "Who", "Result", "Expectation"];
    head.splice(6..6, is_beside.then_some("Rehearsed"));
    page.table(&head, rows);
}

/// The cells of a live time and of the rehearsal's beside it; the second only in a table that has a column for it.
pub fn beside(live: Option<u64>, slow: bool, rehearsed: Option<u64>, is_beside: bool) -> Vec<String> {
    let live = if slow { format!("{} (much slower)", took(live)) } else { took(live) };
    [live].into_iter().chain(is_beside.then(|| took(rehearsed))).collect()
}

fn step_row(page: &Page, step: &Step, report: &Report, is_beside: bool) -> Vec<String> {
    let planned = step.planned_ms.map(span).unwrap_or_default();
    let tries = (step.attempts > 1).then(|| format!(" ({} attempts)", step.attempts));
    let claim = step.claim.as_ref().map(|claim| format!("{}: {}", code(&claim.by), inline(&claim.reason)));
    let results = step.results.iter().map(|result| inline(result)).chain(claim);
    let who = step.by.as_deref().map(code).unwrap_or_default();
    let role = step.role.as_deref().map(|role| format!(" as {}", inline(role)));
    let mut cells = vec![
        named(&step.id, step.leg, report.run.legs > 1),
        format!("{} ({})", inline(&step.title), step.verb),
        format!("{}{}", step.status, tries.unwrap_or_default()),
        planned,
        step.started.map(|at| page.time(at)).unwrap_or_default(),
    ];
    cells.extend(beside(step.took_ms, step.much_slower, step.rehearsed_ms, is_beside));
    cells.extend([
        if who.is_empty() { who } else { who + &role.unwrap_or_default() },
        results.collect::<Vec<_>>().join("; "),
        step.verdict.as_ref().map(|verdict| inline(&words::verdict(verdict))).unwrap_or_default(),
    ]);
    cells
}

fn criteria(page: &mut Page, report: &Report) {
    if report.criteria.is_empty() {
        return;
    }
    page.heading("Criteria");
    let row = |one: &super::model::Criterion| {
        let verdict = if one.judged { criterion_word(one.met).0 } else { "was not judged" };
        vec![inline(&one.title), verdict.to_owned(), inline(&one.when), inline(&one.detail)]
    };
    let rows = report.criteria.iter().map(row).collect();
    page.table(&["Criterion", "Verdict", "Condition", "Seen"], rows);
}

/// What the check found in the runbook, and why its author let it stand.
fn waivers(page: &mut Page, report: &Report) {
    if report.waivers.is_empty() {
        return;
    }
    page.heading("Waivers");
    let row = |one: &super::model::Waiver| {
        let scope = if one.scope.is_empty() { "the whole runbook" } else { &one.scope };
        vec![code(&one.rule), inline(scope), inline(&one.reason)]
    };
    let rows = report.waivers.iter().map(row).collect();
    page.table(&["Rule", "About", "Reason"], rows);
}

fn followups(page: &mut Page, report: &Report) {
    if report.followups.is_empty() {
        return;
    }
    page.heading("Follow-ups");
    for followup in &report.followups {
        let due = match (&followup.not_applicable, followup.due) {
            (Some(why), _) => why.clone(),
            (None, Some(due)) => format!("due {}", page.date(due)),
            (None, None) => format!("due {} after the end", span(followup.due_ms)),
        };
        page.line(&format!("- **{}** ({}), {due}", inline(&followup.title), code(&followup.id)));
        // Nobody is given a box to tick for what is not to be done.
        let sign = if followup.not_applicable.is_some() { "" } else { "[ ] " };
        for item in &followup.checklist {
            page.line(&format!("  - {sign}{}", inline(item)));
        }
    }
}

fn anchor(page: &mut Page, report: &Report) {
    let Some(anchor) = &report.anchor else {
        return;
    };
    page.heading("Anchor");
    let entries = words::plural(anchor.count, "entry").replace("entrys", "entries");
    page.line(&format!("The journal held {entries}; the head of its hash chain was {}.", code(&anchor.head)));
    let anchor = code(&format!("{}:{}", anchor.count, anchor.head));
    page.line(&format!(
        "`gonogo audit --anchor` with {anchor} proves a journal: an edit made after this report is evident."
    ));
}
