//! What the step is and what exactly it will do, or did: the resolved text once it started, the runbook's before.

use ratatui::text::{Line, Span};

use super::{Rest, Sheet};
use crate::run::describe::duration;
use crate::run::event::Resolved;
use crate::run::migrations::FileState;
use crate::run::state::{StepRun, StepStatus};
use crate::run::{BatchOrder, Direction, MigrationOrder};
use crate::run::{clean, context, mask};
use crate::runbook::expr::{self, Place};
use crate::runbook::{Asks, HttpCall, Item, Notify, Script, Step, Undo, Verb, Way};
use crate::tui::markdown;
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::{self, time};

/// Lines under construction, all of one width.
struct Page<'a> {
    model: &'a Model,
    width: usize,
    lines: Vec<Line<'static>>,
    rest: Rest,
}

impl Page<'_> {
    fn say(&mut self, ink: Ink, indent: usize, words: &str) {
        let style = self.model.look.style(ink);
        let pad = " ".repeat(indent);
        for line in text::wrap(words, self.width.saturating_sub(indent + 1)) {
            self.lines.push(Line::styled(format!("{pad}{line}"), style));
        }
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| line.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    /// A label and words that wrap beside it.
    fn field(&mut self, label: &str, ink: Ink, words: &str) {
        let indent = text::width(label) + 3;
        let wrapped = text::wrap(words, self.width.saturating_sub(indent + 1));
        for (n, line) in wrapped.into_iter().enumerate() {
            let head = if n == 0 { format!(" {label}: ") } else { " ".repeat(indent) };
            self.lines.push(Line::from(vec![
                Span::styled(head, self.model.look.style(Ink::Dim)),
                Span::styled(line, self.model.look.style(ink)),
            ]));
        }
    }
}

pub fn sheet(model: &Model, width: u16) -> Sheet {
    let mut page = Page { model, width: usize::from(width), lines: Vec::new(), rest: Rest::Top };
    if view::at_end(model) {
        return Sheet::new(super::ending::lines(model, page.width), Rest::Top);
    }
    let Some((step, run)) = view::shown_step(model) else {
        page.say(Ink::Dim, 1, "no step to show yet");
        return Sheet::new(page.lines, Rest::Top);
    };
    let acting = view::acting(step, run);
    meta(&mut page, step, acting);
    if let Some(help) = &acting.help {
        page.gap();
        page.lines.extend(markdown::lines(help, page.width, model.look));
    }
    page.gap();
    let resolved = run.and_then(|run| run.resolved.as_ref());
    match resolved {
        Some(resolved) if !matches!(resolved, Resolved::Human | Resolved::Unready) => ran(&mut page, resolved, run),
        _ => planned(&mut page, acting, run),
    }
    conditions(&mut page, acting);
    Sheet::new(page.lines, page.rest)
}

/// `sql · Database admin · expected 0.2 s · undo ready · in one transaction`.
fn meta(page: &mut Page<'_>, step: &Step, acting: &Step) {
    let model = page.model;
    let undoing = !std::ptr::eq(step, acting);
    let mut words = vec![(acting.verb.word().to_owned(), Ink::Strong)];
    if undoing {
        words.insert(0, ("UNDO".to_owned(), Ink::Bad));
    }
    if let Some(role) = &step.role {
        words.push((clean::line(view::role_title(model, role), 30), Ink::Text));
    }
    if let Some(target) = acting.target.as_ref().filter(|_| on_target(&acting.verb)) {
        words.push((format!("on {}", clean::line(target, 30)), Ink::Text));
    }
    let direction = if undoing { Direction::Undo } else { Direction::Forward };
    let rehearsed = model.state.rehearsed_ms(&step.id, direction);
    match acting.expected_time {
        Some(expected) => words.push((format!("expected {}", text::planned(expected)), Ink::Text)),
        None if rehearsed.is_some() => {
            words.extend(rehearsed.map(|ms| (format!("rehearsed {}", text::took(ms)), Ink::Text)))
        }
        None if step.changes() => words.push(("no estimate".to_owned(), Ink::Dim)),
        None => {}
    }
    words.extend((!undoing).then(|| match &step.undo {
        Undo::By(_) => ("undo ready".to_owned(), Ink::Good),
        Undo::NotNeeded => ("no undo needed".to_owned(), Ink::Text),
        Undo::Irreversible => ("IRREVERSIBLE".to_owned(), Ink::Bad),
        Undo::Unsaid if !step.changes() => ("nothing to undo".to_owned(), Ink::Dim),
        Undo::Unsaid => ("no undo given".to_owned(), Ink::Text),
    }));
    if let Verb::Sql(script) = &acting.verb {
        let text = if script.transaction { "in one transaction" } else { "NO TRANSACTION" };
        words.push((text.to_owned(), if script.transaction { Ink::Text } else { Ink::Warn }));
    }
    flow(page, words);
}

