//! Laws of watching, for every course of samples, silences, gaps and crashes.

use gonogo::run::{Event, RunState};
use proptest::prelude::*;

use crate::script::Script;

const BOOK: &str = r#"
[[trigger]]
id = "high"
when = "errors > 2"
lasting = "5s"
then = "hold"
[[trigger]]
id = "not-low"
when = "not (errors <= 2)"
lasting = "5s"
samples = 4
then = "hold"
[[phase]]
id = "look"
kind = "monitor"
lasts = "30s"
[[phase]]
id = "after"
kind = "followup"
[[phase.step]]
id = "tidy"
wait = "1s"
"#;

#[derive(Clone, Debug)]
enum Move {
    Sample(f64),
    Silence,
    Gap(u64),
    Crash(u64),
}

fn play(moves: &[Move]) -> Script {
    let mut run = Script::new(BOOK);
    for one in moves {
        match one {
            Move::Sample(value) => run.sample("errors", *value),
            Move::Silence => run.silence("errors", "NaN"),
            Move::Gap(ms) => {
                run.pass(*ms);
                run.fact(Event::Gap { ms: *ms });
                run.target_seen();
            }
            Move::Crash(ms) => {
                run.pass(*ms);
                run.engine_starts();
                run.target_seen();
            }
        }
        run.wait(1_000);
    }
    run
}

fn blind() -> impl Strategy<Value = Move> {
    prop_oneof![4 => Just(Move::Silence), 1 => (0u64..100_000).prop_map(Move::Gap), 1 => (0u64..100_000).prop_map(Move::Crash)]
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![6 => prop_oneof![Just(0.0), Just(9.0)].prop_map(Move::Sample), 2 => blind()]
}

fn passed(run: &Script) -> bool {
    run.entries.iter().any(|entry| matches!(&entry.event, Event::PhaseLeft { phase, .. } if phase == "look"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_seen_neither_fires_nor_passes(moves in prop::collection::vec(blind(), 0..120)) {
        let run = play(&moves);
        prop_assert!(!passed(&run));
        let reacted = |event: &Event| matches!(event, Event::TriggerFired { .. } | Event::TriggerBreached { .. });
        prop_assert!(!run.entries.iter().any(|entry| reacted(&entry.event)));
    }

    #[test]
    fn half_a_view_does_not_pass(moves in prop::collection::vec(blind(), 60..120), good in 0.0f64..2.0) {
        let moves: Vec<Move> = moves.into_iter().flat_map(|one| [Move::Sample(good), one, Move::Silence]).collect();
        prop_assert!(!passed(&play(&moves)));
    }

    #[test]
    fn what_fires_was_true_in_every_number_of_its_time(moves in prop::collection::vec(any_move(), 0..120)) {
        let run = play(&moves);
        let mut state = RunState::default();
        for entry in &run.entries {
            state.apply(entry);
            let Event::TriggerFired { trigger, .. } = &entry.event else { continue };
            let numbers = state.probes["errors"].samples.iter().filter_map(|sample| Some((sample.at.ms, sample.value.clone().ok()?)));
            let breach: Vec<(u64, f64)> = numbers.collect::<Vec<_>>().into_iter().rev().take_while(|(_, value)| *value > 2.0).collect();
            let wanted = if trigger == "not-low" { 4 } else { 2 };
            prop_assert!(breach.len() >= wanted, "{breach:?}");
            let span = breach.first().map_or(0, |newest| newest.0) - breach.last().map_or(0, |oldest| oldest.0);
            prop_assert!(span >= 5_000, "{breach:?}");
        }
    }

    #[test]
    fn what_passes_was_seen(moves in prop::collection::vec(any_move(), 0..120)) {
        let run = play(&moves);
        let mut state = RunState::default();
        for entry in &run.entries {
            state.apply(entry);
            let Event::PhaseLeft { early: None, phase } = &entry.event else { continue };
            if phase == "look" {
                let seen = &state.phases["look"];
                let watched = entry.at.ms - seen.entered.unwrap().ms - seen.unwatched_ms;
                prop_assert!(watched >= 30_000);
                // Told by the samples alone: each number vouches for the second before it and the second after it.
                let since = seen.entered.unwrap().ms;
                let numbers = state.probes["errors"].samples.iter().filter(|sample| sample.value.is_ok() && sample.at.ms >= since);
                let (mut covered, mut until) = (0, since);
                for at in numbers.map(|sample| sample.at.ms) {
                    let from = at.saturating_sub(1_000).max(until);
                    covered += (at + 1_000).saturating_sub(from);
                    until = at + 1_000;
                }
                prop_assert!(covered + 1_000 >= 27_000, "{covered} ms");
            }
        }
    }
}
