//! Results as aligned tables, in the way of psql: every column as wide as it needs, numbers to the right, NULL told apart.

use ratatui::text::{Line, Span};

use super::text;
use super::theme::{Ink, Look};
use crate::run::clean;
use crate::run::output::{Line as Out, OutputLog};

/// No column is made wider than this while others wait for room.
const WIDEST: usize = 200;
/// No column is squeezed below this before columns are left out instead.
const NARROWEST: usize = 8;

/// The output of an attempt in `width` columns; tables start at their column number `skip`.
pub fn lines(output: &OutputLog, width: usize, skip: usize, look: Look) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    if output.dropped > 0 {
        let text = format!("… {} are no longer kept here", text::plural(output.dropped as usize, "earlier line"));
        out.push(styled(text, look, Ink::Dim));
    }
    let mut block: Vec<&Out> = Vec::new();
    for line in &output.lines {
        let starts = matches!(line, Out::Header { .. });
        let belongs = starts || matches!(line, Out::Row(_));
        if (starts || !belongs) && !block.is_empty() {
            table(&std::mem::take(&mut block), width, skip, look, &mut out);
        }
        if belongs {
            block.push(line);
        } else {
            plain(line, width, look, &mut out);
        }
    }
    if !block.is_empty() {
        table(&block, width, skip, look, &mut out);
    }
    out
}

fn styled(text: String, look: Look, ink: Ink) -> Line<'static> {
    Line::styled(text, look.style(ink))
}

fn plain(line: &Out, width: usize, look: Look, out: &mut Vec<Line<'static>>) {
    match line {
        Out::Notice { severity, text } => {
            let text = format!("{}: {}", clean::line(severity, 20), clean::block(text));
            out.extend(text::wrap(&text, width).into_iter().map(|line| styled(line, look, Ink::Warn)));
        }
        Out::Text { stream, text } => {
            let ink = if stream == "err" { Ink::Warn } else { Ink::Text };
            let text = clean::block(text);
            let lines = text::wrap(text.trim_end_matches('\n'), width);
            out.extend(lines.into_iter().map(|line| styled(line, look, ink)));
        }
        Out::End { rows, affected, ms, .. } => {
            let what = match (rows, affected) {
                (0, 0) => "done".to_owned(),
                (0, n) => format!("{} written", text::plural(*n as usize, "row")),
                (n, _) => text::plural(*n as usize, "row"),
            };
            out.push(styled(format!("({what} in {})", text::took(*ms)), look, Ink::Dim));
        }
        Out::Header { .. } | Out::Row(_) => {}
    }
}

struct Column {
    name: String,
    number: bool,
    width: usize,
}

fn table(block: &[&Out], width: usize, skip: usize, look: Look, out: &mut Vec<Line<'static>>) {
    let mut columns = measure(block);
    if columns.is_empty() {
        return;
    }
    let skip = skip.min(columns.len() - 1);
    let hidden = fit(&mut columns[skip..], width);
    let end = columns.len() - hidden;
    let shown = &columns[skip..end];
    let bar = || Span::styled(" │ ", look.style(Ink::Border));
    for line in block {
        match line {
            Out::Header { .. } => {
                let mut spans = vec![Span::raw(" ")];
                for (n, column) in shown.iter().enumerate() {
                    if n > 0 {
                        spans.push(bar());
                    }
                    spans.push(Span::styled(place(&column.name, column), look.style(Ink::Strong)));
                }
                if let Some(words) = hint(skip, hidden) {
                    spans.push(Span::styled(words, look.style(Ink::Dim)));
                }
                out.push(Line::from(spans));
                out.push(styled(rule(shown, "┼"), look, Ink::Border));
            }
            Out::Row(cells) => {
                let mut spans = vec![Span::raw(" ")];
                for (n, column) in shown.iter().enumerate() {
                    if n > 0 {
                        spans.push(bar());
                    }
                    spans.push(match cells.get(skip + n) {
                        Some(Some(cell)) => Span::raw(place(&clean::line(cell, WIDEST), column)),
                        Some(None) => Span::styled(place("NULL", column), look.style(Ink::Dim)),
                        None => Span::raw(place("", column)),
                    });
                }
                out.push(Line::from(spans));
            }
            _ => {}
        }
    }
    // The end of what is known of it so far: more rows go above.
    out.push(styled(rule(shown, "┴"), look, Ink::Border));
}

fn rule(shown: &[Column], cross: &str) -> String {
    let parts: Vec<String> = shown.iter().map(|column| "─".repeat(column.width + 2)).collect();
    parts.join(cross)
}

fn place(cell: &str, column: &Column) -> String {
    if column.number { text::right(cell, column.width) } else { text::left(cell, column.width) }
}

fn hint(skip: usize, hidden: usize) -> Option<String> {
    match (skip, hidden) {
        (0, 0) => None,
        (_, 0) => Some(format!("  ← {skip} more")),
        (0, _) => Some(format!("  {hidden} more →")),
        _ => Some(format!("  ← {skip}, {hidden} →")),
    }
}

