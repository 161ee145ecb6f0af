//! Splitting SQLite scripts by SQLite's own rule (`sqlite3_complete`): a trigger ends only at `; END ;`.

use super::{Cutter, Kind, Piece, SqlProblem, Token, unended};

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let (kind, end, ends) = token(text, start);
        all.push(Token { kind, start, end, ends });
        start = end;
    }
    all
}

fn token(text: &str, start: usize) -> (Kind, usize, bool) {
    let rest = &text[start..];
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'-' if bytes.get(1) == Some(&b'-') => {
            let end = rest.find('\n').unwrap_or(rest.len());
            (Kind::Comment, start + end, true)
        }
        b'/' if bytes.get(1) == Some(&b'*') => match rest[2..].find("*/") {
            Some(end) => (Kind::Comment, start + end + 4, true),
            // SQLite itself lets a comment end with the text; a script that does so was cut off.
            None => (Kind::Comment, text.len(), false),
        },
        quote @ (b'\'' | b'"' | b'`') => quoted(text, start, quote, true),
        b'[' => quoted(text, start, b']', false),
        b';' => (Kind::Semicolon, start + 1, true),
        b'(' => (Kind::Open, start + 1, true),
        b')' => (Kind::Close, start + 1, true),
        byte if byte.is_ascii_whitespace() => {
            let end = rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(rest.len());
            (Kind::Blank, start + end, true)
        }
        byte if is_word(byte) => {
            let end = bytes.iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len());
            (Kind::Word, start + end, true)
        }
        _ => (Kind::Other, start + 1, true),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// A quoted text. `doubled`: two closing quotes stand for one.
fn quoted(text: &str, start: usize, close: u8, doubled: bool) -> (Kind, usize, bool) {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == close {
            if !doubled || bytes.get(at + 1) != Some(&close) {
                return (Kind::Quoted, at + 1, true);
            }
            at += 1;
        }
        at += 1;
    }
    (Kind::Quoted, text.len(), false)
}

pub(super) fn split(text: &str) -> Result<Vec<Piece>, SqlProblem> {
    let tokens = tokens(text);
    unended(text, &tokens)?;
    let mut cutter = Cutter::new(text);
    let mut state = State::default();
    for token in &tokens {
        match token.kind {
            Kind::Blank | Kind::Comment => continue,
            Kind::Semicolon if !state.is_trigger() || state.tail == Tail::End => {
                if let Some(start) = state.start {
                    cutter.cut(start, state.end);
                }
                state = State::default();
                continue;
            }
            Kind::Semicolon => state.tail = Tail::Semicolon,
            Kind::Word => state.word(&text[token.start..token.end]),
            _ => state.tail = Tail::Other,
        }
        state.start.get_or_insert(token.start);
        state.end = token.end;
    }
    if let Some(start) = state.start {
        cutter.cut(start, state.end);
    }
    Ok(cutter.pieces)
}

/// What stood last in a trigger's body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Tail {
    #[default]
    Other,
    Semicolon,
    /// An END right after a semicolon.
    End,
}

#[derive(Default)]
struct State {
    start: Option<usize>,
    end: usize,
    words: Vec<String>,
    tail: Tail,
}

impl State {
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        self.tail = match (self.tail, word.as_str()) {
            (Tail::Semicolon, "end") => Tail::End,
            _ => Tail::Other,
        };
        if self.words.len() < 3 {
            self.words.push(word);
        }
    }

    fn is_trigger(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(words.as_slice(), ["create", "trigger", ..] | ["create", "temp" | "temporary", "trigger"])
    }
}