fn on_target(verb: &Verb) -> bool {
    matches!(verb, Verb::Sql(_) | Verb::Batch(_) | Verb::Migrations(_) | Verb::Backup(_) | Verb::Restore(_))
}

/// Words with dots between them, on as many lines as they need.
fn flow(page: &mut Page<'_>, words: Vec<(String, Ink)>) {
    let look = page.model.look;
    let mut spans: Vec<Span<'static>> = vec![Span::raw(" ")];
    let mut used = 1;
    for (word, ink) in words {
        let wide = text::width(&word);
        if used > 1 && used + 3 + wide > page.width {
            page.lines.push(Line::from(std::mem::replace(&mut spans, vec![Span::raw(" ")])));
            used = 1;
        }
        if used > 1 {
            spans.push(Span::styled(" · ", look.style(Ink::Border)));
            used += 3;
        }
        used += wide;
        spans.push(Span::styled(word, look.style(ink)));
    }
    page.lines.push(Line::from(spans));
}

/// What ran, as it was sent.
fn ran(page: &mut Page<'_>, resolved: &Resolved, run: Option<&StepRun>) {
    match resolved {
        Resolved::Sql { asks: Asks::Inventory(wanted), .. } => {
            page.say(Ink::Text, 2, &clean::line(&wanted.words(), 400))
        }
        Resolved::Sql { statements, .. } => {
            let texts: Vec<&str> = statements.iter().map(|statement| statement.sql.as_str()).collect();
            let signs = signs(page.model, run, texts.len());
            for (n, sql) in texts.into_iter().enumerate() {
                if matches!(signs.get(n), Some(Some((_, Ink::Active | Ink::Bad)))) {
                    page.rest = Rest::At(page.lines.len());
                }
                statement(page, sql, signs.get(n).copied().flatten());
            }
        }
        Resolved::Batch { order, .. } => batch(page, order),
        Resolved::Migrations { order, .. } => files(page, order, run),
        Resolved::Run { argv, connect } => {
            command(page, argv);
            connected(page, connect.as_deref());
        }
        Resolved::Shell { script, connect } => {
            page.say(Ink::Text, 2, clean::block(script).trim_end());
            connected(page, connect.as_deref());
        }
        Resolved::Backup { target, order } => page.say(Ink::Text, 2, &clean::line(&order.words(target), 600)),
        Resolved::Restore { target, order } => page.say(Ink::Text, 2, &clean::line(&order.words(target), 600)),
        Resolved::Http { method, url, body } => http(page, method, url, body.as_deref()),
        Resolved::Wait { ms } => page.say(Ink::Text, 2, &format!("waits {}", duration(*ms))),
        Resolved::Notify { to, argv, text } => {
            page.field("to", Ink::Text, &clean::line(&format!("{to} {}", argv.join(" ")), 400));
            page.say(Ink::Text, 2, clean::block(text).trim_end());
        }
        Resolved::Human | Resolved::Unready => {}
    }
}

/// The sign beside each statement: passed, at work, failed, or none.
fn signs(model: &Model, run: Option<&StepRun>, count: usize) -> Vec<Option<(&'static str, Ink)>> {
    let Some(run) = run else {
        return vec![None; count];
    };
    let live =
        run.attempt.as_ref().and_then(|attempt| model.progress.get(attempt)).map_or(0, |progress| progress.statement);
    let at = run.output.statement.max(live) as usize;
    let sign = |n: usize| match run.status {
        StepStatus::Done | StepStatus::Undone => Some(("✔", Ink::Good)),
        _ if n < at => Some(("✔", Ink::Good)),
        StepStatus::Running | StepStatus::Undoing if n == at => Some(("▶", Ink::Active)),
        StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed if n == at => Some(("✖", Ink::Bad)),
        StepStatus::InDoubt if n == at => Some(("?", Ink::Warn)),
        _ => None,
    };
    (1..=count).map(|n| sign(n).filter(|_| count > 1)).collect()
}

