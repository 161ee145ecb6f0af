//! `gonogo plan`: what a run would do, printed; no target, probe or command is touched, nothing is written. The last rehearsal's journal is read.

use crate::app::{Done, Stop, code, open, rehearsed, say_bytes, who};
use crate::cli::PlanArgs;
use crate::journal::Home;
use crate::print;
use crate::run::RunState;
use crate::run::event::{FORMAT, Mode, Opened};
use crate::runbook;

/// Stands where a run's own name will stand.
const RUN: &str = "<run.id>";

pub async fn plan(args: &PlanArgs) -> Done {
    let set = args.set.iter().cloned().collect();
    let book = open::load_runbook(&args.runbook, &set)?;
    let environment = open::environment(&book, args.env.as_deref())?;
    let rehearsed = match Home::new(args.place.journal.as_deref()) {
        Ok(home) => rehearsed::last(&home, &book).await,
        // Nobody keeps runs here: then none is known.
        Err(_) => None,
    };
    let opened = Opened {
        format: FORMAT,
        run: RUN.to_owned(),
        mode: Mode::Live,
        set: runbook::typed_set(&book, &set),
        source: book.source.clone(),
        environment,
        by: who(),
        cwd: std::env::current_dir().map_err(Stop::internal)?.to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rehearsed,
        ..Opened::default()
    };
    let state = RunState { opened, ..RunState::default() };
    say_bytes(print::plan(&book, &state).as_bytes());
    Ok(code::DONE)
}
