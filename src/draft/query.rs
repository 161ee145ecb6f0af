//! Whether SQL asks something: then a draft has to say what must come back, or that nothing is expected yet.

use crate::runbook::sql::{self, Dialect};

/// True for a script that only reads, and for one that changes something and then reads a table.
pub fn asks(text: &str) -> bool {
    let text = sql::mask(text);
    if sql::only_reads(&text) {
        return true;
    }
    let Ok(pieces) = sql::split(&text, Dialect::Postgres) else { return false };
    pieces.last().is_some_and(|last| {
        let mut words = last.sql.split(|c: char| !c.is_alphanumeric() && c != '_');
        sql::only_reads(&last.sql) && words.any(|word| word.eq_ignore_ascii_case("from"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_with_a_question_asks() {
        for text in ["select 1", "update a set b = 1;\nselect count(*) from a;", "select 1; select 2 from a"] {
            assert!(asks(text), "{text}");
        }
        for text in ["update a set b = 1", "select 1 from a; delete from a", "create table a (b int); select 'done'"] {
            assert!(!asks(text), "{text}");
        }
    }
}
