//! The code of a guide cut into units of work: SQL, commands, instructions in prose; with the comments that belong to each.

#[cfg(test)]
mod tests;

use super::psql::{self, Call};
use super::words::expects;
use crate::runbook::sql::{self, Dialect};

/// Lines of one command, at most: what is longer is not cut.
const COMMAND: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    Sql(String),
    /// A file that psql would read.
    File(String),
    Shell(String),
    /// For a person: an item each, with its line.
    Prose(Vec<(String, usize)>),
    /// Nothing to do, but something was said.
    Note,
    /// The reason why it is no step.
    Left(String),
}

/// One unit of work.
#[derive(Clone, Debug)]
pub struct Unit {
    pub work: Work,
    /// The guide's lines, 1-based.
    pub lines: Vec<usize>,
    /// Comments before it; the first is a title.
    pub lead: Vec<String>,
    /// Comments behind it that say what should come out.
    pub expected: Vec<String>,
    /// Anything else that was said about it.
    pub said: Vec<String>,
}

type Line<'a> = (usize, &'a str);

const SQL_WORDS: &[&str] = &[
    "select",
    "insert",
    "update",
    "delete",
    "create",
    "alter",
    "drop",
    "truncate",
    "explain",
    "with",
    "begin",
    "commit",
    "rollback",
    "start",
    "reindex",
    "vacuum",
    "analyze",
    "grant",
    "revoke",
    "comment",
    "set",
    "reset",
    "do",
    "merge",
    "refresh",
    "cluster",
    "lock",
    "call",
    "copy",
    "show",
    "table",
    "values",
    "notify",
    "end",
    "savepoint",
    "release",
    "security",
    "declare",
];
/// Words that begin SQL and no command.
const NOT_A_COMMAND: &[&str] = &[
    "insert", "update", "delete", "create", "alter", "drop", "explain", "begin", "commit", "reindex", "vacuum",
    "analyze", "grant", "revoke", "merge",
];
const COMMANDS: &[&str] = &[
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "git",
    "curl",
    "wget",
    "node",
    "python",
    "python3",
    "docker",
    "kubectl",
    "make",
    "psql",
    "cd",
    "pg_dump",
    "pg_restore",
    "sudo",
    "systemctl",
    "pm2",
    "bundle",
    "rails",
    "rake",
    "php",
    "go",
    "cargo",
    "flyway",
    "helm",
    "bash",
    "sh",
];

fn first_word(text: &str) -> String {
    let text = text.trim_start();
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>().to_ascii_lowercase()
}

/// The comment of a line that is nothing else.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    let inner = line.strip_prefix("--").or_else(|| line.strip_prefix('#'));
    inner
        .filter(|_| !line.starts_with("#!") && !line.starts_with("---"))
        .map(|inner| inner.trim_matches(['#', '-', ' ']))
}

fn unit(work: Work, lines: Vec<usize>, lead: Vec<String>) -> Unit {
    Unit { work, lines, lead, expected: Vec::new(), said: Vec::new() }
}

