//! The command line: names, options, help. What a command does is `app`'s.

mod check;
mod draft;
mod words;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::words::{ANSWERS, REPLAY, RESUME, RUNS};

pub use check::{CheckArgs, Least};
pub use draft::{ImportArgs, InitArgs};

#[derive(Debug, Parser)]
#[command(name = "gonogo", version, about, long_about = LONG, after_help = CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Cmd,
}

const LONG: &str = "Walks an operator through a production maintenance window: a TOML runbook with timed phases, \
checklists, SQL, commands, probes and rollback triggers; every fact journaled, so that a run survives kill -9 and a \
lost connection and can be replayed as it looked.\n\nStart with: gonogo demo";

const CODES: &str = "Exit codes: 0 done · 1 failed · 2 usage · 3 bad runbook · 4 held, can be resumed · 5 rolled back · \
6 refused by a guard · 7 internal error · 128+n screen ended by signal n, the run goes on";

#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Run a runbook against one of its environments
    #[command(after_help = "Example: gonogo run runbooks/week1-wednesday --env staging")]
    Run(LiveArgs),
    /// Rehearse: forward, roll back, forward again; refused on a protected environment
    #[command(after_help = "Example: gonogo rehearse runbooks/week1-wednesday --env staging")]
    Rehearse(RunArgs),
    /// Take up a run that was held, or whose engine died
    #[command(after_help = RESUME)]
    Resume(ResumeArgs),
    /// Say whether a step in doubt was done, where no screen is at hand
    #[command(after_help = "Example: gonogo settle last backup not-done --reason 'no file in /backup'")]
    Settle(SettleArgs),
    /// Change the pace of a step that works in batches, while it runs
    #[command(after_help = "Example: gonogo retune last fill --batch 200ms --pause 0")]
    Retune(RetuneArgs),
    /// Bring back the screen of a run whose engine is running
    #[command(after_help = "Example: gonogo attach last")]
    Attach(LiveRun),
    /// Look on while somebody else runs it; no key here can change the run
    #[command(after_help = "Example: gonogo watch last")]
    Watch(LiveRun),
    /// Play a run again on the same screen, at the times of then
    #[command(after_help = REPLAY)]
    Replay(ReplayArgs),
    /// Print the post-mortem report of a run
    #[command(after_help = "Example: gonogo report last --format json")]
    Report(ReportArgs),
    /// List the runs in the journal
    #[command(after_help = RUNS)]
    Runs(RunsArgs),
    /// What remains to be done after the runs in the journal, the earliest first
    #[command(after_help = "Example: gonogo followups --due")]
    Followups(FollowupsArgs),
    /// Check runbooks: every mistake and every hazard at once, with its place and what to do instead
    #[command(
        after_help = "Examples: gonogo check --strict runbooks/*/runbook.toml\n          gonogo check runbooks/week1-wednesday \
                      --env staging"
    )]
    Check(CheckArgs),
    /// Write a new runbook around a folder of SQL files; asks, or takes flags and --yes
    #[command(after_help = "Example: gonogo init windows/add-currency --from sql --yes")]
    Init(InitArgs),
    /// Make the draft of a runbook of a Markdown guide; says what became of every line
    #[command(after_help = "Example: gonogo import MIGRATION_GUIDE.md -o windows/migration")]
    Import(ImportArgs),
    /// Print the JSON Schema of runbooks, for editors
    #[command(after_help = "Example: gonogo schema > runbook.schema.json")]
    Schema,
    /// Print what a run would do: every step as it would be sent, and how it is taken back; touches nothing
    #[command(after_help = "Example: gonogo plan runbooks/week1-wednesday --env staging")]
    Plan(PlanArgs),
    /// Say that a runbook may run in an environment that wants several people's word; holds for 24 hours
    #[command(after_help = "Example: gonogo approve runbooks/week1-wednesday --env production")]
    Approve(ApproveArgs),
    /// Verify the hash chain of a run's journal; names the first bad entry
    #[command(after_help = "Example: gonogo audit last")]
    Audit(AuditArgs),
    /// Show, make or drop the ledger of a runbook's targets: the rows that prove what committed
    #[command(after_help = "Example: gonogo ledger create runbooks/week1-wednesday --env staging")]
    Ledger(LedgerArgs),
    /// The databases that runbooks are known to work on; forget one that truly moved
    #[command(after_help = "Example: gonogo targets forget week1-wednesday --env staging")]
    Targets(TargetsArgs),
    /// Walk through a small maintenance window on SQLite; nothing to set up
    #[command(after_help = "Example: gonogo demo --set fault=true")]
    Demo(DemoArgs),
    /// Print shell completions
    #[command(after_help = "Example: gonogo completions bash > ~/.local/share/bash-completion/completions/gonogo")]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    #[command(after_help = "Example: gonogo man | man -l -")]
    Man,
    /// The process that holds a run; started by `run` and `resume`
    #[command(hide = true)]
    Engine { run_dir: PathBuf },
    /// Watches over one command of a step, and outlives the engine that started it
    #[command(hide = true)]
    Shim(ShimArgs),
    /// Takes a backup or restores one, by the order on its standard input; started under a shim
    #[command(hide = true)]
    Worker,
    /// The demo's service: orders written to its database, an access log written beside it
    #[command(hide = true)]
    DemoLoad { folder: PathBuf },
}

