//! The layouts of the tools: from the files of a folder to migrations in order.

use std::ops::Range;

use sha2::{Digest, Sha256, Sha384};

use super::name::{self, FlywayName};
use super::part::{self, Part};
use super::{Migration, Tool, order_key, sqitch, sum};

/// A file of the folder.
#[derive(Clone, Debug)]
pub struct File {
    /// From the tool's folder: `001_init.sql`, `2024_init/migration.sql`.
    pub name: String,
    /// From the runbook's folder.
    pub path: String,
    pub text: String,
}

/// Something that the tool, or this program, could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file it is about; none: the folder.
    pub path: Option<String>,
    /// Where in it, in bytes.
    pub at: Range<usize>,
    pub message: String,
    pub hint: String,
}

impl Flaw {
    pub(super) fn of(file: &File, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::at(file, 0..0, message, hint)
    }

    pub(super) fn at(file: &File, at: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: Some(file.path.clone()), at, message: message.into(), hint: hint.into() }
    }

    pub(super) fn folder(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: None, at: 0..0, message: message.into(), hint: hint.into() }
    }
}

/// The tool whose layout it is.
///
/// # Errors
/// It is none that is known, or it may be that of several.
pub fn guess(files: &[File]) -> Result<Tool, Flaw> {
    let any = |test: &dyn Fn(&File) -> bool| files.iter().any(test);
    if any(&|file| file.name == sqitch::PLAN) {
        return Ok(Tool::Sqitch);
    }
    if any(&|file| prisma_name(file).is_some()) {
        return Ok(Tool::Prisma);
    }
    let is_flyway =
        |file: &File| matches!(name::flyway(&file.name), FlywayName::Versioned { .. } | FlywayName::Repeatable { .. });
    if any(&is_flyway) {
        return Ok(Tool::Flyway);
    }
    if any(&|file| directive(&file.text, "up").is_some()) {
        return Ok(Tool::Dbmate);
    }
    let ways: Vec<Option<bool>> =
        files.iter().filter_map(|file| name::numbered(&file.name)).map(|name| name.2).collect();
    let ambiguous = |tools: &str| {
        Flaw::folder(format!("these files may be those of {tools}"), "say whose bookkeeping it is: tool = \"…\"")
    };
    Err(match ways.as_slice() {
        [] => Flaw::folder(
            "there is no migration in this folder",
            "it holds files such as 001_init.sql, V1__init.sql or 20240131_init/migration.sql",
        ),
        ways if ways.contains(&None) => ambiguous("sqlx or plain"),
        _ => ambiguous("sqlx, golang-migrate or plain"),
    })
}

/// The migrations of a folder, in the order in which the tool applies them.
///
/// # Errors
/// Everything that is wrong with the folder.
pub fn read(tool: Tool, files: &[File]) -> Result<Vec<Migration>, Vec<Flaw>> {
    let mut flaws = Vec::new();
    let mut all = match tool {
        Tool::Sqlx | Tool::GolangMigrate | Tool::Plain => numbered(tool, files, &mut flaws),
        Tool::Prisma => prisma(files),
        Tool::Dbmate => dbmate(files, &mut flaws),
        Tool::Flyway => flyway(files, &mut flaws),
        Tool::Sqitch => sqitch::read(files, &mut flaws),
    };
    match tool {
        Tool::Dbmate => all.sort_by(|a, b| a.script.cmp(&b.script)),
        // The plan is the order.
        Tool::Sqitch => {}
        _ => all.sort_by_cached_key(|one| order_key(tool, &one.version)),
    }
    for pair in all.windows(2) {
        if let [a, b] = pair
            && order_key(tool, &a.version) == order_key(tool, &b.version)
        {
            let message = format!("{} and {} have the same version, {}", a.script, b.script, b.version);
            flaws.push(Flaw {
                path: Some(b.up.path.clone()),
                at: 0..0,
                message,
                hint: "give one of them another".into(),
            });
        }
    }
    if all.is_empty() && flaws.is_empty() {
        let message = format!("there is no migration of {} in this folder", tool.word());
        flaws.push(Flaw::folder(message, "look at its name, and at `tool`"));
    }
    if flaws.is_empty() { Ok(all) } else { Err(flaws) }
}

