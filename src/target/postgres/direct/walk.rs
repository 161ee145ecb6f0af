//! A walk over the words of one statement: blanks and comments left out, names as the catalogue has them.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use crate::runbook::sql::names::ident;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word that is not quoted, in lower case.
    Word,
    /// A quoted name, without its quotes.
    Quoted,
    /// A plain string, without its quotes.
    Text,
    Symbol,
    /// Anything else, as it stands.
    Raw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
}

impl Token {
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

pub(super) struct Walk {
    tokens: Vec<Token>,
    at: usize,
}

impl Walk {
    pub fn new(sql: &str) -> Self {
        let mut start = 0;
        let mut tokens = Vec::new();
        for token in tokenize(sql) {
            let text = sql.get(start..start + token.len as usize).unwrap_or_default();
            start += token.len as usize;
            tokens.extend(self::token(token.kind, text));
        }
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(word))
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|token| token.is_symbol(symbol))
    }

    /// Passes this word if it is next.
    pub fn word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    /// Passes these words if they are next, all of them.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let ahead = self.tokens.get(self.at..self.at + words.len()).unwrap_or_default();
        let are = ahead.len() == words.len() && ahead.iter().zip(words).all(|(token, word)| token.is_word(word));
        self.at += if are { words.len() } else { 0 };
        are
    }

    pub fn symbol(&mut self, symbol: &str) -> bool {
        let is = self.is_symbol(symbol);
        self.at += usize::from(is);
        is
    }

    /// The next token, if it is a word.
    pub fn next_word(&mut self) -> Option<String> {
        self.take(|token| token.kind == Kind::Word)
    }

    /// One name, as the catalogue has it.
    pub fn ident(&mut self) -> Option<String> {
        self.take(Token::is_name)
    }

    pub fn string(&mut self) -> Option<String> {
        self.take(|token| token.kind == Kind::Text)
    }

    fn take(&mut self, fits: impl Fn(&Token) -> bool) -> Option<String> {
        let text = self.peek().filter(|token| fits(token))?.text.clone();
        self.at += 1;
        Some(text)
    }

    /// A name with or without its schema, every part quoted: as `to_regclass` takes it.
    pub fn name(&mut self) -> Option<String> {
        let mut parts = vec![ident(&self.ident()?)];
        while self.symbol(".") {
            parts.push(ident(&self.ident()?));
        }
        (parts.len() <= 2).then(|| parts.join("."))
    }

    /// What stands between the parentheses that are next.
    pub fn group(&mut self) -> Option<Vec<Token>> {
        self.symbol("(").then_some(())?;
        let (start, mut depth) = (self.at, 1_u32);
        while let Some(token) = self.peek() {
            if token.is_symbol("(") {
                depth += 1;
            } else if token.is_symbol(")") {
                depth -= 1;
            }
            self.at += 1;
            if depth == 0 {
                return self.tokens.get(start..self.at - 1).map(<[Token]>::to_vec);
            }
        }
        None
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Vec<Token> {
        let rest = self.tokens.get(self.at..).unwrap_or_default().to_vec();
        self.at = self.tokens.len();
        rest
    }
}

fn token(kind: TokenKind, text: &str) -> Option<Token> {
    let inner = |quote: char| {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote))?;
        Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
    };
    let (kind, text) = match kind {
        TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => return None,
        TokenKind::Ident => (Kind::Word, text.to_ascii_lowercase()),
        TokenKind::QuotedIdent { terminated: true, uescape: false } => (Kind::Quoted, inner('"')?),
        // What a backslash means in it is a setting of the server.
        TokenKind::Literal { kind: LiteralKind::Str { terminated: true } } if !text.contains('\\') => {
            (Kind::Text, inner('\'')?)
        }
        TokenKind::Literal { .. } | TokenKind::QuotedIdent { .. } | TokenKind::Unknown => (Kind::Raw, text.to_owned()),
        TokenKind::PositionalParam { .. } => (Kind::Raw, text.to_owned()),
        _ => (Kind::Symbol, text.to_owned()),
    };
    Some(Token { kind, text })
}
