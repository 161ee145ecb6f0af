//! Commands that only read: `runs`, `report`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::app::open::{named, usage};
use crate::app::{Done, Stop, code, say, say_bytes, say_error};
use crate::cli::{ReportArgs, ReportFormat, RunsArgs};
use crate::journal::{Home, JournalError, Reader, RunDir, RunInfo};
use crate::print::quoted;
use crate::report;
use crate::run::event::Mode;
use crate::run::{Entry, Event, RunState, clean};
use crate::runbook::expr::{self, Place};
use crate::runbook::{self, Runbook};

/// Everything a journal holds, and the runbook inside it.
pub struct Past {
    pub book: Runbook,
    pub entries: Vec<Entry>,
    /// Why these are only the entries before the first bad one.
    pub damage: Option<JournalError>,
}

/// Reads a whole run. The runbook is the one the run was opened with, whatever its file says today.
pub async fn read(dir: &RunDir) -> Result<Past, Stop> {
    let mut reader = Reader::open(dir).await.map_err(usage)?;
    let entries = reader.all().await.map_err(|error| unreadable(dir, error))?;
    let book = book(&entries)?;
    Ok(Past { book, entries, damage: None })
}

/// [`read`], or of a damaged journal the entries that prove themselves; that they are not all is said.
pub async fn read_prefix(dir: &RunDir) -> Result<Past, Stop> {
    let mut reader = Reader::open(dir).await.map_err(usage)?;
    let (entries, damage) = reader.prefix().await;
    match (&damage, entries.last()) {
        (Some(error), Some(last)) => {
            say_error(&format!("{error}; what follows shows only entries 1 to {}", last.seq));
        }
        (Some(error), None) => return Err(Stop::new(code::REFUSED, error)),
        (None, _) => {}
    }
    let book = book(&entries)?;
    Ok(Past { book, entries, damage })
}

/// A damaged journal is no mistake of the program: it is refused.
fn unreadable(dir: &RunDir, error: JournalError) -> Stop {
    match error {
        JournalError::Bad(bad) if bad.seq > 1 => {
            let run = clean::line(&dir.id(), 80);
            let hint = format!("`gonogo report {run} --valid-prefix`, and `replay`, read what is good");
            Stop::new(code::REFUSED, format!("{bad}: {hint}"))
        }
        JournalError::Bad(bad) => Stop::new(code::REFUSED, bad),
        other => Stop::internal(other),
    }
}

/// The runbook of a run and the fold of all its entries.
pub async fn fold(dir: &RunDir) -> Result<(Runbook, RunState), Stop> {
    let past = read(dir).await?;
    Ok((past.book, RunState::fold(&past.entries)))
}

fn book(entries: &[Entry]) -> Result<Runbook, Stop> {
    let Some(Event::RunOpened(opened)) = entries.first().map(|entry| &entry.event) else {
        return Err(Stop::internal("the journal does not begin with the opening of a run"));
    };
    runbook::from_source(opened.source.clone(), &opened.set).map_err(|problems| {
        let words = "the runbook inside this journal cannot be read by this version of gonogo";
        Stop::internal(format!("{words} (it was written by {}):\n{}", opened.version, problems.render(false)))
    })
}

/// Writes the report that the runbook promises, once the run is over. Whatever fails is said; the run is what it is.
pub async fn file_report(dir: &RunDir) {
    if let Err(stop) = promised_report(dir).await {
        say_error(&format!(
            "the promised report was not written: {}; gonogo report {} prints it",
            stop.words,
            dir.id()
        ));
    }
}

async fn promised_report(dir: &RunDir) -> Result<(), Stop> {
    let past = read(dir).await?;
    let state = RunState::fold(&past.entries);
    let Some(template) = past.book.report.as_ref().filter(|_| state.ended.is_some()) else { return Ok(()) };
    let text = report_of(dir, &past, ReportFormat::Md).await?;
    let context = crate::run::context::of(&past.book, &state);
    let path = expr::render(template, Place::Text, &context).map_err(usage)?;
    let path = Path::new(&state.opened.cwd).join(path);
    let path = match state.opened.mode {
        Mode::Live => path,
        Mode::Rehearsal => with(&path, ".rehearsal"),
    };
    match create(&path, &text) {
        // What has the name stays, most likely an earlier run's report: this one says whose it is.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let own = with(&path, &format!("-{}", dir.id()));
            write_new(&own, &text)?;
            let words = "is there already and stays; the report of this run is";
            say_error(&format!("{} {words} {}", path.display(), own.display()));
            Ok(())
        }
        written => written.map_err(|error| unwritten(&path, &error)),
    }
}

