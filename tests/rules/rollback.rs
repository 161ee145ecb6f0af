//! The way back: order, obstacles, failures, rehearsals.

use gonogo::run::event::{Claim, Mode};
use gonogo::run::facts::{Chunk, Effect};
use gonogo::run::inventory::Item;
use gonogo::run::state::StepStatus;
use gonogo::run::{CommandVerb, Event, RunState};
use insta::assert_snapshot;

use crate::script::{Script, failed, unknown};

const SNAPSHOTS: &str = r#"
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "before"
snapshot = { name = "base", rows = "none" }
expect = "value > 0"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "look"
sql = "select 1"
[[rollback]]
id = "plan"
title = "Plan"
[[rollback.step]]
id = "proof"
snapshot = { name = "back", rows = "none", compare = "base" }
"#;

const THREE: &str = r#"
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "look"
sql = "select 1"
[[phase.step]]
id = "b"
run = ["true"]
undo = { run = ["false"] }
[[rollback]]
id = "restore"
title = "Restore"
[[rollback.step]]
id = "load"
run = ["restore"]
loses = "every write since the backup"
"#;

fn back(plan: Option<&str>) -> CommandVerb {
    CommandVerb::Rollback { plan: plan.map(Into::into), reason: "errors".into() }
}

fn two_done() -> Script {
    let mut run = Script::new(THREE);
    run.start("a");
    run.done("a");
    run.start("look");
    run.done("look");
    run
}

#[test]
fn last_first_and_only_what_was_done() {
    let mut run = two_done();
    run.start("b");
    run.end("b", failed(Effect::Possible));
    run.read();
    run.say(back(None));
    run.done("b");
    run.done("a");
    assert_snapshot!(run.read());
}

#[test]
fn what_runs_is_cancelled_first() {
    let mut run = two_done();
    run.start("b");
    run.read();
    run.say(back(None));
    run.end("b", failed(Effect::None));
    run.done("a");
    assert_snapshot!(run.read());
}

