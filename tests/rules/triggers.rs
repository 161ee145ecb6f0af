//! Triggers: patience, silence, countdown.

use gonogo::run::CommandVerb;
use gonogo::run::event::Claim;
use insta::assert_snapshot;

use crate::script::{Script, unknown};

fn book(trigger: &str) -> String {
    format!(
        r#"
[[trigger]]
id = "high"
when = "errors > 2"
lasting = "3s"
{trigger}
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = {{ sql = "drop table a" }}
[[phase.step]]
id = "b"
sql = "create table b (x)"
[[phase]]
id = "look"
kind = "monitor"
lasts = "1h"
"#
    )
}

/// A sample a second.
fn samples(run: &mut Script, values: &[f64]) {
    for value in values {
        run.sample("errors", *value);
        run.wait(1_000);
    }
}

fn after_a(trigger: &str) -> Script {
    let mut run = Script::new(&book(trigger));
    run.start("a");
    run.done("a");
    run.read();
    run
}

fn signals(run: &mut Script) -> String {
    run.read().lines().filter(|line| !line.starts_with("sample")).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_spike_does_not_fire() {
    let mut run = after_a("then = \"rollback\"");
    samples(&mut run, &[9.0, 9.0, 1.0, 9.0, 9.0, 1.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn it_counts_down_and_rolls_back() {
    let mut run = after_a("then = \"rollback\"\ngrace = \"5s\"");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    run.start("b");
    run.wait(5_000);
    run.done("a");
    assert_snapshot!(signals(&mut run));
}

#[test]
fn one_key_stops_the_countdown() {
    let mut run = after_a("then = \"rollback\"");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0]);
    run.say(CommandVerb::StopCountdown);
    run.wait(60_000);
    run.say(CommandVerb::Release);
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    samples(&mut run, &[1.0, 9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn silence_never_fires_and_never_calms() {
    let mut run = after_a("then = \"rollback\"");
    samples(&mut run, &[9.0, 9.0]);
    for _ in 0..100 {
        run.silence("errors", "500");
        run.wait(1_000);
    }
    samples(&mut run, &[9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn missing_data_holds_after_a_while() {
    let mut run = after_a("then = \"rollback\"\nmissing = \"hold\"\nmissing_for = \"10s\"");
    samples(&mut run, &[1.0, 1.0]);
    for _ in 0..20 {
        run.silence("errors", "connection refused");
        run.wait(1_000);
    }
    samples(&mut run, &[1.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn a_stale_sample_is_no_data() {
    let mut run = after_a("then = \"hold\"");
    samples(&mut run, &[9.0]);
    run.wait(600_000);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn an_obstacle_holds_instead() {
    let mut run = after_a("then = \"rollback\"");
    run.start("b");
    run.done("b");
    run.read();
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn doubt_holds_instead() {
    let mut run = after_a("then = \"rollback\"");
    run.start("b");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0]);
    run.end("b", unknown());
    run.wait(60_000);
    run.settle("b", Claim::NotDone);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn it_is_armed_only_in_its_phases() {
    let mut run = after_a("then = \"hold\"\nduring = [\"monitor\"]");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
    run.start("b");
    run.done("b");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn a_wall_clock_that_is_set_moves_nothing() {
    let course = |step: i64| {
        let mut run = after_a("then = \"rollback\"\ngrace = \"5s\"");
        samples(&mut run, &[9.0, 9.0]);
        run.set_wall(step);
        samples(&mut run, &[9.0, 9.0, 9.0]);
        run.set_wall(-2 * step);
        run.wait(5_000);
        run.done("a");
        run.wait(60_000);
        run.read()
    };
    let steady = course(0);
    assert!(steady.contains("rollback [a]"), "{steady}");
    for hours in [-1, 1, 24] {
        assert_eq!(course(hours * 3_600), steady, "{hours} h");
    }
}

#[test]
fn a_gap_begins_patience_anew_and_waits_for_the_targets() {
    let mut run = after_a("then = \"hold\"");
    samples(&mut run, &[9.0, 9.0]);
    run.pass(600_000);
    run.fact(gonogo::run::Event::Gap { ms: 600_000 });
    run.start("b");
    assert!(run.read().contains("refused start b: target main has not said yet who it is"));
    run.say(CommandVerb::SetAdvance { auto: true });
    assert!(!run.read().contains("start b"), "the target has not answered yet");
    run.target_seen();
    samples(&mut run, &[9.0]);
    let news = signals(&mut run);
    assert!(news.contains("start b#1") && !news.contains("fired"), "{news}");
}

#[test]
fn before_its_delay_is_over_nothing_counts() {
    let mut run = after_a("after = \"10s\"\nthen = \"hold\"\nmissing = \"hold\"\nmissing_for = \"4s\"");
    // The spike of the start, and the silence of it.
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    run.wait(4_900);
    assert_eq!(signals(&mut run), "");
    // One more that is breached: the patience begins here, not with what was measured before.
    samples(&mut run, &[9.0, 9.0, 9.0]);
    assert_eq!(signals(&mut run), "trigger breached high");
    samples(&mut run, &[9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn the_absence_of_data_counts_from_the_end_of_the_delay() {
    let mut run = after_a("after = \"10s\"\nthen = \"hold\"\nmissing = \"hold\"\nmissing_for = \"4s\"");
    run.wait(13_999);
    assert_eq!(signals(&mut run), "");
    run.wait(1);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn the_delay_counts_from_the_first_of_its_phases_in_a_row() {
    let text = book("after = \"10s\"\nthen = \"warn\"\nduring = [\"migrate\", \"monitor\"]");
    let mut run = Script::new(&text);
    run.start("a");
    run.done("a");
    run.wait(8_000);
    run.start("b");
    run.done("b");
    run.read();
    // Two seconds into the watch the ten are over.
    samples(&mut run, &[9.0, 9.0]);
    assert_eq!(signals(&mut run), "");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn a_breach_outside_of_its_delay_is_forgotten_between_phases_apart() {
    let text = book("after = \"3s\"\nthen = \"warn\"\nduring = \"look\"");
    let mut run = Script::new(&text);
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0]);
    run.start("a");
    run.done("a");
    run.start("b");
    run.done("b");
    run.read();
    samples(&mut run, &[9.0, 9.0, 9.0]);
    assert_eq!(signals(&mut run), "");
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
}

#[test]
fn a_watch_does_not_pass_over_what_it_has_not_judged_yet() {
    let text = book("after = \"2h\"\nthen = \"hold\"\nduring = \"look\"").replace("lasts = \"1h\"", "lasts = \"6s\"");
    let mut run = Script::new(&text);
    run.start("a");
    run.done("a");
    run.start("b");
    run.done("b");
    run.read();
    samples(&mut run, &[9.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
    assert_snapshot!(signals(&mut run));
    let cause = &run.state.hold.as_ref().unwrap().cause;
    assert!(matches!(cause, gonogo::run::event::HoldCause::Breached { unjudged: true, .. }), "{cause:?}");
    let words = gonogo::run::words::hold(cause, &run.book);
    assert_eq!(words, "phase look cannot pass: trigger high is not judged yet, and its condition is true");
}
