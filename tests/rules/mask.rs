//! Masked columns: what is masked becomes no event, whatever way it came.

use gonogo::run::decide::Input;
use gonogo::run::facts::Effect;
use gonogo::run::{Chunk, Facts, Fault, Outcome, Verdict};
use serde_json::json;

use crate::script::Script;

const SECRET: &str = "ada@example.org";
const BOOK: &str = r#"
[[phase]]
id = "look"
kind = "verify"
[[phase.step]]
id = "a"
sql = "select email, id from users"
mask = ["Email"]
expect = "value == 'ada@example.org' and rows == 1"
undo = { sql = "delete from users" }
[[phase.step]]
id = "b"
sql = "delete from users where email = {{ steps['a'].row.email }}"
undo = "none needed"
"#;

fn begun() -> Script {
    let mut run = Script::new(BOOK);
    run.start("a");
    let chunks = [
        Chunk::Statement { n: 1, of: 1 },
        Chunk::Columns { n: 1, names: vec!["EMAIL".into(), "id".into()], types: vec!["text".into(), "int".into()] },
        Chunk::Rows { n: 1, rows: vec![vec![Some(SECRET.into()), Some("7".into())], vec![None, Some("8".into())]] },
    ];
    for chunk in chunks {
        say(&mut run, chunk);
    }
    run
}

fn say(run: &mut Script, chunk: Chunk) {
    let attempt = run.open_attempt("a");
    run.turn(vec![Input::Chunk { attempt, chunk }]);
}

fn facts() -> Facts {
    let row = || [("EMAIL".to_owned(), json!(SECRET)), ("id".to_owned(), json!(7))].into();
    Facts {
        value: Some(json!(SECRET)),
        rows: Some(1),
        row: Some(row()),
        table: vec![row()],
        notices: vec![format!("DETAIL: Key (email)=({SECRET}) is odd")],
        ..Facts::default()
    }
}

fn verdict(passed: bool) -> Verdict {
    Verdict {
        expect: "value == 'ada@example.org' and rows == 1".into(),
        passed,
        saw: format!("value = {SECRET}, rows = 1"),
    }
}

/// The entries after the first, which holds the runbook and what stands in its text.
fn journal(run: &Script) -> String {
    let text = serde_json::to_string(&run.entries[1..]).unwrap();
    // The expectation is the runbook's own text.
    text.replace("'ada@example.org'", "…")
}

#[test]
fn a_masked_value_is_in_no_event() {
    let mut run = begun();
    say(&mut run, Chunk::Notice { severity: "NOTICE".into(), text: format!("Key (id, email)=(7, {SECRET}) is odd.") });
    let judged = Chunk::Judged { xid: None, ledger: false, facts: Box::new(facts()), verdict: Some(verdict(true)) };
    say(&mut run, judged);
    run.end("a", Outcome::Done { facts: Box::new(facts()), verdict: Some(verdict(true)) });
    let journal = journal(&run);
    assert!(!journal.contains("ada@"), "{journal}");
    assert!(journal.contains("‹masked›") && journal.contains(r#"value = \"‹masked›\", rows = 1"#), "{journal}");
    let step = &run.state.steps[&"a".into()];
    let facts = step.facts.as_ref().unwrap();
    assert_eq!((&facts.value, facts.rows), (&None, Some(1)));
    assert_eq!(facts.row.as_ref().unwrap().get("id"), Some(&json!(7)));
    let shown = serde_json::to_value(run.entries.iter().map(|entry| &entry.event).collect::<Vec<_>>()).unwrap();
    assert!(shown.to_string().contains(r#"["‹masked›","7"],[null,"8"]"#), "{shown}");
}

#[test]
fn nothing_later_works_with_a_mark() {
    let mut run = begun();
    run.end("a", Outcome::Done { facts: Box::new(facts()), verdict: Some(verdict(true)) });
    run.read();
    run.start("b");
    let said = run.read();
    assert!(said.contains("end b#1 broke") && !said.contains("masked"), "{said}");
}

#[test]
fn errors_name_no_masked_value() {
    let detail = |text: &str| Fault { detail: Some(text.into()), ..Fault::new("ERROR: no") };
    let coded = |code: &str, fault: Fault| Fault { sqlstate: Some(code.into()), ..fault };
    let faults = [
        coded("23505", detail(&format!("Key (id, lower(email::text))=(7, {SECRET}) already exists."))),
        coded("23503", detail(&format!("Key (email)=({SECRET}) (7)) is not present in table \"people\"."))),
        coded("23502", detail(&format!("Fehlgeschlagene Zeile enthält (7, {SECRET}, null)."))),
        coded("23514", detail(&format!("Failing row contains (7, {SECRET})."))),
        coded("22P02", Fault::new(format!("ERROR: invalid input syntax for type integer: \"{SECRET}\""))),
        detail(&format!("Partition key of the failing row contains (email) = ({SECRET}).")),
        Fault::new(format!("not as expected: value == … (value = {SECRET}, rows = 1)")),
        Fault::new(format!("expect value == 'ada@example.org' and rows == 1 cannot be judged: {SECRET} is no number")),
    ];
    for fault in faults {
        let mut run = begun();
        let fault = Box::new(Fault { effect: Effect::None, ..fault });
        run.end("a", Outcome::Failed { fault, facts: Some(Box::new(facts())), verdict: Some(verdict(false)) });
        let journal = journal(&run);
        assert!(!journal.contains("ada@"), "{journal}");
    }
}

#[test]
fn what_names_no_masked_column_is_told_in_full() {
    let mut run = begun();
    let fault = Fault {
        sqlstate: Some("23505".into()),
        detail: Some("Key (id)=(7) already exists.".into()),
        ..Fault::new("ERROR: duplicate key value violates unique constraint \"users_pkey\"")
    };
    run.end("a", Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None });
    let journal = journal(&run);
    assert!(journal.contains("Key (id)=(7) already exists.") && journal.contains("users_pkey"), "{journal}");
}
