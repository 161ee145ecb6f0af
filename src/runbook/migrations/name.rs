//! Names of migration files: which belong to a folder, what they say, how they follow each other.

use super::{Tool, sqitch};

/// True for a file that is read: SQL, and what says how SQL is run. `name`: from the tool's folder.
pub fn accepts(name: &str) -> bool {
    name.ends_with(".sql") || name.ends_with(".sql.conf") || name == sqitch::PLAN
}

/// `0012_add_x.up.sql` as number, words and the way it leads; none: it is no such name.
pub(super) fn numbered(name: &str) -> Option<(&str, &str, Option<bool>)> {
    let stem = name.strip_suffix(".sql")?;
    let (number, rest) = stem.split_once('_')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match (rest.strip_suffix(".up"), rest.strip_suffix(".down")) {
        (Some(words), _) => (number, words, Some(true)),
        (_, Some(words)) => (number, words, Some(false)),
        _ => (number, rest, None),
    })
}

/// What Flyway makes of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FlywayName {
    Versioned { version: String, words: String },
    Undo { version: String },
    Repeatable { words: String },
    Baseline,
    Callback,
    Other,
}

/// The events at which Flyway runs a file of that name by itself.
const CALLBACKS: &[&str] = &["before", "after"];

pub(super) fn flyway(path: &str) -> FlywayName {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(stem) = name.strip_suffix(".sql") else { return FlywayName::Other };
    let parts = stem.split_once("__");
    let words = parts.map(|(_, words)| words.replace('_', " ")).unwrap_or_default();
    match (stem.chars().next(), parts) {
        (Some('R'), Some(("R", _))) => FlywayName::Repeatable { words },
        (Some(kind @ ('V' | 'U' | 'B')), Some((front, _))) => match (kind, version(&front[1..])) {
            (_, None) => FlywayName::Other,
            ('V', Some(version)) => FlywayName::Versioned { version, words },
            ('U', Some(version)) => FlywayName::Undo { version },
            (_, Some(_)) => FlywayName::Baseline,
        },
        _ if is_callback(stem) => FlywayName::Callback,
        _ => FlywayName::Other,
    }
}

/// `beforeMigrate`, `afterEachMigrate__words`.
fn is_callback(stem: &str) -> bool {
    let event = stem.split("__").next().unwrap_or(stem);
    let upper = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase());
    CALLBACKS.iter().any(|start| event.strip_prefix(start).is_some_and(upper))
}

/// `1_2` as `1.2`; none: it is no version.
fn version(text: &str) -> Option<String> {
    let text = text.replace('_', ".");
    let good = !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.parse::<u64>().is_ok());
    good.then_some(text)
}

/// What versions are compared by: numbers as numbers, `1.0` as `1`, names as they are. Two versions with the same key
/// are the same.
pub fn order_key(tool: Tool, version: &str) -> (Vec<u64>, String) {
    let by_text = (Vec::new(), version.to_owned());
    if matches!(tool, Tool::Prisma | Tool::Dbmate | Tool::Sqitch) {
        return by_text;
    }
    // What is repeated comes behind everything that has a number.
    if version.starts_with("R__") {
        return (vec![u64::MAX], version.to_owned());
    }
    let numbers: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
    let Some(mut numbers) = numbers else { return by_text };
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    (numbers, String::new())
}
