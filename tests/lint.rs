//! The lint: each folder of `tests/lint` is a runbook with the mistakes of one guide or one rule, marked where they stand.
//!
//! `FINDS: rule` in a line says that the rule finds something in it, `FINDS:17 rule` in line 17; several rules stand side by
//! side. Nothing else may be found there, but notes. `UPDATE_GOLDEN=1 cargo test --test lint` writes the table of docs/lint.md.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gonogo::lint::{self, Findings, Severity};
use gonogo::runbook;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::headless::Desk;

const FOLDER: &str = "tests/lint";

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// What the lint says of a runbook, or why it is none.
fn findings(case: &Path) -> Findings {
    match runbook::load(case, &BTreeMap::new()) {
        Ok(book) => lint::lint(&book),
        Err(problems) => lint::refused(&problems),
    }
}

type Place = (String, u32, String);

/// What the files of a case say of themselves.
fn marked(case: &Path) -> BTreeSet<Place> {
    let mut marks = BTreeSet::new();
    let mut folders = vec![case.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (n, line) in text.lines().enumerate() {
                marks.extend(marks_of(line, n as u32 + 1).map(|(line, rule)| (path.display().to_string(), line, rule)));
            }
        }
    }
    marks
}

fn marks_of(text: &str, n: u32) -> impl Iterator<Item = (u32, String)> {
    let mut line = n;
    let mut rules = Vec::new();
    if let Some((_, after)) = text.split_once("FINDS:") {
        for word in after.split_whitespace() {
            match word.parse() {
                Ok(other) => line = other,
                Err(_) => rules.push((line, word.to_owned())),
            }
        }
    }
    rules.into_iter()
}

#[test]
fn every_mistake_is_found_where_it_stands_and_nothing_else() {
    let cases = cases();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let marks = marked(&case);
        let found = findings(&case);
        let place = |one: &lint::Finding| (one.problem.file.clone(), one.problem.line, one.rule.id.to_owned());
        let said: BTreeSet<Place> = found.open().map(place).collect();
        let mild = |(file, line, rule): &&Place| {
            let is_note = lint::rule(rule).unwrap().severity == Severity::Note;
            is_note && !marks.contains(&(file.clone(), *line, rule.clone()))
        };
        let loud: BTreeSet<Place> = said.iter().filter(|one| !mild(one)).cloned().collect();
        let off: Vec<String> = loud.symmetric_difference(&marks).map(|one| format!("{one:?}")).collect();
        if !off.is_empty() {
            wrong.push_str(&format!("{}\n  {}\n", case.display(), off.join("\n  ")));
        }
        assert!(!marks.is_empty() || case.ends_with("sound"), "{} marks nothing", case.display());
    }
    assert!(wrong.is_empty(), "found but not marked, or marked but not found:\n{wrong}");
}

/// A rule that no case breaks is a rule that nobody has seen work.
#[test]
fn every_rule_is_broken_by_a_case() {
    let broken: BTreeSet<String> = cases().iter().flat_map(|case| marked(case)).map(|(_, _, rule)| rule).collect();
    let unseen: Vec<&str> = lint::rules().iter().map(|rule| rule.id).filter(|id| !broken.contains(*id)).collect();
    assert!(unseen.is_empty(), "no case for {unseen:?}");
}

#[test]
fn rules_have_ids_of_their_own_and_say_what_to_do() {
    let mut ids = BTreeSet::new();
    for rule in lint::rules() {
        let kebab = rule.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(kebab && ids.insert(rule.id), "{}", rule.id);
        assert!(rule.reason.len() > 20 && rule.recipe.len() > 5, "{}", rule.id);
    }
}

#[test]
fn runbooks_that_ship_have_nothing_that_nobody_answers_for() {
    for folder in fs::read_dir("runbooks").unwrap() {
        let folder = folder.unwrap().path();
        let found = findings(&folder);
        let loud = found.count(Severity::Error) + found.count(Severity::Warning);
        assert_eq!(loud, 0, "{}\n{}", folder.display(), found.render(false, Severity::Warning));
    }
}

const BEGIN: &str = "<!-- rules: written by the tests -->\n";
const END: &str = "<!-- end of the rules -->\n";

