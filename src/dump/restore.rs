//! A restore: the archive is read whole first, then everything that is there goes and the archive comes, in one transaction
//! that is committed only when the rows are those of the backup.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::interval;

use super::backup::{differences, row};
use super::tools::Tools;
use super::{Desk, Failure, archive, process, say, script, tools};
use crate::run::Facts;
use crate::run::dump::{Known, Record, RestoreOrder, TableRows};
use crate::run::facts::FileFact;
use crate::runbook::dump::DumpFormat;
use crate::target::desk::{self, DeskError, Server};

/// How often somebody who is in the way is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// SQLite's result code, without its extensions, where somebody else has the lock.
const SQLITE_BUSY: i32 = 5;
const UNREAD: &str = "the archive cannot be read";

pub async fn run(desk: &Desk<'_>, order: &RestoreOrder) -> Result<(), Failure> {
    if let Some(database) = desk::sqlite_file(desk.env) {
        return sqlite(desk, order, database).await;
    }
    let Some(server_desk) = desk::Desk::of(desk.env)? else {
        return Err(Failure::said("the environment names no database", ""));
    };
    let path = PathBuf::from(&order.file);
    let format = archive::format(&path)?;
    let server = server_desk.server().await?;
    fit(&server, order, format)?;
    let tools = tools::find(desk.env, &server).await?;
    let file = same_file(order, &path).await?;
    archive::read_whole(&tools, &path, format).await?;
    say("the archive was read whole");
    let source = Source { tools: &tools, path: &path, format, list: list(desk, &tools, &server, &path, format).await? };
    let mut session = Session::start(&tools)?;
    let loaded = session.load(&server_desk, order, &source).await;
    let (tables, xid) = match loaded {
        Ok(loaded) => loaded,
        Err(cut) => return Err(session.failed(cut).await),
    };
    if let Some(known) = order.backup.as_ref().filter(|_| order.check_rows) {
        same_rows(known, &tables)?;
    }
    let facts = facts(&tables, file);
    desk.record(&Record::Finishing { xid: Some(xid), facts: facts.clone() })?;
    session.commit().await?;
    desk.record(&Record::Done { facts })
}

fn facts(tables: &[TableRows], file: FileFact) -> Box<Facts> {
    Box::new(Facts {
        value: Some(tables.iter().map(|table| table.rows).sum::<u64>().into()),
        rows: Some(tables.len() as u64),
        table: tables.iter().map(|table| row(table, None)).collect(),
        file: Some(file),
        ..Facts::default()
    })
}

/// The copy's content in the place of the file's own, by the file's own transaction.
async fn sqlite(desk: &Desk<'_>, order: &RestoreOrder, database: &str) -> Result<(), Failure> {
    let path = PathBuf::from(&order.file);
    let file = same_file(order, &path).await?;
    let replaced = desk::replace(database, &path, Duration::from_millis(order.lock_timeout_ms)).await?;
    say("the copy was read whole; everything is in its place");
    if let Some(known) = order.backup.as_ref().filter(|_| order.check_rows) {
        same_rows(known, &replaced.tables)?;
    }
    let facts = facts(&replaced.tables, file);
    desk.record(&Record::Finishing { xid: None, facts: facts.clone() })?;
    match replaced.commit().await.map_err(uncommitted) {
        Ok(()) => desk.record(&Record::Done { facts }),
        Err(open @ Failure::Open(_)) => Err(open),
        Err(failure) => {
            let fault = Box::new(failure.fault(super::NOTHING_COMMITTED));
            desk.record(&Record::Failed { fault: fault.clone() })?;
            Err(Failure::said(fault.summary, ""))
        }
    }
}

/// A file's COMMIT that came back with an error. Only one that could not get its lock has certainly done nothing: after an
/// error of the disk the next to open the file may find all of it.
fn uncommitted(error: DeskError) -> Failure {
    let code = error.code.as_deref().and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(SQLITE_BUSY) => error.into(),
        _ => Failure::Open(format!("COMMIT was sent, and then: {error}")),
    }
}

/// What makes the restore impossible, before anything is begun.
fn fit(server: &Server, order: &RestoreOrder, format: DumpFormat) -> Result<(), Failure> {
    if let Some(left_out) = order.backup.as_ref().map(|known| &known.left_out).filter(|names| !names.is_empty()) {
        let hint = "restore it by hand into another database, and take from there what is needed";
        let names = left_out.join(", ");
        return Err(Failure::said(format!("the backup left out the rows of {names}: they would be gone"), hint));
    }
    if !server.subscriptions.is_empty() {
        let names = server.subscriptions.join(", ");
        let hint = "drop them first, and make them again afterwards";
        return Err(Failure::said(
            format!("the database has subscriptions, which no transaction can drop: {names}"),
            hint,
        ));
    }
    let own: Vec<&String> = server.kept_schemas.iter().filter(|schema| *schema != "public").collect();
    if format == DumpFormat::Plain && !own.is_empty() {
        let hint = "use an archive of format custom or directory";
        return Err(Failure::said(
            format!("extensions live in schema {own:?}: a plain archive would make these schemas a second time"),
            hint,
        ));
    }
    Ok(())
}

