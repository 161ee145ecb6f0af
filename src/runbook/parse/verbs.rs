//! What a step does: exactly one verb, with the keys that belong to it.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Node, Reader};
use super::steps::{self, Known, template};
use super::{FormulaKind, Owner, Script as Site, Wants, asks, batch, dump, migrations, values};
use crate::runbook::expr::Place;
use crate::runbook::text::Located;
use crate::runbook::{Asks, Channel, HttpCall, Item, Notify, Script, Secret, SqlText, Verb, suggest};

const VERBS: &[&str] = &[
    "checklist",
    "poll",
    "sql",
    "file",
    "batch",
    "migrations",
    "run",
    "shell",
    "http",
    "wait",
    "notify",
    "backup",
    "restore",
    "snapshot",
    "explain",
];
const UNDO_VERBS: &[&str] = &["sql", "file", "batch", "migrations", "run", "shell", "http", "restore"];
const ON_TARGET: &[&str] = &["sql", "file", "batch", "migrations", "backup", "restore", "snapshot", "explain"];
const BATCH_FACTS: &[&str] = &["value", "affected", "batches", "ms"];
const MIGRATION_FACTS: &[&str] = &["value", "rows", "table", "notices", "ms"];
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A verb with what hangs on it.
pub(super) struct Read {
    pub verb: Verb,
    pub word: &'static str,
    /// The facts it brings home.
    pub facts: &'static [&'static str],
    pub target: Option<String>,
    pub produces: Option<String>,
}

/// The facts that a verb brings home, by its word; `file` where it produces one.
pub(in crate::runbook) fn facts_of(verb: &Verb, produces: bool) -> &'static [&'static str] {
    match verb {
        Verb::Checklist(_) => &["answers", "ms"],
        Verb::Batch(_) => BATCH_FACTS,
        Verb::Sql(script) if !script.asks.is_rows() => asks::facts_of(&script.asks),
        Verb::Migrations(_) => MIGRATION_FACTS,
        Verb::Sql(_) => &["value", "rows", "row", "table", "affected", "notices", "ms"],
        Verb::Run(_) | Verb::Shell(_) if produces => &["exit", "stdout", "stderr", "file", "ms"],
        Verb::Run(_) | Verb::Shell(_) => &["exit", "stdout", "stderr", "ms"],
        Verb::Http(_) => &["status", "body", "ms"],
        Verb::Poll(_) | Verb::Wait(_) | Verb::Notify(_) => &["ms"],
        Verb::Backup(_) => dump::BACKUP_LATER,
        Verb::Restore(_) => dump::RESTORE_FACTS,
    }
}

