//! The JSON Schema from outside: `gonogo schema` prints the committed file, and a validator that is not ours (Debian's
//! python3-jsonschema, installed by scripts/setup) takes every good runbook and refuses what the parser refuses.
//!
//! `UPDATE_GOLDEN=1 cargo test --test schema` writes `assets/runbook.schema.json` anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const COMMITTED: &str = "assets/runbook.schema.json";

fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gonogo")).arg("schema").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn validate(files: &[PathBuf]) -> Output {
    let output = Command::new("python3").arg("tests/schema/validate.py").arg(COMMITTED).args(files).output();
    let output = output.unwrap_or_else(|error| panic!("python3 is needed (scripts/setup installs it): {error}"));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "the validator could not look: {words}");
    output
}

fn runbooks(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = if path.is_dir() { path.join("runbook.toml") } else { path };
        if file.extension().is_some_and(|end| end == "toml") && file.exists() {
            found.push(file);
        }
    }
    found.sort();
    found
}

#[test]
fn the_committed_schema_is_what_the_program_prints() {
    let printed = printed();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(COMMITTED, &printed).unwrap();
    }
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(committed == printed, "{COMMITTED} is old: UPDATE_GOLDEN=1 cargo test --test schema");
}

#[test]
fn every_good_runbook_passes() {
    let mut files: Vec<PathBuf> =
        ["runbooks", "tests/runbooks", "tests/schema", "tests/lint"].iter().flat_map(|f| runbooks(f)).collect();
    files.retain(|file| gonogo::runbook::load(file, &Default::default()).is_ok());
    assert!(files.len() >= 5, "the good runbooks were not found: {files:?}");
    let output = validate(&files);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn bad_runbooks_are_refused_where_a_schema_can_see_it() {
    let bad = [
        "07-unknown-keys",
        "08-ids",
        "10-wrong-types",
        "11-wrong-types-in-a-step",
        "12-durations",
        "28-verb-none",
        "29-verb-two",
        "32-keys-of-other-verbs",
        "33-choices",
        "36-undo",
        "39-notify",
        "65-verify",
        "68-migrations",
        "68-snapshots",
        "68-waivers",
        "70-backup",
        "70-channels",
        "71-include",
    ];
    for name in bad {
        let folder = Path::new("tests/bad_runbooks").join(name);
        let file = if folder.is_dir() { folder.join("runbook.toml") } else { folder.with_extension("toml") };
        let output = validate(&[file]);
        assert_eq!(output.status.code(), Some(1), "{name} passed the schema");
    }
}

const GOOD: &str = "format = 1\nid = \"x\"\n[[phase]]\nid = \"migrate\"\n[[phase.step]]\nid = \"a\"\nwait = \"30s\"\n";

#[test]
fn one_mistake_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| {
        let file = folder.path().join("sample.toml");
        fs::write(&file, text).unwrap();
        vec![file]
    };
    let step = |verb: &str| GOOD.replace("wait = \"30s\"", verb);
    assert!(validate(&write(GOOD)).status.success());
    for good in ["backup = \"a.dump\"", "restore = \"a.dump\"", "snapshot = \"a\"", "explain = \"select 1\""] {
        assert!(validate(&write(&step(good))).status.success(), "{good}");
    }
    let dated = GOOD.replace("[[phase]]", "[window]\nstarts = 2024-01-31T08:00:00Z\n[[phase]]");
    assert!(validate(&write(&dated)).status.success());
    for (mistake, at) in [
        (GOOD.replace("wait = \"30s\"", "wait = \"30s\"\ncolour = \"red\""), "colour"),
        (GOOD.replace("wait = \"30s\"", "wait = \"30s\"\nsql = \"select 1\""), "valid under each of"),
        (GOOD.replace("30s", "half an hour"), "half an hour"),
        (GOOD.replace("\"a\"", "\"A b\""), "A b"),
        (GOOD.replace("format = 1", "format = 2"), "format"),
        (GOOD.replace("[[phase]]", "[[phases]]"), "phases"),
        (GOOD.replace("id = \"migrate\"", "include = { file = \"p.toml\", sha256 = \"abc\" }"), "abc"),
        (step("backup = { file = \"a.dump\", jobs = 4 }"), "jobs"),
        (step("backup = \"a.dump\"\nproduces = \"a.dump\""), "valid under any of"),
        (step("restore = { file = \"a.dump\", prove = \"read\" }"), "a.dump"),
        (step("sql = \"select 1\"\nundo = { restore = \"a.dump\" }"), "a.dump"),
        (step("sql = \"select 1\"\nundo = { backup = \"a.dump\" }"), "a.dump"),
        (step("sql = \"select 1\"\nundo = { migrations = \"up\" }"), "up"),
        (step("sql = \"select 1\"\nunrecord = true"), "unrecord"),
        (step("snapshot = { name = \"a\", rows = \"all\" }"), "all"),
        (step("explain = { sql = \"select 1\", analyse = true }"), "analyse"),
        (step("migrations = { folder = \"m\", tool = \"liquibase\" }"), "liquibase"),
        (step("batch = { table = \"a\", key = \"id\", delete = true, health = { lag = \"none\" } }"), "none"),
        (format!("{GOOD}[[waive]]\nrule = \"a\"\nreason = \"b\"\nstep = \"a\"\nphase = \"migrate\"\n"), "too many"),
        (format!("{GOOD}[channels]\nteam = {{ slack = \"env:A\", tells = [\"ends\"] }}\n"), "ends"),
        (format!("{GOOD}[environments.staging]\nrehearsal = \"yes\"\n"), "yes"),
    ] {
        let output = validate(&write(&mistake));
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{mistake}");
        assert!(words.contains(at), "{words}");
    }
}

#[test]
fn the_runbooks_that_ship_name_the_schema() {
    for file in runbooks("runbooks") {
        let text = fs::read_to_string(&file).unwrap();
        let line = text.lines().next().unwrap_or_default();
        let path = line.strip_prefix("#:schema ").unwrap_or_else(|| panic!("{}: {line}", file.display()));
        let schema = file.parent().unwrap().join(path).canonicalize();
        let schema = schema.unwrap_or_else(|error| panic!("{}: {path}: {error}", file.display()));
        assert_eq!(schema, Path::new(COMMITTED).canonicalize().unwrap());
    }
}
