//! The sections of the Markdown report that tell what went otherwise than planned, and who said what.

use super::escape::{code, fence, inline};
use super::markdown::{Page, beside};
use super::model::{Deviation, Failure, Fired, Probe, Report, Rollback, Stat, Trigger};
use crate::run::event::Direction;
use crate::run::{Fault, clean, words};

pub fn failures(page: &mut Page, report: &Report) {
    page.heading("Failures");
    if report.failures.is_empty() {
        page.line("None.");
    }
    for failure in &report.failures {
        one_failure(page, failure);
    }
}

fn one_failure(page: &mut Page, failure: &Failure) {
    let undo = if failure.direction == Direction::Undo { "undo of " } else { "" };
    let (step, time) = (code(&failure.step), page.time(failure.at));
    page.line(&format!("### {undo}{step}, attempt {}: {} at {time}\n", failure.attempt, failure.what));
    if let Some(known) = &failure.known {
        page.text.push_str(&fence(known, ""));
    }
    if let Some(fault) = &failure.fault {
        page.text.push_str(&fence(&fault_text(fault), ""));
        if let Some(statement) = &failure.statement {
            page.text.push_str(&fence(&with_caret(statement, fault.position), "sql"));
        }
    }
    if let Some(verdict) = &failure.verdict {
        page.line(&format!("- Expectation: {}", inline(&words::verdict(verdict))));
    }
    if let Some(settled) = &failure.settled {
        let (claim, by) = (words::claim(settled.claim), code(&settled.by));
        page.line(&format!("- Settled as {claim} by {by}, a claim and not a proof: {}", inline(&settled.reason)));
    }
    page.line("");
}

/// Everything known of a fault, one labelled line each.
fn fault_text(fault: &Fault) -> String {
    let mut out = fault.summary.clone();
    let (cause, fix) = fault.trouble.clone().unzip();
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let place = (!fault.place.is_empty()).then(|| fault.place.clone());
    let safe = (!fault.safe.is_empty()).then(|| fault.safe.clone());
    let parts = [
        ("SQLSTATE", fault.sqlstate.clone()),
        ("detail", fault.detail.clone()),
        ("hint", fault.hint.clone()),
        ("statement", number(fault.statement)),
        ("position", number(fault.position)),
        ("exit", fault.exit.map(|exit| exit.to_string())),
        ("place", place),
        ("effect", Some(words::effect(fault.effect).to_owned())),
        ("safe", safe),
        ("known cause", cause),
        ("known fix", fix),
    ];
    for (label, text) in parts {
        if let Some(text) = text {
            out.push_str(&format!("\n{label}: {text}"));
        }
    }
    out
}

/// The statement with a caret under its character `position` (1-based), lines cleaned first so that it stays below.
fn with_caret(statement: &str, position: Option<u32>) -> String {
    let Some(mut left) = position.and_then(|position| usize::try_from(position).ok()?.checked_sub(1)) else {
        return statement.to_owned();
    };
    let mut out = String::new();
    let mut marked = false;
    for line in statement.split('\n') {
        out.push_str(line);
        out.push('\n');
        let length = line.chars().count();
        if !marked && left <= length {
            let before: String = line.chars().take(left).collect();
            out.push_str(&" ".repeat(clean::block(&before).chars().count()));
            out.push_str("^\n");
            marked = true;
        }
        left = left.saturating_sub(length + 1);
    }
    out
}

pub fn rollbacks(page: &mut Page, report: &Report) {
    if report.rollbacks.is_empty() {
        return;
    }
    page.heading("Rollback");
    for rollback in &report.rollbacks {
        one_rollback(page, rollback);
    }
}

