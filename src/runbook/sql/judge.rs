//! What a step's SQL may not hold: what only psql understands, and what cannot stand in a transaction.

use std::ops::Range;

use super::{Dialect, Kind, Piece, Token, split, tokens};

/// Something a script may not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Bytes of the script.
    pub at: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// Everything that is wrong with a script for that kind of server. `transaction`: it runs in one transaction.
pub fn judge(text: &str, dialect: Dialect, transaction: bool) -> Vec<Finding> {
    if dialect == Dialect::Postgres
        && let Some(finding) = meta_command(text)
    {
        return vec![finding];
    }
    let pieces = match split(text, dialect) {
        Ok(pieces) => pieces,
        Err(problem) => {
            return vec![Finding {
                at: problem.offset..line_end(text, problem.offset),
                message: problem.message,
                hint: "close it; the rest of the script is swallowed by it".into(),
            }];
        }
    };
    if pieces.is_empty() {
        return vec![Finding {
            at: 0..text.len(),
            message: "there is no SQL statement in it".into(),
            hint: "write a statement, or leave the step out".into(),
        }];
    }
    pieces.iter().filter_map(|piece| piece_finding(piece, dialect, transaction)).collect()
}

/// The statement in words, where it is one that cannot run in a transaction.
pub fn outside_only(statement: &str, dialect: Dialect) -> Option<&'static str> {
    let words = Words::of(statement, dialect);
    match dialect {
        Dialect::Postgres => never_inside(&words),
        Dialect::Sqlite => words.is(0, "vacuum").then_some("VACUUM"),
    }
}

fn piece_finding(piece: &Piece, dialect: Dialect, transaction: bool) -> Option<Finding> {
    let words = Words::of(&piece.sql, dialect);
    let first = words.0.first().map_or(0, |word| word.1);
    let (message, hint) = match dialect {
        Dialect::Postgres => postgres(&words, transaction)?,
        Dialect::Sqlite => sqlite(&words, transaction)?,
    };
    Some(Finding { at: piece.offset..piece.offset + first.max(1), message, hint })
}

/// The words of a statement outside of strings and parentheses, lower-case, with the byte at which each ends.
struct Words(Vec<(String, usize)>);

impl Words {
    fn of(sql: &str, dialect: Dialect) -> Self {
        let mut depth = 0_u32;
        let mut words = Vec::new();
        for Token { kind, start, end, .. } in tokens(sql, dialect) {
            match kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Word if depth == 0 => words.push((sql[start..end].to_ascii_lowercase(), end)),
                // What stands in the parentheses of REINDEX and VACUUM are words like any others.
                Kind::Word if depth == 1 && words.len() == 1 => words.push((sql[start..end].to_ascii_lowercase(), end)),
                _ => {}
            }
        }
        Self(words)
    }

    fn is(&self, n: usize, word: &str) -> bool {
        self.0.get(n).is_some_and(|known| known.0 == word)
    }

    fn starts(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is(n, word))
    }

    /// True where `words` stand next to each other.
    fn holds(&self, words: &[&str]) -> bool {
        let fits = |window: &[(String, usize)]| window.iter().zip(words).all(|(known, word)| known.0 == *word);
        self.0.windows(words.len()).any(fits)
    }
}

fn postgres(words: &Words, transaction: bool) -> Option<(String, String)> {
    if words.is(0, "copy") && (words.holds(&["from", "stdin"]) || words.holds(&["to", "stdout"])) {
        return Some((
            "COPY from STDIN or to STDOUT has nobody at the other end".into(),
            "use a `run` step with psql, or a file on the server".into(),
        ));
    }
    if let Some(word) = transaction_word(words)
        && (transaction || !words.is(1, "prepared"))
    {
        return Some(control(word, transaction));
    }
    if !transaction {
        return None;
    }
    let statement = never_inside(words)?;
    Some((
        format!("{statement} cannot run in a transaction"),
        "write transaction = \"none\" for this step, and give it nothing else to do".into(),
    ))
}

