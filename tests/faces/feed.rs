//! Replay: the pace is exact, every entry comes once, and wherever the playhead goes the state is the fold up to there.

use gonogo::feed::{MarkKind, Replay};
use gonogo::run::{Chunk, Entry, Event, RunState};
use proptest::prelude::*;

use crate::script;

/// A long run: attempts with output, samples between, a trigger now and then; some hundred milliseconds an entry.
fn long(entries: usize) -> Vec<Entry> {
    let mut s = script::Script::default();
    s.entries = script::run();
    s.ms = s.entries.last().unwrap().at.ms;
    let steps = ["m011", "backfill", "backup", "reindex"];
    let mut n = 2;
    while s.entries.len() < entries {
        let attempt = script::forward(steps[n % steps.len()], n as u32);
        s.after(400).start(&attempt, script::statement("select 1"), script::DBA);
        for i in 0..40 {
            let rows = vec![vec![Some(format!("{n}-{i}")), None]; 3];
            s.after(100).output(&attempt, Chunk::Rows { n: 1, rows });
            s.after(7).sample((n + i) as f64 / 10.0);
        }
        s.end(&attempt, script::done(Default::default()));
        s.push(Event::TriggerBreached { trigger: "errors-high".into() });
        n += 1;
    }
    s.entries.truncate(entries);
    s.entries
}

fn shown(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// An engine that died wrote nothing down: only the next one's entry says that it did.
#[test]
fn it_knows_when_an_engine_took_over_from_a_dead_one() {
    let started =
        || Event::EngineStarted { pid: 9, host: "h".into(), boot: "b".into(), zero_ms: 0, by: script::DBA.into() };
    let mut s = script::Script::default();
    s.after(0).push(started());
    s.after(100).sample(1.0);
    s.after(900).push(started());
    s.after(100).push(Event::EngineStopped { by: script::DBA.into(), reason: String::new() });
    s.after(900).push(started());
    let mut replay = Replay::new(s.entries.clone());
    let before: Vec<usize> = (0..=s.entries.len())
        .filter(|n| {
            replay.step_to(*n);
            replay.is_before_takeover()
        })
        .collect();
    assert_eq!(before, [2]);
}

#[test]
fn entries_come_at_their_time() {
    let run = script::run();
    let mut replay = Replay::new(run.clone());
    assert_eq!(replay.advance(1_000), []);
    assert_eq!(replay.next_due(), None);
    replay.play(1_000);
    let start: Vec<_> = run.iter().filter(|entry| entry.at.ms == 0).cloned().collect();
    assert_eq!(replay.advance(1_000), start);
    assert_eq!(replay.next_due(), Some(40));
    assert_eq!(replay.advance(1_039), []);
    assert_eq!(shown(replay.advance(1_040)), [3]);
    replay.set_speed(10.0);
    assert_eq!(replay.next_due(), Some(500));
    assert_eq!(shown(replay.advance(1_540)), [4, 5]);
    replay.pause();
    assert_eq!(replay.advance(9_999_999), []);
    assert_eq!(replay.moment().ms, 5_040);
    assert_eq!(replay.moment().wall.to_rfc3339(), "2024-01-31T08:00:05.040+00:00");
    replay.play(10_000_000);
    replay.set_speed(f64::INFINITY);
    assert_eq!(replay.advance(11_000_000).len(), run.len() - 5);
    assert!(!replay.status().playing && replay.status().position == run.len());
    replay.play(0);
    assert_eq!(replay.advance(0), start, "at the end, play begins again");
}

#[test]
fn idle_times_are_cut_to_two_seconds() {
    let run = script::run();
    let backup_ends = run.iter().position(|entry| entry.at.ms > 600_000).unwrap();
    let mut replay = Replay::new(run);
    replay.set_idle_skip(true);
    replay.step_to(backup_ends);
    replay.play(0);
    assert_eq!(replay.next_due(), Some(2_000));
    assert_eq!(replay.advance(1_999), []);
    assert_eq!(replay.advance(2_000).first().map(|entry| entry.seq), Some(backup_ends as u64 + 1));
}

#[test]
fn speeds_are_a_ladder_with_ends() {
    let mut replay = Replay::new(script::run());
    replay.slower();
    assert_eq!(replay.status().speed, 1.0);
    (0..20).for_each(|_| replay.faster());
    assert_eq!(replay.status().speed, 1_000.0);
    replay.slower();
    assert_eq!(replay.status().speed, 500.0);
    replay.set_speed(f64::NAN);
    assert_eq!(replay.status().speed, 1.0);
}

#[test]
fn marks_are_found_both_ways() {
    let run = script::run();
    let mut replay = Replay::new(run.clone());
    let mut found = Vec::new();
    while replay.next_mark(MarkKind::Failure).is_some() {
        found.push(replay.status().position);
    }
    let failed = |entry: &&Entry| {
        let Event::StepEnded { outcome, .. } = &entry.event else {
            return false;
        };
        !matches!(outcome, gonogo::run::Outcome::Done { .. })
    };
    let expected: Vec<_> = run.iter().filter(failed).map(|entry| entry.seq as usize).collect();
    assert_eq!(found, expected);
    assert_eq!(replay.previous_mark(MarkKind::Failure).map(|state| state.seq), Some(found[0] as u64));
    assert!(replay.previous_mark(MarkKind::Failure).is_none());
    assert!(replay.next_mark(MarkKind::Note).is_some() && replay.next_mark(MarkKind::Trigger).is_some());
    assert!(replay.next_mark(MarkKind::Rollback).is_some());
    assert_eq!(replay.status().position, replay.shown().len());
}

#[test]
fn a_run_without_entries_is_survived() {
    let mut replay = Replay::new(Vec::new());
    replay.play(0);
    assert_eq!(replay.advance(1_000), []);
    assert_eq!(replay.seek_fraction(0.5), RunState::default());
    assert_eq!(replay.step(-3), RunState::default());
    assert!(replay.next_mark(MarkKind::Note).is_none() && replay.next_due().is_none());
    assert_eq!(replay.moment(), Default::default());
}

#[test]
fn times_at_the_end_of_the_scale_end_the_replay() {
    let mut run = script::run();
    let last = run.len() - 1;
    run[last].at.ms = u64::MAX;
    let mut replay = Replay::new(run);
    replay.set_idle_skip(true);
    replay.set_speed(1_000.0);
    replay.play(0);
    replay.advance(u64::MAX);
    assert!(!replay.status().playing);
    assert_eq!(replay.seek(u64::MAX).seq, last as u64 + 1);
    let _ = replay.moment();
}

#[derive(Clone, Debug)]
enum Act {
    Advance(u64),
    Seek(u64),
    Fraction(f64),
    Step(isize),
    To(usize),
    Next,
    Previous,
    Skip(bool),
    Speed(f64),
    Toggle,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..9_000u64).prop_map(Act::Advance),
        (0..1_200_000u64).prop_map(Act::Seek),
        (-0.2..1.2f64).prop_map(Act::Fraction),
        (-40..40isize).prop_map(Act::Step),
        (0..7_000usize).prop_map(Act::To),
        Just(Act::Next),
        Just(Act::Previous),
        any::<bool>().prop_map(Act::Skip),
        (0.0..2_000f64).prop_map(Act::Speed),
        Just(Act::Toggle),
    ]
}

