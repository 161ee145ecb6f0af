//! The run of the script, from its opening to the end of its rollback.

use gonogo::run::event::{
    Claim, Direction, End, Fingerprint, Grip, HoldCause, Mode, Opened, Proof, Rehearsed, Resolved, Statement,
};
use gonogo::run::facts::{Effect, FileFact};
use gonogo::run::rehearsed::StepTimes;
use gonogo::run::{Attempt, Chunk, Entry, Event, Facts, Fault, Outcome, Verdict};
use gonogo::runbook::{TriggerAction, Var};
use serde_json::json;

use super::{Script, runbook};

pub const DBA: &str = "dba@jump1";
const OPS: &str = "ops@jump1";
const ENGINE: &str = "engine";

pub fn attempt(step: &str, direction: Direction, n: u32) -> Attempt {
    Attempt { step: step.into(), direction, n }
}

pub fn forward(step: &str, n: u32) -> Attempt {
    attempt(step, Direction::Forward, n)
}

fn undo(step: &str, n: u32) -> Attempt {
    attempt(step, Direction::Undo, n)
}

pub fn done(facts: Facts) -> Outcome {
    Outcome::Done { facts: Box::new(facts), verdict: None }
}

pub fn statement(text: &str) -> Resolved {
    Resolved::Sql {
        target: "main".into(),
        statements: vec![Statement { sql: text.into(), line: 10 }],
        transaction: true,
        direct: gonogo::run::event::Direct::default(),
        asks: gonogo::runbook::Asks::Rows,
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        kind: "postgresql".into(),
        version: "15.18".into(),
        host: "db1:5432".into(),
        database: "app".into(),
        role: "deploy".into(),
        system_id: Some("7301".into()),
        timeline: Some(1),
        in_recovery: false,
    }
}

fn opening(s: &mut Script) {
    s.push(Event::RunOpened(Box::new(Opened {
        format: 1,
        run: "0190-run".into(),
        mode: Mode::Live,
        source: runbook().source,
        environment: "production".into(),
        set: [("batch_size".to_owned(), Var::Int(500))].into(),
        by: DBA.into(),
        cwd: "/srv/run".into(),
        version: "0.1.0".into(),
        rehearsed: None,
        approvals: Vec::new(),
        unrehearsed: None,
    })));
    s.push(Event::EngineStarted { pid: 812, host: "jump1".into(), boot: "b".into(), zero_ms: 0, by: DBA.into() });
    let weaker = Proof::Weaker { why: "there is no ledger in this database".into() };
    let grip = Grip { proof: weaker, guarded: true, skew_ms: Some(4_200), ..Grip::default() };
    s.after(40).push(Event::TargetSeen { target: "main".into(), fingerprint: fingerprint(), grip });
    s.after(5_000).push(Event::Confirmed { by: DBA.into(), text: "app".into() });
    s.push(Event::PhaseEntered { phase: "prepare".into() });
}

fn preparation(s: &mut Script) {
    let count = forward("tables-before", 1);
    s.after(3_000).start(&count, statement("select count(*) from t"), DBA);
    s.output(&count, Chunk::Statement { n: 1, of: 1 });
    s.output(&count, Chunk::Columns { n: 1, names: vec!["count".into()], types: vec!["int8".into()] });
    s.output(&count, Chunk::Rows { n: 1, rows: vec![vec![Some("52".into())]] });
    s.after(210).output(&count, Chunk::StatementEnd { n: 1, rows: 1, affected: 0, ms: 12 });
    s.end(
        &count,
        Outcome::Done {
            facts: Box::new(Facts { value: Some(json!(52)), rows: Some(1), ms: 210, ..Facts::default() }),
            verdict: Some(Verdict { expect: "value == 52".into(), passed: true, saw: "value = 52".into() }),
        },
    );
    backup(s);
    ready(s);
    poll(s);
    s.push(Event::PhaseLeft { phase: "prepare".into(), early: None });
}

fn backup(s: &mut Script) {
    let backup = forward("backup", 1);
    let argv = vec!["pg_dump".into(), "-Fc".into()];
    s.after(1_000).start(&backup, Resolved::Run { argv, connect: Some("main".into()) }, DBA);
    let text = |stream: &str, text: &str| Chunk::Text { stream: stream.into(), text: text.into() };
    s.after(1_000).output(&backup, text("out", "dumping schema\ndumping "));
    s.after(1_000)
        .output(&backup, text("out", "data\n"))
        .output(&backup, text("err", "warning: circular foreign keys"));
    s.after(600_000).end(
        &backup,
        done(Facts {
            exit: Some(0),
            file: Some(FileFact { path: "backups/run.dump".into(), size: 12_345_678, sha256: "ab12".into() }),
            ms: 602_000,
            ..Facts::default()
        }),
    );
}

fn ready(s: &mut Script) {
    let ready = forward("ready", 1);
    s.start(&ready, Resolved::Human, DBA);
    let tick = |item, answer: Option<&str>| Event::Ticked {
        step: "ready".into(),
        item,
        answer: answer.map(str::to_owned),
        by: DBA.into(),
    };
    s.after(4_000).push(tick(0, None));
    s.after(9_000).push(tick(1, Some("Mira, phone on"))).end(
        &ready,
        done(Facts {
            answers: [("Who is the DBA on standby?".to_owned(), "Mira, phone on".to_owned())].into(),
            ms: 13_000,
            ..Facts::default()
        }),
    );
}

