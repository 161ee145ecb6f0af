//! Foreign text in Markdown: it is read, never obeyed.

use crate::run::clean;

/// Graphemes of a text inside a line or a cell.
const LINE: usize = 400;

/// Text inside a line or a table's cell: one line, every character that Markdown would act on escaped.
pub fn inline(text: &str) -> String {
    let text = clean::line(text.trim(), LINE);
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    for (i, c) in chars.iter().enumerate() {
        if acts(&chars, i) {
            out.push('\\');
        }
        out.push(*c);
    }
    out
}

/// Whether character `i` would mean something where it stands.
fn acts(chars: &[char], i: usize) -> bool {
    let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    match chars[i] {
        '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' => true,
        // Within a word an underscore is only itself.
        '_' => !(is_word(i.checked_sub(1)) && is_word(Some(i + 1))),
        // A bare address would become a link.
        ':' => chars[i + 1..].starts_with(&['/', '/']),
        // `1.` begins a list where a space follows.
        '.' | ')' if i > 0 && chars[..i].iter().all(char::is_ascii_digit) => {
            matches!(chars.get(i + 1), None | Some(' '))
        }
        '.' => chars[..i].ends_with(&['w', 'w', 'w']),
        '#' | '+' | '-' | '=' => i == 0,
        _ => false,
    }
}

/// A name in code font where it is a plain name, else as [`inline`].
pub fn code(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/@= ".contains(c);
    match !text.is_empty() && text.len() < LINE && text.chars().all(plain) && text.trim() == text {
        true => format!("`{text}`"),
        false => inline(text),
    }
}

/// Text of several lines in a fence that is longer than any inside it. `language`: ours, or empty.
pub fn fence(text: &str, language: &str) -> String {
    let text = clean::block(text.trim_end());
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}
