//! Runbooks that are wrong: every mistake is found, in its own line, with a hint. What is said is in `expected.txt`.
//!
//! A line with a mistake carries `WRONG` (or `WRONG:17`, where the line itself cannot); no other line may be complained of.
//! `UPDATE_GOLDEN=1 cargo test --test bad_runbooks` writes `expected.txt` anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gonogo::runbook::{self, Problems};

const FOLDER: &str = "tests/bad_runbooks";

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn problems(case: &Path) -> Problems {
    match runbook::load(case, &BTreeMap::new()) {
        Ok(_) => panic!("{} was taken for right", case.display()),
        Err(problems) => problems,
    }
}

/// Lines that are wrong, by file, as the files themselves say.
fn wrong_lines(case: &Path) -> BTreeSet<(String, u32)> {
    let mut lines = BTreeSet::new();
    let mut folders = vec![case.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for (n, line) in text.lines().enumerate() {
                let Some((_, after)) = line.split_once("WRONG") else {
                    continue;
                };
                let digits = after.strip_prefix(':').map(|rest| rest.trim());
                let line = digits.map_or(n as u32 + 1, |digits| digits.parse().unwrap());
                lines.insert((path.display().to_string(), line));
            }
        }
    }
    lines
}

#[test]
fn every_mistake_is_found_in_its_line_with_a_hint() {
    let cases = cases();
    assert!(cases.len() >= 45, "{} cases", cases.len());
    for case in cases {
        let problems = problems(&case);
        let found: BTreeSet<_> = problems.list().iter().map(|one| (one.file.clone(), one.line)).collect();
        assert_eq!(found, wrong_lines(&case), "{}\n{problems}", case.display());
        for one in problems.list() {
            assert!(!one.hint.is_empty() && one.column > 0, "{one:?}");
        }
    }
}

#[test]
fn what_is_said_is_as_expected() {
    let said: String =
        cases().iter().map(|case| format!("── {}\n\n{}\n", case.display(), problems(case).render(false))).collect();
    let golden = Path::new(FOLDER).join("expected.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &said).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    for (n, (said, expected)) in said.lines().zip(expected.lines()).enumerate() {
        assert_eq!(said, expected, "line {} of {}", n + 1, golden.display());
    }
    assert_eq!(said.lines().count(), expected.lines().count());
}

#[test]
fn passwords_and_terminal_escapes_are_not_repeated() {
    for case in cases() {
        let problems = problems(&case);
        for text in [problems.render(false), problems.to_json().to_string()] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(!text.chars().any(|c| c != '\n' && runbook::clean::is_hostile(c)), "{text:?}");
        }
    }
}

#[test]
fn json_says_the_same() {
    let problems = problems(&Path::new(FOLDER).join("21-roles-unknown"));
    let json = problems.to_json();
    assert_eq!(json["count"], 6);
    assert_eq!(json["problems"][0]["line"], 14);
    assert_eq!(json["problems"][0]["column"], 8);
    assert_eq!(json["problems"][0]["message"], "there is no role `dbo`");
    assert_eq!(json["problems"][0]["hint"], "did you mean `dba`?");
}
