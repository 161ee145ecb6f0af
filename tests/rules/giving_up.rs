//! Giving a run up, and questions that are left for it or for a rollback.

use gonogo::run::autopilot::{Answers, Move};
use gonogo::run::event::End;
use gonogo::run::facts::Effect;
use gonogo::run::giving_up::first_word;
use gonogo::run::state::StepStatus;
use gonogo::run::{CommandVerb, Event, tell};

use crate::script::{Script, failed, unknown};

const BOOK: &str = r#"
[[phase]]
id = "one"
kind = "migrate"
[[phase.step]]
id = "a"
sql = "create table a (x)"
undo = { sql = "drop table a" }
[[phase.step]]
id = "look"
checklist = ["Is it well?"]
[[phase.step]]
id = "b"
sql = "insert into a values (1)"
undo = "none needed"
"#;

fn give_up() -> CommandVerb {
    CommandVerb::Abandon { reason: "the office burns".into() }
}

fn asked() -> Script {
    let mut run = Script::new(BOOK);
    run.start("a");
    run.done("a");
    assert_eq!(run.state.status(&"look".into()), StepStatus::Running);
    run.read();
    run
}

fn owned(run: &mut Script) {
    run.fact(Event::TargetOwned {
        target: "main".into(),
        fingerprint: gonogo::run::event::Fingerprint { database: "paper".into(), ..Default::default() },
        owner: "run r0 of ann has not ended".into(),
        others: Vec::new(),
    });
}

#[test]
fn a_question_that_a_rollback_cuts_short_is_left_and_did_not_fail() {
    let mut run = asked();
    run.say(CommandVerb::Rollback { plan: None, reason: "errors".into() });
    let left = run.state.step(&"look".into()).unwrap();
    assert_eq!(left.status, StepStatus::Left);
    let ended = run
        .entries
        .iter()
        .find(|entry| matches!(&entry.event, Event::StepEnded { attempt, .. } if attempt.step.0 == "look"));
    assert_eq!(tell::moment(ended.unwrap()), None, "nobody is called for a failure that was none");
    // A journal of before told it without the word.
    let old = r#"{"kind":"step_ended","attempt":{"step":"look","direction":"forward","n":1},"outcome":{"outcome":"broke","fault":{"summary":"interrupted by the rollback","effect":"none"}}}"#;
    let old: Event = serde_json::from_str(old).unwrap();
    let mut run = asked();
    run.fact(old);
    assert_eq!(run.state.status(&"look".into()), StepStatus::Broke);
}

#[test]
fn a_run_that_asks_is_given_up() {
    let mut run = asked();
    run.say(give_up());
    assert_eq!(run.read(), "end look#1 broke: left unanswered: the run was given up\nrun Failed");
    assert!(matches!(&run.state.ended, Some((End::Failed, reason, _)) if reason.contains("the office burns")));
}

#[test]
fn a_run_at_work_or_in_doubt_is_not_given_up() {
    let mut run = Script::new(BOOK);
    run.start("a");
    run.read();
    run.say(give_up());
    assert_eq!(run.read(), "refused abandon: a is still open");
    run.end("a", unknown());
    run.say(give_up());
    assert!(run.state.ended.is_none());
}

#[test]
fn a_first_word_waits_for_no_owner_of_another_run() {
    let said = |run: &Script, answers: &Answers, verb: &CommandVerb| first_word(&run.book, &run.state, answers, verb);
    let none = Answers::default();
    let taking = Answers { take_over: Some("paper".into()), ..Answers::default() };
    let back = CommandVerb::Rollback { plan: None, reason: "errors".into() };
    let mut run = Script::new(BOOK);
    run.engine_starts();
    assert_eq!(said(&run, &none, &give_up()), Move::Wait);
    owned(&mut run);
    assert_eq!(said(&run, &none, &give_up()), Move::Do(give_up()), "nothing of it is there");
    assert!(matches!(said(&run, &none, &back), Move::Stuck(_)));
    // What failed and was taken back by the server is not there either.
    let mut run = Script::new(BOOK);
    run.start("a");
    run.end("a", failed(Effect::None));
    owned(&mut run);
    assert_eq!(said(&run, &none, &give_up()), Move::Do(give_up()));
    let mut run = asked();
    owned(&mut run);
    let Move::Stuck(why) = said(&run, &none, &give_up()) else { panic!("it has done a step there") };
    assert!(why.contains("run r0 of ann has not ended") && why.contains("with --take-over paper;"), "{why}");
    let take = CommandVerb::TakeOver { target: "main".into(), text: "paper".into() };
    assert_eq!(said(&run, &taking, &give_up()), Move::Do(take));
}
