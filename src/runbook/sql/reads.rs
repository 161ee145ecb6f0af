//! Whether a script only reads: what a rollback need not take back.

use std::ops::Range;

use super::{Dialect, Kind, mask, split, tokens};

/// Words a reading statement begins with.
const READS: &[&str] = &["select", "with", "show", "values", "table", "explain"];
/// Words that make it write all the same, wherever they stand: `with gone as (delete …)`, `select … into`.
const WRITES: &[&str] = &["insert", "update", "delete", "merge", "into", "analyze"];

/// True where no statement of the script writes, as far as its own words tell: a function it calls may still do so.
/// Templates may stand in it. When in doubt: false.
pub fn only_reads(script: &str) -> bool {
    let text = mask(script);
    let Ok(pieces) = split(&text, Dialect::Postgres) else { return false };
    pieces.iter().all(|piece| {
        let words = tokens(&piece.sql, Dialect::Postgres)
            .into_iter()
            .filter(|token| token.kind == Kind::Word)
            .map(|token| piece.sql[token.start..token.end].to_ascii_lowercase())
            .collect::<Vec<_>>();
        let begins = words.first().is_some_and(|first| READS.contains(&first.as_str()));
        begins && !words.iter().any(|word| WRITES.contains(&word.as_str()))
    })
}

/// Where a script begins with that word (lower-case), blanks and comments before it left out. Templates may stand in it.
pub fn begins_with(script: &str, word: &str) -> Option<Range<usize>> {
    let text = mask(script);
    let first =
        tokens(&text, Dialect::Postgres).into_iter().find(|one| !matches!(one.kind, Kind::Blank | Kind::Comment))?;
    let at = first.start..first.end;
    text.get(at.clone()).is_some_and(|first| first.eq_ignore_ascii_case(word)).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing() {
        for sql in [
            "select 1",
            "(select 1) union (select 2)",
            "with x as (select 1) select * from x",
            "show all",
            "-- c\nselect '; delete'",
        ] {
            assert!(only_reads(sql), "{sql}");
        }
        assert!(!only_reads("select 1; drop table t"));
        assert!(!only_reads("with gone as (delete from t returning *) select count(*) from gone"));
        assert!(!only_reads("select * into u from t"));
        assert!(only_reads("select {{ value }} from {{ table | ident }}"));
        assert!(!only_reads("select 'unended"));
    }

    #[test]
    fn the_first_word_is_found() {
        assert_eq!(begins_with("-- why?\n Explain select 1", "explain"), Some(9..16));
        assert_eq!(begins_with("select explain", "explain"), None);
        assert_eq!(begins_with("'explain'", "explain"), None);
        assert_eq!(begins_with("", "explain"), None);
    }
}
