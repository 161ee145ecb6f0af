//! What was wrong once: restarts, holds, half-done steps, rehearsals. A test each.

use gonogo::run::event::{Claim, HoldCause, Mode};
use gonogo::run::facts::Effect;
use gonogo::run::{CommandVerb, Event};

use crate::script::{Script, failed, unknown};

const BOOK: &str = r#"
[[trigger]]
id = "high"
when = "errors > 2"
lasting = "2s"
then = "THEN"
[[phase]]
id = "one"
kind = "migrate"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "b"
shell = "do it"
[[phase]]
id = "two"
kind = "monitor"
lasts = "1h"
[[rollback]]
id = "plan"
title = "Plan"
[[rollback.step]]
id = "not-here"
only = ["prod"]
run = ["true"]
[[rollback.step]]
id = "never"
only_if = "1 == 2"
run = ["true"]
[[rollback.step]]
id = "load"
retries = 1
run = ["true"]
"#;

fn book(then: &str) -> Script {
    let mut run = Script::new(&BOOK.replace("THEN", then));
    run.start("a");
    run.done("a");
    run.read();
    run
}

fn breached(run: &mut Script, seconds: u64) {
    for _ in 0..=seconds {
        run.sample("errors", 9.0);
        run.wait(1_000);
    }
}

fn news(run: &mut Script) -> Vec<String> {
    run.read().lines().filter(|line| *line != "sample taken").map(str::to_owned).collect()
}

#[test]
fn a_running_step_without_undo_is_an_obstacle() {
    let mut run = book("rollback");
    run.start("b");
    breached(&mut run, 2);
    assert_eq!(news(&mut run), ["start b#1", "trigger breached high", "fired high", "held rollback"]);
}

#[test]
fn a_step_skipped_after_it_failed_half_way_is_still_undone() {
    let mut run = Script::new(&BOOK.replace("THEN", "warn"));
    run.start("a");
    run.end("a", failed(Effect::Possible));
    run.say(CommandVerb::Skip { step: "a".into(), reason: "looked fine".into() });
    run.read();
    run.say(CommandVerb::Rollback { plan: None, reason: "it was not".into() });
    run.done("a");
    let told = news(&mut run);
    assert_eq!(told, ["rollback [a]", "start undo of a#1", "end undo of a#1 done", "rollback ended", "run RolledBack"]);
}

#[test]
fn a_countdown_stopped_after_it_calmed_may_fire_again() {
    let mut run = book("rollback");
    breached(&mut run, 2);
    run.sample("errors", 1.0);
    run.say(CommandVerb::StopCountdown);
    run.say(CommandVerb::Release);
    run.read();
    breached(&mut run, 2);
    assert!(news(&mut run).iter().any(|line| line.starts_with("fired high")));
}

#[test]
fn patience_begins_anew_where_a_trigger_is_armed_again() {
    let text =
        BOOK.replace("then = \"THEN\"", "then = \"hold\"\nduring = [\"one\", \"three\"]").replace("lasts = \"1h\"", "");
    let text = text.replace("kind = \"monitor\"", "kind = \"verify\"\n[[phase.step]]\nid = \"c\"\nsql = \"select 1\"");
    let more =
        "[[phase]]\nid = \"three\"\nkind = \"migrate\"\n[[phase.step]]\nid = \"d\"\nsql = \"select 1\"\n[[rollback]]";
    let mut run = Script::new(&text.replacen("[[rollback]]", more, 1));
    run.start("a");
    run.done("a");
    run.start("b");
    run.sample("errors", 9.0);
    run.done("b");
    run.wait(60_000);
    run.sample("errors", 1.0);
    run.start("c");
    run.done("c");
    run.read();
    run.sample("errors", 9.0);
    assert_eq!(news(&mut run), ["trigger breached high"]);
}

#[test]
fn time_without_an_engine_is_not_watched_time() {
    let mut run = book("warn");
    run.start("b");
    run.done("b");
    run.wait(1_800_000);
    run.sample("errors", 1.0);
    run.pass(7_200_000);
    run.engine_starts();
    run.target_seen();
    run.read();
    run.wait(1_700_000);
    assert!(news(&mut run).is_empty());
    run.wait(100_001);
    assert_eq!(news(&mut run), ["leave two", "run Done"]);
}

#[test]
fn settling_a_doubt_does_not_lift_another_hold() {
    let mut run = book("hold");
    run.start("b");
    breached(&mut run, 2);
    run.end("b", unknown());
    run.settle("b", Claim::Done);
    run.read();
    run.wait(1_000);
    assert!(run.state.hold.is_some(), "the trigger's hold stands");
    assert!(news(&mut run).is_empty());
}

#[test]
fn a_retry_does_not_lift_another_hold() {
    let mut run = book("hold");
    run.start("b");
    breached(&mut run, 2);
    run.end("b", failed(Effect::None));
    run.read();
    run.say(CommandVerb::Retry { step: "b".into() });
    assert_eq!(news(&mut run), ["refused retry b: the run is held for another reason: continue it first"]);
}

#[test]
fn a_rehearsal_that_was_rolled_back_by_hand_does_not_go_forward_again() {
    let mut run = Script::open(&BOOK.replace("THEN", "warn"), "test", Mode::Rehearsal);
    run.start("a");
    run.done("a");
    run.read();
    run.say(CommandVerb::Rollback { plan: None, reason: "seen enough".into() });
    run.done("a");
    assert_eq!(news(&mut run).last().map(String::as_str), Some("run RolledBack"));
}

