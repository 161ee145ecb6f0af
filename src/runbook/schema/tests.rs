//! The schema in step with the parser: every key and every word that one knows, the other knows too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::runbook::parse::record;

/// What the parser calls a table, and the schema's definition of it ("" is the root). A table that is new in the parser
/// needs a type in `runbook::schema` and a line here.
const TABLES: &[(&str, &[&str])] = &[
    ("a runbook", &[""]),
    ("the window", &["Window"]),
    ("an environment", &["Environment"]),
    ("a channel", &["Channel"]),
    ("a target", &["Target"]),
    ("`max_blocked`", &["MaxBlocked"]),
    ("a probe", &["Probe"]),
    ("a probe's traffic", &["Traffic"]),
    ("a prometheus source", &["Prometheus"]),
    ("an sql source", &["SqlQuestion"]),
    ("an http source", &["HttpSource"]),
    ("a log source", &["LogSource"]),
    ("a trigger", &["Trigger"]),
    ("a phase", &["Phase"]),
    ("an include", &["Include"]),
    ("an included file", &[""]),
    ("a step", &["Step", "RollbackStep"]),
    ("an undo", &["UndoStep"]),
    ("a known trouble", &["Trouble"]),
    ("an item of a checklist", &["Question"]),
    ("an `http`", &["HttpCall"]),
    ("a `notify`", &["NotifyTo"]),
    ("a `batch`", &["Batch"]),
    ("a size", &["Tuned"]),
    ("`health`", &["Limits"]),
    ("a `migrations`", &["MigrationsTable"]),
    ("a `backup`", &["BackupTable"]),
    ("a `restore`", &["RestoreTable"]),
    ("a `snapshot`", &["SnapshotTable"]),
    ("an `explain`", &["ExplainTable"]),
    ("a `verify`", &["Verify"]),
    ("a rollback plan", &["Rollback"]),
    ("a criterion", &["Criterion"]),
    ("a follow-up", &["Followup"]),
    ("a waiver", &["Waiver"]),
];

/// Keys that the parser asks for only to refuse them with better words than "unknown".
const REFUSED: &[(&str, &[&str])] = &[
    ("a step", &["unrecord"]),
    ("an undo", &["checklist", "poll", "wait", "notify", "on_fail", "backup", "snapshot", "explain"]),
    ("a `backup`", &["check_rows"]),
    ("a `restore`", &["format", "prove", "jobs", "exclude"]),
    ("a probe's traffic", &["log"]),
    ("a `batch`", &["throttle"]),
];

/// Definitions that no table of the parser has: alternatives and small values.
const NOT_TABLES: &[&str] = &["Keys"];

/// Tables that are a part of another one: keys of the definition that they have not are no gap.
const PARTS: &[&str] = &["an included file"];

/// Every runbook of the repository, the good and the bad: the parser asks for most keys whether they are there or not,
/// and for the rest where some runbook has them.
fn corpus() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["runbooks", "tests/runbooks", "tests/bad_runbooks", "tests/schema"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let file = if path.is_dir() { path.join("runbook.toml") } else { path };
            if file.extension().is_some_and(|end| end == "toml") && file.exists() {
                found.push(file);
            }
        }
    }
    assert!(found.len() > 50, "the runbooks were not found");
    found
}

fn asked() -> record::Record {
    record::take();
    for file in corpus() {
        // Bad ones ask as well: what they are refused for is another test's.
        let _ = crate::runbook::load(&file, &BTreeMap::new());
    }
    record::take()
}

fn definition<'s>(schema: &'s Value, name: &str) -> &'s Value {
    let found = if name.is_empty() { Some(schema) } else { schema["$defs"].get(name) };
    found.unwrap_or_else(|| panic!("the schema has no definition `{name}`"))
}

fn properties(schema: &Value, names: &[&str]) -> BTreeSet<String> {
    let all = names.iter().flat_map(|name| definition(schema, name)["properties"].as_object().unwrap().keys());
    all.cloned().collect()
}

