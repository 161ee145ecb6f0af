//! How runs are ended, found and taken up from the command line.

use support::headless::Desk;
use support::postgres::Cluster;

use super::{bare, book, desk, desk_with_database};

const FAILS: &str = "[[phase.step]]\nid = \"act\"\nsql = \"insert into t values (1)\"\nundo = \"none needed\"\n\
                     [[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\n";

fn failing() -> Option<(Desk, &'static Cluster, String)> {
    let (desk, cluster, db) = desk_with_database()?;
    cluster.psql(&db, "create table t (id int)");
    desk.write("runbook.toml", &book(FAILS).replace("url = ", "ledger = \"create\", url = "));
    Some((desk, cluster, db))
}

/// The run of this journal that is not `others`.
fn run_beside(desk: &Desk, others: &[&str]) -> String {
    let found = std::fs::read_dir(desk.journal()).unwrap().map(|entry| entry.unwrap());
    let runs = found.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    let mut runs: Vec<String> = runs.filter(|run| !others.contains(&run.as_str())).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0)
}

/// The database is another run's: who waits for it can be ended, and is told how to end the other.
#[test]
fn a_run_that_waits_for_anothers_database_is_given_up() {
    let Some((desk, cluster, db)) = failing() else { return };
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    let first = run_beside(&desk, &[]);
    let second = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4).says("has another owner");
    let ends = format!("gonogo resume {first} --headless --give-up REASON");
    let second = second.says(&format!("{ends}   (ends that run where it stands)"));
    let second = second.says(&format!("--take-over {db}   (where it never will)"));
    assert!(!second.out.contains("DATABASE_NAME"), "{}", second.out);
    let waiting = run_beside(&desk, &[&first]);
    let back = ["resume", &waiting, "--headless", "--roll-back", "why"];
    desk.run(&back).exits(4).says("nothing was taken back").says(&format!("--take-over {db}"));
    desk.run(&["resume", &waiting, "--headless", "--give-up", "not tonight"]).exits(1).says("given up by");
    // The first was not touched by that, and is ended by the very command that was told.
    assert_eq!(cluster.psql(&db, "select string_agg(run, ',') from gonogo.run where ended is null"), first);
    desk.run(&["resume", &first, "--headless", "--give-up", "REASON"]).exits(1);
    assert_eq!(cluster.psql(&db, "select count(*) from gonogo.run where ended is null"), "0");
}

/// It has done steps there, and lost the database since: its end is not the business of whoever has it now.
#[test]
fn a_run_that_lost_its_database_is_not_given_up_without_it() {
    let Some((desk, cluster, db)) = failing() else { return };
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    let first = run_beside(&desk, &[]);
    desk.run(&["run", "runbook.toml", "--headless", "--yes", "--take-over", &db]).exits(4);
    let give_up = ["resume", &first, "--headless", "--give-up", "why"];
    let refused = desk.run(&give_up).exits(4).says("nothing was given up").says(&format!("--take-over {db}"));
    assert!(!refused.out.contains("run ended"), "{}", refused.out);
    desk.run(&["resume", &first, "--headless", "--retry"]).exits(4);
    desk.run(&[&give_up[..], &["--take-over", &db]].concat()).exits(1).says("given up by");
    let open = "select count(*) from gonogo.run where run = '{}' and ended is null".replace("{}", &first);
    assert_eq!(cluster.psql(&db, &open), "0");
}

/// An engine that lives holds it: its screen is where it is ended.
#[test]
fn a_database_that_a_living_engine_has_names_it() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, "create table gate (open bool); insert into gate values (false)");
    let waits = "[[phase.step]]\nid = \"wait\"\nsql = \"do $$ begin loop exit when (select open from gate); \
                 perform pg_sleep(0.02); end loop; end $$\"\nundo = \"none needed\"\n";
    desk.write("runbook.toml", &book(waits));
    let running = desk.start(&["run", "runbook.toml", "--headless", "--json", "--yes"]);
    running.says("step_started");
    let first = run_beside(&desk, &[]);
    let second = desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(4);
    second.says("another owner is at work").says(&format!("gonogo attach {first}"));
    let waiting = run_beside(&desk, &[&first]);
    desk.run(&["resume", &waiting, "--headless", "--give-up", "not tonight"]).exits(1);
    cluster.psql(&db, "update gate set open = true");
    running.end().exits(0);
}

/// The beginning of a name that fits a run that has ended and one that has not: only one of them can be meant.
#[test]
fn the_beginning_of_a_name_means_the_run_that_can_be_taken_up() {
    let desk = desk();
    let asks = "[[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n";
    desk.write("runbook.toml", &bare(asks));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    desk.run(&["run", "runbook.toml", "--headless"]).exits(4);
    desk.run(&["resume", "journey-", "--headless", "--give-up", "why"]).exits(1).says("given up by");
    for _ in 0..2 {
        desk.run(&["run", "runbook.toml", "--headless"]).exits(4);
    }
    let several = desk.run(&["resume", "journey-", "--headless", "--yes"]).exits(2);
    several.says("(held, engine gone)").says("(failed)");
}

/// What is refused as a first word ends there: `--yes` does not go on with a run that was to end.
#[test]
fn a_refused_end_does_not_go_on() {
    let desk = desk();
    desk.write("runbook.toml", &bare("[[phase.step]]\nid = \"look\"\nchecklist = [\"Is it so?\"]\n"));
    desk.run(&["run", "runbook.toml", "--headless"]).exits(4);
    let back = ["resume", "last", "--headless", "--yes", "--roll-back", "why", "--plan", "nosuch"];
    desk.run(&back).exits(4).says("no rollback plan nosuch");
}

#[test]
fn the_help_says_what_is_asked_most() {
    let desk = desk();
    let help = |verb: &str| desk.run(&[verb, "--help"]).exits(0).out;
    for (verb, words) in [
        ("runs", &["held, engine gone", "interrupted", "As JSON"][..]),
        ("resume", &["gonogo attach", "[answers.STEP]", "[polls.STEP]"]),
        ("replay", &["space plays", "next failure"]),
        ("run", &["--unrehearsed"]),
        ("check", &["As JSON"]),
    ] {
        let said = help(verb);
        assert!(words.iter().all(|word| said.contains(word)), "{verb}\n{said}");
    }
    assert!(!help("rehearse").contains("--unrehearsed"));
    desk.run(&["rehearse", "x", "--unrehearsed", "why"]).exits(2);
}
