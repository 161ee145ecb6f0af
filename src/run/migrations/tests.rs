//! Plans from rows and files, and the keys by which tools keep each other away.

use super::*;

fn order(tool: Tool, versions: &[&str]) -> MigrationOrder {
    let file = |version: &&str| OrderedFile {
        version: (*version).to_owned(),
        name: "words".to_owned(),
        script: format!("{version}.sql"),
        checksum: Some("c0ffee".to_owned()),
        sha256: String::new(),
        repeatable: version.starts_with("R__"),
        transaction: true,
        down: Some(("down.sql".to_owned(), true)),
        verify: None,
        planned: None,
    };
    MigrationOrder {
        folder: "migrations".to_owned(),
        tool,
        way: Way::Up,
        table: None,
        to: None,
        expect_pending: None,
        files: versions.iter().map(file).collect(),
        since: None,
        committer: None,
    }
}

fn row(version: &str, state: State) -> Row {
    Row { version: version.to_owned(), checksum: Some("C0FFEE".to_owned()), state, name: None }
}

fn turns(order: &MigrationOrder, rows: &[Row]) -> Vec<String> {
    let plan = plan(order, rows).unwrap();
    plan.turns.into_iter().map(|n| order.files[n].version.clone()).collect()
}

#[test]
fn what_is_pending() {
    let all = order(Tool::Plain, &["1", "2", "3"]);
    assert_eq!(turns(&all, &[]), ["1", "2", "3"]);
    assert_eq!(turns(&all, &[row("1", State::Done)]), ["2", "3"]);
    let some = MigrationOrder { to: Some("2".to_owned()), ..all.clone() };
    assert_eq!(turns(&some, &[row("1", State::Done)]), ["2"]);
    let done = [row("1", State::Done), row("2", State::Done), row("3", State::Done)];
    assert_eq!(turns(&all, &done), [""; 0]);
    assert_eq!(turns(&some, &done), [""; 0]);
}

#[test]
fn golangs_one_row_speaks_for_all_before_it() {
    let all = order(Tool::GolangMigrate, &["1", "2", "10"]);
    assert_eq!(turns(&all, &[row("2", State::Done)]), ["10"]);
    assert!(plan(&all, &[row("2", State::Started)]).unwrap_err().what.contains("dirty"));
    assert!(plan(&all, &[row("3", State::Done)]).unwrap_err().what.contains("no such file"));
    assert_eq!(turns(&all, &[row("-1", State::Done)]), ["1", "2", "10"]);
}

#[test]
fn flyways_baseline_and_what_was_undone() {
    let all = order(Tool::Flyway, &["1", "1.1", "2", "R__view"]);
    let baseline = [row("1.1", State::Baseline), row("R__view", State::Done)];
    let same = |mut rows: Vec<Row>| {
        rows.iter_mut().for_each(|row| row.checksum = Some("c0ffee".to_owned()));
        rows
    };
    assert_eq!(turns(&all, &same(baseline.to_vec())), ["2"]);
    let undone = same(vec![row("1", State::Done), row("1.1", State::Done), row("1.1", State::Gone)]);
    assert_eq!(turns(&all, &undone), ["1.1", "2", "R__view"]);
}

/// What Flyway undid, or was told to forget (`flyway repair`), needs no file any more; what it applied anew is the file as
/// it is now.
#[test]
fn what_is_gone_is_not_missed() {
    let all = order(Tool::Flyway, &["1", "3"]);
    let gone = [row("1", State::Done), row("2", State::Done), row("2", State::Gone)];
    assert_eq!(turns(&all, &gone), ["3"]);
    let again = [&gone[..], &[row("2", State::Done)]].concat();
    assert!(plan(&all, &again).unwrap_err().what.starts_with("2 is applied"));
    let old = Row { checksum: Some("0".to_owned()), ..row("1", State::Done) };
    let changed = [old.clone(), row("1", State::Gone), row("1", State::Done)];
    assert_eq!(turns(&all, &changed), ["3"]);
    assert!(plan(&all, &[old]).unwrap_err().what.contains("was changed since it was applied"));
}

/// A failed try that was marked rolled back, then one that came to its end; and one that is still open.
#[test]
fn prismas_tries() {
    let all = order(Tool::Prisma, &["1_a", "2_b"]);
    let tried = [row("1_a", State::Gone), row("1_a", State::Done)];
    assert_eq!(turns(&all, &tried), ["2_b"]);
    assert_eq!(turns(&all, &[row("1_a", State::Gone)]), ["1_a", "2_b"]);
    let open = [row("1_a", State::Gone), row("1_a", State::Started)];
    assert!(plan(&all, &open).unwrap_err().hint.contains("--rolled-back 1_a"));
}

#[test]
fn back_only_what_the_step_applied_last_first() {
    let down = MigrationOrder {
        way: Way::Down,
        since: Some(vec!["2".to_owned(), "3".to_owned()]),
        ..order(Tool::Sqlx, &["1", "2", "3", "4"])
    };
    let done = |versions: &[&str]| versions.iter().map(|version| row(version, State::Done)).collect::<Vec<_>>();
    assert_eq!(turns(&down, &done(&["1", "2", "3"])), ["3", "2"]);
    assert_eq!(turns(&down, &done(&["1", "2"])), ["2"], "the step never came to its last file");
    assert_eq!(turns(&down, &done(&["1"])), [""; 0]);
    assert!(plan(&down, &done(&["1", "2", "3", "4"])).unwrap_err().what.contains("by somebody else"));
    let never = MigrationOrder { since: None, ..down.clone() };
    assert_eq!(turns(&never, &done(&["1", "2", "3"])), [""; 0]);
    let mut stuck = down.clone();
    stuck.files[1].down = None;
    assert!(plan(&stuck, &done(&["1", "2", "3"])).unwrap_err().what.contains("leads down from 2.sql"));
}

/// Known keys: of sqlx for a database `postgres`, of golang-migrate the documented example, of Prisma as documented.
#[test]
fn keys_of_locks() {
    let keys = |tool, database: &str| Book::new(&order(tool, &["1"]), Dialect::Postgres).locks(database, "public");
    let crc = i64::from(crate::runbook::migrations::crc32([b"postgres".as_slice()]));
    assert_eq!(keys(Tool::Sqlx, "postgres"), [0x3d32_ad9e * crc]);
    assert_eq!(keys(Tool::Prisma, "x"), [72_707_369]);
    let named = MigrationOrder { table: Some("schema_name_2".to_owned()), ..order(Tool::GolangMigrate, &["1"]) };
    let golang = Book::new(&named, Dialect::Postgres).locks("database_name", "schema_name_1");
    assert!(golang.len() == 2 && golang[0] == 3_743_845_847, "{golang:?}");
    assert_ne!(keys(Tool::Plain, "x"), keys(Tool::Dbmate, "x"), "they have other tables");
}

/// Words that want to leave their quotes stay in them.
#[test]
fn hostile_names() {
    let mut hostile = order(Tool::Plain, &["1"]);
    hostile.files[0].name = r"a'; drop table x; -- \' b".to_owned();
    let sql = Book::new(&hostile, Dialect::Postgres).record(&hostile.files[0]).remove(0);
    let pieces = crate::runbook::sql::split(&sql, Dialect::Postgres).unwrap();
    assert_eq!(pieces.len(), 1, "{sql}");
    assert!(sql.contains(r"E'a''; drop table x; -- \\'' b'"), "{sql}");
    let sql = Book::new(&hostile, Dialect::Sqlite).record(&hostile.files[0]).remove(0);
    assert!(sql.contains(r"'a''; drop table x; -- \'' b'"), "{sql}");
}
