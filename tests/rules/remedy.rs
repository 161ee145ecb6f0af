//! The fix of a known trouble: sent ahead of another try by a person's word alone, as a part of that attempt.

use gonogo::run::event::Resolved;
use gonogo::run::facts::Effect;
use gonogo::run::{CommandVerb, Event, Fault, Outcome, remedy};

use crate::script::Script;

const BOOK: &str = r#"
[vars]
old = "left"
[[phase]]
id = "migrate"
[[phase.step]]
id = "a"
retries = 1
sql = "create table a (x); insert into a values (1)"
trouble = [
  { match = "no room", cause = "the disk is full", fix = "make room", sql = "select pg_size_pretty(1)" },
  { match = "already exists", cause = "left over", fix = "drop it", sql = "drop table a; select {{ old }}" },
]
undo = { sql = "drop table a", trouble = [{ match = "busy", fix = "wait", sql = "delete from b" }] }
[[phase.step]]
id = "b"
run = ["true"]
trouble = [{ match = ".", cause = "c", sql = "select 2" }]
"#;

fn says(summary: &str) -> Outcome {
    let fault = Fault { effect: Effect::None, ..Fault::new(summary) };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}

fn fix(step: &str) -> CommandVerb {
    CommandVerb::Fix { step: step.into() }
}

/// What was sent last, and how many statements of it are the fix.
fn sent(run: &Script) -> (Vec<String>, u32) {
    let last = run.entries.iter().rev().find_map(|entry| match &entry.event {
        Event::StepStarted { resolved, .. } => Some(resolved.clone()),
        _ => None,
    });
    let resolved = last.unwrap();
    let Resolved::Sql { statements, .. } = &resolved else { panic!("{resolved:?}") };
    (statements.iter().map(|one| one.sql.clone()).collect(), remedy::fixing(&resolved))
}

#[test]
fn nothing_but_a_person_sends_the_fix() {
    let mut run = Script::new(BOOK);
    run.start("a");
    run.end("a", says("table a already exists"));
    // Its own retry sends the step alone.
    run.wait(60_000);
    assert_eq!(sent(&run), (vec!["create table a (x)".to_owned(), "insert into a values (1)".to_owned()], 0));
    run.end("a", says("table a already exists"));
    run.wait(60_000);
    assert!(run.state.hold.is_some(), "no third try by itself");
    run.say(fix("a"));
    let own = ["create table a (x)", "insert into a values (1)"];
    let all = [&["drop table a", "select 'left'"][..], &own].concat();
    assert_eq!(sent(&run), (all.iter().map(|sql| (*sql).to_owned()).collect(), 2));
    assert!(run.state.hold.is_none());
    run.done("a");
    assert!(run.read().contains("start a#3"));
}

#[test]
fn what_has_no_fix_is_refused_with_words() {
    let mut run = Script::new(BOOK);
    run.read();
    run.say(fix("a"));
    assert!(run.read().contains("refused fix a: step a is not started: there is nothing to retry"));
    run.start("a");
    run.end("a", says("no room on the disk"));
    run.say(fix("a"));
    assert!(run.read().contains("refused fix a: no known trouble of step a has a fix that could be sent"));
    run.say(CommandVerb::Retry { step: "a".into() });
    run.done("a");
    // Beside a command the SQL of a trouble is only words.
    run.start("b");
    run.end("b", says("anything"));
    run.say(fix("b"));
    assert!(run.read().contains("refused fix b: no known trouble"));
    let fault = match run.state.steps[&"b".into()].outcome.as_ref().unwrap() {
        Outcome::Failed { fault, .. } => fault.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((fault.trouble, fault.remedy), (Some(("c".to_owned(), "select 2".to_owned())), None));
}

#[test]
fn an_undo_has_fixes_of_its_own() {
    let mut run = Script::new(BOOK);
    run.start("a");
    run.done("a");
    run.say(CommandVerb::Rollback { plan: None, reason: "no".into() });
    run.end("a", says("the table is busy"));
    run.say(fix("a"));
    assert_eq!(sent(&run), (vec!["delete from b".to_owned(), "drop table a".to_owned()], 1));
}
