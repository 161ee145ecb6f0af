//! What expressions and templates do, and refuse to do.

use serde_json::json;

use super::*;
use crate::runbook::StepId;
use crate::runbook::model::{Probe, ProbeSource, Var};
use crate::runbook::sql::Dialect;

fn runbook() -> Runbook {
    let probe = |id: &str| Probe {
        id: id.into(),
        title: id.into(),
        unit: String::new(),
        every: Default::default(),
        timeout: Default::default(),
        source: ProbeSource::Run { argv: Vec::new() },
        traffic: None,
        line: 1,
    };
    Runbook {
        vars: vec![
            ("size".into(), Var::Int(1000)),
            ("name".into(), Var::Text("o'clock".into())),
            ("dump".into(), Var::Text("backups/{{ run.id }}.dump".into())),
        ],
        probes: vec![probe("error_rate"), probe("load")],
        ..Runbook::default()
    }
}

fn context() -> Context {
    let run =
        RunNames { id: "r1".into(), environment: "staging".into(), mode: "live".into(), operator: "me@host".into() };
    let mut context = Context::new(&runbook(), &run).unwrap();
    context.probe("error_rate", Some(0.5));
    context.target("main", &json!({ "database": "shop", "host": "db:5432" }));
    context.step(&StepId::from("count-tables"), &json!({ "value": 52, "rows": 1, "ms": 3 }));
    context.facts(&json!({
        "value": 51, "rows": 2, "ms": 7, "affected": null, "stdout": "12\n", "exit": 0,
        "row": { "id": 1, "note": null, "price": "12.50" },
        "table": [{ "id": 1 }, { "id": 2 }],
    }));
    context
}

fn expr(source: &str) -> Expr {
    Expr { source: source.into(), line: 1 }
}

fn judge(source: &str) -> Result<bool, String> {
    eval_bool(&expr(source), &context()).map_err(|error| error.to_string())
}

fn write(template: &str, place: Place) -> Result<String, String> {
    render(template, place, &context()).map_err(|error| error.to_string())
}

const PG: Place = Place::Sql(Dialect::Postgres);

#[test]
fn expressions_judge_facts() {
    for yes in [
        "value == 51",
        "value < steps['count-tables'].value",
        "value in [51, 52] and not exit != 0",
        "rows == 2 and table | length == 2",
        "row.note == none and row.price == '12.50'",
        "row.price | float > 12",
        "stdout | trim | int == 12",
        "'2' in stdout and stdout is matching('^[0-9]+\\n$')",
        "error_rate < 2 and size * 2 == 2000",
        "run.environment == 'staging' and target.main.database == 'shop'",
        "notices | length == 0",
        "(value if rows > 0 else 0) == 51",
        "dump == 'backups/r1.dump'",
        "table | map(attribute='id') | sum == 3",
        "missing | default(5) == 5",
        "row.nothing is not defined",
    ] {
        assert_eq!(judge(yes), Ok(true), "{yes}");
    }
    for no in ["value == 52", "value is none", "3 in [1, 2]", "rows > 2 or ms > 100"] {
        assert_eq!(judge(no), Ok(false), "{no}");
    }
}

#[test]
fn unlike_things_are_not_compared() {
    insta::assert_snapshot!(
        [
            "value == '51'", "row.price > 12", "row.note > 1", "value == true", "value and true", "not rows",
            "value in '51'", "5 in ['a']", "stdout * 3 == ''", "table > 1", "rows + 'x' == 1",
        ]
        .map(|source| format!("{source}: {}", judge(source).unwrap_err()))
        .join("\n"),
        @r#"
    value == '51': the number 51 cannot be compared with the text "51"
    row.price > 12: the text "12.50" cannot be compared with the number 12
    row.note > 1: null cannot be compared with the number 1
    value == true: the number 51 cannot be compared with true
    value and true: `and` needs true or false, and got the number 51
    not rows: `not` needs true or false, and got the number 2
    value in '51': the number 51 cannot be compared with the text "51"
    5 in ['a']: the number 5 cannot be compared with the text "a"
    stdout * 3 == '': the text "12\n" cannot be multiplied by the number 3
    table > 1: a list cannot be compared with the number 1
    rows + 'x' == 1: tried to use + operator on unsupported types number and string
    "#
    );
}