/// What a fence without a language holds: `sql`, `shell` or nothing that is known.
pub fn looks_like(all: &[Line<'_>]) -> &'static str {
    let first = all.iter().map(|(_, line)| line.trim()).find(|line| !line.is_empty() && comment(line).is_none());
    let word = first.map(first_word).unwrap_or_default();
    let ends = all.iter().any(|(_, line)| line.trim_end().ends_with(';'));
    match first {
        Some(line) if is_sql(line) && ends => "sql",
        Some(line) if COMMANDS.contains(&word.as_str()) && line.starts_with(&word) => "shell",
        _ => "",
    }
}

/// A fence of SQL. `all`: its lines with blank ones, from the first.
pub fn sql_units(all: &[Line<'_>]) -> Vec<Unit> {
    let text: String = all.iter().map(|(_, line)| format!("{line}\n")).collect();
    let numbers: Vec<usize> = all.iter().filter(|(_, line)| !line.trim().is_empty()).map(|(n, _)| *n).collect();
    let pieces = match sql::split(&text, Dialect::Postgres) {
        Ok(pieces) => pieces,
        Err(problem) => {
            return vec![unit(
                Work::Left(format!("not SQL that can be split: {}", problem.message)),
                numbers,
                Vec::new(),
            )];
        }
    };
    let mut units: Vec<Unit> = Vec::new();
    let mut lead: Vec<(usize, String)> = Vec::new();
    let mut next = 0;
    let mut block = false;
    let mut joined = false;
    for piece in &pieces {
        let first = usize::try_from(piece.line).unwrap_or(1) - 1;
        let last = first + piece.sql.matches('\n').count();
        let gap = between(all, next, first, &mut units, &mut lead);
        next = last + 1;
        // What stands behind the semicolon on the same line.
        let tail = all
            .get(last)
            .and_then(|(_, line)| line.rsplit_once("--"))
            .filter(|(code, _)| code.trim_end().ends_with(';'));
        let lines: Vec<usize> = all[first.min(all.len())..(last + 1).min(all.len())]
            .iter()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(n, _)| *n)
            .collect();
        let word = first_word(&piece.sql);
        let control = matches!(word.as_str(), "begin" | "commit" | "end") && piece.sql.len() < 24;
        let reads = sql::only_reads(&piece.sql);
        let join = block || (joined && !gap && !reads && lead.is_empty());
        let work = if COMMANDS.contains(&word.as_str()) {
            Work::Shell(piece.sql.clone())
        } else if SQL_WORDS.contains(&word.as_str()) {
            Work::Sql(if control { String::new() } else { format!("{};", piece.sql) })
        } else {
            Work::Left("not a statement of SQL that is known".into())
        };
        let is_sql = matches!(work, Work::Sql(_));
        let mut one = unit(work, lines, lead.iter().map(|(_, text)| text.clone()).collect());
        one.lines.extend(lead.drain(..).map(|(n, _)| n));
        if control {
            one.said.push(format!("{}: left out, a step is a transaction of its own", piece.sql.trim()));
        }
        if let Some((_, words)) = tail {
            let words = words.trim().to_owned();
            if expects(&words) { one.expected.push(words) } else { one.said.push(words) }
        }
        match units.last_mut().filter(|_| join && is_sql) {
            Some(before) => append(before, one),
            None => units.push(one),
        }
        block = if control { word == "begin" } else { block && is_sql };
        joined = is_sql && !reads && !(control && word != "begin");
    }
    between(all, next, all.len(), &mut units, &mut lead);
    rest(&mut units, lead);
    units
}

/// Comments between two statements: expectations go to the one before, others lead the next. True: there was a blank line.
fn between(all: &[Line<'_>], from: usize, to: usize, units: &mut [Unit], lead: &mut Vec<(usize, String)>) -> bool {
    let mut gap = false;
    let mut expecting = false;
    for (n, line) in all.iter().take(to).skip(from) {
        if line.trim().is_empty() {
            gap = true;
            expecting = false;
            continue;
        }
        let words = comment(line).unwrap_or(line.trim().trim_matches(['/', '*', ' ', ';'])).to_owned();
        expecting = expects(&words) || expecting;
        match units.last_mut().filter(|_| expecting && lead.is_empty()) {
            Some(before) => {
                before.lines.push(*n);
                before.expected.push(words);
            }
            None => lead.push((*n, words)),
        }
    }
    gap
}

fn append(before: &mut Unit, one: Unit) {
    if let (Work::Sql(text), Work::Sql(more)) = (&mut before.work, &one.work) {
        for words in &one.lead {
            text.push_str(&format!("\n-- {words}"));
        }
        if !text.is_empty() && !more.is_empty() {
            text.push('\n');
        }
        text.push_str(more);
    }
    before.lines.extend(one.lines);
    before.expected.extend(one.expected);
    before.said.extend(one.said);
}

/// Comments that nothing follows.
fn rest(units: &mut Vec<Unit>, lead: Vec<(usize, String)>) {
    if lead.is_empty() {
        return;
    }
    let (lines, words): (Vec<usize>, Vec<String>) = lead.into_iter().unzip();
    match units.last_mut() {
        Some(before) => {
            before.lines.extend(lines);
            before.said.extend(words);
        }
        None => units.push(unit(Work::Note, lines, words)),
    }
}

/// A fence of commands.
pub fn shell_units(all: &[Line<'_>]) -> Vec<Unit> {
    let commands = commands(all);
    if commands.iter().any(|command| is_stateful(&command.text)) {
        let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
        let lines = all.iter().filter(|(_, line)| !line.trim().is_empty()).map(|(n, _)| *n).collect();
        return vec![unit(Work::Shell(text.join("\n").trim_matches('\n').to_owned()), lines, Vec::new())];
    }
    let mut units: Vec<Unit> = Vec::new();
    let mut lead: Vec<(usize, String)> = Vec::new();
    // True while commands may still be added to the last unit.
    let mut together = false;
    for command in commands {
        if command.text.is_empty() {
            together = false;
            continue;
        }
        if let Some(words) = comment(&command.text).filter(|_| command.lines.len() == 1) {
            let words = words.to_owned();
            let joins_last = lead.is_empty() && !units.is_empty();
            match units
                .last_mut()
                .filter(|before| joins_last && (expects(&words) || !before.expected.is_empty() && together))
            {
                Some(before) => {
                    before.lines.extend(command.lines);
                    before.expected.push(words);
                }
                None => lead.push((command.lines[0], words)),
            }
            continue;
        }
        let leading = !lead.is_empty();
        let mut one = unit(work(&command), command.lines.clone(), lead.iter().map(|(_, text)| text.clone()).collect());
        one.lines.extend(lead.drain(..).map(|(n, _)| n));
        let converted = !matches!(one.work, Work::Shell(_));
        if converted && first_word(&command.text) == "psql" {
            let head = command.text.lines().next().unwrap_or_default();
            one.said.push(format!("In the guide: {head}"));
        }
        match units.last_mut().map(|before| (&before.work, &one.work)) {
            Some((Work::Shell(_), Work::Shell(_))) if together && !leading => {
                if let (Some(before), Work::Shell(more)) = (units.last_mut(), one.work) {
                    if let Work::Shell(text) = &mut before.work {
                        text.push('\n');
                        text.push_str(&more);
                    }
                    before.lines.extend(one.lines);
                }
            }
            Some((Work::Prose(_), Work::Prose(_))) if !leading => {
                if let (Some(before), Work::Prose(more)) = (units.last_mut(), one.work) {
                    if let Work::Prose(items) = &mut before.work {
                        items.extend(more);
                    }
                    before.lines.extend(one.lines);
                }
            }
            _ => units.push(one),
        }
        together = true;
    }
    rest(&mut units, lead);
    units
}

struct Command {
    text: String,
    lines: Vec<usize>,
}

fn work(command: &Command) -> Work {
    let text = command.text.trim();
    let prose = text.split_once(". ").filter(|(n, _)| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    if let Some((_, words)) = prose {
        return Work::Prose(vec![(words.to_owned(), command.lines[0])]);
    }
    if text.starts_with('\\') {
        return Work::Left("a command of psql: a look that only psql knows".into());
    }
    if is_sql(text) {
        return Work::Sql(text.to_owned());
    }
    match psql::call(text) {
        Some(Call::Sql(sql)) => Work::Sql(sql.trim().to_owned()),
        Some(Call::File(path)) => Work::File(path),
        Some(Call::Session) => Work::Left("it opens a session of psql: the step's target does that".into()),
        None => Work::Shell(text.to_owned()),
    }
}

/// SQL among commands: its first word is no command, or it is written in capitals.
fn is_sql(text: &str) -> bool {
    let word = first_word(text);
    let capitals = text.trim_start().starts_with(&word.to_ascii_uppercase());
    NOT_A_COMMAND.contains(&word.as_str()) || (capitals && SQL_WORDS.contains(&word.as_str()))
}

/// What one command leaves for the next: then they cannot be cut apart.
fn is_stateful(command: &str) -> bool {
    if is_sql(command) {
        return false;
    }
    let word = command.split_whitespace().next().unwrap_or_default();
    let assigns = word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && command.split_whitespace().count() == 1
            || command.starts_with(&format!("{name}=\"")) && command.ends_with('"')
    });
    assigns
        || matches!(
            word,
            "cd" | "export"
                | "set"
                | "source"
                | "."
                | "exit"
                | "ssh"
                | "trap"
                | "read"
                | "pushd"
                | "function"
                | "if"
                | "for"
                | "while"
        )
        || word.starts_with("#!")
        || word.ends_with("()")
        || command.contains("$?")
}

/// Whole commands, comments alone, and an empty one for each blank line.
fn commands(all: &[Line<'_>]) -> Vec<Command> {
    let mut found = Vec::new();
    let mut open = Command { text: String::new(), lines: Vec::new() };
    // Lines of what is open: each may ask all of them whether it is the last one.
    let mut count = 0;
    for (n, line) in all {
        if open.lines.is_empty() {
            if line.trim().is_empty() {
                found.push(Command { text: String::new(), lines: Vec::new() });
                continue;
            }
            if comment(line).is_some() {
                found.push(Command { text: line.trim().to_owned(), lines: vec![*n] });
                continue;
            }
        }
        if !open.lines.is_empty() {
            open.text.push('\n');
        }
        open.text.push_str(line);
        if !line.trim().is_empty() {
            open.lines.push(*n);
        }
        count += 1;
        let ended = || if is_sql(&open.text) { line.trim_end().ends_with(';') } else { is_whole(&open.text) };
        if count < COMMAND && ended() {
            count = 0;
            found.push(std::mem::replace(&mut open, Command { text: String::new(), lines: Vec::new() }));
        }
    }
    if !open.lines.is_empty() {
        found.push(open);
    }
    found
}

/// True where a shell would not wait for more: quotes closed, no backslash or pipe at the end, here-documents ended, every
/// `if`, `for`, `{` with its end.
fn is_whole(text: &str) -> bool {
    let body = text.trim_end();
    if body.ends_with('\\') || body.ends_with('|') || body.ends_with("&&") {
        return false;
    }
    if let Some((_, rest)) = text.split_once("<<").filter(|(_, rest)| !rest.starts_with('<')) {
        let mark: String = rest
            .trim_start_matches(['-', ' ', '\'', '"'])
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        return mark.is_empty() || text.lines().skip(1).any(|line| line.trim() == mark);
    }
    let mut quote = None;
    let mut skip = false;
    for c in text.chars() {
        match quote {
            _ if skip => skip = false,
            Some('\'') if c != '\'' => {}
            _ if c == '\\' => skip = true,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
    }
    let depth: i32 = text.lines().map(|line| depth(line.trim())).sum();
    quote.is_none() && depth <= 0
}

fn depth(line: &str) -> i32 {
    let first = line.split([' ', ';']).next().unwrap_or_default();
    let opens = matches!(first, "if" | "for" | "while" | "until" | "case") || line.ends_with('{');
    let closes = matches!(first, "fi" | "done" | "esac" | "}") || line.ends_with("; done") || line.ends_with("; fi");
    i32::from(opens) - i32::from(closes)
}
