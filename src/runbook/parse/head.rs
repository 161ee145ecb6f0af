//! The head of a runbook: format, names, window, roles, variables, environments.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Node, Reader};
use super::{Given, Notes, Owner, values};
use crate::runbook::expr::{self, FACT_NAMES, Place};
use crate::runbook::suggest;
use crate::runbook::text::Located;
use crate::runbook::{Environment, LedgerUse, MaxBlocked, Runbook, Secret, TargetSpec, Var, Window};

/// Names that mean something in every expression.
const RESERVED: &[&str] = &[
    "run", "steps", "target", "loop", "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is",
    "if", "else",
];

pub(super) fn format(table: &Reader<'_, '_>) {
    let Some(node) = table.node("format") else {
        table.notes.say(0..0, "a runbook needs `format`", "write format = 1 as its first line");
        return;
    };
    let version = match node.value {
        DeValue::Integer(version) => version.as_str(),
        _ => {
            table.notes.wrong_type::<()>(&node, "format", "a whole number", "write format = 1");
            return;
        }
    };
    if version != "1" {
        let message = format!("format {version} is not known to this version of gonogo");
        table.notes.say(node.span, message, "this version reads format = 1");
    }
}

pub(super) fn names(table: &Reader<'_, '_>, runbook: &mut Runbook) {
    if !table.has("id") {
        table.notes.say(0..0, "a runbook needs `id`", "write id = \"week1-wednesday\"");
    } else if let Some((id, _)) = values::id_of(table, "id = \"week1-wednesday\"") {
        runbook.id = id;
    }
    runbook.title = table.label("title").unwrap_or_else(|| runbook.id.clone());
    // Where the run is named in it, its name is known when the run is: it is filled when the report is written.
    let report = table.need_or_none("report");
    runbook.report = report.map(|text| super::steps::template(table.notes, &text, Place::Text, &Owner::Target));
}

pub(super) fn window(table: &Reader<'_, '_>) -> Window {
    let Some(window) = table.table("window", "the window") else {
        return Window::default();
    };
    let zone = window.text("zone").and_then(|name| zone(window.notes, &name));
    let starts = window.node("starts");
    // Without its zone a local time cannot be read: the zone's own problem says enough.
    let readable = zone.is_some() || !window.has("zone");
    let result = Window {
        starts: starts.filter(|_| readable).and_then(|node| values::instant(window.notes, &node, zone)),
        lasts: positive(&window, "lasts"),
        zone,
    };
    window.finish();
    result
}

/// A duration that is more than nothing.
pub(super) fn positive(table: &Reader<'_, '_>, key: &'static str) -> Option<Duration> {
    let duration = table.duration(key)?;
    if duration.is_zero() {
        let node = table.node(key)?;
        let message = format!("`{key}` is no time at all");
        table.notes.say(node.span, message, "write more than zero, or leave the line out");
        return None;
    }
    Some(duration)
}

fn zone(notes: &Notes<'_>, name: &Located) -> Option<chrono_tz::Tz> {
    let found = name.text.parse().ok();
    if found.is_none() {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let hint = match suggest::nearest(&name.text, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "write a name such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
        };
        notes.at(name, format!("`{}` is not a time zone", name.text), hint);
    }
    found
}

pub(super) fn roles(table: &Reader<'_, '_>) -> Vec<(String, String)> {
    let Some(roles) = table.table("roles", "the roles") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (id, span, node) in roles.entries() {
        values::id(roles.notes, &id, span, "a role");
        if let Some(title) = roles.notes.text_of(&node, &id) {
            all.push((id, roles.notes.resolve(&title).unwrap_or_default()));
        }
    }
    all
}

/// The variables with their values. Those that mention the run keep their template.
pub(super) fn vars(table: &Reader<'_, '_>, given: &BTreeMap<String, Given>) -> Vec<(String, Var)> {
    let vars = table.table("vars", "the variables");
    let entries = vars.as_ref().map(Reader::entries).unwrap_or_default();
    unknown_settings(table, &entries.iter().map(|entry| entry.0.as_str()).collect::<Vec<_>>(), given);
    let mut all: Vec<(String, Var)> = Vec::new();
    for (name, span, node) in entries {
        let notes = table.notes;
        if !values::name(notes, &name, span.clone(), "a variable") || reserved(notes, &name, span) {
            continue;
        }
        // A variable that is wrong is known all the same: who uses it is not to blame.
        let default = default(notes, &node, &name).unwrap_or(Var::Text(String::new()));
        let value = given.get(&name).and_then(|given| set(notes, &node, &name, &default, given));
        let value = resolve(notes, &node, &name, value.unwrap_or(default));
        notes.vars.borrow_mut().push(name.clone());
        all.push((name, value));
    }
    all
}

