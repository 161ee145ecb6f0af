//! The shipped runbooks on a real PostgreSQL: there, back to exactly where they began, and there again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gonogo::run::{Entry, Event, Outcome};
use support::headless::{Desk, Ran};
use support::postgres::Cluster;

use super::desk;
use super::story::{parsed, started};

pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(name)
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A database with that fixture of a runbook.
pub(super) fn fixture(cluster: &Cluster, file: &Path) -> String {
    let db = cluster.create_db();
    let mut psql = cluster.psql_command(&db);
    psql.arg("-q").arg("-f").arg(file).stdout(Stdio::null());
    assert!(psql.status().unwrap().success(), "{}", file.display());
    db
}

/// The whole schema and every row of it, as sorted SQL; without what gonogo keeps for itself.
pub(super) fn dump(cluster: &Cluster, db: &str) -> Vec<String> {
    let output = Command::new("pg_dump")
        .args(["--exclude-schema=gonogo", "--inserts", "-U", support::postgres::ROLE, "-h", "127.0.0.1"])
        .args(["-p", &cluster.port().to_string(), db])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // Newer minor versions write a random key into every dump. The order of rows on the disk is no part of a database.
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.contains("restrict ")).map(ToOwned::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// A database made from a backup of the run.
pub(super) fn restored(cluster: &Cluster, archive: &Path) -> String {
    let db = cluster.create_db();
    let mut restore = Command::new("pg_restore");
    restore.args(["--exit-on-error", "-U", support::postgres::ROLE, "-h", "127.0.0.1", "-d", &db]);
    restore.args(["-p", &cluster.port().to_string()]).arg(archive);
    assert!(restore.status().unwrap().success(), "{}", archive.display());
    db
}

/// Says which lines are not in both.
pub(super) fn same(before: &[String], after: &[String]) {
    let missing: Vec<&String> = before.iter().filter(|line| !after.contains(line)).take(10).collect();
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).take(10).collect();
    assert!(before == after, "gone: {missing:#?}\nnew: {new:#?}");
}

/// `gonogo COMMAND runbooks/NAME --env staging` with the shipped answers, headless.
pub(super) fn go(desk: &Desk, command: &str, name: &str, more: &[&str]) -> Ran {
    let (book, answers) = (folder(name), folder(name).join("answers.toml"));
    let mut args = vec![command, text(&book), "--env", "staging", "--headless", "--json", "--yes"];
    args.extend(["--answers", text(&answers)]);
    args.extend(more);
    desk.run(&args)
}

pub(super) fn all_went_well(entries: &[Entry]) {
    for entry in entries {
        match &entry.event {
            Event::StepEnded { attempt, outcome } => {
                assert!(matches!(outcome, Outcome::Done { .. }), "{attempt}: {outcome:#?}");
            }
            Event::CriterionJudged { criterion, verdict, detail } => {
                assert_eq!(*verdict, Some(true), "{criterion}: {detail}");
            }
            _ => {}
        }
    }
}

/// The steps that were undone, in their order.
pub(super) fn undone(entries: &[Entry]) -> Vec<String> {
    started(entries).into_iter().filter_map(|step| step.strip_prefix("undo of ").map(ToOwned::to_owned)).collect()
}

/// The backup that the last leg of a rehearsal took, named after the run.
pub(super) fn backup(desk: &Desk, suffix: &str) -> PathBuf {
    let name = desk.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    desk.path(&format!("backups/{name}{suffix}.dump"))
}

#[test]
fn exports_get_their_types_and_lose_them_again() {
    let Some(cluster) = support::postgres::shared() else { return };
    let book = folder("exports-type-fix");
    let (main, dev) = (fixture(cluster, &book.join("fixture.sql")), fixture(cluster, &book.join("fixture_dev.sql")));
    cluster.psql(&main, "create role exports_reader nologin; grant select on \"bazaar-vid_exports\" to exports_reader");
    let before = (dump(cluster, &main), dump(cluster, &dev));
    let desk = desk().with("STAGING_DATABASE_URL", cluster.url(&main)).with("DEV_DATABASE_URL", cluster.url(&dev));
    let ran = go(&desk, "rehearse", "exports-type-fix", &["--set", "monitor=5s"]);
    let entries = parsed(&ran.out);
    all_went_well(&entries);
    ran.exits(0);
    assert_eq!(undone(&entries), ["new-tables", "empty-tables", "usage", "dev-type", "swap", "copy", "new-table"]);
    // The second leg took its backups right after the way back.
    same(&before.0, &dump(cluster, &restored(cluster, &backup(&desk, ""))));
    same(&before.1, &dump(cluster, &restored(cluster, &backup(&desk, "_dev"))));
    let may = "select has_table_privilege('exports_reader', '\"bazaar-vid_exports\"', 'select')";
    assert_eq!(cluster.psql(&main, may), "t");
}

/// Sends a file of a runbook as one transaction.
fn send(cluster: &Cluster, db: &str, file: &Path) {
    let mut psql = cluster.psql_command(db);
    psql.arg("-q").arg("--single-transaction").arg("-f").arg(file).stdout(Stdio::null());
    assert!(psql.status().unwrap().success(), "{}", file.display());
}

#[test]
fn no_late_write_is_lost_by_the_swap_or_by_the_way_back() {
    let Some(cluster) = support::postgres::shared() else { return };
    let book = folder("exports-type-fix");
    let db = fixture(cluster, &book.join("fixture.sql"));
    let all = "select string_agg(md5((to_jsonb(e) - 'metadata')::text), '' order by e.id::text) from \"bazaar-vid_exports\" e";
    // Born, changed and deleted after the copy, then after the swap.
    let write = |n: u32| {
        cluster.psql(
            &db,
            &format!(
                "insert into \"bazaar-vid_exports\" (user_id, project_id, render_id)
                   select user_id, project_id, 'late-{n}' from \"bazaar-vid_exports\" where render_id = 'render-7';
                 update \"bazaar-vid_exports\" set status = 'failed', error = 'late' where render_id = 'render-{n}1';
                 delete from \"bazaar-vid_exports\" where render_id = 'render-{n}2'"
            ),
        );
    };
    send(cluster, &db, &book.join("sql/new_table.sql"));
    send(cluster, &db, &book.join("sql/copy.sql"));
    write(1);
    let before = cluster.psql(&db, all);
    send(cluster, &db, &book.join("sql/swap.sql"));
    assert_eq!(cluster.psql(&db, all), before, "the swap brought everything over");
    write(2);
    let after = cluster.psql(&db, all);
    assert_ne!(after, before);
    send(cluster, &db, &book.join("sql/swap_down.sql"));
    assert_eq!(cluster.psql(&db, all), after, "the way back kept what was written since");
}
