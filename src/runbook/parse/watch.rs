//! Probes, which measure, and triggers, which act on what was measured.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeValue;

use super::include::Fragment;
use super::reader::{Node, Reader};
use super::steps::{self, Known};
use super::{FormulaKind, Owner, Script, Wants, head, phases, values, verbs};
use crate::runbook::expr::{self, Place};
use crate::runbook::suggest;
use crate::runbook::text::Located;
use crate::runbook::{Expr, HttpTake, LogTake, Probe, ProbeSource, Runbook, Secret, Traffic, Trigger, TriggerAction};

const EVERY: Duration = Duration::from_secs(10);
const FASTEST: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(15);
const MISSING_FOR: Duration = Duration::from_secs(60);
/// A screenful of samples is what a run remembers of a probe.
const MOST_SAMPLES: u32 = 100;
const MOST_TRAFFIC: f64 = 1e12;
const SOURCES: &[&str] = &["prometheus", "sql", "http", "log", "run"];
const ACTIONS: &[(&str, TriggerAction)] =
    &[("warn", TriggerAction::Warn), ("hold", TriggerAction::Hold), ("rollback", TriggerAction::Rollback)];

pub(super) fn probes(table: &Reader<'_, '_>, parts: &[Fragment<'_, '_>], runbook: &Runbook) -> Vec<Probe> {
    let known = Known::new(runbook);
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut all = Vec::new();
    for one in everywhere(table, parts, "probe", "a probe") {
        all.extend(probe(one, &known, runbook, &mut ids));
    }
    table.notes.unique("probe", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    all
}

/// The tables of a list in the runbook, then in what it includes.
fn everywhere<'c, 't>(
    table: &Reader<'c, 't>,
    parts: &[Fragment<'c, 't>],
    key: &'static str,
    what: &'static str,
) -> Vec<Reader<'c, 't>> {
    let mut all = table.tables(key, what);
    all.extend(parts.iter().flat_map(|part| part.table.tables(key, what)));
    all
}

fn probe(
    table: Reader<'_, '_>,
    known: &Known,
    runbook: &Runbook,
    ids: &mut Vec<(String, Range<usize>)>,
) -> Option<Probe> {
    let id = table.need_text("id", "id = \"error_rate\"");
    if let Some(id) = &id {
        let notes = table.notes;
        if values::name(notes, &id.text, id.span.clone(), "a probe")
            && !head::reserved(notes, &id.text, id.span.clone())
        {
            ids.push((id.text.clone(), id.span.clone()));
        }
        if runbook.vars.iter().any(|(name, _)| *name == id.text) {
            let message = format!("`{}` is a variable too, and expressions could not tell them apart", id.text);
            notes.at(id, message, "give one of them another name");
        }
    }
    let every = head::positive(&table, "every").unwrap_or(EVERY);
    if every < FASTEST {
        let span = table.node("every").map_or(table.span.clone(), |node| node.span);
        table.notes.say(span, "`every` is shorter than 100ms", "write at least every = \"100ms\"");
    }
    let timeout = head::positive(&table, "timeout").unwrap_or_else(|| every.min(TIMEOUT));
    let title = table.label("title");
    let unit = table.label("unit").unwrap_or_default();
    let source = source(&table, known, "a probe");
    let traffic = traffic(&table, known, source.as_ref());
    let line = table.notes.line_at(table.span.start);
    table.finish();
    let id = id?.text;
    Some(Probe { title: title.unwrap_or_else(|| id.clone()), id, unit, every, timeout, source: source?, traffic, line })
}

fn source(table: &Reader<'_, '_>, known: &Known, what: &str) -> Option<ProbeSource> {
    let there: Vec<&'static str> = SOURCES.iter().copied().filter(|source| table.has(source)).collect();
    for source in SOURCES {
        table.node(source);
    }
    match there.as_slice() {
        [] => {
            let message = format!("{what} needs a source: where does the number come from?");
            table.notes.say(table.span.clone(), message, format!("one of: {}", SOURCES.join(", ")));
            None
        }
        ["prometheus"] => prometheus(table),
        ["sql"] => sql(table, known),
        ["http"] => http(table),
        ["log"] => log(table),
        ["run"] => verbs::argv(table, "run", &Owner::Probe).map(|argv| ProbeSource::Run { argv }),
        [first, second, ..] => {
            let message = format!("{what} has one source, and this one has `{first}` and `{second}`");
            table.notes.say(table.key_span(second), message, "leave one of them out");
            None
        }
        [_] => None,
    }
}

/// `{ query = "…", at_least = 10 }` of the probe's own Prometheus, or any other source.
fn traffic(table: &Reader<'_, '_>, known: &Known, of: Option<&ProbeSource>) -> Option<Traffic> {
    if table.has("log") && table.has("traffic") {
        let message = "a `log` probe counts its lines itself";
        table.refuse("traffic", message, "write log = { …, at_least = 20 }");
        return None;
    }
    let inner = table.table("traffic", "a probe's traffic")?;
    if !inner.has("at_least") {
        inner.missing("at_least", "at_least = 10");
    }
    let at_least = inner.number("at_least", 0.0..=MOST_TRAFFIC);
    let source = if inner.has("query") { query(&inner, of) } else { source(&inner, known, "a probe's traffic") };
    if inner.has("log") {
        inner.refuse("log", "a followed log file is no second question", "use prometheus, sql, http or run");
    }
    inner.finish();
    Some(Traffic { source: source?, at_least: at_least? })
}

fn query(table: &Reader<'_, '_>, of: Option<&ProbeSource>) -> Option<ProbeSource> {
    let query = table.text("query")?;
    table.notes.template(&query, Place::Text, &Owner::Probe);
    match of {
        Some(ProbeSource::Prometheus { url, .. }) => {
            Some(ProbeSource::Prometheus { url: url.clone(), query: query.text })
        }
        Some(_) => {
            let hint = "name a source of its own: sql, http, run, or prometheus = { url, query }";
            table.notes.at(&query, "`query` asks the probe's own Prometheus, and this probe has another source", hint);
            None
        }
        None => None,
    }
}

fn prometheus(table: &Reader<'_, '_>) -> Option<ProbeSource> {
    let inner = table.table("prometheus", "a prometheus source")?;
    let url = url(&inner, "url = \"env:PROMETHEUS_URL\"");
    let query = inner.need_text("query", "query = \"up\"");
    if let Some(query) = &query {
        inner.notes.template(query, Place::Text, &Owner::Probe);
    }
    inner.finish();
    Some(ProbeSource::Prometheus { url: url?, query: query?.text })
}

fn url(table: &Reader<'_, '_>, example: &str) -> Option<Secret> {
    let text = table.need_text("url", example)?;
    let url = values::web_address(table.notes, &text)?;
    table.notes.template(&text, Place::Url, &Owner::Probe);
    Some(url)
}

/// `"select …"`, or `{ target, sql }`.
fn sql(table: &Reader<'_, '_>, known: &Known) -> Option<ProbeSource> {
    let node = table.node("sql")?;
    let (target, text) = if let DeValue::Table(_) = node.value {
        let inner = table.notes.table_of(&node, "sql", "an sql source")?;
        let target = steps::target(&inner, known, "target", &[]);
        let text = inner.need_text("sql", "sql = \"select count(*) from orders\"");
        inner.finish();
        (target, text)
    } else {
        let text = table.need_text("sql", "sql = \"select count(*) from orders\"");
        (steps::target(table, known, "target", &[]), text)
    };
    let (target, text) = (target?, text?);
    table.notes.formula(&text, FormulaKind::Sql, &Owner::Probe, None);
    table.notes.scripts.borrow_mut().push(Script {
        text: text.clone(),
        transaction: true,
        target: Some(target.clone()),
        only: Vec::new(),
        wants: Wants::One,
    });
    Some(ProbeSource::Sql { target, sql: text.text })
}

fn http(table: &Reader<'_, '_>) -> Option<ProbeSource> {
    let inner = table.table("http", "an http source")?;
    let url = url(&inner, "url = \"https://example.org/health\"");
    let headers = verbs::headers(&inner, &Owner::Probe);
    let json = inner.text("json");
    let latency = inner.flag("latency").unwrap_or(false);
    let status = inner.flag("status").unwrap_or(false);
    let take = match (json, latency, status) {
        (Some(pointer), false, false) => json_pointer(&inner, &pointer).then_some(HttpTake::Json(pointer.text)),
        (None, true, false) => Some(HttpTake::Latency),
        (None, false, true) => Some(HttpTake::Status),
        _ => {
            let hint = "write exactly one of: json = \"/queue/depth\", latency = true, status = true";
            inner.notes.say(inner.span.clone(), "what of the answer is the number?", hint);
            None
        }
    };
    inner.finish();
    Some(ProbeSource::Http { url: url?, headers, take: take? })
}

fn json_pointer(table: &Reader<'_, '_>, pointer: &Located) -> bool {
    let ok = pointer.text.is_empty() || pointer.text.starts_with('/');
    if !ok {
        let message = format!("`{}` is not a JSON pointer", pointer.text);
        let hint = format!("it starts with a slash: \"/{}\"", pointer.text.replace('.', "/"));
        table.notes.at(pointer, message, hint);
    }
    ok
}

fn log(table: &Reader<'_, '_>) -> Option<ProbeSource> {
    let inner = table.table("log", "a log source")?;
    let path = inner.need_text("path", "path = \"/var/log/app.log\"");
    if let Some(path) = &path {
        inner.notes.template(path, Place::Argv, &Owner::Probe);
    }
    let matching = inner.need_text("matching", "matching = \"ERROR\"");
    let matching = matching.and_then(|text| values::pattern(inner.notes, &text));
    let of = inner.text("of").and_then(|text| values::pattern(inner.notes, &text));
    let rate = inner.flag("rate").unwrap_or(false);
    if rate && inner.has("of") {
        let message = "`of` belongs to a share of lines, and `rate = true` asks for lines per second";
        inner.refuse("of", message, "leave one of them out");
    }
    let at_least = inner.whole("at_least", 1..=u32::MAX);
    if rate && at_least.is_some() {
        let message = "`at_least` belongs to a share of lines, and `rate = true` asks for lines per second";
        inner.refuse("at_least", message, "leave one of them out");
    }
    let window = head::positive(&inner, "window").unwrap_or(WINDOW);
    inner.finish();
    let matching = matching?;
    let take = if rate {
        LogTake::Rate { matching }
    } else {
        LogTake::Share { matching, of, at_least: at_least.unwrap_or(1) }
    };
    Some(ProbeSource::Log { path: path?.text, take, window })
}

pub(super) fn triggers(table: &Reader<'_, '_>, parts: &[Fragment<'_, '_>], runbook: &Runbook) -> Vec<Trigger> {
    let mut ids: Vec<(String, Range<usize>)> = Vec::new();
    let mut all = Vec::new();
    for one in everywhere(table, parts, "trigger", "a trigger") {
        all.extend(trigger(one, runbook, &mut ids));
    }
    table.notes.unique("trigger", ids.iter().map(|(id, span)| (id.as_str(), span.clone())));
    all
}

fn trigger(table: Reader<'_, '_>, runbook: &Runbook, ids: &mut Vec<(String, Range<usize>)>) -> Option<Trigger> {
    let id = values::id_of(&table, "id = \"errors-high\"");
    ids.extend(id.clone());
    let when = when(&table, runbook);
    if !table.has("then") {
        table.missing("then", "then = \"warn\", \"hold\" or \"rollback\"");
    }
    let then = values::one_of(&table, "then", ACTIONS);
    let missing = missing(&table);
    let only_rollback = |key: &'static str| {
        if table.has(key) && then.is_some_and(|then| then != TriggerAction::Rollback) {
            let message = format!("`{key}` has a meaning only with then = \"rollback\"");
            table.refuse(key, message, "leave it out");
        }
    };
    only_rollback("grace");
    only_rollback("plan");
    if table.has("missing_for") && !table.has("missing") {
        let message = "`missing_for` without `missing` does nothing";
        table.refuse("missing_for", message, "add missing = \"hold\", or leave it out");
    }
    let title = table.label("title");
    let lasting = table.duration("lasting").unwrap_or_default();
    let trigger = Trigger {
        after: table.duration("after").unwrap_or_default(),
        owner: owner(&table, runbook),
        lasting,
        // A breach that lasts is seen at its start and at its end.
        samples: table.whole("samples", 1..=MOST_SAMPLES).unwrap_or(if lasting.is_zero() { 1 } else { 2 }),
        during: during(&table, runbook),
        then: then.unwrap_or(TriggerAction::Warn),
        grace: table.duration("grace").unwrap_or(GRACE),
        missing,
        missing_for: table.duration("missing_for").unwrap_or(MISSING_FOR),
        plan: plan(&table, runbook),
        line: table.notes.line_at(table.span.start),
        when: when.unwrap_or(Expr { source: String::new(), line: 0 }),
        title: String::new(),
        id: String::new(),
    };
    table.finish();
    let id = id?.0;
    Some(Trigger { title: title.unwrap_or_else(|| id.clone()), id, ..trigger })
}

