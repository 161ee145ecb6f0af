//! What a run would do, in its order: every step as it would be sent, and how each is taken back. Nothing is touched.

use chrono::{DateTime, Utc};

use crate::run::event::Resolved;
use crate::run::{BatchOrder, Direction, MigrationOrder, RunState, clean, describe, mask, prepare, words};
use crate::runbook::{Asks, OnFail, Phase, Runbook, Script, Step, Trigger, Undo, Var, Verb, Way};

/// Columns of the words before a value.
const LABEL: usize = 9;
/// Characters of one value.
const VALUE: usize = 400;

/// The plan of the run that `state` opens, as text: many lines, each ended by a line feed. Values that only the run can
/// know stand as their templates, and are named.
pub fn plan(book: &Runbook, state: &RunState) -> String {
    let mut sheet = Sheet { book, state, out: String::new() };
    sheet.head();
    for (n, phase) in book.phases.iter().enumerate() {
        sheet.phase(n + 1, phase);
    }
    sheet.watched();
    sheet.back();
    sheet.end();
    sheet.out
}

struct Sheet<'a> {
    book: &'a Runbook,
    state: &'a RunState,
    out: String,
}

impl Sheet<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        let text = format!("{:indent$}{text}", "");
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn field(&mut self, indent: usize, label: &str, value: &str) {
        let mut label = label;
        for part in clean::block(value).trim_end().lines() {
            self.line(indent, &format!("{label:<LABEL$} {part}"));
            label = "";
        }
    }

    fn head(&mut self) {
        let (book, environment) = (self.book, self.state.opened.environment.as_str());
        self.line(0, &clean::line(&book.title, VALUE));
        let steps = book.steps().filter(|step| self.belongs(step)).count() as u64;
        let size = format!("{} in {}", words::plural(steps, "step"), words::plural(book.phases.len() as u64, "phase"));
        self.field(0, "runbook", &format!("{} · {size}", words::name(&book.id)));
        let protected = book.environment(environment).is_some_and(|env| env.protected);
        let guard = if protected { " · protected: wants a typed confirmation, refuses rehearsals" } else { "" };
        let people = book.environment(environment).map_or(0, |env| env.approvals);
        let people = if people > 1 { format!(" · wants the approval of {people} people") } else { String::new() };
        self.field(0, "env", &format!("{}{guard}{people}", words::name(environment)));
        if let Some(starts) = book.window.starts {
            let lasts = book.window.lasts.map(|lasts| format!(", lasts {}", words::span(lasts))).unwrap_or_default();
            self.field(0, "window", &format!("{}{lasts}", self.clock(starts)));
        }
        let targets = book.environment(environment).map(|env| env.targets.as_slice()).unwrap_or_default();
        for (name, spec) in targets {
            self.field(0, "target", &format!("{name} at {}", clean::line(&spec.url.to_string(), VALUE)));
        }
        if let Some(last) = &self.state.opened.rehearsed {
            let at = words::date(last.at, book.window.zone);
            let otherwise = last.otherwise().map(|what| format!(" · with other values ({})", words::phrase(&what)));
            let (place, otherwise) = (words::name(&last.environment), otherwise.unwrap_or_default());
            self.field(0, "rehearsed", &format!("{at} in {place} · run {}{otherwise}", last.run));
        }
        for (name, value) in &book.vars {
            let value = match value {
                Var::Text(text) if text.is_empty() => "(empty)".to_owned(),
                other => clean::line(&words::var(other), VALUE),
            };
            self.field(0, "var", &format!("{name} = {value}"));
        }
    }

    fn clock(&self, at: DateTime<Utc>) -> String {
        let zone = self.book.window.zone.unwrap_or(chrono_tz::UTC);
        at.with_timezone(&zone).format("%A %Y-%m-%d %H:%M %Z").to_string()
    }

    fn phase(&mut self, n: usize, phase: &Phase) {
        self.out.push('\n');
        let mut about = vec![format!("{n}. {}", clean::line(&phase.title, VALUE))];
        match (phase.at, self.book.window.starts) {
            (Some(at), Some(starts)) => about.push(format!("at {}", self.clock(starts + at))),
            (Some(at), None) if at.is_zero() => about.push("at the start".to_owned()),
            (Some(at), None) => about.push(format!("{} after the start", words::span(at))),
            (None, _) => {}
        }
        about.extend(phase.lasts.map(|lasts| format!("lasts {}", words::span(lasts))));
        self.line(0, &about.join(" · "));
        for step in &phase.steps {
            self.step(step);
        }
    }

    fn belongs(&self, step: &Step) -> bool {
        step.only.is_empty() || step.only.contains(&self.state.opened.environment)
    }

    fn step(&mut self, step: &Step) {
        let mut about = format!("{} · {}", words::name(&step.id.0), step.verb.word());
        if let Verb::Sql(Script { file: Some(file), .. }) = &step.verb {
            about.push_str(&format!(" {}", clean::line(file, VALUE)));
        }
        if let Some(target) = &step.target {
            about.push_str(&format!(" on {target}"));
        }
        about.extend(step.expected_time.map(|time| format!(" · about {}", words::span(time))));
        about.push_str(&self.rehearsed(step, Direction::Forward));
        if !self.belongs(step) {
            self.line(3, &format!("{about} · left out here: only in {}", step.only.join(", ")));
            return;
        }
        self.line(3, &about);
        if step.title != step.id.0 {
            self.line(5, &clean::line(&step.title, VALUE));
        }
        self.does(step);
        self.conditions(step);
        match &step.undo {
            Undo::By(undo) => {
                let rehearsed = self.rehearsed(step, Direction::Undo);
                self.line(5, &format!("undo · {}{rehearsed}", undo.verb.word()));
                self.does(undo);
                self.conditions(undo);
            }
            Undo::Irreversible => self.field(5, "undo", "irreversible"),
            Undo::NotNeeded => self.field(5, "undo", "none needed"),
            Undo::Unsaid if step.changes() => self.field(5, "undo", "none: the runbook says nothing"),
            Undo::Unsaid => {}
        }
    }

    /// ` · 38 s rehearsed`: what it took in the last rehearsal; nothing where that is not known.
    fn rehearsed(&self, step: &Step, direction: Direction) -> String {
        let ms = self.state.rehearsed_ms(&step.id, direction);
        ms.map(|ms| format!(" · {} rehearsed", words::duration(ms))).unwrap_or_default()
    }

    /// What is sent, with every value in its place that is known beforehand.
    fn does(&mut self, step: &Step) {
        match prepare::resolve(self.book, self.state, step, None) {
            Ok(resolved) => self.sent(step, &resolved),
            Err(error) => {
                self.template(step);
                self.field(7, "open", &format!("known when it runs: {error}"));
            }
        }
    }

    fn sent(&mut self, step: &Step, resolved: &Resolved) {
        match resolved {
            Resolved::Human => self.asked(step),
            Resolved::Sql { asks: Asks::Inventory(wanted), .. } => self.text(&wanted.words()),
            Resolved::Sql { statements, transaction, .. } => {
                for one in statements {
                    self.text(&format!("{};", one.sql.trim_end().trim_end_matches(';')));
                }
                if !transaction {
                    self.field(7, "note", "each statement by itself, outside of a transaction");
                }
            }
            Resolved::Batch { order, .. } => {
                let does = order.set.as_ref().map_or("deletes".to_owned(), |set| format!("sets {set}"));
                let filter = order.filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
                self.text(&format!(
                    "{does} in {}{filter}, by {}, {} rows at first",
                    order.table, order.key, order.size.start
                ));
                self.pace(order);
            }
            Resolved::Migrations { order, .. } => self.files(order),
            Resolved::Run { argv, .. } => self.text(&argv.join(" ")),
            Resolved::Backup { target, order } => self.text(&order.words(target)),
            Resolved::Restore { target, order } => self.text(&order.words(target)),
            Resolved::Shell { script, .. } => self.text(script),
            Resolved::Http { method, url, body } => {
                self.text(&format!("{method} {url}"));
                self.text(body.as_deref().unwrap_or_default());
            }
            Resolved::Wait { ms } => self.text(&format!("waits {}", describe::duration(*ms))),
            Resolved::Notify { to, argv, text } => {
                self.text(&format!("to {to} {}", argv.join(" ")));
                self.text(text);
            }
            Resolved::Unready => {}
        }
        if let Verb::Http(call) = &step.verb {
            for (name, secret) in &call.headers {
                self.field(7, "header", &format!("{name}: {secret}"));
            }
        }
    }

    /// How a batch goes on: its sizes, its pauses, and what makes it wait.
    fn pace(&mut self, order: &BatchOrder) {
        let size = &order.size;
        if let Some(aim) = size.aim_ms {
            let aim = words::duration(aim);
            self.field(7, "target", &format!("{aim} for a batch, {} to {} rows", size.min, size.max));
        }
        if order.pause_ms > 0 {
            self.field(7, "pause", &words::duration(order.pause_ms));
        }
        if let Some(throttle) = &order.throttle {
            self.field(7, "throttle", &format!("waits while {throttle}"));
        }
        let health = &order.health;
        let limits = [
            health.lag_ms.map(|ms| format!("replication lag {}", words::duration(ms))),
            health.lock_waiters.map(|most| format!("{most} waiting for a lock")),
            health.oldest_transaction_ms.map(|ms| format!("a transaction of {}", words::duration(ms))),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        if !limits.is_empty() {
            self.field(7, "health", &format!("waits beyond {}", limits.join(", ")));
        }
    }

    /// Which of them are pending only the database knows.
    fn files(&mut self, order: &MigrationOrder) {
        self.text(&order.words());
        self.field(7, "table", order.table());
        if order.way == Way::Down {
            return;
        }
        for (_, file) in order.files.iter().enumerate().filter(|(n, _)| order.reaches(*n)) {
            let alone = if file.transaction { "" } else { " · outside of a transaction" };
            let back = if file.down.is_some() { " · leads down too" } else { "" };
            self.text(&format!("{}{alone}{back}", clean::line(&file.script, VALUE)));
        }
    }

    fn template(&mut self, step: &Step) {
        match &step.verb {
            Verb::Sql(script) => self.text(&script.text),
            Verb::Run(argv) => self.text(&argv.join(" ")),
            Verb::Shell(script) => self.text(script),
            Verb::Http(call) => self.text(&format!("{} {}", call.method, call.url)),
            Verb::Batch(batch) => self.text(&format!("{} by {}", batch.table, batch.key)),
            Verb::Migrations(files) => self.text(&files.words()),
            Verb::Backup(backup) => self.text(&format!("backup into {}", backup.file)),
            Verb::Restore(restore) => self.text(&format!("restore {}", restore.file)),
            Verb::Notify(_) | Verb::Checklist(_) | Verb::Poll(_) | Verb::Wait(_) => {}
        }
    }

    fn asked(&mut self, step: &Step) {
        match &step.verb {
            Verb::Checklist(items) => {
                for item in items {
                    let answer = if item.answer_required { " (wants an answer)" } else { "" };
                    self.text(&format!("[ ] {}{answer}", item.ask));
                }
            }
            Verb::Poll(roles) => {
                let limit = step.timeout.map(|time| format!(", within {}", words::span(time))).unwrap_or_default();
                self.text(&format!("go or no-go: {}{limit}", roles.join(", ")));
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        for part in clean::block(text).trim_end().lines() {
            self.line(7, part);
        }
    }

    fn conditions(&mut self, step: &Step) {
        if let Some(expr) = &step.only_if {
            self.field(7, "only if", &expr.source);
        }
        if let Some(expr) = &step.expect {
            self.field(7, "expect", &expr.source);
        }
        if let Some(most) = step.max_rows {
            self.field(7, "max rows", &words::count(u64::from(most)));
        }
        let masked = mask::columns(self.book, &self.state.opened.environment, &step.id);
        if !masked.is_empty() && mask::applies(step) {
            self.field(7, "masks", &masked.join(", "));
        }
        if !step.env.is_empty() {
            let names: Vec<String> = step.env.iter().map(ToString::to_string).collect();
            self.field(7, "given", &names.join(", "));
        }
        // Of a poll it stands beside the roles.
        if let Some(timeout) = step.timeout.filter(|_| !matches!(step.verb, Verb::Poll(_))) {
            self.field(7, "timeout", &words::span(timeout));
        }
        if step.retries > 0 {
            self.field(7, "retries", &format!("{}, by itself, where it fails", step.retries));
        }
        if let Some(loses) = &step.loses {
            self.field(7, "loses", loses);
        }
        match step.on_fail {
            OnFail::Hold => {}
            OnFail::Rollback => self.field(7, "on fail", "rolls back"),
            OnFail::Continue => self.field(7, "on fail", "goes on"),
        }
    }

    fn watched(&mut self) {
        if self.book.triggers.is_empty() {
            return;
        }
        self.out.push('\n');
        self.line(0, "Watched");
        for trigger in &self.book.triggers {
            self.trigger(trigger);
        }
    }

    fn trigger(&mut self, trigger: &Trigger) {
        let during = if trigger.during.is_empty() { "the whole run".to_owned() } else { trigger.during.join(", ") };
        let lasting = Some(trigger.lasting).filter(|lasting| !lasting.is_zero());
        let lasting = lasting.map(|lasting| format!(" for {}", words::span(lasting))).unwrap_or_default();
        let after = Some(trigger.after).filter(|after| !after.is_zero());
        let after = after.map(|after| format!(" · after {}", words::span(after))).unwrap_or_default();
        let owner =
            describe::owner(&trigger.id, self.book).map(|owner| format!(" · owner {owner}")).unwrap_or_default();
        let (when, then) = (&trigger.when.source, words::action(trigger.then));
        let text = format!("{when}{lasting} → {then} · during {during}{after}{owner}");
        self.line(3, &clean::line(&format!("{} · {text}", trigger.id), VALUE));
    }

    fn back(&mut self) {
        for plan in &self.book.rollbacks {
            self.out.push('\n');
            self.line(0, &format!("Rollback plan {}: {}", plan.id, clean::line(&plan.title, VALUE)));
            for step in &plan.steps {
                self.step(step);
            }
        }
    }

    fn end(&mut self) {
        if !self.book.criteria.is_empty() {
            self.out.push_str("\nJudged at the end\n");
        }
        for one in &self.book.criteria {
            self.line(3, &clean::line(&format!("{} · {} · {}", one.id, one.title, one.when.source), VALUE));
        }
        self.out.push_str("\nNothing was touched: no target, no probe, no command.\n");
    }
}