fn transaction_word(words: &Words) -> Option<&'static str> {
    if words.starts(&["rollback", "to"]) || words.starts(&["rollback", "work", "to"]) {
        return None;
    }
    if words.starts(&["start", "transaction"]) {
        return Some("START TRANSACTION");
    }
    if words.starts(&["prepare", "transaction"]) {
        return Some("PREPARE TRANSACTION");
    }
    [("begin", "BEGIN"), ("commit", "COMMIT"), ("end", "END"), ("rollback", "ROLLBACK"), ("abort", "ABORT")]
        .into_iter()
        .find(|(word, _)| words.is(0, word))
        .map(|(_, shown)| shown)
}

fn control(word: &str, transaction: bool) -> (String, String) {
    if transaction {
        let message = format!("{word} would break the transaction that this step runs in");
        return (message, "leave it out: gonogo begins and commits".into());
    }
    (
        format!("{word} is not sent: outside of a transaction each statement runs by itself"),
        "leave it out; what belongs in one transaction is a step without transaction = \"none\"".into(),
    )
}

/// Statements that PostgreSQL refuses in a transaction block.
fn never_inside(words: &Words) -> Option<&'static str> {
    const CASES: &[(&[&str], &str)] = &[
        (&["create", "index", "concurrently"], "CREATE INDEX CONCURRENTLY"),
        (&["create", "unique", "index", "concurrently"], "CREATE INDEX CONCURRENTLY"),
        (&["drop", "index", "concurrently"], "DROP INDEX CONCURRENTLY"),
        (&["reindex", "database"], "REINDEX DATABASE"),
        (&["reindex", "system"], "REINDEX SYSTEM"),
        (&["reindex", "schema"], "REINDEX SCHEMA"),
        (&["vacuum"], "VACUUM"),
        (&["create", "database"], "CREATE DATABASE"),
        (&["drop", "database"], "DROP DATABASE"),
        (&["create", "tablespace"], "CREATE TABLESPACE"),
        (&["drop", "tablespace"], "DROP TABLESPACE"),
        (&["alter", "system"], "ALTER SYSTEM"),
    ];
    if words.is(0, "reindex") && words.holds(&["concurrently"]) {
        return Some("REINDEX CONCURRENTLY");
    }
    if words.starts(&["alter", "table"]) && words.holds(&["concurrently"]) && words.holds(&["detach"]) {
        return Some("DETACH PARTITION CONCURRENTLY");
    }
    if words.is(0, "cluster") && words.0.len() == 1 {
        return Some("CLUSTER of all tables");
    }
    CASES.iter().find(|(case, _)| words.starts(case)).map(|(_, shown)| *shown)
}

fn sqlite(words: &Words, transaction: bool) -> Option<(String, String)> {
    if transaction && words.is(0, "vacuum") {
        return Some((
            "VACUUM cannot run in a transaction".into(),
            "write transaction = \"none\" for this step".into(),
        ));
    }
    if words.holds(&["rollback", "to"]) || words.holds(&["transaction", "to"]) {
        return None;
    }
    let word = ["begin", "commit", "end", "rollback"].into_iter().find(|word| words.is(0, word))?;
    Some(control(&word.to_ascii_uppercase(), transaction))
}

/// A backslash outside of strings and comments: only psql knows it.
fn meta_command(text: &str) -> Option<Finding> {
    let all = tokens(text, Dialect::Postgres);
    let at =
        all.iter().find(|token| token.kind == Kind::Other && text[token.start..token.end].starts_with('\\'))?.start;
    let end = text[at..].find(char::is_whitespace).map_or(text.len(), |end| at + end);
    Some(Finding {
        at: at..end,
        message: format!("`{}` is a command of psql, not SQL", &text[at..end]),
        hint: "write the SQL itself, or use a `run` step with psql".into(),
    })
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}
