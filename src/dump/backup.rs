//! A backup: an archive of one snapshot, with the exact rows of every table in it, read whole and, where it is asked for,
//! restored into a database of its own before it gets its name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags};
use serde_json::Value;

use super::tools::Tools;
use super::{Desk, Failure, archive, process, say, sync_folder, tools};
use crate::run::Facts;
use crate::run::dump::{BackupOrder, Counters, Record, TableRows};
use crate::runbook::dump::{DumpFormat, Prove};
use crate::target::desk::{self, Server, Snapshot};

/// Characters that a database's name may have on any server.
const NAME: usize = 60;

/// What an archive was found to hold.
struct Held {
    tables: Vec<TableRows>,
    left_out: Vec<String>,
    taken: String,
    counters: Option<Counters>,
    /// As the proof has counted them.
    restored: Option<Vec<TableRows>>,
}

pub async fn run(desk: &Desk<'_>, order: &BackupOrder) -> Result<(), Failure> {
    let file = PathBuf::from(&order.file);
    make_folder(&file)?;
    absent(&file)?;
    let part = part(desk, order);
    // What attempts of this very step have left.
    remove(&part).map_err(Failure::io(format!("{} cannot be removed", part.display())))?;
    clear_parts(desk, order);
    let held = match desk::sqlite_file(desk.env) {
        Some(database) => sqlite(database, &part, order).await?,
        None => postgres(desk, order, &part).await?,
    };
    // Neither VACUUM INTO nor every pg_dump does so.
    archive::sync(part.clone()).await?;
    let file_fact = archive::measure(part.clone(), order.file.clone()).await?;
    say(&format!("{} bytes, SHA-256 {}", file_fact.size, file_fact.sha256));
    let facts = Box::new(Facts { file: Some(file_fact), ..facts(held) });
    desk.record(&Record::Finishing { xid: None, facts: facts.clone() })?;
    move_in(&part, &file)?;
    desk.record(&Record::Done { facts })
}

/// Takes away what an unfinished backup leaves. What cannot be taken away now is, by the next attempt.
pub async fn clear(desk: &Desk<'_>, order: &BackupOrder) {
    clear_parts(desk, order);
    if order.prove == Prove::Restore
        && let Ok(Some(server)) = desk::Desk::of(desk.env)
    {
        let _ = server.drop_scratch(&scratch(desk)).await;
    }
}

async fn sqlite(database: &str, part: &Path, order: &BackupOrder) -> Result<Held, Failure> {
    let copy = desk::copy(database, part, Duration::from_millis(order.lock_timeout_ms)).await?;
    say("the copy was made and checked whole");
    let restored = (order.prove == Prove::Restore).then(|| copy.tables.clone());
    Ok(Held { tables: copy.tables, left_out: Vec::new(), taken: copy.taken, counters: None, restored })
}

async fn postgres(desk: &Desk<'_>, order: &BackupOrder, part: &Path) -> Result<Held, Failure> {
    let Some(server_desk) = desk::Desk::of(desk.env)? else {
        return Err(Failure::said("the environment names no database", ""));
    };
    let server = server_desk.server().await?;
    if order.prove == Prove::Restore && !server.may_create_databases {
        return Err(Failure::said(
            "the role may not create databases, and prove = \"restore\" restores into one of its own",
            "grant it (alter role … createdb), or write prove = \"read\"",
        ));
    }
    room(&server, order, part)?;
    let tools = tools::find(desk.env, &server).await?;
    let mut snapshot = Snapshot::take(&server_desk, order.lock_timeout_ms).await?;
    let left_out = snapshot.named(&order.exclude).await?;
    say(&format!("snapshot of {} taken at {} by {}", server.database, snapshot.taken, tools.folder.display()));
    let args = dump_args(order, part, &snapshot.id, &left_out);
    let dumping = process::start(&tools.program("pg_dump"), &args, Stdio::null(), Stdio::null())?;
    let (dumped, counted) = tokio::join!(dumping.end(), snapshot.count());
    // A table that cannot be counted ends the snapshot, and pg_dump would only complain of that.
    let mut tables = counted?;
    dumped?;
    tables.retain(|table| !left_out.contains(&table.name));
    let (taken, counters) = (snapshot.taken.clone(), snapshot.counters.clone());
    snapshot.close().await;
    say(&format!("{} rows of {} tables in the snapshot", total(&tables), tables.len()));
    archive::read_whole(&tools, part, order.format).await?;
    say("the archive was read whole");
    if order.format == DumpFormat::Plain {
        say("WARNING: plain format: only its last line tells that it is whole");
    }
    let restored = match order.prove {
        Prove::Read => None,
        Prove::Restore => Some(prove(desk, &server_desk, &tools, order, part, &tables).await?),
    };
    Ok(Held { tables, left_out, taken, counters: Some(counters), restored })
}