#[test]
fn what_is_absent_is_an_error_that_names_it() {
    insta::assert_snapshot!(
        [
            "load > 1", "load > 1 or value == 51", "status == 200", "row.x == 1", "steps['other'].value == 1",
            "steps['count-tables'].exit == 0", "value", "value ==", "1 < value < 9", "len(table) == 2",
            "'NaN' | float == 1.0", "value % 0 == 1",
        ]
        .map(|source| format!("{source}: {}", judge(source).unwrap_err()))
        .join("\n"),
        @"
    load > 1: no data for load
    load > 1 or value == 51: no data for load
    status == 200: nothing there for `status`
    row.x == 1: nothing there for `row.x`
    steps['other'].value == 1: nothing there for `steps['other'].value`
    steps['count-tables'].exit == 0: nothing there for `steps['count-tables'].exit`
    value: the result is the number 51, not true or false
    value ==: syntax error: unexpected end of input, expected expression: an example: value == 43 and error_rate < 2
    1 < value < 9: a comparison of more than two values: write: 1 < value and value < 9
    len(table) == 2: functions and methods are not part of the language: use a filter: stdout | trim, table | length
    'NaN' | float == 1.0: a number is not a number (NaN), so nothing can be said of it
    value % 0 == 1: unable to calculate 51 % 0
    "
    );
}

#[test]
fn explain_shows_the_names_with_their_values() {
    let said = |source: &str| explain(&expr(source), &context());
    assert_eq!(said("value == 52"), "value = 51");
    assert_eq!(
        said("value < steps['count-tables'].value and load < 1 and row.note == none and value > 0"),
        "value = 51, steps['count-tables'].value = 52, load = no data, row.note = null"
    );
    assert_eq!(said("stdout | trim == 'x'"), "stdout = \"12\\n\"");
    assert_eq!(said("status == 200"), "status = nothing");
    assert_eq!(said("value =="), "");
}

#[test]
fn names_are_found() {
    assert_eq!(probe_names(&expr("load > 1 or error_rate > size"), &runbook()), ["error_rate", "load"]);
    assert!(mentions(&expr("exit == 0"), "exit"));
    assert!(!mentions(&expr("stdout == 'exit'"), "exit"));
}

#[test]
fn sql_gets_literals() {
    let sql = |template: &str| write(template, PG).unwrap();
    assert_eq!(sql("limit {{ size }}"), "limit 1000");
    assert_eq!(sql("{{ name }}"), "'o''clock'");
    assert_eq!(sql("{{ name | ident }}.{{ 'a\"b' | ident }}"), "\"o'clock\".\"a\"\"b\"");
    assert_eq!(sql("{{ row.note }}, {{ true }}, {{ [1, 'a'] }}"), "NULL, true, 1, 'a'");
    assert_eq!(sql("x -{{ -5 }}"), "x - -5");
    assert_eq!(sql(r"{{ 'a\\b' }}"), r"E'a\\b'");
    assert_eq!(sql(r"{{ '$$; drop' }}"), r"E'\x24\x24; drop'");
    assert_eq!(sql(r"-- {{ 'a\nb */ c' }}"), r"-- E'a\x0ab \x2a/ c'");
    assert_eq!(sql("{{ (name | ident) | upper }}"), "'O''CLOCK'");
    assert_eq!(sql("'{\"a\": 1}' {% raw %}'{{1,2}}'{% endraw %}\n"), "'{\"a\": 1}' '{{1,2}}'\n");
    assert!(write("{{ table }}", PG).is_err());
    assert!(write("{{ [] }}", PG).is_err());
    assert!(write("{{ row.x }}", PG).is_err());
    assert!(write("{{ name ~ '\\0' }}", PG).unwrap_err().contains("NUL"));
    let sqlite = |template: &str| write(template, Place::Sql(Dialect::Sqlite)).unwrap();
    assert_eq!(sqlite(r"{{ 'a\\b $x' }}"), r"('a\b $x')");
    assert_eq!(sqlite(r"{{ 'a\nb' }}"), "('a' || char(10) || 'b')");
    assert_eq!(sqlite("{{ '*/' }}"), "('*' || '/')");
}

