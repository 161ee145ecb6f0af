//! What a run says of itself when it is over: the promised report, and rows that were written, or were not.

use super::bare;
use support::headless::Desk;

const RUN: [&str; 4] = ["run", "runbook.toml", "--headless", "--yes"];

fn desk() -> Desk {
    let desk = super::desk();
    let url = format!("sqlite:{}?mode=rwc", desk.path("app.db").display());
    desk.with("DB", url)
}

const STEPS: &str = r#"
[[phase.step]]
id   = "make"
sql  = "create table t (id integer primary key, a int); insert into t values (1, null)"
undo = { sql = "drop table t" }

[[phase.step]]
id   = "none"
sql  = "update t set a = 1 where id > 5"
undo = { sql = "update t set a = null where id > 5" }

[[phase.step]]
id   = "column"
sql  = "alter table t add column b int"
undo = { sql = "alter table t drop column b" }
"#;

fn book(head: &str) -> String {
    let text = bare(STEPS).replace("[environments.test]", "[environments.test]\ntargets.main = \"env:DB\"");
    text.replacen("title", &format!("{head}\ntitle"), 1)
}

#[test]
fn a_rehearsal_leaves_the_name_of_the_report_to_the_live_run() {
    let desk = desk();
    desk.write("runbook.toml", &book("report = \"the report.md\""));
    desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
    // The second leg of a rehearsal stays; the live run is that of another database.
    let anew = || std::fs::remove_file(desk.path("app.db")).unwrap();
    anew();
    let ran = desk.run(&RUN).exits(0);
    assert!(!ran.err.contains("report was not written"), "{ran:?}");
    let read = |name: &str| std::fs::read_to_string(desk.path(name)).unwrap();
    assert!(read("the report.rehearsal.md").contains("rehearsal"));
    assert!(read("the report.md").contains("live"));
    // A name that is taken is never written over: the next run's report says whose it is.
    anew();
    let first = read("the report.md");
    let again = desk.run(&RUN).exits(0);
    let own = std::fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let own: Vec<String> = own.filter(|name| name.starts_with("the report-journey-")).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(again.err.contains(&own[0]) && !again.err.contains("was not written"), "{again:?}");
    assert_eq!(read("the report.md"), first);
    assert!(read(&own[0]).contains(own[0].trim_start_matches("the report-").trim_end_matches(".md")));
    // So is a rehearsal's.
    anew();
    let again = desk.run(&["rehearse", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(again.err.contains("the report.rehearsal-journey-"), "{again:?}");
}

#[test]
fn the_report_may_be_named_by_the_run() {
    let desk = desk();
    desk.write("runbook.toml", &book("report = \"{{ name }}-{{ run.id }}.md\"\nvars.name = \"why\""));
    desk.run(&RUN).exits(0);
    let run = desk.run_dir().file_name().unwrap().to_string_lossy().into_owned();
    assert!(desk.path(&format!("why-{run}.md")).exists());
    desk.write("bad.toml", &book("report = \"{{ run.name }}.md\""));
    let bad = desk.run(&["check", "bad.toml"]).exits(3);
    assert!(bad.err.contains("`run` has no `name`") || bad.out.contains("`run` has no `name`"), "{bad:?}");
}

#[test]
fn no_row_is_a_number_too() {
    let desk = desk();
    desk.write("runbook.toml", &book(""));
    let ran = desk.run(&RUN).exits(0);
    let line = |step: &str| {
        let of = |line: &&str| line.contains(&format!("  {step} ")) && line.contains("done in");
        ran.out.lines().find(of).unwrap_or_else(|| panic!("{step}: {}", ran.out)).to_owned()
    };
    assert!(line("make").ends_with("1 row written"), "{}", ran.out);
    assert!(line("none").ends_with("0 rows written"), "{}", ran.out);
    assert!(!line("column").contains("written"), "{}", ran.out);
}

/// What a backup calls rows are tables; a batch that found nothing to do wrote nothing.
#[test]
fn a_copy_counts_rows_and_tables_and_a_batch_says_nought() {
    let desk = desk();
    let steps = "[[phase.step]]\nid = \"rows\"\nundo = \"none needed\"\n\
                 sql = \"create table t (id integer primary key, a int); insert into t values (1, 1), (2, 1); \
                 create table u (id integer primary key); insert into u values (1)\"\n\
                 [[phase.step]]\nid = \"copy\"\nbackup = \"copy.db\"\n\
                 [[phase.step]]\nid = \"walk\"\nundo = \"none needed\"\n\
                 batch = { table = \"t\", key = \"id\", set = \"a = 1\", where = \"a is null\", repeatable = true }\n";
    desk.write("runbook.toml", &book("").replace(STEPS, steps));
    let ran = desk.run(&RUN).exits(0);
    assert!(ran.out.contains(" · 3 rows in 2 tables · "), "{}", ran.out);
    assert!(ran.out.contains(" · 0 rows written · 1 batch"), "{}", ran.out);
    assert!(desk.run(&["report"]).exits(0).out.contains("3 rows in 2 tables"));
}

/// What is said of a mistake fits where it was made: where there is no run, nothing is resumed.
#[test]
fn mistakes_are_told_with_what_can_be_typed() {
    let desk = super::desk();
    desk.write("runbook.toml", &book(""));
    let checked = desk.run(&["check", "runbook.toml", "--env", "test"]);
    let said = format!("{}{}", checked.out, checked.err);
    assert!(said.contains("DB is not set; export it") && !said.contains("resume"), "{said}");
    let pace = desk.run(&["retune", "last", "make"]).exits(2);
    assert!(pace.err.contains("--batch") && pace.err.contains("--pause"), "{pace:?}");
}
