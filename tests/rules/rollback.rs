//! The way back: order, obstacles, failures, rehearsals.

use gonogo::run::event::{Claim, Mode};
use gonogo::run::facts::{Chunk, Effect};
use gonogo::run::inventory::Item;
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
    run.say(CommandVerb::Skip { step: "a".into(), reason: "dropped by hand".into() });
    run.read();
    assert_eq!(run.state.ended.as_ref().map(|ended| ended.0), Some(gonogo::run::event::End::RolledBack));
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
