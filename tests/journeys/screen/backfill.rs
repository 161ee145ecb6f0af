//! The shipped backfill of a million users while others write to the same table: throttled by name, retuned by keys.

use std::path::{Path, PathBuf};

use gonogo::run::{Chunk, Event, Outcome};
use serde_json::Value;
use support::headless::Desk;
use support::postgres::{Cluster, shared};
use support::sitter::Sitter;
use support::traffic::Traffic;

use super::Scene;

const USERS: u32 = 1_000_000;
/// What players do all the time: their own row is changed, and a puzzle is solved.
const PLAY: &str = "\\set id random(1, 1000000)
\\set puzzle random(1, 1000)
begin;
update users set updated_at = now() where id = :id;
insert into user_puzzle_completions (user_id, puzzle_id, seconds) values (:id, :puzzle, 90) on conflict do nothing;
commit;
";
/// Of one user in fifty: every time the count comes to be.
const AUDIT: &str = "
create schema audit; create table audit.fill (id int);
create function audit.fill() returns trigger language plpgsql as $$
begin
  if to_jsonb(old) ->> 'total_puzzles_completed' is null and to_jsonb(new) ->> 'total_puzzles_completed' is not null then
    insert into audit.fill values (new.id);
  end if;
  return null;
end $$;
create trigger audit_fill after update on public.users for each row when (new.id % 50 = 0) execute function audit.fill()";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/puzzle-battle-pass")
}

fn filled(cluster: &Cluster, rows: u32) -> String {
    let db = cluster.create_db();
    let mut psql = cluster.psql_command(&db);
    psql.arg("-q").arg("-v").arg(format!("rows={rows}")).arg("-f").arg(folder().join("fixture.sql"));
    assert!(psql.status().unwrap().success());
    db
}

fn is_done(event: &Event, step: &str) -> bool {
    matches!(event, Event::StepEnded { attempt, outcome: Outcome::Done { .. } } if attempt.step.0 == step)
}

/// Thousandths of it that are done, as far as this event or a later one tells.
fn share(event: &Event) -> u16 {
    match event {
        Event::Output { chunk: Chunk::Batch(batches), .. } => batches.permille.unwrap_or(0),
        Event::StepEnded { attempt, .. } if attempt.step.0 == "backfill" => 1_000,
        _ => 0,
    }
}

#[test]
fn a_million_users_while_they_play() {
    let Some(cluster) = shared() else { return };
    let db = filled(cluster, USERS);
    cluster.psql(&db, AUDIT);
    let mut traffic = Traffic::start(cluster, &db, PLAY, 150);
    let solved = || cluster.psql(&db, "select count(*) from user_puzzle_completions").parse::<u64>().unwrap();
    let solved_before = solved();
    let scene = Scene::at(Desk::new(env!("CARGO_BIN_EXE_gonogo")).with("STAGING_DATABASE_URL", cluster.url(&db)));
    let (book, answers) = (folder(), folder().join("answers.toml"));
    let args = ["run", book.to_str().unwrap(), "--env", "staging", "--headless", "--yes", "--answers"];
    let more = [answers.to_str().unwrap(), "--set", "monitor=2s", "--set", "oldest_transaction=1s"];
    let engine = scene.desk.start(&[args.as_slice(), &more].concat());
    // Each part has the whole of the patience: the machine may be slow.
    for step in ["integrity-before", "snapshot-before", "backup", "migration"] {
        scene.until(step, |event| is_done(event, step));
    }

    // Somebody at a second terminal looks on, and sets the pace.
    let mut screen = scene.open(&["attach", "last"]);
    scene.until(
        "the backfill",
        |event| matches!(event, Event::StepStarted { attempt, .. } if attempt.step.0 == "backfill"),
    );
    screen.shows("of ~");
    let sitter = Sitter::start(cluster, &db, "select 1");
    screen.shows("throttled: oldest transaction");
    screen.shows("(postgres, sitter) idle in transaction");
    drop(sitter);
    screen.hides("throttled: oldest transaction");
    screen.shows("bigger batches");
    screen.keys("+");
    let retuned = scene.until("twice as much a batch", |event| matches!(event, Event::BatchRetuned { .. }));
    let Event::BatchRetuned { from, to, by, .. } = retuned.event else { unreachable!() };
    assert_eq!((from.size.start, to.size.start), (1_000, 2_000));
    assert!(by.contains('@'), "{by}");
    screen.shows("(2,000 keys)");
    screen.keys("b");
    screen.shows("Another pace for backfill");
    screen.keys(&"\u{7f}".repeat(8));
    screen.keys("20000\t");
    screen.keys(&"\u{7f}".repeat(8));
    super::Operator::answer(&mut screen, "Another pace for backfill", "0");
    screen.shows("(20,000 keys)");

    for part in [400, 600, 800] {
        scene.until("its next part", |event| share(event) >= part);
    }
    let over = scene.until("all are counted", |event| is_done(event, "backfill"));
    let Event::StepEnded { outcome: Outcome::Done { facts, .. }, .. } = over.event else { unreachable!() };
    assert_eq!(facts.value, Some(0.into()));
    assert!(facts.affected.is_some_and(|rows| rows <= USERS.into()), "{facts:?}");
    assert!(facts.notices.iter().any(|notice| notice.contains("oldest transaction")), "{facts:?}");
    scene.until("the proof", |event| is_done(event, "counted"));
    scene.until("the watch", |event| is_done(event, "index-used"));
    let ran = engine.end().exits(0);
    assert!(ran.out.contains("THROTTLED: oldest transaction ") && ran.out.contains("retuned by "), "{}", ran.out);
    assert!(traffic.runs(), "the players were never stopped");
    assert!(solved() > solved_before);
    let fills = cluster.psql(&db, "select count(*), count(distinct id) from audit.fill");
    assert_eq!(fills, format!("{0}|{0}", USERS / 50), "each user once");
    drop(traffic);
    let report: Value = serde_json::from_str(&scene.desk.run(&["report", "--format", "json"]).exits(0).out).unwrap();
    let retunes: Vec<&Value> =
        report["deviations"].as_array().unwrap().iter().filter(|one| one["what"] == "retuned").collect();
    assert_eq!(retunes.len(), 2, "{retunes:?}");
    assert!(retunes[1]["reason"].as_str().unwrap().contains("pause 100 ms → 0 ms"), "{retunes:?}");
    let met = report["criteria"].as_array().unwrap().iter().all(|one| one["met"] == true);
    assert!(met, "{:?}", report["criteria"]);
}