fn poll(s: &mut Script) {
    let go = forward("go", 1);
    s.after(500).start(&go, Resolved::Human, DBA);
    let vote = |role: &str, go, reason: &str, by: &str| Event::Voted {
        step: "go".into(),
        role: role.into(),
        go,
        reason: reason.into(),
        by: by.into(),
    };
    s.after(2_000).push(vote("dba", true, "", DBA));
    s.after(2_000)
        .push(vote("backend", false, "deploy still running", OPS))
        .push(Event::Held { cause: HoldCause::NoGo { step: "go".into(), role: "backend".into() }, by: ENGINE.into() });
    s.after(60_000).push(vote("backend", true, "deploy done", OPS)).push(Event::Released { by: DBA.into() });
    s.end(&go, done(Facts { ms: 64_000, ..Facts::default() }));
}

fn migration(s: &mut Script) {
    s.push(Event::PhaseEntered { phase: "migrate".into() });
    for value in [0.2, 0.21, 0.3] {
        s.after(5_000).sample(value);
    }
    let first = forward("m011", 1);
    let text = "alter table scores\n  add column workspace_id uuid";
    s.after(1_000).start(&first, statement(text), DBA);
    s.after(90).end(
        &first,
        Outcome::Failed {
            fault: Box::new(Fault {
                summary: "column \"workspace_id\" of relation \"scores\" already exists".into(),
                sqlstate: Some("42701".into()),
                detail: Some("It was added on 2024-01-30.".into()),
                hint: Some("Drop it first.".into()),
                statement: Some(1),
                position: Some(33),
                place: "sql/011.sql:12".into(),
                safe: "the transaction was rolled back, nothing changed".into(),
                effect: Effect::None,
                trouble: Some(("left over from an earlier attempt".into(), "drop it, then retry".into())),
                ..Fault::default()
            }),
            facts: None,
            verdict: None,
        },
    );
    s.push(Event::Held { cause: HoldCause::Step { step: "m011".into() }, by: ENGINE.into() });
    s.after(20_000).push(Event::NoteAdded {
        by: DBA.into(),
        text: "left over from Monday".into(),
        step: Some("m011".into()),
    });
    s.after(30_000).push(Event::SqlEdited {
        step: "m011".into(),
        before: text.into(),
        after: "alter table scores add column if not exists workspace_id uuid".into(),
        by: DBA.into(),
    });
    let second = forward("m011", 2);
    s.push(Event::Released { by: DBA.into() });
    s.start(&second, statement("alter table scores add column if not exists …"), DBA);
    s.after(240).end(
        &second,
        done(Facts { affected: Some(0), notices: vec!["column exists, skipping".into()], ms: 240, ..Facts::default() }),
    );
}

fn breach(s: &mut Script) {
    let backfill = forward("backfill", 1);
    s.after(2_000).start(&backfill, statement("update scores set workspace_id = 1"), DBA);
    s.after(3_000).sample(3.2).push(Event::TriggerBreached { trigger: "errors-high".into() });
    s.after(1_500).end(&backfill, Outcome::Unknown { known: "the connection broke during COMMIT".into() });
    s.push(Event::Held { cause: HoldCause::InDoubt { attempt: backfill.clone() }, by: ENGINE.into() });
    s.after(9_000).push(Event::Settled {
        attempt: backfill,
        claim: Claim::Done,
        by: DBA.into(),
        reason: "the ledger row is there".into(),
    });
    s.push(Event::Released { by: DBA.into() });
    s.push(Event::StepSkipped { step: "reindex".into(), by: DBA.into(), reason: "no time left".into() });
    s.after(5_000).blind("timeout after 5s");
    s.after(15_000).sample(3.4);
    let goes_ahead = s.ms + 15_000;
    s.push(Event::TriggerFired {
        trigger: "errors-high".into(),
        then: TriggerAction::Rollback,
        values: vec![("error_rate".into(), 3.4)],
        at_ms: Some(goes_ahead),
    });
}

fn rollback(s: &mut Script) {
    s.after(15_000).push(Event::RollbackStarted {
        plan: None,
        steps: vec!["backfill".into(), "m011".into()],
        by: ENGINE.into(),
        reason: "errors-high".into(),
    });
    for id in ["backfill", "m011"] {
        let undo = undo(id, 1);
        s.start(&undo, statement("update …"), ENGINE);
        s.after(800).end(&undo, done(Facts { affected: Some(1_204), ms: 800, ..Facts::default() }));
    }
    s.push(Event::RollbackEnded {});
    s.after(4_000).sample(0.4).push(Event::TriggerCleared { trigger: "errors-high".into() });
    s.push(Event::CriterionJudged {
        criterion: "tables".into(),
        verdict: None,
        detail: "steps['tables-after'] never ran".into(),
    });
    s.push(Event::RunEnded { end: End::RolledBack, reason: "errors-high".into() });
}

/// A whole run: a no-go, a failure with an edit and a retry, a doubt settled, a skip, a trigger, the rollback.
pub fn run() -> Vec<Entry> {
    let mut script = Script::default();
    opening(&mut script);
    preparation(&mut script);
    migration(&mut script);
    breach(&mut script);
    rollback(&mut script);
    script.entries
}

/// The same run, rehearsed in staging the day before: `backup` was much quicker there, `m011` much slower.
pub fn rehearsed(mut run: Vec<Entry>) -> Vec<Entry> {
    let before = run[0].at.wall - chrono::TimeDelta::hours(18);
    let Event::RunOpened(opened) = &mut run[0].event else { panic!("the first entry opens the run") };
    let forward = [("tables-before", 190), ("backup", 41_000), ("m011", 60_000)];
    opened.rehearsed = Some(Rehearsed {
        run: "0189-rehearsal".into(),
        at: before,
        environment: "staging".into(),
        same_digest: true,
        times: StepTimes {
            forward: forward.map(|(step, ms)| (step.into(), ms)).into(),
            undo: [("m011".into(), 150)].into(),
        },
        ..Rehearsed::default()
    });
    run
}
