//! What of a file is sent: one way of it, at its own lines, without the BEGIN and COMMIT it may bring.

use crate::runbook::sql::{self, Dialect, Finding, Piece, SqlProblem};

/// SQL of a file. Places in it are those of the file: what does not belong to it is blanked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the runbook's folder.
    pub path: String,
    pub text: String,
    /// Everything in one transaction, with the tool's bookkeeping; else each statement by itself.
    pub transaction: bool,
}

impl Part {
    /// `text`: the whole file. A transaction that the file itself begins first and commits last is the one it runs in.
    pub fn new(path: &str, text: &str, transaction: bool) -> Self {
        let text = text.strip_prefix('\u{feff}').map_or_else(|| text.to_owned(), |rest| format!("   {rest}"));
        let text = if transaction { without_own_transaction(&text, COMMITS) } else { text };
        Self { path: path.to_owned(), text, transaction }
    }

    /// The same, where the tool sends a statement by itself that cannot run in a transaction.
    pub fn guessed(path: &str, text: &str) -> Self {
        let alone = statements(text, Dialect::Postgres).is_ok_and(|all| {
            !all.is_empty() && all.iter().all(|piece| sql::outside_only(&piece.sql, Dialect::Postgres).is_some())
        });
        Self::new(path, text, !alone)
    }

    /// A script that only asks: however it ends its own transaction, nothing of it is to stay.
    pub(super) fn asking(path: &str, text: &str) -> Self {
        let part = Self::new(path, text, true);
        Self { text: without_own_transaction(&part.text, ROLLBACKS), ..part }
    }

    /// Its statements with their lines in the file.
    ///
    /// # Errors
    /// A text or comment in it never ends.
    pub fn statements(&self, dialect: Dialect) -> Result<Vec<Piece>, SqlProblem> {
        statements(&self.text, dialect)
    }

    /// What is wrong with it for such a database. A file without a statement is fine.
    pub fn judge(&self, dialect: Dialect) -> Vec<Finding> {
        if statements(&self.text, dialect).is_ok_and(|all| all.is_empty()) {
            return Vec::new();
        }
        sql::judge(&self.text, dialect, self.transaction)
    }
}

fn statements(text: &str, dialect: Dialect) -> Result<Vec<Piece>, SqlProblem> {
    sql::split(text, dialect)
}

/// Bytes `from..to` of `text`, everything else blank: lines and places stay.
pub(super) fn only(text: &str, from: usize, to: usize) -> String {
    let keep = |at: usize| at >= from && at < to;
    text.char_indices().flat_map(|(at, c)| spared(c, keep(at))).collect()
}

/// The character, or as many blanks as it has bytes.
fn spared(c: char, keep: bool) -> impl Iterator<Item = char> {
    let (shown, times) = if keep || c == '\n' { (c, 1) } else { (' ', c.len_utf8()) };
    std::iter::repeat_n(shown, times)
}

const BEGINS: &[&str] = &["begin", "begin transaction", "begin work", "start transaction"];
const COMMITS: &[&str] = &["commit", "commit transaction", "commit work", "end", "end transaction"];
const ROLLBACKS: &[&str] = &["rollback", "rollback transaction", "rollback work", "abort"];

/// `ends`: how the transaction that is taken out ends.
fn without_own_transaction(text: &str, ends: &[&str]) -> String {
    let Ok(all) = statements(text, Dialect::Postgres) else { return text.to_owned() };
    let ([first, .., last], true) = (all.as_slice(), all.len() >= 2) else { return text.to_owned() };
    if !(is(first, BEGINS) && is(last, ends)) {
        return text.to_owned();
    }
    let own = [first, last].map(|piece| piece.offset..piece.offset + piece.sql.len());
    text.char_indices().flat_map(|(at, c)| spared(c, !own.iter().any(|range| range.contains(&at)))).collect()
}

fn is(piece: &Piece, words: &[&str]) -> bool {
    let sql = piece.sql.trim_end_matches(';').to_ascii_lowercase();
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    words.contains(&sql.as_str())
}
