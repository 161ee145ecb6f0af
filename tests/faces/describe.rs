//! Sentences: every entry of the script, and every string of a hostile one.

use gonogo::run::event::OtherRun;
use gonogo::run::{Entry, Event, describe, words};
use gonogo::runbook::Tell;
use insta::assert_snapshot;
use std::time::Duration;

use crate::script;

#[test]
fn a_whole_run_reads_as_sentences() {
    let runbook = script::runbook();
    let lines: Vec<_> = script::run().iter().filter_map(|entry| describe::line(entry, &runbook)).collect();
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn durations_never_run_ahead() {
    let shown = [0, 34, 99, 240, 9_999, 59_999, 130_000, 3_960_000, 273_600_000].map(words::duration);
    assert_eq!(shown, ["0 ms", "34 ms", "99 ms", "240 ms", "9.9 s", "59 s", "2m10", "1h06", "3d04h"]);
    let spans = [0, 234, 5_000, 15_000, 1_800_000, 3_600_000, 5_400_000, 172_800_000]
        .map(|ms| words::span(Duration::from_millis(ms)));
    assert_eq!(spans, ["0 ms", "234 ms", "5 s", "15 s", "30m", "1h", "1h30", "2d"]);
}

#[test]
fn numbers_are_short_and_true() {
    let shown = [0.0, 0.21, 3.0, 41.0, 99.999, 123.45, 1204.0, -1500.2, 0.0004, 1e-9, 2e20].map(words::number);
    assert_eq!(shown, ["0", "0.21", "3", "41", "100", "123.5", "1,204", "-1,500", "0.0004", "1.00e-9", "2.00e20"]);
    assert_eq!(
        [0, 999, 4_100, 12_345_678, 5_000_000_000_000_000].map(words::bytes),
        ["0 B", "999 B", "4.1 KB", "12.3 MB", "5000.0 TB"]
    );
    assert_eq!(words::plural(1, "row"), "1 row");
    assert_eq!(words::plural(1_204_000, "row"), "1,204,000 rows");
}

#[test]
fn clocks_follow_the_zone() {
    let at = script::run()[0].at;
    let berlin = "Europe/Berlin".parse().ok();
    assert_eq!(describe::clock(at, None), "08:00:00");
    assert_eq!(describe::clock(at, berlin), "09:00:00");
    assert_eq!(words::date(at.wall, berlin), "2024-01-31 09:00:00 CET");
    assert_eq!(words::date(at.wall, None), "2024-01-31 08:00:00 UTC");
}

#[test]
fn an_owner_and_who_took_over() {
    let (runbook, at) = (script::runbook(), script::run()[0].at);
    let (target, owner) = ("main".to_owned(), "run r0 of ann@jump1 has not ended".to_owned());
    let said = |event: Event| describe::line(&Entry { seq: 3, at, event }, &runbook).unwrap();
    let owned = |others: Vec<OtherRun>| {
        let (target, owner) = (target.clone(), owner.clone());
        said(Event::TargetOwned { target, fingerprint: Default::default(), owner, others })
    };
    assert_eq!(owned(Vec::new()), "target main has another owner: run r0 of ann@jump1 has not ended");
    let other = |lives| vec![OtherRun { run: "r0".to_owned(), lives }];
    assert!(owned(other(false)).ends_with("has not ended · gonogo resume r0 --headless --give-up REASON"));
    assert!(owned(other(true)).ends_with("has not ended · gonogo attach r0"));
    let hostile = "\x1b]52;c;eA==\x07\u{202e}".to_owned();
    let taken = said(Event::TakenOver { target: target.clone(), owner: hostile.clone(), by: hostile });
    assert!(!taken.contains(['\x1b', '\x07', '\u{202e}']), "{taken:?}");
    let told = |error: Option<&str>| Event::Told {
        channel: "team".to_owned(),
        tell: Tell::Held,
        of: 2,
        error: error.map(str::to_owned),
    };
    assert_eq!(said(told(None)), "team told: held");
    assert_eq!(said(told(Some("HTTP 404"))), "team could not be told: held: HTTP 404");
    assert_eq!(said(Event::LedgerCreated { target }), "target main has a ledger now (schema gonogo)");
}