fn dump_args(order: &BackupOrder, part: &Path, snapshot: &str, left_out: &[String]) -> Vec<String> {
    let format = match order.format {
        DumpFormat::Custom => "-Fc",
        DumpFormat::Directory => "-Fd",
        DumpFormat::Plain => "-Fp",
    };
    let mut args = vec![
        format.to_owned(),
        "--no-password".to_owned(),
        format!("--snapshot={snapshot}"),
        format!("--lock-wait-timeout={}", order.lock_timeout_ms),
        // Whose run this is, is no part of what a restore brings back.
        "--exclude-schema=gonogo".to_owned(),
        format!("--file={}", part.display()),
    ];
    if order.format == DumpFormat::Directory {
        args.push(format!("--jobs={}", order.jobs));
    }
    args.extend(left_out.iter().map(|table| format!("--exclude-table-data={table}")));
    args
}

/// Restores the archive into a database of its own, compares the rows, and drops the database, whatever came out.
async fn prove(
    desk: &Desk<'_>,
    server: &desk::Desk,
    tools: &Tools,
    order: &BackupOrder,
    part: &Path,
    tables: &[TableRows],
) -> Result<Vec<TableRows>, Failure> {
    let name = scratch(desk);
    server.create_scratch(&name).await?;
    let tried = async {
        fill(tools, order, part, &name).await?;
        Ok(server.count(&name).await?)
    };
    let tried: Result<Vec<TableRows>, Failure> = tried.await;
    let dropped = server.drop_scratch(&name).await;
    let mut restored = tried?;
    dropped?;
    restored.retain(|table| tables.iter().any(|known| known.name == table.name) || table.rows > 0);
    let wrong = differences(tables, &restored);
    if !wrong.is_empty() {
        let hint = "look at the archive and the tables named, then take another backup";
        return Err(Failure::said(format!("the trial restore has other rows: {}", wrong.join("; ")), hint));
    }
    say("restored into a database of its own, all rows are there");
    Ok(restored)
}

async fn fill(tools: &Tools, order: &BackupOrder, part: &Path, database: &str) -> Result<(), Failure> {
    let (program, mut args) = match order.format {
        DumpFormat::Plain => ("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"].to_vec()),
        _ => {
            let args = ["--exit-on-error", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions"];
            ("pg_restore", args.to_vec())
        }
    };
    let (jobs, path) = (format!("--jobs={}", order.jobs), part.display().to_string());
    if order.format == DumpFormat::Directory {
        args.push(&jobs);
    }
    args.push(&path);
    args.extend(["-d", database]);
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    process::run(&tools.program(program), &args).await
}

/// Tables whose rows are not the same, in words.
pub fn differences(wanted: &[TableRows], found: &[TableRows]) -> Vec<String> {
    let by_name = |tables: &[TableRows]| -> BTreeMap<String, u64> {
        tables.iter().map(|table| (table.name.clone(), table.rows)).collect()
    };
    let (wanted, mut found) = (by_name(wanted), by_name(found));
    let mut wrong = Vec::new();
    for (name, rows) in wanted {
        match found.remove(&name) {
            Some(there) if there == rows => {}
            Some(there) => wrong.push(format!("{name} {rows}, there {there}")),
            None => wrong.push(format!("{name} {rows}, there no such table")),
        }
    }
    wrong.extend(found.into_iter().map(|(name, rows)| format!("{name} unknown, there {rows}")));
    wrong
}

/// The trial database of this step of this run: the same for each of its attempts, so that one clears up for another.
fn scratch(desk: &Desk<'_>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = format!("gonogo_proof_{}_{}", desk.order.run, desk.order.step).chars().map(plain).collect();
    if name.len() <= NAME {
        return name;
    }
    let mut short: String = name.chars().take(NAME - 9).collect();
    let sum = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    short.push_str(&format!("_{:08x}", sum & 0xffff_ffff));
    short
}

/// The archive until it is proven. Each attempt has its own: a program that outlived its worker may still write to that of
/// an earlier one.
fn part(desk: &Desk<'_>, order: &BackupOrder) -> PathBuf {
    PathBuf::from(format!("{}.{}", parts(desk, order), desk.order.attempt))
}

/// How the names of all of them begin.
fn parts(desk: &Desk<'_>, order: &BackupOrder) -> String {
    format!("{}.part-{}", order.file, desk.order.run)
}

/// Takes away what any attempt has left. What cannot be taken away is in nobody's way.
fn clear_parts(desk: &Desk<'_>, order: &BackupOrder) {
    for path in parts_below(&parts(desk, order)) {
        if let Err(error) = remove(&path) {
            say(&format!("WARNING: {} cannot be removed: {error}", path.display()));
        }
    }
}