#[test]
fn schema_and_parser_know_the_same_keys() {
    let schema = super::value();
    let mut wrong = Vec::new();
    let record = asked();
    for (what, keys) in &record.keys {
        let Some((_, names)) = TABLES.iter().find(|(known, _)| known == what) else {
            wrong.push(format!("the parser reads {what} (keys {keys:?}): no definition of the schema is named for it"));
            continue;
        };
        let refused = REFUSED.iter().filter(|(table, _)| table == what).flat_map(|(_, keys)| keys.iter().copied());
        let refused: BTreeSet<&str> = refused.collect();
        let known = properties(&schema, names);
        for key in keys.iter().filter(|key| !refused.contains(*key) && !known.contains(**key)) {
            wrong.push(format!("the parser knows the key `{key}` of {what}, the schema does not ({names:?})"));
        }
        let whole = !PARTS.contains(what);
        for key in
            known.iter().filter(|_| whole).filter(|key| !keys.contains(key.as_str()) || refused.contains(key.as_str()))
        {
            wrong.push(format!("the schema knows the key `{key}` of {what} ({names:?}), the parser does not"));
        }
    }
    for (what, _) in TABLES.iter().filter(|(what, _)| !record.keys.contains_key(what)) {
        wrong.push(format!("no runbook of the corpus has {what}: add one to tests/schema"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn schema_and_parser_know_the_same_choices() {
    let schema = super::value();
    let record = asked();
    assert!(record.choices.len() > 8, "no choices were recorded");
    for ((what, key), words) in &record.choices {
        let (_, names) = TABLES.iter().find(|(known, _)| known == what).unwrap();
        for name in *names {
            let Some(property) = definition(&schema, name)["properties"].get(*key) else { continue };
            let mut known = BTreeSet::new();
            choices(&schema, property, &mut known);
            // The absence of data never rolls back: the parser reads the word to refuse it.
            let words: BTreeSet<String> =
                words.iter().filter(|word| !(*key == "missing" && *word == "rollback")).cloned().collect();
            assert_eq!(known, words, "the choices of `{key}` of {what}: schema (left), parser (right)");
        }
    }
}

/// The words of an enumeration, behind references and alternatives.
fn choices(schema: &Value, at: &Value, found: &mut BTreeSet<String>) {
    if let Some(name) = at["$ref"].as_str() {
        return choices(schema, definition(schema, name.trim_start_matches("#/$defs/")), found);
    }
    let texts = at["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(texts.chain(at["const"].as_str()).map(str::to_owned));
    for one in at["anyOf"].as_array().into_iter().chain(at["oneOf"].as_array()).flatten() {
        choices(schema, one, found);
    }
}

#[test]
fn every_table_of_the_schema_is_closed_and_is_one_of_the_parsers() {
    let schema = super::value();
    let ours: BTreeSet<&str> = TABLES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    assert_eq!(schema["additionalProperties"], false);
    let mut tables = 0;
    for (name, one) in schema["$defs"].as_object().unwrap() {
        if one["properties"].is_object() {
            tables += 1;
            assert_eq!(one["additionalProperties"], false, "{name} lets unknown keys pass");
            assert!(ours.contains(name.as_str()) || NOT_TABLES.contains(&name.as_str()), "{name} belongs to no table");
        }
    }
    assert!(tables > 20, "only {tables} tables in the schema");
}

#[test]
fn nothing_is_null_and_everything_is_explained() {
    let schema = super::value();
    let text = schema.to_string();
    assert!(!text.contains("\"null\""), "TOML knows no null");
    for (name, one) in schema["$defs"].as_object().unwrap() {
        let bare =
            one["description"].as_str().is_none_or(str::is_empty) && one["enum"].is_null() && one["oneOf"].is_null();
        assert!(!bare || one["const"].is_string(), "{name} has no words for editors");
    }
}