pub(super) fn verb(table: &Reader<'_, '_>, known: &Known, owner: &Owner, only: &[String], is_undo: bool) -> Read {
    let word = choose(table, is_undo);
    for verb in VERBS {
        // Known keys even where they are one too many: that is said already.
        table.node(verb);
    }
    belongs(table, word, "target", ON_TARGET, "connect");
    if is_undo {
        belongs(table, word, "unrecord", &["sql", "file"], "");
    }
    belongs(table, word, "connect", &["run", "shell"], "target");
    belongs(table, word, "transaction", &["sql", "file"], "");
    belongs(table, word, "mask", &["sql", "file", "batch", "migrations"], "");
    belongs(table, word, "throttle", &["batch"], "");
    belongs(table, word, "produces", &["run", "shell"], "");
    belongs(table, word, "env", &["run", "shell"], "");
    belongs(table, word, "probe", &["sql", "file"], "");
    belongs(table, word, "cleanup", &["sql", "file"], "");
    let dump = match word {
        Some("backup") => dump::backup(table, known, owner, only),
        Some("restore") => dump::restore(table, known, owner, only),
        _ => None,
    };
    let target = match word {
        Some("backup" | "restore") => dump.as_ref().and_then(|dump| dump.target.clone()),
        Some(word) if ON_TARGET.contains(&word) => steps::target(table, known, "target", only),
        Some("run" | "shell") if table.has("connect") => steps::target(table, known, "connect", only),
        _ => None,
    };
    let produces = matches!(word, Some("run" | "shell"))
        .then(|| table.need_or_none("produces"))
        .flatten()
        .map(|text| template(table.notes, &text, Place::Argv, owner));
    let verb = match dump {
        Some(dump) => Some(dump.verb),
        None => word.and_then(|word| read(table, known, owner, only, word, target.clone(), is_undo)),
    };
    // A step without a verb is a problem that was noted; the rest of it is still worth reading.
    let verb = verb.unwrap_or(Verb::Wait(Duration::ZERO));
    let facts = match word {
        Some("run" | "shell") => facts_of(&Verb::Run(Vec::new()), table.has("produces")),
        Some("sql" | "file") => facts_of(&empty_sql(), false),
        Some("batch") => BATCH_FACTS,
        Some("snapshot") => asks::SNAPSHOT_FACTS,
        Some("explain") => asks::EXPLAIN_FACTS,
        Some("migrations") => MIGRATION_FACTS,
        Some("http") => &["status", "body", "ms"],
        Some("checklist") => &["answers", "ms"],
        Some("backup") => dump::BACKUP_FACTS,
        Some("restore") => dump::RESTORE_FACTS,
        Some(_) => &["ms"],
        None => crate::runbook::expr::FACT_NAMES,
    };
    Read { verb, word: word.unwrap_or("step"), facts, target, produces }
}

fn empty_sql() -> Verb {
    Verb::Sql(Script { transaction: true, ..Script::default() })
}

/// The one verb there is. None, or more: a problem.
fn choose(table: &Reader<'_, '_>, is_undo: bool) -> Option<&'static str> {
    let allowed = if is_undo { UNDO_VERBS } else { VERBS };
    let mut there: Vec<&'static str> = VERBS.iter().copied().filter(|verb| table.has(verb)).collect();
    there.sort_by_key(|verb| table.key_span(verb).start);
    for verb in there.iter().copied().filter(|verb| !allowed.contains(verb)) {
        let message = format!("`{verb}` cannot undo anything");
        table.refuse(verb, message, format!("use one of: {}", allowed.join(", ")));
    }
    match there.as_slice() {
        [] => {
            let message = format!("{} needs a verb: what does it do?", table.what);
            table.notes.say(table.span.clone(), message, format!("one of: {}", allowed.join(", ")));
            None
        }
        [one] => Some(one),
        [first, second, ..] => {
            let message = format!("{} does one thing, and this one has `{first}` and `{second}`", table.what);
            let hint = if is_undo { "keep one of them" } else { "make two steps of it" };
            table.notes.say(table.key_span(second), message, hint);
            Some(first)
        }
    }
}

/// Refuses a key whose verb is another one.
fn belongs(
    table: &Reader<'_, '_>,
    word: Option<&'static str>,
    key: &'static str,
    verbs: &[&str],
    instead: &'static str,
) {
    let Some(word) = word.filter(|word| table.has(key) && !verbs.contains(word)) else {
        if word.is_none() {
            table.node(key);
        }
        return;
    };
    let message = format!("`{key}` belongs to `{}`, not to `{word}`", verbs.join("` and `"));
    let hint = match (instead, word) {
        ("connect", "run" | "shell") => "write `connect` instead".to_owned(),
        ("target", word) if ON_TARGET.contains(&word) => {
            format!("write `{instead}` instead")
        }
        _ => "leave it out".to_owned(),
    };
    table.refuse(key, message, hint);
}

