//! The words that every face shares: durations, clocks, numbers, states and causes, cleaned and said in one way everywhere.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;

use super::event::{Claim, Direction, End, Fingerprint, Grip, HoldCause, Mode, Moment, Proof};
use super::facts::{Effect, Facts, Fault, Verdict};
use super::state::{RunState, StepStatus};
use super::{clean, limits};
use crate::runbook::{Runbook, TriggerAction, Var};

/// Graphemes of a foreign text inside a sentence; the rest is behind "…".
pub const PHRASE: usize = 240;
/// Graphemes of a name (step, trigger, user) inside a sentence.
pub const NAME: usize = 80;

/// A foreign text as part of a sentence: one line, cleaned, bounded.
pub fn phrase(text: &str) -> String {
    clean::line(text.trim(), PHRASE)
}

/// A name as part of a sentence.
pub fn name(text: &str) -> String {
    clean::line(text, NAME)
}

/// Time that passed, from milliseconds, cut and not rounded so that it never runs ahead:
/// `234 ms`, `1.2 s`, `41 s`, `2m10`, `1h06`, `3d04h`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..10 => format!("{seconds}.{} s", ms % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A planned length, as people write it: `234 ms`, else as [`duration`] without an empty end (`30m`, `1h`, `1h30`).
pub fn span(length: Duration) -> String {
    let ms = millis(length);
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let text = duration(ms);
    let short = text.trim_end_matches("00h").trim_end_matches("00").trim_end_matches(".0 s");
    match short.len() == text.len() {
        true => text,
        false if text.ends_with(" s") => format!("{short} s"),
        false => short.to_owned(),
    }
}

/// A length in whole milliseconds, the end of the scale where it is longer.
pub fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The time of day in the window's zone (UTC where it has none): `03:41:07`.
pub fn clock(moment: Moment, zone: Option<Tz>) -> String {
    instant(moment.wall, zone, "%H:%M:%S")
}

/// Day and time with the zone: `2024-01-31 08:00:07 UTC`.
pub fn date(wall: DateTime<Utc>, zone: Option<Tz>) -> String {
    instant(wall, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// The calendar day in the window's zone.
pub fn day(wall: DateTime<Utc>, zone: Option<Tz>) -> NaiveDate {
    local(wall, zone).date_naive()
}

/// The local time; a journal's wall clock at the end of the calendar has none, and is taken as the year 9999.
fn local(wall: DateTime<Utc>, zone: Option<Tz>) -> DateTime<Tz> {
    let wall = match wall.year() {
        0..=9999 => wall,
        _ => DateTime::from_timestamp(253_402_214_400, 0).unwrap_or_default(),
    };
    wall.with_timezone(&zone.unwrap_or(Tz::UTC))
}

fn instant(wall: DateTime<Utc>, zone: Option<Tz>, format: &str) -> String {
    local(wall, zone).format(format).to_string()
}

/// `1204` as `1,204`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `1,204 rows`.
pub fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A size: `812 B`, `4.1 KB`, `1.6 GB` (thousands, as disks are sold).
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let (mut tenths, mut unit) = (n / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A measured number without needless digits: `0.21`, `41`, `1,204`, `0.0004`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if (1000.0..1e15).contains(&size) {
        let sign = if value < 0.0 { "-" } else { "" };
        // Whole and below 1e15 by the guard above: nothing is cut off.
        return format!("{sign}{}", count(size.round() as u64));
    }
    let text = match size {
        0.0 => return "0".to_owned(),
        _ if !(1e-4..1e15).contains(&size) => return format!("{value:.2e}"),
        _ if size < 0.1 => format!("{value:.4}"),
        _ if size < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with its unit: `3.2 %`.
pub fn measure(value: f64, unit: &str) -> String {
    match unit {
        "" => number(value),
        unit => format!("{} {}", number(value), name(unit)),
    }
}

/// The value of a variable as its runbook would write it.
pub fn var(value: &Var) -> String {
    match value {
        Var::Bool(value) => value.to_string(),
        Var::Int(value) => value.to_string(),
        Var::Float(value) => value.to_string(),
        Var::Text(text) => phrase(text),
    }
}

pub fn status(status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "pending",
        StepStatus::Running => "running",
        StepStatus::Done => "done",
        StepStatus::Failed => "failed",
        StepStatus::Broke => "could not run",
        StepStatus::InDoubt => "in doubt",
        StepStatus::Skipped => "skipped",
        StepStatus::Left => "left unanswered",
        StepStatus::Undoing => "undoing",
        StepStatus::Undone => "undone",
        StepStatus::UndoFailed => "undo failed",
        StepStatus::UndoSkipped => "undo skipped",
    }
}

pub fn end(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Failed => "failed",
        End::RolledBack => "rolled back",
    }
}

/// Why nothing follows a run: `not applicable: rolled back`. Follow-ups belong to a live run that ended done; after any other end
/// they may destroy what the way back needs. None: they apply, or would once the run has ended.
pub fn no_followups(state: &RunState) -> Option<String> {
    let (reached, ..) = state.ended.as_ref()?;
    match (state.opened.mode, reached) {
        (Mode::Rehearsal, End::Done) => Some("not applicable: a rehearsal".to_owned()),
        (Mode::Live, End::Done) => None,
        (_, other) => Some(format!("not applicable: {}", end(*other))),
    }
}

pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "live",
        Mode::Rehearsal => "rehearsal",
    }
}

