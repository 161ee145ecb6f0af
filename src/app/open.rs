//! `gonogo run`, `rehearse`, `resume`: from a runbook or a journal to a running engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::app::{Done, Stop, approve, code, engine, headless, reach, rehearsed, say_error, screen, terminal, who};
use crate::cli::{Headless, Look, ResumeArgs, RunArgs, Where};
use crate::engine::clock::RunClock;
use crate::engine::secrets;
use crate::journal::{Home, RunDir, Wanted, Writer};
use crate::link::{Client, LinkError};
use crate::run::autopilot::Answers;
use crate::run::event::{FORMAT, Mode, Opened};
use crate::run::{CommandVerb, Event};
use crate::runbook::{self, Runbook, clean};

/// A run to be opened.
pub struct Order<'a> {
    pub runbook: &'a Path,
    pub env: Option<&'a str>,
    pub set: BTreeMap<String, String>,
    pub mode: Mode,
    pub journal: Option<&'a Path>,
    /// The folder relative paths of commands start from.
    pub cwd: PathBuf,
    /// The folder that keeps people's approvals.
    pub approvals: Option<&'a Path>,
    /// Why it may run without the rehearsal that its environment wants.
    pub unrehearsed: Option<&'a str>,
    /// What may be answered without a person; it must fit the runbook.
    pub answers: &'a Answers,
}

/// `unrehearsed`: why it may run without the rehearsal that its environment wants.
pub async fn run(args: RunArgs, mode: Mode, unrehearsed: Option<&str>) -> Done {
    terminal::need(args.headless.headless)?;
    let answers = headless::answers(&args.headless)?;
    let order = Order {
        runbook: &args.runbook,
        env: args.env.as_deref(),
        set: args.set.iter().cloned().collect(),
        mode,
        journal: args.place.journal.as_deref(),
        cwd: std::env::current_dir().map_err(Stop::internal)?,
        approvals: args.shared.approvals.as_deref(),
        unrehearsed,
        answers: &answers,
    };
    let dir = create(&order).await?;
    go(&dir, &args.headless, answers, &args.look, &args.place, 0).await
}

/// Runs an opened run: without a screen in this process, else in an engine of its own with a screen here.
/// `known`: the last entry that lines without a screen need not tell again.
pub async fn go(dir: &RunDir, headless: &Headless, answers: Answers, look: &Look, place: &Where, known: u64) -> Done {
    if headless.headless {
        return headless::hold(dir, answers, headless.json, named(place).as_deref(), known).await;
    }
    match start_engine(dir).await? {
        Some(client) => screen::live(dir, look, client).await,
        None => screen::over(dir).await,
    }
}

pub async fn resume(args: ResumeArgs) -> Done {
    terminal::need(args.headless.headless)?;
    let home = Home::new(args.place.journal.as_deref()).map_err(usage)?;
    let dir = home.find_wanted(&args.run, Wanted::Unended).await.map_err(usage)?;
    let (_, state) = super::past::fold(&dir).await?;
    if let Some((_, reason, _)) = &state.ended {
        return Err(Stop::new(
            code::USAGE,
            format!("run {} has ended ({reason}); there is nothing to resume", dir.id()),
        ));
    }
    let answers = Answers { retry: args.retry, word: word(&args), ..headless::answers(&args.headless)? };
    if let Some(holder) = crate::journal::holder(&dir).map_err(usage)? {
        if args.headless.headless {
            // One that lives and cannot be called is told as that: attach would only say the same.
            let unheard =
                reach::engine(&dir, true).await.err().filter(|error| matches!(error, LinkError::Unheard { .. }));
            let held = || format!("run {} is being run by {holder}; use gonogo attach {}", dir.id(), dir.id());
            return Err(Stop::new(code::REFUSED, unheard.map_or_else(held, |error| error.to_string())));
        }
        return screen::attach_to(&dir, &args.look, true).await;
    }
    let known = if args.log { 0 } else { state.seq };
    go(&dir, &args.headless, answers, &args.look, &args.place, known).await
}

/// What is said first of all of a held run.
fn word(args: &ResumeArgs) -> Option<CommandVerb> {
    let back = args.roll_back.clone().map(|reason| CommandVerb::Rollback { plan: args.plan.clone(), reason });
    back.or_else(|| args.give_up.clone().map(|reason| CommandVerb::Abandon { reason }))
}

/// The folder of runs as it must be named again; none where it is the usual one, or the environment's.
pub fn named(place: &Where) -> Option<String> {
    let path = place.journal.as_ref()?;
    let usual = std::env::var_os("GONOGO_JOURNAL").is_some_and(|usual| usual == path.as_os_str());
    (!usual).then(|| path.to_string_lossy().into_owned())
}

