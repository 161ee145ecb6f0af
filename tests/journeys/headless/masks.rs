//! Masked columns, with a real server: nothing of a masked value is in any file of the run, and `expect` saw it.

use std::path::Path;

use super::{book, desk_with_database};

const SECRET: &str = "ada.lovelace@example.org";

/// Every byte of every file under a folder.
fn all(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all(&path) } else { std::fs::read(&path).unwrap_or_default() }).collect()
}

fn holds(folder: &Path, text: &str) -> bool {
    all(folder).windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn no_file_of_the_run_holds_a_masked_value() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    let table = "create table users (id int primary key, email text unique, age int check (age > 0))";
    cluster.psql(&db, &format!("{table}; insert into users values (1, '{SECRET}', 36), (2, null, 40)"));
    let steps = "[[phase.step]]\nid = \"look\"\nsql = \"select email, id from users order by id\"\nmask = [\"EMAIL\"]\n\
                 expect = \"value is startingwith('ada.') and row.email | length == 24 and rows == 2\"\n\
                 [[phase.step]]\nid = \"twice\"\nsql = \"insert into users select 3, email, 1 from users where id = 1\"\n\
                 undo = \"none needed\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"row\"\nsql = \"update users set age = -1\"\nundo = \"none needed\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"value\"\nsql = \"select email::int from users\"\nexpect = \"none\"\non_fail = \"continue\"\n\
                 [[phase.step]]\nid = \"unexpected\"\nsql = \"select email from users where id = 1\"\nexpect = \"value == 'bob'\"\n\
                 on_fail = \"continue\"\n";
    desk.write("runbook.toml", &book(steps).replace("targets.main", "mask = [\"email\"]\ntargets.main"));
    let ran = desk.run(&["run", "runbook.toml", "--headless", "--json", "--yes"]).exits(0);
    for said in ["Key (email)=(‹masked›) already exists.", "Failing row contains (‹masked›)", "look", "unexpected"]
    {
        assert!(ran.out.contains(said), "never said {said}:\n{}", ran.out);
    }
    let report = desk.run(&["report", "last"]).exits(0);
    assert!(report.out.contains("‹masked›"), "{}", report.out);
    for text in [&ran.out, &ran.err, &report.out] {
        assert!(!text.contains("ada.lovelace"), "{text}");
    }
    assert!(holds(&desk.journal(), "select email, id"), "the journal is not where it is looked for");
    assert!(!holds(&desk.journal(), "ada.lovelace"));
}

/// The same steps without `mask`: what the test looks for would be there.
#[test]
fn what_is_not_masked_is_kept() {
    let Some((desk, cluster, db)) = desk_with_database() else { return };
    cluster.psql(&db, &format!("create table users (id int, email text); insert into users values (1, '{SECRET}')"));
    let step = "[[phase.step]]\nid = \"look\"\nsql = \"select email, id from users\"\nexpect = \"rows == 1\"\n";
    desk.write("runbook.toml", &book(step));
    desk.run(&["run", "runbook.toml", "--headless", "--yes"]).exits(0);
    assert!(holds(&desk.journal(), SECRET));
}