#[test]
fn the_documentation_has_every_rule() {
    let page = fs::read_to_string("docs/lint.md").unwrap();
    let mut table = String::from("| Rule | Severity | Why | What to do |\n|---|---|---|---|\n");
    for rule in lint::rules() {
        let cell = |text: &str| text.replace('|', "\\|");
        let severity = rule.severity.word();
        table.push_str(&format!("| `{}` | {severity} | {} | {} |\n", rule.id, cell(rule.reason), cell(rule.recipe)));
    }
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write("docs/lint.md", format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table);
    }
    // Rules that the page's words name exist, and folders of cases too.
    for (n, word) in page.split('`').enumerate().filter(|(n, _)| n % 2 == 1) {
        if let Some(case) = word.strip_prefix("tests/lint/") {
            assert!(Path::new(FOLDER).join(case).is_dir(), "word {n}: no case {case}");
        }
    }
}

/// Mistakes of the five guides, one folder each.
#[test]
fn the_documentation_names_every_case_of_the_guides() {
    let page = fs::read_to_string("docs/lint.md").unwrap();
    for case in cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let guide = name.starts_with('s') && name.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        assert!(!guide || page.contains(&format!("`tests/lint/{name}`")), "docs/lint.md does not name {name}");
    }
}

const BOOK: &str = r#"format = 1
id     = "window"
title  = "A window"

[environments.staging]
targets.main = "sqlite:shop.db?mode=rwc"

[environments.production]
protected    = true
targets.main = "sqlite:shop.db?mode=rwc"

[[phase]]
id      = "migrate"
advance = "auto"

[[phase.step]]
id   = "create"
sql  = "create table notes (id integer primary key)"
undo = { sql = "drop table notes" }

[[phase.step]]
id  = "look"
sql = "select count(*) from notes"

[[phase.step]]
id   = "fill"
sql  = "update notes set id = id + 1"
undo = "none needed"
"#;

const WAIVER: &str = r#"
[[waive]]
rule   = "step-without-expect"
step   = "look"
reason = "only to be read aloud"
"#;

