//! The shipped runbooks on a real PostgreSQL: there, back to exactly where they began, and there again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gonogo::run::command::CommandVerb;
use gonogo::run::{Entry, Event, Outcome};
use support::headless::{Desk, Ran};
use support::http::{Reply, Server};
use support::postgres::Cluster;

use super::desk;
use super::story::{Voice, entries, outcome, parsed, started};

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

/// Every step was done in the end (a failed attempt may have been tried again), and every criterion is met.
pub(super) fn all_went_well(entries: &[Entry]) {
    let mut open: BTreeMap<String, &Outcome> = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::StepEnded { attempt, outcome } => {
                let step = format!("{:?} {}", attempt.direction, attempt.step);
                open.remove(&step);
                if !matches!(outcome, Outcome::Done { .. }) {
                    open.insert(step, outcome);
                }
            }
            Event::CriterionJudged { criterion, verdict, detail } => {
                assert_eq!(*verdict, Some(true), "{criterion}: {detail}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:#?}");
}

/// The run's own word that its way back led to where it began: a snapshot of everything, the same in both legs.
pub(super) fn proven(entries: &[Entry]) {
    let reason = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::RunEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.unwrap_or_default();
    assert!(reason.contains("the same in both legs") && !reason.contains("NOT the same"), "{reason}");
}

/// The steps that were undone, in their order.
pub(super) fn undone(entries: &[Entry]) -> Vec<String> {
    started(entries).into_iter().filter_map(|step| step.strip_prefix("undo of ").map(ToOwned::to_owned)).collect()
}

/// The backup that the last leg of a rehearsal took, named after the run.
pub(super) fn backup(desk: &Desk, suffix: &str) -> PathBuf {
    let name = desk.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    desk.path(&format!("backups/{name}{suffix}.dump.leg2"))
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

/// A manager of one service: a session on the database that works every now and then.
const MANAGER: &str = r#"#!/usr/bin/env bash
set -euo pipefail
pid="$HOME/$2.pid"
running() { [ -e "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }
case "$1" in
  start)
    running && exit 0
    PGAPPNAME="$2" setsid --fork "$HOME/service" "$pid" </dev/null >/dev/null 2>&1
    until running; do sleep 0.05; done ;;
  stop)
    running || exit 0
    kill -- "-$(cat "$pid")"
    rm "$pid" ;;
  status) running ;;
  *) exit 64 ;;
esac
"#;

/// The service dies with its test, because its folder goes.
const SERVICE: &str = r#"#!/usr/bin/env bash
echo $$ >"$1"
while [ -e "$0" ]; do
  cat "$HOME/work.sql"
  for n in {1..30}; do echo 'GET /api/matches 200 12ms'; done >>"$HOME/logs/access.log"
  for n in {1..6}; do echo 'POST /api/auth/google 200 9ms'; done >>"$HOME/logs/access.log"
  echo 'info: tick' >>"$HOME/logs/app.log"
  sleep 0.2
done | psql -X -q -o /dev/null "$(cat "$HOME/url")"
"#;

