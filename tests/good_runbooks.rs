//! Runbooks that are right: they load, become the model they mean, and load again from what a journal keeps of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gonogo::run::BatchOrder;
use gonogo::runbook::expr::{Context, Place, RunNames, eval_bool, render, render_secret};
use gonogo::runbook::sql::{self, Dialect};
use gonogo::runbook::{
    self, Advance, HttpTake, LogTake, Notify, OnFail, ProbeSource, Runbook, Secret, Step, StepId, TriggerAction, Undo,
    Var, Verb,
};
use serde_json::json;

fn load(set: &[(&str, &str)]) -> Runbook {
    let set = set.iter().map(|(name, words)| (name.to_string(), words.to_string())).collect();
    match runbook::load(Path::new("tests/runbooks/full"), &set) {
        Ok(runbook) => runbook,
        Err(problems) => panic!("{problems}"),
    }
}

fn step<'r>(runbook: &'r Runbook, id: &str) -> &'r Step {
    runbook.step(&StepId::from(id)).unwrap()
}

#[test]
fn the_head_is_read() {
    let runbook = load(&[]);
    assert_eq!(runbook.id, "week1-wednesday");
    assert_eq!(runbook.window.starts.unwrap().to_rfc3339(), "2024-01-31T08:00:00+00:00");
    assert_eq!(runbook.window.lasts, Some(Duration::from_secs(4 * 3600)));
    let roles: Vec<&str> = runbook.roles.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(roles, ["dba", "backend", "devops"]);
    assert_eq!(runbook.vars[0], ("batch_size".into(), Var::Int(1000)));
    assert_eq!(runbook.vars[5], ("backup".into(), Var::Text("{{ folder }}/{{ run.id }}.dump".into())));
    let [staging, production] = runbook.environments.as_slice() else { panic!() };
    assert_eq!(staging.targets[0].1.url, Secret::Env("STAGING_DATABASE_URL".into()));
    assert_eq!(staging.targets[0].1.lock_timeout, Duration::from_secs(3));
    assert!(production.protected && !staging.protected);
    assert_eq!(production.targets[0].1.statement_timeout, Duration::from_secs(600));
}

#[test]
fn probes_and_triggers_are_read() {
    let runbook = load(&[]);
    let ids: Vec<&str> = runbook.probes.iter().map(|probe| probe.id.as_str()).collect();
    assert_eq!(ids, ["error_rate", "connections", "queue", "log_errors", "load"]);
    assert!(matches!(&runbook.probes[0].source, ProbeSource::Prometheus { query, .. } if query.contains("5..")));
    assert_eq!(runbook.probes[0].timeout, Duration::from_secs(5));
    assert!(matches!(&runbook.probes[1].source, ProbeSource::Sql { target, .. } if target == "main"));
    assert_eq!(runbook.probes[1].timeout, Duration::from_secs(3));
    assert!(matches!(&runbook.probes[2].source, ProbeSource::Http { take: HttpTake::Json(pointer), headers, .. }
        if pointer == "/queue/depth" && headers[0].1 == Secret::Env("TOKEN".into())));
    assert!(matches!(
        &runbook.probes[3].source,
        ProbeSource::Log { take: LogTake::Share { of: Some(_), at_least: 20, .. }, .. }
    ));
    let traffic = |n: usize| runbook.probes[n].traffic.as_ref().unwrap();
    assert!(
        matches!(&traffic(0).source, ProbeSource::Prometheus { url, .. } if *url == Secret::Env("PROMETHEUS_URL".into()))
    );
    assert_eq!((traffic(0).at_least, traffic(2).at_least), (0.5, 10.0));
    assert!(matches!(&traffic(2).source, ProbeSource::Sql { target, .. } if target == "main"));
    assert!(runbook.probes[1].traffic.is_none());
    let [high, crowded] = runbook.triggers.as_slice() else { panic!() };
    assert_eq!((high.then, high.missing), (TriggerAction::Rollback, Some(TriggerAction::Hold)));
    assert_eq!((high.lasting, high.grace), (Duration::from_secs(30), Duration::from_secs(15)));
    assert_eq!(high.when.line, 57);
    assert_eq!((high.samples, crowded.samples), (3, 1));
    assert_eq!((crowded.title.as_str(), crowded.then), ("Too many connections", TriggerAction::Warn));
    let names = runbook::expr::probe_names(&crowded.when, &runbook);
    assert_eq!(names, ["connections", "load"]);
}

