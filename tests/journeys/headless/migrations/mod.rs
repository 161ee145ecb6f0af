//! Folders of other tools' files: applied with those tools' bookkeeping, refused where it does not fit, taken back, cut in
//! the middle.

mod cut;
mod refusals;
mod sqitch_itself;
mod sqlite;
mod sqlx_itself;
mod tools;
mod undo;

use gonogo::run::command::CommandVerb;
use gonogo::run::{Event, Facts};
use support::headless::{Desk, Ran, Running};
use support::postgres::Cluster;

use super::story::{Voice, entries, outcome};
use super::{book, desk, desk_with_database};

const RUN: [&str; 4] = ["run", "runbook.toml", "--headless", "--yes"];
const RESUME: [&str; 4] = ["resume", "last", "--headless", "--yes"];

/// A file of three that make `t1`, `t2` and `t3`: its name and its text.
type File = (&'static str, &'static str);

/// A tool, its files, and how its table tells which versions are applied.
struct Kind {
    tool: &'static str,
    files: [File; 3],
    /// The versions that are applied, one in a line.
    applied: &'static str,
    versions: [&'static str; 3],
}

const KINDS: &[Kind] = &[
    Kind {
        tool: "sqlx",
        files: [
            ("1_first.up.sql", "create table t1 (id int);"),
            ("2_second_one.up.sql", "-- words\ncreate table t2 (id int);\nselect 1;"),
            ("10_third.up.sql", "create table t3 (id int);"),
        ],
        applied: "select version from _sqlx_migrations where success order by version",
        versions: ["1", "2", "10"],
    },
    Kind {
        tool: "plain",
        files: [
            ("001_first.sql", "create table t1 (id int);"),
            ("002_second.sql", "create table t2 (id int);"),
            ("003_third.sql", "create table t3 (id int);"),
        ],
        applied: "select version from schema_versions where applied_at is not null order by version",
        versions: ["1", "2", "3"],
    },
    Kind {
        tool: "golang-migrate",
        files: [
            ("1_first.up.sql", "create table t1 (id int);"),
            ("2_second.up.sql", "BEGIN;\ncreate table t2 (id int);\nCOMMIT;"),
            ("3_third.up.sql", "create table t3 (id int);"),
        ],
        applied: "select generate_series(1, version) from schema_migrations where not dirty",
        versions: ["1", "2", "3"],
    },
    Kind {
        tool: "dbmate",
        files: [
            ("20240101_first.sql", "-- migrate:up\ncreate table t1 (id int);\n\n-- migrate:down\ndrop table t1;\n"),
            ("20240102_second.sql", "-- migrate:up\ncreate table t2 (id int);\n-- migrate:down\ndrop table t2;\n"),
            ("20240103_third.sql", "-- migrate:up\ncreate table t3 (id int);\n-- migrate:down\ndrop table t3;\n"),
        ],
        applied: "select version from schema_migrations order by version",
        versions: ["20240101", "20240102", "20240103"],
    },
    Kind {
        tool: "flyway",
        files: [
            ("V1__first.sql", "create table t1 (id int);"),
            ("V1_1__second_one.sql", "create table t2 (id int);"),
            ("V2__third.sql", "create table t3 (id int);"),
        ],
        applied: "select version from flyway_schema_history where success order by installed_rank",
        versions: ["1", "1.1", "2"],
    },
    Kind {
        tool: "prisma",
        files: [
            ("20240101000000_first/migration.sql", "create table t1 (id int);"),
            ("20240102000000_second/migration.sql", "create table t2 (id int);"),
            ("20240103000000_third/migration.sql", "create table t3 (id int);"),
        ],
        applied: "select migration_name from _prisma_migrations \
                  where finished_at is not null and rolled_back_at is null order by migration_name",
        versions: ["20240101000000_first", "20240102000000_second", "20240103000000_third"],
    },
    Kind {
        tool: "sqitch",
        files: [
            ("deploy/first.sql", "BEGIN;\ncreate table t1 (id int);\nCOMMIT;"),
            ("deploy/second.sql", "BEGIN;\ncreate table t2 (id int);\nCOMMIT;"),
            ("deploy/third.sql", "create table t3 (id int);"),
        ],
        applied: "select change from sqitch.changes order by committed_at",
        versions: ["first", "second", "third"],
    },
];

fn kind(tool: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.tool == tool).unwrap()
}

impl Kind {
    /// Writes the first `count` of its files.
    fn write(&self, desk: &Desk, count: usize) {
        for (name, text) in &self.files[..count] {
            desk.write(&format!("migrations/{name}"), text);
        }
        if self.tool == "sqitch" {
            let stamp = "2026-03-14T10:00:00Z Ada Engineer <ada@example.test>";
            let lines: String = self.versions[..count].iter().map(|name| format!("{name} {stamp}\n")).collect();
            desk.write("migrations/sqitch.plan", &format!("%project=shop\n\n{lines}"));
        }
    }

    fn applied(&self, cluster: &Cluster, db: &str) -> Vec<String> {
        lines(&cluster.psql(db, self.applied))
    }

    fn step(&self, more: &str, rest: &str) -> String {
        step(&format!("{{ folder = \"migrations\", tool = \"{}\"{more} }}", self.tool), rest)
    }
}

fn step(migrations: &str, rest: &str) -> String {
    book(&format!("[[phase.step]]\nid = \"migrate\"\nmigrations = {migrations}\n{rest}\n"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The tables `t…` that are there.
fn tables(cluster: &Cluster, db: &str) -> Vec<String> {
    lines(
        &cluster.psql(
            db,
            "select tablename from pg_tables where schemaname = 'public' and tablename ~ '^t[0-9]' order by 1",
        ),
    )
}

/// The program, killed by itself at the `nth` pass of a place.
fn killed(desk: &Desk, args: &[&str], place: &str, nth: u32) {
    let mut command = desk.command(args);
    command.env("GONOGO_FAILPOINT", format!("{place}:kill:{nth}"));
    let ran: Ran = Running::spawn(command).end();
    assert_eq!(ran.code, None, "it was to be killed at {place}\n{}\n{}", ran.out, ran.err);
}

/// What the step brought home in the only run there is.
async fn facts(desk: &Desk) -> Facts {
    match outcome(&entries(&desk.run_dir()).await, "migrate") {
        gonogo::run::Outcome::Done { facts, .. } => *facts,
        other => panic!("not done: {other:?}"),
    }
}

/// The held run's next engine, and a voice at it once it has begun and knows its targets.
async fn taken_up(desk: &Desk) -> (Running, Voice) {
    let folder = desk.run_dir();
    let seq = entries(&folder).await.last().unwrap().seq;
    let engine = desk.start(&["engine", folder.to_str().unwrap()]);
    let mut voice = Voice::at(&folder).await;
    voice.until_after(seq, "the engine begins", |event| matches!(event, Event::EngineStarted { .. })).await;
    voice.ready().await;
    (engine, voice)
}

fn retry() -> CommandVerb {
    CommandVerb::Retry { step: "migrate".into() }
}

/// The held run is taken up, and its step tried once more.
async fn retried(desk: &Desk) -> Ran {
    let (engine, mut voice) = taken_up(desk).await;
    voice.say(retry()).await;
    engine.end()
}

/// The journals so far are put aside, so that there is one run again.
fn anew(desk: &Desk) {
    std::fs::remove_dir_all(desk.journal()).unwrap();
}
