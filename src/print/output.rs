//! What a running attempt has sent and not yet shown: rows until their statement ends, text until its line does.

use std::collections::BTreeMap;

use super::table::{fit, table};
use crate::run::{Batches, Chunk, clean, limits, words};

/// Rows of a result that are shown; the rest is counted.
const ROWS: usize = 10;
/// Between two lines of a step in batches.
const BATCHES_MS: u64 = 10_000;

#[derive(Default)]
pub struct Pending {
    names: Vec<String>,
    types: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    /// Rows received, shown or not.
    received: u64,
    /// Statements of the script.
    of: u32,
    /// When a step in batches is next told of.
    next_ms: u64,
    /// Unfinished lines, by stream.
    text: BTreeMap<String, String>,
}

impl Pending {
    /// The lines that are complete with `chunk`, each at most `width` columns.
    pub fn push(&mut self, chunk: &Chunk, width: usize) -> Vec<String> {
        match chunk {
            Chunk::Statement { of, .. } => {
                self.of = *of;
                // What a try that failed half-way has left over.
                self.result(None, width)
            }
            Chunk::Columns { names, types, .. } => {
                let rest = self.result(None, width);
                self.names.clone_from(names);
                self.types.clone_from(types);
                rest
            }
            Chunk::Rows { rows, .. } => {
                self.received += rows.len() as u64;
                let room = ROWS.saturating_sub(self.rows.len());
                self.rows.extend(rows.iter().take(room).cloned());
                Vec::new()
            }
            Chunk::StatementEnd { n, rows, affected, ms } => self.statement_end(*n, *rows, *affected, *ms, width),
            Chunk::Notice { severity, text } => {
                vec![fit(&format!("{}: {}", words::name(severity), words::phrase(text)), width)]
            }
            Chunk::Batch(batches) => self.batches(batches, width),
            Chunk::Judged { .. } | Chunk::Probed(_) | Chunk::Inventory { .. } | Chunk::Migrating { .. } => Vec::new(),
            Chunk::File(turn) => vec![fit(&turn.words(), width)],
            Chunk::Text { stream, text } => self.text(stream, text, width),
        }
    }

    /// Now and then how far it is: the lines of a long night stay few.
    fn batches(&mut self, batches: &Batches, width: usize) -> Vec<String> {
        if batches.ms < self.next_ms {
            return Vec::new();
        }
        self.next_ms = batches.ms.saturating_add(BATCHES_MS);
        vec![fit(&batches.words(), width)]
    }

    /// What is left when the attempt ends.
    pub fn finish(mut self, width: usize) -> Vec<String> {
        let mut lines = self.result(None, width);
        let rest = std::mem::take(&mut self.text);
        lines.extend(rest.iter().map(|(stream, text)| prefixed(stream, text, width)));
        lines
    }

    fn statement_end(&mut self, n: u32, rows: u64, affected: u64, ms: u64, width: usize) -> Vec<String> {
        if !self.names.is_empty() {
            return self.result(Some((rows, ms)), width);
        }
        if self.of < 2 {
            return Vec::new();
        }
        let wrote = match affected {
            0 => String::new(),
            affected => format!(" · {} written", words::plural(affected, "row")),
        };
        vec![format!("statement {n} of {}{wrote} · {}", self.of, words::duration(ms))]
    }

    /// The table of the result so far; `end`: all its rows, and its milliseconds.
    fn result(&mut self, end: Option<(u64, u64)>, width: usize) -> Vec<String> {
        if self.names.is_empty() && self.rows.is_empty() {
            return Vec::new();
        }
        let (names, types) = (std::mem::take(&mut self.names), std::mem::take(&mut self.types));
        let rows = std::mem::take(&mut self.rows);
        let all = end.map_or(self.received, |(rows, _)| rows);
        self.received = 0;
        let mut lines = table(&names, &types, &rows, width);
        let mut foot = match rows.len() as u64 {
            shown if shown < all => format!("{} of {}", words::count(shown), words::plural(all, "row")),
            _ => words::plural(all, "row"),
        };
        if let Some((_, ms)) = end {
            foot.push_str(&format!(" · {}", words::duration(ms)));
        }
        lines.push(format!("({foot})"));
        lines
    }

    fn text(&mut self, stream: &str, text: &str, width: usize) -> Vec<String> {
        let held = self.text.entry(stream.to_owned()).or_default();
        let mut lines = Vec::new();
        for part in text.split_inclusive('\n') {
            held.push_str(part);
            // A line without an end must not grow without one either.
            if part.ends_with('\n') || held.len() > limits::CELL_BYTES {
                lines.push(prefixed(stream, held, width));
                held.clear();
            }
        }
        if held.is_empty() {
            self.text.remove(stream);
        }
        lines
    }
}

fn prefixed(stream: &str, text: &str, width: usize) -> String {
    let text = text.trim_end_matches(['\n', '\r']);
    let text = clean::line(text, width.max(limits::CELL_BYTES));
    match stream {
        "out" => format!("│ {text}"),
        stream => format!("{} │ {text}", words::name(stream)),
    }
}