#[test]
fn a_rehearsal_says_when_the_way_back_cannot_be_rehearsed() {
    let text = BOOK.replace("THEN", "warn").replace("lasts = \"1h\"", "");
    let text = text.replace("kind = \"monitor\"", "kind = \"verify\"\n[[phase.step]]\nid = \"c\"\nsql = \"select 1\"");
    let mut run = Script::open(&text, "test", Mode::Rehearsal);
    for step in ["a", "b", "c"] {
        run.start(step);
        run.done(step);
    }
    assert_eq!(news(&mut run).last().map(String::as_str), Some("run Failed"));
}

#[test]
fn a_checklist_that_failed_is_asked_again() {
    let mut run = Script::new(
        r#"
[[phase]]
id = "ask"
kind = "prepare"
[[phase.step]]
id = "count"
checklist = [{ ask = "How many?", answer = "required" }]
expect = "answers['How many?'] == '3'"
"#,
    );
    let answer = |text: &str| CommandVerb::Tick { step: "count".into(), item: 0, answer: Some(text.into()) };
    run.say(answer("4"));
    run.say(CommandVerb::Retry { step: "count".into() });
    run.read();
    run.say(answer("3"));
    assert_eq!(news(&mut run), ["tick count 1", "end count#2 done", "leave ask", "run Done"]);
}

#[test]
fn a_plan_honours_only_only_if_and_retries() {
    let mut run = book("warn");
    run.say(CommandVerb::Rollback { plan: Some("plan".into()), reason: "fear".into() });
    run.end("load", failed(Effect::None));
    run.wait(1_000);
    run.end("load", failed(Effect::None));
    assert_eq!(
        news(&mut run),
        [
            "rollback plan [not-here never load]",
            "skip not-here: only in prod",
            "skip never: only_if 1 == 2 does not hold",
            "start load#1",
            "end load#1 failed: it said no",
            "start load#2",
            "end load#2 failed: it said no",
            "held undo",
        ]
    );
}

#[test]
fn continue_does_not_pass_over_what_was_cancelled() {
    let mut run =
        Script::new(&BOOK.replace("THEN", "warn").replace("id = \"a\"", "id = \"a\"\non_fail = \"continue\""));
    run.start("a");
    let attempt = run.open_attempt("a");
    run.say(CommandVerb::Cancel { attempt });
    run.end("a", failed(Effect::None));
    assert_eq!(news(&mut run).last().map(String::as_str), Some("held step"));
}

#[test]
fn what_arrives_after_the_engine_let_go_does_nothing() {
    let mut run = book("warn");
    run.say(CommandVerb::Quit { reason: String::new() });
    run.read();
    run.start("b");
    assert_eq!(news(&mut run), ["refused start b: the engine has let go of the run"]);
}

#[test]
fn a_tick_is_not_overwritten_and_a_vote_only_by_who_saw_it() {
    let mut run = Script::new(
        "[[phase]]\nid = \"ask\"\nkind = \"prepare\"\n[[phase.step]]\nid = \"ready\"\nchecklist = [\"One\", \"Two\"]\n\
         [[phase.step]]\nid = \"go\"\npoll = [\"dba\", \"dev\"]\n",
    );
    let tick = |item| CommandVerb::Tick { step: "ready".into(), item, answer: None };
    let vote = |go| CommandVerb::Vote { step: "go".into(), role: "dba".into(), go, reason: "lag".into() };
    run.say(tick(0));
    run.read();
    run.say(tick(0));
    run.say(tick(1));
    run.say(vote(false));
    run.say_having_seen(vote(true), 0);
    let told = news(&mut run);
    assert_eq!(told[0], "refused tick ready: that item is ticked already: untick it first");
    assert_eq!(
        told.last().unwrap(),
        "refused vote go: step go changed while you looked at it; look again, then decide"
    );
    run.say(vote(true));
    assert_eq!(news(&mut run), ["vote go dba go"]);
}

#[test]
fn a_new_engine_looks_for_data_itself() {
    let text = BOOK.replace("then = \"THEN\"", "then = \"hold\"\nmissing = \"hold\"\nmissing_for = \"30s\"");
    let mut run = Script::new(&text);
    run.sample("errors", 1.0);
    run.pass(600_000);
    run.engine_starts();
    run.target_seen();
    run.read();
    assert!(run.state.hold.is_none(), "the time without an engine is no silence of the source");
    run.wait(31_000);
    assert!(run.entries.iter().any(|entry| matches!(entry.event, Event::TriggerBlind { .. })));
}

#[test]
fn a_target_of_another_run_holds_until_it_is_taken_over_by_name() {
    let mut run = Script::new(&BOOK.replace("THEN", "hold"));
    let owned = || Event::TargetOwned {
        target: "main".into(),
        fingerprint: gonogo::run::event::Fingerprint { database: "paper".into(), ..Default::default() },
        owner: "run r0 of ann has not ended".into(),
        others: Vec::new(),
    };
    run.fact(owned());
    run.wait(300);
    assert!(matches!(&run.state.hold.as_ref().unwrap().cause, HoldCause::Owned { target, .. } if target == "main"));
    let take = |text: &str| CommandVerb::TakeOver { target: "main".into(), text: text.into() };
    run.read();
    run.say(take("papers"));
    assert_eq!(news(&mut run), ["refused take over: \"papers\" is not the name of the target's database"]);
    // Looking again: it may have ended meanwhile.
    run.say(CommandVerb::Release);
    assert!(run.state.hold.is_none() && !run.state.targets["main"].taking);
    run.fact(owned());
    run.wait(300);
    run.say(take(" paper "));
    assert!(run.state.hold.is_none() && run.state.targets["main"].taking);
    run.target_seen();
    run.say(take("paper"));
    assert!(!run.state.targets["main"].taking);
    assert_eq!(news(&mut run).last().unwrap(), "refused take over: nobody has target main instead of this run");
}