fn when(table: &Reader<'_, '_>, runbook: &Runbook) -> Option<Expr> {
    if !table.has("when") {
        table.missing("when", "when = \"error_rate > 2\"");
    }
    let expr = steps::expression(table, "when", &Owner::Watch, None)?;
    let text = table.text("when")?;
    // Where it does not parse, or has an unknown name, that is said elsewhere.
    if expr::expression_names(&expr.source).is_ok()
        && expr::probe_names(&expr, runbook).is_empty()
        && !has_unknown(&expr, runbook)
    {
        let ids: Vec<&str> = runbook.probes.iter().map(|probe| probe.id.as_str()).collect();
        let hint =
            if ids.is_empty() { "add a [[probe]] first".to_owned() } else { format!("probes: {}", ids.join(", ")) };
        table.notes.at(&text, "a trigger looks at a probe, and this one looks at none", hint);
    }
    Some(expr)
}

fn has_unknown(expr: &Expr, runbook: &Runbook) -> bool {
    let known =
        |root: &str| matches!(root, "run" | "target" | "steps") || runbook.vars.iter().any(|(name, _)| name == root);
    expr::expression_names(&expr.source).is_ok_and(|names| names.iter().any(|one| !known(&one.root)))
}

fn missing(table: &Reader<'_, '_>) -> Option<TriggerAction> {
    let action = values::one_of(table, "missing", ACTIONS)?;
    if action == TriggerAction::Rollback {
        let node = table.node("missing")?;
        let message = "the absence of data never rolls back by itself";
        table.notes.say(node.span, message, "write missing = \"hold\": somebody looks, and decides");
        return None;
    }
    Some(action)
}

