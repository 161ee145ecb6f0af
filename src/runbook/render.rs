//! Problems for people: message, place, the source line underlined, what to do about it.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::clean;
use super::problem::{MESSAGE, MOST, Problem, Problems};

/// Problems shown in full; beyond it they are only counted.
const SHOWN: usize = 100;
/// Characters of a source line kept on either side of the place.
const AROUND: usize = 160;
/// Lines of a span that are shown.
const LINES: usize = 6;

impl Problems {
    /// As a compiler shows it, ending with a line that counts. `color`: with terminal colours.
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for problem in self.list().iter().take(SHOWN) {
            out.push_str(&picture(Tone::Error, None, problem, self.texts.get(&problem.file), color));
            out.push_str("\n\n");
        }
        out.push_str(&self.count());
        out.push('\n');
        out
    }

    fn count(&self) -> String {
        let files: std::collections::BTreeSet<&str> = self.list().iter().map(|p| p.file.as_str()).collect();
        let noun = if self.len() == 1 { "problem" } else { "problems" };
        let first = files.first().map_or(String::new(), |file| clean::line(file, MESSAGE));
        let place = if files.len() > 1 { format!("{} files", files.len()) } else { first };
        let more = if self.len() >= MOST { " or more" } else { "" };
        let shown = if self.len() > SHOWN { format!(" (the first {SHOWN} are shown)") } else { String::new() };
        format!("{}{more} {noun} in {place}{shown}", self.len())
    }
}

/// How grave a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Error,
    Warning,
    Note,
}

impl Tone {
    fn level(self) -> Level<'static> {
        match self {
            Self::Error => Level::ERROR,
            Self::Warning => Level::WARNING,
            Self::Note => Level::NOTE,
        }
    }
}

/// One problem: its message (with `id` in brackets), its place in `text` underlined, what to do about it. Without a line
/// feed at the end. `text`: the file's; without it only the file is named.
pub fn picture(tone: Tone, id: Option<&str>, problem: &Problem, text: Option<&String>, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let file = clean::line(&problem.file, MESSAGE);
    let title = tone.level().primary_title(clean::line(&problem.message, MESSAGE));
    let title = match id {
        Some(id) => title.id(id.to_owned()),
        None => title,
    };
    let help = Level::HELP.message(clean::line(&problem.hint, MESSAGE));
    let group = match text {
        Some(text) if problem.line > 0 => {
            let (window, span) = window(text, &problem.span);
            let snippet = Snippet::source(window)
                .path(file)
                .line_start(problem.line as usize)
                .annotation(AnnotationKind::Primary.span(span));
            title.element(snippet)
        }
        _ => title.element(Origin::path(file)),
    };
    renderer.render(&[group.element(help)])
}

/// The lines of the span, made safe to look at, and where the span is in them.
fn window(text: &str, span: &Range<usize>) -> (String, Range<usize>) {
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let start = back(text, line_start, span.start);
    let mut end = span.start;
    for _ in 0..LINES {
        end += text[end..].find('\n').map_or(text.len() - end, |at| at + 1);
        if end >= span.end {
            break;
        }
    }
    let from = span.start.max(start);
    let end = ahead(text, from, end.max(from), span.end);
    let mut out = String::new();
    // Where the line is cut, the columns before the cut are kept as blanks: the printed column stays true.
    if start > line_start {
        out.extend(text[line_start..start].chars().map(|_| ' '));
    }
    let mark_start = safe(&text[start..from], &mut out);
    let mark_end = safe(&text[from..end.min(span.end).max(from)], &mut out);
    safe(&text[end.min(span.end).max(from)..end], &mut out);
    while out.ends_with('\n') && out.len() > mark_end {
        out.pop();
    }
    let mark_end = mark_end.min(out.len());
    (out, mark_start.min(mark_end)..mark_end)
}

/// The start of what is shown of a line that is long before the place.
fn back(text: &str, line_start: usize, place: usize) -> usize {
    let shown = text[line_start..place].char_indices().rev().nth(AROUND);
    shown.map_or(line_start, |(at, _)| line_start + at)
}

/// The end of what is shown: lines that are long after the place are cut.
fn ahead(text: &str, from: usize, end: usize, span_end: usize) -> usize {
    let limit = AROUND * LINES;
    let wanted = text[from..end].char_indices().nth(limit).map_or(end, |(at, _)| from + at);
    if text[from..wanted].contains('\n') || span_end > wanted {
        return wanted;
    }
    let rest = text[from..wanted].char_indices().nth(AROUND * 2);
    rest.map_or(wanted, |(at, _)| (from + at).max(span_end))
}

/// Appends `part` with one visible character for each hostile one; returns the new length.
fn safe(part: &str, out: &mut String) -> usize {
    for c in part.chars() {
        match c {
            '\r' => {}
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            c if clean::is_hostile(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.len()
}