fn measure(block: &[&Out]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for line in block {
        match line {
            Out::Header { names, types } => {
                columns = names
                    .iter()
                    .enumerate()
                    .map(|(n, name)| {
                        let name = clean::line(name, WIDEST);
                        Column {
                            width: text::width(&name).max(1),
                            name,
                            number: types.get(n).is_some_and(|name| is_number(name)),
                        }
                    })
                    .collect();
            }
            Out::Row(cells) => {
                for (n, cell) in cells.iter().enumerate() {
                    let wide = cell.as_ref().map_or(4, |cell| text::width(&clean::line(cell, WIDEST)));
                    match columns.get_mut(n) {
                        Some(column) => column.width = column.width.max(wide),
                        None => columns.push(Column { name: String::new(), number: false, width: wide.max(1) }),
                    }
                }
            }
            _ => {}
        }
    }
    columns
}

fn is_number(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let starts =
        ["int", "bigint", "smallint", "numeric", "decimal", "float", "double", "real", "oid", "money", "serial"];
    starts.iter().any(|start| name.starts_with(start)) && !name.starts_with("interval") && !name.ends_with("[]")
}

/// Squeezes the widest columns until all fit; answers how many at the end must be left out all the same.
fn fit(columns: &mut [Column], width: usize) -> usize {
    let total = |columns: &[Column], most: usize| -> usize {
        columns.iter().map(|column| column.width.min(most) + 3).sum::<usize>().saturating_sub(2)
    };
    let widest = columns.iter().map(|column| column.width).max().unwrap_or(0);
    let room = |most: usize| total(columns, most) < width;
    let (mut low, mut high) = (NARROWEST.min(widest), widest);
    if room(high) {
        return 0;
    }
    // The largest bound that still fits.
    while low < high {
        let middle = (low + high).div_ceil(2);
        if room(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if !room(low) {
        // Not even squeezed: full widths, as many columns as there is room for, the rest by moving right.
        return leave_out(columns, width);
    }
    for column in columns.iter_mut() {
        column.width = column.width.min(low);
    }
    0
}

fn leave_out(columns: &mut [Column], width: usize) -> usize {
    let note = 14;
    let mut used = 1;
    let mut shown = 0;
    let most = width.saturating_sub(note + 2).max(1);
    for column in columns.iter_mut() {
        column.width = column.width.min(most);
        if shown > 0 && used + column.width + 3 + note > width {
            break;
        }
        used += column.width + 3;
        shown += 1;
    }
    columns.len() - shown
}

/// The tables of an output as CSV, one after the other with an empty line between; none where there is no table.
pub fn csv(output: &OutputLog) -> Option<String> {
    let mut out = String::new();
    let mut any = false;
    for line in &output.lines {
        match line {
            Out::Header { names, .. } => {
                if any {
                    out.push('\n');
                }
                any = true;
                csv_row(names.iter().map(|name| Some(name.as_str())), &mut out);
            }
            Out::Row(cells) => csv_row(cells.iter().map(Option::as_deref), &mut out),
            _ => {}
        }
    }
    any.then_some(out)
}

/// NULL is nothing at all, an empty text is `""`.
fn csv_row<'a>(cells: impl Iterator<Item = Option<&'a str>>, out: &mut String) {
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            out.push(',');
        }
        match cell {
            None => {}
            Some(cell) if cell.is_empty() || cell.contains([',', '"', '\n', '\r']) || cell.trim() != cell => {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            }
            Some(cell) => out.push_str(cell),
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(names: &[&str], types: &[&str], rows: &[&[Option<&str>]]) -> OutputLog {
        let mut log = OutputLog::default();
        log.lines.push_back(Out::Header {
            names: names.iter().map(|s| (*s).to_owned()).collect(),
            types: types.iter().map(|s| (*s).to_owned()).collect(),
        });
        for row in rows {
            log.lines.push_back(Out::Row(row.iter().map(|cell| cell.map(str::to_owned)).collect()));
        }
        log
    }

    fn shown(log: &OutputLog, width: usize, skip: usize) -> String {
        let lines = lines(log, width, skip, Look::default());
        let text: Vec<String> = lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect();
        text.join("\n")
    }

    #[test]
    fn aligns_like_psql() {
        let log = output(&["count", "state"], &["int8", "text"], &[&[Some("3"), Some("ok")], &[Some("1204"), None]]);
        insta::assert_snapshot!(shown(&log, 40, 0), @r"
         count │ state
        ───────┼───────
             3 │ ok
          1204 │ NULL
        ───────┴───────
        ");
    }

    #[test]
    fn squeezes_then_leaves_columns_out() {
        let log = output(
            &["id", "statement", "detail"],
            &["int4", "text", "text"],
            &[&[Some("1"), Some("alter table orders add column"), Some("waiting for a lock on orders")]],
        );
        let shown = [(44, 0), (22, 0), (44, 2)].map(|(width, skip)| shown(&log, width, skip));
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn csv_tells_null_from_empty() {
        let log = output(&["a", "b"], &["text", "text"], &[&[None, Some("")], &[Some("x,\"y\""), Some("z")]]);
        assert_eq!(csv(&log).unwrap(), "a,b\n,\"\"\n\"x,\"\"y\"\"\",z\n");
    }
}
