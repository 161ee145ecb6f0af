//! The question that decides a doubt: an HTTP GET, a command or a query that changes nothing, and what its answer must be.

use super::reader::Reader;
use super::steps::{self, Known};
use super::{FormulaKind, Owner, Script as Site, Wants, verbs};
use crate::runbook::{Script, Step, Undo, Verb, sql};

const ASKS: &[&str] = &["http", "run", "sql"];
const EXAMPLE: &str = "write { http = \"https://…\", expect = \"status == 200\" }";

/// Reads `verify` of a step whose verb is `word`: a step of its own, never started, only asked.
pub(super) fn verify(
    table: &Reader<'_, '_>,
    known: &Known,
    owner: &Owner,
    only: &[String],
    word: &str,
    id: &str,
) -> Option<Box<Step>> {
    if !table.has("verify") {
        return None;
    }
    if !matches!(word, "run" | "shell" | "http") {
        let message = format!("`verify` belongs to `run`, `shell` and `http`, not to `{word}`");
        table.refuse("verify", message, "leave it out");
        return None;
    }
    let inner = table.table("verify", "a `verify`")?;
    let (line, from) = (inner.notes.line_at(inner.span.start), inner.notes.origin(inner.span.start));
    let asked = choose(&inner);
    if let Some(word) = asked.filter(|word| *word != "sql" && inner.has("target")) {
        inner.refuse("target", format!("`target` belongs to `sql`, not to `{word}`"), "leave it out");
    }
    let target = asked.filter(|word| *word == "sql").and_then(|_| steps::target(&inner, known, "target", only));
    let verb = asked.and_then(|word| verb(&inner, owner, only, word, target.clone()));
    let facts = verb.as_ref().map_or(crate::runbook::expr::FACT_NAMES, |verb| verbs::facts_of(verb, false));
    let expect = steps::expression(&inner, "expect", owner, Some((asked.unwrap_or("question"), facts)));
    if !inner.has("expect") {
        inner.missing("expect", "expect = \"status == 200\": what the answer must be where it was done");
    }
    inner.finish();
    let expect = Some(expect?);
    Some(Box::new(Step { expect, target, line, from, undo: Undo::NotNeeded, ..Step::new(id, verb?) }))
}

fn choose(inner: &Reader<'_, '_>) -> Option<&'static str> {
    let there: Vec<&'static str> = ASKS.iter().copied().filter(|ask| inner.has(ask)).collect();
    for ask in &there {
        inner.node(ask);
    }
    match there.as_slice() {
        [one] => Some(one),
        [] => {
            let message = "a `verify` needs a question: `http`, `run` or `sql`";
            inner.notes.say(inner.span.clone(), message, EXAMPLE);
            None
        }
        [first, second, ..] => {
            let message = format!("a `verify` asks one thing, and this one has `{first}` and `{second}`");
            inner.notes.say(inner.key_span(second), message, "keep one of them");
            None
        }
    }
}

fn verb(
    inner: &Reader<'_, '_>,
    owner: &Owner,
    only: &[String],
    word: &'static str,
    target: Option<String>,
) -> Option<Verb> {
    match word {
        "http" => {
            let call = verbs::http(inner, owner)?;
            if call.method != "GET" {
                let message = format!("a `verify` only asks, and {} may change something", call.method);
                inner.notes.say(inner.key_span("http"), message, "ask with a GET");
                return None;
            }
            Some(Verb::Http(call))
        }
        "run" => verbs::argv(inner, "run", owner).map(Verb::Run),
        _ => {
            let text = inner.need_text("sql", "sql = \"select count(*) from orders\"")?;
            inner.notes.formula(&text, FormulaKind::Sql, owner, None);
            if !text.text.trim().is_empty() && !sql::only_reads(&text.text) {
                inner.notes.at(&text, "a `verify` only asks, and this may change something", "write a select");
            }
            let site =
                Site { text: text.clone(), transaction: true, target, only: only.to_vec(), wants: Wants::Statements };
            inner.notes.scripts.borrow_mut().push(site);
            let line = inner.notes.line(&text);
            Some(Verb::Sql(Script { text: text.text, transaction: true, line, ..Script::default() }))
        }
    }
}