fn sha256(text: &str) -> String {
    sum::hex(&Sha256::digest(text.as_bytes()))
}

pub(super) fn migration(file: &File, version: String, name: String, checksum: Option<String>, up: Part) -> Migration {
    Migration {
        version,
        name,
        script: file.name.clone(),
        checksum,
        sha256: sha256(&file.text),
        repeatable: false,
        up,
        down: None,
        verify: None,
        planned: None,
    }
}

/// `12_words.sql`, `12_words.up.sql` and `12_words.down.sql`.
fn numbered(tool: Tool, files: &[File], flaws: &mut Vec<Flaw>) -> Vec<Migration> {
    let mut all: Vec<Migration> = Vec::new();
    let mut downs: Vec<(i64, &File)> = Vec::new();
    for file in files.iter().filter(|file| !file.name.contains('/')) {
        let Some((digits, words, way)) = name::numbered(&file.name) else {
            if tool == Tool::Sqlx && file.name.contains('_') && file.name.ends_with(".sql") {
                flaws.push(Flaw::of(file, "sqlx wants a number in front of the first `_`", "an example: 1_init.sql"));
            }
            continue;
        };
        if tool == Tool::GolangMigrate && way.is_none() {
            continue;
        }
        let Ok(number) = digits.parse::<i64>() else {
            flaws.push(Flaw::of(file, format!("{digits} is too large for a version"), "give it a smaller number"));
            continue;
        };
        match way {
            Some(false) => downs.push((number, file)),
            _ => {
                let words = if tool == Tool::Sqlx { words.replace('_', " ") } else { words.to_owned() };
                let checksum = match tool {
                    Tool::Sqlx => Some(sum::hex(&Sha384::digest(file.text.as_bytes()))),
                    Tool::Plain => Some(sha256(&file.text)),
                    _ => None,
                };
                all.push(migration(file, number.to_string(), words, checksum, numbered_part(tool, file)));
            }
        }
    }
    for (number, file) in downs {
        match all.iter_mut().find(|one| one.version == number.to_string()) {
            Some(one) => one.down = Some(numbered_part(tool, file)),
            None => flaws.push(Flaw::of(file, "this takes back what no file applies", "name both with one version")),
        }
    }
    all
}

fn numbered_part(tool: Tool, file: &File) -> Part {
    match tool {
        Tool::GolangMigrate => Part::guessed(&file.path, &file.text),
        _ => Part::new(&file.path, &file.text, !file.text.starts_with("-- no-transaction")),
    }
}

fn prisma_name(file: &File) -> Option<&str> {
    file.name.strip_suffix("/migration.sql").filter(|name| !name.contains('/'))
}

fn prisma(files: &[File]) -> Vec<Migration> {
    let named = files.iter().filter_map(|file| Some((file, prisma_name(file)?)));
    let all = named.map(|(file, name)| {
        let up = Part::guessed(&file.path, &file.text);
        migration(file, name.to_owned(), name.to_owned(), Some(sha256(&file.text)), up)
    });
    all.collect()
}

/// Where `-- migrate:up` begins, and whether a transaction is wanted.
fn directive(text: &str, way: &str) -> Option<(usize, bool)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.strip_prefix("--").and_then(|rest| rest.trim().strip_prefix("migrate:"));
        let options = words.and_then(|words| words.strip_prefix(way));
        if let Some(options) = options.filter(|options| options.is_empty() || options.starts_with(char::is_whitespace))
        {
            let alone = options.split_whitespace().any(|option| option == "transaction:false");
            return Some((at, !alone));
        }
        at += line.len();
    }
    None
}

