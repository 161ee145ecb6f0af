//! Statements as words: what most rules need to know of SQL, of either dialect, templates blanked out.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word or a quoted name.
    Name,
    /// A string.
    Text,
    /// `$$ … $$`: a text whose inside is code where a routine's body stands.
    Dollar,
    Number,
    /// Anything else, one character each.
    Sign,
}

/// One word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub kind: Kind,
    /// Lower-case; names without their quotes, strings without theirs.
    pub text: String,
    /// Bytes of the script.
    pub at: Range<usize>,
    /// Parentheses around it; an opening and a closing one count as outside.
    pub depth: u32,
}

/// A statement, or the body of a routine: its words, comments and blanks left out.
#[derive(Clone, Debug, Default)]
pub struct Words(pub Vec<Word>);

impl Words {
    /// `offset`: the byte of the script at which `sql` starts.
    pub fn of(sql: &str, offset: usize) -> Self {
        let mut words = Vec::new();
        let (mut start, mut depth) = (0, 0_u32);
        for token in squawk_lexer::tokenize(sql) {
            let end = (start + token.len as usize).min(sql.len());
            let raw = sql.get(start..end).unwrap_or_default();
            if token.kind == TokenKind::CloseParen {
                depth = depth.saturating_sub(1);
            }
            if let Some((kind, text)) = word(token.kind, raw) {
                words.push(Word { kind, text, at: offset + start..offset + end, depth });
            }
            if token.kind == TokenKind::OpenParen {
                depth += 1;
            }
            start = end;
        }
        Self(words)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, n: usize) -> &str {
        self.0.get(n).map_or("", |word| word.text.as_str())
    }

    pub fn kind(&self, n: usize) -> Option<Kind> {
        self.0.get(n).map(|word| word.kind)
    }

    pub fn depth(&self, n: usize) -> u32 {
        self.0.get(n).map_or(0, |word| word.depth)
    }

    /// True where a word of the language (no string) stands there.
    pub fn is(&self, n: usize, text: &str) -> bool {
        self.0.get(n).is_some_and(|word| matches!(word.kind, Kind::Name | Kind::Sign) && word.text == text)
    }

    /// True where `words` stand one after the other from the n-th on.
    pub fn seq(&self, n: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(m, word)| self.is(n + m, word))
    }

    pub fn starts(&self, words: &[&str]) -> bool {
        self.seq(0, words)
    }

    /// Every place at which `words` stand one after the other.
    pub fn all(&self, words: &[&str]) -> Vec<usize> {
        (0..self.len()).filter(|n| self.seq(*n, words)).collect()
    }

    pub fn find(&self, words: &[&str]) -> Option<usize> {
        (0..self.len()).find(|n| self.seq(*n, words))
    }

    pub fn has(&self, words: &[&str]) -> bool {
        self.find(words).is_some()
    }

    pub fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(&[word]))
    }

    /// The words inside the parentheses that open at `n`, as a range of words.
    pub fn inside(&self, n: usize) -> Range<usize> {
        let depth = self.depth(n);
        let end = (n + 1..self.len()).find(|m| self.is(*m, ")") && self.depth(*m) == depth).unwrap_or(self.len());
        (n + 1).min(end)..end
    }

    /// Those words as a statement of their own.
    pub fn part(&self, range: Range<usize>) -> Words {
        Words(self.0.get(range).unwrap_or_default().to_vec())
    }

    /// The name that begins at `n` (`app.orders` is one), without its schema where that is `public`; and the place behind.
    pub fn name(&self, n: usize) -> Option<(String, usize)> {
        let mut n = n;
        while self.is(n, "only") || self.seq(n, &["if"]) || self.is(n, "exists") || self.is(n, "not") {
            n += 1;
        }
        let first = self.0.get(n).filter(|word| word.kind == Kind::Name)?;
        let (mut name, mut next) = (first.text.clone(), n + 1);
        while self.is(next, ".") && self.kind(next + 1) == Some(Kind::Name) {
            name = format!("{name}.{}", self.get(next + 1));
            next += 2;
        }
        Some((name.strip_prefix("public.").unwrap_or(&name).to_owned(), next))
    }

    /// Bytes from one word to another, both counted in.
    pub fn span(&self, from: usize, to: usize) -> Range<usize> {
        let start = self.0.get(from).map_or(0, |word| word.at.start);
        let end = self.0.get(to.max(from)).or(self.0.last()).map_or(start, |word| word.at.end);
        start..end.max(start)
    }

    pub fn whole(&self) -> Range<usize> {
        self.span(0, self.len().saturating_sub(1))
    }

    /// True for a query that is sent for what its functions do: `select setval('s', 42)`.
    pub fn acts(&self) -> bool {
        let calls = |n: &usize| self.kind(*n) == Some(Kind::Name) && self.is(n + 1, "(");
        let mut called = (0..self.len()).filter(calls).map(|n| self.get(n));
        let tables = self.has(&["from"]);
        called.any(|name| ACTS.contains(&name) || (!tables && !ASKS.contains(&name)))
    }

    /// The bodies of a `do` or of a routine: what stands in dollar quotes, as words with their true places.
    pub fn bodies(&self) -> Vec<Words> {
        let routine = self.starts(&["do"]) || (self.starts(&["create"]) && self.has_any(&["function", "procedure"]));
        let dollars = self.0.iter().filter(|word| routine && word.kind == Kind::Dollar);
        dollars.map(|word| Self::of(&word.text, word.at.start + tag(word))).collect()
    }
}

