//! A line of numbers in braille: two samples a cell, four dots high, its threshold dashed, gaps left as gaps.

use ratatui::text::{Line, Span};

use super::text;
use super::theme::{Ink, Look};
use super::view::signal::Threshold;

/// Bits of a braille cell by column (left, right) and row (top to bottom).
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A chart of `rows` lines and `columns` columns, newest sample at the right; none is a gap.
pub fn lines(
    values: &[Option<f64>],
    threshold: Option<Threshold>,
    columns: usize,
    rows: usize,
    look: Look,
) -> Vec<Line<'static>> {
    if columns == 0 || rows == 0 {
        return Vec::new();
    }
    let label = threshold.map(|t| format!(" {}", text::value(t.value)));
    let label = label
        .filter(|label| text::width(label) * 2 < columns)
        .unwrap_or_default();
    let plot = columns.saturating_sub(text::width(&label)).max(1);
    let values = &values[values.len().saturating_sub(plot * 2)..];
    let scale = Scale::of(values, threshold, rows);
    let limit = threshold.map(|t| scale.level(t.value) / 4);
    (0..rows)
        .rev()
        .map(|row| line(values, threshold, &scale, row, limit, plot, &label, look))
        .collect()
}

struct Scale {
    low: f64,
    high: f64,
    levels: usize,
}

impl Scale {
    fn of(values: &[Option<f64>], threshold: Option<Threshold>, rows: usize) -> Self {
        let all = || {
            values
                .iter()
                .flatten()
                .copied()
                .filter(|v| v.is_finite())
                .chain(threshold.map(|t| t.value))
        };
        let low = all().fold(0.0, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        Self {
            low,
            // Nothing above the line: leave it some air.
            high: if high > low {
                low + (high - low) * 1.05
            } else {
                low + 1.0
            },
            levels: rows * 4,
        }
    }

    /// 0 the lowest dot, `levels - 1` the highest.
    fn level(&self, value: f64) -> usize {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        ((share * (self.levels - 1) as f64).round() as usize).min(self.levels - 1)
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one row of a picture: its data, its scale, its place"
)]
fn line(
    values: &[Option<f64>],
    threshold: Option<Threshold>,
    scale: &Scale,
    row: usize,
    limit: Option<usize>,
    plot: usize,
    label: &str,
    look: Look,
) -> Line<'static> {
    let blank = plot.saturating_sub(values.len().div_ceil(2));
    let here = limit == Some(row);
    let dash = if here { '┄' } else { ' ' };
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut push = |c: char, ink: Ink| match spans.last_mut() {
        Some(last) if last.style == look.style(ink) => last.content.to_mut().push(c),
        _ => spans.push(Span::styled(c.to_string(), look.style(ink))),
    };
    for _ in 0..blank {
        push(dash, Ink::Dim);
    }
    // Pairs are counted from the newest, so that a picture does not shiver as samples come.
    let odd = values.len() % 2;
    for n in 0..plot - blank {
        let first = (2 * n).checked_sub(odd);
        let pair = [first.and_then(|at| values.get(at)), values.get(2 * n + 1 - odd)];
        let (mut bits, mut bad, mut gap) = (0, false, false);
        for (side, value) in pair.into_iter().enumerate() {
            match value {
                Some(Some(value)) if value.is_finite() => {
                    let before = (2 * n + side)
                        .checked_sub(odd + 1)
                        .and_then(|at| values.get(at))
                        .copied()
                        .flatten();
                    let reached = reached(scale, before, *value, row, side);
                    bad |= reached != 0 && threshold.is_some_and(|t| t.breached(*value));
                    bits |= reached;
                }
                Some(_) => gap = true,
                None => {}
            }
        }
        match (bits, gap && row == 0) {
            (0, true) => push('×', Ink::Warn),
            (0, false) => push(dash, Ink::Dim),
            (bits, _) => push(
                char::from_u32(0x2800 + bits).unwrap_or(' '),
                if bad { Ink::Bad } else { Ink::Active },
            ),
        }
    }
    let tail = if here {
        label.to_owned()
    } else {
        " ".repeat(text::width(label))
    };
    spans.push(Span::styled(tail, look.style(Ink::Dim)));
    Line::from(spans)
}

/// The dots of one sample in a row: its own, and those on the way from the sample before, so that the line holds together.
fn reached(scale: &Scale, before: Option<f64>, value: f64, row: usize, side: usize) -> u32 {
    let level = scale.level(value);
    let (low, high) = match before
        .filter(|before| before.is_finite())
        .map(|before| scale.level(before))
    {
        Some(before) if before < level => (before + 1, level),
        Some(before) if before > level => (level, before - 1),
        _ => (level, level),
    };
    let dots = (low.max(row * 4)..=high.min(row * 4 + 3)).map(|level| DOTS[side][3 - level % 4]);
    dots.fold(0, |bits, dot| bits | dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[Option<f64>], threshold: Option<f64>, columns: usize, rows: usize) -> String {
        let threshold = threshold.map(|value| Threshold { value, above: true });
        let lines = lines(values, threshold, columns, rows, Look::default());
        let text: Vec<String> = lines.iter().map(|line| format!("[{line}]")).collect();
        text.join("\n")
    }

    #[test]
    fn draws_values_threshold_and_gaps() {
        let values: Vec<Option<f64>> = [0.2, 0.2, 0.4, 0.8, 1.6, 2.4, 2.0, 1.0].into_iter().map(Some).collect();
        let whole = shown(&values, Some(2.0), 14, 3);
        let mut gap = values.clone();
        gap[2] = None;
        gap[3] = None;
        insta::assert_snapshot!([whole, shown(&gap, None, 6, 2)].join("\n\n"));
    }

    #[test]
    fn odd_input_never_breaks_it() {
        for values in [
            vec![],
            vec![Some(f64::NAN)],
            vec![Some(f64::MAX), Some(f64::MIN)],
            vec![None; 700],
        ] {
            for (columns, rows) in [(0, 0), (1, 1), (3, 2), (500, 9)] {
                for line in lines(
                    &values,
                    Some(Threshold {
                        value: -1e300,
                        above: false,
                    }),
                    columns,
                    rows,
                    Look::default(),
                ) {
                    assert!(line.width() <= columns);
                }
            }
        }
    }
}