fn read(
    table: &Reader<'_, '_>,
    known: &Known,
    owner: &Owner,
    only: &[String],
    word: &'static str,
    target: Option<String>,
    is_undo: bool,
) -> Option<Verb> {
    match word {
        "checklist" => checklist(table).map(Verb::Checklist),
        "poll" => poll(table, known).map(Verb::Poll),
        "sql" => {
            let text = table.need_text("sql", "sql = \"select 1\"")?;
            Some(Verb::Sql(script(table, owner, only, target, &text, None)))
        }
        "file" => {
            let path = table.need_text("file", "file = \"sql/011.sql\"")?;
            let text = table.notes.file(&path)?;
            Some(Verb::Sql(script(table, owner, only, target, &text, Some(path.text))))
        }
        "batch" => {
            let batch = batch::batch(table, known, owner, only, target.as_ref())?;
            Some(Verb::Batch(Box::new(batch)))
        }
        "snapshot" => asks::snapshot(table).map(Verb::Sql),
        "explain" => asks::explain(table, owner, only, target).map(Verb::Sql),
        "migrations" => {
            let migrations = migrations::migrations(table, known, only, target.as_ref(), is_undo)?;
            Some(Verb::Migrations(Box::new(migrations)))
        }
        "run" => argv(table, "run", owner).map(Verb::Run),
        "shell" => {
            let text = table.need_text("shell", "shell = \"ls | wc -l\"")?;
            Some(Verb::Shell(template(table.notes, &text, Place::Shell, owner)))
        }
        "http" => http(table, owner).map(Verb::Http),
        "wait" => super::head::positive(table, "wait").map(Verb::Wait),
        // Read ahead of the others; what is wrong with it was noted.
        "backup" | "restore" => None,
        _ => notify(table, known, owner).map(Verb::Notify),
    }
}

fn script(
    table: &Reader<'_, '_>,
    owner: &Owner,
    only: &[String],
    target: Option<String>,
    text: &Located,
    file: Option<String>,
) -> Script {
    let transaction = values::one_of(table, "transaction", &[("none", false)]).unwrap_or(true);
    table.notes.formula(text, FormulaKind::Sql, owner, None);
    let site = |text: &Located, transaction, wants| Site {
        text: text.clone(),
        transaction,
        target: target.clone(),
        only: only.to_vec(),
        wants,
    };
    table.notes.scripts.borrow_mut().push(site(text, transaction, Wants::Statements));
    let beside = |key: &'static str, wants| {
        let text = outside(table, key, transaction)?;
        table.notes.formula(&text, FormulaKind::Sql, owner, None);
        table.notes.scripts.borrow_mut().push(site(&text, false, wants));
        Some(SqlText { line: table.notes.line(&text), text: text.text })
    };
    Script {
        probe: beside("probe", Wants::Decides),
        cleanup: beside("cleanup", Wants::Statements),
        text: text.text.clone(),
        asks: Asks::Rows,
        line: table.notes.line(text),
        file,
        transaction,
    }
}

/// SQL that only a script outside of a transaction has beside it.
fn outside(table: &Reader<'_, '_>, key: &'static str, transaction: bool) -> Option<Located> {
    if transaction && table.has(key) {
        let message = format!("`{key}` belongs to transaction = \"none\": in a transaction it is known what happened");
        table.refuse(key, message, "leave it out, or write transaction = \"none\"");
        return None;
    }
    table.text(key)
}

/// A command and its arguments.
pub(super) fn argv(table: &Reader<'_, '_>, key: &'static str, owner: &Owner) -> Option<Vec<String>> {
    let node = table.node(key)?;
    if let DeValue::String(_) = node.value {
        let hint = "write run = [\"program\", \"argument\"]; for a pipeline use `shell`";
        return table.notes.wrong_type(&node, key, "a list: the program and its arguments", hint);
    }
    let texts = table.texts(key)?;
    if let Some(program) = texts.first()
        && program.text.trim().is_empty()
    {
        table.notes.at(program, "the program has no name", "an example: run = [\"pg_dump\", \"-Fc\"]");
        return None;
    }
    for text in &texts {
        if text.text.contains('\0') {
            table.notes.at(text, "an argument cannot hold a NUL byte", "remove it");
        }
        table.notes.template(text, Place::Argv, owner);
    }
    Some(texts.into_iter().map(|text| text.text).collect())
}