/// Functions that do something.
const ACTS: &[&str] = &[
    "setval",
    "nextval",
    "set_config",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_switch_wal",
    "pg_promote",
    "pg_advisory_lock",
    "pg_advisory_unlock",
    "pg_advisory_xact_lock",
    "pg_notify",
    "pg_rotate_logfile",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "pg_create_restore_point",
    "pg_logical_emit_message",
];
/// Functions that only say something, where no table stands beside them.
const ASKS: &[&str] = &[
    "to_regclass",
    "to_regtype",
    "to_regproc",
    "now",
    "clock_timestamp",
    "version",
    "current_database",
    "current_schema",
    "current_setting",
    "pg_is_in_recovery",
    "has_table_privilege",
    "has_database_privilege",
    "has_schema_privilege",
    "has_column_privilege",
    "pg_has_role",
    "pg_database_size",
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_size_pretty",
    "pg_current_wal_lsn",
    "pg_last_wal_replay_lsn",
    "pg_wal_lsn_diff",
    "pg_last_xact_replay_timestamp",
    "extract",
    "coalesce",
    "count",
    "exists",
    "sqlite_version",
    "pg_postmaster_start_time",
    "pg_conf_load_time",
    "pg_backend_pid",
    "abs",
    "round",
    "row",
    "array",
    "cast",
    "date_trunc",
    "txid_current",
    "pg_get_viewdef",
    "pg_get_functiondef",
    "not",
    "and",
    "or",
];

/// Bytes of the opening tag of a dollar-quoted text.
fn tag(word: &Word) -> usize {
    (word.at.len() - word.text.len()) / 2
}

fn word(kind: TokenKind, raw: &str) -> Option<(Kind, String)> {
    Some(match kind {
        TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => return None,
        TokenKind::Ident => (Kind::Name, raw.to_lowercase()),
        TokenKind::QuotedIdent { .. } => (Kind::Name, raw.trim_matches('"').to_lowercase()),
        TokenKind::Literal { kind: LiteralKind::DollarQuotedString { .. } } => (Kind::Dollar, undollar(raw).to_owned()),
        TokenKind::Literal { kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. } } => {
            (Kind::Number, raw.to_owned())
        }
        TokenKind::Literal { .. } => {
            let open = raw.find('\'').map_or(0, |at| at + 1);
            (Kind::Text, raw.get(open..).unwrap_or_default().trim_end_matches('\'').to_lowercase())
        }
        _ => (Kind::Sign, raw.to_owned()),
    })
}

fn undollar(raw: &str) -> &str {
    let Some(tag) = raw.get(1..).and_then(|rest| rest.find('$')).map(|at| at + 2) else { return raw };
    raw.get(tag..raw.len().saturating_sub(tag)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_places() {
        let sql = "update Only public.\"Orders\" set a = (select 'X''y') -- c\nwhere b > 1.5";
        let words = Words::of(sql, 10);
        assert_eq!(words.name(1), Some(("orders".into(), 5)));
        let at = words.find(&["where"]).unwrap();
        assert_eq!(words.depth(at), 0);
        assert_eq!(&sql[words.0[at].at.start - 10..words.0[at].at.end - 10], "where");
        let open = words.find(&["("]).unwrap();
        assert_eq!(words.part(words.inside(open)).get(0), "select");
        let body = &Words::of("do $x$ begin commit; end $x$", 0).bodies()[0];
        assert_eq!(body.0[1].at, 13..19);
    }
}
