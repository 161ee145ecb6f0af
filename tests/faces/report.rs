//! The post-mortem: a whole run, any prefix of it, and the same run by an enemy's hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use gonogo::feed::Replay;
use gonogo::print::{Face, Printer};
use gonogo::report::{Anchor, build, json, markdown};
use gonogo::run::event::{Direction, End, Mode};
use gonogo::run::{Entry, Event, facts::Effect};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::Value;

use crate::{hostile, script};

fn anchor() -> Option<Anchor> {
    Some(Anchor { count: 78, head: "5e1f".into() })
}

#[test]
fn a_whole_run_in_markdown() {
    assert_snapshot!(markdown(&script::run(), &script::runbook(), anchor()));
}

#[test]
fn the_json_form_is_read_back() {
    let text = json(&script::run(), &script::runbook(), anchor()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["v"], 1);
    assert_eq!(value["run"]["end"], "rolled_back");
    assert_eq!(value["run"]["people"], serde_json::json!(["dba@jump1", "ops@jump1"]));
    assert_eq!(value["anchor"]["head"], "5e1f");
    let steps: BTreeMap<_, _> =
        value["steps"].as_array().unwrap().iter().map(|s| (s["id"].as_str().unwrap(), s)).collect();
    assert_eq!(steps["tables-before"]["facts"]["value"], 52);
    assert_eq!(steps["tables-before"]["verdict"]["passed"], true);
    assert_eq!((&steps["m011"]["status"], &steps["m011"]["attempts"]), (&"undone".into(), &2.into()));
    assert_eq!((&steps["m011"]["took_ms"], &steps["m011"]["planned_ms"]), (&240.into(), &234.into()));
    assert_eq!(value["probes"][0]["during"]["median"], 0.3);
    assert_eq!(value["probes"][0]["during"]["no_data"], 1);
    assert_eq!(value["probes"][0]["after"]["max"], 0.4);
    assert_eq!(value["failures"][1]["settled"]["claim"], "done");
    assert_eq!(value["followups"][0]["due"], Value::Null);
    assert_eq!(value["followups"][0]["not_applicable"], "not applicable: rolled back");
}

#[test]
fn the_times_of_the_rehearsal_stand_beside_the_live_ones() {
    let run = script::rehearsed(script::run());
    let report = build(&run, &script::runbook(), None);
    let of = |id: &str| report.steps.iter().find(|step| step.id == id).unwrap().rehearsed_ms;
    assert_eq!((of("tables-before"), of("backup"), of("go")), (Some(190), Some(41_000), None));
    let back = |id: &str| report.rollbacks[0].steps.iter().find(|step| step.id == id).unwrap().rehearsed_ms;
    assert_eq!((back("m011"), back("backfill")), (Some(150), None));
    let text = markdown(&run, &script::runbook(), None);
    let table = |title: &str| {
        let part = text.split(title).nth(1).unwrap().trim_start();
        part.lines().take_while(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n")
    };
    assert!(text.contains("| Rehearsed | 2024-01-30 "), "{text}");
    assert_snapshot!(table("\n## Steps\n"));
}

/// A rehearsal of which no step's time is known needs no column; what is compared is what the engine measured.
#[test]
fn a_column_of_rehearsed_times_holds_some() {
    let mut run = script::rehearsed(script::run());
    let slower = |run: &[Entry]| {
        let report = build(run, &script::runbook(), None);
        report.steps.into_iter().filter(|step| step.much_slower).map(|step| step.id).collect::<Vec<_>>()
    };
    assert_eq!(slower(&run), ["backup"]);
    for entry in &mut run {
        if let Event::StepEnded { outcome: gonogo::run::Outcome::Done { facts, .. }, .. } = &mut entry.event {
            (facts.ms, facts.recovered) = (0, Some("its row is there".to_owned()));
        }
    }
    assert_eq!(slower(&run), [""; 0]);
    let Event::RunOpened(opened) = &mut run[0].event else { panic!("the first entry opens the run") };
    opened.rehearsed.as_mut().unwrap().times = Default::default();
    let text = markdown(&run, &script::runbook(), None);
    assert!(text.contains("| Rehearsed | 2024-01-30 ") && !text.contains("| Rehearsed | Who"), "{text}");
    assert!(!text.contains("Took | Rehearsed"), "{text}");
}

/// What nobody saw is no time without a fault.
#[test]
fn the_time_without_an_engine_is_told() {
    let started =
        || Event::EngineStarted { pid: 9, host: "h".into(), boot: "b".into(), zero_ms: 0, by: script::DBA.into() };
    let mut s = script::Script::default();
    s.after(0).push(started());
    s.after(100).sample(1.0);
    s.after(39_000).push(started());
    let text = markdown(&s.entries, &script::runbook(), None);
    let told: Vec<&str> = text.lines().filter(|line| line.contains("taken up again")).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert!(told[0].ends_with("nothing was written for 39 s before: no probe seen, no trigger judged"), "{told:?}");
}

#[test]
fn a_run_without_an_end_says_so() {
    let run = script::run();
    let held = run.iter().position(|entry| matches!(entry.event, Event::Held { .. })).unwrap();
    let report = build(&run[..=held], &script::runbook(), None);
    assert!(report.run.held && report.run.end.is_none() && report.window.ended.is_none());
    assert_eq!(report.run.reason, "Backend lead says no-go in go");
    assert!(report.followups[0].due.is_none());
    let text = markdown(&[], &script::runbook(), None);
    assert!(text.contains("| Outcome | **not ended** |"), "{text}");
}

#[test]
fn legs_of_a_rehearsal_are_told_apart() {
    let mut s = script::Script::default();
    for (leg, ms) in [(1, 100), (2, 900)] {
        s.push(Event::LegStarted { leg });
        s.push(Event::PhaseEntered { phase: "migrate".into() });
        let attempt = script::attempt("m011", Direction::Forward, leg);
        s.start(&attempt, script::statement("x"), script::DBA).after(ms);
        s.end(&attempt, script::done(Default::default()));
    }
    let report = build(&s.entries, &script::runbook(), None);
    let took: Vec<_> = report.steps.iter().filter(|s| s.id == "m011").map(|s| (s.leg, s.took_ms, s.status)).collect();
    assert_eq!(took, [(1, Some(100), "done"), (2, Some(900), "done")]);
    assert_eq!(report.phases.len(), 6);
}

#[test]
fn hostile_text_is_read_not_obeyed() {
    let entries = hostile::entries(&script::run());
    let runbook = hostile::runbook(script::runbook());
    let page = markdown(&entries, &runbook, anchor());
    hostile::assert_harmless(&page);
    assert_inert(&page);
    let text = json(&entries, &runbook, anchor()).unwrap();
    hostile::assert_harmless(&text);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(value["runbook"]["title"].as_str().unwrap().ends_with(hostile::HOSTILE));
    assert_eq!(build(&entries, &runbook, None).failures[0].fault.as_ref().unwrap().effect, Effect::None);
}

/// The same run, had it ended done.
fn done(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        if let Event::RunEnded { end, .. } = &mut entry.event {
            *end = End::Done;
        }
    }
    entries
}