#[test]
fn a_failing_undo_stops_and_asks() {
    let mut run = two_done();
    run.say(back(None));
    run.end("a", failed(Effect::None));
    run.say(CommandVerb::Release);
    run.say(CommandVerb::Retry { step: "a".into() });
    run.end("a", unknown());
    run.settle("a", Claim::NotDone);
    run.read();
    run.say(CommandVerb::Skip { step: "a".into(), reason: "dropped by hand".into() });
    assert_snapshot!(run.read(), @r"
    skip a: dropped by hand
    released
    rollback ended
    run Failed
    ");
    assert_eq!(end_reason(&run), "the way back is incomplete: the undo of a was skipped (dropped by hand); errors");
    assert_eq!(run.state.status(&"a".into()), StepStatus::UndoSkipped, "it is not undone, and was not skipped either");
}

fn end_reason(run: &Script) -> &str {
    run.state.ended.as_ref().map_or("", |(_, reason, _)| reason.as_str())
}

#[test]
fn a_plan_of_which_a_step_was_skipped_did_not_roll_back() {
    let mut run = two_done();
    run.say(back(Some("restore")));
    run.end("load", failed(Effect::None));
    run.read();
    run.say(CommandVerb::Skip { step: "load".into(), reason: "restored by hand".into() });
    assert_snapshot!(run.read(), @r"
    skip load: restored by hand
    released
    rollback ended
    run Failed
    ");
    assert_eq!(end_reason(&run), "the way back is incomplete: load was skipped (restored by hand); errors");
    assert_eq!(run.state.status(&"a".into()), StepStatus::Done);
}

#[test]
fn a_rehearsal_whose_way_back_is_incomplete_does_not_go_forward_again() {
    let mut run = Script::open(THREE, "test", Mode::Rehearsal);
    for step in ["a", "look", "b"] {
        run.start(step);
        run.done(step);
    }
    run.end("b", failed(Effect::None));
    run.say(CommandVerb::Skip { step: "b".into(), reason: "later".into() });
    run.read();
    run.done("a");
    assert_snapshot!(run.read(), @r"
    end undo of a#1 done
    rollback ended
    run Failed
    ");
}

#[test]
fn a_named_plan() {
    let mut run = two_done();
    run.read();
    run.say(back(Some("nothing")));
    run.say(back(Some("restore")));
    run.end("load", failed(Effect::Possible));
    run.say(CommandVerb::Retry { step: "load".into() });
    run.done("load");
    assert_snapshot!(run.read());
}

#[test]
fn a_way_back_that_failed_leaves_the_others() {
    let mut run = two_done();
    run.say(back(Some("restore")));
    run.say(back(None));
    run.end("load", failed(Effect::None));
    run.read();
    run.say(back(Some("restore")));
    run.say(back(None));
    run.done("a");
    assert_snapshot!(run.read(), @r"
    refused rollback: that way back is under way: retry its step, skip it, or choose another
    rollback [a]
    start undo of a#1
    end undo of a#1 done
    rollback ended
    run RolledBack
    ");
    let refused = run.entries.iter().filter(|entry| matches!(entry.event, Event::Refused { .. }));
    assert_eq!(refused.count(), 2, "while it runs there is no other way back");
}

#[test]
fn what_was_skipped_on_one_way_back_is_not_healed_by_another() {
    let mut run = two_done();
    run.start("b");
    run.end("b", failed(Effect::Possible));
    run.say(back(None));
    run.end("b", failed(Effect::None));
    run.say(CommandVerb::Skip { step: "b".into(), reason: "later".into() });
    run.end("a", failed(Effect::None));
    run.say(back(Some("restore")));
    run.done("load");
    assert_eq!(end_reason(&run), "the way back is incomplete: the undo of b was skipped (later); errors");
}

#[test]
fn a_reason_is_wanted() {
    let mut run = two_done();
    run.read();
    run.say(CommandVerb::Rollback { plan: None, reason: String::new() });
    assert_snapshot!(run.read());
}

#[test]
fn on_fail_rollback() {
    let mut run = Script::new(&THREE.replace("id = \"b\"", "id = \"b\"\non_fail = \"rollback\""));
    run.start("a");
    run.done("a");
    run.start("look");
    run.done("look");
    run.start("b");
    run.read();
    run.end("b", failed(Effect::None));
    run.done("a");
    assert_snapshot!(run.read());
}

#[test]
fn a_rehearsal_goes_there_back_and_there_again() {
    let mut run = Script::open(THREE, "test", Mode::Rehearsal);
    for _ in 0..2 {
        run.start("a");
        run.done("a");
        run.start("look");
        run.done("look");
        run.start("b");
        run.done("b");
        if run.state.rolling_back() {
            run.done("b");
            run.done("a");
        }
    }
    assert_snapshot!(run.read());
}

/// The names of the tables that a snapshot holds.
fn held(run: &Script, name: &str) -> Vec<String> {
    let items = run.state.snapshots.get(name).map(|items| items.to_vec()).unwrap_or_default();
    items.into_iter().map(|item| item.1).collect()
}

fn brings(run: &mut Script, step: &str, name: &str, table: &str) {
    let attempt = run.open_attempt(step);
    let items = vec![Item("table".into(), table.into(), String::new())];
    run.fact(Event::Output { attempt, chunk: Chunk::Inventory { name: name.into(), items } });
}

#[test]
fn a_snapshot_counts_when_its_step_ended_well() {
    let mut run = Script::new(SNAPSHOTS);
    run.start("before");
    brings(&mut run, "before", "base", "cut off");
    run.end("before", failed(Effect::None));
    assert!(held(&run, "base").is_empty(), "what failed is nothing to compare with");
    run.say(CommandVerb::Retry { step: "before".into() });
    assert!(held(&run, "base").is_empty());
    brings(&mut run, "before", "base", "orders");
    assert!(held(&run, "base").is_empty(), "nor is what nobody judged yet");
    run.done("before");
    assert_eq!(held(&run, "base"), ["orders"]);
    run.start("a");
    run.done("a");
    run.say(back(Some("plan")));
    brings(&mut run, "proof", "back", "too many");
    run.end("proof", failed(Effect::None));
    assert!(held(&run, "back").is_empty());
    run.say(CommandVerb::Release);
    run.say(CommandVerb::Retry { step: "proof".into() });
    brings(&mut run, "proof", "back", "orders");
    run.done("proof");
    assert_eq!((held(&run, "back"), held(&run, "base")), (vec!["orders".to_owned()], vec!["orders".to_owned()]));
    assert_eq!(RunState::fold(&run.entries).snapshots, run.state.snapshots, "its journal says the same");
}