pub fn claim(claim: Claim) -> &'static str {
    match claim {
        Claim::Done => "done",
        Claim::NotDone => "not done",
    }
}

pub fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Undo => "undo",
    }
}

/// What a trigger does: `warns`, `holds`, `rolls back`.
pub fn action(action: TriggerAction) -> &'static str {
    match action {
        TriggerAction::Warn => "warns",
        TriggerAction::Hold => "holds",
        TriggerAction::Rollback => "rolls back",
    }
}

/// What became of the thing that a failed attempt tried.
pub fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "nothing changed",
        Effect::Possible => "all or part of it may have happened",
    }
}

/// Why a run stands still, to be read after "held: ".
pub fn hold(cause: &HoldCause, book: &Runbook) -> String {
    match cause {
        HoldCause::Operator { reason } if reason.is_empty() => "by the operator".to_owned(),
        HoldCause::Operator { reason } => phrase(reason),
        HoldCause::Step { step } => format!("step {} failed", name(&step.0)),
        HoldCause::NoGo { step, role } => {
            format!("{} says no-go in {}", phrase(book.role_title(role)), name(&step.0))
        }
        HoldCause::Trigger { trigger } => format!("trigger {} fired", name(trigger)),
        HoldCause::Missing { trigger } => format!("trigger {} has no data", name(trigger)),
        HoldCause::InDoubt { attempt } => {
            format!("{} is in doubt; say whether it happened", name(&attempt.to_string()))
        }
        HoldCause::Undo { attempt } => format!("{} failed", name(&attempt.to_string())),
        HoldCause::Rollback { reason } => format!("the rollback needs a decision: {}", phrase(reason)),
        HoldCause::Unanswered { what } => format!("nobody is there to answer: {}", phrase(what)),
        HoldCause::Criteria { criteria } => format!("not met: {}", phrase(&criteria.join(", "))),
        HoldCause::JournalFull {} => "the journal's disk is full; make room, then resume".to_owned(),
        HoldCause::Target { target, error } => format!("target {} is lost: {}", name(target), phrase(error)),
        HoldCause::Owned { target, owner } => format!("target {} has another owner: {}", name(target), phrase(owner)),
        HoldCause::Coverage { phase, missed } => {
            format!("phase {} cannot pass unseen: {}", name(phase), phrase(missed))
        }
        HoldCause::Breached { phase, trigger, unjudged: true } => {
            let trigger = name(trigger);
            format!("phase {} cannot pass: trigger {trigger} is not judged yet, and its condition is true", name(phase))
        }
        HoldCause::Breached { phase, trigger, unjudged: false } => {
            format!("phase {} cannot pass: trigger {} is still breached", name(phase), name(trigger))
        }
    }
}

/// What an attempt brought home, most telling first: `value 52`, `3 rows`, `exit 0`, `HTTP 200`. `writes`: it is one that
/// writes rows, so that none is said.
pub fn results(facts: &Facts, writes: bool) -> Vec<String> {
    let mut out = Vec::new();
    let single = facts.rows == Some(1) && facts.row.as_ref().is_some_and(|row| row.len() == 1);
    match (&facts.value, facts.rows) {
        _ if facts.files.is_some() => out.extend(facts.files.map(|files| plural(files, "file"))),
        _ if copied(facts).is_some() => out.extend(copied(facts)),
        (Some(value), _) if single => out.push(format!("value {}", json_value(value))),
        (_, Some(rows)) if rows > 0 || facts.affected.is_none_or(|n| n == 0) => out.push(plural(rows, "row")),
        _ => {}
    }
    out.extend(written(facts, writes));
    out.extend(
        facts.batches.map(|batches| format!("{} batch{}", count(batches), if batches == 1 { "" } else { "es" })),
    );
    out.extend(facts.exit.map(|exit| format!("exit {exit}")));
    out.extend(facts.status.map(|status| format!("HTTP {status}")));
    if let Some(file) = &facts.file {
        out.push(format!("{} {}", phrase(&file.path), bytes(file.size)));
    }
    if !facts.notices.is_empty() {
        out.push(plural(facts.notices.len() as u64, "notice"));
    }
    if !facts.answers.is_empty() {
        out.push(plural(facts.answers.len() as u64, "answer"));
    }
    out
}

