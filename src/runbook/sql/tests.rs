//! Splitting and judging SQL.

use proptest::prelude::*;

use super::*;

fn pieces(text: &str, dialect: Dialect) -> Vec<(String, u32)> {
    let pieces = split(text, dialect).unwrap();
    for piece in &pieces {
        assert_eq!(&text[piece.offset..piece.offset + piece.sql.len()], piece.sql);
    }
    pieces.into_iter().map(|piece| (piece.sql, piece.line)).collect()
}

fn one(text: &str, dialect: Dialect) {
    assert_eq!(pieces(text, dialect).len(), 1, "{text}");
}

use Dialect::{Postgres, Sqlite};

#[test]
fn statements_end_at_semicolons_and_nowhere_else() {
    for dialect in [Postgres, Sqlite] {
        let all = pieces(
            "-- first\n\nselect 1; ;;\n/* ; */ select ';' , \"a;b\" -- ; x\n;\n  update t\n set a = 1 ",
            dialect,
        );
        let expected = [("select 1", 3), ("select ';' , \"a;b\"", 4), ("update t\n set a = 1", 6)];
        assert_eq!(all, expected.map(|(sql, line)| (sql.to_owned(), line)));
        assert!(pieces(" -- nothing\n;;", dialect).is_empty());
        one("select 'it''s; one'", dialect);
    }
}

#[test]
fn postgres_bodies_stay_whole() {
    one("create function f() returns trigger language plpgsql as $$ begin a; b; end; $$", Postgres);
    one("do $x$ begin perform $$;$$; end $x$", Postgres);
    one(
        "create function f() returns int begin atomic select 1; select case when true then 1 else 2 end; end",
        Postgres,
    );
    one("create or replace procedure p() begin atomic insert into t values (1); end", Postgres);
    one("create rule r as on insert to t do also (delete from a; delete from b)", Postgres);
    one("select E'a\\';b', U&'x;', B'0', $1", Postgres);
    one("select /* a /* ; */ ; */ 1", Postgres);
    let two = pieces("create function f() returns int begin atomic select 1; end; select 2", Postgres);
    assert_eq!(two[1], ("select 2".to_owned(), 1));
    let case = pieces("select case when 1 = 1 then 2 end; select 3", Postgres);
    assert_eq!(case.len(), 2);
}

#[test]
fn sqlite_triggers_stay_whole() {
    let text = "create trigger x after insert on t begin\n update t set a = case when 1 then 2 end;\n delete from u;\nend;\nselect [a;b], `c;d`";
    let all = pieces(text, Sqlite);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1], ("select [a;b], `c;d`".to_owned(), 5));
    one("create temp trigger x after insert on t begin select 1; end", Sqlite);
    assert_eq!(pieces("create table trigger_log (a); select 1", Sqlite).len(), 2);
}

#[test]
fn what_never_ends_is_said() {
    assert_eq!(split("select 1;\nselect 'a", Postgres).unwrap_err().line, 2);
    assert_eq!(split("/* a", Sqlite).unwrap_err().message, "a comment that starts here never ends");
    assert!(split("do $a$ x $b$", Postgres).is_err());
}

#[test]
fn transactions_are_guarded() {
    let bad = |text: &str, dialect| judge(text, dialect, true).len();
    for text in [
        "begin",
        "start transaction",
        "commit",
        "end work",
        "rollback",
        "abort",
        "commit and chain",
        "prepare transaction 'x'",
        "create unique index concurrently i on t (a)",
        "drop index concurrently i",
        "reindex (concurrently) table t",
        "reindex table concurrently t",
        "vacuum (full, analyze) t",
        "create database x",
        "drop database if exists x",
        "alter system set a = 1",
        "alter table t detach partition p concurrently",
        "cluster",
        "copy t from stdin",
        "copy t (a, b) to stdout with csv",
        "\\i x.sql",
        "select 1 \\gset",
    ] {
        assert_eq!(bad(text, Postgres), 1, "{text}");
    }
    for text in [
        "rollback to savepoint a",
        "savepoint a",
        "release a",
        "create index i on t (a)",
        "copy t from '/x'",
        "refresh materialized view concurrently v",
        "analyze t",
        "select 'begin'",
        "cluster t using i",
        "create table concurrently_made (a int)",
        "select E'\\n'",
        "-- \\d\nselect 1",
    ] {
        assert_eq!(bad(text, Postgres), 0, "{text}");
    }
    for text in ["begin immediate", "commit", "rollback", "vacuum", "end transaction"] {
        assert_eq!(bad(text, Sqlite), 1, "{text}");
    }
    assert_eq!(bad("rollback to a", Sqlite), 0);
    // A statement that runs by itself begins nothing, and ends only what another session prepared.
    for dialect in [Postgres, Sqlite] {
        assert_eq!(judge("begin; update t set a = 1; commit", dialect, false).len(), 2);
    }
    assert_eq!(judge("commit prepared 'x'; rollback prepared 'y'", Postgres, false), []);
    assert_eq!(judge("vacuum; create index concurrently i on t (a)", Postgres, false), []);
}

#[test]
fn masks_keep_every_byte_in_its_place() {
    let text = "select {{ a }}, '{{ b }}' -- {# ü #}\n{% if x %}{{\n}}";
    let masked = mask(text);
    assert_eq!(masked.len(), text.len());
    assert_eq!(masked.lines().count(), text.lines().count());
    assert!(masked.starts_with("select x      , 'x      ' -- "));
    assert_eq!(mask("{{ '}}' }}{{ b }} {{- c -}} ;"), "x         x       x         ;");
    assert_eq!(mask("{% raw %}'{{1,2}}'{% endraw %};"), "         '{{1,2}}'            ;");
    assert_eq!(mask("{{ open"), "x      ");
    assert_eq!(mask("{{ 'open"), "{{ 'open");
}

#[test]
fn values_in_quotes_are_found() {
    let text = "select '{{ a }}', {{ b }}, $$ {{ c }} $$ -- {{ d }}";
    let at = |name: &str| text.find(&format!(" {name} ")).unwrap() + 1;
    let all = [at("a"), at("b"), at("c"), at("d")];
    assert_eq!(quoted(text, &all, Postgres), [at("a")]);
}

proptest! {
    #[test]
    fn anything_splits_or_is_refused(text in "[a-z;'\"$/*()\\\\\\[\\]`{}%# \n-]{0,80}|\\PC{0,80}") {
        for dialect in [Postgres, Sqlite] {
            if let Ok(pieces) = split(&text, dialect) {
                for piece in pieces {
                    prop_assert_eq!(&text[piece.offset..piece.offset + piece.sql.len()], &piece.sql);
                    prop_assert!(!piece.sql.trim().is_empty());
                }
            }
            let masked = mask(&text);
            prop_assert_eq!(masked.len(), text.len());
            for finding in judge(&masked, dialect, true) {
                prop_assert!(masked.get(finding.at).is_some());
            }
        }
    }
}