/// Checks everything that can be checked without touching a target, then writes the run's first entry.
pub async fn create(order: &Order<'_>) -> Result<RunDir, Stop> {
    let book = load(order)?;
    fit(order.answers, &book)?;
    let environment = environment(&book, order.env)?;
    super::check::before_a_run(&book, &environment)?;
    handed(&book, &environment)?;
    report_folder(&book, &order.cwd);
    if order.mode == Mode::Rehearsal && book.environment(&environment).is_some_and(|env| env.protected) {
        let words =
            format!("environment {environment} is protected: a rehearsal rolls back and forth, so it is refused there");
        return Err(Stop::new(code::REFUSED, words));
    }
    let home = Home::new(order.journal).map_err(usage)?;
    let clock = RunClock::start();
    let set = runbook::typed_set(&book, &order.set);
    let approvals = match order.mode {
        Mode::Live => approve::needed(order.approvals, &book, &environment, &set, order.runbook)?,
        Mode::Rehearsal => Vec::new(),
    };
    let rehearsed = match order.mode {
        Mode::Live => rehearsed::last(&home, &book).await,
        Mode::Rehearsal => None,
    };
    let unrehearsed = rehearsed::needed(order, &book, &environment, rehearsed.as_ref())?;
    let opened = Opened {
        format: FORMAT,
        run: run_id(&book, clock.now()),
        mode: order.mode,
        set,
        source: book.source,
        environment,
        by: who(),
        cwd: order.cwd.to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rehearsed,
        approvals,
        unrehearsed,
    };
    let mut writer = Writer::create(&home, &opened.run).await.map_err(usage)?;
    let dir = writer.dir().clone();
    let first = Event::RunOpened(Box::new(opened));
    writer.append(vec![(clock.now(), first)]).await.map_err(Stop::internal)?;
    writer.close().await.map_err(Stop::internal)?;
    Ok(dir)
}

/// What steps hand to their commands is looked for now, not in the night.
fn handed(book: &Runbook, environment: &str) -> Result<(), Stop> {
    let missing: Vec<String> =
        book.handed(environment).into_iter().filter_map(|name| secrets::handed(name).err()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Stop::new(code::USAGE, missing.join("\n"))) }
}

/// A report that would have nowhere to go is said now, not after the window. A step may still make the folder.
fn report_folder(book: &Runbook, cwd: &Path) {
    let folder = book.report.as_deref().and_then(|path| Path::new(path).parent()).map(|folder| cwd.join(folder));
    let named = |folder: &PathBuf| !folder.to_string_lossy().contains(['{', '}']);
    if let Some(folder) = folder.filter(named).filter(|folder| !folder.is_dir()) {
        let folder = clean::line(&folder.to_string_lossy(), 400);
        say_error(&format!(
            "the promised report has no folder to be written to: {folder} is not there; make it before the run ends: mkdir -p {}",
            clean::word(&folder)
        ));
    }
}

fn load(order: &Order<'_>) -> Result<Runbook, Stop> {
    load_runbook(order.runbook, &order.set)
}

pub fn load_runbook(path: &Path, set: &BTreeMap<String, String>) -> Result<Runbook, Stop> {
    runbook::load(path, set)
        .map_err(|problems| Stop::new(code::BAD_RUNBOOK, problems.render(terminal::colour_on_stderr())))
}

/// Answers to questions that nobody asks are a mistake that would show only in the night.
fn fit(answers: &Answers, book: &Runbook) -> Result<(), Stop> {
    let wrong = answers.unfit(book);
    if wrong.is_empty() { Ok(()) } else { Err(Stop::new(code::USAGE, wrong.join("\n"))) }
}

/// The environment named, or the only one there is.
pub fn environment(book: &Runbook, named: Option<&str>) -> Result<String, Stop> {
    let known: Vec<&str> = book.environments.iter().map(|env| env.name.as_str()).collect();
    match (named, known.as_slice()) {
        (Some(name), _) if known.contains(&name) => Ok(name.to_owned()),
        (Some(name), _) => {
            let words = format!("this runbook has no environment {name:?}; it has {}", known.join(", "));
            Err(Stop::new(code::USAGE, words))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => Err(Stop::new(code::USAGE, format!("say which environment: --env {}", known.join(" or --env ")))),
    }
}

/// `week1-wednesday-20261121-034107-k3f9`: to be read, typed and sorted.
fn run_id(book: &Runbook, at: crate::run::Moment) -> String {
    let random = uuid::Uuid::now_v7().simple().to_string();
    format!("{}{}-{}", run_name(book), at.wall.format("%Y%m%d-%H%M%S"), &random[random.len() - 4..])
}

/// How the names of a runbook's runs begin.
pub fn run_name(book: &Runbook) -> String {
    let name: String = book.id.chars().take(40).collect();
    format!("{name}-")
}

/// Starts the engine as a process of its own, detached from this terminal, and calls it until it answers. None: it brought
/// the run to its end, or to where a person must come, before it was called.
async fn start_engine(dir: &RunDir) -> Result<Option<Client>, Stop> {
    let log = dir.open_log().map_err(Stop::internal)?;
    let said = log.metadata().map_or(0, |log| log.len());
    let program = std::env::current_exe().map_err(Stop::internal)?;
    let mut child = Command::new(program)
        .arg("engine")
        .arg(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(Stop::internal)?;
    for _ in 0..200 {
        if let Ok(client) = Client::connect(dir.path(), &who(), false).await {
            return Ok(Some(client));
        }
        if let Ok(Some(status)) = child.try_wait() {
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(code::INTERNAL);
            if matches!(code, code::DONE | code::FAILED | code::HELD | code::ROLLED_BACK) {
                return Ok(None);
            }
            return Err(Stop::new(code, format!("the engine ended at once: {}", engine::last_words(dir, said))));
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    Err(Stop::new(code::INTERNAL, format!("the engine does not answer: {}", engine::last_words(dir, said))))
}

pub fn usage(error: impl std::fmt::Display) -> Stop {
    Stop::new(code::USAGE, error)
}