fn executable(desk: &Desk, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = desk.write(name, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A desk with a running service on a database with a runbook's fixture; `work`: what the service does there.
fn served(cluster: &Cluster, book: &str, service: &str, work: &str) -> (Desk, String) {
    let db = fixture(cluster, &folder(book).join("fixture.sql"));
    let desk = desk().with("STAGING_DATABASE_URL", cluster.url(&db));
    desk.write("url", &cluster.url(&db));
    desk.write("work.sql", work);
    desk.write("logs/access.log", "");
    desk.write("logs/app.log", "");
    executable(&desk, "service", SERVICE);
    executable(&desk, "manager", MANAGER);
    manage(&desk, "start", service);
    (desk, db)
}

fn manage(desk: &Desk, what: &str, service: &str) {
    let mut manager = Command::new(desk.path("manager"));
    assert!(manager.args([what, service]).env("HOME", desk.path("")).status().unwrap().success());
}

/// The shipped answers without those of one checklist: the run is held there.
fn answers_without(desk: &Desk, book: &str, checklist: &str) -> PathBuf {
    let all = std::fs::read_to_string(folder(book).join("answers.toml")).unwrap();
    let kept: Vec<&str> = all.lines().filter(|line| !line.starts_with(&format!("\"{checklist}\""))).collect();
    assert!(kept.len() < all.lines().count(), "{checklist} asks nothing");
    desk.write("answers.toml", &kept.join("\n"))
}

/// Runs to the checklist that nobody answers, then goes back by the plan `restore`; `asks`: its step that wants an answer.
pub(super) async fn back_by(desk: &Desk, book: &str, checklist: &str, asks: Option<&str>, more: &[&str]) -> Vec<Entry> {
    let answers = answers_without(desk, book, checklist);
    let book = folder(book);
    let args = ["run", text(&book), "--env", "staging", "--headless", "--yes", "--answers", text(&answers)];
    desk.run(&[args.as_slice(), more].concat()).exits(4);
    let run = desk.run_dir();
    let engine = desk.start(&["engine", text(&run)]);
    let mut voice = Voice::at(&run).await;
    voice.ready().await;
    voice.say(CommandVerb::Rollback { plan: Some("restore".to_owned()), reason: "users complain".to_owned() }).await;
    if let Some(step) = asks {
        voice.until(step, |event| matches!(event, Event::StepStarted { attempt, .. } if attempt.step.0 == step)).await;
        let answer = Some("the old one".to_owned());
        voice.say(CommandVerb::Tick { step: step.into(), item: 0, answer }).await;
    }
    engine.end().exits(5);
    entries(&run).await
}

pub(super) fn was_done(entries: &[Entry], step: &str) {
    let ended = outcome(entries, step);
    assert!(matches!(ended, Outcome::Done { .. }), "{step}: {ended:#?}");
}

/// What the application of `cody-versioned` writes.
const ACTIVITY: &str = "insert into activity default values;\n";

/// Everything but what the application itself has written meanwhile.
fn quiet(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.contains("activity")).collect()
}

#[test]
fn a_version_is_applied_taken_back_and_applied_again() {
    let Some(cluster) = support::postgres::shared() else { return };
    let (desk, db) = served(cluster, "cody-versioned", "cody2025", ACTIVITY);
    let before = quiet(dump(cluster, &db));
    let set = format!("manager={}", text(&desk.path("manager")));
    let ran = go(&desk, "rehearse", "cody-versioned", &["--set", &set, "--set", "monitor=5s"]);
    let entries = parsed(&ran.out);
    all_went_well(&entries);
    ran.exits(0);
    assert_eq!(undone(&entries), ["start", "flip", "index", "apply", "record", "stop"]);
    same(&before, &quiet(dump(cluster, &restored(cluster, &backup(&desk, "-before-1.1.0")))));
    let current = "select string_agg(schema_version_version, ' ') from schema_versions where schema_version_is_current";
    assert_eq!(cluster.psql(&db, current), "1.1.0");
    manage(&desk, "stop", "cody2025");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_of_the_window_is_a_way_back_too() {
    let Some(cluster) = support::postgres::shared() else { return };
    let (desk, db) = served(cluster, "cody-versioned", "cody2025", ACTIVITY);
    let before = quiet(dump(cluster, &db));
    let set = format!("manager={}", text(&desk.path("manager")));
    let all = back_by(&desk, "cody-versioned", "tried", None, &["--set", &set, "--set", "monitor=5s"]).await;
    for step in ["restore-backup", "restore-same", "restore-version", "restore-start"] {
        was_done(&all, step);
    }
    manage(&desk, "stop", "cody2025");
    same(&before, &quiet(dump(cluster, &db)));
}

#[test]
fn phase_1_goes_there_back_and_there_again() {
    let Some(cluster) = support::postgres::shared() else { return };
    let (desk, db) = served(cluster, "goalgpt-phase1", "goalgpt", "select count(*) from badges;\nselect 1;\n");
    let before = dump(cluster, &db);
    let set = format!("manager={}", text(&desk.path("manager")));
    let ran = go(&desk, "rehearse", "goalgpt-phase1", &["--set", &set, "--set", "monitor=15s"]);
    let all = parsed(&ran.out);
    all_went_well(&all);
    ran.exits(0);
    proven(&all);
    assert_eq!(undone(&all), ["start", "indexes", "m002", "m001", "stop"]);
    same(&before, &dump(cluster, &restored(cluster, &backup(&desk, ""))));
    let codes = "select count(distinct referral_code) from customer_users where referral_code ~ '^GOAL-[A-Z2-9]{6}$'";
    assert_eq!(cluster.psql(&db, codes), "50016");
    manage(&desk, "stop", "goalgpt");
}

#[tokio::test(flavor = "multi_thread")]
async fn phase_1_is_restored_to_the_last_row() {
    let Some(cluster) = support::postgres::shared() else { return };
    let (desk, db) = served(cluster, "goalgpt-phase1", "goalgpt", "select 1;\n");
    let before = dump(cluster, &db);
    let set = format!("manager={}", text(&desk.path("manager")));
    let backend = Server::start(|request| match request.path() {
        "/health" => Reply::text(200, "ok"),
        _ => Reply::text(404, "no such path"),
    });
    let url = format!("app_url={}", backend.await.url(""));
    let more = ["--set", &set, "--set", "monitor=15s", "--set", &url];
    let all = back_by(&desk, "goalgpt-phase1", "observations", Some("restore-release"), &more).await;
    for step in ["health", "sign-in", "restore-same", "restore-running", "restore-health"] {
        was_done(&all, step);
    }
    same(&before, &dump(cluster, &db));
    manage(&desk, "stop", "goalgpt");
}

#[test]
fn what_is_recorded_is_what_runs() {
    let record = std::fs::read_to_string(folder("cody-versioned").join("sql/record.sql")).unwrap();
    let recorded = record.split("$up$").nth(1).unwrap().trim().to_owned();
    let book = gonogo::runbook::load(&folder("cody-versioned"), &Default::default()).unwrap();
    let mut runs = String::new();
    for id in ["apply", "validate", "index"] {
        let step = book.step(&id.into()).unwrap();
        let gonogo::runbook::Verb::Sql(script) = &step.verb else { panic!("{id} is not SQL") };
        runs.push_str(script.text.trim().trim_end_matches(';'));
        runs.push_str(";\n");
    }
    assert_eq!(recorded, runs.trim());
}
