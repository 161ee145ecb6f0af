//! The lint: each folder of `tests/lint` is a runbook with the mistakes of one guide or one rule, marked where they stand.
//!
//! `FINDS: rule` in a line says that the rule finds something in it, `FINDS:17 rule` in line 17; several rules stand side by
//! side. Nothing else may be found there, but notes. `UPDATE_GOLDEN=1 cargo test --test lint` writes the table of docs/lint.md.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gonogo::lint::{self, Findings, Severity};
use gonogo::runbook;

const FOLDER: &str = "tests/lint";

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// What the lint says of a runbook, or why it is none.
fn findings(case: &Path) -> Findings {
    match runbook::load(case, &BTreeMap::new()) {
        Ok(book) => lint::lint(&book),
        Err(problems) => lint::refused(&problems),
    }
}

type Place = (String, u32, String);

/// What the files of a case say of themselves.
fn marked(case: &Path) -> BTreeSet<Place> {
    let mut marks = BTreeSet::new();
    let mut folders = vec![case.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (n, line) in text.lines().enumerate() {
                marks.extend(marks_of(line, n as u32 + 1).map(|(line, rule)| (path.display().to_string(), line, rule)));
            }
        }
    }
    marks
}

fn marks_of(text: &str, n: u32) -> impl Iterator<Item = (u32, String)> {
    let mut line = n;
    let mut rules = Vec::new();
    if let Some((_, after)) = text.split_once("FINDS:") {
        for word in after.split_whitespace() {
            match word.parse() {
                Ok(other) => line = other,
                Err(_) => rules.push((line, word.to_owned())),
            }
        }
    }
    rules.into_iter()
}

#[test]
fn every_mistake_is_found_where_it_stands_and_nothing_else() {
    let cases = cases();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let marks = marked(&case);
        let found = findings(&case);
        let place = |one: &lint::Finding| (one.problem.file.clone(), one.problem.line, one.rule.id.to_owned());
        let said: BTreeSet<Place> = found.open().map(place).collect();
        let mild = |(file, line, rule): &&Place| {
            let is_note = lint::rule(rule).unwrap().severity == Severity::Note;
            is_note && !marks.contains(&(file.clone(), *line, rule.clone()))
        };
        let loud: BTreeSet<Place> = said.iter().filter(|one| !mild(one)).cloned().collect();
        let off: Vec<String> = loud.symmetric_difference(&marks).map(|one| format!("{one:?}")).collect();
        if !off.is_empty() {
            wrong.push_str(&format!("{}\n  {}\n", case.display(), off.join("\n  ")));
        }
        assert!(!marks.is_empty() || case.ends_with("sound"), "{} marks nothing", case.display());
    }
    assert!(wrong.is_empty(), "found but not marked, or marked but not found:\n{wrong}");
}

/// A rule that no case breaks is a rule that nobody has seen work.
#[test]
fn every_rule_is_broken_by_a_case() {
    let broken: BTreeSet<String> = cases().iter().flat_map(|case| marked(case)).map(|(_, _, rule)| rule).collect();
    let unseen: Vec<&str> = lint::rules().iter().map(|rule| rule.id).filter(|id| !broken.contains(*id)).collect();
    assert!(unseen.is_empty(), "no case for {unseen:?}");
}

#[test]
fn rules_have_ids_of_their_own_and_say_what_to_do() {
    let mut ids = BTreeSet::new();
    for rule in lint::rules() {
        let kebab = rule.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(kebab && ids.insert(rule.id), "{}", rule.id);
        assert!(rule.reason.len() > 20 && rule.recipe.len() > 5, "{}", rule.id);
    }
}

#[test]
fn runbooks_that_ship_have_nothing_that_nobody_answers_for() {
    for folder in fs::read_dir("runbooks").unwrap() {
        let folder = folder.unwrap().path();
        let found = findings(&folder);
        let loud = found.count(Severity::Error) + found.count(Severity::Warning);
        assert_eq!(loud, 0, "{}\n{}", folder.display(), found.render(false, Severity::Warning));
    }
}

const BEGIN: &str = "<!-- rules: written by the tests -->\n";
const END: &str = "<!-- end of the rules -->\n";

#[test]
fn the_documentation_has_every_rule() {
    let page = fs::read_to_string("docs/lint.md").unwrap();
    let mut table = String::from("| Rule | Severity | Why | What to do |\n|---|---|---|---|\n");
    for rule in lint::rules() {
        let cell = |text: &str| text.replace('|', "\\|");
        let severity = rule.severity.word();
        table.push_str(&format!("| `{}` | {severity} | {} | {} |\n", rule.id, cell(rule.reason), cell(rule.recipe)));
    }
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write("docs/lint.md", format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table);
    }
    // Rules that the page's words name exist, and folders of cases too.
    for (n, word) in page.split('`').enumerate().filter(|(n, _)| n % 2 == 1) {
        if let Some(case) = word.strip_prefix("tests/lint/") {
            assert!(Path::new(FOLDER).join(case).is_dir(), "word {n}: no case {case}");
        }
    }
}

/// Mistakes of the five guides, one folder each.
#[test]
fn the_documentation_names_every_case_of_the_guides() {
    let page = fs::read_to_string("docs/lint.md").unwrap();
    for case in cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let guide = name.starts_with(|c: char| c == 's') && name.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        assert!(!guide || page.contains(&format!("`tests/lint/{name}`")), "docs/lint.md does not name {name}");
    }
}