/// Rows written; that there were none where it could have written some.
pub fn written(facts: &Facts, writes: bool) -> Option<String> {
    let affected = facts.affected.filter(|n| *n > 0 || writes || facts.batches.is_some());
    affected.map(|affected| format!("{} written", plural(affected, "row")))
}

/// What a backup or restore holds, whose rows are tables: `204,000 rows in 3 tables`.
pub fn copied(facts: &Facts) -> Option<String> {
    let (Some(tables), Some(_)) = (facts.rows, &facts.file) else { return None };
    let rows = facts.value.as_ref().and_then(serde_json::Value::as_u64)?;
    Some(format!("{} in {}", plural(rows, "row"), plural(tables, "table")))
}

fn json_value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "NULL".to_owned(),
        serde_json::Value::String(text) => clean::line(text, NAME),
        other => clean::line(&other.to_string(), NAME),
    }
}

/// The judgement of an expectation: `value == 52 holds (value = 52)`.
pub fn verdict(verdict: &Verdict) -> String {
    let word = if verdict.passed { "holds" } else { "does not hold" };
    match verdict.saw.is_empty() {
        true => format!("{} {word}", phrase(&verdict.expect)),
        false => format!("{} {word} ({})", phrase(&verdict.expect), phrase(&verdict.saw)),
    }
}

/// A failure in one line: what, SQLSTATE, where, what is safe.
pub fn fault(fault: &Fault) -> String {
    let mut out = phrase(&fault.summary);
    if let Some(state) = &fault.sqlstate {
        out.push_str(&format!(" (SQLSTATE {})", name(state)));
    }
    if !fault.place.is_empty() {
        out.push_str(&format!(" at {}", phrase(&fault.place)));
    }
    if !fault.safe.is_empty() {
        out.push_str(&format!(" · {}", phrase(&fault.safe)));
    }
    out
}

/// Who a target is: `postgresql 15.18 · app at db1:5432 as deploy · primary`.
pub fn fingerprint(print: &Fingerprint) -> String {
    let mut out = format!("{} {}", name(&print.kind), name(&print.version)).trim().to_owned();
    if !print.database.is_empty() {
        out.push_str(&format!(" · {}", name(&print.database)));
    }
    if !print.host.is_empty() && print.host != print.database {
        out.push_str(&format!(" at {}", phrase(&print.host)));
    }
    if !print.role.is_empty() {
        out.push_str(&format!(" as {}", name(&print.role)));
    }
    if print.in_recovery {
        out.push_str(" · STANDBY");
    } else if print.system_id.is_some() {
        out.push_str(" · primary");
    }
    out
}

/// How a run holds a target, where there is something to say: `epoch 3 in its ledger`, `weaker proof: …`.
pub fn grip(grip: &Grip) -> Vec<String> {
    let mut out = Vec::new();
    match (&grip.proof, grip.epoch) {
        (Proof::Ledger, Some(epoch)) => out.push(format!("proof by its ledger, epoch {epoch}")),
        (Proof::Ledger, None) => out.push("proof by its ledger".to_owned()),
        (Proof::Weaker { why }, _) => out.push(format!("weaker proof: {}", phrase(why))),
        (Proof::None, _) => {}
    }
    if grip.read_only {
        out.push("nothing can be written there".to_owned());
    }
    out.extend(skew(grip));
    out
}

/// The target's clock, where it is off by more than a little.
pub fn skew(grip: &Grip) -> Option<String> {
    let off = grip.skew_ms.filter(|off| off.unsigned_abs() > limits::SKEW_MS)?;
    let which = if off > 0 { "ahead of" } else { "behind" };
    Some(format!("its clock is {} {which} ours", duration(off.unsigned_abs())))
}