#[test]
fn other_places_get_what_they_need() {
    let text = write(
        "{% for r in table %}{% if r.id > 1 %}{{ r.id }} of {{ loop.length }}{% endif %}{% endfor %}",
        Place::Text,
    );
    assert_eq!(text.as_deref(), Ok("2 of 2"));
    assert_eq!(write("{{ dump }}", Place::Argv).as_deref(), Ok("backups/r1.dump"));
    assert_eq!(write("rm {{ name }} {{ size }}", Place::Shell).as_deref(), Ok(r"rm 'o'\''clock' 1000"));
    assert_eq!(write("http://h/{{ 'a b/ü' }}", Place::Url).as_deref(), Ok("http://h/a%20b%2F%C3%BC"));
    assert_eq!(write("{{ 'http://h:1' }}/x/{{ 'a/b' }}", Place::Url).as_deref(), Ok("http://h:1/x/a%2Fb"));
    assert_eq!(
        write(r#"{"a": {{ name }}, "b": {{ row }}}"#, Place::Json).as_deref(),
        Ok(r#"{"a": "o'clock", "b": {"id":1,"note":null,"price":"12.50"}}"#)
    );
    assert_eq!(Place::of_body(" {\"a\": 1}"), Place::Json);
    assert_eq!(Place::of_body("{{ name }}"), Place::Text);
    assert!(write("{{ row }}", Place::Argv).is_err());
    assert!(write("{{ row.note }}", Place::Shell).is_err());
    assert!(write("{{ load }}", Place::Text).is_err());
    assert!(write("{% if size %}{% endif %}", Place::Text).is_err());
    assert!(write("{% include 'x' %}", Place::Text).is_err());
    assert!(write("{% set a = 1 %}", Place::Text).is_err());
}

#[test]
fn hostile_formulas_end_in_an_error() {
    let deep = |left: &str, right: &str, n: usize| format!("{}1{} == 1", left.repeat(n), right.repeat(n));
    for n in [10, 60, 100, 1000, 100_000] {
        let _ = judge(&deep("(", ")", n));
        let _ = judge(&deep("-", "", n));
        let _ = judge(&deep("[", "]", n));
        let _ = judge(&deep("not ", "", n));
        let _ = judge(&deep("1+", "", n));
        let _ = judge(&deep("", "|abs", n));
        let _ = judge(&deep("", ".a", n));
        let _ = judge(&deep("1 if true else ", "", n));
        let _ = write(&format!("{}x{}", "{% if true %}".repeat(n), "{% endif %}".repeat(n)), Place::Text);
    }
    let loops = "{% for a in table %}".repeat(20) + "x" + &"{% endfor %}".repeat(20);
    assert!(write(&loops, Place::Text).unwrap_err().contains("too long"));
    assert!(judge("10 ** 10 ** 10 == 1").is_err());
    assert!(judge("stdout is matching('(a{1000}){1000}')").is_err());
}

#[test]
fn a_probe_that_falls_silent_is_absent() {
    let mut context = context();
    context.probe("error_rate", Some(f64::NAN));
    assert_eq!(eval_bool(&expr("error_rate < 2"), &context), Err(ExprError::NoData(vec!["error_rate".into()])));
    context.probe("error_rate", Some(3.0));
    assert_eq!(eval_bool(&expr("error_rate < 2"), &context), Ok(false));
    context.facts(&json!({ "ms": 1 }));
    assert_eq!(eval_bool(&expr("value == 51"), &context), Err(ExprError::Absent(vec!["`value`".into()])));
}

/// What only shows when it is evaluated is no "no" either.
#[test]
fn a_question_to_a_plan_wants_a_name() {
    let mut context = context();
    context.facts(&json!({ "plan": ["Index Scan using by_name on t"] }));
    let judged = |source: &str| eval_bool(&Expr { source: source.to_owned(), line: 1 }, &context);
    assert_eq!(judged("uses_index('by_name') and not scans('t')"), Ok(true));
    assert!(matches!(judged("uses_index(size)"), Err(ExprError::Failed(_))), "{:?}", judged("uses_index(size)"));
    for none in
        ["uses_index(3)", "scans(-3)", "scans(none)", "scans(true)", "scans('')", "scans([name])", "scans(1 == 1)"]
    {
        assert!(matches!(judged(none), Err(ExprError::Syntax(_))), "{none}: {:?}", judged(none));
    }
}

fn masked() -> Context {
    let mut context = context();
    let row = |id: i64| json!({ "id": id });
    context.step(
        &StepId::from("q"),
        &json!({ "rows": 2, "ms": 1, "row": row(1), "table": [row(1), row(2)],
                 "masked": { "value": true, "columns": ["email"] } }),
    );
    context
}

/// What the engine's filters and tests take for absent is masked, and nothing decides by it.
#[test]
fn whoever_asks_for_what_is_masked_gets_no_result() {
    let column = "column email of step q is masked";
    for source in [
        "steps['q'].table | selectattr('email','eq','X') | list | length == 0",
        "steps['q'].table | rejectattr('email','eq','X') | list | length == 2",
        "steps['q'].table | selectattr('email') | list | length == 0",
        "steps['q'].table | rejectattr('email', 'defined') | list | length == 2",
        "steps['q'].table | selectattr('email', 'undefined') | list | length == 2",
        "steps['q'].table | map(attribute='email') | list | length == 2",
        "steps['q'].table | map(attribute='email', default='X') | first == 'X'",
        "(steps['q'].table | sort(attribute='email') | first).id == 1",
        "(steps['q'].table | sort(attribute='id, email') | first).id == 1",
        "steps['q'].table | unique(attribute='email') | list | length == 1",
        "steps['q'].table | unique | list | length == 2",
        "(steps['q'].table | min).id == 1",
        "steps['q'].row.email | default('X') == 'X'",
        "steps['q'].row['em' ~ 'ail'] | default('X') == 'X'",
        "steps['q'].row.email is defined",
        "steps['q'].row.email is undefined",
        "steps['q'].table[1].email is not defined",
        "'email' in steps['q'].row",
        "'@' in steps['q'].row | json",
        "steps['q'].table | json == ''",
        "steps['q'].table | string == ''",
        "steps['q'].table | join(',') == ''",
        "steps['q'].row == {'id': 1, 'email': 'X'}",
        "{'id': 1, 'email': 'X'} == steps['q'].row",
        "{'id': 1, 'email': 'X'} in steps['q'].table",
        "steps['q'].table == [{'id': 1, 'email': 'X'}, {'id': 2, 'email': 'X'}]",
        "steps['q'].row | items | list | length == 1",
        "steps['q'].row | list | length == 1",
    ] {
        let said = eval_bool(&expr(source), &masked()).map_err(|error| error.to_string());
        assert_eq!(said, Err(column.to_owned()), "{source}");
    }
    for source in ["steps['q'].value | default(1) == 1", "steps['q'].value is not defined", "'1' in steps['q'] | json"]
    {
        let said = eval_bool(&expr(source), &masked()).map_err(|error| error.to_string());
        assert_eq!(said, Err("the value of step q is masked".to_owned()), "{source}");
    }
    for template in [
        "{% for row in steps['q'].table %}{{ row.email }}{% endfor %}",
        "{% for row in steps['q'].table %}{{ row }}{% endfor %}",
        "{% for row in steps['q'].table if row.email is defined %}x{% endfor %}",
        "{% for name in steps['q'].row %}{{ name }}{% endfor %}",
        "{{ steps['q'].row }}",
        "{{ steps['q'].table | map(attribute='email') | join }}",
    ] {
        for place in [PG, Place::Text, Place::Json] {
            let said = render(template, place, &masked()).map_err(|error| error.to_string());
            assert_eq!(said, Err(column.to_owned()), "{template}");
        }
    }
}

#[test]
fn what_stands_beside_what_is_masked_is_there() {
    for source in [
        "steps['q'].table | length == 2 and steps['q'].rows == 2",
        "steps['q'].row | length == 2",
        "steps['q'].row.id == 1 and (steps['q'].table | last).id == 2",
        "steps['q'].table | selectattr('id', 'eq', 2) | list | length == 1",
        "steps['q'].table | map(attribute='id') | sum == 3",
        "steps['q'].rows == 2 or steps['q'].row.email == 'X'",
        "steps['q'].row.nothing is not defined",
        "steps['q'].table != []",
    ] {
        assert_eq!(eval_bool(&expr(source), &masked()), Ok(true), "{source}");
    }
    let direct = eval_bool(&expr("steps['q'].row.email == 'X'"), &masked());
    assert_eq!(direct, Err(ExprError::Absent(vec!["`steps['q'].row.email`".into()])));
    assert_eq!(explain(&expr("steps['q'].row == 1"), &masked()), "steps['q'].row = {\"id\":1}");
    // Nothing is left of one evaluation in the next.
    assert_eq!(judge("value == 51"), Ok(true));
}