fn one_rollback(page: &mut Page, rollback: &Rollback) {
    let plan = match &rollback.plan {
        Some(plan) => format!("Plan {}", code(plan)),
        None => "The undo of every done step, last first".to_owned(),
    };
    let end = match (rollback.ended, rollback.took_ms) {
        (Some(end), Some(ms)) => format!("ended {} after {}", page.time(end), words::duration(ms)),
        _ => "not ended".to_owned(),
    };
    let planned = rollback.planned_ms.map(|ms| format!(" (planned {})", super::markdown::span(ms)));
    let planned = planned.unwrap_or_default();
    let (begun, by, why) = (page.time(rollback.started), code(&rollback.by), inline(&rollback.reason));
    page.line(&format!("{plan}; begun {begun} by {by}: {why}; {end}{planned}.\n"));
    let is_beside = rollback.steps.iter().any(|step| step.rehearsed_ms.is_some());
    let row = |step: &super::model::RollbackStep| {
        let mut cells = vec![code(&step.id), step.status.to_owned()];
        cells.extend(beside(step.took_ms, step.much_slower, step.rehearsed_ms, is_beside));
        cells.extend([
            step.attempts.to_string(),
            step.by.as_deref().map(code).unwrap_or_default(),
            step.loses.as_deref().map(inline).unwrap_or_default(),
        ]);
        cells
    };
    let rows = rollback.steps.iter().map(row).collect();
    let mut head = vec!["Step", "Status", "Took", "Attempts", "By", "Cost"];
    head.splice(3..3, is_beside.then_some("Rehearsed"));
    page.table(&head, rows);
}

pub fn triggers(page: &mut Page, report: &Report) {
    if report.triggers.is_empty() {
        return;
    }
    page.heading("Triggers");
    for trigger in &report.triggers {
        one_trigger(page, trigger, report);
    }
}

fn one_trigger(page: &mut Page, trigger: &Trigger, report: &Report) {
    let lasting = match trigger.lasting_ms {
        0 => String::new(),
        ms => format!(" for {}", super::markdown::span(ms)),
    };
    let (when, breaches) = (inline(&trigger.when), times(trigger.breaches as usize));
    let (fired, blind) = (times(trigger.fired.len()), times(trigger.blind.len()));
    let owner = trigger.owner.as_deref().map(|owner| format!("; owner: {}", inline(owner))).unwrap_or_default();
    let counts = format!("breached {breaches}, fired {fired}, without data {blind}{owner}");
    page.line(&format!("### {}: {when}{lasting}\n\n{counts}.\n", code(&trigger.id)));
    for fired in &trigger.fired {
        fired_lines(page, fired, report);
    }
    for blind in &trigger.blind {
        let (time, then) = (page.time(blind.at), words::action(blind.then));
        page.line(&format!("- {time} no data ({then}): {}", inline(&blind.reason)));
    }
}

fn times(n: usize) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

fn unit<'a>(report: &'a Report, probe: &str) -> &'a str {
    report.probes.iter().find(|known| known.id == probe).map_or("", |known| &known.unit)
}

fn fired_lines(page: &mut Page, fired: &Fired, report: &Report) {
    let value = |(probe, value): &(String, f64)| {
        let measured = words::measure(*value, unit(report, probe));
        format!("{} {}", code(probe), inline(&measured))
    };
    let values: Vec<String> = fired.values.iter().map(value).collect();
    let countdown = fired.countdown_ms.map(|ms| format!(" after {}", super::markdown::span(ms)));
    let stopped = fired.stopped_by.as_deref().map(|by| format!("; stopped by {}", code(by)));
    let then = format!("{}{}", words::action(fired.then), countdown.unwrap_or_default());
    let (time, values) = (page.time(fired.at), values.join(", "));
    page.line(&format!("Fired at {time}: {values}; it {then}{}.\n", stopped.unwrap_or_default()));
    let row = |sample: &super::model::Sample| {
        let value = match (sample.value, &sample.missing) {
            (Some(value), _) => inline(&words::measure(value, unit(report, &sample.probe))),
            (None, missing) => format!("no data: {}", inline(missing.as_deref().unwrap_or_default())),
        };
        vec![page.time(sample.at), code(&sample.probe), value]
    };
    let rows = fired.samples.iter().map(row).collect();
    page.table(&["Time", "Probe", "Sample"], rows);
    page.line("");
}

