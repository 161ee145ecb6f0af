//! Splitting PostgreSQL scripts by psql's own rule: a semicolon ends a statement unless it stands in parentheses
//! or between BEGIN and END of a routine's body (`BEGIN ATOMIC`).

use squawk_lexer::{LiteralKind, TokenKind};

use super::{Cutter, Kind, Piece, SqlProblem, Token, unended};

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut start = 0;
    let mut all = Vec::new();
    for token in squawk_lexer::tokenize(text) {
        let end = (start + token.len as usize).min(text.len());
        let (kind, ends) = kind(token.kind);
        all.push(Token { kind, start, end, ends });
        start = end;
    }
    all
}

fn kind(kind: TokenKind) -> (Kind, bool) {
    match kind {
        TokenKind::Whitespace => (Kind::Blank, true),
        TokenKind::LineComment => (Kind::Comment, true),
        TokenKind::BlockComment { terminated } => (Kind::Comment, terminated),
        TokenKind::Ident => (Kind::Word, true),
        TokenKind::QuotedIdent { terminated, .. } => (Kind::Quoted, terminated),
        TokenKind::Semi => (Kind::Semicolon, true),
        TokenKind::OpenParen => (Kind::Open, true),
        TokenKind::CloseParen => (Kind::Close, true),
        TokenKind::Literal { kind } => match kind {
            LiteralKind::DollarQuotedString { terminated } => (Kind::Dollar, terminated),
            LiteralKind::Str { terminated }
            | LiteralKind::NationalStr { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::BitStr { terminated }
            | LiteralKind::UnicodeEscStr { terminated }
            | LiteralKind::EscStr { terminated } => (Kind::Quoted, terminated),
            LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => (Kind::Other, true),
        },
        _ => (Kind::Other, true),
    }
}

pub(super) fn split(text: &str) -> Result<Vec<Piece>, SqlProblem> {
    let tokens = tokens(text);
    unended(text, &tokens)?;
    let mut cutter = Cutter::new(text);
    let mut state = State::default();
    for token in &tokens {
        if matches!(token.kind, Kind::Blank | Kind::Comment) {
            continue;
        }
        if token.kind == Kind::Semicolon && state.parens == 0 && state.begins == 0 {
            if let Some(start) = state.start {
                cutter.cut(start, state.end);
            }
            state = State::default();
            continue;
        }
        state.take(token, text);
    }
    if let Some(start) = state.start {
        cutter.cut(start, state.end);
    }
    Ok(cutter.pieces)
}

/// Where we are in a statement.
#[derive(Default)]
struct State {
    start: Option<usize>,
    end: usize,
    parens: u32,
    begins: u32,
    /// The first words, lower-case: enough to know a routine.
    words: Vec<String>,
}

/// Words that can stand before FUNCTION or PROCEDURE.
const FIRST_WORDS: usize = 4;

impl State {
    fn take(&mut self, token: &Token, text: &str) {
        self.start.get_or_insert(token.start);
        self.end = token.end;
        match token.kind {
            Kind::Open => self.parens += 1,
            Kind::Close => self.parens = self.parens.saturating_sub(1),
            Kind::Word => self.word(&text[token.start..token.end]),
            _ => {}
        }
    }

    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.is_routine() && self.parens == 0 {
            match word.as_str() {
                "begin" => self.begins += 1,
                // CASE has an END too, but is counted only inside a body.
                "case" if self.begins > 0 => self.begins += 1,
                "end" => self.begins = self.begins.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < FIRST_WORDS {
            self.words.push(word);
        }
    }

    fn is_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure", ..]
        )
    }
}