/// The items of a checklist, each asked once.
pub(super) fn checklist(table: &Reader<'_, '_>) -> Option<Vec<Item>> {
    let node = table.node("checklist")?;
    let DeValue::Array(items) = node.value else {
        return table.notes.wrong_type(&node, "checklist", "a list", "write checklist = [\"Team told\"]");
    };
    if items.is_empty() {
        table.notes.say(node.span, "the checklist is empty", "write what is to be ticked");
        return None;
    }
    let items: Vec<Item> = items
        .iter()
        .filter_map(|item| {
            let node = Node { value: item.get_ref(), span: item.span() };
            self::item(table, &node)
        })
        .collect();
    let mut asked = BTreeSet::new();
    for item in &items {
        if !asked.insert(item.ask.as_str()) {
            let message = format!("the checklist asks twice: {}", item.ask);
            table.notes.say(node.span.clone(), message, "answers go by the question: ask each once");
        }
    }
    Some(items)
}

fn item(table: &Reader<'_, '_>, node: &Node<'_>) -> Option<Item> {
    const HINT: &str = "write \"Team told\" or { ask = \"Who?\", answer = \"required\" }";
    match node.value {
        DeValue::String(_) => {
            let text = table.notes.text_of(node, "checklist")?;
            if text.text.trim().is_empty() {
                table.notes.at(&text, "an item of the checklist is empty", HINT);
                return None;
            }
            Some(Item { ask: table.notes.resolve(&text)?, answer_required: false })
        }
        DeValue::Table(_) => {
            let item = table.notes.table_of(node, "checklist", "an item of a checklist")?;
            if !item.has("ask") {
                item.missing("ask", "ask = \"Who is on standby?\"");
            }
            let ask = item.label("ask");
            let answer = values::one_of(&item, "answer", &[("required", true)]);
            item.finish();
            Some(Item { ask: ask?, answer_required: answer.unwrap_or(false) })
        }
        _ => table.notes.wrong_type(node, "checklist", "texts or tables", HINT),
    }
}

fn poll(table: &Reader<'_, '_>, known: &Known) -> Option<Vec<String>> {
    let roles = table.texts("poll")?;
    let mut polled = BTreeSet::new();
    for role in &roles {
        steps::known_role(table.notes, role, known);
        if !polled.insert(role.text.as_str()) {
            let message = format!("`{}` is polled twice", role.text);
            table.notes.at(role, message, "name each role once");
        }
    }
    Some(roles.into_iter().map(|role| role.text).collect())
}

pub(super) fn http(table: &Reader<'_, '_>, owner: &Owner) -> Option<HttpCall> {
    let node = table.node("http")?;
    if let DeValue::String(_) = node.value {
        let url = table.need_text("http", "http = \"https://…\"")?;
        return Some(HttpCall {
            method: "GET".into(),
            url: url_of(table, &url, owner)?,
            headers: Vec::new(),
            body: None,
        });
    }
    let inner = table.notes.table_of(&node, "http", "an `http`")?;
    let url = inner.need_text("url", "url = \"https://example.org/health\"");
    let url = url.and_then(|url| url_of(&inner, &url, owner));
    let method = method(&inner);
    let headers = headers(&inner, owner);
    let body = inner.text("body");
    if let Some(text) = body.as_ref().filter(|_| matches!(method.as_str(), "GET" | "HEAD")) {
        inner.notes.at(text, format!("a {method} has no body"), "write method = \"POST\"");
    }
    let body = body.map(|text| template(inner.notes, &text, Place::of_body(&text.text), owner));
    inner.finish();
    Some(HttpCall { method, url: url?, headers, body })
}

fn url_of(table: &Reader<'_, '_>, url: &Located, owner: &Owner) -> Option<String> {
    if !values::is_web(&url.text) {
        let message = format!("`{}` is not an address of the web", url.text);
        table.notes.at(url, message, "it starts with http:// or https://, or with a variable");
        return None;
    }
    Some(template(table.notes, url, Place::Url, owner))
}

fn method(table: &Reader<'_, '_>) -> String {
    let Some(method) = table.text("method") else {
        return "GET".into();
    };
    if !METHODS.contains(&method.text.as_str()) {
        let message = format!("`{}` is not a method of HTTP", method.text);
        table.notes.at(&method, message, format!("one of: {}", METHODS.join(", ")));
    }
    method.text
}

