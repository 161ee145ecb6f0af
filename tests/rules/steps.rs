//! Steps forward: who starts them, what holds them, what is refused.

use gonogo::run::CommandVerb;
use gonogo::run::event::{Claim, Mode};
use gonogo::run::facts::Effect;
use insta::assert_snapshot;

use crate::script::{Script, failed, unknown};

const TWO: &str = r#"
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "b"
sql = "create table b (x)"
undo = { sql = "drop table b" }
"#;

#[test]
fn the_operator_starts_each_step() {
    let mut run = Script::new(TWO);
    run.start("a");
    run.done("a");
    run.start("b");
    run.done("b");
    assert_snapshot!(run.read());
}

#[test]
fn auto_goes_on_by_itself() {
    let mut run = Script::new(TWO);
    run.say(CommandVerb::SetAdvance { auto: true });
    run.done("a");
    run.done("b");
    assert_snapshot!(run.read());
}

#[test]
fn a_stale_confirm_is_refused() {
    let mut run = Script::new(TWO);
    run.start("a");
    run.end("a", failed(Effect::None));
    run.read();
    run.say_having_seen(CommandVerb::Retry { step: "a".into() }, 4);
    run.start("b");
    run.say(CommandVerb::Release);
    run.say(CommandVerb::Retry { step: "a".into() });
    assert_snapshot!(run.read());
}

#[test]
fn a_skip_needs_a_reason() {
    let mut run = Script::new(TWO);
    run.say(CommandVerb::Skip { step: "a".into(), reason: "  ".into() });
    run.say(CommandVerb::Skip { step: "b".into(), reason: "not today".into() });
    run.say(CommandVerb::Skip { step: "a".into(), reason: "done by hand".into() });
    assert_snapshot!(run.read());
}

#[test]
fn retries_back_off_and_end() {
    let mut run = Script::new(&TWO.replace("id = \"a\"", "id = \"a\"\nretries = 2"));
    run.start("a");
    run.end("a", failed(Effect::None));
    run.wait(900);
    run.wait(100);
    run.end("a", failed(Effect::None));
    run.wait(2_000);
    run.end("a", failed(Effect::None));
    run.wait(60_000);
    assert_snapshot!(run.read());
}

#[test]
fn on_fail_continue_passes_over() {
    let mut run = Script::new(&TWO.replace("id = \"a\"", "id = \"a\"\non_fail = \"continue\""));
    run.start("a");
    run.end("a", failed(Effect::None));
    run.start("b");
    run.done("b");
    assert_snapshot!(run.read());
}

#[test]
fn an_unknown_outcome_blocks_until_it_is_settled() {
    let mut run = Script::new(TWO);
    run.start("a");
    run.end("a", unknown());
    run.say(CommandVerb::Release);
    run.start("b");
    run.say(CommandVerb::Rollback { plan: None, reason: "fear".into() });
    run.settle("a", Claim::NotDone);
    run.say(CommandVerb::Retry { step: "a".into() });
    run.end("a", unknown());
    run.settle("a", Claim::Done);
    run.start("b");
    assert_snapshot!(run.read());
}

#[test]
fn a_protected_environment_wants_its_name() {
    let mut run = Script::open(TWO, "prod", Mode::Live);
    run.start("a");
    run.say(CommandVerb::Confirm { text: "Paper".into() });
    run.say(CommandVerb::Confirm { text: " paper ".into() });
    run.start("a");
    assert_snapshot!(run.read());
}

#[test]
fn checklists_and_polls() {
    let mut run = Script::new(
        r#"
[[phase]]
id = "ask"
kind = "prepare"
[[phase.step]]
id = "ready"
checklist = ["Told", { ask = "Who?", answer = "required" }]
[[phase.step]]
id = "vote"
poll = ["dba", "dev"]
"#,
    );
    let tick =
        |item, answer: Option<&str>| CommandVerb::Tick { step: "ready".into(), item, answer: answer.map(Into::into) };
    let vote = |role: &str, go, reason: &str| CommandVerb::Vote {
        step: "vote".into(),
        role: role.into(),
        go,
        reason: reason.into(),
    };
    run.say(tick(0, None));
    run.say(tick(1, None));
    run.say(tick(7, None));
    run.say(tick(1, Some("Ann")));
    run.say(vote("dba", false, ""));
    run.say(vote("dba", false, "disk is full"));
    run.say(vote("dba", true, ""));
    run.say(vote("ceo", true, ""));
    run.say(CommandVerb::Release);
    run.say(vote("dev", true, ""));
    assert_snapshot!(run.read());
}

