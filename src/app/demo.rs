//! `gonogo demo`: a maintenance window on SQLite with a live service beside it, nothing to set up.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::open::{self, Order};
use crate::app::{Done, Stop, headless, terminal};
use crate::cli::DemoArgs;
use crate::journal::{RunDir, holder};
use crate::run::event::{Mode, Statement};
use crate::run::{Facts, Fault, Outcome, Verdict};
use crate::runbook::{Secret, TargetSpec, sql};
use crate::target::{SqlJob, Target};

/// The demo's files, carried in the program.
const FILES: [(&str, &str); 3] = [
    ("runbook.toml", include_str!("../../runbooks/demo/runbook.toml")),
    ("sql/01_add_currency.sql", include_str!("../../runbooks/demo/sql/01_add_currency.sql")),
    ("sql/01_down.sql", include_str!("../../runbooks/demo/sql/01_down.sql")),
];
const FIXTURE: &str = include_str!("../../runbooks/demo/fixture.sql");

/// About twenty orders a second.
const PACE: Duration = Duration::from_millis(50);
/// The service gives up after this long whatever happens: a demo must not leave a process behind.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How often it looks whether the run still lives, and how often "no" must be the answer.
const LOOK: u32 = 20;
const GONE: u32 = 5;

pub async fn demo(args: DemoArgs) -> Done {
    terminal::need(args.headless.headless)?;
    let answers = headless::answers(&args.headless)?;
    let folder = unpack()?;
    let mut set: BTreeMap<String, String> = args.set.iter().cloned().collect();
    set.entry("dir".to_owned()).or_insert_with(|| folder.to_string_lossy().into_owned());
    build(&folder).await?;
    let order = Order {
        runbook: &folder,
        env: Some("demo"),
        set,
        mode: Mode::Live,
        journal: args.place.journal.as_deref(),
        cwd: folder.clone(),
        approvals: None,
        unrehearsed: None,
        answers: &answers,
    };
    let dir = open::create(&order).await?;
    start_service(&folder, &dir)?;
    open::go(&dir, &args.headless, answers, &args.look, &args.place, 0).await
}

/// A folder of its own for this demo, with the runbook in it.
fn unpack() -> Result<PathBuf, Stop> {
    let random = uuid::Uuid::now_v7().simple().to_string();
    let folder = std::env::temp_dir().join(format!("gonogo-demo-{}", &random[random.len() - 8..]));
    std::fs::create_dir(&folder).map_err(|error| cannot("make", &folder, &error))?;
    std::fs::create_dir(folder.join("sql")).map_err(|error| cannot("make", &folder, &error))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(folder)
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Stop {
    Stop::internal(format!("cannot {what} {}: {error}", path.display()))
}

/// The shop's database, as it is before the window.
async fn build(folder: &Path) -> Result<(), Stop> {
    let shop = shop(folder, "?mode=rwc").await?;
    let parts = sql::split(FIXTURE, sql::Dialect::Sqlite).map_err(Stop::internal)?;
    let statements = parts.into_iter().map(|part| Statement { sql: part.sql, line: part.line }).collect();
    match write(&shop, statements).await {
        Outcome::Done { .. } => Ok(()),
        other => Err(Stop::internal(format!("the demo's database could not be built: {other:?}"))),
    }
}

async fn shop(folder: &Path, options: &str) -> Result<Target, Stop> {
    let url = format!("sqlite:{}{options}", folder.join("shop.db").display());
    let spec = TargetSpec {
        lock_timeout: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(5),
        ..TargetSpec::new(Secret::Plain(url.clone()))
    };
    Target::open("shop", &spec, url.into(), "demo service").await.map_err(Stop::internal)
}

async fn write(shop: &Target, statements: Vec<Statement>) -> Outcome {
    let (out, mut unheard) = mpsc::channel(64);
    tokio::spawn(async move { while unheard.recv().await.is_some() {} });
    let judge = |_: &Facts| -> Result<Option<Verdict>, Fault> { Ok(None) };
    let job = SqlJob::plain("demo service", &statements, true);
    shop.run(&job, &out, &judge, CancellationToken::new()).await
}

/// The service is a process of its own, so that it lives exactly as long as the run, whatever becomes of the screen.
fn start_service(folder: &Path, dir: &RunDir) -> Result<(), Stop> {
    std::fs::write(folder.join("run"), dir.path().to_string_lossy().as_bytes())
        .map_err(|error| cannot("write", folder, &error))?;
    let program = std::env::current_exe().map_err(Stop::internal)?;
    Command::new(program)
        .arg("demo-load")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Stop::internal)?;
    Ok(())
}

/// The service: takes orders as a real one would, and logs each with the status it got.
pub async fn load(folder: &Path) -> Done {
    // Fails only where we lead a session already, which is as good.
    let _ = rustix::process::setsid();
    let run = std::fs::read_to_string(folder.join("run")).map_err(|error| cannot("read", folder, &error))?;
    let dir = RunDir::at(Path::new(&run)).map_err(Stop::internal)?;
    let shop = shop(folder, "").await?;
    let path = folder.join("access.log");
    let mut log =
        OpenOptions::new().create(true).append(true).open(&path).map_err(|error| cannot("write", &path, &error))?;
    let started = tokio::time::Instant::now();
    let mut pace = tokio::time::interval(PACE);
    let mut gone = 0;
    for n in 0u32.. {
        pace.tick().await;
        if n % LOOK == LOOK - 1 {
            gone = if matches!(holder(&dir), Ok(None)) { gone + 1 } else { 0 };
            if gone >= GONE || started.elapsed() > LONGEST {
                return Ok(super::code::DONE);
            }
        }
        let line = order(&shop, n).await;
        log.write_all(line.as_bytes()).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(super::code::DONE)
}

/// One order, and the line of the access log it makes.
async fn order(shop: &Target, n: u32) -> String {
    let began = std::time::Instant::now();
    let sql = format!("insert into orders (customer, amount_cents) values ('customer {}', {})", n % 40, 500 + n % 900);
    let status = match write(shop, vec![Statement { sql, line: 1 }]).await {
        Outcome::Done { .. } => 201,
        _ => 500,
    };
    let at = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("{at} POST /orders {status} {} ms\n", began.elapsed().as_millis())
}
