//! Text in cells: cut, padded, wrapped by display width. Everything here expects text that was cleaned.

use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::run::describe;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` cut to `columns`; a cut shows as `…`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if used + wide > columns - 1 {
            break;
        }
        used += wide;
        out.push_str(grapheme);
    }
    out.push('…');
    out
}

/// `text` cut to `columns` in its middle: its beginning and its end are kept.
pub fn middle(text: &str, columns: usize) -> String {
    if width(text) <= columns || columns < 3 {
        return cut(text, columns);
    }
    let tail = (columns - 1) / 2;
    let mut end = text.len();
    for (at, _) in text.grapheme_indices(true).rev() {
        if width(&text[at..]) > tail {
            break;
        }
        end = at;
    }
    cut(text, columns - width(&text[end..])) + &text[end..]
}

/// `name` cut to `columns`, so that it is still told from the other `names`: at its end where that does, else in its middle,
/// else before the word in which it differs.
pub fn apart<'a>(name: &str, names: impl Iterator<Item = &'a str>, columns: usize) -> String {
    let short = cut(name, columns);
    let Some(kept) = short.strip_suffix('…').filter(|_| short != name) else {
        return short;
    };
    let twins: Vec<&str> = names.filter(|other| *other != name && other.starts_with(kept)).collect();
    if twins.is_empty() {
        return short;
    }
    let both_ends = middle(name, columns);
    if twins.iter().all(|twin| middle(twin, columns) != both_ends) {
        return both_ends;
    }
    let differs = twins.iter().map(|twin| common(name, twin)).max().unwrap_or(0);
    let before = name[..differs].char_indices().rev().find(|(_, c)| !c.is_alphanumeric());
    let word = before.map_or(0, |(at, c)| at + c.len_utf8());
    let from = if width(&name[word..differs]) + 3 < columns { word } else { differs };
    cut(&format!("…{}", &name[from..]), columns)
}

/// Bytes with which both begin, at the end of a character.
fn common(one: &str, other: &str) -> usize {
    let same = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    same.map_or(one.len().min(other.len()), |((at, _), _)| at)
}

/// `text` in exactly `columns`, to the left.
pub fn left(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

/// `text` in exactly `columns`, to the right.
pub fn right(text: &str, columns: usize) -> String {
    let cut = cut(text, columns);
    let gap = columns.saturating_sub(width(&cut));
    " ".repeat(gap) + &cut
}

/// The lines of `text`, none wider than `columns`: broken at spaces where there are some.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    text.split('\n').flat_map(|line| wrap_line(line, columns)).collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| *c == ' ').take(columns / 2).collect();
    let mut out = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in words(line) {
        let wide = width(word);
        if used + wide <= columns {
            current.push_str(word);
            used += wide;
            continue;
        }
        if word.trim().is_empty() {
            continue;
        }
        if wide + indent.len() <= columns && !current.trim().is_empty() {
            out.push(std::mem::replace(&mut current, indent.clone()).trim_end().to_owned());
            current.push_str(word);
            used = indent.len() + wide;
            continue;
        }
        for grapheme in word.graphemes(true) {
            let wide = grapheme.width();
            if used + wide > columns && !current.is_empty() {
                out.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push_str(grapheme);
            used += wide;
        }
    }
    out.push(current);
    out
}

/// Runs of spaces and of everything else, in turn.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let space = rest.chars().next()? == ' ';
        let end = rest.find(|c: char| (c == ' ') != space).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Numbers with their thousands apart: `1,204`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A measured value: few digits, as many as help.
pub fn value(v: f64) -> String {
    match v.abs() {
        a if a >= 1e15 || (a > 0.0 && a < 0.005) => format!("{v:.1e}"),
        a if a >= 1000.0 && v.fract() == 0.0 => {
            let sign = if v < 0.0 { "-" } else { "" };
            format!("{sign}{}", count(a as u64))
        }
        _ if v.fract() == 0.0 => format!("{v:.0}"),
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        _ => format!("{v:.2}"),
    }
}

/// A measured duration: milliseconds are told where seconds would say nothing.
pub fn took(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { describe::duration(ms) }
}

/// A planned duration, short: `30m`, `1h`, `1h30`, `45s`, `0.2 s`.
pub fn planned(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0 => took(u64::from(duration.subsec_millis())),
        1..60 if duration.subsec_millis() > 0 => describe::duration(duration.as_millis() as u64),
        1..60 => format!("{s}s"),
        60..3600 if s.is_multiple_of(60) => format!("{}m", s / 60),
        60..3600 => format!("{}m{:02}", s / 60, s % 60),
        _ if s % 3600 < 60 => format!("{}h", s / 3600),
        _ => format!("{}h{:02}", s / 3600, s % 3600 / 60),
    }
}

/// `1 line`, `3 lines`.
pub fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n as u64)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run::clean;

    #[test]
    fn cuts_and_pads_by_columns() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(left("日本語", 5), "日本…");
        assert_eq!(left("日本語", 4), "日… ");
        assert_eq!(right("7", 3), "  7");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn wraps_at_words_and_keeps_indents() {
        assert_eq!(wrap("drop the table then retry", 10), ["drop the", "table then", "retry"]);
        assert_eq!(wrap("  select aaaa, bbbb", 12), ["  select", "  aaaa, bbbb"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(
            [value(0.21), value(41.0), value(1234.0), value(12.34), value(0.0)],
            ["0.21", "41", "1,234", "12.3", "0"]
        );
        assert_eq!(planned(Duration::from_secs(5400)), "1h30");
        assert_eq!(planned(Duration::from_millis(234)), "234 ms");
        assert_eq!(planned(Duration::from_secs(1800)), "30m");
    }

    proptest! {
        #[test]
        fn never_wider_than_asked(text in "\\PC{0,60}", columns in 1usize..40) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
            prop_assert_eq!(width(&left(&text, columns)), columns);
            // One character with its marks may be this wide; it is never cut in two.
            let room = columns.max(6);
            for line in wrap(&clean::line(&text, 60), room) {
                prop_assert!(width(&line) <= room);
            }
        }

        #[test]
        fn names_told_apart_are_cut_at_characters(
            start in "\\PC{0,20}", one in "[“–→·é a]{0,3}\\PC{0,12}", two in "[“–→·é a]{0,3}\\PC{0,12}", columns in 1usize..40
        ) {
            let (one, two) = (start.clone() + &one, start + &two);
            let shown = apart(&one, [one.as_str(), two.as_str()].into_iter(), columns);
            prop_assert!(width(&shown) <= columns.max(6));
        }
    }

    #[test]
    fn names_that_differ_behind_a_wide_separator() {
        let names =
            ["Copy the big region “north” into the new table", "Copy the big region “south” into the new table"];
        assert_eq!(
            names.map(|name| apart(name, names.into_iter(), 20)),
            ["…north” into the ne…", "…south” into the ne…"]
        );
    }
}
