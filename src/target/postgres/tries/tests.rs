//! The rules of the tries, without a server: what is tried again, when no more, and in which words.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::run::{Facts, Verdict};
use crate::target::words::ROLLED_BACK;

fn fault(code: &str) -> Fault {
    Fault {
        summary: "ERROR: no".to_owned(),
        sqlstate: Some(code.to_owned()),
        statement: Some(2),
        safe: ROLLED_BACK.to_owned(),
        ..Fault::default()
    }
}

fn failed(fault: Fault) -> Outcome {
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}

fn fault_of(outcome: ControlFlow<Outcome>) -> Fault {
    match outcome {
        ControlFlow::Break(Outcome::Failed { fault, .. }) => *fault,
        other => panic!("{other:?}"),
    }
}

fn watch() -> Watch {
    Watch::new(CancellationToken::new(), None)
}

fn holder(state: &str) -> Holder {
    Holder { pid: 812, user: "app".to_owned(), state: state.to_owned(), ..Holder::default() }
}

#[test]
fn only_what_left_nothing_behind_for_a_reason_of_locks() {
    let of = |outcome: &Outcome| Obstacle::of(outcome, &watch());
    assert_eq!(of(&failed(fault("55P03"))), Some(Obstacle::LockTimeout));
    assert_eq!(of(&failed(fault("40P01"))), Some(Obstacle::Deadlock));
    assert_eq!(of(&Outcome::Broke { fault: Box::new(fault("40001")) }), Some(Obstacle::Serialization));
    assert_eq!(of(&failed(fault("23505"))), None);
    assert_eq!(of(&failed(fault("57014"))), None);
    assert_eq!(of(&failed(Fault { effect: Effect::Possible, ..fault("55P03") })), None);
    assert_eq!(of(&Outcome::Unknown { known: String::new() }), None);
    assert_eq!(of(&Outcome::Done { facts: Box::new(Facts::default()), verdict: None }), None);
}

#[test]
fn our_own_end_is_told_apart() {
    let watch = watch();
    let cause = Cause::BlockedOthers { count: 1, longest: Duration::from_secs(6), whom: "pid 9".to_owned() };
    watch.end(cause.clone());
    assert_eq!(Obstacle::of(&failed(fault("57014")), &watch), Some(Obstacle::BlockedOthers));
    let between = Fault { summary: cause.words(), sqlstate: None, ..fault("") };
    assert_eq!(Obstacle::of(&failed(between.clone()), &watch), Some(Obstacle::BlockedOthers));
    // It failed by itself while we were about to end it.
    assert_eq!(Obstacle::of(&failed(fault("23505")), &watch), None);
    let verdict = Some(Verdict { expect: "x".to_owned(), passed: false, saw: "y".to_owned() });
    assert_eq!(Obstacle::of(&Outcome::Failed { fault: Box::new(between), facts: None, verdict }, &watch), None);
}

#[test]
fn pauses_double_within_their_bounds_and_follow_from_the_seed() {
    let pauses = |seed| {
        let mut backoff = Backoff::seeded(seed);
        (0..20).map(|_| backoff.pause()).collect::<Vec<_>>()
    };
    assert_eq!(pauses(7), pauses(7));
    assert_ne!(pauses(7), pauses(8));
    for seed in 0..200 {
        let mut base = SHORTEST;
        for pause in pauses(seed) {
            assert!(pause >= base && pause <= base.mul_f64(1.5) && pause <= LONGEST, "{base:?} {pause:?}");
            base = (base * 2).min(LONGEST);
        }
    }
}

#[tokio::test]
async fn tries_are_counted_told_and_used_up() {
    let (out, mut told) = mpsc::channel(8);
    let statements = [];
    let job = SqlJob::plain("a", &statements, true);
    let mut tries = Tries::new(&job, &out, 2, Backoff::seeded(1));
    let first = tries.after(failed(fault("55P03")), &[holder("active")], &watch()).await;
    assert_eq!(first, ControlFlow::Continue(()));
    for start in [
        "try 1 of 2: ERROR: no (55P03)",
        "it waited for pid 812 (app)",
        "the transaction was rolled back, nothing changed; next try in 0.",
    ] {
        let Some(Chunk::Notice { severity, text }) = told.recv().await else { panic!("not told") };
        assert!(severity == "LOCK" && text.starts_with(start), "{severity} {text}");
    }
    let last = fault_of(tries.after(failed(fault("55P03")), &[holder("active")], &watch()).await);
    assert_eq!((last.summary.as_str(), last.statement), ("ERROR: no", Some(2)));
    assert_eq!(last.detail.as_deref(), Some("it waited for pid 812 (app)"));
    assert_eq!(
        last.hint.as_deref(),
        Some(
            "this was the last try of 2 (lock_tries). Wait until pid 812 is done, or cancel what it does with \
             select pg_cancel_backend(812); then retry"
        )
    );
}

#[tokio::test]
async fn the_operator_and_the_clock_end_the_pause() {
    let (out, _told) = mpsc::channel(8);
    let statements = [];
    let job = SqlJob::plain("a", &statements, true);
    let stop = CancellationToken::new();
    let watch = Watch::new(stop.clone(), None);
    let mut tries = Tries::new(&job, &out, 5, Backoff::seeded(1));
    let ended = async {
        tokio::task::yield_now().await;
        stop.cancel();
    };
    let (fault_then, ()) = tokio::join!(tries.after(failed(fault("40P01")), &[], &watch), ended);
    let cancelled = fault_of(fault_then);
    assert_eq!((cancelled.summary.as_str(), cancelled.effect), ("cancelled", Effect::None));
    assert_eq!(cancelled.safe, ROLLED_BACK);
    let detail = "it was between try 1 and the next of 5; before: ERROR: no (40P01)";
    assert_eq!(cancelled.detail.as_deref(), Some(detail));

    let short = Watch::new(CancellationToken::new(), Some(Duration::from_millis(300)));
    let over = fault_of(Tries::new(&job, &out, 5, Backoff::seeded(1)).after(failed(fault("40001")), &[], &short).await);
    assert_eq!((over.summary.as_str(), over.sqlstate.as_deref()), ("ERROR: no", Some("40001")));
    assert!(over.hint.unwrap().starts_with("the step's time is too short for another try. Other sessions"));
}

#[test]
fn advice_fits_who_is_in_the_way() {
    let advice = |state: &str| advice(Obstacle::LockTimeout, &[holder(state)]);
    assert!(advice("idle in transaction").contains("select pg_terminate_backend(812)"));
    assert!(advice("active").contains("select pg_cancel_backend(812)"));
    assert!(super::advice(Obstacle::LockTimeout, &[Holder::default()]).contains("pg_prepared_xacts"));
    assert!(super::advice(Obstacle::LockTimeout, &[]).contains("pg_locks"));
    assert!(super::advice(Obstacle::BlockedOthers, &[]).contains("max_blocked"));
}
