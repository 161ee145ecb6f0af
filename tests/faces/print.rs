//! Headless lines: a whole run read aloud, the JSON form read back, hostile text made harmless, the last word.

use std::sync::Arc;

use gonogo::print::{Face, JSON_BYTES, Printer, json};
use gonogo::run::event::{End, HoldCause};
use gonogo::run::{Chunk, Entry, Event};
use insta::assert_snapshot;

use crate::{hostile, script};

fn printed(entries: &[Entry], face: Face) -> (String, String) {
    let mut printer = Printer::new(Arc::new(script::runbook()), face);
    let lines = entries.iter().map(|entry| printer.entry(entry)).collect();
    (lines, printer.summary(None))
}

#[test]
fn a_whole_run_is_read_aloud() {
    let (lines, summary) = printed(&script::run(), Face::default());
    assert_snapshot!(lines + &summary);
}

/// Only where it differs much: what took as long as rehearsed says nothing of it.
#[test]
fn the_rehearsal_is_told_where_a_step_differs_much() {
    let colour = Face { colour: true, ..Face::default() };
    let (plain, _) = printed(&script::run(), colour);
    let (beside, _) = printed(&script::rehearsed(script::run()), colour);
    let news: Vec<&str> = beside.lines().filter(|line| !plain.contains(line)).collect();
    let ends = |line: &str, words: &str| assert!(line.contains("\x1b[33m") && line.contains(words), "{line}");
    assert_eq!(news.len(), 2, "{news:#?}");
    ends(news[0], "done in 10m02 · exit 0 · backups/run.dump 12.3 MB, much slower than rehearsed (41 s)");
    ends(news[1], "done in 240 ms · 1 notice, much quicker than rehearsed (1m00)");
}

/// Found out afterwards: nobody measured it, so that nothing is said of how quick it was.
#[test]
fn what_nobody_measured_is_not_compared() {
    let mut run = script::rehearsed(script::run());
    for entry in &mut run {
        if let Event::StepEnded { outcome: gonogo::run::Outcome::Done { facts, .. }, .. } = &mut entry.event {
            (facts.ms, facts.recovered) = (0, Some("its row is there".to_owned()));
        }
    }
    let (lines, _) = printed(&run, Face::default());
    assert!(lines.contains("known afterwards: its row is there") && !lines.contains("than rehearsed"), "{lines}");
}

#[test]
fn results_are_short_tables() {
    let mut s = script::Script::default();
    let list = script::forward("tables-before", 1);
    s.output(&list, Chunk::Statement { n: 1, of: 2 });
    let chunk = Chunk::StatementEnd { n: 1, rows: 0, affected: 12, ms: 3 };
    s.output(&list, chunk);
    let columns =
        Chunk::Columns { n: 2, names: vec!["name".into(), "rows".into()], types: vec!["text".into(), "int8".into()] };
    s.output(&list, columns);
    let row = |n: usize| vec![Some(format!("table_{n} 漢字")), (n != 3).then(|| (n * 1000).to_string())];
    for batch in [0..7, 7..15] {
        s.output(&list, Chunk::Rows { n: 2, rows: batch.map(row).collect() });
    }
    s.output(&list, Chunk::StatementEnd { n: 2, rows: 1_204, affected: 0, ms: 210 });
    s.output(&list, Chunk::Notice { severity: "NOTICE".into(), text: "all seen".into() });
    assert_snapshot!(printed(&s.entries, Face::default()).0);
}

#[test]
fn text_without_an_end_is_shown_at_the_end() {
    let mut s = script::Script::default();
    let backup = script::forward("backup", 1);
    for text in ["no ", "line feed"] {
        s.output(&backup, Chunk::Text { stream: "out".into(), text: text.into() });
    }
    assert_eq!(printed(&s.entries, Face::default()).0, "");
    s.end(&backup, script::done(Default::default()));
    assert!(printed(&s.entries, Face::default()).0.contains("│ no line feed\n"));
}

#[test]
fn json_is_the_entry_itself() {
    let run = script::run();
    let face = Face { json: true, ..Face::default() };
    let (lines, _) = printed(&run, face);
    assert_eq!(lines.lines().count(), run.len());
    for (line, entry) in lines.lines().zip(&run) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["v"], 1);
        assert_eq!(serde_json::from_value::<Entry>(value).unwrap(), *entry);
    }
}

#[test]
fn an_oversized_entry_is_cut_and_says_so() {
    let mut s = script::Script::default();
    s.push(Event::NoteAdded { by: script::DBA.into(), text: "é\x1b".repeat(2_000_000), step: None });
    let line = json(&s.entries[0]);
    assert!(line.len() <= JSON_BYTES);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["cut"], &value["seq"]), (&true.into(), &1.into()));
}

#[test]
fn hostile_text_is_shown_not_obeyed() {
    let entries = hostile::entries(&script::run());
    let runbook = Arc::new(hostile::runbook(script::runbook()));
    for json in [false, true] {
        let face = Face { json, ..Face::default() };
        let mut printer = Printer::new(runbook.clone(), face);
        for entry in &entries {
            hostile::assert_harmless(&printer.entry(entry));
        }
        hostile::assert_harmless(&printer.summary(None));
    }
}

#[test]
fn colour_comes_only_where_it_is_wanted() {
    let run = script::run();
    let face = Face { colour: true, ..Face::default() };
    assert!(printed(&run, face).0.contains("\x1b[1;31m"));
    hostile::assert_harmless(&printed(&run, Face::default()).0);
}

#[test]
fn the_last_word_says_what_to_type_next() {
    let run = script::run();
    let at = |found: fn(&Event) -> bool| run.iter().position(|entry| found(&entry.event)).unwrap() + 1;
    let held = at(|event| matches!(event, Event::Held { cause: HoldCause::Step { .. }, .. }));
    let doubt = at(|event| matches!(event, Event::Held { cause: HoldCause::InDoubt { .. }, .. }));
    let mut stopped = run[..at(|event| matches!(event, Event::PhaseLeft { .. }))].to_vec();
    let running = printed(&stopped, Face::default()).1;
    let mut last = stopped.last().unwrap().clone();
    last.seq += 1;
    last.event = Event::EngineStopped { by: script::DBA.into(), reason: "lunch".into() };
    stopped.push(last.clone());
    let ended = |end| {
        let mut entries = run[..held].to_vec();
        let mut last = last.clone();
        last.event = Event::RunEnded { end, reason: "given up".into() };
        entries.push(last);
        printed(&entries, Face::default()).1
    };
    let shown = [
        running,
        printed(&stopped, Face::default()).1,
        printed(&run[..held], Face::default()).1,
        printed(&run[..doubt], Face::default()).1,
        ended(End::Done),
        ended(End::Failed),
    ];
    assert_snapshot!(shown.concat());
}

#[test]
fn a_step_under_way_is_named_when_the_engine_is_gone() {
    let run = script::run();
    let under_way = |entry: &Entry| matches!(&entry.event, Event::StepStarted { attempt, .. } if attempt.n == 2);
    let mut entries = run[..=run.iter().position(under_way).unwrap()].to_vec();
    let mut last = run[0].clone();
    last.seq = entries.len() as u64 + 1;
    last.event = Event::EngineStopped { by: script::DBA.into(), reason: "signal".into() };
    entries.push(last);
    assert!(printed(&entries, Face::default()).1.contains("interrupted: m011 (attempt 2) was under way"));
}
