//! What is wrong with a runbook: every finding with its place, and all of them together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::json;

use super::clean;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as named on the command line, or a file the runbook names, from the same starting point.
    pub file: String,
    /// 1-based; 0 where the file as a whole is meant.
    pub line: u32,
    /// 1-based, in characters; 0 where the file as a whole is meant.
    pub column: u32,
    /// Bytes of the file it is about.
    pub span: Range<usize>,
    /// What is wrong, in one line. May hold foreign text; faces clean it.
    pub message: String,
    /// What to do about it, in one line.
    pub hint: String,
}

impl Problem {
    /// About bytes of a file's text, whose lines start at `starts` (see [`lines`]): of a text with many they are found once.
    pub fn new(file: &str, text: &str, starts: &[usize], span: Range<usize>, message: String, hint: String) -> Self {
        let (span, line, column) = locate(text, starts, span);
        Self { file: file.to_owned(), line, column, span, message, hint }
    }
}

/// A problem as it is noted: its line and column follow from the file's text.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub file: String,
    pub span: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// Everything that is wrong, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    list: Vec<Problem>,
    /// Text of the files that problems point into.
    pub(super) texts: BTreeMap<String, String>,
}

impl Problems {
    /// Sorted by place: those of the file `main` first, then the other files by name.
    pub(super) fn new(main: &str, found: Vec<Found>, texts: BTreeMap<String, String>) -> Self {
        let starts: BTreeMap<&str, Vec<usize>> =
            texts.iter().map(|(file, text)| (file.as_str(), lines(text))).collect();
        let mut list: Vec<Problem> = Vec::with_capacity(found.len());
        for one in found {
            let place = texts.get(&one.file).zip(starts.get(one.file.as_str()));
            let (span, line, column) = place.map_or((0..0, 0, 0), |(text, starts)| locate(text, starts, one.span));
            list.push(Problem { file: one.file, line, column, span, message: one.message, hint: one.hint });
        }
        list.sort_by(|a, b| key(main, a).cmp(&key(main, b)));
        list.dedup();
        Self { list, texts }
    }

    /// A problem with a file as a whole.
    pub(super) fn of_file(file: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let found = Found { file: file.to_owned(), span: 0..0, message: message.into(), hint: hint.into() };
        Self::new(file, vec![found], BTreeMap::new())
    }

    /// The text of a file that problems point into, what is secret in it masked.
    pub fn text(&self, file: &str) -> Option<&String> {
        self.texts.get(file)
    }

    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `{"count": n, "problems": [{"file", "line", "column", "message", "hint"}]}`; texts cleaned.
    pub fn to_json(&self) -> serde_json::Value {
        let problems: Vec<_> = self
            .list
            .iter()
            .map(|problem| {
                json!({
                    "file": clean::line(&problem.file, MESSAGE),
                    "line": problem.line,
                    "column": problem.column,
                    "message": clean::line(&problem.message, MESSAGE),
                    "hint": clean::line(&problem.hint, MESSAGE),
                })
            })
            .collect();
        json!({ "count": problems.len(), "problems": problems })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Problems that are kept.
pub(super) const MOST: usize = 500;
/// Graphemes of a message or hint that are shown.
pub(super) const MESSAGE: usize = 400;

fn key<'p>(main: &str, problem: &'p Problem) -> (bool, &'p str, usize, usize, &'p str) {
    let Problem { file, span, message, .. } = problem;
    (file != main, file, span.start, span.end, message)
}

/// Byte offsets at which lines start.
pub fn lines(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The span brought inside the text and onto character bounds, with the 1-based line and column of its start.
fn locate(text: &str, starts: &[usize], span: Range<usize>) -> (Range<usize>, u32, u32) {
    let start = bound(text, span.start);
    let end = bound(text, span.end).max(start);
    let line = starts.partition_point(|at| *at <= start);
    let line_start = starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
    let column = text[line_start..start].chars().count() + 1;
    (start..end, small(line), small(column))
}

fn bound(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