fn dbmate(files: &[File], flaws: &mut Vec<Flaw>) -> Vec<Migration> {
    let mut all = Vec::new();
    for file in files.iter().filter(|file| !file.name.contains('/') && file.name.ends_with(".sql")) {
        let digits = file.name.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            continue;
        }
        let (up, down) = match (directive(&file.text, "up"), directive(&file.text, "down")) {
            (None, _) => {
                flaws.push(Flaw::of(file, "dbmate wants a line `-- migrate:up`", "write it above the statements"));
                continue;
            }
            (Some(up), Some(down)) if up.0 > down.0 => {
                flaws.push(Flaw::of(file, "`-- migrate:down` stands above `-- migrate:up`", "dbmate wants up first"));
                continue;
            }
            (Some(up), down) => (up, down),
        };
        let end = down.map_or(file.text.len(), |down| down.0);
        let before = part::only(&file.text, 0, up.0);
        if Part::new(&file.path, &before, true)
            .statements(crate::runbook::sql::Dialect::Postgres)
            .is_ok_and(|all| !all.is_empty())
        {
            flaws.push(Flaw::of(file, "there is SQL above `-- migrate:up`, which dbmate refuses", "move it below"));
            continue;
        }
        let version = file.name[..digits].to_owned();
        let name = file.name[digits..].trim_start_matches('_').trim_end_matches(".sql").to_owned();
        let text = part::only(&file.text, up.0, end);
        let mut one = migration(file, version, name, None, Part::new(&file.path, &text, up.1));
        one.down = down.map(|down| {
            let text = part::only(&file.text, down.0, file.text.len());
            Part::new(&file.path, &text, down.1)
        });
        all.push(one);
    }
    all
}

/// What a file beside a script of Flyway says of it.
#[derive(Default)]
struct Settings {
    transaction: Option<bool>,
    keeps_placeholders: bool,
}

fn settings(file: &File, flaws: &mut Vec<Flaw>) -> Settings {
    let mut found = Settings::default();
    let lines = file.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (key, value) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())).unwrap_or((line, ""));
        match (key, value) {
            ("executeInTransaction", "true" | "false") => found.transaction = Some(value == "true"),
            ("placeholderReplacement", "true" | "false") => found.keeps_placeholders = value == "false",
            _ => {
                let message = format!("`{key}` is a setting of Flyway that this program does not follow");
                flaws.push(Flaw::of(file, message, "let Flyway do it: run = [\"flyway\", \"migrate\"]"));
            }
        }
    }
    found
}

fn flyway(files: &[File], flaws: &mut Vec<Flaw>) -> Vec<Migration> {
    const LET: &str = "let Flyway do it: run = [\"flyway\", \"migrate\"]";
    let mut all: Vec<Migration> = Vec::new();
    let mut undos = Vec::new();
    for file in files.iter().filter(|file| file.name.ends_with(".sql")) {
        let beside = files.iter().find(|other| other.name == format!("{}.conf", file.name));
        let settings = beside.map(|beside| settings(beside, flaws)).unwrap_or_default();
        if !settings.keeps_placeholders && file.text.contains("${") {
            flaws.push(Flaw::of(file, "`${` begins a placeholder of Flyway, which this program does not fill", LET));
        }
        let part = match settings.transaction {
            Some(transaction) => Part::new(&file.path, &file.text, transaction),
            None => Part::guessed(&file.path, &file.text),
        };
        let checksum = Some(sum::of_lines(&file.text).to_string());
        match name::flyway(&file.name) {
            FlywayName::Versioned { version, words } => all.push(migration(file, version, words, checksum, part)),
            FlywayName::Repeatable { words } => {
                let one = migration(file, format!("R__{words}"), words, checksum, part);
                all.push(Migration { repeatable: true, ..one });
            }
            FlywayName::Undo { version } => undos.push((version, file, part)),
            FlywayName::Baseline => flaws.push(Flaw::of(file, "baseline scripts are not followed", LET)),
            FlywayName::Callback => {
                flaws.push(Flaw::of(file, "Flyway runs this file at an event, and this program does not", LET));
            }
            FlywayName::Other => {}
        }
    }
    for (version, file, part) in undos {
        let key = order_key(Tool::Flyway, &version);
        match all.iter_mut().find(|one| order_key(Tool::Flyway, &one.version) == key) {
            Some(one) => one.down = Some(part),
            None => flaws.push(Flaw::of(file, "this takes back what no file applies", "name both with one version")),
        }
    }
    all
}
