//! Rules about the runbook itself: its steps, times, watches and words.

mod expects;
mod limits;
mod texts;
mod times;
mod ways;

use super::desk::Desk;
use super::rule::Rule;

pub(super) fn rules() -> Vec<&'static [&'static Rule]> {
    vec![expects::RULES, ways::RULES, limits::RULES, times::RULES, texts::RULES]
}

pub(super) fn check(desk: &Desk<'_>) {
    expects::check(desk);
    ways::check(desk);
    limits::check(desk);
    times::check(desk);
    texts::check(desk);
}
