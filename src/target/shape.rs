//! What kind of statement it is, by its words: no grammar, only what the doors must know before they send it.

use squawk_lexer::{TokenKind, tokenize};

/// Words of a statement that decide how it is run and counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// First word, upper case; empty for a statement of comments only.
    first: String,
    second: String,
    /// Of a `WITH`: the verb behind its common table expressions.
    main: String,
    returning: bool,
    concurrently: bool,
    stdio: bool,
    to: bool,
    prepared: bool,
}

impl Shape {
    pub fn of(sql: &str) -> Self {
        let mut shape = Self::default();
        let mut depth = 0_u32;
        let mut words = 0;
        let mut at = 0;
        for token in tokenize(sql) {
            let text = sql.get(at..at + token.len as usize).unwrap_or_default();
            at += token.len as usize;
            match token.kind {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth = depth.saturating_sub(1),
                TokenKind::Ident => {
                    words += 1;
                    shape.word(words, depth, &text.to_ascii_uppercase());
                }
                _ => {}
            }
        }
        shape
    }

    fn word(&mut self, n: u32, depth: u32, word: &str) {
        match n {
            1 => self.first = word.to_owned(),
            2 => self.second = word.to_owned(),
            _ => {}
        }
        match word {
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "VALUES" | "TABLE"
                if depth == 0 && self.main.is_empty() =>
            {
                self.main = word.to_owned();
            }
            "RETURNING" if depth == 0 => self.returning = true,
            "CONCURRENTLY" => self.concurrently = true,
            "STDIN" | "STDOUT" => self.stdio = true,
            "TO" => self.to = true,
            "PREPARED" => self.prepared = true,
            _ => {}
        }
    }

    fn verb(&self) -> &str {
        if self.first == "WITH" { &self.main } else { &self.first }
    }

    /// True where an answer without rows still has columns.
    pub fn has_columns(&self) -> bool {
        match self.verb() {
            "SELECT" | "VALUES" | "TABLE" | "SHOW" | "EXPLAIN" | "FETCH" | "EXECUTE" | "CALL" | "PRAGMA" => true,
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" => self.returning,
            _ => false,
        }
    }

    /// Rows written, of the count in its tag: a query's tag counts the rows it returned, unless it made a table of them.
    pub fn affected(&self, returned: u64, count: u64) -> u64 {
        match self.verb() {
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "COPY" | "CREATE" => count,
            "SELECT" if returned == 0 => count,
            _ => 0,
        }
    }

    /// The word of a statement that begins or ends a transaction, which is the door's own business.
    /// Savepoints are not among them.
    pub fn transaction_word(&self) -> Option<&str> {
        let ends = match self.first.as_str() {
            "BEGIN" | "START" | "COMMIT" | "END" | "ABORT" => !self.prepared,
            "ROLLBACK" => !self.prepared && !self.to,
            "PREPARE" => self.second == "TRANSACTION",
            _ => false,
        };
        ends.then_some(self.first.as_str())
    }

    /// COPY from or to the client: nobody is there to feed it, and the session would hang.
    pub fn copies_to_client(&self) -> bool {
        self.first == "COPY" && self.stdio
    }

    /// `SET TRANSACTION …`, which PostgreSQL takes only before the first query of a transaction.
    pub fn sets_transaction(&self) -> bool {
        self.first == "SET" && self.second == "TRANSACTION"
    }

    /// RESET ALL and its kin: settings that were made for the session are gone after it.
    pub fn resets_session(&self) -> bool {
        matches!((self.first.as_str(), self.second.as_str()), ("RESET" | "DISCARD", "ALL"))
    }

    /// True where a failure may leave something behind although the statement ran by itself.
    pub fn leaves_residue(&self) -> bool {
        self.concurrently
            || matches!(
                (self.first.as_str(), self.second.as_str()),
                ("VACUUM" | "REINDEX" | "CLUSTER" | "CALL" | "DO", _)
                    | ("CREATE" | "DROP", "DATABASE" | "TABLESPACE" | "SUBSCRIPTION")
                    | ("ALTER", "SYSTEM")
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_inside_strings_and_comments_do_not_count() {
        let shape = Shape::of("-- copy from stdin\n/* commit */ select 'returning', \"stdin\", $$ begin $$");
        assert!(shape.has_columns() && !shape.copies_to_client());
        assert_eq!(shape.transaction_word(), None);
        assert_eq!(Shape::of("-- nothing"), Shape::default());
    }

    #[test]
    fn transaction_words() {
        for sql in ["begin", "START TRANSACTION", "commit;", "end", "Rollback", "prepare transaction 'x'"] {
            assert!(Shape::of(sql).transaction_word().is_some(), "{sql}");
        }
        for sql in ["savepoint a", "rollback to savepoint a", "commit prepared 'x'", "prepare p as select 1"] {
            assert_eq!(Shape::of(sql).transaction_word(), None, "{sql}");
        }
    }

    #[test]
    fn writes_and_columns() {
        let with = Shape::of("with a as (delete from t returning *) select * from a");
        assert!(with.has_columns() && with.affected(3, 3) == 0);
        let with = Shape::of("with a as (select 1) insert into t select * from a returning id");
        assert!(with.has_columns() && with.affected(3, 3) == 3);
        assert!(!Shape::of("update t set a = 1").has_columns());
        assert_eq!(Shape::of("select * into t from u").affected(0, 5), 5);
        assert!(Shape::of("(select 1) union (select 2)").has_columns());
        assert!(Shape::of("copy t from stdin").copies_to_client());
        assert!(!Shape::of("copy t from '/tmp/x'").copies_to_client());
    }

    #[test]
    fn residue() {
        assert!(Shape::of("create unique index concurrently i on t (a)").leaves_residue());
        assert!(Shape::of("vacuum t").leaves_residue() && Shape::of("call p()").leaves_residue());
        assert!(!Shape::of("create table t (a int)").leaves_residue());
        assert!(!Shape::of("alter table t add b int").leaves_residue());
    }
}
