//! Laws that hold for every sequence of inputs.

use gonogo::run::event::{Claim, Resolved};
use gonogo::run::facts::Effect;
use gonogo::run::state::StepStatus;
use gonogo::run::{CommandVerb, Direction, Event, RunState};
use proptest::prelude::*;

use crate::script::{Script, done, failed, unknown};

const BOOK: &str = r#"
[[trigger]]
id = "high"
when = "errors > 2"
lasting = "2s"
then = "rollback"
grace = "3s"
missing = "hold"
missing_for = "5s"
[[phase]]
id = "ask"
kind = "prepare"
[[phase.step]]
id = "ready"
checklist = ["One", { ask = "Two", answer = "required" }]
[[phase]]
id = "go"
kind = "migrate"
[[phase.step]]
id = "a"
retries = 1
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "b"
run = ["true"]
undo = { run = ["true"] }
[[phase.step]]
id = "c"
on_fail = "rollback"
sql = "create table c (x)"
undo = { sql = "drop table c" }
[[phase]]
id = "look"
kind = "monitor"
lasts = "10s"
[[rollback]]
id = "plan"
title = "Plan"
[[rollback.step]]
id = "load"
run = ["true"]
"#;

const STEPS: [&str; 5] = ["ready", "a", "b", "c", "load"];

#[derive(Clone, Debug)]
enum Move {
    Say(CommandVerb),
    End(usize, u8),
    Settle(usize, bool),
    Sample(f64),
    Silence,
    Wait(u64),
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = || prop::sample::select(STEPS.to_vec()).prop_map(gonogo::runbook::StepId::from);
    let verb = prop_oneof![
        4 => step().prop_map(|step| CommandVerb::Start { step }),
        2 => step().prop_map(|step| CommandVerb::Retry { step }),
        1 => step().prop_map(|step| CommandVerb::Skip { step, reason: "why not".into() }),
        3 => (0usize..3, any::<bool>()).prop_map(|(item, said)| CommandVerb::Tick {
            step: "ready".into(),
            item,
            answer: said.then(|| "me".into())
        }),
        1 => Just(CommandVerb::Hold { reason: String::new() }),
        3 => Just(CommandVerb::Release),
        1 => any::<bool>().prop_map(|auto| CommandVerb::SetAdvance { auto }),
        1 => any::<bool>().prop_map(|plan| CommandVerb::Rollback {
            plan: plan.then(|| "plan".into()),
            reason: "fear".into()
        }),
        1 => Just(CommandVerb::StopCountdown),
        1 => Just(CommandVerb::SignOff { phase: "look".into(), reason: "calm".into() }),
        1 => Just(CommandVerb::Quit { reason: String::new() }),
    ];
    let one = prop_oneof![
        10 => verb.prop_map(Move::Say),
        8 => (0usize..5, 0u8..6).prop_map(|(step, how)| Move::End(step, how)),
        2 => (0usize..5, any::<bool>()).prop_map(|(step, yes)| Move::Settle(step, yes)),
        4 => (0.0f64..5.0).prop_map(Move::Sample),
        1 => Just(Move::Silence),
        4 => (0u64..4_000).prop_map(Move::Wait),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(one, 0..80)
}

fn play(run: &mut Script, moves: Vec<Move>) {
    for one in moves {
        match one {
            Move::Say(verb) => run.say(verb),
            Move::End(step, how) => {
                let open = run.state.open.iter().find(|attempt| attempt.step.0 == STEPS[step]).cloned();
                if open.is_some() && STEPS[step] != "ready" {
                    let outcome = match how {
                        0 => failed(Effect::None),
                        1 => failed(Effect::Possible),
                        2 => unknown(),
                        _ => done(),
                    };
                    run.end(STEPS[step], outcome);
                }
            }
            Move::Settle(step, yes) => {
                if run.state.open.iter().any(|attempt| attempt.step.0 == STEPS[step]) {
                    run.settle(STEPS[step], if yes { Claim::Done } else { Claim::NotDone });
                }
            }
            Move::Sample(value) => run.sample("errors", value),
            Move::Silence => run.silence("errors", "gone"),
            Move::Wait(ms) => run.wait(ms),
            Move::Restart => {
                run.engine_starts();
                let fingerprint = gonogo::run::event::Fingerprint::default();
                run.fact(Event::TargetSeen { target: "main".into(), fingerprint, grip: Default::default() });
            }
        }
    }
}

/// The effects that a prefix of a journal ordered and that have not ended.
fn at_work(state: &RunState) -> usize {
    state
        .open
        .iter()
        .filter(|attempt| {
            let run = &state.steps[&attempt.step];
            !matches!(run.resolved, Some(Resolved::Human)) && run.status != StepStatus::InDoubt
        })
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_is_survived_and_obeys_the_laws(moves in moves()) {
        let mut run = Script::new(BOOK);
        play(&mut run, moves);

        // The state is the fold of the journal.
        prop_assert_eq!(&RunState::fold(&run.entries), &run.state);

        let mut state = RunState::default();
        let mut back = false;
        let mut ended = false;
        for entry in &run.entries {
            if let Event::StepStarted { attempt, .. } = &entry.event {
                // Nothing starts after the end, and never two things at once.
                prop_assert!(!ended);
                prop_assert_eq!(at_work(&state), 0, "{:?} started beside another", attempt);
                // No attempt is ever used twice.
                prop_assert!(!state.open.contains(attempt));
                let before = match attempt.direction {
                    Direction::Forward => state.steps.get(&attempt.step).map_or(0, |step| step.tries),
                    Direction::Undo => state.steps.get(&attempt.step).map_or(0, |step| step.undo_tries),
                };
                prop_assert!(attempt.n > before);
                // Nothing starts beside a doubt.
                prop_assert!(!state.steps.values().any(|step| step.status == StepStatus::InDoubt));
                // After a rollback began only its own steps start.
                if back {
                    prop_assert!(attempt.direction == Direction::Undo || attempt.step.0 == "load");
                }
                // An undo takes back what had an effect.
                if attempt.direction == Direction::Undo {
                    prop_assert!(state.steps[&attempt.step].has_effect());
                }
            }
            back |= matches!(entry.event, Event::RollbackStarted { .. });
            ended |= matches!(entry.event, Event::RunEnded { .. });
            state.apply(entry);
        }
    }

    #[test]
    fn the_sequence_numbers_have_no_gap(moves in moves()) {
        let mut run = Script::new(BOOK);
        play(&mut run, moves);
        for (n, entry) in run.entries.iter().enumerate() {
            prop_assert_eq!(entry.seq, n as u64 + 1);
        }
    }
}
