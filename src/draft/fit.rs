//! How SQL that somebody wrote can be a step: in a transaction, outside of one, or without the transaction it brings.

use crate::runbook::migrations::Part;
use crate::runbook::sql::{self, Dialect, Finding, Piece};

/// What a step makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Something in it cannot run in a transaction: each statement by itself.
    pub alone: bool,
    /// The text without the BEGIN and COMMIT around the whole of it: gonogo begins and commits.
    pub without: Option<String>,
}

/// Err: why it cannot be a step.
pub fn fit(text: &str) -> Result<Fit, Finding> {
    if sql::judge(text, Dialect::Postgres, true).is_empty() {
        return Ok(Fit::default());
    }
    if let Some(without) = without_own_transaction(text)
        && sql::judge(&without, Dialect::Postgres, true).is_empty()
    {
        return Ok(Fit { alone: false, without: Some(without) });
    }
    match sql::judge(text, Dialect::Postgres, false).into_iter().next() {
        None => Ok(Fit { alone: true, without: None }),
        Some(finding) => Err(finding),
    }
}

/// None: there is no transaction around the whole of it.
fn without_own_transaction(text: &str) -> Option<String> {
    if Part::new("", text, true).text == text {
        return None;
    }
    let pieces = sql::split(text, Dialect::Postgres).ok()?;
    let ([first, ..], [.., last]) = (pieces.as_slice(), pieces.as_slice()) else { return None };
    let behind = |piece: &Piece| text[piece.offset + piece.sql.len()..].trim_start();
    let body = &behind(first)[..behind(first).len().checked_sub(text.len() - last.offset)?];
    let parts = [&text[..first.offset], body.strip_prefix(';')?, behind(last).trim_start_matches(';')];
    let parts: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    Some(format!("{}\n", parts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_around_the_whole_is_taken_off() {
        let without = |text: &str| fit(text).unwrap().without;
        let own = Some("create table t (id int);\n".to_owned());
        assert_eq!(without("begin;\ncreate table t (id int);\ncommit;\n"), own);
        assert_eq!(without("START TRANSACTION; create table t (id int); END"), own);
        let text = "-- why\nbegin;\n\n  select 1 -- one\n;\ncommit; -- all\n";
        assert_eq!(without(text).unwrap(), "-- why\nselect 1 -- one\n;\n-- all\n");
        assert_eq!(without("select 1"), None);
    }

    #[test]
    fn other_transactions_are_no_reason_to_run_outside_of_one() {
        for text in
            ["begin; select 1; commit; begin; select 2; commit;", "begin; commit;", "begin; select 1; rollback;"]
        {
            assert!(fit(text).is_err(), "{text}");
        }
        assert_eq!(fit("vacuum t"), Ok(Fit { alone: true, without: None }));
        assert!(fit("begin; vacuum t; commit;").is_err());
    }
}
