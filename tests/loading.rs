//! What lies on disk: files inside the folder only, regular, of bounded size.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gonogo::runbook::{self, Problems, RUNBOOK_BYTES, Runbook};
use tempfile::TempDir;

const HEAD: &str = "format = 1\nid = \"x\"\n[environments.e]\ntargets.main = \"env:X\"\n[[phase]]\nid = \"migrate\"\n[[phase.step]]\nid = \"a\"\n";

fn folder(step: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("runbook.toml"), format!("{HEAD}{step}\n")).unwrap();
    folder
}

fn load(path: &Path) -> Result<Runbook, Problems> {
    runbook::load(path, &BTreeMap::new())
}

fn message(path: &Path) -> String {
    load(path).unwrap_err().list()[0].message.clone()
}

#[test]
fn a_folder_and_its_file_are_the_same_runbook() {
    let folder = folder("file = \"a.sql\"");
    fs::write(folder.path().join("a.sql"), "select 1").unwrap();
    let by_folder = load(folder.path()).unwrap();
    let by_file = load(&folder.path().join("runbook.toml")).unwrap();
    assert_eq!(by_folder.source, by_file.source);
    fs::write(folder.path().join("a.sql"), "select 2").unwrap();
    assert_ne!(load(folder.path()).unwrap().source.digest, by_folder.source.digest);
}

/// A folder of migrations belongs to the digest file by file, and is read back from the copy alone.
#[test]
fn the_files_of_a_folder_belong_to_the_runbook() {
    let folder = folder("migrations = { folder = \"./db/\", tool = \"plain\" }");
    let write = |name: &str, text: &str| fs::write(folder.path().join("db").join(name), text).unwrap();
    fs::create_dir(folder.path().join("db")).unwrap();
    write("1_a.sql", "create table a ()");
    write("README.md", "not read");
    let one = load(folder.path()).unwrap();
    assert_eq!(one.source.files.keys().collect::<Vec<_>>(), ["db/1_a.sql"]);
    write("2_b.sql", "create table b ()");
    let two = load(folder.path()).unwrap();
    assert_ne!(one.source.digest, two.source.digest);
    write("2_b.sql", "create table other ()");
    assert_ne!(load(folder.path()).unwrap().source.digest, two.source.digest);
    let again = runbook::from_source(two.source.clone(), &BTreeMap::new()).unwrap();
    assert_eq!(again.source, two.source);
    let files = |book: &Runbook| match &book.steps().next().unwrap().verb {
        runbook::Verb::Migrations(migrations) => migrations.files.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(files(&again), files(&two));
    assert_eq!(files(&again).len(), 2);
    // A link inside the folder may not lead out of it either.
    symlink("/etc/passwd", folder.path().join("db/3_c.sql")).unwrap();
    assert_eq!(message(folder.path()), "`db/3_c.sql` is a link that leads out of the runbook's folder");
    fs::remove_file(folder.path().join("db/3_c.sql")).unwrap();
    symlink("/etc", folder.path().join("db/more")).unwrap();
    assert_eq!(message(folder.path()), "cannot read `db`: more is a link to a folder");
    fs::remove_file(folder.path().join("db/more")).unwrap();
    write("4_large.sql", &" ".repeat(RUNBOOK_BYTES as usize + 1));
    assert!(message(folder.path()).contains("is larger than 4 MiB"));
}

#[test]
fn links_may_not_leave_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.sql"), "select 1").unwrap();
    let folder = folder("file = \"a.sql\"");
    let link = folder.path().join("a.sql");
    symlink(outside.path().join("secret.sql"), &link).unwrap();
    assert_eq!(message(folder.path()), "`a.sql` is a link that leads out of the runbook's folder");
    fs::remove_file(&link).unwrap();
    fs::write(folder.path().join("b.sql"), "select 1").unwrap();
    symlink(folder.path().join("b.sql"), &link).unwrap();
    load(folder.path()).unwrap();
    fs::remove_file(&link).unwrap();
    symlink("a.sql", &link).unwrap();
    assert!(message(folder.path()).starts_with("cannot read `a.sql`"));
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let folder = folder("file = \"a.sql\"");
    let file = folder.path().join("a.sql");
    fs::write(&file, vec![b' '; RUNBOOK_BYTES as usize + 1]).unwrap();
    assert_eq!(message(folder.path()), "cannot read `a.sql`: it is larger than 4 MiB");
    fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(message(folder.path()), "cannot read `a.sql`: it is not a file");
    }
    assert_eq!(message(Path::new("/nowhere/runbook.toml")), "cannot read the runbook: there is no such file");
    let empty = tempfile::tempdir().unwrap();
    let problems = load(empty.path()).unwrap_err();
    assert_eq!(problems.list()[0].hint, "a runbook's folder holds a runbook.toml");
    assert!(problems.render(true).contains("runbook.toml"));
}

#[test]
fn a_large_runbook_is_read_in_good_time() {
    let mut text = HEAD.to_owned() + "wait = \"1s\"\n";
    for n in 0..3_000 {
        text += &format!(
            "[[phase.step]]\nid = \"s{n}\"\nsql = \"select 1\"\nexpect = \"value == 1 and ms < steps['a'].ms\"\n"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("runbook.toml"), text).unwrap();
    assert_eq!(load(folder.path()).unwrap().steps().count(), 3_001);
}
