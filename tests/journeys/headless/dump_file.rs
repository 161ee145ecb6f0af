//! Backups and restores of SQLite: a copy of the file, and its content back in the file's own transaction.

use std::path::Path;

use gonogo::run::{Facts, Outcome};
use support::headless::{Desk, Ran};

use super::book;
use super::story::{entries, outcome};

const RUN: [&str; 4] = ["run", "runbook.toml", "--headless", "--yes"];

const BEFORE: &[&str] = &[
    "create table users (id integer primary key autoincrement, name text not null unique, up text generated always as (upper(name)))",
    "create table orders (id int, user_id int references users (id), amount real check (amount >= 0), blob_ blob) strict",
    "create table pairs (a text, b text, primary key (a, b)) without rowid",
    "create table \"odd \"\" name\" (\"select\" text)",
    "create table counted (n int)",
    "create index orders_by_user on orders (user_id) where user_id > 1",
    "create view rich as select name, sum(amount) as amount from users join orders on user_id = users.id group by 1",
    "create trigger counts after insert on orders begin insert into counted values (new.id); end",
    "insert into users (name) values ('ada'), ('bo'), ('gone')",
    "delete from users where name = 'gone'",
    "insert into orders values (1, 1, 2.5, x'00ff'), (2, 2, 3, null)",
    "insert into pairs values ('x', 'y'), ('x', 'z')",
    "insert into \"odd \"\" name\" values ('ü'), (null)",
    "pragma user_version = 7",
];

/// What a migration that goes wrong leaves.
const AFTER: &str = "drop view rich; drop table pairs; create table teams (id integer primary key autoincrement); \
    insert into teams default values; alter table users add column mail text; delete from orders; drop index orders_by_user; \
    insert into users (name) values ('later'); create table pairs (a int); pragma user_version = 8";

