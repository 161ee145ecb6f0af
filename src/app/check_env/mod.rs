//! `gonogo check --env`: whether an environment is ready for a runbook. Everything is asked read-only; nothing is
//! claimed or written, and no step or probe is started. Commands that bring a secret do run.

mod dumps;
mod migrations;
mod objects;
mod past;
mod people;
mod servers;
mod tools;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::check::{self, Checked};
use crate::app::open::environment;
use crate::app::{Done, Stop, code, say, say_bytes, who};
use crate::cli::CheckArgs;
use crate::engine::doors::Doors;
use crate::print::{self, Finding, Level};
use crate::run::RunState;
use crate::run::event::{FORMAT, Opened};
use crate::runbook::{self, Problems, Runbook, Step};
use crate::target::Target;

/// Stands where a run's own name will stand.
const RUN: &str = "check";

/// An environment that is looked at, and what was found so far.
struct Look {
    book: Arc<Runbook>,
    environment: String,
    cwd: PathBuf,
    doors: Doors,
    state: RunState,
    /// Those that were reached.
    targets: BTreeMap<String, Arc<Target>>,
    findings: Vec<Finding>,
}

pub async fn check(args: &CheckArgs) -> Done {
    if args.json {
        return as_json(args).await;
    }
    let code = check::check(&CheckArgs { env: None, ..args.clone() })?;
    if code != code::DONE {
        return Ok(code);
    }
    let mut worst = code::DONE;
    for file in &args.files {
        let book = loaded(args, file).map_err(|problems| Stop::new(code::BAD_RUNBOOK, problems.render(false)))?;
        let look = look(args, file, book).await?;
        if !look.is_ready() {
            worst = code::FAILED;
        }
        say(&format!("{} in {}:", file.display(), look.environment));
        say_bytes(print::findings(&look.findings).as_bytes());
    }
    Ok(worst)
}

/// Everything at once: what is wrong with a runbook, and what its environment has, whatever the other says.
async fn as_json(args: &CheckArgs) -> Done {
    let (mut bad, mut ready, mut found) = (false, true, Vec::new());
    for file in &args.files {
        let checked = Checked::of(file);
        bad |= checked.is_bad(args.strict);
        let mut said = checked.to_json();
        let lint = said["findings"].take();
        match loaded(args, file) {
            Ok(book) => {
                let look = look(args, file, book).await?;
                ready &= look.is_ready();
                said["ok"] = json!(!checked.is_bad(false) && look.is_ready());
                said["environment"] = json!(look.environment);
                said["findings"] = print::findings_json(&look.findings);
            }
            Err(problems) => {
                bad = true;
                said["ok"] = json!(false);
                said["problems"] = problems.to_json();
                said["findings"] = json!([]);
            }
        }
        said["lint"] = lint;
        found.push(said);
    }
    say(&serde_json::to_string_pretty(&found).map_err(Stop::internal)?);
    Ok(match (bad, ready) {
        (true, _) => code::BAD_RUNBOOK,
        (false, false) => code::FAILED,
        (false, true) => code::DONE,
    })
}

fn loaded(args: &CheckArgs, file: &Path) -> Result<Runbook, Problems> {
    runbook::load(file, &args.set.iter().cloned().collect())
}

async fn look(args: &CheckArgs, file: &Path, book: Runbook) -> Result<Look, Stop> {
    let book = Arc::new(book);
    let environment = environment(&book, args.env.as_deref())?;
    let cwd = std::env::current_dir().map_err(Stop::internal)?;
    let opened = Opened {
        format: FORMAT,
        run: RUN.to_owned(),
        environment: environment.clone(),
        set: runbook::typed_set(&book, &args.set.iter().cloned().collect()),
        source: book.source.clone(),
        by: who(),
        cwd: cwd.to_string_lossy().into_owned(),
        ..Opened::default()
    };
    let state = RunState { opened, ..RunState::default() };
    let (reports, _nobody) = mpsc::channel(1);
    let doors = Doors::new(book.clone(), &state, Default::default(), who(), reports, CancellationToken::new());
    let (targets, findings) = (BTreeMap::new(), Vec::new());
    let mut look = Look { book, environment, cwd, doors, state, targets, findings };
    look.people(args, file).await;
    look.servers(args.place.journal.as_deref()).await;
    look.objects().await;
    look.tools().await;
    look.files().await;
    look.dumps().await;
    look.watched().await;
    Ok(look)
}

impl Look {
    fn is_ready(&self) -> bool {
        self.findings.iter().all(|one| one.level != Level::Error)
    }

    fn note(&mut self, level: Level, about: impl Into<String>, what: impl Into<String>) -> &mut Finding {
        let finding = Finding { level, about: about.into(), what: what.into(), hint: None, place: None };
        self.findings.push(finding);
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    fn ok(&mut self, about: impl Into<String>, what: impl Into<String>) {
        self.note(Level::Ok, about, what);
    }

    fn warn(&mut self, about: impl Into<String>, what: impl Into<String>, hint: &str) {
        self.note(Level::Warn, about, what).hint = Some(hint.to_owned());
    }

    fn error(&mut self, about: impl Into<String>, what: impl Into<String>, hint: &str) {
        self.note(Level::Error, about, what).hint = Some(hint.to_owned());
    }

    /// True where the step may run in this environment.
    fn belongs(&self, step: &Step) -> bool {
        step.only.is_empty() || step.only.contains(&self.environment)
    }

    /// The steps of this environment in the order they run, then the ways back, then the steps of rollback plans. With
    /// each the name to call it by.
    fn acts(&self) -> Vec<(String, Step)> {
        let forward: Vec<&Step> = self.book.steps().filter(|step| self.belongs(step)).collect();
        let mut acts: Vec<(String, Step)> =
            forward.iter().map(|step| (format!("step {}", step.id), (*step).clone())).collect();
        for step in forward.iter().rev() {
            if let runbook::Undo::By(undo) = &step.undo {
                // What never ran is never undone.
                let only_if = undo.only_if.clone().or_else(|| step.only_if.clone());
                acts.push((format!("undo {}", step.id), Step { only_if, ..(**undo).clone() }));
            }
        }
        let planned = self.book.rollbacks.iter().flat_map(|plan| &plan.steps).filter(|step| self.belongs(step));
        acts.extend(planned.map(|step| (format!("step {}", step.id), step.clone())));
        acts
    }
}
