//! Masked columns: what is masked becomes no event, whatever way it came.

use gonogo::run::decide::Input;
use gonogo::run::event::Resolved;
use gonogo::run::facts::Effect;
use gonogo::run::{Batches, Chunk, Event, Facts, Fault, NoData, Outcome, Verdict};
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

/// A step `a` of another kind, begun.
fn at(step: &str) -> Script {
    let mut run =
        Script::new(&format!("[[phase]]\nid = \"look\"\nkind = \"verify\"\n[[phase.step]]\nid = \"a\"\n{step}\n"));
    run.start("a");
    run
}

fn columns(names: &[&str]) -> Chunk {
    let types = names.iter().map(|_| "text".to_owned()).collect();
    Chunk::Columns { n: 1, names: names.iter().map(|name| (*name).to_owned()).collect(), types }
}

fn failed(code: &str, summary: &str, detail: &str) -> Outcome {
    let fault = Fault {
        sqlstate: Some(code.into()),
        detail: (!detail.is_empty()).then(|| detail.into()),
        ..Fault::new(summary)
    };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}

#[test]
fn rows_of_migration_files_are_masked_and_facts_of_the_step_are_not() {
    let mut run = begun();
    // Files are read from a folder: what the step resolved to is all that counts here.
    let order = serde_json::from_value(json!({
        "folder": "migrations", "tool": "sqlx", "way": "up", "files": []
    }));
    run.state.steps.get_mut(&"a".into()).unwrap().resolved =
        Some(Resolved::Migrations { target: "main".into(), order: Box::new(order.unwrap()) });
    say(&mut run, Chunk::Rows { n: 1, rows: vec![vec![Some(SECRET.into()), Some("9".into())]] });
    let row = [("email".to_owned(), json!("001_first.sql"))].into();
    let facts = Facts { value: Some(json!(1)), row: Some(row), notices: vec![key()], ..Facts::default() };
    run.end("a", Outcome::Done { facts: Box::new(facts), verdict: None });
    let journal = journal(&run);
    assert!(!journal.contains("ada@") && journal.contains(r#"["‹masked›","9"]"#), "{journal}");
    let facts = run.state.steps[&"a".into()].facts.clone().unwrap();
    assert_eq!((facts.value, facts.row.unwrap().len()), (Some(json!(1)), 1));
}

fn key() -> String {
    format!("Key (email)=({SECRET}) is odd: {SECRET}")
}

#[test]
fn what_a_verdict_saw_of_notices_is_masked_too() {
    for verb in ["sql = 'delete from users'\nundo = 'none needed'", "sql = 'select id from users'"] {
        let expect = "notices | length == 0 or notices[0] == 'x'";
        let mut run = at(&format!("{verb}\nmask = ['email']\nexpect = \"{expect}\""));
        let notices = vec![key()];
        let saw = format!("notices = [\"{}\"], notices[0] = \"{0}\"", key());
        let verdict = Verdict { expect: expect.into(), passed: false, saw };
        let fault = Fault::new(format!("not as expected: {expect} ({})", verdict.saw));
        let facts = Some(Box::new(Facts { notices, ..Facts::default() }));
        run.end("a", Outcome::Failed { fault: Box::new(fault), facts, verdict: Some(verdict) });
        let journal = journal(&run);
        assert!(!journal.contains("ada@") && journal.contains("Key (email)=(‹masked›)"), "{verb}: {journal}");
        assert!(journal.contains("not as expected: notices | length == 0"), "{journal}");
    }
}

#[test]
fn how_far_a_batch_is_names_no_key_that_is_masked() {
    for (key, told) in [("email", false), ("id", true)] {
        let mut run = at(&format!(
            "batch = {{ table = 'users', key = '{key}', set = 'n = 1' }}\nmask = ['EMAIL']\nundo = 'none needed'"
        ));
        let far = Batches {
            n: 3,
            reached: Some(SECRET.into()),
            high: Some(SECRET.into()),
            pausing: Some(self::key()),
            ..Batches::default()
        };
        say(&mut run, Chunk::Batch(Box::new(far)));
        let kept = run.state.steps[&"a".into()].output.batches.clone().unwrap();
        assert_eq!((kept.n, kept.reached.is_some(), kept.high.is_some()), (3, told, told), "{key}");
        assert_eq!(kept.pausing.as_deref(), Some("Key (email)=(‹masked›)"));
    }
}

#[test]
fn what_an_error_quotes_is_cut_whatever_it_is() {
    let faults = [
        failed("23505", "ERROR: no", &format!("Key (id)=(7) and then Key (email)=({SECRET}) {SECRET}")),
        failed("22P02", &format!("FEHLER: ungültige Syntax: »{SECRET}«"), ""),
        failed("22P02", &format!("ERREUR: n'est pas valide : « {SECRET} »"), ""),
        failed("22P02", &format!("BŁĄD: nieprawidłowa: „{SECRET}“"), ""),
        failed("2200N", "ERROR: invalid XML content", &format!("line 1: no end\n<a>{SECRET}")),
        failed("P0001", "ERROR: no", &format!("CONTEXT: SQL statement \"insert into users values (1, '{SECRET}')\"")),
        failed("P0001", "ERROR: no", &format!("QUERY: insert into users values (1, '{SECRET}')")),
        failed("42P01", &format!("ERROR: relation \"{SECRET}\" does not exist"), ""),
        failed("0A000", &format!("ERROR: cross-database references are not implemented: \"{SECRET}\""), ""),
        failed("42602", &format!("ERROR: invalid name syntax: \"{SECRET}\""), ""),
    ];
    for outcome in faults {
        let mut run = begun();
        run.end("a", outcome.clone());
        let journal = journal(&run);
        assert!(!journal.contains("ada@"), "{outcome:?}\n{journal}");
    }
}

#[test]
fn names_with_hyphens_blanks_and_dollars_are_names() {
    for name in ["e-mail", "first name", "pay$"] {
        let mut run = at(&format!("sql = 'select 1'\nmask = [\"{name}\"]"));
        run.end("a", failed("23505", "ERROR: no", &format!("Key (id, \"{name}\")=(7, {SECRET}) already exists.")));
        let journal = journal(&run);
        assert!(!journal.contains("ada@") && journal.contains("(‹masked›) already exists."), "{journal}");
    }
}

#[test]
fn an_attempt_in_doubt_tells_no_value() {
    let mut run = begun();
    let known = format!("look what is there. the server said (22P02): ERROR: invalid input: \"{SECRET}\"");
    run.end("a", Outcome::Unknown { known });
    let journal = journal(&run);
    assert!(!journal.contains("ada@") && journal.contains("look what is there"), "{journal}");
}

#[test]
fn a_second_column_of_one_name_is_masked_and_one_that_is_called_so_is_not() {
    for (names, shown) in [(["email", "email"], 1), (["email", "email_2"], 2)] {
        let mut run = at("sql = 'select 1'\nmask = ['email']");
        say(&mut run, columns(&names));
        say(&mut run, Chunk::Rows { n: 1, rows: vec![vec![Some("ada@".into()), Some("second".into())]] });
        let row = || [("email".to_owned(), json!("ada@")), ("email_2".to_owned(), json!("second"))].into();
        let facts = Facts { value: Some(json!("ada@")), row: Some(row()), table: vec![row()], ..Facts::default() };
        run.end("a", Outcome::Done { facts: Box::new(facts), verdict: None });
        let journal = journal(&run);
        assert_eq!(journal.contains("second"), shown == 2, "{names:?}: {journal}");
        assert!(!journal.contains("ada@"), "{journal}");
    }
}

#[test]
fn facts_of_another_result_than_the_last_that_was_told_are_masked() {
    let mut run = at("sql = 'select 1'\nmask = ['email']");
    say(&mut run, columns(&["id", "name"]));
    let row = [("email_2".to_owned(), json!(SECRET)), ("n".to_owned(), json!(7))].into();
    let facts = Facts { value: Some(json!(SECRET)), row: Some(row), ..Facts::default() };
    run.end("a", Outcome::Done { facts: Box::new(facts), verdict: None });
    let journal = journal(&run);
    assert!(!journal.contains("ada@") && journal.contains(r#""n":7"#), "{journal}");
}

fn warnings(run: &Script) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Output { chunk: Chunk::Notice { severity, text }, .. } if severity == "WARNING" => Some(text.clone()),
        _ => None,
    };
    run.entries.iter().filter_map(|entry| text(&entry.event)).collect()
}

#[test]
fn a_name_that_no_result_has_is_told_once() {
    let mut run = at("sql = 'select 1'\nmask = ['emial', 'ID']\nretries = 1");
    say(&mut run, columns(&["id"]));
    say(&mut run, columns(&["email"]));
    run.end("a", failed("40001", "ERROR: no", ""));
    let told = ["no result had a column emial: `mask` names it, and nothing was masked by it"];
    assert_eq!(warnings(&run), told);
    run.wait(60_000);
    assert!(run.open_attempt("a").n > 1, "{}", run.read());
    say(&mut run, columns(&["id"]));
    run.end("a", Outcome::Done { facts: Box::default(), verdict: None });
    assert_eq!(warnings(&run), told, "a retry says it once more");
    let mut fine = at("sql = 'select 1'\nmask = ['email']");
    fine.end("a", Outcome::Done { facts: Box::default(), verdict: None });
    assert!(warnings(&fine).is_empty(), "there was no result");
}

/// Filters take what is absent for empty: a step that decides by a masked column is neither passed over nor run.
#[test]
fn only_if_decides_nothing_by_a_masked_column() {
    for only_if in [
        "steps['a'].table | selectattr('EMAIL','eq','ada@example.org') | list | length == 0",
        "steps['a'].row.EMAIL | default('bob') == 'bob'",
        "steps['a'].value is not defined",
    ] {
        let step = "undo = { sql = \"delete from users\" }\n[[phase.step]]\nid = \"b\"\n";
        let mut run = Script::new(
            &BOOK
                .replace(step, &format!("{step}only_if = \"{only_if}\"\n"))
                .replace("where email = {{ steps['a'].row.email }}", ""),
        );
        run.start("a");
        say(&mut run, columns(&["EMAIL", "id"]));
        run.end("a", Outcome::Done { facts: Box::new(facts()), verdict: None });
        run.start("b");
        let said = run.read();
        assert!(said.contains("end b#1 broke: ") && said.contains("of step a is masked"), "{only_if}: {said}");
        assert!(!said.contains("skip b"), "{only_if}: {said}");
    }
}

#[test]
fn an_answer_that_is_refused_is_not_quoted() {
    let count = format!("the completeness query answered {:?}; it must answer a whole number", SECRET);
    let truth =
        format!("the step's probe cannot be asked: its first cell is {SECRET}, which is neither true nor false");
    let coded =
        format!("the step's probe cannot be asked: ERROR: invalid input syntax for type integer: \"{SECRET}\" (22P02)");
    let batch = "batch = { table = 'users', key = 'id', set = 'n = 1', complete = 'select 1' }\nundo = 'none needed'";
    for (step, summary, told) in [
        (batch, &count, "something that is not a whole number"),
        ("sql = 'select 1'", &truth, "its first cell is neither true nor false"),
        ("sql = 'select 1'", &coded, "type integer: ‹masked›"),
    ] {
        for doubt in [false, true] {
            let mut run = at(&format!("{step}\nmask = ['email']"));
            let fault = || Box::new(Fault::new(summary.clone()));
            run.end(
                "a",
                if doubt { Outcome::Unknown { known: summary.clone() } } else { Outcome::Broke { fault: fault() } },
            );
            let journal = journal(&run);
            assert!(!journal.contains("ada@") && journal.contains(told), "{journal}");
        }
        let mut plain = at(step);
        plain.end("a", Outcome::Broke { fault: Box::new(Fault::new(summary.clone())) });
        assert!(journal(&plain).contains("ada@"), "what is not masked is told");
    }
}

#[test]
fn a_probe_of_an_environment_that_masks_quotes_no_answer() {
    let reasons = [
        (format!("not a number: {SECRET}"), "not a number"),
        (format!("ERROR: invalid input syntax for type integer: \"{SECRET}\" (22P02)"), "type integer: ‹masked›"),
        (format!("traffic: not a number: {SECRET}"), "traffic: not a number"),
    ];
    for (masks, sql) in [(true, true), (false, true), (true, false)] {
        let source = if sql { "sql = \"select email as address from users\"" } else { "run = [\"cat\", \"n\"]" };
        let probe = format!("[[probe]]\nid = \"p\"\nevery = \"1s\"\n{source}\n");
        let mask = if masks {
            "[environments.masked]\nmask = [\"email\"]\ntargets.main = { url = \"sqlite:paper.db\" }\n"
        } else {
            "[environments.masked]\ntargets.main = { url = \"sqlite:paper.db\" }\n"
        };
        let rest = format!(
            "{probe}{mask}[[phase]]\nid = \"look\"\nkind = \"verify\"\n[[phase.step]]\nid = \"a\"\nsql = 'select 1'\n"
        );
        let mut run = Script::open(&rest, "masked", gonogo::run::event::Mode::Live);
        for (reason, told) in &reasons {
            let value = Err(NoData::new(reason.clone()));
            run.turn(vec![Input::Sample { probe: "p".into(), value, took_ms: 1 }]);
            assert!(journal(&run).contains(&told.replace('"', "\\\"")) == (masks && sql) || !(masks && sql), "{told}");
        }
        assert_eq!(journal(&run).contains("ada@"), !(masks && sql), "{}", journal(&run));
    }
}

#[test]
fn an_expectation_of_a_row_that_is_not_there_says_so() {
    let expect = "row.email == 'bob' and value == 'x'";
    for (why, told) in [
        ("nothing there for `row.email`".to_owned(), true),
        ("nothing there for `row.email`, `value`".to_owned(), true),
        (format!("nothing there for `{SECRET}`"), false),
        (format!("the text \"{SECRET}\" cannot be compared with the number 1"), false),
    ] {
        let mut run = at(&format!("sql = 'select 1'\nmask = ['email']\nexpect = \"{expect}\""));
        let fault = Box::new(Fault::new(format!("expect {expect} cannot be judged: {why}")));
        run.end("a", Outcome::Failed { fault, facts: None, verdict: None });
        let journal = journal(&run);
        assert!(!journal.contains("ada@"), "{journal}");
        assert_eq!(journal.contains(&why), told, "{journal}");
        assert_eq!(journal.contains("why is not told"), !told, "{journal}");
    }
}

/// What a step masks its way back masks too.
#[test]
fn an_undo_brings_home_no_masked_value() {
    let mut run = begun();
    run.end("a", Outcome::Done { facts: Box::new(facts()), verdict: None });
    run.say(gonogo::run::CommandVerb::Rollback { plan: None, reason: "back".into() });
    let attempt = run.open_attempt("a");
    assert_eq!(attempt.direction, gonogo::run::Direction::Undo);
    run.turn(vec![
        Input::Chunk { attempt: attempt.clone(), chunk: columns(&["email", "id"]) },
        Input::Chunk { attempt, chunk: Chunk::Rows { n: 1, rows: vec![vec![Some(SECRET.into()), Some("9".into())]] } },
    ]);
    run.end("a", failed("23505", "ERROR: no", &format!("Key (email)=({SECRET}) already exists.")));
    let journal = journal(&run);
    assert!(!journal.contains("ada@") && journal.contains(r#"["‹masked›","9"]"#), "{journal}");
    assert!(journal.contains("Key (email)=(‹masked›)"), "{journal}");
}

#[test]
fn a_notice_to_people_names_no_masked_value() {
    for text in ["{{ steps['a'].row.EMAIL }}", "{{ steps['a'].table | json }}", "{{ steps['a'].value | default('x') }}"]
    {
        let (head, _) = BOOK.split_once("[[phase.step]]\nid = \"b\"").unwrap();
        let notify = format!("notify = {{ command = [\"mail\"], text = \"{text}\" }}");
        let mut run = Script::new(&format!("{head}[[phase.step]]\nid = \"b\"\n{notify}\n"));
        run.start("a");
        say(&mut run, columns(&["EMAIL", "id"]));
        run.end("a", Outcome::Done { facts: Box::new(facts()), verdict: None });
        run.read();
        run.start("b");
        let said = run.read();
        assert!(said.contains("end b#1 broke") && !said.contains("ada@"), "{text}: {said}");
    }
}

/// A fix that a person sent ahead of another try: its rows and errors are of the same attempt.
#[test]
fn a_fix_sent_ahead_brings_home_no_masked_value() {
    let trouble = "trouble = [{ match = 'odd', cause = 'c', fix = 'f', sql = 'delete from users returning email' }]";
    let step = format!("sql = 'delete from users'\nmask = ['email']\nundo = 'none needed'\n{trouble}");
    let mut run = at(&step);
    run.end("a", failed("23505", "ERROR: odd", ""));
    run.say(gonogo::run::CommandVerb::Fix { step: "a".into() });
    assert_eq!(run.open_attempt("a").n, 2, "{}", run.read());
    say(&mut run, columns(&["email"]));
    say(&mut run, Chunk::Rows { n: 1, rows: vec![vec![Some(SECRET.into())]] });
    run.end("a", failed("22P02", &format!("ERROR: invalid: \"{SECRET}\""), ""));
    let journal = journal(&run);
    assert!(!journal.contains("ada@") && journal.contains(r#"[["‹masked›"]]"#), "{journal}");
}