/// The archive as a fact; refused where it is not the one that the run's backup has made.
async fn same_file(order: &RestoreOrder, path: &Path) -> Result<FileFact, Failure> {
    let file = archive::measure(path.to_owned(), order.file.clone()).await?;
    match &order.backup {
        Some(known) if known.sha256 != file.sha256 => Err(Failure::said(
            format!("{} is not the archive that {} has made: its SHA-256 is {}", order.file, known.step, file.sha256),
            "find out who changed it; another archive is restored by another name",
        )),
        Some(known) => {
            say(&format!("the archive is that of {}, taken at {}", known.step, known.taken));
            Ok(file)
        }
        None => Ok(file),
    }
}

fn same_rows(known: &Known, tables: &[TableRows]) -> Result<(), Failure> {
    let wrong = differences(&known.tables, tables);
    if wrong.is_empty() {
        say("every table has the rows of the backup");
        return Ok(());
    }
    let hint = "look at the tables named; check_rows = false leaves the comparison out";
    Err(Failure::said(format!("the rows are not those of the backup: {}", wrong.join("; ")), hint))
}

/// Where the SQL of the archive comes from.
struct Source<'a> {
    tools: &'a Tools,
    path: &'a Path,
    format: DumpFormat,
    /// The list of what is restored, where that is not all of it.
    list: Option<PathBuf>,
}

/// Schemas that stay are not made anew: extensions live in them, or the run's ledger.
async fn list(
    desk: &Desk<'_>,
    tools: &Tools,
    server: &Server,
    path: &Path,
    format: DumpFormat,
) -> Result<Option<PathBuf>, Failure> {
    if format == DumpFormat::Plain {
        return archive::has_large_objects(path)?.then(large_objects).map_or(Ok(None), Err);
    }
    let args = ["--list".to_owned(), path.display().to_string()];
    let all = process::output(&tools.program("pg_restore"), &args).await?;
    if script::lists_large_objects(&all) {
        return Err(large_objects());
    }
    let mut kept = server.kept_schemas.clone();
    kept.push("gonogo".to_owned());
    let file = desk.private("in-list");
    std::fs::write(&file, script::without_schemas(&all, &kept)).map_err(Failure::io("the list cannot be written"))?;
    Ok(Some(file))
}

/// Their part of an archive begins and commits transactions of its own, in the middle of ours.
fn large_objects() -> Failure {
    Failure::said(
        "the archive holds large objects, and those cannot be restored in one transaction with the rest",
        "nothing was touched; restore it by hand into another database: createdb NAME, pg_restore --exit-on-error -d NAME",
    )
}

/// Why a load ended before its time: whoever fell first tells the reason.
enum Cut {
    /// `psql`, or the server behind it.
    Session(Failure),
    /// Where the SQL comes from.
    Source(Failure),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Session(failure)
    }
}

