//! One value on its way from the wire to the journal: cut to size, made readable, typed for expressions.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// What expressions see a value as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// `t` or `f`, as PostgreSQL writes them.
    Bool,
    Text,
}

/// A value as the database's own text; none is NULL.
pub(super) struct Cell<'r> {
    pub text: Option<Cow<'r, [u8]>>,
    pub kind: Kind,
}

impl Cell<'_> {
    /// The value as text of at most `max` bytes, a longer one with a mark of its true size.
    pub fn cut(&self, max: usize) -> Option<String> {
        self.text.as_deref().map(|bytes| cut(bytes, max))
    }

    /// The value for expressions.
    pub fn value(&self, max: usize) -> Value {
        let Some(bytes) = self.text.as_deref() else {
            return Value::Null;
        };
        let text = cut(bytes, max);
        match (self.kind, text.as_str()) {
            (Kind::Bool, "t") => Value::Bool(true),
            (Kind::Bool, "f") => Value::Bool(false),
            (Kind::Number, _) => number(&text).map_or(Value::String(text), Value::Number),
            _ => Value::String(text),
        }
    }
}

/// Finite numbers only: `NaN` and `Infinity` stay text, so that no comparison with them is true by accident.
fn number(text: &str) -> Option<Number> {
    if let Ok(n) = text.parse::<i64>() {
        return Some(n.into());
    }
    if let Ok(n) = text.parse::<u64>() {
        return Some(n.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// Bytes as text: what is not UTF-8 is written `\xff`, so that nothing is lost silently.
pub(super) fn readable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// [`readable`], of at most `max` bytes of the value; a longer one ends in a mark of its true size.
pub(super) fn cut(bytes: &[u8], max: usize) -> String {
    if bytes.len() <= max {
        return readable(bytes);
    }
    let mut end = max;
    // Not inside a character: its first byte is at most three bytes before.
    while end > max.saturating_sub(3) && bytes[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    format!("{}… [cut: {} bytes]", readable(&bytes[..end]), bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(text: &str, kind: Kind) -> Value {
        Cell { text: Some(Cow::Borrowed(text.as_bytes())), kind }.value(64)
    }

    #[test]
    fn values_are_typed() {
        assert_eq!(cell("52", Kind::Number), Value::from(52));
        assert_eq!(cell("-0.50", Kind::Number), Value::from(-0.5));
        assert_eq!(cell("18446744073709551615", Kind::Number), Value::from(u64::MAX));
        assert_eq!(cell("NaN", Kind::Number), Value::from("NaN"));
        assert_eq!(cell("-Infinity", Kind::Number), Value::from("-Infinity"));
        assert_eq!(cell("t", Kind::Bool), Value::Bool(true));
        assert_eq!(cell("t", Kind::Text), Value::from("t"));
        assert_eq!(cell("52", Kind::Text), Value::from("52"));
    }

    #[test]
    fn cut_says_the_true_size() {
        assert_eq!(cut("äää".as_bytes(), 3), "ä… [cut: 6 bytes]");
        assert_eq!(cut(b"\xff\xfe", 10), "\\xff\\xfe");
        assert_eq!(cut(b"abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut(bytes in proptest::collection::vec(any::<u8>(), 0..64), max in 0_usize..70) {
            let text = cut(&bytes, max);
            prop_assert!(text.len() <= 4 * max + 32);
        }
    }
}