pub fn probes(page: &mut Page, report: &Report) {
    if report.probes.is_empty() {
        return;
    }
    page.heading("Probes");
    let mut rows = Vec::new();
    for probe in &report.probes {
        for (phase, stat) in &probe.phases {
            rows.push(stat_row(probe, code(phase), Some(stat)));
        }
    }
    let numbers = ["Min", "Median", "Max", "Samples", "No data"];
    let head = |first: &'static str| [&["Probe", first][..], &numbers[..]].concat();
    page.table(&head("Phase"), rows);
    page.line("\nAround the migration:\n");
    let periods = |probe: &Probe| {
        let periods = [("before", &probe.before), ("during", &probe.during), ("after", &probe.after)];
        periods.map(|(name, stat)| stat_row(probe, name.to_owned(), stat.as_ref()))
    };
    let rows = report.probes.iter().flat_map(periods).collect();
    page.table(&head("Time"), rows);
}

fn stat_row(probe: &Probe, when: String, stat: Option<&Stat>) -> Vec<String> {
    let title = if probe.title.is_empty() { code(&probe.id) } else { inline(&probe.title) };
    let value = |value: Option<f64>| value.map(|value| inline(&words::measure(value, &probe.unit)));
    let number = |pick: fn(&Stat) -> Option<f64>| stat.and_then(|stat| value(pick(stat))).unwrap_or_default();
    let share = stat.map_or("not measured".to_owned(), |stat| {
        let share = 100.0 * stat.no_data as f64 / stat.samples.max(1) as f64;
        format!("{} %", words::number(share))
    });
    vec![
        title,
        when,
        number(|stat| stat.min),
        number(|stat| stat.median),
        number(|stat| stat.max),
        words::count(stat.map_or(0, |stat| stat.samples)),
        share,
    ]
}

pub fn sign_off(page: &mut Page, report: &Report) {
    if report.answers.is_empty() && report.votes.is_empty() {
        return;
    }
    page.heading("Sign-off");
    let row = |vote: &super::model::Vote| {
        vec![
            page.time(vote.at),
            code(&vote.step),
            inline(&vote.role),
            if vote.go { "go" } else { "**NO-GO**" }.to_owned(),
            code(&vote.by),
            inline(&vote.reason),
        ]
    };
    let votes: Vec<_> = report.votes.iter().map(row).collect();
    let row = |answer: &super::model::Answer| {
        vec![
            page.time(answer.at),
            code(&answer.step),
            inline(&answer.ask),
            if answer.ticked { "ticked" } else { "unticked" }.to_owned(),
            code(&answer.by),
            answer.answer.as_deref().map(inline).unwrap_or_default(),
        ]
    };
    let answers: Vec<_> = report.answers.iter().map(row).collect();
    page.table(&["Time", "Step", "Question", "", "By", "Answer"], answers);
    if !report.votes.is_empty() && !report.answers.is_empty() {
        page.line("");
    }
    page.table(&["Time", "Step", "Role", "Vote", "By", "Reason"], votes);
}

pub fn deviations(page: &mut Page, report: &Report) {
    page.heading("Deviations");
    if report.deviations.is_empty() && report.refusals.is_empty() {
        page.line("None.");
    }
    for deviation in &report.deviations {
        one_deviation(page, deviation);
    }
    for refusal in &report.refusals {
        let (time, by) = (page.time(refusal.at), code(&refusal.by));
        let (what, why) = (inline(&refusal.what), inline(&refusal.why));
        page.line(&format!("- {time} **refused** to {by}: {what}: {why}"));
    }
}

fn one_deviation(page: &mut Page, deviation: &Deviation) {
    let step = deviation.step.as_deref().map(|step| format!(" {}", code(step)));
    let by = if deviation.by.is_empty() { String::new() } else { format!(" by {}", code(&deviation.by)) };
    let why = if deviation.reason.is_empty() { String::new() } else { format!(": {}", inline(&deviation.reason)) };
    let time = page.time(deviation.at);
    page.line(&format!("- {time} **{}**{}{by}{why}", deviation.what, step.unwrap_or_default()));
    if let (Some(before), Some(after)) = (&deviation.before, &deviation.after) {
        page.line(&format!("\nBefore:\n\n{}\nAfter:\n\n{}", fence(before, "sql"), fence(after, "sql")));
    }
}

pub fn notes(page: &mut Page, report: &Report) {
    if report.notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for note in &report.notes {
        let step = note.step.as_deref().map(|step| format!(" on {}", code(step)));
        let (time, by) = (page.time(note.at), code(&note.by));
        page.line(&format!("{time} {by}{}:\n\n{}", step.unwrap_or_default(), fence(&note.text, "")));
    }
}