/// A rehearsal leaves the name to the live run: `report.md` with `.rehearsal` is `report.rehearsal.md`.
fn with(path: &Path, more: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(more);
    if let Some(end) = path.extension() {
        name.push(".");
        name.push(end);
    }
    path.with_file_name(name)
}

pub async fn report(args: &ReportArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find(&args.run).await.map_err(usage)?;
    let past = if args.valid_prefix { read_prefix(&dir).await? } else { read(&dir).await? };
    let text = report_of(&dir, &past, args.format).await?;
    match &args.output {
        Some(path) => write_new(path, &text)?,
        None => say_bytes(text.as_bytes()),
    }
    Ok(code::DONE)
}

/// The report with the anchor of the journal it was written from.
async fn report_of(dir: &RunDir, past: &Past, format: ReportFormat) -> Result<String, Stop> {
    let anchor = match &past.damage {
        None => {
            let proven = Reader::open(dir).await.map_err(usage)?.verify().await;
            let proven = proven.map_err(|error| unreadable(dir, error))?;
            Some(report::Anchor { count: proven.count, head: proven.hex() })
        }
        Some(_) => None,
    };
    match format {
        ReportFormat::Md => Ok(warning(past) + &report::markdown(&past.entries, &past.book, anchor)),
        ReportFormat::Json => report::json(&past.entries, &past.book, anchor).map_err(Stop::internal),
    }
}

/// What a reader of the report must know first.
fn warning(past: &Past) -> String {
    match &past.damage {
        Some(error) => {
            let (good, why) = (past.entries.len(), report::inline(&error.to_string()));
            format!(
                "> **This journal is damaged.** Only entries 1 to {good} prove themselves and are told here. {why}\n\n"
            )
        }
        None => String::new(),
    }
}

/// Writes a new file; one that exists, and a link, is refused.
pub fn write_new(path: &Path, text: &str) -> Result<(), Stop> {
    create(path, text).map_err(|error| unwritten(path, &error))
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn unwritten(path: &Path, error: &std::io::Error) -> Stop {
    Stop::new(code::USAGE, format!("cannot write {}: {error}", path.display()))
}

pub async fn runs(args: &RunsArgs) -> Done {
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let runs = home.runs().await.map_err(usage)?;
    if args.json {
        let list: Vec<serde_json::Value> = runs.iter().map(as_json).collect();
        say(&serde_json::to_string_pretty(&list).map_err(Stop::internal)?);
        return Ok(code::DONE);
    }
    if runs.is_empty() {
        say(&format!("no runs in {}; gonogo demo makes one", home.path().display()));
    }
    let place = named(&args.place).map(|path| format!(" --journal {}", quoted(&path))).unwrap_or_default();
    for run in &runs {
        say(&as_lines(run, &place));
    }
    Ok(code::DONE)
}

fn as_json(run: &RunInfo) -> serde_json::Value {
    match &run.facts {
        Ok(facts) => serde_json::json!({
            "run": run.id,
            "title": facts.title,
            "environment": facts.environment,
            "mode": facts.mode,
            "by": facts.by,
            "opened": facts.opened.wall,
            "last": facts.last.wall,
            "status": facts.status.word(),
            "next": format!("gonogo {} {}", facts.next(), run.id),
            "entries": facts.entries,
            "engine": facts.holder.as_ref().map(ToString::to_string),
            "journal": run.dir.db(),
        }),
        Err(error) => serde_json::json!({ "run": run.id, "status": "unreadable", "error": error.to_string() }),
    }
}

/// What it is, and under it what to type: the name is as long as it is, and pushes nothing away.
fn as_lines(run: &RunInfo, place: &str) -> String {
    let id = clean::line(&run.id, 80);
    let facts = match &run.facts {
        Ok(facts) => facts,
        Err(error) => return format!("{id}  unreadable: {}", clean::line(&error.to_string(), 200)),
    };
    let rehearsal = if facts.mode == Mode::Rehearsal { " (rehearsal)" } else { "" };
    format!(
        "{}  {:<19}  {:<10}  {}{rehearsal}\n{:16}  gonogo {} {id}{place}",
        facts.opened.wall.format("%Y-%m-%d %H:%M"),
        facts.standing(),
        clean::line(&facts.environment, 12),
        clean::line(&facts.title, 36),
        "",
        facts.next(),
    )
}
