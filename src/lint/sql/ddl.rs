//! Rules about statements that change tables, indexes and what runs inside of a server.

use std::collections::BTreeSet;

use super::gather::Sql;
use super::words::{Kind, Words};
use crate::lint::desk::{Desk, Part};
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] =
    &[&CASCADE, &IF_NOT_EXISTS, &ADD_DROP, &NO_LIMIT, &COMMIT, &SWALLOWED, &REDUNDANT, &DROP_DATABASE, &EMPTY_DEFAULT];

static CASCADE: Rule = Rule::warning(
    "sql-cascade",
    "CASCADE also drops or empties what nobody has named: views, keys, whole tables",
    "name every object yourself; what then refuses is what you did not know",
);
static IF_NOT_EXISTS: Rule = Rule::warning(
    "sql-index-if-not-exists",
    "an index that a failed build left INVALID exists: IF NOT EXISTS passes, and no query uses it",
    "leave IF NOT EXISTS out: gonogo looks whether the index is there and valid, and drops an invalid one before a retry",
);
static ADD_DROP: Rule = Rule::warning(
    "sql-add-and-drop",
    "what replaces a column comes with its removal in one change: old code breaks before new code is there, and nothing can be compared",
    "add and fill in this window, drop in a later one, after a time in which nothing has used the old column",
);
static NO_LIMIT: Rule = Rule::warning(
    "sql-no-lock-timeout",
    "without a limit the statement waits for its lock, and every reader queues behind it: an outage by waiting",
    "leave gonogo's limit (3 s, tried again), or set a longer one: set lock_timeout = '30s'",
);
static COMMIT: Rule = Rule::error(
    "sql-hidden-commit",
    "COMMIT or ROLLBACK inside a DO block or a called procedure: the server refuses it in the step's transaction",
    "take it out, or write transaction = \"none\" with a `probe`; for many rows use `batch`",
);
static SWALLOWED: Rule = Rule::warning(
    "sql-error-swallowed",
    "EXCEPTION WHEN OTHERS without a RAISE turns every error into a success that the run goes on from",
    "name the one condition that is fine (when duplicate_table then …), or raise again: raise;",
);
static REDUNDANT: Rule = Rule::warning(
    "sql-redundant-index",
    "a UNIQUE constraint or primary key has an index of its own; a second one on the same columns only costs writes",
    "leave it out",
);
static DROP_DATABASE: Rule = Rule::warning(
    "sql-drop-database",
    "the database is gone before its successor is proven, and no rollback brings it back",
    "rename it, and drop it days later",
);

static EMPTY_DEFAULT: Rule = Rule::note(
    "sql-empty-default",
    "an empty default passes NOT NULL for rows that nobody has filled: they cannot be told from filled ones any more",
    "add the column without default, fill it with `batch`, check that no NULL is left, then set not null",
);

/// `committing`: procedures of the runbook that commit.
pub(super) fn check(desk: &Desk<'_>, sql: &Sql, committing: &BTreeSet<String>) {
    for words in &sql.statements {
        let whole = sql.spot.part(words.whole());
        let drops = words.is(0, "drop") || words.is(0, "truncate") || (words.is(0, "alter") && words.has(&["drop"]));
        // ON DELETE CASCADE is a rule of a key, and goes nowhere today.
        let named = |n: &usize| *n > 0 && !["delete", "update"].contains(&words.get(n - 1));
        if let Some(n) = words.all(&["cascade"]).into_iter().find(named).filter(|_| drops) {
            desk.note(
                &CASCADE,
                &sql.subject,
                &sql.spot.part(words.span(n, n)),
                "CASCADE: nobody has named what else goes",
            );
        }
        if let Some(n) = words.find(&["concurrently", "if", "not", "exists"]).filter(|_| words.has(&["index"])) {
            let spot = sql.spot.part(words.span(n + 1, n + 3));
            desk.note(&IF_NOT_EXISTS, &sql.subject, &spot, "an INVALID index of that name passes for the index");
        }
        if words.is(0, "set") && words.has(&["lock_timeout"]) && words.0.last().is_some_and(|last| is_zero(&last.text))
        {
            desk.note(&NO_LIMIT, &sql.subject, &whole, "from here on a lock is waited for without end");
        }
        if words.starts(&["drop", "database"]) {
            desk.note(&DROP_DATABASE, &sql.subject, &whole, "nothing brings this database back");
        }
        let added = words.has(&["add", "column"]) && words.has(&["not", "null"]);
        let empty = |n: &usize| words.kind(n + 1) == Some(Kind::Text) && words.get(n + 1).is_empty();
        if let Some(n) = words.find(&["default"]).filter(empty).filter(|_| added) {
            let spot = sql.spot.part(words.span(n, n + 1));
            desk.note(&EMPTY_DEFAULT, &sql.subject, &spot, "rows that nobody has filled pass for filled ones");
        }
        bodies(desk, sql, words, committing);
    }
    if sql.part == Part::Forward {
        add_and_drop(desk, sql);
    }
}

fn is_zero(text: &str) -> bool {
    matches!(text, "0" | "0s" | "0ms" | "0min")
}

