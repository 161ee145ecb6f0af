//! Numbers over time as a row of bars, one sample a column: its threshold dashed across, no data and gaps told apart. Block
//! elements, because every terminal font has them; braille is missing from many.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::{Ink, Look};
use super::view::signal::Threshold;

/// Bars by eighths of a cell.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What one column shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    Value(f64),
    /// It was asked, and there was no number.
    NoData,
    /// Nobody asked: no engine ran, or everything stood still.
    Gap,
}

impl Column {
    fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::NoData | Self::Gap => None,
        }
    }
}

/// A chart of `rows` lines and `columns` columns, newest sample at the right.
pub fn lines(
    values: &[Column],
    threshold: Option<Threshold>,
    columns: usize,
    rows: usize,
    look: Look,
) -> Vec<Line<'static>> {
    if columns == 0 || rows == 0 {
        return Vec::new();
    }
    let label = threshold.map(|t| format!(" {}", text::value(t.value)));
    let label = label.filter(|label| text::width(label) * 2 < columns).unwrap_or_default();
    let plot = columns.saturating_sub(text::width(&label)).max(1);
    let values = &values[values.len().saturating_sub(plot)..];
    let scale = Scale::of(values, threshold, rows);
    let chart = Chart {
        values,
        threshold,
        limit: threshold.map(|t| (scale.level(t.value) - 1) / BARS.len()),
        scale,
        plot,
        label,
        look,
    };
    (0..rows).rev().map(|row| chart.line(row)).collect()
}

struct Scale {
    low: f64,
    high: f64,
    levels: usize,
}

impl Scale {
    fn of(values: &[Column], threshold: Option<Threshold>, rows: usize) -> Self {
        let values = values.iter().filter_map(|column| column.value());
        let all = || values.clone().filter(|v| v.is_finite()).chain(threshold.map(|t| t.value));
        let low = all().fold(0.0, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        Self {
            low,
            // Nothing above the line: leave it some air.
            high: if high > low { low + (high - low) * 1.05 } else { low + 1.0 },
            levels: rows * BARS.len(),
        }
    }

    /// Eighths of a cell, at least one: nothing measured is told apart from a measured nothing.
    fn level(&self, value: f64) -> usize {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        ((share * self.levels as f64).round() as usize).clamp(1, self.levels)
    }
}

struct Chart<'a> {
    values: &'a [Column],
    threshold: Option<Threshold>,
    /// The row its line runs through.
    limit: Option<usize>,
    scale: Scale,
    plot: usize,
    label: String,
    look: Look,
}

impl Chart<'_> {
    fn line(&self, row: usize) -> Line<'static> {
        let here = self.limit == Some(row);
        let empty = (if here { '┄' } else { ' ' }, Ink::Dim);
        let mut spans: Vec<Span<'static>> = Vec::new();
        let blank = self.plot - self.values.len();
        let cells = self.values.iter().map(|value| self.cell(*value, row).unwrap_or(empty));
        for (c, ink) in std::iter::repeat_n(empty, blank).chain(cells) {
            let mut style = self.look.style(ink);
            let mut c = c;
            if here && c == '█' {
                // The line goes on over the bars.
                style = style.add_modifier(Modifier::REVERSED);
                c = '┄';
            }
            match spans.last_mut() {
                Some(last) if last.style == style => last.content.to_mut().push(c),
                _ => spans.push(Span::styled(c.to_string(), style)),
            }
        }
        let tail = if here { self.label.clone() } else { " ".repeat(text::width(&self.label)) };
        spans.push(Span::styled(tail, self.look.style(Ink::Dim)));
        Line::from(spans)
    }

    /// What a sample shows in a row; none: nothing.
    fn cell(&self, column: Column, row: usize) -> Option<(char, Ink)> {
        let Some(value) = column.value().filter(|value| value.is_finite()) else {
            let mark = if column == Column::Gap { ('·', Ink::Dim) } else { ('×', Ink::Warn) };
            return (row == 0).then_some(mark);
        };
        let eighths = self.scale.level(value).checked_sub(row * BARS.len() + 1)?;
        let bad = self.threshold.is_some_and(|t| t.breached(value));
        Some((BARS[eighths.min(BARS.len() - 1)], if bad { Ink::Bad } else { Ink::Bar }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[Column], threshold: Option<f64>, columns: usize, rows: usize) -> String {
        let threshold = threshold.map(|value| Threshold { value, above: true });
        let lines = lines(values, threshold, columns, rows, Look::default());
        let text: Vec<String> = lines.iter().map(|line| format!("[{line}]")).collect();
        text.join("\n")
    }

    #[test]
    fn draws_values_threshold_and_gaps() {
        let values: Vec<Column> = [0.0, 0.2, 0.4, 0.8, 1.6, 2.4, 2.0, 1.0].into_iter().map(Column::Value).collect();
        let whole = shown(&values, Some(2.0), 14, 3);
        let mut gap = values.clone();
        gap[2] = Column::NoData;
        gap[3] = Column::NoData;
        insta::assert_snapshot!([whole, shown(&gap, None, 8, 2)].join("\n\n"));
        gap[4] = Column::Gap;
        gap[5] = Column::Gap;
        insta::assert_snapshot!(shown(&gap, None, 8, 2), @r"
        [      ▇ ]
        [▁▂××··██]
        ");
    }

    #[test]
    fn odd_input_never_breaks_it() {
        let low = Threshold { value: -1e300, above: false };
        let far = vec![Column::Value(f64::MAX), Column::Value(f64::MIN)];
        for values in [vec![], vec![Column::Value(f64::NAN)], far, vec![Column::NoData; 700], vec![Column::Gap; 9]] {
            for (columns, rows) in [(0, 0), (1, 1), (3, 2), (500, 9)] {
                for line in lines(&values, Some(low), columns, rows, Look::default()) {
                    assert!(line.width() <= columns);
                }
            }
        }
    }
}