fn owner(table: &Reader<'_, '_>, runbook: &Runbook) -> Option<String> {
    let role = table.text("owner")?;
    steps::known_role(table.notes, &role, &Known::new(runbook)).then_some(role.text)
}

fn during(table: &Reader<'_, '_>, runbook: &Runbook) -> Vec<String> {
    let mut known: Vec<&str> = runbook.phases.iter().map(|phase| phase.id.as_str()).collect();
    for (kind, _) in phases::KINDS {
        if !known.contains(kind) {
            known.push(kind);
        }
    }
    let texts = match table.node("during") {
        Some(node) if matches!(node.value, DeValue::String(_)) => one(table, &node),
        _ => table.texts("during").unwrap_or_default(),
    };
    let unknown = |text: &&Located| !known.contains(&text.text.as_str()) && !table.notes.lacks_a_part();
    for text in texts.iter().filter(unknown) {
        let message = format!("there is no phase `{}`", text.text);
        table.notes.at(text, message, suggest::hint(&text.text, &known, "add a [[phase]] first"));
    }
    texts.into_iter().map(|text| text.text).collect()
}

fn one(table: &Reader<'_, '_>, node: &Node<'_>) -> Vec<Located> {
    table.notes.text_of(node, "during").into_iter().collect()
}

fn plan(table: &Reader<'_, '_>, runbook: &Runbook) -> Option<String> {
    let text = table.text("plan")?;
    let known: Vec<&str> = runbook.rollbacks.iter().map(|plan| plan.id.as_str()).collect();
    if !known.contains(&text.text.as_str()) {
        let hint = suggest::hint(&text.text, &known, "add a [[rollback]] with that id");
        table.notes.at(&text, format!("there is no rollback plan `{}`", text.text), hint);
    }
    Some(text.text)
}
