//! SQL as text: split into statements with their places, and the few things that a step may not hold.

mod fragment;
mod judge;
pub mod names;
mod postgres;
mod reads;
mod sqlite;
#[cfg(test)]
mod tests;

pub use fragment::{assigns, fragment};
pub use judge::{Finding, judge, outside_only};
pub use reads::{begins_with, leaves_data, only_reads, writes_rows};

use super::{Secret, Var, expr};

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    /// By a target's address. A secret that is only named is taken for PostgreSQL.
    pub fn of(url: &Secret) -> Self {
        match url {
            Secret::Plain(text) if text.starts_with("sqlite:") => Self::Sqlite,
            _ => Self::Postgres,
        }
    }
}

/// One statement of a script, without its semicolon and the blanks and comments around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub sql: String,
    /// Byte of the script at which it starts.
    pub offset: usize,
    /// 1-based line of the script at which it starts.
    pub line: u32,
}

/// Why a script cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SqlProblem {
    /// 1-based line of the script.
    pub line: u32,
    /// Bytes of the script it is about.
    pub offset: usize,
    pub message: String,
}

/// The statements of a script, in order; empty ones are left out.
pub fn split(text: &str, dialect: Dialect) -> Result<Vec<Piece>, SqlProblem> {
    match dialect {
        Dialect::Postgres => postgres::split(text),
        Dialect::Sqlite => sqlite::split(text),
    }
}

/// What a token is to somebody who only splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Blanks and comments.
    Blank,
    Comment,
    Word,
    /// Strings and quoted names.
    Quoted,
    /// A string whose inside is code, where a literal may stand: `$$ … $$`.
    Dollar,
    Semicolon,
    Open,
    Close,
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
    /// False for a string or comment that never ends.
    ends: bool,
}

fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    match dialect {
        Dialect::Postgres => postgres::tokens(text),
        Dialect::Sqlite => sqlite::tokens(text),
    }
}

/// The script with every template tag blanked out, byte for byte: `{{ x }}` reads as a name, `{% … %}` as nothing.
/// A template that does not parse is left as it is: that is a problem of its own.
pub fn mask(template: &str) -> String {
    let Some(layout) = expr::layout(template) else {
        return template.to_owned();
    };
    let mut out = String::with_capacity(template.len());
    for data in layout.data {
        blank(template, &mut out, data.start, &layout.values);
        out.push_str(&template[data]);
    }
    blank(template, &mut out, template.len(), &layout.values);
    out
}

/// Continues `out` up to byte `end` of the template with blanks, line breaks, and an `x` where a value starts.
fn blank(template: &str, out: &mut String, end: usize, values: &[usize]) {
    for at in out.len()..end {
        out.push(match template.as_bytes().get(at) {
            Some(b'\n') => '\n',
            _ if values.binary_search(&at).is_ok() => 'x',
            _ => ' ',
        });
    }
}

/// True where a value of that name may stand inside quotes: it is never quoted itself.
pub(super) fn is_bare(name: Option<&str>, vars: &[(String, Var)]) -> bool {
    vars.iter().any(|(known, var)| Some(known.as_str()) == name && !matches!(var, Var::Text(_)))
}

/// Of the values at `places` (bytes of the template), those that stand inside a quoted string or name.
pub(super) fn quoted(template: &str, places: &[usize], dialect: Dialect) -> Vec<usize> {
    let masked = mask(template);
    let tokens = tokens(&masked, dialect);
    let inside = |place: usize| {
        let next = tokens.partition_point(|token| token.start <= place);
        let token = next.checked_sub(1).and_then(|last| tokens.get(last));
        token.is_some_and(|token| token.kind == Kind::Quoted)
    };
    places.iter().copied().filter(|place| inside(*place)).collect()
}

/// 1-based line of a byte.
fn line_of(text: &str, offset: usize) -> u32 {
    let lines = text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n');
    u32::try_from(lines.count() + 1).unwrap_or(u32::MAX)
}

/// Makes pieces of `(start, end)` ranges of tokens, counting lines once.
struct Cutter<'t> {
    text: &'t str,
    counted: usize,
    line: u32,
    pieces: Vec<Piece>,
}

impl<'t> Cutter<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, counted: 0, line: 1, pieces: Vec::new() }
    }

    fn cut(&mut self, start: usize, end: usize) {
        let passed = self.text.as_bytes()[self.counted..start].iter().filter(|byte| **byte == b'\n');
        self.line = self.line.saturating_add(u32::try_from(passed.count()).unwrap_or(u32::MAX));
        self.counted = start;
        self.pieces.push(Piece { sql: self.text[start..end].to_owned(), offset: start, line: self.line });
    }
}

/// Notes a string or comment that never ends.
fn unended(text: &str, tokens: &[Token]) -> Result<(), SqlProblem> {
    let Some(token) = tokens.iter().find(|token| !token.ends) else {
        return Ok(());
    };
    let what = match token.kind {
        Kind::Comment => "a comment",
        Kind::Dollar => "a dollar-quoted text",
        _ => "a quoted text",
    };
    Err(SqlProblem {
        line: line_of(text, token.start),
        offset: token.start,
        message: format!("{what} that starts here never ends"),
    })
}
