//! The runbook of the script, built by hand.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use gonogo::runbook::*;

fn expr(source: &str) -> Expr {
    Expr { source: source.into(), line: 1 }
}

pub fn step(id: &str, title: &str, verb: Verb) -> Step {
    Step { title: title.into(), role: Some("dba".into()), target: Some("main".into()), ..Step::new(id, verb) }
}

fn sql(text: &str) -> Verb {
    Verb::Sql(Script { text: text.into(), transaction: true, line: 10, ..Script::default() })
}

fn phase(id: &str, kind: PhaseKind, at: u64, lasts: u64, steps: Vec<Step>) -> Phase {
    Phase {
        id: id.into(),
        title: String::new(),
        kind,
        at: Some(Duration::from_secs(at * 60)),
        lasts: Some(Duration::from_secs(lasts * 60)),
        coverage: 0.9,
        advance: Advance::Confirm,
        steps,
        line: 1,
    }
}

fn prepare() -> Vec<Step> {
    let item = |ask: &str, answer_required| Item { ask: ask.into(), answer_required };
    vec![
        Step {
            expect: Some(expr("value == 52")),
            ..step("tables-before", "Count the tables", sql("select count(*) from information_schema.tables"))
        },
        Step {
            expected_time: Some(Duration::from_secs(1200)),
            ..step("backup", "Take and prove a backup", Verb::Run(vec!["pg_dump".into(), "-Fc".into()]))
        },
        step(
            "ready",
            "Ready to migrate",
            Verb::Checklist(vec![item("Team told one hour before", false), item("Who is the DBA on standby?", true)]),
        ),
        step("go", "Go / no-go", Verb::Poll(vec!["dba".into(), "backend".into()])),
    ]
}

fn migrate() -> Vec<Step> {
    let undo_of = |id: &str, text: &str| Undo::By(Box::new(step(id, "", sql(text))));
    vec![
        Step {
            expected_time: Some(Duration::from_millis(234)),
            undo: undo_of("m011", "alter table scores drop column workspace_id"),
            ..step("m011", "011: fix schema conflicts", sql("alter table scores add column workspace_id uuid"))
        },
        Step {
            undo: undo_of("backfill", "update scores set workspace_id = null"),
            ..step("backfill", "Backfill workspace_id", sql("update scores set workspace_id = 1"))
        },
        step("reindex", "Rebuild the index", sql("reindex index concurrently scores_i")),
    ]
}

/// The runbook of the script.
pub fn runbook() -> Runbook {
    let probe = |id: &str, title: &str, unit: &str| Probe {
        id: id.into(),
        title: title.into(),
        unit: unit.into(),
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        source: ProbeSource::Run { argv: vec!["x".into()] },
        traffic: None,
        line: 1,
    };
    Runbook {
        channels: Vec::new(),
        id: "week1-wednesday".into(),
        title: "Week 1 Wednesday: database cleanup".into(),
        window: Window {
            starts: Some(Utc.with_ymd_and_hms(2024, 1, 31, 8, 0, 0).unwrap()),
            lasts: Some(Duration::from_secs(4 * 3600)),
            zone: None,
        },
        roles: vec![("dba".into(), "Database admin".into()), ("backend".into(), "Backend lead".into())],
        vars: vec![("batch_size".into(), Var::Int(500))],
        environments: vec![Environment {
            name: "production".into(),
            protected: true,
            approvals: 1,
            rehearsal: false,
            mask: Vec::new(),
            targets: vec![("main".into(), TargetSpec::new(Secret::Env("PROD_DATABASE_URL".into())))],
        }],
        probes: vec![probe("error_rate", "Error rate", "%"), probe("connections", "Connections", "")],
        triggers: vec![Trigger {
            id: "errors-high".into(),
            title: String::new(),
            when: expr("error_rate > 2"),
            after: Duration::ZERO,
            owner: None,
            lasting: Duration::from_secs(30),
            samples: 2,
            during: Vec::new(),
            then: TriggerAction::Rollback,
            grace: Duration::from_secs(15),
            missing: Some(TriggerAction::Hold),
            missing_for: Duration::from_secs(60),
            plan: None,
            line: 1,
        }],
        phases: vec![
            phase("prepare", PhaseKind::Prepare, 0, 30, prepare()),
            phase("migrate", PhaseKind::Migrate, 30, 60, migrate()),
            phase("monitor", PhaseKind::Monitor, 120, 120, vec![step("tables-after", "Count again", sql("select 1"))]),
        ],
        rollbacks: vec![RollbackPlan {
            id: "restore".into(),
            title: "Restore the backup".into(),
            expected_time: Some(Duration::from_secs(600)),
            steps: vec![Step {
                loses: Some("every write since the backup".into()),
                ..step("restore-1", "Restore", Verb::Run(vec!["pg_restore".into()]))
            }],
            line: 1,
        }],
        criteria: vec![Criterion {
            id: "tables".into(),
            title: "43 tables remain".into(),
            when: expr("steps['tables-after'].value == 43"),
        }],
        report: None,
        waivers: vec![Waiver {
            rule: "squawk-changing-column-type".into(),
            scope: WaiverScope::Step("m011".into()),
            reason: "a table of twelve rows".into(),
            line: 1,
        }],
        followups: vec![Followup {
            id: "delete-backup".into(),
            title: "Delete the backup".into(),
            due: Duration::from_secs(48 * 3600),
            checklist: vec!["Backup older than 48 h removed".into()],
        }],
        source: Source {
            name: "runbooks/week1/runbook.toml".into(),
            text: "format = 1".into(),
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            ..Source::default()
        },
    }
}
