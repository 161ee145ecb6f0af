//! A text of the runbook that remembers where each of its bytes stood in the file.

use std::ops::Range;

/// A string as it reads, with its place: quotes and escapes of TOML stay outside.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub text: String,
    /// None: the runbook itself. Some: a file it names, by its path as written.
    pub file: Option<String>,
    /// The bytes of the file that hold it, quotes included.
    pub span: Range<usize>,
}

impl Located {
    /// The whole text of a file.
    pub fn of_file(path: &str, text: &str) -> Self {
        Self { text: text.to_owned(), file: Some(path.to_owned()), span: 0..text.len() }
    }

    /// Bytes of the file for bytes of the text; `source`: the file's text.
    pub fn place(&self, source: &str, part: Range<usize>) -> Range<usize> {
        if self.file.is_some() {
            return part;
        }
        let Some(token) = source.get(self.span.clone()) else {
            return self.span.clone();
        };
        match (raw(token, &self.text, part.start), raw(token, &self.text, part.end)) {
            (Some(start), Some(end)) => self.span.start + start..self.span.start + end.max(start),
            _ => self.span.clone(),
        }
    }
}

/// Where byte `wanted` of `decoded` stands in the TOML token `token`, quotes included.
/// None where the token is not a string that decodes to it.
fn raw(token: &str, decoded: &str, wanted: usize) -> Option<usize> {
    let all = places(token, decoded, wanted)?;
    // Inside of a sign nothing has a place of its own.
    decoded.is_char_boundary(wanted).then(|| all.get(wanted).copied())?
}

/// The same for every byte up to `last`: of a text with many places they are found in one go.
pub(super) fn places(token: &str, decoded: &str, last: usize) -> Option<Vec<usize>> {
    let (quote, escapes) = match token.as_bytes().first()? {
        b'"' => ("\"", true),
        b'\'' => ("'", false),
        _ => return None,
    };
    let long = quote.repeat(3);
    let is_long = token.len() >= 6 && token.starts_with(&long);
    let mut at = if is_long { 3 } else { 1 };
    if is_long {
        let body = &token[at..];
        at += if body.starts_with("\r\n") { 2 } else { usize::from(body.starts_with('\n')) };
    }
    if !escapes {
        let fits = at + last <= token.len() && token.get(at..)?.starts_with(decoded);
        return fits.then(|| (at..=at + last).collect());
    }
    let end = token.len() - if is_long { 3 } else { 1 };
    let mut all = Vec::new();
    while all.len() <= last {
        match token.get(at..end).and_then(unit) {
            // A line that is continued starts where its words do.
            Some((used, 0)) => at += used,
            Some((used, made)) => {
                all.extend(std::iter::repeat_n(at, made));
                at += used;
            }
            None if all.len() == last => all.push(at),
            None => return None,
        }
    }
    Some(all)
}

/// Bytes used and bytes made by the first character or escape of a basic string's body.
fn unit(body: &str) -> Option<(usize, usize)> {
    let mut chars = body.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let digits = |n: usize| {
        let code = u32::from_str_radix(body.get(2..2 + n)?, 16).ok()?;
        Some((2 + n, char::from_u32(code)?.len_utf8()))
    };
    match chars.next()? {
        'u' => digits(4),
        'U' => digits(8),
        'x' => digits(2),
        ' ' | '\t' | '\r' | '\n' => {
            let rest = &body[1..];
            Some((1 + rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len(), 0))
        }
        other => Some((1 + other.len_utf8(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str, text: &str, needle: &str) -> String {
        let start = text.find(needle).unwrap();
        let located = Located { text: text.to_owned(), file: None, span: 0..source.len() };
        let place = located.place(source, start..start + needle.len());
        source[place].to_owned()
    }

    #[test]
    fn places_survive_quotes_and_escapes() {
        assert_eq!(at("'a == b'", "a == b", "b"), "b");
        assert_eq!(at(r#""a \"x\" == b""#, "a \"x\" == b", "b"), "b");
        assert_eq!(at("\"\"\"\na\n\\\n   b\"\"\"", "a\nb", "b"), "b");
        assert_eq!(at("'''\na\nb'''", "a\nb", "b"), "b");
        assert_eq!(at(r#""\u00e9 b""#, "é b", "b"), "b");
        assert_eq!(at("\"\"\"\r\na b\"\"\"", "a b", "b"), "b");
        assert_eq!(at("\"\"\"\na\n\\\n   b\\\n  \"\"\"", "a\nb", "b"), "b\\\n  ");
    }

    #[test]
    fn a_text_that_does_not_fit_its_token_is_pointed_at_as_a_whole() {
        assert_eq!(at("wrong", "a b", "b"), "wrong");
        assert_eq!(at("'x'", "a b", "b"), "'x'");
    }
}
