//! Rules about time: what day it is, what fits into the window, what comes too late.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, Weekday};
use regex::Regex;

use crate::lint::desk::{Desk, Spot};
use crate::lint::rule::Rule;
use crate::runbook::{Notify, PhaseKind, Seg, Undo, Verb};

pub(super) static RULES: &[&Rule] = &[&WEEKDAY, &BEYOND, &OVERLAP, &NO_ROOM, &NOTICE];

static WEEKDAY: Rule = Rule::error(
    "weekday-and-date",
    "the weekday that is named is not the day of the date: half of the people will come on the wrong day",
    "look at a calendar, and correct the one that is wrong",
);
static BEYOND: Rule = Rule::warning(
    "phase-beyond-window",
    "the phases are planned to last longer than the window",
    "make the window longer (window.lasts) or the phases shorter",
);
static OVERLAP: Rule = Rule::warning(
    "phase-overlap",
    "a phase is planned to begin while the one before still lasts; phases run one after the other",
    "move `at`, or shorten `lasts`",
);
static NO_ROOM: Rule = Rule::note(
    "window-without-way-back",
    "at the planned end of the watch there is no time left in which a rollback would fit into the window",
    "let the window last longer than the watch, by the expected_time of the way back",
);
static NOTICE: Rule = Rule::warning(
    "notice-too-late",
    "people are told of something as far away that is planned to begin sooner",
    "tell them in time, before the window; or write when it begins",
);

pub(super) fn check(desk: &Desk<'_>) {
    weekday_of_start(desk);
    for (path, text) in desk.texts_of_book() {
        dated(desk, &Spot { path, file: None, part: None }, &text);
    }
    plan(desk);
    notices(desk);
}

const DAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

fn weekday_of_start(desk: &Desk<'_>) {
    let window = &desk.book.window;
    let Some(starts) = window.starts else { return };
    let zone = window.zone.unwrap_or(chrono_tz::Tz::UTC);
    let day = starts.with_timezone(&zone).weekday();
    let title = format!("{} {}", desk.book.title, desk.book.id).to_lowercase();
    let named = DAYS.iter().find(|(word, _)| title.contains(word));
    if let Some((word, _)) = named.filter(|(_, named)| *named != day) {
        let spot = desk.spot(&[Seg::Key("window")], "starts");
        let date = starts.with_timezone(&zone).format("%Y-%m-%d");
        let message = format!("the runbook is called {word}, and {date} is a {}", word_of(day));
        desk.note(&WEEKDAY, &Default::default(), &spot, message);
    }
}

fn word_of(day: Weekday) -> &'static str {
    DAYS.iter().find(|(_, known)| *known == day).map_or("day", |(word, _)| word)
}

const DATED: &str = r"(?i)\b(monday|tuesday|wednesday|thursday|friday|saturday|sunday),?\s+(\d{4})-(\d{2})-(\d{2})\b|\b(\d{4})-(\d{2})-(\d{2})\s*[(,]?\s*(monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b";
static DATES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(DATED).ok());

/// `Wednesday 2024-01-29` in any text.
fn dated(desk: &Desk<'_>, spot: &Spot, text: &str) {
    for found in DATES.iter().flat_map(|pattern| pattern.captures_iter(text)) {
        let part = |n: usize, m: usize| found.get(n).or(found.get(m)).map(|part| part.as_str());
        let number = |n, m| part(n, m).and_then(|text| text.parse::<u32>().ok());
        let date = || NaiveDate::from_ymd_opt(i32::try_from(number(2, 5)?).ok()?, number(3, 6)?, number(4, 7)?);
        let (Some(date), Some(word), Some(whole)) = (date(), part(1, 8), found.get(0)) else { continue };
        if word_of(date.weekday()) != word.to_lowercase() {
            let message = format!("{date} is a {}, not a {}", word_of(date.weekday()), word.to_lowercase());
            desk.note(&WEEKDAY, &desk.subject(&spot.path), &spot.part(whole.range()), message);
        }
    }
}

/// Planned starts and ends, from the window's start: a phase without `at` follows the one before.
fn planned(desk: &Desk<'_>) -> Vec<(Duration, Duration)> {
    let mut end = Duration::ZERO;
    let one = |phase: &crate::runbook::Phase| {
        let start = phase.at.unwrap_or(end);
        end = start + phase.lasts.unwrap_or_default();
        (start, end)
    };
    desk.book.phases.iter().map(one).collect()
}