/// A session of `psql` that is fed as the work goes on.
struct Session {
    psql: process::Running,
    input: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Session {
    fn start(tools: &Tools) -> Result<Self, Failure> {
        let args = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"].map(str::to_owned);
        let mut psql = process::start(&tools.program("psql"), &args, Stdio::piped(), Stdio::piped())?;
        let input = psql.child.stdin.take();
        let lines = psql.child.stdout.take().map(|out| BufReader::new(out).lines());
        Ok(Self { psql, input, lines })
    }

    /// Everything but COMMIT: the rows of every table, and the transaction's number.
    async fn load(
        &mut self,
        desk: &desk::Desk,
        order: &RestoreOrder,
        source: &Source<'_>,
    ) -> Result<(Vec<TableRows>, String), Cut> {
        self.send(&desk::work_key()).await?;
        self.send(&script::opening(order.lock_timeout_ms)).await?;
        self.locked(desk).await?;
        say("every table is locked; what is there is dropped, the archive is loaded");
        self.send(script::DROPS).await?;
        let (Some(input), Some(lines)) = (&mut self.input, &mut self.lines) else { return Err(ended().into()) };
        // What the server says meanwhile is read too, so that nobody waits for a full pipe.
        let feeding = async {
            feed(source, input).await?;
            input.write_all(script::CLOSING.as_bytes()).await.map_err(broken)?;
            input.flush().await.map_err(|error| Cut::from(broken(error)))
        };
        // At the first error: as long as its input is open, psql keeps every table locked, and waits.
        let read = async { Ok(ready(lines).await?) };
        tokio::try_join!(feeding, read).map(|((), read)| read)
    }

    async fn send(&mut self, sql: &str) -> Result<(), Failure> {
        let Some(input) = &mut self.input else { return Err(ended()) };
        input.write_all(sql.as_bytes()).await.map_err(broken)?;
        input.flush().await.map_err(broken)
    }

    /// Waits until every table is ours, and tells who stands in the way.
    async fn locked(&mut self, desk: &desk::Desk) -> Result<(), Failure> {
        let Some(lines) = &mut self.lines else { return Err(ended()) };
        let (mut pid, mut said, mut tick) = (None, Vec::new(), interval(LOOK));
        loop {
            tokio::select! {
                line = lines.next_line() => match line.ok().flatten() {
                    None => return Err(waited_for(&said)),
                    Some(line) if line == script::LOCKED => return Ok(()),
                    Some(line) => pid = line.strip_prefix(script::SESSION).and_then(|pid| pid.parse().ok()).or(pid),
                },
                _ = tick.tick() => {
                    let Some(pid) = pid else { continue };
                    let words = desk.in_the_way(pid).await.unwrap_or_default();
                    if !words.is_empty() && words != said {
                        say(&format!("waits for {}", words.join("; ")));
                        said = words;
                    }
                }
            }
        }
    }

    /// The server's own words where it refused; else what we saw of it.
    async fn failed(self, cut: Cut) -> Failure {
        let Self { psql, input, .. } = self;
        // Without COMMIT the end of the input is the end of the transaction: all of it is taken back.
        drop(input);
        match (psql.end().await, cut) {
            // What psql says of half a statement is no reason.
            (_, Cut::Source(failure)) => failure,
            (Err(Failure::Said { summary, detail, .. }), Cut::Session(Failure::Said { hint, summary: ours, .. })) => {
                let detail = detail.or(Some(ours));
                Failure::Said { summary, detail, hint }
            }
            (Err(failure), _) | (Ok(()), Cut::Session(failure)) => failure,
        }
    }

    async fn commit(mut self) -> Result<(), Failure> {
        let open = |failure: Failure| Failure::Open(format!("COMMIT was sent, and then: {failure}"));
        self.send("commit;\n").await.map_err(open)?;
        drop(self.input.take());
        self.psql.end().await.map_err(open)
    }
}

fn ended() -> Failure {
    Failure::said("psql ended before its time", "")
}

fn broken(error: io::Error) -> Failure {
    Failure::said(format!("psql ended before its time: {error}"), "")
}

fn waited_for(said: &[String]) -> Failure {
    match said.is_empty() {
        true => ended(),
        false => Failure::said(
            format!("not every table could be locked: {}", said.join("; ")),
            &format!("it waited for {}: end that, or stop the application, then retry", said.join("; ")),
        ),
    }
}

/// The archive's SQL, whole: where it is not, nothing that follows is sent.
async fn feed(source: &Source<'_>, input: &mut ChildStdin) -> Result<(), Cut> {
    if source.format == DumpFormat::Plain {
        let file = tokio::fs::File::open(source.path).await.map_err(Failure::io(UNREAD)).map_err(Cut::Source)?;
        return copy(file, input).await;
    }
    let mut args = vec!["-f".to_owned(), "-".to_owned(), "--exclude-schema=gonogo".to_owned()];
    if let Some(list) = &source.list {
        args.push(format!("--use-list={}", list.display()));
    }
    args.push(source.path.display().to_string());
    let program = source.tools.program("pg_restore");
    let mut reading = process::start(&program, &args, Stdio::null(), Stdio::piped()).map_err(Cut::Source)?;
    if let Some(sql) = reading.child.stdout.take() {
        copy(sql, input).await?;
    }
    reading.end().await.map_err(Cut::Source)
}

/// Passes all of it on. Only a reader that is gone is psql's affair.
async fn copy(mut from: impl AsyncRead + Unpin, input: &mut ChildStdin) -> Result<(), Cut> {
    match tokio::io::copy(&mut from, input).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(broken(error).into()),
        Err(error) => Err(Cut::Source(Failure::Io { what: UNREAD.to_owned(), error })),
    }
}

/// Reads until everything is loaded and counted.
async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<(Vec<TableRows>, String), Failure> {
    let mut tables = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(xid) = line.strip_prefix(script::READY) {
            return Ok((tables, xid.to_owned()));
        }
        let counted = line.strip_prefix(script::ROWS).and_then(|line| line.split_once(' '));
        if let Some((rows, name)) = counted.and_then(|(rows, name)| Some((rows.parse().ok()?, name))) {
            tables.push(TableRows { name: name.to_owned(), rows });
        }
    }
    Err(ended())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes as SQLite extends them: of a lock, of the disk, of a full one, of damage; and an error without any.
    #[test]
    fn only_a_lock_that_was_not_had_proves_that_nothing_was_committed() {
        let of = |code: Option<&str>| {
            let code = code.map(str::to_owned);
            uncommitted(DeskError { what: "the copy".to_owned(), why: "words".to_owned(), code })
        };
        for busy in ["5", "261", "517", "773"] {
            assert!(matches!(of(Some(busy)), Failure::Desk(_)), "{busy}");
        }
        for open in [Some("6"), Some("10"), Some("1034"), Some("13"), Some("11"), None] {
            assert!(matches!(of(open), Failure::Open(_)), "{open:?}");
        }
    }
}
