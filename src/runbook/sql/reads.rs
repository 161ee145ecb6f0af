//! Whether a script only reads: what a rollback need not take back.

use std::ops::Range;

use super::{Dialect, Kind, mask, split, tokens};

/// Words a reading statement begins with.
const READS: &[&str] = &["select", "with", "show", "values", "table", "explain"];
/// Words that make it write all the same, wherever they stand: `with gone as (delete …)`, `select … into`.
const WRITES: &[&str] = &["insert", "update", "delete", "merge", "into", "analyze"];

/// Statements that leave the data as it was.
const HARMLESS: &[&str] =
    &["vacuum", "analyze", "reindex", "refresh", "set", "reset", "cluster", "checkpoint", "select"];

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

/// True where the script leaves the data as it was, and needs no way back: it only reads, or keeps the tables in order.
pub fn leaves_data(text: &str) -> bool {
    let text = mask(text);
    let Ok(pieces) = split(&text, Dialect::Postgres) else { return false };
    pieces.iter().all(|piece| {
        let words: Vec<String> = piece.sql.split_whitespace().map(str::to_lowercase).collect();
        let first = words.first().cloned().unwrap_or_default();
        // EXPLAIN ANALYZE runs what it explains.
        if first == "explain" {
            return !words.iter().any(|word| ["insert", "update", "delete", "merge"].contains(&word.as_str()));
        }
        HARMLESS.contains(&first.as_str()) && (first != "select" || only_reads(&piece.sql))
    })
}

/// True where a statement of the script is one that writes rows, and whose rows a server counts: none is a result, too.
/// Templates may stand in it.
pub fn writes_rows(script: &str) -> bool {
    let text = mask(script);
    let Ok(pieces) = split(&text, Dialect::Postgres) else { return false };
    pieces.iter().any(|piece| {
        let mut depth = 0_u32;
        let mut words = tokens(&piece.sql, Dialect::Postgres).into_iter().filter_map(|token| {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            (token.kind == Kind::Word && depth == 0).then(|| piece.sql[token.start..token.end].to_ascii_lowercase())
        });
        let writes = |word: &String| ["insert", "update", "delete", "merge", "copy"].contains(&word.as_str());
        match words.next() {
            Some(first) if first == "with" => words.any(|word| writes(&word)),
            first => first.is_some_and(|first| writes(&first)),
        }
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
    fn rows_are_written_by_some() {
        for sql in [
            "delete from t",
            "create table t (id int); -- then\nInsert into t values (1)",
            "with a as (select 1) update t set b = 1",
        ] {
            assert!(writes_rows(sql), "{sql}");
        }
        for sql in
            ["create table update (id int)", "select 'delete from t'", "alter table t add delete int", "select 'un"]
        {
            assert!(!writes_rows(sql), "{sql}");
        }
    }

    #[test]
    fn the_first_word_is_found() {
        assert_eq!(begins_with("-- why?\n Explain select 1", "explain"), Some(9..16));
        assert_eq!(begins_with("select explain", "explain"), None);
        assert_eq!(begins_with("'explain'", "explain"), None);
        assert_eq!(begins_with("", "explain"), None);
    }
}
