//! `gonogo init`: what it writes is a runbook that `gonogo check` accepts, whatever lies in the folder of SQL files, and it
//! never writes over anything.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gonogo::runbook::{self, Runbook, Undo, Verb};

fn gonogo(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn load(file: &Path) -> Runbook {
    runbook::load(file, &Default::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_folder_of_sql_becomes_a_window() {
    let folder = tempfile::tempdir().unwrap();
    let sql = folder.path().join("window/sql");
    fs::create_dir_all(&sql).unwrap();
    let files: &[(&str, &str)] = &[
        ("001_add.sql", "alter table a add b int;"),
        ("001_add_down.sql", "alter table a drop b;"),
        ("002 odd \"name\".up.sql", "insert into a values (1);"),
        ("002 odd \"name\".down.sql", "delete from a;"),
        ("003_index.sql", "create index concurrently i on a (b);"),
        ("003_index-down.sql", "drop index concurrently i;"),
        ("004_count.sql", "select count(*) from a;"),
        ("005_copy.sql", "\\copy a from 'a.csv'"),
        ("006_template.sql", "select '{{ x }}';"),
        ("007_lonely_down.sql", "drop table z;"),
        ("008_count_after.sql", "update a set b = 3 where b is null; select count(*) from a;"),
        ("009_own.sql", "begin;\ncreate table c (id int);\ncommit;\n"),
        ("009_own_down.sql", "BEGIN;\ndrop table c;\nCOMMIT;"),
        ("010_two.sql", "begin; delete from a; commit; begin; delete from c; commit;"),
        ("ünï.sql", "update a set b = 1;"),
        ("backup.sql", "update a set b = 2;"),
        ("empty.sql", "-- nothing\n"),
    ];
    for (name, text) in files {
        fs::write(sql.join(name), text).unwrap();
    }
    fs::write(sql.join("latin.sql"), b"select '\xe9';").unwrap();
    let args =
        ["init", "window", "--from", "sql", "--title", "Ä \"quoted\" {{ title }}", "--env", "production", "--yes"];
    let output = gonogo(&args, folder.path());
    assert!(output.status.success(), "{output:?}");
    assert!(gonogo(&["check", "window"], folder.path()).status.success());

    let file = folder.path().join("window/runbook.toml");
    let book = load(&file);
    assert_eq!(book.title, "Ä \"quoted\" {{ title }}");
    assert!(book.environments[0].protected);
    let step = |path: &str| {
        let is =
            |step: &&runbook::Step| matches!(&step.verb, Verb::Sql(script) if script.file.as_deref() == Some(path));
        book.steps().find(is).unwrap_or_else(|| panic!("no step for {path}"))
    };
    let undo = |path: &str| match &step(path).undo {
        Undo::By(undo) => match &undo.verb {
            Verb::Sql(script) => (script.file.clone().unwrap(), script.transaction),
            other => panic!("{other:?}"),
        },
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(undo("sql/001_add.sql"), ("sql/001_add_down.sql".into(), true));
    assert_eq!(undo("sql/002 odd \"name\".up.sql").0, "sql/002 odd \"name\".down.sql");
    assert_eq!(undo("sql/003_index.sql"), ("sql/003_index-down.sql".into(), false));
    assert!(matches!(&step("sql/003_index.sql").verb, Verb::Sql(script) if !script.transaction));
    assert!(matches!(step("sql/ünï.sql").undo, Undo::Unsaid));
    assert_eq!(step("sql/backup.sql").id.0, "backup-2", "the id of a step that is always there is taken");
    // The transaction that a file brings is gonogo's own business.
    let own = book.steps().find(|step| step.id.0 == "009-own").unwrap();
    let Verb::Sql(script) = &own.verb else { panic!("{own:?}") };
    assert_eq!((script.text.trim(), script.transaction), ("create table c (id int);", true));
    let Undo::By(back) = &own.undo else { panic!("{own:?}") };
    assert!(matches!(&back.verb, Verb::Sql(script) if script.text.trim() == "drop table c;" && script.transaction));
    // A query is judged by a person until somebody writes what it must be.
    assert!(step("sql/004_count.sql").expects_nothing && !step("sql/001_add.sql").expects_nothing);
    assert!(step("sql/008_count_after.sql").expects_nothing, "a change that ends with a question asks too");
    let backup = book.steps().find(|step| step.id.0 == "backup").unwrap();
    assert!(matches!(&backup.verb, Verb::Backup(_)) && backup.expect.is_some(), "{backup:?}");
    let asked = |step: &runbook::Step| matches!(&step.verb, Verb::Checklist(items) if items.iter().any(|item| item.ask.contains("004_count")));
    assert!(book.steps().any(asked));

    let text = fs::read_to_string(&file).unwrap();
    let left_out = text.split("# Left out:").nth(1).unwrap();
    for name in ["005_copy", "006_template", "007_lonely_down", "010_two", "empty", "latin"] {
        assert!(left_out.contains(name), "{name}: {left_out}");
    }
    assert!(text.starts_with("#:schema ./runbook.schema.json\n"));
    let schema = folder.path().join("window/runbook.schema.json");
    let validated = Command::new("python3").arg("tests/schema/validate.py").arg(schema).arg(&file).output().unwrap();
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stdout));
}

/// A new draft is clean: what nobody has said yet is answered for by name, with what is to be done.
#[test]
fn a_fresh_draft_leaves_no_open_warning() {
    let folder = tempfile::tempdir().unwrap();
    let sql = folder.path().join("window/sql");
    fs::create_dir_all(&sql).unwrap();
    let files = [
        ("001_add.sql", "set lock_timeout = '2s'; alter table a add column b int;"),
        ("002_fill.sql", "update a set b = 1 where b is null;"),
        ("003_order.sql", "vacuum a;"),
    ];
    files.iter().for_each(|(name, text)| fs::write(sql.join(name), text).unwrap());
    assert!(gonogo(&["init", "window", "--from", "sql", "--yes"], folder.path()).status.success());
    let strict = gonogo(&["check", "window", "--strict"], folder.path());
    assert!(strict.status.success(), "{}", String::from_utf8_lossy(&strict.stdout));
    let book = load(&folder.path().join("window/runbook.toml"));
    let waived: Vec<&str> = book.waivers.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(waived.len(), 2, "{waived:?}");
    assert!(waived[1].starts_with("TODO: nobody has said yet how sql/002_fill.sql is taken back"));
    assert!(
        book.steps().any(|step| step.id.0 == "002-fill" && matches!(step.undo, Undo::Unsaid)),
        "a rollback still asks"
    );
}

#[test]
fn an_empty_folder_will_do_and_a_runbook_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert!(gonogo(&["init", "deep/new", "--yes"], folder.path()).status.success());
    let file = folder.path().join("deep/new/runbook.toml");
    assert_eq!(load(&file).id, "new");
    fs::write(&file, "mine").unwrap();
    let again = gonogo(&["init", "deep/new", "--yes"], folder.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("there already"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

/// Links are followed as the language follows them: what leads out of the folder, or nowhere, is named and left out.
#[test]
fn links_to_sql_are_followed_inside_of_the_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let window = folder.path().join("it's a window");
    let sql = window.join("sql");
    fs::create_dir_all(&sql).unwrap();
    fs::create_dir(window.join("shared")).unwrap();
    fs::write(window.join("shared/real.sql"), "update a set b = 1 where c;").unwrap();
    fs::write(folder.path().join("outside.sql"), "update a set b = 2 where c;").unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, sql.join(name)).unwrap();
    link("../shared/real.sql", "1_inside.sql");
    link("../../outside.sql", "2_outside.sql");
    link("../gone.sql", "3_nowhere.sql");
    link("../shared", "4_folder.sql");
    link("5_circle.sql", "5_circle.sql");
    let output = gonogo(&["init", "it's a window", "--from", "sql", "--yes"], folder.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let book = load(&window.join("runbook.toml"));
    let files: Vec<String> = book.source.files.keys().cloned().collect();
    assert_eq!(files, ["sql/1_inside.sql"]);
    let text = fs::read_to_string(window.join("runbook.toml")).unwrap();
    let left_out = text.split("# Left out:").nth(1).unwrap();
    for words in [
        "sql/2_outside.sql: a link that leads out of the runbook's folder",
        "sql/3_nowhere.sql: a link that leads nowhere",
        "sql/4_folder.sql: a link to what is no file",
        "sql/5_circle.sql: a link that leads nowhere",
    ] {
        assert!(left_out.contains(words), "{words}: {left_out}");
    }
    // What comes next can be typed as it is said.
    let next = said.lines().find_map(|line| line.strip_prefix("next: read it, then ")).unwrap();
    let first = next.split(" and gonogo ").next().unwrap().replacen("gonogo", env!("CARGO_BIN_EXE_gonogo"), 1);
    let ran = Command::new("sh").args(["-c", &first]).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{first}: {ran:?}");
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("outside")).unwrap();
    for (args, words) in [
        (vec!["init", "w"], "no terminal"),
        (vec!["init", "w", "--yes", "--id", "Not An Id"], "ids are"),
        (vec!["init", "w", "--yes", "--url-env", "postgres://u:p@h/d"], "environment variable"),
        (vec!["init", "w", "--yes", "--lasts", "a while"], "90m"),
        (
            vec!["init", "w", "--yes", "--from", "outside"],
            "not inside w: a runbook's files lie beside it or below it; type: mkdir -p w && cp -r outside w/outside && \
             gonogo init w --from outside",
        ),
    ] {
        let output = gonogo(&args, folder.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{said}");
        assert!(!folder.path().join("w/runbook.toml").exists());
    }
}

#[test]
fn on_a_terminal_it_asks_and_asks_again() {
    let folder = tempfile::tempdir().unwrap();
    let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_gonogo"));
    command.args(["init", "asked"]);
    command.cwd(folder.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut writer = pty.master.take_writer().unwrap();
    // Title, id (first one that is none), environment, variable, length, folder: typed ahead, read line by line.
    writer.write_all(b"Move the shop\nNo Id\nshop-move\nproduction\n\n3h\n\n").unwrap();
    let mut said = Vec::new();
    // On Linux the end of a terminal whose other side closed is an error.
    let _ = reader.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("ids are at most"), "{said}");
    let book = load(&folder.path().join("asked/runbook.toml"));
    assert_eq!((book.id.as_str(), book.title.as_str()), ("shop-move", "Move the shop"));
    assert!(book.environments[0].protected);
    assert_eq!(book.window.lasts.unwrap().as_secs(), 3 * 3600);
}

#[test]
fn no_sql_is_left_out_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let sql = folder.path().join("window/sql");
    fs::create_dir_all(sql.join("sub/deep")).unwrap();
    for (name, text) in [
        ("001_ADD.SQL", "alter table a add b int;"),
        ("001_ADD_down.SQL", "alter table a drop b;"),
        ("sub/x.sql", "select 1;"),
        ("sub/deep/Y.SQL", "select 1;"),
    ] {
        fs::write(sql.join(name), text).unwrap();
    }
    assert!(gonogo(&["init", "window", "--from", "sql", "--yes"], folder.path()).status.success());
    let book = load(&folder.path().join("window/runbook.toml"));
    let step = book.steps().find(|step| step.id.0 == "001-add").unwrap();
    assert!(matches!(&step.verb, Verb::Sql(script) if script.file.as_deref() == Some("sql/001_ADD.SQL")));
    assert!(matches!(&step.undo, Undo::By(_)), "{:?}", step.undo);
    let text = fs::read_to_string(folder.path().join("window/runbook.toml")).unwrap();
    let left = text.split_once("# Left out:").unwrap().1;
    assert!(left.contains("sql/sub/x.sql: in a folder below") && left.contains("sql/sub/deep/Y.SQL"), "{left}");
}
