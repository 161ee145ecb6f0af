//! `gonogo import` on guides of the shapes people write: each becomes a runbook that `gonogo check` accepts, and every word
//! of every line is in the draft or in the list at its end.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gonogo::draft::guide::{Fate, Guide, Import, import};
use gonogo::runbook::{self, PhaseKind, Runbook, Source, Verb};
use proptest::prelude::*;

fn imported(text: &str) -> Import {
    let guide = Guide { text, name: "guide.md", schema: "#:schema ./x.json", read: &|_| None };
    import(&guide).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn read(import: &Import) -> Runbook {
    let source = Source { name: "draft".into(), text: import.toml.clone(), ..Source::default() };
    runbook::from_source(source, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Every text of the draft as it means, and its comments as they stand.
fn said(toml: &str) -> String {
    fn texts(value: &toml::Value, out: &mut String) {
        match value {
            toml::Value::String(text) => out.extend([text, "\n"]),
            toml::Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
            toml::Value::Table(table) => table.values().for_each(|item| texts(item, out)),
            _ => {}
        }
    }
    let mut out = String::new();
    texts(&toml::Value::Table(toml::from_str(toml).unwrap()), &mut out);
    let comments = toml.lines().filter(|line| line.starts_with('#'));
    out.extend(comments.map(|line| format!("{line}\n")));
    out
}

/// Every line has a fate, and every word of a line that has words is said in the draft.
fn accounted(text: &str) -> Import {
    let import = imported(text);
    let said = said(&import.toml);
    assert_eq!(import.account.lines.len(), text.replace("\r\n", "\n").split('\n').count());
    for (n, line) in import.account.lines.iter().enumerate() {
        match line.fate {
            Fate::Blank => assert!(line.text.trim().is_empty()),
            Fate::Sign => {
                let fence = line.text.contains("```") || line.text.contains("~~~");
                assert!(fence || !line.text.contains(char::is_alphanumeric), "line {}: {}", n + 1, line.text);
            }
            Fate::Used(_) | Fate::Left(_) => {
                let sign = |c: char| c.is_ascii_digit() || " \t>-*+".contains(c);
                let bare = line.text.trim_start_matches(sign);
                for word in bare.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                    let place = (n + 1, &line.text, &line.fate);
                    assert!(said.contains(word), "`{word}` of {place:?} is lost in\n{}", import.toml);
                }
            }
        }
    }
    import
}

fn guide(name: &str) -> Import {
    accounted(&fs::read_to_string(Path::new("tests/guides").join(name)).unwrap())
}

fn expectations(book: &Runbook) -> Vec<&str> {
    book.steps().filter_map(|step| step.expect.as_ref()).map(|expr| expr.source.as_str()).collect()
}

#[test]
fn nothing_of_a_guide_is_lost() {
    let mut seen = 0;
    for entry in fs::read_dir("tests/guides").unwrap() {
        let path = entry.unwrap().path();
        let import = accounted(&fs::read_to_string(&path).unwrap());
        assert!(read(&import).steps().count() > 1, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn a_window_keeps_its_shape() {
    let import = guide("window.md");
    let book = read(&import);
    let phases: Vec<(&str, PhaseKind)> = book.phases.iter().map(|phase| (phase.title.as_str(), phase.kind)).collect();
    let monitor = book.phases.iter().find(|phase| phase.kind == PhaseKind::Monitor);
    let monitor = monitor.unwrap_or_else(|| panic!("{phases:?}"));
    assert_eq!(monitor.lasts.unwrap().as_secs(), 7200);
    assert_eq!(monitor.at.unwrap().as_secs(), 5400);
    assert_eq!(import.account.ticks.len(), 4);
    let roles: Vec<&str> = book.roles.iter().map(|(_, words)| words.as_str()).collect();
    assert_eq!(roles, ["Database Admin", "Backend Lead"]);
    assert!(book.steps().any(|step| matches!(&step.verb, Verb::Poll(roles) if roles.len() == 2)));
    assert_eq!(expectations(&book), ["value == 4110"]);
    let sql = |step: &runbook::Step| match &step.verb {
        Verb::Sql(script) => Some((script.transaction, script.text.clone())),
        _ => None,
    };
    let scripts: Vec<(bool, String)> = book.steps().filter_map(sql).collect();
    assert_eq!(scripts.len(), 3);
    assert!(scripts[0].0 && scripts[0].1.contains("CREATE TABLE") && scripts[0].1.contains("INSERT"));
    assert!(!scripts[2].0 && scripts[2].1.contains("CONCURRENTLY"));
    let dues: Vec<u64> = book.followups.iter().map(|one| one.due.as_secs() / 3600).collect();
    assert_eq!(dues, [24, 168]);
    assert_eq!(book.rollbacks.len(), 1);
    assert_eq!(sql(&book.rollbacks[0].steps[1]).unwrap().1, "DROP TABLE ledger_lines;");
}

#[test]
fn commands_and_ways_back_are_understood() {
    let import = guide("steps.md");
    let book = read(&import);
    let shell = |step: &runbook::Step| match &step.verb {
        Verb::Shell(text) => Some(text.clone()),
        _ => None,
    };
    let shells: Vec<String> = book.steps().filter_map(shell).collect();
    assert!(shells[0].contains("pg_dump") && shells[0].contains("exit 1"), "the backup is one script: {shells:?}");
    assert!(book.steps().any(|step| matches!(&step.verb, Verb::Run(argv) if argv.last().unwrap() == "checks/all.sql")));
    assert_eq!(expectations(&book), ["rows == 1", "value == 0"]);
    // Dropping the database from another one is no statement of the target's.
    assert!(book.rollbacks[0].steps.iter().filter_map(shell).any(|text| text.contains("DROP DATABASE")));
    let lines = import.account.lines.iter().filter(|line| matches!(line.fate, Fate::Left(_)));
    let left: Vec<&str> = lines.map(|line| line.text.trim()).collect();
    for words in ["\\d customers", "psql -h db1 -U shop", "<div>Written by hand</div>", "**Cause:** an earlier attempt"]
    {
        assert!(left.contains(&words), "{words}: {left:#?}");
    }
}

#[test]
fn secrets_are_named_and_not_copied() {
    let import = guide("secrets.md");
    for secret in ["correct-horse-battery", "tr0ub4dor", "aaaabbbbccccdddd"] {
        assert!(!import.toml.contains(secret), "{secret}");
        assert!(!import.account.to_json().to_string().contains(secret), "{secret}");
    }
    let lines: Vec<usize> = import.account.secrets.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [10, 11, 12]);
}

#[test]
fn what_was_read_wrongly_is_put_right() {
    let import = guide("mangled.md");
    assert_eq!(import.account.repaired.unwrap().0, "Windows-1252");
    assert!(import.toml.contains("Guide — München") && import.toml.contains("Grüße an alle → jetzt"));
    assert_eq!(import.account.ticks, [6]);
}

fn gonogo(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gonogo")).args(args).current_dir(folder).output().unwrap()
}

#[test]
fn the_command_writes_a_draft_that_is_checked_and_never_writes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy("tests/guides/steps.md", at("steps.md")).unwrap();
    fs::create_dir_all(at("out/checks")).unwrap();
    fs::write(at("out/checks/all.sql"), "select 1;\n").unwrap();
    let output = gonogo(&["import", "steps.md", "-o", "out", "--json"], folder.path());
    assert!(output.status.success(), "{output:?}");
    let account: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(account["steps"]["file"], 1, "a file beside the draft is taken: {account:#}");
    assert!(account["left"].as_array().unwrap().len() > 3);
    let draft = fs::read_to_string(at("out/runbook.toml")).unwrap();
    assert!(draft.starts_with("#:schema ./runbook.schema.json\n") && at("out/runbook.schema.json").exists());
    assert!(gonogo(&["check", "out"], folder.path()).status.success());
    let again = gonogo(&["import", "steps.md", "-o", "out"], folder.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("there already"));
    assert_eq!(fs::read_to_string(at("out/runbook.toml")).unwrap(), draft);
    let words = gonogo(&["import", "steps.md", "-o", "second"], folder.path());
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("listed at its end"), "{words}");
}

#[test]
fn what_cannot_be_read_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(gonogo(&["import", "nothing.md"], folder.path()).status.code(), Some(1));
    fs::write(folder.path().join("latin.md"), b"# caf\xe9\n").unwrap();
    assert_eq!(gonogo(&["import", "latin.md"], folder.path()).status.code(), Some(2));
    let utf16: Vec<u8> = "# Move\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, says, never) in [
        (&b"\n \n---\n"[..], "has no words", "iconv"),
        (utf16.as_slice(), "iconv -t utf-8 -f utf-16le", "latin1"),
        (&[&[0xff, 0xfe], utf16.as_slice()].concat(), "iconv -t utf-8 -f utf-16", "latin1"),
        (&b"# A\n\n```sql\nselect 1;\0\n```\n"[..], "line 4 holds a NUL byte", "iconv"),
        (&b"\x7fELF\x02\x01\x01\xff\xfe"[..], "is no text", "iconv"),
    ] {
        fs::write(folder.path().join("odd.md"), bytes).unwrap();
        let ran = gonogo(&["import", "odd.md"], folder.path());
        let words = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{words}");
        assert!(words.contains(says) && !words.contains(never), "{words}");
        fs::remove_file(folder.path().join("odd.md")).unwrap();
    }
    let files: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, [folder.path().join("latin.md")]);
}