#[test]
fn a_watch_lasts_or_is_signed_off() {
    let watch = r#"
[[phase]]
id = "look"
kind = "monitor"
lasts = "10s"
[[phase.step]]
id = "told"
only = ["prod"]
wait = "1s"
"#;
    let mut run = Script::new(watch);
    run.wait(9_999);
    run.wait(1);
    assert_snapshot!(run.read());
    let mut run = Script::new(watch);
    run.say(CommandVerb::SignOff { phase: "look".into(), reason: "calm".into() });
    assert_snapshot!(run.read());
}

#[test]
fn criteria_that_are_not_met_hold() {
    let mut run = Script::new(&format!(
        "{TWO}\n[[criterion]]\nid = \"two\"\ntitle = \"Two\"\nwhen = \"steps['b'].value == 2\"\n"
    ));
    run.start("a");
    run.done("a");
    run.start("b");
    run.done("b");
    run.say(CommandVerb::Release);
    assert_snapshot!(run.read());
}

#[test]
fn only_and_only_if_skip_with_words() {
    let mut run = Script::new(
        r#"
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "a"
only = ["prod"]
sql = "create table a (x)"
undo = "none needed"
[[phase.step]]
id = "b"
only_if = "1 > 2"
sql = "create table b (x)"
undo = "none needed"
"#,
    );
    assert_snapshot!(run.read());
}

const TIMED: &str = r#"
[[phase]]
id = "ask"
kind = "prepare"
[[phase.step]]
id = "vote"
poll = ["dba", "dev"]
timeout = "10m"
[[phase.step]]
id = "act"
sql = "create table a (x)"
undo = "none needed"
"#;

fn vote(role: &str, go: bool) -> CommandVerb {
    CommandVerb::Vote { step: "vote".into(), role: role.into(), go, reason: "said so".into() }
}

#[test]
fn a_poll_that_nobody_answers_in_time_fails_by_name() {
    let mut run = Script::new(TIMED);
    run.say(vote("dba", true));
    run.wait(599_999);
    run.wait(1);
    run.say(vote("dev", true));
    run.say(CommandVerb::Release);
    run.start("act");
    // Everybody is asked anew.
    run.say(CommandVerb::Retry { step: "vote".into() });
    run.say(vote("dev", true));
    run.wait(599_999);
    run.say(vote("dba", true));
    run.wait(600_000);
    assert_snapshot!(run.read());
}

#[test]
fn a_poll_runs_out_while_the_run_is_held() {
    let mut run = Script::new(TIMED);
    run.say(CommandVerb::Hold { reason: "lunch".into() });
    run.wait(600_000);
    run.say(CommandVerb::Release);
    assert_snapshot!(run.read());
}

#[test]
fn a_go_in_time_counts_though_the_run_was_held_beyond_it() {
    let mut run = Script::new(TIMED);
    run.say(CommandVerb::Hold { reason: "lunch".into() });
    run.say(vote("dba", true));
    run.say(vote("dev", true));
    run.wait(700_000);
    run.say(CommandVerb::Release);
    assert_snapshot!(run.read());
}

#[test]
fn a_no_go_is_not_overtaken_by_the_clock() {
    let mut run = Script::new(&TIMED.replace("timeout", "on_fail = \"rollback\"\ntimeout"));
    run.say(vote("dba", false));
    run.wait(700_000);
    run.say(vote("dba", true));
    run.say(CommandVerb::Release);
    assert_snapshot!(run.read());
}

#[test]
fn a_poll_runs_out_while_no_engine_is_there() {
    let mut run = Script::new(TIMED);
    run.say(vote("dba", true));
    run.pass(700_000);
    run.engine_starts();
    run.target_seen();
    assert_snapshot!(run.read());
}