fn sqlite(path: &Path, statements: &[&str]) -> String {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nfor s in sys.argv[2:]:\n    for r in c.execute(s): print(r)\nc.commit()\n";
    let output =
        std::process::Command::new("python3").args(["-c", script]).arg(path).args(statements).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything the file holds, in words.
fn state(path: &Path) -> String {
    let mut asked = vec![
        "select type, name, tbl_name, sql from sqlite_schema where name not like 'gonogo%' and tbl_name not like 'gonogo%' order by 1, 2",
        "select * from sqlite_sequence order by 1",
        "pragma user_version",
        "select * from users order by 1",
        "select * from orders order by 1",
        "select * from pairs order by 1",
        "select * from counted order by 1",
    ];
    let odd = "select * from \"odd \"\" name\" order by 1";
    asked.push(odd);
    sqlite(path, &asked)
}

fn desk() -> Desk {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    sqlite(&desk.path("my.db"), BEFORE);
    desk
}

fn go(desk: &Desk, steps: &str) -> Ran {
    let text = book(steps).replace(
        "url = \"env:DB\", lock_timeout = \"20s\", statement_timeout = \"10m\"",
        "url = \"sqlite:my.db\", lock_timeout = \"300ms\"",
    );
    desk.write("runbook.toml", &text);
    desk.run(&RUN)
}

const BACKUP: &str = "[[phase.step]]\nid = \"backup\"\nbackup = \"b/copy.db\"\nexpect = \"value == 10\"\n";

fn migration(undo: &str) -> String {
    format!("[[phase.step]]\nid = \"migrate\"\nsql = \"\"\"{AFTER}\"\"\"\n{undo}\n")
}

async fn facts(desk: &Desk, step: &str) -> Facts {
    match outcome(&entries(&desk.run_dir()).await, step) {
        Outcome::Done { facts, .. } => *facts,
        other => panic!("{step}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back() {
    for ledger in ["", "ledger = \"create\", "] {
        let desk = desk();
        let before = state(&desk.path("my.db"));
        let undo = "undo = { restore = \"b/copy.db\", loses = \"every write since the backup\" }";
        let no = "[[phase.step]]\nid = \"no\"\nsql = \"select 1\"\nexpect = \"value == 2\"\non_fail = \"rollback\"\n";
        let text = format!("{BACKUP}{}{no}", migration(undo)).replace("value == 10", "value == 10 and rows == 5");
        let book = book(&text).replace(
            "url = \"env:DB\", lock_timeout = \"20s\", statement_timeout = \"10m\"",
            &format!("{ledger}url = \"sqlite:my.db\", lock_timeout = \"300ms\""),
        );
        desk.write("runbook.toml", &book);
        desk.run(&RUN).exits(5).says("every table has the rows of the backup");
        assert_eq!(state(&desk.path("my.db")), before, "{ledger}");
        assert!(sqlite(&desk.path("my.db"), &["pragma integrity_check"]).contains("ok"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_somebody_else_made_brings_what_it_holds() {
    let desk = desk();
    let before = state(&desk.path("my.db"));
    std::fs::copy(desk.path("my.db"), desk.path("other.db")).unwrap();
    for sql in AFTER.split(';') {
        sqlite(&desk.path("my.db"), &[sql]);
    }
    go(&desk, "[[phase.step]]\nid = \"restore\"\nrestore = \"other.db\"\nexpect = \"value == 10 and rows == 5\"\n")
        .exits(0);
    assert_eq!(state(&desk.path("my.db")), before);
    assert_eq!(facts(&desk, "restore").await.table[1]["name"], "odd \" name");
}

/// The file is as it was, whatever fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_the_file_alone() {
    let restore = "[[phase.step]]\nid = \"restore\"\nrestore = \"b/copy.db\"\n";
    // Somebody changes the copy of the run.
    let desk = desk();
    let spoil = "[[phase.step]]\nid = \"spoil\"\nrun = [\"python3\", \"-c\", \"f = open('b/copy.db', 'r+b'); f.seek(4096); f.write(b'x' * 4096)\"]\n";
    let ran = go(&desk, &format!("{BACKUP}{spoil}{restore}")).exits(4);
    assert!(ran.out.contains("is not the archive that backup has made"), "{}", ran.out);
    // One that no step of the run made is read whole.
    std::fs::remove_dir_all(desk.journal()).unwrap();
    let before = state(&desk.path("my.db"));
    let ran = go(&desk, restore).exits(4);
    assert!(ran.out.contains("the copy is damaged") || ran.out.contains("malformed"), "{}", ran.out);
    assert_eq!(state(&desk.path("my.db")), before);
    // It is no database at all, or not there.
    for (file, words) in [("runbook.toml", "not a database"), ("nowhere.db", "nowhere.db")] {
        std::fs::remove_dir_all(desk.journal()).unwrap();
        let ran = go(&desk, &restore.replace("b/copy.db", file)).exits(4);
        assert!(ran.out.contains(words), "{file}: {}", ran.out);
        assert_eq!(state(&desk.path("my.db")), before);
    }
    // Virtual tables are named.
    std::fs::remove_dir_all(desk.journal()).unwrap();
    sqlite(&desk.path("fts.db"), &["create virtual table words using fts5 (text)"]);
    let ran = go(&desk, &restore.replace("b/copy.db", "fts.db")).exits(4);
    assert!(ran.out.contains("virtual tables cannot be restored in one transaction: words"), "{}", ran.out);
    assert_eq!(state(&desk.path("my.db")), before);
}

/// A reader that does not go away keeps the COMMIT out: it is told so, and nothing is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_way() {
    let desk = desk();
    let before = state(&desk.path("my.db"));
    std::fs::copy(desk.path("my.db"), desk.path("other.db")).unwrap();
    sqlite(&desk.path("other.db"), &["delete from orders"]);
    let script = "import sqlite3, sys\nc = sqlite3.connect('my.db')\nc.execute('begin'); c.execute('select * from users').fetchone()\nprint('reads', flush=True)\nsys.stdin.read()";
    let mut reader = std::process::Command::new("python3")
        .args(["-c", script])
        .current_dir(desk.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader.stdout.take().unwrap()), &mut line).unwrap();
    let restore = "[[phase.step]]\nid = \"restore\"\nrestore = \"other.db\"\n";
    let ran = go(&desk, restore).exits(4);
    assert!(ran.out.contains("database is locked") && ran.out.contains("nothing was committed"), "{}", ran.out);
    drop(reader.stdin.take());
    reader.wait().unwrap();
    assert_eq!(state(&desk.path("my.db")), before);
    desk.run(&["resume", "last", "--headless", "--yes", "--retry"]).exits(0);
    assert_ne!(state(&desk.path("my.db")), before);
}
