//! A guide as a list of blocks with their lines: headings, paragraphs, items, fences, rows of tables.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Heading(u8),
    Paragraph,
    /// An item of a list; of a task list with its tick.
    Item(Option<bool>),
    /// A fence with its language, lower-case.
    Code(String),
    /// A row of a table, without its head.
    Row,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: Kind,
    /// Its words without the signs of Markdown; of a fence nothing.
    pub text: String,
    /// Its lines, 1-based; of a fence without the fence itself.
    pub lines: Vec<usize>,
}

/// The blocks of a guide. `lines`: its lines, as [`str::split`] at line breaks gives them.
pub fn blocks(text: &str, lines: &[&str]) -> Vec<Block> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line_at = |byte: usize| starts.partition_point(|start| *start <= byte);
    let mut found = Vec::new();
    // The leaf that gathers lines now, and those of items around it.
    let mut open: Vec<(Kind, Vec<usize>)> = Vec::new();
    let mut head = false;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => open.push((Kind::Heading(level as u8), Vec::new())),
            Event::Start(Tag::Item) => {
                // What an item says before a list below it is an item of its own.
                flush(&mut open, lines, &mut found);
                open.push((Kind::Item(None), Vec::new()));
            }
            Event::Start(Tag::Paragraph) => {
                let first = open.last().is_some_and(|(kind, lines)| matches!(kind, Kind::Item(_)) && lines.is_empty());
                if !first {
                    flush(&mut open, lines, &mut found);
                    open.push((Kind::Paragraph, Vec::new()));
                }
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                flush(&mut open, lines, &mut found);
                found.push(code(&kind, &range, lines, line_at));
                open.push((Kind::Code(String::new()), Vec::new()));
            }
            Event::Start(Tag::TableHead) => head = true,
            Event::Start(Tag::TableRow) => open.push((Kind::Row, Vec::new())),
            Event::End(TagEnd::TableHead) => head = false,
            Event::End(TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableRow | TagEnd::CodeBlock) => {
                flush(&mut open, lines, &mut found);
                open.pop();
            }
            Event::End(TagEnd::Paragraph) if open.last().is_some_and(|(kind, _)| *kind == Kind::Paragraph) => {
                flush(&mut open, lines, &mut found);
                open.pop();
            }
            Event::TaskListMarker(tick) => {
                if let Some((kind, _)) = open.last_mut() {
                    *kind = Kind::Item(Some(tick));
                }
            }
            Event::Text(_)
            | Event::Code(_)
            | Event::InlineHtml(_)
            | Event::Start(Tag::Link { .. } | Tag::Image { .. })
                if !head =>
            {
                let last = line_at(range.end.saturating_sub(1).max(range.start));
                gather(&mut open, line_at(range.start)..last + 1);
            }
            _ => {}
        }
    }
    found.retain(|block| !block.lines.is_empty());
    found
}

fn gather(open: &mut [(Kind, Vec<usize>)], lines: Range<usize>) {
    let Some((kind, known)) = open.last_mut() else { return };
    if !matches!(kind, Kind::Code(_)) {
        let last = known.last().copied();
        known.extend(lines.filter(|line| Some(*line) != last));
    }
}

/// Makes a block of what the innermost leaf gathered so far.
fn flush(open: &mut [(Kind, Vec<usize>)], lines: &[&str], found: &mut Vec<Block>) {
    let Some((kind, gathered)) = open.last_mut() else { return };
    if gathered.is_empty() {
        return;
    }
    let mut numbers = std::mem::take(gathered);
    numbers.sort_unstable();
    numbers.dedup();
    let words: Vec<String> = numbers.iter().filter_map(|n| lines.get(n - 1)).map(|line| plain(line)).collect();
    found.push(Block { kind: kind.clone(), text: words.join(" ").trim().to_owned(), lines: numbers });
}

/// A fence: the lines between its first and its last.
fn code(kind: &CodeBlockKind<'_>, range: &Range<usize>, lines: &[&str], line_at: impl Fn(usize) -> usize) -> Block {
    let (first, last) = (line_at(range.start), line_at(range.end.saturating_sub(1).max(range.start)));
    let is_fence = |n: usize| lines.get(n - 1).is_some_and(|line| is_fence(line));
    let (language, body) = match kind {
        CodeBlockKind::Indented => (String::new(), first..last + 1),
        CodeBlockKind::Fenced(info) => {
            let word = info.split([' ', ',', '{']).next().unwrap_or_default().to_ascii_lowercase();
            // A guide may end before its last fence does.
            (word, first + 1..if last > first && is_fence(last) { last } else { last + 1 })
        }
    };
    let body = body.filter(|n| lines.get(n - 1).is_some_and(|line| !line.trim().is_empty()));
    Block { kind: Kind::Code(language), text: String::new(), lines: body.collect() }
}

/// True for the line that opens or closes a fence.
pub fn is_fence(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t', '>']);
    line.starts_with("```") || line.starts_with("~~~")
}

/// A line without the signs of Markdown around its words.
fn plain(line: &str) -> String {
    let mut rest = line.trim().trim_start_matches(['>', ' ', '\t']);
    if rest.starts_with('#') {
        rest = rest.trim_start_matches('#').trim_end_matches('#').trim();
    }
    for _ in 0..3 {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let marker = ["- ", "* ", "+ ", "[ ] ", "[x] ", "[X] "].iter().find_map(|sign| rest.strip_prefix(sign));
        let numbered =
            (digits.len() < rest.len()).then(|| digits.strip_prefix(". ").or(digits.strip_prefix(") "))).flatten();
        match marker.or(numbered.filter(|_| !line.trim_start().starts_with('#'))) {
            Some(inner) => rest = inner.trim_start(),
            None => break,
        }
    }
    if rest.starts_with('|') {
        let cells: Vec<&str> =
            rest.trim_matches('|').split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        return cells.join(" · ").replace("**", "");
    }
    rest.replace("**", "").replace("__", "").trim().to_owned()
}
