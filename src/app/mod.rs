//! One function per command: joins the rooms, has no rules of its own.

mod approve;
mod audit;
mod check;
mod check_env;
mod demo;
mod drafted;
mod editor;
mod engine;
mod followups;
mod headless;
mod import;
mod init;
mod ledger;
mod open;
mod past;
mod plan;
mod reach;
mod rehearsed;
mod replay;
mod retune;
mod schema;
mod screen;
mod settle;
mod shim;
mod targets;
mod terminal;
mod worker;

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::CommandFactory;
use color_eyre::eyre::Report;

use crate::cli::{Cli, Cmd};

/// The exit codes that the README documents.
pub mod code {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const BAD_RUNBOOK: u8 = 3;
    pub const HELD: u8 = 4;
    pub const ROLLED_BACK: u8 = 5;
    pub const REFUSED: u8 = 6;
    pub const INTERNAL: u8 = 7;
    /// Plus the number of the signal that ended the screen.
    pub const SIGNAL: u8 = 128;
}

/// What an operator is told when a command cannot do its work: a sentence and an exit code, never a backtrace.
#[derive(Debug)]
pub struct Stop {
    pub code: u8,
    pub words: String,
}

impl Stop {
    pub fn new(code: u8, words: impl Display) -> Self {
        Self { code, words: words.to_string() }
    }

    pub fn internal(error: impl Display) -> Self {
        Self::new(code::INTERNAL, error)
    }
}

/// True once something could not be written to standard output: a report on a full disk is not done.
static UNSAID: AtomicBool = AtomicBool::new(false);

pub type Done = Result<u8, Stop>;

/// Runs a command to its exit code. `Err` is for mistakes in gonogo itself.
pub fn run(cli: Cli) -> Result<u8, Report> {
    let result = match cli.command {
        Cmd::Check(args) if args.env.is_none() => check::check(&args),
        Cmd::Approve(args) => approve::approve(&args),
        Cmd::Completions { shell } => completions(shell),
        Cmd::Man => man(),
        Cmd::Schema => schema::schema(),
        Cmd::Init(args) => init::init(&args),
        Cmd::Import(args) => import::import(&args),
        Cmd::Targets(args) => targets::targets(&args),
        Cmd::Shim(args) => shim::shim(args),
        Cmd::Worker => worker::worker(),
        command => runtime()?.block_on(with_runtime(command)),
    };
    let code = result.unwrap_or_else(|stop| {
        say_error(&stop.words);
        stop.code
    });
    let unsaid = UNSAID.load(Ordering::Relaxed);
    Ok(if unsaid && code == code::DONE { code::INTERNAL } else { code })
}

async fn with_runtime(command: Cmd) -> Done {
    match command {
        Cmd::Check(args) => check_env::check(&args).await,
        Cmd::Plan(args) => plan::plan(&args).await,
        Cmd::Run(args) => open::run(args.run, crate::run::event::Mode::Live, args.unrehearsed.as_deref()).await,
        Cmd::Rehearse(args) => open::run(args, crate::run::event::Mode::Rehearsal, None).await,
        Cmd::Resume(args) => open::resume(args).await,
        Cmd::Settle(args) => settle::settle(args).await,
        Cmd::Retune(args) => retune::retune(args).await,
        Cmd::Attach(args) => screen::attach(&args, true).await,
        Cmd::Watch(args) => screen::attach(&args, false).await,
        Cmd::Replay(args) => replay::replay(&args).await,
        Cmd::Report(args) => past::report(&args).await,
        Cmd::Runs(args) => past::runs(&args).await,
        Cmd::Followups(args) => followups::followups(&args).await,
        Cmd::Audit(args) => audit::audit(&args).await,
        Cmd::Demo(args) => demo::demo(args).await,
        Cmd::Ledger(args) => ledger::ledger(&args).await,
        Cmd::Engine { run_dir } => engine::engine(&run_dir).await,
        Cmd::DemoLoad { folder } => demo::load(&folder).await,
        Cmd::Approve(_)
        | Cmd::Schema
        | Cmd::Init(_)
        | Cmd::Import(_)
        | Cmd::Completions { .. }
        | Cmd::Man
        | Cmd::Targets(_)
        | Cmd::Shim(_)
        | Cmd::Worker => Ok(code::USAGE),
    }
}

/// Two threads do: one for the loop, one for what blocks it.
fn runtime() -> Result<tokio::runtime::Runtime, Report> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut buffer = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gonogo", &mut buffer);
    say_bytes(&buffer);
    Ok(code::DONE)
}

fn man() -> Done {
    let mut buffer = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut buffer).map_err(Stop::internal)?;
    say_bytes(&buffer);
    Ok(code::DONE)
}

/// A line on standard output. A closed pipe is no mistake of ours.
pub fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

pub fn say_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        say_error(&format!("standard output takes no more: {error}"));
        UNSAID.store(true, Ordering::Relaxed);
    }
}

/// A sentence on standard error.
pub fn say_error(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "gonogo: {}", words.trim_end());
}

/// `user@host` of this process, by the same look-up that an engine uses for its screens.
pub fn who() -> String {
    crate::link::own_name()
}

pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
