//! Whatever stands in the file: loading ends in a runbook or in problems that can be shown. Never in a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;

use gonogo::runbook::{self, Source, Var};
use proptest::prelude::*;

fn good() -> Source {
    let mut source = runbook::load(std::path::Path::new("tests/runbooks/full"), &BTreeMap::new()).unwrap().source;
    source.digest.clear();
    source
}

/// Loads, and shows what is wrong in every way.
fn survives(text: String) {
    let source = Source { text, ..good() };
    let set = BTreeMap::from([("batch_size".to_owned(), Var::Int(3))]);
    for set in [&BTreeMap::new(), &set] {
        if let Err(problems) = runbook::from_source(source.clone(), set) {
            assert!(!problems.is_empty());
            for text in [problems.render(false), problems.to_json().to_string()] {
                assert!(!text.chars().any(|c| c != '\n' && runbook::clean::is_hostile(c)), "{text:?}");
            }
            assert!(problems.render(true).contains("problem"));
            assert!(
                problems.list().iter().all(|one| !one.hint.is_empty() && source.text.get(one.span.clone()).is_some()
                    || one.file != source.name)
            );
        }
    }
}

/// Values of every shape, to be put where another was.
const VALUES: &[&str] = &[
    "1",
    "-1",
    "99999999999999999999",
    "0x7f",
    "1.5",
    "nan",
    "true",
    "\"\"",
    "\" \"",
    "\"x\"",
    "\"{{\"",
    "\"{{ x }}\"",
    "\"{% if %}\"",
    "'''\n\n'''",
    "[]",
    "[[]]",
    "[1, \"a\", {}]",
    "{}",
    "{ a = 1 }",
    "{ sql = \"select 1\" }",
    "2024-01-01",
    "08:00:00",
    "2024-02-30T00:00:00Z",
    "\"\\u0000\"",
    "\"\\U0010FFFF\"",
    "\"env:X\"",
    "\"postgres://u:p@h\"",
    "\"30m\"",
    "\"-1s\"",
    "\"99999999999y\"",
    "\"steps['go'].ms > 1\"",
    "\"((((\"",
    "\"value == 1\"",
    "\"../x\"",
    "\"/\"",
    "\"\u{202e}é\u{1F600}\"",
];

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text(text in "\\PC{0,200}|[\\[\\]{}=\"'.,a-z0-9 #\n\\\\-]{0,200}") {
        survives(text);
    }

    #[test]
    fn changed_characters(at in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..8)) {
        let mut text: Vec<char> = good().text.chars().collect();
        for (at, c) in at {
            let at = at.index(text.len());
            text[at] = c;
        }
        survives(text.into_iter().collect());
    }

    #[test]
    fn cut_out_pieces(from in any::<prop::sample::Index>(), size in 1..400_usize) {
        let text: Vec<char> = good().text.chars().collect();
        let from = from.index(text.len());
        survives(text[..from].iter().chain(text.iter().skip(from + size)).collect());
    }

    #[test]
    fn swapped_and_doubled_lines(pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6), doubled in any::<prop::sample::Index>()) {
        let text = good().text;
        let mut lines = lines(&text);
        for (a, b) in pairs {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        let at = doubled.index(lines.len());
        lines.insert(at, lines[at]);
        survives(lines.concat());
    }

    #[test]
    fn other_values(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(VALUES)), 1..6)) {
        let text = good().text;
        let mut lines: Vec<String> = lines(&text).into_iter().map(str::to_owned).collect();
        for (at, value) in changes {
            let with_value: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].contains(" = ")).collect();
            let at = with_value[at.index(with_value.len())];
            let (key, _) = lines[at].split_once(" = ").unwrap();
            lines[at] = format!("{key} = {value}\n");
        }
        survives(lines.concat());
    }
}

#[test]
fn every_value_under_every_key() {
    let text = good().text;
    let all = lines(&text);
    for (n, line) in all.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        for value in VALUES.iter().skip(n % 8).step_by(8) {
            let changed = format!("{key} = {value}\n");
            survives(all[..n].iter().copied().chain([changed.as_str()]).chain(all[n + 1..].iter().copied()).collect());
        }
    }
}

#[test]
fn bytes_that_are_no_text_and_depths_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runbook.toml");
    for bytes in [&b"\xff\xfe\x00"[..], b"format = 1\nid = \"\xc3\"", b"\0\0\0", b"\xef\xbb\xbfformat = 1"] {
        fs::write(&file, bytes).unwrap();
        let problems = runbook::load(&file, &BTreeMap::new()).unwrap_err();
        assert!(problems.render(false).contains("problem"));
    }
    for (open, close) in [("[", "]"), ("{ a = ", " }")] {
        survives(format!("x = {}1{}", open.repeat(50_000), close.repeat(50_000)));
    }
    survives(format!("{} = 1", vec!["a"; 50_000].join(".")));
    survives(format!("x = \"{}\"", "a".repeat(1 << 20)));
    survives("[[phase]]\n".repeat(20_000));
    survives(format!("poll = [{}]", "\"a\",".repeat(100_000)));
}

/// What an included file may look like; the digest in the runbook is always the right one.
const PART: &str = "format = 1\n[[probe]]\nid = \"load\"\nrun = [\"uptime\"]\n[[trigger]]\nid = \"t\"\nwhen = \"load > 2\"\n\
    then = \"hold\"\n[[phase]]\nid = \"verify\"\n[[phase.step]]\nid = \"one\"\nsql = \"\"\"\nselect {{ x }};\nselect 1\"\"\"\n\
    expect = \"value == 1\"\ntrouble = [{ match = \"a\", fix = \"b\", sql = \"drop table t\" }]\n";

fn survives_included(part: &str) {
    use sha2::{Digest, Sha256};
    let digest: String = Sha256::digest(part.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!(
        "format = 1\nid = \"x\"\n[environments.e]\ntargets.main = \"env:X\"\n[[phase]]\n\
         include = {{ file = \"../p.toml\", sha256 = \"{digest}\" }}\n[[phase]]\nid = \"migrate\"\n[[phase.step]]\nid = \"a\"\nwait = \"1s\"\n"
    );
    let files = BTreeMap::from([("../p.toml".to_owned(), part.to_owned())]);
    let source = Source { name: "r/runbook.toml".to_owned(), text, files, ..Source::default() };
    if let Err(problems) = runbook::from_source(source, &BTreeMap::new()) {
        let lines = part.lines().count() as u32 + 1;
        assert!(problems.list().iter().all(|one| one.file == "r/../p.toml" && one.line <= lines), "{problems}");
        assert!(problems.render(false).contains("problem"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn included_files_are_blamed_for_their_own(at in 0..PART.len(), cut in 0..40_usize, value in prop::sample::select(VALUES)) {
        if let (Some(head), Some(tail)) = (PART.get(..at), PART.get((at + cut).min(PART.len())..)) {
            survives_included(&format!("{head}{tail}"));
            survives_included(&format!("{head}{value}{tail}"));
        }
    }
}
