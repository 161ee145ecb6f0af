//! A value in a shell script is one quoted word; inside quotes or a here-document of the script it would come apart.

use std::ops::Range;

use crate::runbook::Runbook;
use crate::runbook::parse::Notes;
use crate::runbook::sql::{is_bare, mask};
use crate::runbook::text::Located;

pub(super) fn check(notes: &Notes<'_>, runbook: &Runbook, text: &Located, emits: &[(Range<usize>, Option<String>)]) {
    let unsafe_at = unsafe_places(&mask(&text.text));
    for (at, name) in emits {
        if is_bare(name.as_deref(), &runbook.vars) {
            continue;
        }
        let Some((_, what)) = unsafe_at.iter().find(|(range, _)| range.contains(&at.start)) else {
            continue;
        };
        let message = format!("a template inside {what} of the shell is not safe");
        let hint = match *what {
            "a here-document" => "hand it to the command as an argument: printf '%s\\n' {{ name }} | …",
            _ => "write it without quotes: a value becomes one quoted word by itself",
        };
        notes.within(text, at.clone(), message, hint);
    }
}

/// Bytes of the script in quotes, in back-ticks, or after the start of a here-document.
fn unsafe_places(script: &str) -> Vec<(Range<usize>, &'static str)> {
    let bytes = script.as_bytes();
    let mut places = Vec::new();
    let mut at = 0;
    let mut word_start = true;
    // Words that end the here-documents which begin on the next line.
    let mut bodies: Vec<(String, bool)> = Vec::new();
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => {
                let ansi = start > 0 && bytes[start - 1] == b'$';
                at = close(bytes, start + 1, b'\'', ansi);
                places.push((start..at, "quotes"));
            }
            b'"' => {
                at = close(bytes, start + 1, b'"', true);
                places.push((start..at, "quotes"));
            }
            b'`' => {
                at = close(bytes, start + 1, b'`', true);
                places.push((start..at, "back-ticks"));
            }
            b'#' if word_start => {
                at = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
            }
            b'<' if bytes[at..].starts_with(b"<<<") => at += 3,
            b'<' if bytes[at..].starts_with(b"<<") => {
                bodies.push(delimiter(&script[at + 2..]));
                at += 2;
            }
            b'\n' if !bodies.is_empty() => {
                at = bodies.drain(..).fold(at + 1, |from, (word, tabs)| from + body(&script[from..], &word, tabs));
                places.push((start..at, "a here-document"));
            }
            _ => at += 1,
        }
        word_start = bytes
            .get(start)
            .is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'(' | b'&' | b'|'));
    }
    places
}

/// The word that ends a here-document, from what follows its `<<`, and whether tabs may stand before it.
fn delimiter(after: &str) -> (String, bool) {
    let tabs = after.starts_with('-');
    let after = after.strip_prefix('-').unwrap_or(after).trim_start_matches([' ', '\t']);
    let end = after.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c));
    (after[..end.unwrap_or(after.len())].replace(['\'', '"', '\\'], ""), tabs)
}

/// Bytes of a here-document with the line that ends it; all there is where nothing does.
fn body(text: &str, word: &str, tabs: bool) -> usize {
    let mut size = 0;
    for line in text.split_inclusive('\n') {
        size += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = if tabs { line.trim_start_matches('\t') } else { line };
        if line == word {
            break;
        }
    }
    size
}

/// The byte after the closing quote.
fn close(bytes: &[u8], from: usize, quote: u8, escapes: bool) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_unsafe(script: &str) -> bool {
        let at = script.find('X').unwrap();
        unsafe_places(script).iter().any(|(range, _)| range.contains(&at))
    }

    #[test]
    fn knows_quotes_comments_and_here_documents() {
        for script in [
            "echo 'X'",
            "echo \"$(X)\"",
            "echo `X`",
            "cat <<EOF\nX\nEOF",
            "cat <<EOF\nX",
            "cat <<EOF\n\tEOF\nX\nEOF",
            "cat <<-'A' <<B\na\n\tA\nX\nB",
            "echo $'a\\'X'",
        ] {
            assert!(is_unsafe(script), "{script}");
        }
        for script in [
            "echo X",
            "# don't\necho X",
            "cat <<<X",
            "cat <<EOF\ndon't\nEOF\necho X",
            "cat <<-EOF | wc -l\na\n\tEOF\nX",
            "echo \"a\\\"b\" X",
            "a=1; echo 'it'\\''s' X",
        ] {
            assert!(!is_unsafe(script), "{script}");
        }
    }
}
