//! What an attempt has shown so far, bounded: the tail a screen scrolls, the counts that are never cut.

use std::collections::{BTreeMap, VecDeque};

use super::batch::Batches;
use super::facts::Chunk;
use super::limits;
use super::migrations::FileTurn;

/// One line of a result, still as data: faces lay it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    Header { names: Vec<String>, types: Vec<String> },
    Row(Vec<Option<String>>),
    Notice { severity: String, text: String },
    Text { stream: String, text: String },
    End { statement: u32, rows: u64, affected: u64, ms: u64 },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputLog {
    pub lines: VecDeque<Line>,
    /// The names of the last result's columns.
    pub columns: Vec<String>,
    /// Lines that were here and are no longer.
    pub dropped: u64,
    /// The statement sent last, of how many.
    pub statement: u32,
    pub of: u32,
    /// Rows of all statements that ended.
    pub rows: u64,
    /// Of a step in batches.
    pub batches: Option<Box<Batches>>,
    /// The migration files whose turn has come, by version: what was heard of each last.
    pub files: BTreeMap<String, FileTurn>,
    /// Bytes of text by stream, shown here or no longer: where an attempt that is taken up again goes on.
    pub text_bytes: BTreeMap<String, u64>,
}

impl OutputLog {
    pub fn push(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Statement { n, of } => {
                self.statement = *n;
                self.of = *of;
                if *n == 1 {
                    // A new try of the script: rows of the one that was taken back are none.
                    self.rows = 0;
                }
            }
            Chunk::Columns { names, types, .. } => {
                self.columns.clone_from(names);
                self.line(Line::Header { names: names.clone(), types: types.clone() });
            }
            Chunk::Rows { rows, .. } => {
                for row in rows {
                    self.line(Line::Row(row.clone()));
                }
            }
            Chunk::StatementEnd { n, rows, affected, ms } => {
                self.rows += rows;
                self.line(Line::End { statement: *n, rows: *rows, affected: *affected, ms: *ms });
            }
            Chunk::Notice { severity, text } => {
                self.line(Line::Notice { severity: severity.clone(), text: text.clone() });
            }
            Chunk::Batch(batches) => self.batches = Some(batches.clone()),
            Chunk::Judged { .. } | Chunk::Probed(_) | Chunk::Inventory { .. } | Chunk::Migrating { .. } => {}
            Chunk::File(turn) => {
                self.files.insert(turn.version.clone(), turn.clone());
            }
            Chunk::Text { stream, text } => {
                *self.text_bytes.entry(stream.clone()).or_default() += text.len() as u64;
                for part in text.split_inclusive('\n') {
                    self.text(stream, part);
                }
            }
        }
    }

    /// Output arrives in pieces: one that continues an unfinished line joins it.
    fn text(&mut self, stream: &str, part: &str) {
        if let Some(Line::Text { stream: last, text }) = self.lines.back_mut()
            && last == stream
            && !text.ends_with('\n')
            && text.len() < limits::CELL_BYTES
        {
            text.push_str(part);
            return;
        }
        self.line(Line::Text { stream: stream.to_owned(), text: part.to_owned() });
    }

    fn line(&mut self, line: Line) {
        self.lines.push_back(line);
        if self.lines.len() > limits::LINES_SHOWN {
            self.lines.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_try_that_was_taken_back_do_not_count() {
        let mut log = OutputLog::default();
        let end = |n, rows| Chunk::StatementEnd { n, rows, affected: 0, ms: 1 };
        for chunk in [Chunk::Statement { n: 1, of: 2 }, end(1, 3), Chunk::Statement { n: 2, of: 2 }, end(2, 4)] {
            log.push(&chunk);
        }
        assert_eq!(log.rows, 7);
        log.push(&Chunk::Statement { n: 1, of: 2 });
        log.push(&end(1, 3));
        assert_eq!((log.rows, log.lines.len()), (3, 3));
    }
}
