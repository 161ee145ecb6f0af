//! The catalogue of faults in docs/reliability.md: every row is there, and every test it names exists.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Rows of the catalogue that this version has to answer.
const ROWS: std::ops::RangeInclusive<u32> = 1..=55;

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Words in back-quotes that look like the name of a test.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    cell.split('`').skip(1).step_by(2).filter(is_name)
}

#[test]
fn every_row_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut code = String::new();
    sources(&root.join("tests"), &mut code);
    sources(&root.join("src"), &mut code);
    let tests: BTreeSet<&str> =
        code.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<', ' ']).next()).collect();
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(row) = cells.get(1).and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        rows.insert(row);
        let mut proofs = named(cells[3]).peekable();
        assert!(proofs.peek().is_some() || cells[3].contains("not covered") || cells[3].contains("as row"), "{line}");
        for name in proofs {
            assert!(tests.contains(name), "row {row} names {name}, and there is no such test");
        }
    }
    assert_eq!(rows, ROWS.collect::<BTreeSet<u32>>());
}
