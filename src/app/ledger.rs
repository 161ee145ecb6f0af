//! `gonogo ledger`: shows, makes and drops the ledger of an environment's targets, statement by statement.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::open::{environment, load_runbook, usage};
use crate::app::{Done, Stop, code, say, who};
use crate::cli::{LedgerAct, LedgerArgs};
use crate::engine::doors::Doors;
use crate::run::event::{FORMAT, Opened};
use crate::run::{RunState, clean, words};
use crate::target::{LedgerState, Target};

/// A target of the environment, reached.
struct Seen {
    name: String,
    database: String,
    target: Target,
    state: LedgerState,
    environment: String,
}

pub async fn ledger(args: &LedgerArgs) -> Done {
    let seen = reach(args).await?;
    for one in &seen {
        match &args.act {
            LedgerAct::Show => show(one).await?,
            LedgerAct::Create => create(one, args.yes).await?,
            LedgerAct::Drop => drop(one, args).await?,
        }
    }
    Ok(code::DONE)
}

/// Every target that is asked for; nothing is begun where one of them cannot be reached.
async fn reach(args: &LedgerArgs) -> Result<Vec<Seen>, Stop> {
    let book = Arc::new(load_runbook(&args.runbook, &Default::default())?);
    let environment = environment(&book, args.env.as_deref())?;
    let opened = Opened {
        format: FORMAT,
        run: "ledger".to_owned(),
        environment: environment.clone(),
        by: who(),
        cwd: std::env::current_dir().map_err(Stop::internal)?.to_string_lossy().into_owned(),
        ..Opened::default()
    };
    let state = RunState { opened, ..RunState::default() };
    let (reports, _nobody) = mpsc::channel(1);
    let doors = Doors::new(book.clone(), &state, Default::default(), who(), reports, CancellationToken::new());
    let all = book.environment(&environment).map(|env| env.targets.as_slice()).unwrap_or_default();
    let asked = all.iter().filter(|(name, _)| args.target.as_ref().is_none_or(|only| only == name));
    let mut seen = Vec::new();
    for (name, _) in asked {
        let target = doors.connect(name).await.map_err(usage)?;
        let print = target.fingerprint().await.map_err(usage)?;
        say(&format!("{name}: {}", words::fingerprint(&print)));
        let state = target.ledger_state().await.map_err(usage)?;
        let (name, environment) = (name.clone(), environment.clone());
        seen.push(Seen { name, database: print.database, target, state, environment });
    }
    if seen.is_empty() {
        let known: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let words = format!("environment {environment} has no such target; it has: {}", known.join(", "));
        return Err(Stop::new(code::USAGE, words));
    }
    Ok(seen)
}

async fn show(seen: &Seen) -> Result<(), Stop> {
    match &seen.state {
        LedgerState::Absent => {
            say("  no ledger: what commits is proved by its transaction number only. gonogo ledger create sends this:");
            ddl(seen);
        }
        LedgerState::Unusable { why } => say(&format!("  not usable: {}", words::phrase(why))),
        LedgerState::Ready { environment } => {
            let mark = environment.as_deref().map_or_else(|| "no environment".to_owned(), words::name);
            let place = if seen.target.is_sqlite() { "tables gonogo_…" } else { "schema gonogo" };
            say(&format!("  ledger in {place}, marked as {mark}"));
            let runs = seen.target.ledger_runs().await.map_err(usage)?;
            if runs.is_empty() {
                say("  every run that it knows has ended");
            }
            for run in runs {
                say(&format!("  run {run}"));
            }
        }
    }
    Ok(())
}

fn ddl(seen: &Seen) {
    for sql in seen.target.ledger_schema() {
        say(&format!("    {};", sql.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let mark = seen.environment.replace('\'', "''");
    let about = if seen.target.is_sqlite() {
        "gonogo_about (one, version, environment) values (1, 1"
    } else {
        "gonogo.about (version, environment) values (1"
    };
    say(&format!("    insert into {about}, '{}');", clean::line(&mark, 120)));
}

async fn create(seen: &Seen, yes: bool) -> Result<(), Stop> {
    match &seen.state {
        LedgerState::Absent => {}
        LedgerState::Ready { .. } => {
            say("  it has its ledger already");
            return Ok(());
        }
        LedgerState::Unusable { why } => return Err(Stop::new(code::REFUSED, format!("{}: {why}", seen.name))),
    }
    say("  this is sent, in one transaction:");
    ddl(seen);
    consent(seen, yes)?;
    seen.target.create_ledger(&seen.environment).await.map_err(usage)?;
    say("  made. gonogo ledger drop removes it");
    if !seen.target.is_sqlite() {
        say(
            "  a role that did not make it also needs usage on the schema gonogo, and select, insert, update on its tables",
        );
    }
    Ok(())
}

async fn drop(seen: &Seen, args: &LedgerArgs) -> Result<(), Stop> {
    if seen.state == LedgerState::Absent {
        say("  it has no ledger");
        return Ok(());
    }
    let runs = match seen.state {
        LedgerState::Ready { .. } => seen.target.ledger_runs().await.map_err(usage)?,
        _ => Vec::new(),
    };
    if !runs.is_empty() && !args.force {
        let words = format!(
            "{}: its ledger proves what runs did that have not ended ({}). Nothing was dropped; end them first, or say \
             --force",
            seen.name,
            runs.join("; ")
        );
        return Err(Stop::new(code::REFUSED, words));
    }
    say(&format!("  this is sent: {};", seen.target.ledger_drop().join("; ")));
    consent(seen, args.yes)?;
    seen.target.drop_ledger().await.map_err(usage)?;
    say("  dropped, with every proof in it");
    Ok(())
}

/// The database's name, typed by a person; `--yes` stands for it.
fn consent(seen: &Seen, yes: bool) -> Result<(), Stop> {
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Stop::new(code::USAGE, "nobody is there to type the database's name: say --yes"));
    }
    say(&format!("  type the name of the database to go on: {}", clean::line(&seen.database, 80)));
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(Stop::internal)?;
    if line.trim() == seen.database {
        return Ok(());
    }
    Err(Stop::new(code::REFUSED, "that is not its name; nothing was changed"))
}