/// A line of a guide, or a piece of one.
fn piece() -> impl Strategy<Value = String> {
    let words = "[a-zA-Z0-9 ,:;.'\"$(){}%#|<>/\\\\äß✅`*_-]{0,30}";
    prop_oneof![
        words.prop_map(|text| text),
        words.prop_map(|text| format!("## {text}")),
        words.prop_map(|text| format!("### Step 2: {text}")),
        Just("## Rollback".to_owned()),
        Just("## Success criteria".to_owned()),
        Just("### First 24 Hours".to_owned()),
        Just("## Go/No-Go".to_owned()),
        Just("## Troubleshooting".to_owned()),
        Just("### If Step 2 fails".to_owned()),
        Just("**Option A: this**".to_owned()),
        Just("### Option B: that".to_owned()),
        Just("# Or else".to_owned()),
        Just("# Or if using that".to_owned()),
        Just("## Next steps".to_owned()),
        Just("### When to roll back".to_owned()),
        Just("- 3 orders".to_owned()),
        Just("This will create:".to_owned()),
        Just("## Team responsibilities".to_owned()),
        words.prop_map(|text| format!("- [x] {text}")),
        words.prop_map(|text| format!("- {text}")),
        words.prop_map(|text| format!("  1. {text}")),
        words.prop_map(|text| format!("| {text} | b |")),
        Just("```sql".to_owned()),
        Just("```bash".to_owned()),
        Just("```".to_owned()),
        words.prop_map(|text| format!("SELECT '{text}';")),
        words.prop_map(|text| format!("psql -c \"{text}\"")),
        words.prop_map(|text| format!("-- Expected: 3 {text}")),
        words.prop_map(|text| format!("**Expected:** {text}")),
        Just("BEGIN;".to_owned()),
        Just("COMMIT;".to_owned()),
        Just("├─ a branch ✅ YES".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_any_guide_is_lost(pieces in proptest::collection::vec(piece(), 0..30)) {
        let import = accounted(&pieces.join("\n"));
        read(&import);
    }
}

/// A tick before a statement is no answer, and a query of a guide without an expectation says that it has none.
#[test]
fn ticks_leave_titles_and_open_questions_are_said() {
    let import =
        imported("# Move\n\n## Migration\n\n```sql\n-- ✅ SAFE: nothing waits\nselect count(*) from orders;\n```\n");
    let book = read(&import);
    let step = book.steps().find(|step| step.title == "SAFE: nothing waits").unwrap();
    assert!(step.expects_nothing && step.expect.is_none());
}

/// What a guide warns of is listed, and does not run.
#[test]
fn examples_of_what_not_to_do_are_left_out() {
    let text = "# Guide\n\n## Migrate\n\n```sql\n-- BAD: locks the table for minutes\nupdate users set ok = true;\nupdate users set \
                done = true;\n\n-- GOOD: in parts\nupdate users set ok = true where id < 10;\n```\n\n```sql\n-- DON'T do this directly:\n-- alter \
                table t alter c type bigint;\n\n-- DO this:\nalter table t add c2 bigint;\n```\n";
    let import = accounted(text);
    let book = read(&import);
    let titles: Vec<&str> = book.steps().map(|step| step.title.as_str()).collect();
    assert_eq!(titles[1..], ["GOOD: in parts", "DO this"]);
    assert_eq!(import.toml.matches("an example of what not to do").count(), 1, "{}", import.toml);
}

/// The lines of a draft that stand in comments.
fn comments(toml: &str) -> Vec<&str> {
    toml.lines().filter_map(|line| line.strip_prefix('#')).map(str::trim).collect()
}

#[test]
fn known_troubles_stand_at_the_step_they_speak_of() {
    let import = guide("troubled.md");
    let book = read(&import);
    let troubles: Vec<(&str, &str)> = book
        .steps()
        .flat_map(|step| step.trouble.iter().map(|one| (step.title.as_str(), one.matching.as_str())))
        .collect();
    assert_eq!(troubles, [("Write the dump", "(?i)no space left"), ("Step 3: Apply", "(?i)already exists")]);
    let apply = book.steps().find(|step| step.title == "Step 3: Apply").unwrap();
    assert!(apply.trouble[0].fix.contains("DROP TABLE orders_new"), "{}", apply.trouble[0].fix);
    let left = import.account.lines.iter().find(|line| line.text == "Ask the database team.").unwrap();
    assert!(matches!(&left.fate, Fate::Left(why) if why.contains("cannot be told")), "{left:?}");
}

#[test]
fn what_success_is_becomes_a_criterion_where_a_query_knows_it() {
    let import = guide("troubled.md");
    let book = read(&import);
    let criteria: Vec<(&str, &str)> =
        book.criteria.iter().map(|one| (one.title.as_str(), one.when.source.as_str())).collect();
    assert_eq!(
        criteria,
        [
            ("43 tables remain", "steps['step-5-count'].value == 43"),
            ("No order without a customer", "steps['no-order-without-a-customer'].value == 0"),
        ]
    );
    let items = |step: &runbook::Step| format!("{:?}", step.verb);
    assert!(book.steps().any(|step| items(step).contains("Nobody complains")));
    assert!(!book.steps().any(|step| items(step).contains("43 tables remain")));
}

#[test]
fn of_several_ways_the_first_is_a_step_and_the_others_are_comments() {
    let import = guide("troubled.md");
    let book = read(&import);
    let shells: Vec<String> = book
        .steps()
        .filter_map(|step| match &step.verb {
            Verb::Shell(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert!(
        shells.contains(&"systemctl stop orders".to_owned())
            && shells.contains(&"scripts/apply.sh production".to_owned())
    );
    assert!(!shells.iter().any(|text| text.contains("pm2") || text.contains("local")), "{shells:?}");
    let comments = comments(&import.toml);
    let at = |words: &str| {
        comments.iter().position(|line| *line == words).unwrap_or_else(|| panic!("{words}: {comments:#?}"))
    };
    assert_eq!(at("Another way of doing `step-3-apply`, by the guide:") + 1, at("**Option B: on the host**"));
    assert_eq!(at("# Or if using PM2") + 1, at("pm2 stop orders"));
}

#[test]
fn what_is_no_work_of_the_window_does_not_run_in_it() {
    let import = guide("troubled.md");
    let book = read(&import);
    let all: String = book.steps().map(|step| format!("{:?}\n", step.verb)).collect();
    // An example, what is done later, a reference that repeats the work: none of it is a step.
    assert!(!all.contains("DROP TABLE"), "{all}");
    assert_eq!(all.matches("scripts/apply.sh").count(), 1, "{all}");
    let follow = book.steps().find(|step| step.title == "Step 4: Follow it").unwrap();
    assert!(matches!(follow.verb, Verb::Checklist(_)) && import.toml.contains("it does not end by itself"));
    let later = &book.followups[0];
    assert_eq!((later.title.as_str(), later.due.as_secs()), ("Next steps", 24 * 3600));
    assert!(import.toml.contains("# the guide does not say when") && later.checklist.len() == 2);
    let way: Vec<&str> = book.rollbacks.iter().map(|plan| plan.id.as_str()).collect();
    assert_eq!(way, ["rollback-steps"]);
    assert!(comments(&import.toml).contains(&"- Error rate > 2%"));
    assert!(import.toml.contains("# $DUMP_FILE is set by another step"));
    // What decides is asked before the work, and nothing is decided in advance.
    let phases: Vec<&str> = book.phases.iter().map(|phase| phase.title.as_str()).collect();
    assert_eq!(phases[1..4], ["Before the work", "Go / no-go", "Migration"]);
    assert!(!all.contains("DECISION"));
}

/// An ordinary guide: what it says of answers, people, limits, errors and times is in the draft, each where it belongs.
#[test]
fn an_ordinary_guide_is_understood() {
    let import = guide("split.md");
    let book = read(&import);
    let step = |id: &str| book.step(&runbook::StepId(id.into())).unwrap_or_else(|| panic!("{id}\n{}", import.toml));
    let expects = |id: &str| step(id).expect.as_ref().map(|expr| expr.source.clone());
    assert_eq!(expects("count-what-is-there-now").as_deref(), Some("value == 50000"));
    assert_eq!(expects("verify-that-none-is-missing").as_deref(), Some("value == 0"));
    let Verb::Poll(roles) = &step("go-no-go").verb else { panic!("{}", import.toml) };
    assert_eq!(roles, &["dana", "marco"]);
    assert_eq!(book.roles[0], ("dana".to_owned(), "Dana (DB)".to_owned()));
    let switch = book.phases.iter().find(|phase| phase.id == "phase-4-switch-the-application").unwrap();
    assert_eq!(switch.steps[0].id.0, "go-no-go", "before the phase starts");
    // An error that names an object belongs to the step that makes it, and fits what a server writes.
    let trouble = &step("create-table-addresses").trouble[0];
    assert!(
        trouble.fix.contains("DROP TABLE addresses") && trouble.matching.contains("\"?addresses\"?"),
        "{trouble:?}"
    );
    assert_eq!(step("add-the-foreign-key").trouble[0].matching, "(?i)lock timeout");
    assert_eq!(book.criteria[0].when.source, "steps['verify-that-none-is-missing'].value == 0");
    // A step is named by what it does, and not by its phase.
    for phase in &book.phases {
        let titles: Vec<&str> = phase.steps.iter().map(|step| step.title.as_str()).collect();
        let names = |title: &&str| *title == phase.title && phase.title.starts_with("Phase");
        assert!(!titles.iter().any(names) && !titles.iter().any(|title| title.ends_with(':')), "{titles:?}");
    }
    assert!(!import.toml.contains("-minutes"), "{}", import.toml);
    let dues: Vec<(&str, u64)> =
        book.followups.iter().map(|one| (one.checklist[0].as_str(), one.due.as_secs() / 3600)).collect();
    assert_eq!(dues, [("After one week: drop `customers.address` (OPS-1190)", 168), ("Update the ER diagram", 24)]);
}

/// A trigger in words stands in the draft as a comment that becomes one when its signs are taken away.
#[test]
fn a_limit_in_words_becomes_a_trigger_that_is_only_commented_out() {
    let import = guide("split.md");
    assert!(read(&import).triggers.is_empty());
    let (before, rest) = import.toml.split_once("# [[probe]]").unwrap();
    let (comment, after) = rest.split_once("\n\n").unwrap();
    let live: String = comment.lines().map(|line| line.trim_start_matches('#').to_owned() + "\n").collect();
    let text = format!("{before}[[probe]]{live}\n{after}");
    let source = Source { name: "draft".into(), text: text.clone(), ..Source::default() };
    let book = runbook::from_source(source, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    assert_eq!((book.triggers[0].when.source.as_str(), book.triggers[0].lasting.as_secs()), ("error_rate > 2", 60));
}

/// What a command needs from outside is handed on by name, and nobody is asked whether it is there.
#[test]
fn variables_of_commands_are_named() {
    let import = guide("split.md");
    let book = read(&import);
    let dump = book.steps().find(|step| matches!(&step.verb, Verb::Shell(text) if text.contains("pg_dump"))).unwrap();
    assert_eq!(dump.handed().collect::<Vec<_>>(), ["DATABASE_URL"]);
    let line = import.account.lines.iter().find(|line| line.text.contains("`DATABASE_URL` exported")).unwrap();
    assert!(matches!(&line.fate, Fate::Left(why) if why.contains("`env`")), "{line:?}");
    let text = "# A\n\n## Migrate\n\n```bash\nexport X=1\necho \"$X ${Y:-}\" '$Z' > \"$OUT\"\n```\n";
    let import = imported(text);
    assert!(import.toml.contains("env   = [\"OUT\"]\n"), "{}", import.toml);
}

#[test]
fn people_of_a_go_no_go_may_stand_in_a_list() {
    let text = "# A\n\n**Owners:** Dana (DB), Marco (app)\n\n## Go/No-Go\n\n- Dana\n- Marco\n\n## Migrate\n\n```sql\nselect 1;\n```\n";
    let import = accounted(text);
    let book = read(&import);
    let polls = |step: &&runbook::Step| matches!(&step.verb, Verb::Poll(roles) if roles == &["dana", "marco"]);
    assert_eq!(book.steps().filter(polls).count(), 1, "{}", import.toml);
    // Questions stay questions.
    let import = accounted("# A\n\n## Go/No-Go\n\n- Backups verified\n- Team ready\n");
    assert!(read(&import).roles.is_empty() && import.toml.contains("\"Backups verified\""), "{}", import.toml);
}