#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The folder that keeps the runs [default: gonogo/runs in the XDG state folder]
    #[arg(long, value_name = "PATH", env = "GONOGO_JOURNAL", global = true)]
    pub journal: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct Headless {
    /// No screen: one line per entry on standard output
    #[arg(long, visible_alias = "no-tui")]
    pub headless: bool,
    /// With --headless: one JSON object per entry
    #[arg(long, requires = "headless")]
    pub json: bool,
    /// With --headless: start every step, tick every box that wants no words, vote go
    #[arg(long, short = 'y', requires = "headless")]
    pub yes: bool,
    #[arg(long, value_name = "FILE.toml", requires = "headless", help = format!("With --headless: {ANSWERS}"))]
    pub answers: Option<PathBuf>,
    /// With --headless: the name of a protected environment's database and the last four digits of its server's number
    #[arg(long, value_name = "DATABASE_NAME DIGITS", requires = "headless")]
    pub confirm: Option<String>,
    /// With --headless: the name of a database that is to be taken from a run that has not ended
    #[arg(long, value_name = "DATABASE_NAME", requires = "headless")]
    pub take_over: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Look {
    /// Colours [default: dark; mono where NO_COLOR is set]
    #[arg(long, value_enum)]
    pub theme: Option<Theme>,
    /// Draw with ASCII only
    #[arg(long)]
    pub ascii: bool,
    /// No moving parts: no spinner
    #[arg(long)]
    pub still: bool,
    /// Leave the mouse to the terminal (native selection)
    #[arg(long)]
    pub no_mouse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    Dark,
    Light,
    Mono,
}

#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// The folder that keeps people's approvals: one that all of them may write to
    #[arg(long, value_name = "PATH", env = "GONOGO_APPROVALS")]
    pub approvals: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The runbook: its folder or its runbook.toml
    pub runbook: PathBuf,
    /// The environment of the runbook to run in
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Override a variable of the runbook
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    #[command(flatten)]
    pub shared: Shared,
    #[command(flatten)]
    pub headless: Headless,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub look: Look,
}

#[derive(Clone, Debug, Args)]
pub struct LiveArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Why it may run without the rehearsal that its environment wants; journaled
    #[arg(long, value_name = "REASON")]
    pub unrehearsed: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    /// The runbook: its folder or its runbook.toml
    pub runbook: PathBuf,
    /// The environment of the runbook
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Override a variable of the runbook: an approval holds for these values alone
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Words that go with it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Do not ask for the runbook's id
    #[arg(long, short = 'y')]
    pub yes: bool,
    #[command(flatten)]
    pub shared: Shared,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// With --headless: try the step that failed once more, and go on if it is done then
    #[arg(long, requires = "headless")]
    pub retry: bool,
    /// With --headless: go back, for this reason, by the undo of every step or by the plan of --plan
    #[arg(long, value_name = "REASON", requires = "headless", conflicts_with = "retry")]
    pub roll_back: Option<String>,
    /// The rollback plan of the runbook by which --roll-back goes
    #[arg(long, value_name = "NAME", requires = "roll_back")]
    pub plan: Option<String>,
    /// With --headless: end the run where it stands, for this reason; nothing is taken back
    #[arg(long, value_name = "REASON", requires = "headless", conflicts_with_all = ["retry", "roll_back"])]
    pub give_up: Option<String>,
    /// With --headless: tell the entries of before as well
    #[arg(long, requires = "headless")]
    pub log: bool,
    #[command(flatten)]
    pub headless: Headless,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub look: Look,
}

