//! Rules about SQL: every script, query and fragment of a runbook, statement by statement.

mod across;
mod checks;
mod ddl;
mod gather;
mod nesting;
mod personal;
mod reads;
mod rows;
mod squawk;
mod words;
mod writes;

pub use gather::Sql;
pub(super) use gather::gather;

use words::Words;

use super::desk::Desk;
use super::rule::Rule;

pub(super) fn rules() -> Vec<&'static [&'static Rule]> {
    vec![
        writes::RULES,
        rows::RULES,
        checks::RULES,
        ddl::RULES,
        across::RULES,
        nesting::RULES,
        reads::RULES,
        squawk::RULES,
    ]
}

/// Statements of a script beyond which it is taken for data, and not compared statement by statement.
const MANY: usize = 1_000;

pub(super) fn check(desk: &Desk<'_>) {
    let committing = ddl::committing(desk);
    let mut earlier = squawk::Earlier::default();
    for sql in &desk.sql {
        if nesting::check(desk, sql) {
            writes::check(desk, sql);
            rows::check(desk, sql);
            checks::check(desk, sql);
            ddl::check(desk, sql, &committing);
            reads::check(desk, sql);
        }
        squawk::check(desk, sql, &earlier);
        earlier.add(sql);
    }
    ddl::redundant(desk);
    across::check(desk);
}

/// The table that a statement makes.
fn made(words: &Words) -> Option<String> {
    let table = words.find(&["table"]).filter(|n| words.is(0, "create") && *n < 4)?;
    words.name(table + 1).map(|(name, _)| name)
}