#[test]
fn steps_are_read() {
    let runbook = load(&[]);
    let kinds: Vec<(&str, &str)> = runbook.steps().map(|step| (step.id.0.as_str(), step.verb.word())).collect();
    assert_eq!(
        kinds,
        [
            ("tables-before", "sql"),
            ("backup", "run"),
            ("ready", "checklist"),
            ("go", "poll"),
            ("m011", "file"),
            ("index", "sql"),
            ("tell", "notify"),
            ("health", "http"),
            ("sizes", "shell"),
            ("settle", "wait"),
        ]
    );
    assert_eq!(runbook.phases[1].advance, Advance::Auto);
    assert_eq!(runbook.phases[2].lasts, Some(Duration::from_secs(7200)));
    let backup = step(&runbook, "backup");
    assert_eq!((backup.target.as_deref(), backup.retries), (Some("main"), 1));
    assert_eq!(backup.timeout, Some(Duration::from_secs(1200)));
    let m011 = step(&runbook, "m011");
    assert_eq!((m011.on_fail, m011.expected_time), (OnFail::Rollback, Some(Duration::from_millis(234))));
    assert_eq!(m011.trouble[0].fix, "drop it, then retry (SQL: drop table if exists x)");
    let Undo::By(undo) = &m011.undo else { panic!() };
    assert_eq!((undo.id.0.as_str(), undo.title.as_str()), ("m011", "Undo: 011: fix schema conflicts"));
    assert_eq!((undo.timeout, undo.target.as_deref()), (Some(Duration::from_secs(60)), Some("main")));
    let index = step(&runbook, "index");
    assert_eq!(index.title, "Index, in batches of 1000");
    assert!(matches!(index.undo, Undo::Irreversible));
    assert!(matches!(&index.verb, Verb::Sql(script) if !script.transaction && script.line == index.line + 4));
    assert!(matches!(&step(&runbook, "tell").verb, Verb::Notify(Notify::Webhook { .. })));
    assert!(matches!(&step(&runbook, "health").verb, Verb::Http(call) if call.method == "POST"));
    let [restore] = runbook.rollbacks.as_slice() else { panic!() };
    let ids: Vec<&str> = restore.steps.iter().map(|step| step.id.0.as_str()).collect();
    assert_eq!(ids, ["restore-1", "count-again"]);
    assert_eq!(restore.steps[0].title, "Restore the backup (1 of 2)");
    assert_eq!(restore.steps[0].loses.as_deref(), Some("every write since the backup"));
    assert_eq!((runbook.criteria[0].id.as_str(), runbook.criteria[1].id.as_str()), ("criterion-1", "calm"));
    assert_eq!(runbook.followups[0].due, Duration::from_secs(48 * 3600));
}

#[test]
fn a_run_sees_its_names() {
    let runbook = load(&[("batch_size", "7")]);
    let run = RunNames { id: "r1".into(), ..RunNames::default() };
    let mut context = Context::new(&runbook, &run).unwrap();
    let Verb::Run(argv) = &step(&runbook, "backup").verb else { panic!() };
    assert_eq!(render(&argv[3], Place::Argv, &context).unwrap(), "backups/r1.dump");
    assert_eq!(render("{{ copy }}", Place::Argv, &context).unwrap(), "backups/r1.dump.copy");
    let Verb::Sql(script) = &step(&runbook, "m011").verb else { panic!() };
    let text = render(&script.text, Place::Sql(Dialect::Postgres), &context).unwrap();
    let pieces = sql::split(&text, Dialect::Postgres).unwrap();
    let lines: Vec<u32> = pieces.iter().map(|piece| piece.line).collect();
    assert_eq!(lines, [2, 4, 11]);
    assert_eq!(pieces[2].sql, "update agent_trust_scores set batch = 7 where name = 'backups'");
    let expect = step(&runbook, "tables-before").expect.clone().unwrap();
    context.facts(&json!({ "value": 52 }));
    assert_eq!(eval_bool(&expect, &context), Ok(true));
    let secret = Secret::Plain("sqlite:{{ folder }}/x.db".into());
    assert_eq!(render_secret(&secret, &context), Ok(Secret::Plain("sqlite:backups/x.db".into())));
}

#[test]
fn settings_are_typed_by_the_default() {
    let runbook = load(&[("batch_size", "5"), ("share", "1"), ("dry", "true"), ("monitor", "1m")]);
    assert_eq!(runbook.vars[0].1, Var::Int(5));
    assert_eq!(runbook.vars[1].1, Var::Float(1.0));
    assert_eq!(runbook.vars[2].1, Var::Bool(true));
    assert_eq!(runbook.phases[2].lasts, Some(Duration::from_secs(60)));
    let set: BTreeMap<String, String> = [("batch_size", "many"), ("monitr", "1m"), ("monitor", "long")]
        .map(|(name, words)| (name.to_owned(), words.to_owned()))
        .into();
    let problems = runbook::load(Path::new("tests/runbooks/full"), &set).unwrap_err();
    let said: Vec<(u32, &str, &str)> =
        problems.list().iter().map(|one| (one.line, one.message.as_str(), one.hint.as_str())).collect();
    assert_eq!(
        said,
        [
            (11, "--set monitr: the runbook has no such variable", "did you mean `monitor`?"),
            (
                12,
                "--set batch_size=many: this variable is a whole number",
                "its default, here, says of what type it is"
            ),
            (160, "`long` is not a duration", "write \"90s\", \"30m\", \"4h\" or \"1h 30m\""),
        ]
    );
}

