//! Work in batches, as the runbook says it: a table walked by ranges of its key, each range a transaction of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sql::names::ident;
use super::{Expr, Health};

/// Keys that one batch looks at where the runbook says nothing.
pub const SIZE: u64 = 1_000;
/// Bounds of a size that follows the time a batch takes, where nothing is said.
pub const SMALLEST: u64 = 100;
pub const BIGGEST: u64 = 50_000;
/// The most keys of one batch.
pub const LARGEST: u64 = 1_000_000;

/// Fills, changes or empties a table in batches.
#[derive(Clone, Debug)]
pub struct Batch {
    /// As written: `orders`, `app.orders`, `"Orders"`.
    pub table: String,
    /// The column of its primary key, as written.
    pub key: String,
    /// What stands behind SET; none: the rows are deleted. Template.
    pub set: Option<String>,
    /// Which rows it is about; none: all. Template.
    pub filter: Option<String>,
    pub size: Sizing,
    /// Between two batches that wrote something.
    pub pause: Duration,
    /// While this is true, no batch begins.
    pub throttle: Option<Expr>,
    /// Beyond these limits no batch begins either.
    pub health: Health,
    /// The query that must answer 0 at the end; none: the rows in the walked range that still match `filter` are counted.
    pub complete: Option<String>,
    /// `filter` leaves out what is done: a batch may be repeated, and needs no checkpoint in the database.
    pub repeatable: bool,
    /// 1-based line of the runbook.
    pub line: u32,
}

/// How many keys a batch looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizing {
    pub start: u64,
    pub min: u64,
    pub max: u64,
    /// Milliseconds that a batch should take: the size follows. None: the size stays, but for what times out.
    pub aim_ms: Option<u64>,
}

impl Sizing {
    /// Always `size`; a batch that times out is split all the same.
    pub fn fixed(size: u64) -> Self {
        Self { start: size, min: 1, max: size, aim_ms: None }
    }
}

/// A name as SQL takes it (`orders`, `app.orders`, `"Orders"`), with every part quoted: `"app"."orders"`. What stands
/// unquoted is folded to lower case, as PostgreSQL does; to SQLite the case means nothing. None: it is no name.
pub fn quoted(name: &str) -> Option<String> {
    let parts: Option<Vec<String>> = parts(name)?.into_iter().map(|part| quote(&part)).collect();
    Some(parts?.join("."))
}

/// The parts of a name, without quotes.
pub fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        let (part, after) = if rest.starts_with('"') { in_quotes(rest)? } else { plain(rest)? };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

fn quote(part: &str) -> Option<String> {
    (!part.is_empty() && !part.contains('\0')).then(|| ident(part))
}

fn in_quotes(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek()) {
            ('"', Some((_, '"'))) => {
                chars.next();
                part.push('"');
            }
            ('"', _) => return Some((part, text.get(at + 1..).unwrap_or_default())),
            (c, _) => part.push(c),
        }
    }
    None
}

fn plain(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    let first = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
    first.then(|| (part.to_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let good = [
            ("orders", "\"orders\""),
            ("App.Orders", "\"app\".\"orders\""),
            ("\"App\".\"a \"\"b\"\".c\"", "\"App\".\"a \"\"b\"\".c\""),
            (" größe_1$ ", "\"größe_1$\""),
        ];
        for (name, wanted) in good {
            assert_eq!(quoted(name).as_deref(), Some(wanted), "{name}");
        }
        for bad in ["", "a b", "a;b", "1a", "a.", ".a", "\"a", "\"\"", "a\"b\"", "a,b", "a--b"] {
            assert_eq!(quoted(bad), None, "{bad}");
        }
    }
}
