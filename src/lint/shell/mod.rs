//! Rules about commands: what `run`, `shell`, `notify` and probes start.

mod backup;
mod exits;
mod gather;
mod hosts;
mod psql;
mod unset;
mod words;

pub(super) use gather::{Line, gather};

use super::desk::Desk;
use super::rule::Rule;

pub(super) fn rules() -> Vec<&'static [&'static Rule]> {
    vec![exits::RULES, psql::RULES, backup::RULES, hosts::RULES, unset::RULES]
}

pub(super) fn check(desk: &Desk<'_>, lines: &[Line<'_>]) {
    for line in lines {
        exits::check(desk, line);
        psql::check(desk, line);
        hosts::check(desk, line);
    }
    backup::check(desk, lines);
    unset::check(desk);
}