#[test]
fn a_journal_keeps_all_that_is_needed() {
    let set: BTreeMap<String, String> =
        [("batch_size", "5"), ("folder", "/tmp")].map(|(name, words)| (name.to_owned(), words.to_owned())).into();
    let runbook = runbook::load(Path::new("tests/runbooks/full"), &set).unwrap();
    assert_eq!(runbook.source.digest.len(), 64);
    assert_eq!(runbook.source.files.len(), 2);
    assert!(Path::new(&runbook.source.folder).is_absolute());
    let kept = serde_json::to_string(&(&runbook.source, runbook::typed_set(&runbook, &set))).unwrap();
    let (source, typed): (runbook::Source, BTreeMap<String, Var>) = serde_json::from_str(&kept).unwrap();
    assert_eq!(typed["batch_size"], Var::Int(5));
    let mut elsewhere = source.clone();
    elsewhere.folder = "/nowhere".into();
    let again = runbook::from_source(elsewhere, &typed).unwrap();
    assert_eq!(format!("{:?}", again.vars), format!("{:?}", runbook.vars));
    assert_eq!(format!("{:?}", again.phases), format!("{:?}", runbook.phases));
    assert_eq!(again.source.digest, source.digest);

    let mut changed = source.clone();
    changed.files.insert("sql/011_down.sql".into(), "drop table t".into());
    let problems = runbook::from_source(changed, &typed).unwrap_err();
    assert!(problems.list()[0].message.contains("digest"), "{problems}");
    let mut short = source;
    short.files.clear();
    short.digest.clear();
    assert_eq!(runbook::from_source(short, &typed).unwrap_err().len(), 2);
}

#[test]
fn batches_are_read_and_ordered() {
    let runbook = runbook::load(Path::new("tests/runbooks/batch"), &BTreeMap::new()).unwrap();
    let Verb::Batch(fill) = &step(&runbook, "fill").verb else { panic!() };
    assert_eq!((fill.table.as_str(), fill.key.as_str(), fill.repeatable), ("app.scores", "id", false));
    assert_eq!((fill.size, fill.pause), (runbook::Sizing::fixed(2_000), Duration::from_millis(100)));
    assert_eq!(fill.throttle.as_ref().unwrap().source, "connections > 80");
    assert!(step(&runbook, "fill").changes());
    assert!(matches!(&step(&runbook, "fill").undo, Undo::By(undo) if undo.verb.word() == "batch"));
    let run = RunNames::default();
    let order = BatchOrder::new(fill, Dialect::Postgres, &Context::new(&runbook, &run).unwrap()).unwrap();
    assert_eq!(
        order.statement(),
        "update app.scores set owner = 'o''brien'\nwhere id > … and id <= …\n  and (owner is null)"
    );
    let Verb::Batch(empty) = &step(&runbook, "empty").verb else { panic!() };
    assert!(empty.set.is_none() && empty.repeatable && empty.complete.is_some());
    let tuned = runbook::Sizing { start: 500, min: 50, max: 20_000, aim_ms: Some(200) };
    assert_eq!(empty.size, tuned);
    assert_eq!(BatchOrder::planned(empty).sizes(), "50 to 20,000 keys a batch, 200 ms each");
    assert_eq!(runbook::batch::quoted(&empty.table).as_deref(), Some("\"Old Rows\""));
}

#[test]
fn questions_for_doubts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = "format = 1\nid = \"v\"\n[environments.test]\ntargets.main = \"env:DB\"\n[vars]\nmade = \"x\"\n\
                [[phase]]\nid = \"one\"\nkind = \"migrate\"\n[[phase.step]]\nid = \"a\"\nrun = [\"true\"]\n\
                verify = { sql = \"select count(*) from t\", expect = \"value == 1\" }\n\
                undo = { shell = \"true\", verify = { run = [\"ls\", \"{{ made }}\"], expect = \"exit == 2\" } }\n\
                [[phase.step]]\nid = \"b\"\nhttp = { url = \"http://h/\", method = \"POST\" }\n\
                verify = { http = \"http://h/done\", expect = \"status == 200\" }\n";
    let path = folder.path().join("runbook.toml");
    std::fs::write(&path, text).unwrap();
    let runbook = runbook::load(&path, &BTreeMap::new()).unwrap();
    let a = step(&runbook, "a").verify.as_deref().unwrap();
    assert!(matches!(a.verb, Verb::Sql(_)) && a.target.as_deref() == Some("main") && a.line == 13);
    assert_eq!(a.expect.as_ref().unwrap().source, "value == 1");
    let Undo::By(undo) = &step(&runbook, "a").undo else { panic!() };
    assert!(matches!(&undo.verify.as_deref().unwrap().verb, Verb::Run(argv) if argv[1] == "{{ made }}"));
    let b = step(&runbook, "b").verify.as_deref().unwrap();
    assert!(matches!(&b.verb, Verb::Http(call) if call.method == "GET") && b.target.is_none());
}