/// Rules about what stands inside of DO blocks and routines.
fn bodies(desk: &Desk<'_>, sql: &Sql, words: &Words, committing: &BTreeSet<String>) {
    let runs = words.is(0, "do") && sql.transaction;
    for body in words.bodies() {
        if let Some(n) = commits(&body).filter(|_| runs) {
            let message = format!("{} inside a DO block", body.get(n).to_uppercase());
            desk.note(&COMMIT, &sql.subject, &sql.spot.part(body.span(n, n)), message);
        }
        if let Some(n) = swallows(&body) {
            let spot = sql.spot.part(body.span(n, n + 2));
            desk.note(&SWALLOWED, &sql.subject, &spot, "every error ends here, and the statement succeeds");
        }
    }
    if words.is(0, "call") && sql.transaction {
        let name = words.name(1).map(|(name, _)| name);
        if name.is_some_and(|name| committing.contains(&name)) {
            let spot = sql.spot.part(words.whole());
            desk.note(
                &COMMIT,
                &sql.subject,
                &spot,
                "this procedure commits, which the server refuses in a transaction",
            );
        }
    }
}

/// Where a body commits or rolls back.
fn commits(body: &Words) -> Option<usize> {
    (0..body.len()).find(|n| {
        let word = body.is(*n, "commit") || body.is(*n, "rollback");
        let first = *n == 0 || [";", "begin", "then", "loop", "else"].contains(&body.get(n - 1));
        word && first && (body.is(n + 1, ";") || body.is(n + 1, "and") || n + 1 == body.len())
    })
}

/// Procedures of the runbook that commit.
pub(super) fn committing(desk: &Desk<'_>) -> BTreeSet<String> {
    let all = desk.sql.iter().flat_map(|sql| &sql.statements);
    let procedures = all.filter_map(|words| Some((words, words.find(&["procedure"])?)));
    procedures
        .filter(|(words, _)| words.is(0, "create") && words.bodies().iter().any(|body| commits(body).is_some()))
        .filter_map(|(words, n)| words.name(n + 1).map(|(name, _)| name))
        .collect()
}

/// Where a body catches everything and raises nothing.
fn swallows(body: &Words) -> Option<usize> {
    let n = body.find(&["when", "others", "then"])?;
    let raises = body.all(&["raise"]).into_iter().filter(|m| *m > n).any(|m| {
        body.is(m + 1, ";")
            || body.is(m + 1, "exception")
            || body.is(m + 1, "sqlstate")
            || body.kind(m + 1) == Some(Kind::Text)
    });
    (!raises).then_some(n)
}

fn add_and_drop(desk: &Desk<'_>, sql: &Sql) {
    let altered =
        |words: &Words| words.starts(&["alter", "table"]).then(|| words.name(2)).flatten().map(|(name, _)| name);
    let adds: BTreeSet<String> =
        sql.statements.iter().filter(|words| words.has(&["add", "column"])).filter_map(altered).collect();
    for words in &sql.statements {
        let Some(table) = altered(words).filter(|table| adds.contains(table)) else { continue };
        if let Some(n) = words.find(&["drop", "column"]) {
            let message = format!("{table} loses a column in the change that adds another");
            desk.note(&ADD_DROP, &sql.subject, &sql.spot.part(words.span(n, n + 2)), message);
        }
    }
}

/// Columns of a table that have a unique index by a constraint or key.
type Unique = (String, Vec<String>);

/// Indexes on columns that are unique already, over the whole runbook.
pub(super) fn redundant(desk: &Desk<'_>) {
    let small = desk.sql.iter().filter(|sql| sql.statements.len() <= super::MANY);
    let unique: BTreeSet<Unique> = small.flat_map(|sql| sql.statements.iter().flat_map(uniques)).collect();
    for sql in desk.sql.iter().filter(|sql| sql.part == Part::Forward && sql.statements.len() <= super::MANY) {
        for words in &sql.statements {
            if let Some(index) = plain_index(words).filter(|index| unique.contains(index)) {
                let (table, columns) = index;
                let message = format!("{table} ({}) is unique already, and has an index by that", columns.join(", "));
                desk.note(&REDUNDANT, &sql.subject, &sql.spot.part(words.whole()), message);
            }
        }
    }
}

fn plain_index(words: &Words) -> Option<Unique> {
    if !words.starts(&["create", "index"]) || words.has(&["where"]) {
        return None;
    }
    let (table, next) = words.name(words.find(&["on"])? + 1)?;
    let open = if words.is(next, "using") { next + 2 } else { next };
    Some((table, columns(words, open)?))
}

fn uniques(words: &Words) -> Vec<Unique> {
    let place = words.find(&["table"]).filter(|n| *n < 4 && ["create", "alter"].contains(&words.get(0)));
    let Some((table, next)) = place.and_then(|n| words.name(n + 1)) else { return Vec::new() };
    let mut all = Vec::new();
    for n in next..words.len() {
        let end = if words.seq(n, &["primary", "key"]) { n + 2 } else { n + 1 };
        if !(words.seq(n, &["primary", "key"]) || words.is(n, "unique")) {
            continue;
        }
        if words.is(end, "(") {
            all.extend(columns(words, end).map(|columns| (table.clone(), columns)));
        } else if let Some(start) =
            (next..n).rev().find(|m| words.is(*m, ",") || words.is(*m, "(") || words.is(*m, "column"))
        {
            // A column says of itself that it is unique: `id bigint primary key`.
            all.push((table.clone(), vec![words.get(start + 1).to_owned()]));
        }
    }
    all
}

/// The names in the parentheses at `open`; none where an expression stands among them.
fn columns(words: &Words, open: usize) -> Option<Vec<String>> {
    let inside = words.is(open, "(").then(|| words.part(words.inside(open)))?;
    let names: Vec<String> = inside.0.iter().filter(|word| word.text != ",").map(|word| word.text.clone()).collect();
    (inside.len() == names.len() * 2 - usize::from(!names.is_empty()))
        .then_some(names)
        .filter(|names| !names.is_empty())
}
