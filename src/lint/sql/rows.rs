//! Rules about rows that a statement misses, or that stop it.

use super::gather::{Role, Sql};
use super::personal;
use super::words::{Kind, Words};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&OFFSET, &NOT_IN_QUERY, &NOT_IN_LIST, &STAR, &CAST, &FLIP, &personal::PERSONAL];

static OFFSET: Rule = Rule::warning(
    "sql-offset-batching",
    "OFFSET over rows that a condition takes away as they are done skips as many rows as it counts: half stay undone",
    "use `batch`, which walks ranges of the key and proves that nothing is left",
);
static NOT_IN_QUERY: Rule = Rule::warning(
    "sql-not-in-query",
    "one NULL in the inner query makes NOT IN find no row at all",
    "write not exists (select … where …), or add where … is not null to the inner query",
);
static NOT_IN_LIST: Rule = Rule::warning(
    "sql-not-in-misses-null",
    "NOT IN ('a', 'b') is neither true nor false for NULL: rows without a value are missed",
    "say what NULL means: status is null or status not in (…)",
);
static STAR: Rule = Rule::warning(
    "sql-insert-select-star",
    "INSERT … SELECT * goes by the position of columns: one column more or another order writes values into wrong columns",
    "name the columns on both sides",
);
static CAST: Rule = Rule::warning(
    "sql-unguarded-cast",
    "one value that cannot be cast stops the whole statement, in the middle of the window",
    "count the values that cannot be cast in a check before, with expect = \"value == 0\"; or guard with a pattern in WHERE",
);
static FLIP: Rule = Rule::warning(
    "sql-flip-unchecked",
    "a mark is taken from one row and given to another; where the other is not there, nobody has it, and nothing fails",
    "expect = \"affected == 2\": it is judged before COMMIT",
);
pub(super) fn check(desk: &Desk<'_>, sql: &Sql) {
    for words in &sql.statements {
        offset(desk, sql, words);
        not_in(desk, sql, words);
        star(desk, sql, words);
        cast(desk, sql, words);
        personal::check(desk, sql, words);
        for body in words.bodies() {
            offset(desk, sql, &body);
            not_in(desk, sql, &body);
        }
    }
    flip(desk, sql);
}

fn writes(words: &Words) -> bool {
    words.has(&["insert", "into"]) || words.has(&["delete", "from"]) || (words.has(&["update"]) && words.has(&["set"]))
}

fn offset(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    let places = words.all(&["offset"]);
    let counted = |n: &usize| matches!(words.kind(n + 1), Some(Kind::Number | Kind::Name));
    if let Some(n) = places.into_iter().find(counted).filter(|_| writes(words)) {
        desk.note(&OFFSET, &sql.subject, &sql.spot.part(words.span(n, n + 1)), "batches by OFFSET skip rows");
    }
}

fn not_in(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    for n in words.all(&["not", "in", "("]) {
        let inside = words.part(words.inside(n + 2));
        let spot = sql.spot.part(words.span(n, n + 1));
        let column = n.checked_sub(1).map(|before| words.get(before)).unwrap_or_default();
        if inside.is(0, "select") {
            if !inside.has(&["is", "not", "null"]) && !inside.has(&["coalesce"]) && !catalogue(words) {
                desk.note(
                    &NOT_IN_QUERY,
                    &sql.subject,
                    &spot,
                    "NOT IN over a query: one NULL in it, and no row is found",
                );
            }
            continue;
        }
        let literal = inside.0.iter().all(|word| matches!(word.kind, Kind::Text | Kind::Number) || word.text == ",");
        let named = n > 0 && words.kind(n - 1) == Some(Kind::Name) && column != "id";
        let thought_of =
            words.has(&[column, "is", "null"]) || words.has(&[column, "is", "not", "null"]) || words.has(&["coalesce"]);
        if literal && named && inside.len() > 0 && !thought_of && !catalogue(words) {
            let message = format!("rows in which `{column}` is NULL are neither in nor not in the list");
            desk.note(&NOT_IN_LIST, &sql.subject, &spot, message);
        }
    }
}

/// True where a statement asks the catalogue, whose columns of names are never NULL.
fn catalogue(words: &Words) -> bool {
    let names = words.0.iter().filter(|word| word.kind == Kind::Name);
    names.into_iter().any(|word| word.text == "information_schema" || word.text.starts_with("pg_"))
}

fn star(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    for n in words.all(&["insert", "into"]) {
        let Some((table, next)) = words.name(n + 2) else { continue };
        if words.seq(next, &["select", "*"]) {
            let spot = sql.spot.part(words.span(n, next + 1));
            desk.note(&STAR, &sql.subject, &spot, format!("{table} gets its columns by position"));
        }
    }
}

/// Types whose values a text need not be.
const PICKY: &[&str] = &[
    "uuid", "json", "jsonb", "inet", "int", "integer", "int4", "int8", "bigint", "smallint", "numeric", "boolean",
    "bool",
];

fn cast(desk: &Desk<'_>, sql: &Sql, words: &Words) {
    let alters = words.starts(&["alter", "table"]) && words.has(&["using"]);
    let guarded =
        words.0.iter().any(|word| word.text == "~" || word.text == "pg_input_is_valid" || word.text == "case");
    if guarded || !(alters || (writes(words) && words.has(&["select"])) || words.has(&["update"])) {
        return;
    }
    for n in 1..words.len() {
        let signs = if words.is(n, "::") { 1 } else { 2 * usize::from(words.seq(n, &[":", ":"])) };
        let column = words.kind(n - 1) == Some(Kind::Name) && !words.is(n - 1, "null");
        if signs > 0 && column && PICKY.contains(&words.get(n + signs)) {
            let (name, kind) = (words.get(n - 1), words.get(n + signs));
            let spot = sql.spot.part(words.span(n - 1, n + signs));
            desk.note(&CAST, &sql.subject, &spot, format!("one `{name}` that is no {kind} stops the statement"));
        }
    }
}

/// Two updates of one table that set the same column, and nobody who counts.
fn flip(desk: &Desk<'_>, sql: &Sql) {
    let act = sql.act.and_then(|n| desk.acts.get(n));
    let judged = act.is_some_and(|act| act.step.expect.is_some());
    if sql.role != Role::Script || judged || sql.statements.len() > super::MANY {
        return;
    }
    let sets: Vec<(String, String, String, &Words)> = sql.statements.iter().filter_map(assignment).collect();
    for (n, (table, column, value, _)) in sets.iter().enumerate() {
        let later = sets.get(n + 1..).unwrap_or_default().iter();
        let other = later.into_iter().find(|other| other.0 == *table && other.1 == *column && other.2 != *value);
        let mark = |value: &str| matches!(value, "true" | "false" | "0" | "1");
        if let Some((_, _, second, words)) = other.filter(|other| mark(value) && mark(&other.2)) {
            let message = format!("where no row of {table} gets {column} = {second}, none has it any more");
            desk.note(&FLIP, &sql.subject, &sql.spot.part(words.whole()), message);
        }
    }
}

fn assignment(words: &Words) -> Option<(String, String, String, &Words)> {
    if !words.is(0, "update") {
        return None;
    }
    let (table, _) = words.name(1)?;
    let set = words.find(&["set"])?;
    let value = words.is(set + 2, "=").then(|| words.get(set + 3))?;
    Some((table, words.get(set + 1).to_owned(), value.to_owned(), words))
}