/// What a person says of an attempt in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Said {
    Done,
    NotDone,
}

#[derive(Clone, Debug, Args)]
pub struct SettleArgs {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// The step whose outcome is in doubt
    pub step: String,
    /// What became of it: look before you say it
    #[arg(value_enum)]
    pub said: Said,
    /// How you know; kept in the journal as your claim
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// It is the undo of the step that is in doubt
    #[arg(long)]
    pub by_undo: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("pace").required(true).multiple(true))]
pub struct RetuneArgs {
    /// The run: its id, an unambiguous beginning of it, or `last`
    pub run: String,
    /// The step that works in batches
    pub step: String,
    /// Keys of each batch (2000), or the time each may take (200ms)
    #[arg(long, value_name = "KEYS|TIME", group = "pace")]
    pub batch: Option<String>,
    /// The pause between two batches (100ms, 0)
    #[arg(long, value_name = "TIME", group = "pace")]
    pub pause: Option<String>,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
pub struct LiveRun {
    /// The run: its id, a beginning of it, or `last` (the newest) [default: the one whose engine lives]
    pub run: Option<String>,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub look: Look,
}

#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The run: its id, an unambiguous beginning of it, `last`, or the path of its journal
    #[arg(default_value = "last")]
    pub run: String,
    /// How many times faster than it was
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    pub speed: f64,
    /// Of a damaged journal: only the entries before the first bad one
    #[arg(long)]
    pub valid_prefix: bool,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Md,
    Json,
}

#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The run: its id, an unambiguous beginning of it, `last`, or the path of its journal
    #[arg(default_value = "last")]
    pub run: String,
    #[arg(long, value_enum, default_value = "md")]
    pub format: ReportFormat,
    /// Write to a new file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of a damaged journal: only the entries before the first bad one
    #[arg(long)]
    pub valid_prefix: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
pub struct FollowupsArgs {
    /// Only what is due by now
    #[arg(long)]
    pub due: bool,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// The runbook: its folder or its runbook.toml
    pub runbook: PathBuf,
    /// The environment of the runbook
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Override a variable of the runbook
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// The run: its id, an unambiguous beginning of it, `last`, or the path of its journal
    #[arg(default_value = "last")]
    pub run: String,
    /// The journal's end as a report, a screen or a target's ledger knew it: a later edit or a cut tail is evident
    #[arg(long, value_name = "COUNT:HASH")]
    pub anchor: Option<String>,
    /// Of a damaged journal: also say the anchor of the entries before the first bad one
    #[arg(long)]
    pub valid_prefix: bool,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LedgerAct {
    /// Whether there is one, whose it is, and which runs have not ended
    Show,
    /// Make it: exactly the statements that `show` prints
    Create,
    /// Take it away, with every proof in it
    Drop,
}

#[derive(Clone, Debug, Args)]
pub struct LedgerArgs {
    #[arg(value_enum)]
    pub act: LedgerAct,
    /// The runbook: its folder or its runbook.toml
    pub runbook: PathBuf,
    /// The environment of the runbook
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Only this target [default: all of the environment]
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Do not ask for the database's name
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Drop it although a run has not ended
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Debug, Args)]
pub struct TargetsArgs {
    #[command(subcommand)]
    pub act: TargetsCmd,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Clone, Debug, Subcommand)]
pub enum TargetsCmd {
    /// Every database that is known, and by which runbook
    List,
    /// Forget a runbook's databases: the next run looks at them as if for the first time
    Forget {
        /// The runbook's id
        runbook: String,
        /// Only those of this environment
        #[arg(long, value_name = "ENV")]
        env: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct ShimArgs {
    /// The attempt's folder
    pub folder: PathBuf,
    /// How long the command may take, in milliseconds
    #[arg(long)]
    pub timeout: Option<u64>,
    /// From TERM to KILL, in milliseconds
    #[arg(long, default_value_t = 10_000)]
    pub grace: u64,
    /// How long output is read after the command's end, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    pub drain: u64,
    /// Program and arguments
    #[arg(last = true)]
    pub argv: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Override a variable of the demo, as `fault=true`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    #[command(flatten)]
    pub headless: Headless,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub look: Look,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