fn statement(page: &mut Page<'_>, sql: &str, sign: Option<(&'static str, Ink)>) {
    let look = page.model.look;
    let sql = clean::block(sql);
    let room = page.width.saturating_sub(4);
    let parts = sql.trim_matches('\n').trim_end().split('\n').flat_map(|line| {
        let ink = if line.trim_start().starts_with("--") { Ink::Dim } else { Ink::Text };
        text::wrap(line, room).into_iter().map(move |part| (ink, part))
    });
    for (n, (ink, part)) in parts.enumerate() {
        let head = match sign {
            Some((sign, ink)) if n == 0 => Span::styled(format!(" {sign} "), look.style(ink)),
            _ => Span::raw("   "),
        };
        page.lines.push(Line::from(vec![head, Span::styled(part, look.style(ink))]));
    }
}

fn command(page: &mut Page<'_>, argv: &[String]) {
    let words: Vec<String> = argv.iter().map(|word| clean::word(&clean::line(word, 2_000))).collect();
    page.say(Ink::Text, 2, &words.join(" "));
}

fn connected(page: &mut Page<'_>, connect: Option<&str>) {
    if let Some(target) = connect {
        page.field("with", Ink::Dim, &format!("the connection of target {}", clean::line(target, 40)));
    }
}

fn http(page: &mut Page<'_>, method: &str, url: &str, body: Option<&str>) {
    page.say(Ink::Text, 2, &format!("{} {}", clean::line(method, 16), clean::line(url, 2_000)));
    if let Some(body) = body {
        page.gap();
        page.say(Ink::Text, 2, clean::block(body).trim_end());
    }
}

/// The statement of each batch, and how they follow each other.
fn batch(page: &mut Page<'_>, order: &BatchOrder) {
    statement(page, &order.statement(), None);
    page.gap();
    page.field("size", Ink::Text, &order.sizes());
    if order.pause_ms > 0 {
        page.field("pause", Ink::Text, &duration(order.pause_ms));
    }
    if let Some(throttle) = &order.throttle {
        page.field("throttle", Ink::Text, &clean::line(throttle, 400));
    }
    page.field("health", Ink::Text, &crate::run::retune::health(&order.health));
    if let Some(complete) = &order.complete {
        page.field("complete", Ink::Text, &clean::line(complete, 400));
    }
    if order.repeatable {
        page.field("proof", Ink::Dim, "what is done is left out by the condition");
    }
}

/// The files of a folder: once the step has begun, those whose turn it is.
fn files(page: &mut Page<'_>, order: &MigrationOrder, run: Option<&StepRun>) {
    page.say(Ink::Text, 2, &order.words());
    page.field("table", Ink::Dim, &clean::line(order.table(), 100));
    page.gap();
    let turns = run.map(|run| &run.output.files).filter(|turns| !turns.is_empty());
    for (_, file) in order.files.iter().enumerate().filter(|(n, _)| order.reaches(*n)) {
        let turn = turns.and_then(|turns| turns.get(&file.version));
        if turn.is_none() && (turns.is_some() || order.way == Way::Down) {
            continue;
        }
        let (sign, ink, tail) = match turn {
            Some(turn) if turn.state == FileState::Done => ("✔", Ink::Good, format!(" · {}", duration(turn.ms))),
            Some(turn) if turn.state == FileState::Failed => ("✖", Ink::Bad, format!(" · {}", duration(turn.ms))),
            Some(_) => ("▶", Ink::Active, String::new()),
            None => (" ", Ink::Dim, String::new()),
        };
        if matches!(turn, Some(turn) if turn.state != FileState::Done) {
            page.rest = Rest::At(page.lines.len());
        }
        let alone = if file.transaction { "" } else { " · NO TRANSACTION" };
        let words = format!(" {sign} {}{alone}{tail}", clean::line(&file.script, 200));
        let ink = if turn.is_some() { ink } else { Ink::Text };
        page.lines.push(Line::styled(text::left(&words, page.width), page.model.look.style(ink)));
    }
}

