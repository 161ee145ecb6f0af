//! `gonogo approve`, and what a run finds of it: a file per approval in a folder that several people share. Who gave it is who
//! owns the file, by the kernel's word; what stands in it says of what: this very runbook, environment and variables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::app::open::{environment, load_runbook, usage};
use crate::app::{Done, Stop, code, say};
use crate::cli::ApproveArgs;
use crate::link;
use crate::run::event::Approval;
use crate::run::words::{self, plural};
use crate::run::{clean, limits};
use crate::runbook::{self, Runbook, Var};

/// An approval holds for so many hours.
const HOURS: i64 = 24;
/// Clocks of two machines may differ by so many minutes.
const SKEW: i64 = 5;
/// Bytes of an approval, and files of the folder that are looked at.
const LARGEST: u64 = 256 * 1024;
const MOST: usize = 10_000;
/// Characters of a digest that people compare.
const SHORT: usize = 12;
const END: &str = ".approval";

/// What an approval is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Subject {
    runbook: String,
    digest: String,
    environment: String,
    set: BTreeMap<String, Var>,
}

/// What stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Paper {
    format: u32,
    #[serde(flatten)]
    subject: Subject,
    at: DateTime<Utc>,
    #[serde(default)]
    note: String,
}

/// The people who have approved a subject, and why other papers about it do not count.
#[derive(Default)]
struct Found {
    people: BTreeMap<u32, Approval>,
    others: BTreeSet<String>,
}

pub fn approve(args: &ApproveArgs) -> Done {
    let set = args.set.iter().cloned().collect();
    let book = load_runbook(&args.runbook, &set)?;
    let environment = environment(&book, args.env.as_deref())?;
    let wanted = wanted(&book, &environment);
    if wanted < 2 {
        let words = format!("environment {environment} wants nobody's approval; approvals = 2 in it would");
        return Err(Stop::new(code::USAGE, words));
    }
    let folder = folder(args.shared.approvals.as_deref())?;
    let subject = subject(&book, &environment, runbook::typed_set(&book, &set));
    told(&book, &subject);
    consent(&book.id, args.yes)?;
    write(folder, &subject, &args.note)?;
    let found = look(folder, &subject)?;
    let people = found.people.len() as u64;
    say(&format!("approved by {}, for {HOURS} hours", words::name(&link::own_name())));
    say(&format!("{} of {wanted} people have approved it: {}", people, names(&found)));
    Ok(code::DONE)
}

/// The approvals that a live run needs; empty where its environment wants none.
///
/// # Errors
/// Too few people have approved this very runbook, in words.
pub fn needed(
    shared: Option<&Path>,
    book: &Runbook,
    environment: &str,
    set: &BTreeMap<String, Var>,
    file: &Path,
) -> Result<Vec<Approval>, Stop> {
    let wanted = wanted(book, environment);
    if wanted < 2 {
        return Ok(Vec::new());
    }
    let subject = subject(book, environment, set.clone());
    let found = look(folder(shared)?, &subject)?;
    if found.people.len() >= wanted as usize {
        return Ok(found.people.into_values().collect());
    }
    let mut words = format!(
        "environment {environment} wants {wanted} people to approve this very runbook (digest {}), and {} have: {}",
        &subject.digest[..SHORT.min(subject.digest.len())],
        found.people.len(),
        names(&found)
    );
    for other in &found.others {
        words.push_str(&format!("; {other}"));
    }
    words.push_str(&format!(
        ". Nothing was started; each of them says: gonogo approve {} --env {environment}",
        clean::line(&file.display().to_string(), limits::WORDS)
    ));
    Err(Stop::new(code::REFUSED, words))
}

fn wanted(book: &Runbook, environment: &str) -> u32 {
    book.environment(environment).map_or(0, |env| env.approvals)
}

fn subject(book: &Runbook, environment: &str, set: BTreeMap<String, Var>) -> Subject {
    let (runbook, digest) = (book.id.clone(), book.source.digest.clone());
    Subject { runbook, digest, environment: environment.to_owned(), set }
}