#[test]
fn only_a_live_run_that_ended_done_is_followed() {
    let mut entries = done(&script::run());
    let told = |entries: &[Entry]| build(entries, &script::runbook(), None).followups[0].clone();
    assert!(told(&entries).not_applicable.is_none());
    assert_eq!(told(&entries).due.unwrap().to_rfc3339(), "2024-02-02T08:13:31.180+00:00");
    if let Event::RunOpened(opened) = &mut entries[0].event {
        opened.mode = Mode::Rehearsal;
    }
    assert_eq!(told(&entries).not_applicable.as_deref(), Some("not applicable: a rehearsal"));
    assert!(told(&entries).due.is_none());
}

#[test]
fn numbers_at_the_end_of_their_scale_are_survived() {
    let mut entries = script::run();
    let mut leg = entries[0].clone();
    leg.event = Event::LegStarted { leg: 2 };
    entries.insert(20, leg);
    let entries = hostile::extreme(&entries);
    let mut runbook = script::runbook();
    for zone in [None, "Pacific/Kiritimati".parse().ok(), "Pacific/Niue".parse().ok()] {
        runbook.window.zone = zone;
        // Only what ended done has something due.
        assert!(markdown(&done(&entries), &runbook, anchor()).contains("9999-12-3"));
        assert!(json(&entries, &runbook, None).is_ok());
        let mut printer = Printer::new(Arc::new(runbook.clone()), Face::default());
        entries.iter().for_each(|entry| drop(printer.entry(entry)));
        assert!(printer.summary(None).contains("rolled back"));
    }
    let mut replay = Replay::new(entries);
    replay.play(0);
    assert!(replay.advance(u64::MAX).len() > 20 && !replay.status().playing);
    assert!(replay.step(-1).ended.is_none());
    let _ = replay.moment();
}

/// Panics where Markdown outside a fence would do what foreign text says.
fn assert_inert(page: &str) {
    let mut fence: Option<usize> = None;
    let mut columns = None;
    for line in page.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if ticks >= open && ticks == line.len() => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                let live = unescaped(line);
                assert!(!live.contains(['<', '~', '[']) || line.contains("- [ ] "), "{line}");
                assert!(live.matches('`').count().is_multiple_of(2), "{line}");
                let now = line.starts_with('|').then(|| live.matches('|').count());
                assert!(columns.is_none() || now.is_none() || columns == now, "columns differ: {line}");
                columns = now;
            }
        }
    }
    assert!(fence.is_none(), "a fence is left open");
}

/// The characters of a line that no backslash stands before.
fn unescaped(line: &str) -> String {
    let mut chars = line.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c => out.push(c),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_prefix_has_a_report(length in 0..90usize, bad in any::<bool>()) {
        let mut run = script::run();
        let mut runbook = script::runbook();
        if bad {
            run = hostile::entries(&run);
            runbook = hostile::runbook(runbook);
        }
        run.truncate(length);
        assert_inert(&markdown(&run, &runbook, None));
        prop_assert!(json(&run, &runbook, None).is_ok());
    }

    #[test]
    fn entries_in_any_order_have_a_report(order in Just(script::run()).prop_shuffle()) {
        let page = markdown(&order, &script::runbook(), None);
        prop_assert!(!page.is_empty());
    }
}