/// Does it; the state where the act says one.
fn done(replay: &mut Replay, act: &Act, now: &mut u64) -> Option<RunState> {
    match act {
        Act::Advance(ms) => {
            *now += ms;
            replay.advance(*now);
        }
        Act::Seek(ms) => return Some(replay.seek(*ms)),
        Act::Fraction(fraction) => return Some(replay.seek_fraction(*fraction)),
        Act::Step(by) => return Some(replay.step(*by)),
        Act::To(position) => return Some(replay.step_to(*position)),
        Act::Next => return replay.next_mark(MarkKind::Failure),
        Act::Previous => return replay.previous_mark(MarkKind::Hold),
        Act::Skip(on) => replay.set_idle_skip(*on),
        Act::Speed(speed) => replay.set_speed(*speed),
        Act::Toggle => replay.toggle(*now),
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_state_is_the_fold_of_what_is_shown(acts in prop::collection::vec(act(), 1..14)) {
        let run = long(6_000);
        let mut replay = Replay::new(run.clone());
        let mut now = 0;
        for act in &acts {
            let state = done(&mut replay, act, &mut now);
            let fold = RunState::fold(&run[..replay.status().position]);
            prop_assert_eq!(replay.state(), fold.clone(), "after {:?}", act);
            if let Some(state) = state {
                prop_assert_eq!(state, fold);
            }
        }
    }

    #[test]
    fn every_entry_comes_once_and_in_order(
        waits in prop::collection::vec(0..400u64, 1..60), speed in 1.0..1_000f64, skip in any::<bool>(),
    ) {
        let run = long(400);
        let mut replay = Replay::new(run.clone());
        replay.set_speed(speed);
        replay.set_idle_skip(skip);
        replay.play(0);
        let (mut now, mut seen) = (0, Vec::new());
        for wait in &waits {
            now += wait;
            let due = replay.advance(now).to_vec();
            let latest = now as f64 * speed;
            let early = due.iter().find(|entry| entry.at.ms as f64 > latest);
            prop_assert!(skip || early.is_none(), "{early:?} came before its time");
            seen.extend(due);
        }
        // Sleeping as long as it says brings the rest, and each sleep brings something.
        while let Some(wait) = replay.next_due() {
            now += wait.max(1);
            seen.extend(replay.advance(now).to_vec());
        }
        prop_assert_eq!(seen, run);
    }
}