fn unknown_settings(table: &Reader<'_, '_>, names: &[&str], given: &BTreeMap<String, Given>) {
    for name in given.keys().filter(|name| !names.contains(&name.as_str())) {
        let span = if table.has("vars") { table.key_span("vars") } else { 0..0 };
        let message = format!("--set {name}: the runbook has no such variable");
        table.notes.say(span, message, suggest::hint(name, names, "it has no variables at all"));
    }
}

/// True where a name already means something in expressions; says so.
pub(super) fn reserved(notes: &Notes<'_>, name: &str, span: std::ops::Range<usize>) -> bool {
    let taken = RESERVED.contains(&name) || FACT_NAMES.contains(&name);
    if taken {
        let message = format!("`{name}` already means something in expressions");
        notes.say(span, message, format!("choose another name, such as `my_{}`", name.to_lowercase()));
    }
    taken
}

fn default(notes: &Notes<'_>, node: &Node<'_>, name: &str) -> Option<Var> {
    match node.value {
        DeValue::Boolean(value) => Some(Var::Bool(*value)),
        DeValue::String(text) => Some(Var::Text(text.to_string())),
        DeValue::Integer(value) => {
            let value = i64::from_str_radix(value.as_str(), value.radix()).ok();
            if value.is_none() {
                notes.say(node.span.clone(), "this number is too large", "numbers have at most 64 bits");
            }
            value.map(Var::Int)
        }
        DeValue::Float(value) => {
            let value = value.as_str().parse().ok().filter(|value: &f64| value.is_finite());
            if value.is_none() {
                notes.say(node.span.clone(), "this is not a finite number", "write a number such as 0.5");
            }
            value.map(Var::Float)
        }
        _ => notes.wrong_type(node, name, "a text, a number, true or false", "write a list as a text"),
    }
}

/// What `--set` says, typed by the default.
fn set(notes: &Notes<'_>, node: &Node<'_>, name: &str, default: &Var, given: &Given) -> Option<Var> {
    let (value, shown) = match given {
        Given::Words(words) => (typed(default, words), words.clone()),
        Given::Typed(value) => (alike(default, value).then(|| value.clone()), "…".to_owned()),
    };
    if value.is_none() {
        let wanted = match default {
            Var::Bool(_) => "true or false",
            Var::Int(_) => "a whole number",
            Var::Float(_) => "a number",
            Var::Text(_) => "a text",
        };
        let message = format!("--set {name}={shown}: this variable is {wanted}");
        notes.say(node.span.clone(), message, "its default, here, says of what type it is");
    }
    value
}

/// The words of a command line as the type of `default`.
pub(in crate::runbook) fn typed(default: &Var, words: &str) -> Option<Var> {
    match default {
        Var::Bool(_) => words.parse().ok().map(Var::Bool),
        Var::Int(_) => words.parse().ok().map(Var::Int),
        Var::Float(_) => words.parse().ok().filter(|value: &f64| value.is_finite()).map(Var::Float),
        Var::Text(_) => Some(Var::Text(words.to_owned())),
    }
}

fn alike(default: &Var, value: &Var) -> bool {
    // A journal writes the float 2.0 as it is, but other tools may write 2.
    matches!(
        (default, value),
        (Var::Bool(_), Var::Bool(_))
            | (Var::Int(_), Var::Int(_))
            | (Var::Float(_), Var::Float(_) | Var::Int(_))
            | (Var::Text(_), Var::Text(_))
    )
}

/// Resolves a variable's template by the variables before it; one that mentions the run keeps it.
fn resolve(notes: &Notes<'_>, node: &Node<'_>, name: &str, value: Var) -> Var {
    let Var::Text(words) = &value else {
        notes.context.borrow_mut().var(name, &value);
        return value;
    };
    if !expr::has_template(words) {
        notes.context.borrow_mut().var(name, &value);
        return value;
    }
    let text = Located { text: words.clone(), file: None, span: node.span.clone() };
    if notes.is_late(&text) {
        notes.late.borrow_mut().insert(name.to_owned());
        return value;
    }
    let resolved = notes.resolve(&text).unwrap_or_default();
    if expr::has_template(&resolved) {
        notes.at(&text, "a variable cannot hold {{, {% or {#", "build such a text where it is used");
    }
    let value = Var::Text(resolved);
    notes.context.borrow_mut().var(name, &value);
    value
}

