//! Rows as an aligned table of plain text, as psql draws them, bounded in width.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::run::clean;

/// Columns one cell may take.
const CELL: usize = 48;

/// Header, rule and rows, each at most `width` columns wide; what does not fit ends in "…".
/// Numbers (by `types`) stand right, NULL is said as a word.
pub fn table(names: &[String], types: &[String], rows: &[Vec<Option<String>>], width: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).chain([names.len()]).max().unwrap_or(0);
    let head: Vec<String> = (0..columns).map(|i| cell(names.get(i).map(String::as_str))).collect();
    let body: Vec<Vec<String>> =
        rows.iter().map(|row| (0..columns).map(|i| cell(row.get(i).and_then(Option::as_deref))).collect()).collect();
    let widths: Vec<usize> =
        (0..columns).map(|i| body.iter().chain([&head]).map(|row| row[i].width()).max().unwrap_or(0)).collect();
    let right: Vec<bool> = (0..columns).map(|i| types.get(i).is_some_and(|t| is_number(t))).collect();
    let draw = |row: &Vec<String>| {
        let cells = (0..columns).map(|i| pad(&row[i], widths[i], right[i]));
        fit(cells.collect::<Vec<_>>().join(" │ ").trim_end(), width)
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut lines = vec![draw(&head), fit(&rule.join("─┼─"), width)];
    lines.extend(body.iter().map(draw));
    lines
}

fn cell(text: Option<&str>) -> String {
    match text {
        Some(text) => fit(&clean::line(text, CELL), CELL),
        None => "NULL".to_owned(),
    }
}

fn is_number(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let starts = ["int", "float", "numeric", "decimal", "double", "real", "bigint", "smallint", "oid"];
    starts.iter().any(|start| kind.starts_with(start)) && !kind.starts_with("interval")
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let gap = " ".repeat(width.saturating_sub(text.width()));
    if right { format!("{gap}{text}") } else { format!("{text}{gap}") }
}

/// `text` in at most `width` columns; cut between graphemes.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > width {
            break;
        }
        out.push_str(grapheme);
    }
    out + "…"
}