fn plan(desk: &Desk<'_>) {
    let times = planned(desk);
    let words = |length: Duration| humantime::format_duration(length).to_string();
    for (n, (phase, (_, end))) in desk.book.phases.iter().zip(&times).enumerate() {
        let subject = crate::lint::Subject { phase: Some(phase.id.clone()), ..Default::default() };
        let spot = desk.spot(&[Seg::Key("phase"), Seg::Nth(n)], "lasts");
        if let Some(lasts) = desk.book.window.lasts.filter(|lasts| end > lasts) {
            let message = format!("`{}` ends at +{}, the window at +{}", phase.id, words(*end), words(lasts));
            desk.note(&BEYOND, &subject, &spot, message);
        }
        let next = desk.book.phases.get(n + 1).and_then(|next| Some((&next.id, next.at?)));
        if let Some((id, at)) = next.filter(|(_, at)| end > at) {
            let message = format!("`{}` ends at +{}, and `{id}` begins at +{}", phase.id, words(*end), words(at));
            desk.note(&OVERLAP, &subject, &spot, message);
        }
    }
    way_back(desk, &times);
}

/// The last watch, and the time that the way back takes.
fn way_back(desk: &Desk<'_>, times: &[(Duration, Duration)]) {
    let mut watches =
        desk.book.phases.iter().zip(times).enumerate().filter(|(_, (phase, _))| phase.kind == PhaseKind::Monitor);
    let Some((n, (phase, (_, end)))) = watches.next_back() else { return };
    let plans = desk.book.rollbacks.iter().filter_map(|plan| plan.expected_time);
    let undos: Duration = desk
        .forward()
        .filter_map(|act| match &act.step.undo {
            Undo::By(undo) => undo.expected_time,
            _ => None,
        })
        .sum();
    let back = plans.max().unwrap_or(undos);
    let Some(lasts) = desk.book.window.lasts.filter(|lasts| *end <= *lasts && *end + back > *lasts) else { return };
    let spot = desk.spot(&[Seg::Key("phase"), Seg::Nth(n)], "lasts");
    let subject = crate::lint::Subject { phase: Some(phase.id.clone()), ..Default::default() };
    let (left, back) = (humantime::format_duration(lasts - *end), humantime::format_duration(back));
    desk.note(&NO_ROOM, &subject, &spot, format!("after it the window has {left} left, and the way back takes {back}"));
}

const AHEAD: &str = r"(?i)\bin\s+(one|an|two|three|\d+)\s*(minutes?|min|hours?|h)\b";
static AHEADS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(AHEAD).ok());

/// "begins in one hour", said less than an hour before the migration.
fn notices(desk: &Desk<'_>) {
    let times = planned(desk);
    let migrates = desk.book.phases.iter().zip(&times).find(|(phase, _)| phase.kind == PhaseKind::Migrate);
    let Some((_, (migration, _))) = migrates else { return };
    for act in desk.forward() {
        let Verb::Notify(Notify::Webhook { text, .. } | Notify::Command { text, .. }) = &act.step.verb else {
            continue;
        };
        let Some(promised) = ahead(text) else { continue };
        let own = desk
            .book
            .phases
            .iter()
            .position(|phase| Some(phase.id.as_str()) == act.phase.map(|phase| phase.id.as_str()));
        let Some((start, _)) = own.and_then(|n| times.get(n)) else { continue };
        let left = migration.saturating_sub(*start);
        if start < migration && left < promised {
            let (left, promised) = (humantime::format_duration(left), humantime::format_duration(promised));
            desk.step(&NOTICE, act, &act.verb(), format!("told as {promised} away, planned {left} later"));
        }
    }
}

fn ahead(text: &str) -> Option<Duration> {
    let found = AHEADS.as_ref()?.captures(text)?;
    let number = match found.get(1)?.as_str().to_lowercase().as_str() {
        "one" | "an" => 1,
        "two" => 2,
        "three" => 3,
        digits => digits.parse().ok().filter(|n: &u64| *n < 1000)?,
    };
    let unit = if found.get(2)?.as_str().to_lowercase().starts_with('h') { 3600 } else { 60 };
    Some(Duration::from_secs(number * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_words() {
        assert!(DATES.as_ref().unwrap().is_match("on Wednesday, 2024-01-31"));
        assert_eq!(ahead("begins in one hour"), Some(Duration::from_secs(3600)));
        assert_eq!(ahead("In 30 minutes we begin"), Some(Duration::from_secs(1800)));
        assert_eq!(ahead("takes up to four hours"), None);
    }
}
