//! Foreign text made safe to look at: the only way bytes of a database, a command or a metric reach a terminal or a file.

use unicode_segmentation::UnicodeSegmentation;

/// Combining marks shown on one character; more is an attack on the eye.
const MARKS: usize = 3;

/// A word as a shell takes it: in quotes where something in it would mean more than itself. Clean it before.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,^".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `text` as one line of at most `max` graphemes: line breaks as `⏎`, tabs as a space, every control, bidi,
/// zero-width and tag character as a visible escape (`\x1b`, `\u{202e}`).
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    for (n, grapheme) in text.graphemes(true).enumerate() {
        if n == max {
            out.push('…');
            break;
        }
        match grapheme {
            "\n" | "\r\n" => out.push('⏎'),
            "\t" => out.push(' '),
            _ => visible(grapheme, &mut out),
        }
    }
    out
}

/// `text` with its line breaks kept, everything else as in [`line`].
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        match grapheme {
            "\n" | "\r\n" => out.push('\n'),
            "\t" => out.push_str("    "),
            _ => visible(grapheme, &mut out),
        }
    }
    out
}

/// `json`, an already serialised JSON text, with every hostile character as its `\u` escape: another spelling of the
/// same value (such characters can stand nowhere but in strings), safe to look at.
pub fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) && !matches!(c, '\n' | '\t') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn visible(grapheme: &str, out: &mut String) {
    for (n, c) in grapheme.chars().enumerate() {
        if is_hostile(c) {
            match c as u32 {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code => out.push_str(&format!("\\u{{{code:x}}}")),
            }
        } else if n <= MARKS {
            out.push(c);
        }
    }
}

/// True for characters that would act on a terminal, or hide, instead of being seen.
pub fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_shown_not_sent() {
        assert_eq!(line("a\x1b]52;c;eA==\x07b", 80), "a\\x1b]52;c;eA==\\x07b");
        assert_eq!(line("x\u{202e}y\u{9b}z\x7f", 80), "x\\u{202e}y\\x9bz\\x7f");
        assert_eq!(line("one\ntwo\tthree", 80), "one⏎two three");
        assert_eq!(block("one\r\ntwo\tthree"), "one\ntwo    three");
        assert_eq!(line("abcdef", 3), "abc…");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_part_them() {
        assert_eq!(word("windows/über-uns/runbook.toml"), "windows/über-uns/runbook.toml");
        for (text, quoted) in [("it's", "'it'\\''s'"), ("a b", "'a b'"), ("$x", "'$x'"), ("", "''"), ("~", "'~'")] {
            assert_eq!(word(text), quoted);
        }
    }

    proptest! {
        #[test]
        fn nothing_hostile_passes(text in any::<String>()) {
            prop_assert!(!line(&text, 200).chars().any(is_hostile));
            prop_assert!(!block(&text).chars().any(|c| c != '\n' && is_hostile(c)));
        }
    }
}
