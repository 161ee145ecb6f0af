//! The same run as an enemy would have it: every foreign string carries what a terminal or Markdown would obey.

use gonogo::run::Entry;
use gonogo::runbook::{Runbook, Verb};
use serde_json::Value;

pub const HOSTILE: &str =
    "\x1b]52;c;eA==\x07\u{202e}a|b`c\n# h1\n```\n````\n<script>\u{200b}\u{9b}31m [x](http://e) \u{7f}\u{e0041}*b*";

/// Fields whose words are ours.
const OURS: [&str; 12] =
    ["kind", "outcome", "verb", "chunk", "why", "claim", "end", "then", "mode", "direction", "wall", "proof"];

pub fn entries(entries: &[Entry]) -> Vec<Entry> {
    let poison = |entry: &Entry| {
        let mut value = serde_json::to_value(entry).unwrap();
        poison(&mut value, "");
        serde_json::from_value(value).unwrap()
    };
    entries.iter().map(poison).collect()
}

/// The same entries with every length, count and clock at the end of its scale.
pub fn extreme(entries: &[Entry]) -> Vec<Entry> {
    let stretch = |entry: &Entry| {
        let mut value = serde_json::to_value(entry).unwrap();
        stretch(&mut value, "");
        serde_json::from_value(value).unwrap()
    };
    entries.iter().map(stretch).collect()
}

fn stretch(value: &mut Value, key: &str) {
    match (value, key) {
        (value @ Value::Number(_), "ms" | "at_ms" | "took_ms" | "rows" | "affected" | "size" | "seq" | "item") => {
            *value = u64::MAX.into();
        }
        (value @ Value::Number(_), "n" | "of" | "leg" | "statement" | "position") => *value = u32::MAX.into(),
        (value @ Value::String(_), "wall") => *value = "+262142-12-31T23:59:59.999999999Z".into(),
        (Value::Array(items), _) => items.iter_mut().for_each(|item| stretch(item, key)),
        (Value::Object(fields), _) => fields.iter_mut().for_each(|(key, field)| stretch(field, key)),
        _ => {}
    }
}

fn poison(value: &mut Value, key: &str) {
    match value {
        Value::String(_) if OURS.contains(&key) || key == "effect" && value == "none" => {}
        Value::String(text) => text.push_str(HOSTILE),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, key)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, field)| poison(field, key));
            if key == "answers" {
                fields.insert(HOSTILE.into(), HOSTILE.into());
            }
        }
        _ => {}
    }
}

/// A runbook whose names match the poisoned entries, as hostile as they are.
pub fn runbook(mut runbook: Runbook) -> Runbook {
    let bad = |text: &mut String| text.push_str(HOSTILE);
    bad(&mut runbook.title);
    bad(&mut runbook.id);
    bad(&mut runbook.source.name);
    for phase in &mut runbook.phases {
        bad(&mut phase.id);
        bad(&mut phase.title);
        for step in &mut phase.steps {
            bad(&mut step.id.0);
            bad(&mut step.title);
            step.role.as_mut().map(bad);
            step.expect.as_mut().map(|expect| &mut expect.source).map(bad);
            if let Verb::Checklist(items) = &mut step.verb {
                items.iter_mut().for_each(|item| bad(&mut item.ask));
            }
        }
    }
    for probe in &mut runbook.probes {
        bad(&mut probe.id);
        bad(&mut probe.title);
        bad(&mut probe.unit);
    }
    for trigger in &mut runbook.triggers {
        bad(&mut trigger.id);
        bad(&mut trigger.when.source);
    }
    for criterion in &mut runbook.criteria {
        bad(&mut criterion.id);
        bad(&mut criterion.title);
    }
    for followup in &mut runbook.followups {
        bad(&mut followup.title);
        followup.checklist.iter_mut().for_each(bad);
    }
    for waiver in &mut runbook.waivers {
        bad(&mut waiver.reason);
    }
    runbook
}

/// Panics where `text` holds a character that acts instead of being read.
pub fn assert_harmless(text: &str) {
    let acts = |c: &char| {
        let invisible = matches!(*c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() && *c != '\n' || invisible || matches!(*c, '\u{e0000}'..='\u{e007f}')
    };
    if let Some(c) = text.chars().find(acts) {
        let line = text.lines().find(|line| line.contains(c)).unwrap_or_default();
        panic!("{c:?} is raw in {line:?}");
    }
}