pub(super) fn environments(table: &Reader<'_, '_>) -> Vec<Environment> {
    let Some(all) = table.table("environments", "the environments") else {
        return Vec::new();
    };
    let mut environments = Vec::new();
    for (name, span, node) in all.entries() {
        values::id(all.notes, &name, span, "an environment");
        let Some(one) = all.notes.table_of(&node, &format!("environments.{name}"), "an environment") else {
            continue;
        };
        environments.push(environment(name, one));
    }
    environments
}

fn environment(name: String, table: Reader<'_, '_>) -> Environment {
    let approvals = table.whole("approvals", 0..=99).unwrap_or(0);
    let rehearsal = values::one_of(&table, "rehearsal", &[("required", true), ("told", false)]).unwrap_or(false);
    let mut targets = Vec::new();
    if let Some(all) = table.table("targets", "the targets") {
        for (name, span, node) in all.entries() {
            values::id(all.notes, &name, span, "a target");
            if let Some(spec) = target(all.notes, &node, &name) {
                targets.push((name, spec));
            }
        }
    }
    let protected = table.flag("protected").unwrap_or(false);
    let mask = super::mask::columns(&table);
    let environment = Environment { name, protected, approvals, rehearsal, mask, targets };
    table.finish();
    environment
}

/// `"env:X"`, or a table with `url`.
fn target(notes: &Notes<'_>, node: &Node<'_>, name: &str) -> Option<TargetSpec> {
    if let DeValue::String(_) = node.value {
        return Some(TargetSpec::new(address(notes, &notes.text_of(node, name)?)?));
    }
    let table = notes.table_of(node, name, "a target")?;
    let url = table.need_text("url", "url = \"env:DATABASE_URL\"").and_then(|text| address(notes, &text));
    // Where the address is wrong the other keys are still worth reading.
    let default = TargetSpec::new(url.clone().unwrap_or(Secret::Plain(String::new())));
    let spec = TargetSpec {
        lock_timeout: positive(&table, "lock_timeout").unwrap_or(default.lock_timeout),
        statement_timeout: positive(&table, "statement_timeout").unwrap_or(default.statement_timeout),
        lock_tries: table.whole("lock_tries", 1..=100).unwrap_or(default.lock_tries),
        max_blocked: max_blocked(&table, default.max_blocked),
        ledger: ledger(&table),
        concurrent: table.flag("concurrent").unwrap_or(false),
        ..default
    };
    table.finish();
    url.is_some().then_some(spec)
}

/// `{ sessions = 20, lasting = "5s" }`
fn max_blocked(table: &Reader<'_, '_>, default: MaxBlocked) -> MaxBlocked {
    let Some(inner) = table.table("max_blocked", "`max_blocked`") else { return default };
    let sessions = inner.whole("sessions", 1..=100_000).unwrap_or(default.sessions);
    let lasting = positive(&inner, "lasting").unwrap_or(default.lasting);
    inner.finish();
    MaxBlocked { sessions, lasting }
}

fn ledger(table: &Reader<'_, '_>) -> LedgerUse {
    const CHOICES: &[(&str, LedgerUse)] =
        &[("found", LedgerUse::Found), ("create", LedgerUse::Create), ("never", LedgerUse::Never)];
    values::one_of(table, "ledger", CHOICES).unwrap_or_default()
}

fn address(notes: &Notes<'_>, text: &Located) -> Option<Secret> {
    let secret = values::secret(notes, text)?;
    if let Secret::Plain(words) = &secret {
        let known = ["postgres://", "postgresql://", "sqlite:", "{{"];
        if !known.iter().any(|start| words.starts_with(start)) {
            let hint = "write \"env:NAME\", \"postgres://user@host/database\" or \"sqlite:path\"";
            notes.at(text, "this is not the address of a database that gonogo knows", hint);
            return None;
        }
        notes.template(text, Place::Text, &Owner::Target);
    }
    Some(secret)
}