fn desk(book: &str) -> Desk {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    desk.write("runbook.toml", book);
    desk
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn errors_fail_the_check_and_warnings_only_a_strict_one() {
    let bad = desk(BOOK).run(&["check", "runbook.toml"]).exits(3);
    assert!(bad.out.contains("error[step-without-expect]") && bad.out.contains("runbook.toml:23:7"), "{}", bad.out);
    assert!(bad.out.contains("not sound · 3 steps in 1 phase · digest") && bad.out.ends_with("1 error, 1 warning\n"));
    let waived = desk(&format!("{BOOK}{WAIVER}"));
    let ran = waived.run(&["check", "runbook.toml"]).exits(0);
    assert!(ran.out.contains("waived[step-without-expect]: runbook.toml:23: only to be read aloud\n"), "{}", ran.out);
    assert!(ran.out.ends_with("1 warning, 1 waived\n"), "{}", ran.out);
    waived.run(&["check", "--strict", "runbook.toml"]).exits(3);
    let quiet = waived.run(&["check", "--least", "error", "runbook.toml"]).exits(0);
    assert!(!quiet.out.contains("warning["), "{}", quiet.out);
}

#[test]
fn findings_are_data_and_what_is_waived_stays_there() {
    let desk = desk(&format!("{BOOK}{WAIVER}"));
    let all = parsed(&desk.run(&["check", "--json", "runbook.toml"]).exits(0).out);
    let one = &all[0];
    assert_eq!((&one["ok"], &one["waived"]), (&json!(true), &json!(1)));
    let findings = one["findings"].as_array().unwrap();
    let rules: Vec<&str> = findings.iter().map(|finding| finding["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["step-without-expect", "sql-update-without-where"]);
    assert_eq!(findings[0]["waived"], json!({ "reason": "only to be read aloud", "line": 30 }));
    assert_eq!(
        (&findings[1]["line"], &findings[1]["column"], &findings[1]["end_column"]),
        (&json!(27), &json!(9), &json!(21))
    );
    assert_eq!((&findings[1]["severity"], &findings[1]["waived"]), (&json!("warning"), &json!(null)));
    desk.write("runbook.toml", "format = 1\nid = \"x\"\ntitel = \"y\"\n");
    let all = parsed(&desk.run(&["check", "--json", "runbook.toml"]).exits(3).out);
    assert_eq!(all[0]["findings"][0]["rule"], "runbook-invalid");
    assert_eq!(all[0]["problems"]["problems"][0]["line"], 3);
    let listed = parsed(&desk.run(&["check", "--rules", "--json"]).exits(0).out);
    assert_eq!(listed.as_array().unwrap().len(), lint::rules().len());
    desk.run(&["check"]).exits(2);
}

/// The parts of SARIF 2.1.0 that its schema demands of what we write.
#[test]
fn sarif_is_whole() {
    let desk = desk(&format!("{BOOK}{WAIVER}"));
    desk.write("bad one.toml", "format = 1\nid = \"x\"\ntitel = \"y\"\n");
    let log = parsed(&desk.run(&["check", "--sarif", "runbook.toml", "bad one.toml"]).exits(3).out);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for result in results {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(ids[index], result["ruleId"].as_str().unwrap());
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let region = &place["region"];
        let number = |key: &str| region[key].as_u64().unwrap();
        assert!(number("startLine") > 0 && number("startColumn") > 0 && number("endLine") >= number("startLine"));
        assert!(number("endLine") > number("startLine") || number("endColumn") >= number("startColumn"));
    }
    let suppressed: Vec<&Value> = results.iter().filter(|result| result.get("suppressions").is_some()).collect();
    assert_eq!(suppressed.len(), 1);
    let why = &suppressed[0]["suppressions"][0];
    assert_eq!((&why["kind"], &why["justification"]), (&json!("inSource"), &json!("only to be read aloud")));
    assert_eq!(results[2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "bad%20one.toml");
}

#[test]
fn a_protected_environment_wants_a_runbook_without_errors() {
    let desk = desk(BOOK);
    let run = ["run", "runbook.toml", "--headless", "--yes", "--env"];
    let refused = desk.run(&[&run[..], &["production", "--confirm", "shop.db"]].concat()).exits(3);
    assert!(
        refused.err.contains("error[step-without-expect]") && refused.err.contains("nothing was started"),
        "{}",
        refused.err
    );
    assert!(!desk.path("shop.db").exists() && !desk.journal().exists());
    desk.run(&[&run[..], &["staging"]].concat()).exits(0).says("the check finds 1 error in this runbook");
    desk.write("runbook.toml", &format!("{BOOK}{WAIVER}"));
    let fresh = [&run[..], &["production", "--confirm", "shop.db"]].concat();
    fs::remove_file(desk.path("shop.db")).unwrap();
    desk.run(&fresh).exits(0);
    let report = desk.run(&["report", "last"]).exits(0).out;
    assert!(report.contains("## Waivers") && report.contains("only to be read aloud"), "{report}");
}

/// Phases of another file: findings about them name that file and its line, in every form.
#[test]
fn what_is_included_is_found_in_its_own_file() {
    let case = Path::new(FOLDER).join("rule-included");
    let part = case.join("parts/shared.toml").display().to_string();
    let text = fs::read_to_string(&part).unwrap();
    let line = text.lines().position(|line| line.contains("update notes")).unwrap() + 1;
    let said = |form: &str| {
        let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
        let whole = fs::canonicalize(&case).unwrap().display().to_string();
        let args: Vec<&str> = ["check", &whole].into_iter().chain((!form.is_empty()).then_some(form)).collect();
        desk.run(&args).exits(3).out
    };
    assert!(said("").contains(&format!("{part}:{line}:")), "{}", said(""));
    let about = |one: &&Value| one["rule"] == "sql-update-without-where" || one["ruleId"] == "sql-update-without-where";
    let findings = &parsed(&said("--json"))[0]["findings"];
    let found: Vec<&Value> = findings.as_array().unwrap().iter().filter(about).collect();
    assert!(found[1]["file"].as_str().unwrap().ends_with(&part), "{found:?}");
    assert_eq!((&found[1]["line"], &found[1]["end_line"]), (&json!(line), &json!(line)));
    let results = &parsed(&said("--sarif"))["runs"][0]["results"];
    let found: Vec<&Value> = results.as_array().unwrap().iter().filter(about).collect();
    let place = &found[1]["locations"][0]["physicalLocation"];
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with(&part), "{place}");
    assert_eq!(place["region"]["startLine"], line);
}

/// Foreign text in findings reaches no terminal as it is, and no runbook brings the lint down.
#[test]
fn odd_runbooks_are_looked_at_all_the_same() {
    let odd = BOOK
        .replace("update notes set id = id + 1", "update \\u001b[31mnotes set id = '\\u202e'")
        .replace("A window", "\\u0007 [x] TODO");
    let ran = desk(&odd).run(&["check", "runbook.toml"]);
    assert!(!ran.out.chars().any(|c| c != '\n' && runbook::clean::is_hostile(c)), "{:?}", ran.out);
    assert!(ran.code == Some(3) || ran.code == Some(0));
}

fn book_of(sql: &str, shell: &str) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "format = 1\nid = \"x\"\n[environments.staging]\ntargets.main = \"env:DB\"\n[[phase]]\nid = \"migrate\"\n\
         [[phase.step]]\nid = \"a\"\nsql = {}\n[[phase.step]]\nid = \"b\"\nshell = {}\nexpect = \"exit == 0\"\n",
        text(sql),
        text(shell)
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in SQL and in commands, the lint comes to an end, and its places lie inside of the text.
    #[test]
    fn any_text_is_looked_at(
        sql in "((select|update|delete from|insert into|not in|offset|count|do|drop|cascade|\\(|\\)|::|\\$\\$|'|\"|;|,|--|é| |\n|[a-z]{1,3}|[0-9]) ?){0,40}",
        shell in "((psql|pg_dump|-f|-c|\\||&&|;|\\$\\(|\\)|<<X|X|'|\"|`|\\\\|\\{\\{|\\}\\}|>|<|#|é| |\n|[a-z]{1,3}) ?){0,40}",
    ) {
        let text = book_of(&sql, &shell);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("runbook.toml"), &text).unwrap();
        let found = findings(dir.path());
        for one in &found.list {
            let span = &one.problem.span;
            prop_assert!(text.get(span.clone()).is_some(), "{span:?} in {text}");
        }
        let _ = found.render(false, Severity::Note);
    }
}

const CUT: &str = r#"format = 1
id     = "cut"

[environments.staging]
targets.main = "env:DB"

[[phase]]
id      = "prepare"
advance = "auto"

[[phase.step]]
id      = "backup"
run     = ["pg_dump", "-Fc", "-Z0", "-f", "whole.dump"]
connect = "main"
undo    = "none needed"

[[phase.step]]
id    = "cut"
shell = "head -c $(( $(stat -c %s whole.dump) * 60 / 100 )) whole.dump > cut.dump"
undo  = "none needed"

[[phase.step]]
id   = "listed"
run  = ["pg_restore", "--list", "cut.dump"]
undo = "none needed"

[[phase.step]]
id   = "read"
run  = ["pg_restore", "--exit-on-error", "-f", "/dev/null", "cut.dump"]
undo = "none needed"
"#;

/// What no lint can see: the dump on disk. Its listing passes; the full read that `backup-unproven` asks for does not.
#[test]
fn a_dump_that_was_cut_lists_and_cannot_be_read() {
    let Some(cluster) = support::postgres::shared() else { return };
    let db = cluster.create_db();
    cluster.psql(&db, "create table t as select g, repeat(md5(g::text), 4) from generate_series(1, 5000) as g");
    let desk = desk(CUT).with("DB", cluster.url(&db));
    let sound = desk.run(&["check", "--strict", "runbook.toml"]).exits(0);
    assert!(!sound.out.contains("backup-unproven"), "{}", sound.out);
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(4);
    let ended = |entry: &Value| entry["event"]["kind"] == "step_ended";
    let word = |entry: Value| {
        let event = &entry["event"];
        format!("{} {}", event["attempt"]["step"].as_str().unwrap(), event["outcome"]["outcome"].as_str().unwrap())
    };
    let ends: Vec<String> = ran.out.lines().map(parsed).filter(ended).map(word).collect();
    assert_eq!(ends, ["backup done", "cut done", "listed done", "read failed"]);
}

/// What is nested deeper than anybody writes it by hand ends in findings, not in the end of the program.
#[test]
fn deep_nesting_is_survived() {
    let deep = |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    for sql in [
        format!("select {}", deep("(", "1", ")", 6_000)),
        format!("select 'x'{}", " || 'x'".repeat(10_000)),
        format!("select {} true", "not ".repeat(6_000)),
    ] {
        let book = CUT.split("[[phase.step]]").next().unwrap().to_owned();
        let step = format!("[[phase.step]]\nid = \"deep\"\nsql = \"\"\"{sql}\"\"\"\nexpect = \"none\"\n");
        desk(&format!("{book}{step}")).run(&["check", "runbook.toml"]).exits(0);
    }
}