/// What would run, in the words of the runbook.
fn planned(page: &mut Page<'_>, step: &Step, run: Option<&StepRun>) {
    match &step.verb {
        Verb::Checklist(items) => checklist(page, items, run),
        Verb::Poll(roles) => {
            poll(page, roles, run);
            answers_left(page, step, run);
        }
        Verb::Sql(Script { asks: Asks::Inventory(wanted), .. }) => {
            page.say(Ink::Text, 2, &clean::line(&wanted.words(), 400));
        }
        Verb::Sql(script) => {
            let edited = run.and_then(|run| run.edited.as_deref());
            if edited.is_some() {
                page.say(Ink::Warn, 1, "edited for this run; the journal keeps both texts");
            } else if let Some(file) = &script.file {
                page.field("file", Ink::Dim, &clean::line(file, 200));
            }
            statement(page, edited.unwrap_or(&script.text), None);
        }
        Verb::Batch(plan) => batch(page, &BatchOrder::planned(plan)),
        Verb::Migrations(plan) => files(page, &MigrationOrder::new(plan, None), run),
        Verb::Run(argv) => command(page, argv),
        Verb::Shell(script) => page.say(Ink::Text, 2, clean::block(script).trim_end()),
        Verb::Http(HttpCall { method, url, body, .. }) => http(page, method, url, body.as_deref()),
        Verb::Backup(backup) => page.field("file", Ink::Text, &clean::line(&resolved(page.model, &backup.file), 200)),
        Verb::Restore(restore) => {
            page.field("file", Ink::Text, &clean::line(&resolved(page.model, &restore.file), 200))
        }
        Verb::Wait(wait) => page.say(Ink::Text, 2, &format!("waits {}", text::planned(*wait))),
        Verb::Notify(Notify::Webhook { url, text, .. }) => {
            page.field("to", Ink::Text, &clean::line(&url.to_string(), 200));
            page.say(Ink::Text, 2, clean::block(text).trim_end());
        }
        Verb::Notify(Notify::Command { argv, text }) => {
            command(page, argv);
            page.say(Ink::Text, 2, clean::block(text).trim_end());
        }
    }
}

fn checklist(page: &mut Page<'_>, items: &[Item], run: Option<&StepRun>) {
    let model = page.model;
    for (n, item) in items.iter().enumerate() {
        let tick = run.and_then(|run| run.ticks.get(&n));
        let sign = if tick.is_some() { ("☑", Ink::Good) } else { ("☐", Ink::Strong) };
        let ask = clean::line(&item.ask, 400);
        let ask = if item.answer_required && tick.is_none() { format!("{ask} (wants an answer)") } else { ask };
        let tail = tick.map(|tick| {
            let by = format!("{} {}", clean::line(&tick.by, 40), time::short_clock(model, tick.at.wall));
            match &tick.answer {
                Some(answer) => format!("{} · {by}", clean::line(answer, 400)),
                None => by,
            }
        });
        entry(page, n, sign, &ask, tail);
    }
}

fn poll(page: &mut Page<'_>, roles: &[String], run: Option<&StepRun>) {
    let model = page.model;
    for (n, role) in roles.iter().enumerate() {
        let vote = run.and_then(|run| run.votes.get(role));
        let sign = match vote {
            Some(vote) if vote.go => ("✔", Ink::Good),
            Some(_) => ("✖", Ink::Bad),
            None => ("○", Ink::Strong),
        };
        let title = clean::line(view::role_title(model, role), 60);
        let tail = vote.map(|vote| {
            let word = if vote.go { "go" } else { "NO-GO" };
            let by = format!("{} {}", clean::line(&vote.by, 40), time::short_clock(model, vote.at.wall));
            match vote.reason.is_empty() {
                true => format!("{word} · {by}"),
                false => format!("{word}: {} · {by}", clean::line(&vote.reason, 400)),
            }
        });
        entry(page, n, sign, &title, tail);
    }
}

/// The time that is left for the answers of a poll under way.
fn answers_left(page: &mut Page<'_>, step: &Step, run: Option<&StepRun>) {
    let Some(left) = run.and_then(|run| view::answers_left(page.model, step, run)) else { return };
    page.gap();
    match left {
        0 => page.say(Ink::Bad, 1, "the time for answers is over"),
        left => page.say(Ink::Warn, 1, &format!("{} left for the answers", duration(left))),
    }
}

