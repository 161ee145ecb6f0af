//! Rules about statements that change rows.

use std::collections::BTreeSet;

use super::gather::Sql;
use super::words::Words;
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&WITHOUT_WHERE];

static WITHOUT_WHERE: Rule = Rule::warning(
    "sql-update-without-where",
    "UPDATE or DELETE without WHERE writes every row of the table, in one transaction with all its locks",
    "say which rows; for a whole large table use `batch`; where all rows are meant, bound them with `max_rows`",
);

pub(super) fn check(desk: &Desk<'_>, sql: &Sql) {
    let bounded = sql.act.and_then(|n| desk.acts.get(n)).is_some_and(|act| act.step.max_rows.is_some());
    if !bounded {
        without_where(desk, sql);
    }
}

fn without_where(desk: &Desk<'_>, sql: &Sql) {
    let made: BTreeSet<String> = sql.statements.iter().filter_map(super::made).collect();
    for words in &sql.statements {
        for n in (0..words.len()).filter(|n| is_write(words, *n)) {
            let depth = words.depth(n);
            let end = (n..words.len()).find(|m| words.depth(*m) < depth).unwrap_or(words.len());
            let skip = if words.is(n, "delete") { n + 2 } else { n + 1 };
            let Some((table, next)) = words.name(skip) else { continue };
            let filtered = (next..end).any(|m| words.is(m, "where") && words.depth(m) == depth);
            if !filtered && !made.contains(&table) {
                let verb = words.get(n).to_uppercase();
                let spot = sql.spot.part(words.span(n, next - 1));
                desk.note(&WITHOUT_WHERE, &sql.subject, &spot, format!("{verb} of {table} without WHERE: every row"));
            }
        }
    }
}

/// `update t set`, `delete from t`: not `for update`, `on update`, `do update`, nor the event of a trigger.
fn is_write(words: &Words, n: usize) -> bool {
    if words.seq(n, &["delete", "from"]) {
        return true;
    }
    let set = || {
        words.name(n + 1).is_some_and(|(_, next)| {
            let alias =
                usize::from(words.is(next, "as")) + usize::from(!words.is(next, "set") && !words.is(next, "as"));
            words.is(next, "set") || words.is(next + alias, "set") || words.is(next + alias + 1, "set")
        })
    };
    words.is(n, "update") && set() && !(n > 0 && ["for", "on", "do", "or"].contains(&words.get(n - 1)))
}