fn parts_below(parts: &str) -> Vec<PathBuf> {
    let parts = Path::new(parts);
    let (Some(folder), Some(name)) = (parts.parent(), parts.file_name()) else { return Vec::new() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let ours = |path: &PathBuf| {
        let rest = path.file_name().and_then(|found| found.as_bytes().strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&b'.') && rest.iter().skip(1).all(u8::is_ascii_alphanumeric))
    };
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(ours).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make_folder(file: &Path) -> Result<(), Failure> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(Failure::io(format!("{} cannot be made", folder.display()))),
        None => Ok(()),
    }
}

fn absent(file: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::Io { what: format!("{} cannot be looked at", file.display()), error }),
        Ok(_) => Err(Failure::said(
            format!("{} is there already, and no backup is overwritten", file.display()),
            "move it away, or name the archive by the run: backups/{{ run.id }}.dump",
        )),
    }
}

/// Refuses what certainly does not fit: tables as they are for SQL text, a quarter of them for compressed archives.
fn room(server: &Server, order: &BackupOrder, part: &Path) -> Result<(), Failure> {
    let folder = part.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).map_err(io::Error::from);
    let disk = disk.map_err(Failure::io(format!("the room of {} is not known", folder.display())))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = match order.format {
        DumpFormat::Plain => server.data_bytes,
        DumpFormat::Custom | DumpFormat::Directory => server.data_bytes / 4,
    };
    if free < needed {
        let hint = "make room there, or name a file on another disk";
        return Err(Failure::said(
            format!(
                "{} has {free} bytes left, and the archive may need {needed} (the database has {}, of which tables {})",
                folder.display(),
                server.bytes,
                server.data_bytes
            ),
            hint,
        ));
    }
    if free < server.data_bytes {
        say(&format!("WARNING: {} has {free} bytes left for tables of {} bytes", folder.display(), server.data_bytes));
    }
    Ok(())
}

/// Gives the proven archive its name, durably, and never in the place of another.
fn move_in(part: &Path, file: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::said(
            format!("{} appeared meanwhile, and no backup is overwritten", file.display()),
            "move it away, then retry",
        ),
        _ => Failure::Io { what: format!("{} cannot be put in its place", file.display()), error },
    };
    rustix::fs::renameat_with(CWD, part, CWD, file, RenameFlags::NOREPLACE).map_err(|error| failed(error.into()))?;
    sync_folder(file).map_err(failed)
}

fn total(tables: &[TableRows]) -> u64 {
    tables.iter().map(|table| table.rows).sum()
}

fn facts(held: Held) -> Facts {
    let restored = |name: &str| -> Option<u64> {
        held.restored.as_ref()?.iter().find(|table| table.name == name).map(|table| table.rows)
    };
    let mut table: Vec<BTreeMap<String, Value>> = held.tables.iter().map(|one| row(one, restored(&one.name))).collect();
    table.extend(held.left_out.iter().map(|name| {
        BTreeMap::from([("name".to_owned(), Value::from(name.as_str())), ("left_out".to_owned(), Value::from(true))])
    }));
    Facts {
        value: Some(Value::from(total(&held.tables))),
        rows: Some(held.tables.len() as u64),
        table,
        taken: Some(held.taken),
        proof: Some(if held.restored.is_some() { "restored" } else { "read" }.to_owned()),
        counters: held.counters.map(Box::new),
        ..Facts::default()
    }
}

/// A table as a fact.
pub fn row(table: &TableRows, restored: Option<u64>) -> BTreeMap<String, Value> {
    let mut row = BTreeMap::from([
        ("name".to_owned(), Value::from(table.name.as_str())),
        ("rows".to_owned(), Value::from(table.rows)),
    ]);
    if let Some(restored) = restored {
        row.insert("restored".to_owned(), Value::from(restored));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, rows: u64) -> TableRows {
        TableRows { name: name.to_owned(), rows }
    }

    #[test]
    fn only_parts_of_the_same_run_are_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["b.dump", "b.dump.part-r1.1", "b.dump.part-r1.undo2", "b.dump.part-r12.1", "c.dump.part-r1.1"];
        for name in all {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("b.dump.part-r1.3")).unwrap();
        let parts = folder.path().join("b.dump.part-r1").display().to_string();
        let mut found: Vec<_> = parts_below(&parts).iter().map(|path| path.display().to_string()).collect();
        found.sort();
        assert_eq!(found, [".1", ".3", ".undo2"].map(|end| format!("{parts}{end}")));
    }

    #[test]
    fn every_difference_is_named() {
        let wanted = [rows("public.a", 1), rows("public.b", 2), rows("public.c", 3)];
        assert!(differences(&wanted, &wanted).is_empty());
        let found = [rows("public.a", 1), rows("public.b", 1), rows("public.d", 4)];
        assert_eq!(
            differences(&wanted, &found),
            ["public.b 2, there 1", "public.c 3, there no such table", "public.d unknown, there 4"]
        );
    }
}