/// A line of a checklist or poll, and under it what was said.
fn entry(page: &mut Page<'_>, n: usize, (glyph, ink): (&str, Ink), words: &str, tail: Option<String>) {
    let model = page.model;
    let chosen = view::human(model).is_some() && view::item(model) == Some(n);
    if chosen {
        page.rest = Rest::At(page.lines.len());
    }
    let style = model.look.style(if chosen { Ink::Selected } else { Ink::Text });
    for (at, part) in text::wrap(words, page.width.saturating_sub(5)).into_iter().enumerate() {
        let head = if at == 0 { format!(" {glyph} ") } else { "   ".to_owned() };
        let part = if chosen { text::left(&part, page.width.saturating_sub(4)) } else { part };
        page.lines.push(Line::from(vec![Span::styled(head, model.look.style(ink)), Span::styled(part, style)]));
    }
    if let Some(tail) = tail {
        page.say(Ink::Dim, 5, &tail);
    }
}

/// What must hold, before and after, and what is known to go wrong.
fn conditions(page: &mut Page<'_>, step: &Step) {
    page.gap();
    if let Some(expr) = &step.only_if {
        page.field("only if", Ink::Text, &clean::line(&expr.source, 400));
    }
    if let Some(expr) = &step.expect {
        page.field("expect", Ink::Text, &clean::line(&expr.source, 400));
    }
    if let Some(most) = step.max_rows {
        page.field("max rows", Ink::Text, &text::count(u64::from(most)));
    }
    masked(page, step);
    if let Some(produces) = &step.produces {
        page.field("produces", Ink::Text, &clean::line(produces, 400));
    }
    if let Some(timeout) = step.timeout {
        page.field("timeout", Ink::Text, &text::planned(timeout));
    }
    if let Some(loses) = &step.loses {
        page.field("loses", Ink::Warn, &clean::line(loses, 400));
    }
    if let Undo::By(undo) = &step.undo {
        page.field("undo", Ink::Dim, &clean::line(&brief(page.model, undo), 400));
    }
    for trouble in &step.trouble {
        let words = format!("{} → {}; {}", trouble.matching, trouble.cause, trouble.fix);
        page.field("known trouble", Ink::Dim, &clean::line(&words, 400));
    }
    while page.lines.last().is_some_and(|line| line.width() == 0) {
        page.lines.pop();
    }
}

/// Columns whose values nobody will see, by the step or by the environment.
fn masked(page: &mut Page<'_>, step: &Step) {
    let columns = mask::columns(&page.model.runbook, &page.model.state.opened.environment, &step.id);
    if !columns.is_empty() && mask::applies(step) {
        page.field("masks", Ink::Text, &clean::line(&columns.join(", "), 400));
    }
}

/// A template as it would be now; as it is written where something of it is not known yet.
fn resolved(model: &Model, template: &str) -> String {
    let context = || context::of(&model.runbook, &model.state);
    let text = template.contains("{{").then(|| expr::render(template, Place::Text, &context()).ok()).flatten();
    text.unwrap_or_else(|| template.to_owned())
}

/// A step in a few words.
pub fn brief(model: &Model, step: &Step) -> String {
    let what = match &step.verb {
        Verb::Sql(Script { asks: Asks::Inventory(wanted), .. }) => wanted.name.clone(),
        Verb::Sql(script) => {
            script.file.clone().unwrap_or_else(|| script.text.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        Verb::Batch(batch) => format!("{} along {}", batch.table, batch.key),
        Verb::Migrations(files) if files.way == Way::Down => "down".to_owned(),
        Verb::Migrations(files) => files.words(),
        Verb::Run(argv) => argv.join(" "),
        Verb::Shell(script) => script.lines().next().unwrap_or_default().to_owned(),
        Verb::Http(call) => format!("{} {}", call.method, call.url),
        Verb::Wait(wait) => text::planned(*wait),
        Verb::Backup(backup) => resolved(model, &backup.file),
        Verb::Restore(restore) => resolved(model, &restore.file),
        Verb::Checklist(items) => text::plural(items.len(), "line"),
        Verb::Poll(roles) => text::plural(roles.len(), "role"),
        Verb::Notify(_) => String::new(),
    };
    format!("{} {what}", step.verb.word())
}
