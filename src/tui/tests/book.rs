//! The runbook the tests walk through: small, with every kind of step and signal.

use std::time::Duration;

use chrono::{TimeZone, Utc};

use crate::runbook::*;

fn expr(source: &str) -> Expr {
    Expr { source: source.to_owned(), line: 1 }
}

pub fn step(id: &str, title: &str, verb: Verb) -> Step {
    Step { title: title.to_owned(), target: Some("main".into()), ..Step::new(id, verb) }
}

fn sql(text: &str) -> Verb {
    Verb::Sql(Script { text: text.to_owned(), transaction: true, line: 40, ..Script::default() })
}

fn phase(id: &str, kind: PhaseKind, lasts: u64, steps: Vec<Step>) -> Phase {
    Phase {
        id: id.to_owned(),
        title: String::new(),
        kind,
        at: None,
        lasts: Some(Duration::from_secs(lasts)),
        coverage: 0.9,
        advance: Advance::Confirm,
        steps,
        line: 1,
    }
}

fn probe(id: &str, title: &str, unit: &str) -> Probe {
    Probe {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        source: ProbeSource::Run { argv: vec!["true".to_owned()] },
        traffic: None,
        line: 1,
    }
}

pub const M011: &str = "alter table agent_trust_scores\n  add column workspace_id uuid;\n\n-- how many are left\nselect count(*) as column_count, 'ok' as state\n  from agent_trust_scores;";

fn prepare() -> Phase {
    let mut tables = step("tables-before", "Count the tables", sql("select count(*) from pg_tables"));
    tables.expect = Some(expr("value == 52"));
    tables.role = Some("dba".to_owned());
    let ready = step(
        "ready",
        "Ready to migrate",
        Verb::Checklist(vec![
            Item { ask: "Team told one hour before".to_owned(), answer_required: false },
            Item { ask: "Who is the DBA on standby?".to_owned(), answer_required: true },
            Item { ask: "Dashboards open".to_owned(), answer_required: false },
        ]),
    );
    let roles = ["dba", "backend", "devops"].map(str::to_owned).to_vec();
    let mut go = step("go", "Go / no-go for the migration", Verb::Poll(roles));
    go.timeout = Some(Duration::from_secs(600));
    phase("prepare", PhaseKind::Prepare, 1800, vec![tables, ready, go])
}

fn migrate() -> Phase {
    let mut stop =
        step("stop-workers", "Stop workers", Verb::Run(["systemctl", "stop", "worker@*"].map(str::to_owned).to_vec()));
    stop.role = Some("devops".to_owned());
    stop.undo = Undo::By(Box::new(step(
        "stop-workers-undo",
        "",
        Verb::Run(["systemctl", "start", "worker@*"].map(str::to_owned).to_vec()),
    )));
    let mut m011 = step("m011", "011: fix schema conflicts", sql(M011));
    m011.role = Some("dba".to_owned());
    m011.help = Some("Adds the workspace to every score. Takes a short lock on the table.".to_owned());
    m011.expected_time = Some(Duration::from_millis(234));
    m011.trouble = vec![Trouble {
        matching: "already exists".to_owned(),
        cause: "left over from an earlier attempt".to_owned(),
        fix: "drop it, then retry".to_owned(),
        remedy: None,
    }];
    let mut undo = step("m011-undo", "", sql("alter table agent_trust_scores drop column workspace_id"));
    undo.expected_time = Some(Duration::from_secs(2));
    m011.undo = Undo::By(Box::new(undo));
    let mut backfill =
        step("backfill", "Backfill workspace_id", sql("update agent_trust_scores set workspace_id = null"));
    backfill.expected_time = Some(Duration::from_secs(240));
    let mut remove = step("m012", "012: remove old tables", sql("drop table agent_scores_old"));
    remove.undo = Undo::Irreversible;
    phase("migrate", PhaseKind::Migrate, 3600, vec![stop, m011, backfill, remove])
}

fn plan() -> RollbackPlan {
    let mut restore = step(
        "restore-run",
        "Restore the dump",
        Verb::Run(["pg_restore", "--clean", "-d", "app", "backups/1.dump"].map(str::to_owned).to_vec()),
    );
    restore.loses = Some("every write since the backup".to_owned());
    RollbackPlan {
        id: "restore".to_owned(),
        title: "Restore the backup".to_owned(),
        expected_time: Some(Duration::from_secs(600)),
        steps: vec![restore],
        line: 1,
    }
}

fn triggers() -> Vec<Trigger> {
    let trigger = |id: &str, title: &str, when: &str, then| Trigger {
        id: id.to_owned(),
        title: title.to_owned(),
        when: expr(when),
        after: Duration::ZERO,
        owner: None,
        lasting: Duration::from_secs(30),
        samples: 2,
        during: vec!["migrate".to_owned(), "monitor".to_owned()],
        then,
        grace: Duration::from_secs(15),
        missing: Some(TriggerAction::Hold),
        missing_for: Duration::from_secs(60),
        plan: None,
        line: 1,
    };
    vec![
        trigger("errors-high", "Too many errors", "error_rate > 2", TriggerAction::Rollback),
        trigger("busy", "Too many connections", "connections > 80", TriggerAction::Hold),
    ]
}

/// The runbook. Its window starts at 03:00 UTC and lasts four hours.
pub fn book() -> Runbook {
    let target = TargetSpec::new(Secret::Env("PROD_DATABASE_URL".to_owned()));
    let environment = |name: &str, protected| Environment {
        name: name.to_owned(),
        protected,
        approvals: 0,
        rehearsal: false,
        mask: Vec::new(),
        targets: vec![("main".to_owned(), target.clone())],
    };
    let verify = phase(
        "verify",
        PhaseKind::Verify,
        1800,
        vec![step("tables-after", "Count the tables again", sql("select count(*) from pg_tables"))],
    );
    Runbook {
        id: "week1-wednesday".to_owned(),
        title: "Week 1 Wednesday: database cleanup".to_owned(),
        window: Window {
            starts: Utc.with_ymd_and_hms(2024, 1, 31, 3, 0, 0).single(),
            lasts: Some(Duration::from_secs(4 * 3600)),
            zone: None,
        },
        roles: vec![
            ("dba".to_owned(), "Database admin".to_owned()),
            ("backend".to_owned(), "Backend lead".to_owned()),
            ("devops".to_owned(), "DevOps".to_owned()),
        ],
        environments: vec![environment("staging", false), environment("production", true)],
        probes: vec![
            probe("error_rate", "error rate", "%"),
            probe("connections", "connections", ""),
            probe("lag", "replica lag", "s"),
        ],
        triggers: triggers(),
        phases: vec![prepare(), migrate(), verify, phase("monitor", PhaseKind::Monitor, 7200, Vec::new())],
        rollbacks: vec![plan()],
        criteria: vec![Criterion {
            id: "tables".to_owned(),
            title: "43 tables remain".to_owned(),
            when: expr("steps['tables-after'].value == 43"),
        }],
        report: None,
        followups: vec![Followup {
            id: "backup".to_owned(),
            title: "Delete the backup".to_owned(),
            due: Duration::from_secs(48 * 3600),
            checklist: vec!["Backup removed".to_owned()],
        }],
        ..Runbook::default()
    }
}
