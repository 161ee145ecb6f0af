//! Rules about SQL: every script, query and fragment of a runbook, statement by statement.

mod gather;
mod words;

pub(super) use gather::gather;
pub use gather::Sql;

use super::desk::Desk;
use super::rule::Rule;

mod writes;

pub(super) fn rules() -> Vec<&'static [&'static Rule]> {
    vec![writes::RULES]
}

pub(super) fn check(desk: &Desk<'_>) {
    for sql in &desk.sql {
        writes::check(desk, sql);
    }
}
