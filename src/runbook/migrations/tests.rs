//! What is made of folders and names.

use super::*;
use crate::runbook::sql::Dialect;

fn file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), path: format!("migrations/{name}"), text: text.to_owned() }
}

fn versions(tool: Tool, names: &[&str]) -> Vec<String> {
    let text = if tool == Tool::Dbmate { "-- migrate:up\nselect 1;\n" } else { "select 1;" };
    let files: Vec<File> = names.iter().map(|name| file(name, text)).collect();
    read(tool, &files).unwrap().into_iter().map(|one| one.version).collect()
}

fn sent(part: &Part) -> Vec<(String, u32)> {
    part.statements(Dialect::Postgres).unwrap().into_iter().map(|piece| (piece.sql, piece.line)).collect()
}

#[test]
fn the_check_value_of_the_polynomial() {
    assert_eq!(crc32([b"123456789".as_slice()]), 0xcbf4_3926);
    assert_eq!(crc32([b"1234".as_slice(), b"", b"56789"]), 0xcbf4_3926);
    assert_eq!(crc32([]), 0);
}

/// Line ends, and a mark of the encoding, do not count; a minus is a minus.
#[test]
fn flyways_checksum() {
    let one = sum::of_lines("123456789");
    assert_eq!(one, 0xcbf4_3926_u32.cast_signed());
    for text in ["12345\n6789", "12345\r\n6789\r\n", "12345\r6789\n", "\u{feff}123456789\n"] {
        assert_eq!(sum::of_lines(text), one, "{text:?}");
    }
}

#[test]
fn numbers_are_compared_as_numbers_and_names_as_names() {
    assert_eq!(versions(Tool::Sqlx, &["10_b.sql", "9_a.sql", "0011_c.sql", "README.sql"]), ["9", "10", "11"]);
    assert_eq!(versions(Tool::GolangMigrate, &["10_b.up.sql", "9_a.up.sql", "9_a.down.sql"]), ["9", "10"]);
    assert_eq!(
        versions(
            Tool::Flyway,
            &["R__z.sql", "V10__c.sql", "V2__b.sql", "V1_10__a.sql", "V1.9__a.sql", "sub/V3__d.sql"]
        ),
        ["1.9", "1.10", "2", "3", "10", "R__z"]
    );
    assert_eq!(
        versions(Tool::Dbmate, &["10_b.sql", "9_a.sql"]),
        ["10", "9"],
        "by the names of the files, as dbmate does"
    );
    assert_eq!(versions(Tool::Prisma, &["2_b/migration.sql", "1_a/migration.sql", "1_a/other.sql"]), ["1_a", "2_b"]);
}

#[test]
fn the_same_version_twice() {
    for (tool, names) in [
        (Tool::Sqlx, ["1_a.sql", "01_b.sql"]),
        (Tool::Plain, ["1_a.sql", "1_b.up.sql"]),
        (Tool::Flyway, ["V1__a.sql", "V1_0__b.sql"]),
    ] {
        let files = names.map(|name| file(name, "select 1;"));
        let flaws = read(tool, &files).unwrap_err();
        assert!(flaws.len() == 1 && flaws[0].message.contains("have the same version"), "{flaws:?}");
    }
}

#[test]
fn whose_layout_it_is() {
    let guessed = |files: &[File]| guess(files);
    assert_eq!(guessed(&[file("1_a/migration.sql", "")]), Ok(Tool::Prisma));
    assert_eq!(guessed(&[file("V1__a.sql", "")]), Ok(Tool::Flyway));
    assert_eq!(guessed(&[file("1_a.sql", "-- words\n--  migrate:up  transaction:false\n")]), Ok(Tool::Dbmate));
    assert!(guessed(&[file("1_a.sql", "-- migrate:upwards\n")]).unwrap_err().message.contains("sqlx or plain"));
    assert!(guessed(&[file("1_a.up.sql", "")]).unwrap_err().message.contains("golang-migrate"));
    assert_eq!(guessed(&[file("sqitch.plan", "")]), Ok(Tool::Sqitch));
    assert!(guessed(&[]).unwrap_err().message.contains("no migration"));
}

/// Each way at its own lines of the file.
#[test]
fn both_ways_of_dbmate() {
    let text = "-- größe\n-- migrate:up\ncreate table a (x int);\n-- migrate:down transaction:false\ndrop table a;\n";
    let all = read(Tool::Dbmate, &[file("1_a.sql", text)]).unwrap();
    let (up, down) = (&all[0].up, all[0].down.as_ref().unwrap());
    assert_eq!((sent(up), up.transaction), (vec![("create table a (x int)".to_owned(), 3)], true));
    assert_eq!((sent(down), down.transaction), (vec![("drop table a".to_owned(), 5)], false));
    assert_eq!((all[0].version.as_str(), all[0].name.as_str(), all[0].checksum.as_ref()), ("1", "a", None));
}

/// A transaction that the file brings is the one that its row is written in.
#[test]
fn a_files_own_transaction() {
    let own = "BEGIN;\ncreate table a (x int);\nEND;\n";
    assert_eq!(sent(&Part::new("a.sql", own, true)), [("create table a (x int)".to_owned(), 2)]);
    assert_eq!(Part::new("a.sql", own, true).judge(Dialect::Postgres), []);
    // Two of them are not.
    let two = "begin; select 1; commit; begin; select 2; commit;";
    assert!(!Part::new("a.sql", two, true).judge(Dialect::Postgres).is_empty());
    assert_eq!(Part::new("a.sql", "-- nothing\n", true).judge(Dialect::Postgres), []);
}

#[test]
fn what_runs_by_itself() {
    let alone = |text: &str| !Part::guessed("a.sql", text).transaction;
    assert!(alone("create index concurrently i on t (x);"));
    assert!(!alone("create index i on t (x);") && !alone("") && !alone("vacuum; select 1;"));
    let all = read(
        Tool::Sqlx,
        &[file("1_a.sql", "-- no-transaction\nvacuum;"), file("2_b.sql", "--no-transaction\nselect 1;")],
    );
    let ways: Vec<bool> = all.unwrap().iter().map(|one| one.up.transaction).collect();
    assert_eq!(ways, [false, true], "the very words, at the very start");
    let conf = file("V1__a.sql.conf", "# words\nexecuteInTransaction = false\n");
    let all = read(Tool::Flyway, &[file("V1__a.sql", "select 1;"), conf]).unwrap();
    assert!(!all[0].up.transaction);
}
