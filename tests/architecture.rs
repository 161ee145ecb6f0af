//! The fences of the house: who may import whom, who may name which library, how long a file may be.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms it may import. A room is a folder or a file directly under src/.
const HOUSE: &[(&str, &[&str])] = &[
    ("runbook", &[]),
    ("run", &["runbook"]),
    ("net", &[]),
    ("failpoint", &[]),
    ("child", &[]),
    ("journal", &["run", "runbook"]),
    ("target", &["run", "runbook"]),
    ("probe", &["run", "runbook", "net", "child"]),
    ("link", &["run"]),
    ("lint", &["runbook"]),
    ("draft", &["runbook"]),
    ("dump", &["target", "run", "runbook"]),
    ("engine", &["journal", "target", "probe", "run", "runbook", "net", "child"]),
    ("feed", &["journal", "run", "runbook"]),
    ("print", &["feed", "run", "runbook"]),
    ("report", &["feed", "run", "runbook"]),
    ("tui", &["feed", "run", "runbook"]),
    ("cli", &["journal"]),
    (
        "app",
        &[
            "cli", "engine", "dump", "journal", "target", "probe", "link", "lint", "draft", "feed", "print", "report",
            "tui", "run", "runbook", "net", "child",
        ],
    ),
    ("lib", &["app", "cli"]),
    ("main", &["app", "cli"]),
];

/// Library, and the only rooms that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("sqlx", &["journal", "target"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("tui_textarea", &["tui"]),
    ("color_eyre", &["app", "main"]),
    ("reqwest", &["net", "probe", "engine"]),
    ("clap", &["cli", "app", "main"]),
];

/// What a pure room must never touch.
const PURE: &[&str] = &["run", "runbook"];
const IMPURE: &[&str] = &["tokio", "std::net", "std::process", "SystemTime", "Instant::now", "Utc::now", "Local::now"];

/// What only some rooms may touch: clocks, the environment, processes. `main` ends the process, nobody else.
const FENCED: &[(&str, &[&str])] = &[
    ("Utc::now", &["app", "engine"]),
    ("Local::now", &[]),
    ("SystemTime::now", &["probe", "engine"]),
    ("Instant::now", &["app", "engine", "probe", "target", "child", "tui"]),
    ("env::var", &["app", "engine", "journal", "target", "child", "failpoint"]),
    ("Command::new", &["app", "engine", "child", "dump"]),
    ("process::exit", &[]),
    ("process::abort", &[]),
    ("println!", &[]),
    ("eprintln!", &[]),
    ("AssertSqlSafe", &["target"]),
];

struct Source {
    room: String,
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let first = path.strip_prefix(root).unwrap().components().next().unwrap();
            let room = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            found.push(Source { room, text: fs::read_to_string(&path).unwrap(), path });
        }
    }
}

/// The text without comments and string literals' worth of noise: lines that begin as comments are left out.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_import_only_what_they_may() {
    let house: BTreeMap<&str, &[&str]> = HOUSE.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(may) = house.get(source.room.as_str()) else {
            wrong.push(format!("{}: no such room in the house", source.path.display()));
            continue;
        };
        for part in code(&source.text).split("crate::").skip(1) {
            for room in rooms_named(part) {
                let known = house.contains_key(room.as_str());
                let shared = room == "failpoint";
                if known && !shared && room != source.room && !may.contains(&room.as_str()) {
                    wrong.push(format!("{}: {} must not import {room}", source.path.display(), source.room));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `run::x`, `{run::x, runbook::y}`: the rooms named first.
fn rooms_named(part: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    match part.strip_prefix('{') {
        None => vec![name(part)],
        Some(list) => list.split('}').next().unwrap_or_default().split(',').map(name).collect(),
    }
}

#[test]
fn the_house_has_no_circle() {
    let house: BTreeMap<&str, &[&str]> = HOUSE.iter().copied().collect();
    fn reaches(house: &BTreeMap<&str, &[&str]>, from: &str, to: &str, depth: usize) -> bool {
        depth < 20 && house[from].iter().any(|next| *next == to || reaches(house, next, to, depth + 1))
    }
    for (room, _) in HOUSE {
        assert!(!reaches(&house, room, room, 0), "{room} imports itself by a detour");
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        let text = code(&source.text);
        for (library, rooms) in LIBRARIES {
            let named = text.contains(&format!("{library}::")) || text.contains(&format!("use {library};"));
            if named && !rooms.contains(&source.room.as_str()) {
                wrong.push(format!("{}: only {rooms:?} may name {library}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_fenced_stays_inside() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.path.to_string_lossy().contains("/tests")) {
        let text = code(&source.text);
        for (word, rooms) in FENCED {
            if text.contains(word) && !rooms.contains(&source.room.as_str()) {
                wrong.push(format!("{}: {word} belongs to {rooms:?}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str())) {
        let text = code(&source.text);
        for word in IMPURE {
            if text.contains(word) {
                wrong.push(format!("{}: {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_its_duty_and_stays_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > 500 {
            wrong.push(format!("{}: {lines} lines, 500 at most", source.path.display()));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with its duty (//!)", source.path.display()));
        }
        for word in ["allow(dead_code", "allow(unused", "todo!(", "unimplemented!("] {
            if source.text.contains(word) {
                wrong.push(format!("{}: {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