fn folder(shared: Option<&Path>) -> Result<&Path, Stop> {
    let folder = shared.ok_or_else(|| {
        let words = "several people approve in one folder that all of them may write to: say --approvals PATH, or set \
                     GONOGO_APPROVALS";
        Stop::new(code::USAGE, words)
    })?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let shown = clean::line(&folder.display().to_string(), limits::WORDS);
    let hint = "an administrator makes it: mkdir -m 1777, so that nobody removes another's";
    Err(Stop::new(code::USAGE, format!("the folder of approvals {shown} is not there; {hint}")))
}

fn told(book: &Runbook, subject: &Subject) {
    say(&format!(
        "{} ({}) in {}",
        words::phrase(&book.title),
        words::name(&book.id),
        words::name(&subject.environment)
    ));
    let steps = plural(book.steps().count() as u64, "step");
    say(&format!("  {steps} in {} · digest {}", plural(book.phases.len() as u64, "phase"), subject.digest));
    for (name, value) in &subject.set {
        say(&format!("  {} = {}", words::name(name), clean::line(&words::var(value), limits::WORDS)));
    }
}

/// The runbook's id, typed by a person; `--yes` stands for it.
fn consent(id: &str, yes: bool) -> Result<(), Stop> {
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Stop::new(code::USAGE, "nobody is there to type the runbook's id: say --yes"));
    }
    say(&format!("type the id of the runbook to approve it: {}", words::name(id)));
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(Stop::internal)?;
    if line.trim() == id {
        return Ok(());
    }
    Err(Stop::new(code::REFUSED, "that is not its id; nothing was approved"))
}

fn write(folder: &Path, subject: &Subject, note: &str) -> Result<(), Stop> {
    let note = note.trim().chars().take(limits::WORDS).collect();
    let paper = Paper { format: 1, subject: subject.clone(), at: Utc::now(), note };
    let text = serde_json::to_string_pretty(&paper).map_err(Stop::internal)?;
    let digest = &subject.digest[..SHORT.min(subject.digest.len())];
    let path = folder.join(format!("{digest}-{}{END}", uuid::Uuid::now_v7()));
    // Everybody may read it, only its owner may write: the owner is who says it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| usage(format!("the approval could not be written into {}: {error}", folder.display())))
}

/// Everybody who has approved the subject, by files that only they can have made.
fn look(folder: &Path, subject: &Subject) -> Result<Found, Stop> {
    let entries = fs::read_dir(folder)
        .map_err(|error| usage(format!("the folder of approvals {} cannot be read: {error}", folder.display())))?;
    let mut found = Found::default();
    for entry in entries.flatten().take(MOST) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(END) {
            continue;
        }
        match read(&entry.path()) {
            Ok((uid, paper)) => found.take(uid, paper, subject, Utc::now()),
            Err(why) => {
                found.others.insert(format!("{} does not count: {why}", clean::line(&name, limits::WORDS)));
            }
        }
    }
    Ok(found)
}

/// Who owns the file, and what stands in it.
fn read(path: &Path) -> Result<(u32, Paper), String> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file: File = file.map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() || about.nlink() != 1 {
        return Err("it is not a plain file of one name".to_owned());
    }
    if about.mode() & 0o022 != 0 {
        return Err("others than its owner may write to it".to_owned());
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let paper: Paper = serde_json::from_str(&text).map_err(|_| "it is not an approval".to_owned())?;
    Ok((about.uid(), paper))
}

impl Found {
    fn take(&mut self, uid: u32, paper: Paper, subject: &Subject, now: DateTime<Utc>) {
        let by = link::name(uid);
        if paper.subject.runbook != subject.runbook || paper.subject.environment != subject.environment {
            return;
        }
        let stale = now - paper.at > TimeDelta::hours(HOURS);
        let why = if paper.format != 1 {
            "it is of another version"
        } else if paper.subject.digest != subject.digest {
            "it is of another text of the runbook"
        } else if paper.subject.set != subject.set {
            "it is of other variables"
        } else if stale {
            "it is older than a day"
        } else if paper.at - now > TimeDelta::minutes(SKEW) {
            "it is from the future"
        } else {
            let approval = Approval { by, at: paper.at, note: paper.note };
            self.people.entry(uid).or_insert(approval);
            return;
        };
        self.others.insert(format!("one of {} does not count: {why}", words::name(&by)));
    }
}

fn names(found: &Found) -> String {
    match found.people.is_empty() {
        true => "nobody".to_owned(),
        false => found.people.values().map(|one| words::name(&one.by)).collect::<Vec<_>>().join(", "),
    }
}
