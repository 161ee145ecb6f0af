//! Rules about the runbook itself: its steps, times, watches and words.

mod expects;

use super::desk::Desk;
use super::rule::Rule;

pub(super) fn rules() -> Vec<&'static [&'static Rule]> {
    vec![expects::RULES]
}

pub(super) fn check(desk: &Desk<'_>) {
    expects::check(desk);
}