/// Headers; those that carry secrets must name them.
pub(super) fn headers(table: &Reader<'_, '_>, owner: &Owner) -> Vec<(String, Secret)> {
    let Some(headers) = table.table("headers", "the headers") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, span, node) in headers.entries() {
        let notes = headers.notes;
        let sound = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(sound) {
            notes.say(span, format!("`{name}` is not the name of a header"), "an example: content-type");
            continue;
        }
        let Some(text) = notes.text_of(&node, &name) else {
            continue;
        };
        let Some(secret) = values::secret(notes, &text) else {
            continue;
        };
        if let Secret::Plain(words) = &secret {
            if is_secret(&name) {
                notes.hide(text.span.clone());
                let message = format!("the header `{name}` holds a secret in plain text");
                notes.at(&text, message, format!("write {name} = \"env:NAME\" and set NAME where gonogo starts"));
            } else if words.contains(['\r', '\n', '\0']) {
                notes.at(&text, "a header is one line", "remove the line break");
            }
            notes.template(&text, Place::Text, owner);
        }
        all.push((name, secret));
    }
    all
}

fn is_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"]
        .iter()
        .any(|word| header.contains(word))
}

fn notify(table: &Reader<'_, '_>, known: &Known, owner: &Owner) -> Option<Notify> {
    let node = table.node("notify")?;
    if let DeValue::String(_) = node.value {
        // A bare text tells those who follow the run: it becomes the step's output, on every screen and in the journal.
        let text = table.need_text("notify", "notify = \"Migration starts\"")?;
        return Some(Notify::Command {
            argv: vec!["cat".into()],
            text: template(table.notes, &text, Place::Text, owner),
        });
    }
    let inner = table.table("notify", "a `notify`")?;
    let text = inner.need_text("text", "text = \"Migration starts\"");
    let text = text.map(|text| template(inner.notes, &text, Place::Text, owner));
    let named = inner.text("channel");
    let notify = match (inner.has("webhook"), inner.has("command")) {
        (webhook, command) if inner.has("channel") => {
            for key in [("webhook", webhook), ("command", command)].into_iter().filter(|(_, there)| *there) {
                inner.refuse(key.0, "a channel says by itself where it leads", "leave one of them out");
            }
            named.and_then(|named| channel(&inner, known, &named)).zip(text).map(|(channel, text)| channel.notify(text))
        }
        (true, true) => {
            inner.refuse("command", "a notify has a `webhook` or a `command`, not both", "make two steps of it");
            inner.node("webhook");
            None
        }
        (false, false) => {
            inner.missing("webhook", "webhook = \"env:CHAT_WEBHOOK\", channel = \"…\", or command = [\"…\"]");
            None
        }
        (true, false) => {
            webhook(&inner, owner).zip(text).map(|(url, text)| Notify::Webhook { url, text, whole: false })
        }
        (false, true) => argv(&inner, "command", owner).zip(text).map(|(argv, text)| Notify::Command { argv, text }),
    };
    inner.finish();
    notify
}

fn channel<'k>(table: &Reader<'_, '_>, known: &'k Known, named: &Located) -> Option<&'k Channel> {
    let found = known.channels.iter().find(|channel| channel.id == named.text);
    if found.is_none() {
        let names: Vec<&str> = known.channels.iter().map(|channel| channel.id.as_str()).collect();
        let hint = suggest::hint(&named.text, &names, "name it under [channels] first");
        table.notes.at(named, format!("there is no channel `{}`", named.text), hint);
    }
    found
}

fn webhook(table: &Reader<'_, '_>, owner: &Owner) -> Option<Secret> {
    let text = table.need_text("webhook", "webhook = \"env:CHAT_WEBHOOK\"")?;
    let secret = values::web_address(table.notes, &text)?;
    table.notes.template(&text, Place::Url, owner);
    Some(secret)
}
